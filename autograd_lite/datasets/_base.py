"""What the image data sets share: looking for files, errors, and images held in one array."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Dataset, checked, take
from ..tensor import Tensor


class DatasetNotFoundError(FileNotFoundError, RuntimeError):
    """The files of a data set are not where they were looked for.

    A `RuntimeError` too, as that is what torchvision raises.
    """


def find_file(root: str | os.PathLike[str], folders: Iterable[str], names: Sequence[str]) -> Path | None:
    """The first of `names` that exists in `root` or in one of its `folders`."""
    for folder in ("", *folders):
        for name in names:
            path = Path(root, folder, name)
            if path.exists():
                return path
    return None


def not_found(
    what: str, root: str | os.PathLike[str], folders: Iterable[str], names: Sequence[str], remedy: str
) -> DatasetNotFoundError:
    """The error for a missing file: what, where it was looked for, under which names, what to do."""
    places = ", ".join(str(Path(root, folder)) for folder in ("", *folders))
    hint = "" if Path(root).is_dir() else f" ({os.fspath(root)!r} is not a folder)"
    return DatasetNotFoundError(f"{what} not found{hint}: looked for {' or '.join(names)} in {places}. {remedy}")


class Arrays(Dataset[Any]):
    """Labelled images of one size, held in memory.

    Attributes
    ----------
    data : Tensor
        All images, as they are stored. May be replaced, together with `targets`, by a selection.
    targets : Tensor
        Their labels, int64.
    classes : sequence of str
        The names of the labels.
    """

    data: Any
    targets: Any
    classes: Sequence[str]
    transform: Callable[[Any], Any] | None
    target_transform: Callable[[Any], Any] | None

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image (a NumPy array, or what `transform` makes of it) and its label (an int)."""
        image: Any = _array(self.data)[index].copy()
        label: Any = int(_array(self.targets)[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def _batch(self, indices: np.ndarray) -> list[Tensor] | None:
        if self.transform is not None or self.target_transform is not None:
            return None
        indices = checked(indices, len(self))
        targets = self.targets
        if isinstance(targets, list):
            labels = Tensor(np.array([targets[i] for i in indices.tolist()], np.int64))
        else:
            labels = take(_array(targets), indices)
        return [take(_array(self.data), indices), labels]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images as float32 (N, C, H, W) in [0, 1] and all labels as int64 (N,), for training in memory.

        `transform` and `target_transform` are not applied.
        """
        return to_float(_array(self.data)), np.asarray(_array(self.targets), np.int64)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """`arrays`, as tensors: ``TensorDataset(*dataset.tensors())`` is the fast way to train."""
        images, labels = self.arrays()
        return Tensor(images), Tensor(labels)

    def _describe(self) -> list[str]:
        return []

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        lines += [f"    {line}" for line in self._describe()]
        if self.transform is not None:
            lines.append(f"    Transform: {self.transform!r}")
        return "\n".join(lines)


def _array(data: Any) -> Any:
    return data._data if isinstance(data, Tensor) else data


def to_float(images: np.ndarray) -> np.ndarray:
    """(N, H, W) or (N, H, W, C) images, uint8 or float32, to float32 (N, C, H, W) in [0, 1]."""
    if images.ndim == 3:
        images = images[..., None]
    images = np.moveaxis(images, 3, 1)
    if images.dtype == np.float32:
        return np.ascontiguousarray(images)
    out = np.empty(images.shape, np.float32)
    return np.divide(images, np.float32(255), out=out)
