"""CIFAR-10."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ._base import Arrays, find_file, not_found
from ._cache import cached
from ._download import download
from .folder import ImageFolder, read_tar

RECORD = 1 + 3 * 32 * 32


class CIFAR10(Arrays):
    """Colour pictures of ten kinds of things, 32x32 (A. Krizhevsky, 2009).

    Parameters
    ----------
    root : path-like
        Looked for in ``root``, ``root/cifar10`` and ``root/CIFAR10``, in this order: the folder
        ``cifar-10-batches-bin``; ``cifar-10-binary.tar.gz``, the official binary version, read without
        unpacking it; and ``cifar10_jpg.tar.xz``, the pictures as JPEG files
        ``{train,test}/<class>/*.jpg`` (decoded once, with Pillow, and kept in the cache folder).
    train : bool
        The 50,000 training images, else the 10,000 test images.
    transform, target_transform : callable, optional
        Applied to the image (a uint8 array of shape (32, 32, 3)) and to the label (an int).
    download : bool
        Get the official binary version, 170 MB, if nothing is there.

    Attributes
    ----------
    data : ndarray, uint8, (N, 32, 32, 3)
        As in torchvision an array, not a tensor.
    targets : list of int

    Raises
    ------
    FileNotFoundError
        If nothing is found (it is a `RuntimeError`, too).
    RuntimeError
        If a file is truncated, corrupt or the wrong one, or if the download fails.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.datasets.CIFAR10.classes[3]
    'cat'
    """

    mirrors = ("https://www.cs.toronto.edu/~kriz/",)
    filename = "cifar-10-binary.tar.gz"
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    base_folder = "cifar-10-batches-bin"
    jpeg_archive = "cifar10_jpg.tar.xz"
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root, self.train = Path(root), train
        names, folders = [self.base_folder, self.filename, self.jpeg_archive], ["cifar10", "CIFAR10"]
        found = {name: find_file(root, folders, [name]) for name in names}
        if download and not any(found.values()):
            found[self.filename] = self._download()
        path = next((found[name] for name in names if found[name]), None)
        if path is None:
            raise not_found("CIFAR10", root, folders, names, "Use download=True to download it.")
        if path.name == self.jpeg_archive:
            images, labels = self._read_jpeg(path)
        else:
            records = np.concatenate(self._read_batches(path))
            labels = records[:, 0].astype(np.int64)
            images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        self.data, self.targets = images, labels.tolist()
        self.transform, self.target_transform = transform, target_transform

    def _download(self) -> Path:
        return download([mirror + self.filename for mirror in self.mirrors], self.root / self.filename, md5=self.md5)

    @property
    def _batches(self) -> list[str]:
        return [f"data_batch_{i}.bin" for i in range(1, 6)] if self.train else ["test_batch.bin"]

    def _read_batches(self, path: Path) -> list[np.ndarray]:
        batches = []
        if path.is_dir():
            for name in self._batches:
                if not (path / name).is_file():
                    raise RuntimeError(f"{path} is incomplete: {name} is missing")
                batches.append(self._parse((path / name).read_bytes(), str(path / name)))
            return batches
        members = read_tar(path, self.base_folder + "/")
        for name in self._batches:
            if name not in members:
                raise RuntimeError(f"{path} is not {self.filename}: it has no {self.base_folder}/{name}")
            batches.append(self._parse(members[name], f"{path}/{self.base_folder}/{name}"))
        return batches

    def _parse(self, content: bytes, name: str) -> np.ndarray:
        if not content or len(content) % RECORD:
            raise RuntimeError(
                f"{name} is truncated or corrupt: expected a multiple of {RECORD} bytes (a label and "
                "32x32x3 pixels), "
                f"got {len(content)}"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
        if records[:, 0].max() >= len(self.classes):
            raise RuntimeError(f"{name} is corrupt: a label is {records[:, 0].max()}, expected 0 to 9")
        return records

    def _read_jpeg(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        part = "train" if self.train else "test"

        def decode() -> dict[str, np.ndarray]:
            pictures = ImageFolder(path / part)
            if tuple(pictures.classes) != self.classes:
                raise RuntimeError(
                    f"{path}: expected the folders {', '.join(self.classes)} in {part}, got "
                    f"{', '.join(pictures.classes)}"
                )
            images = [image for image, _ in (pictures[i] for i in range(len(pictures)))]
            if any(image.shape != (32, 32, 3) for image in images):
                raise RuntimeError(f"{path}: some pictures are not of 32x32 pixels")
            return {"images": np.stack(images), "labels": np.array(pictures.targets, np.int64)}

        with io.FileIO(path) as file:
            digest = hashlib.sha256(file.read()).hexdigest()[:16]
        layout: dict[str, Any] = {"images": ("uint8", (None, 32, 32, 3)), "labels": ("int64", (None,))}
        arrays = cached(f"cifar10-{part}-{digest}", layout, decode)
        return arrays["images"], arrays["labels"]

    def _describe(self) -> list[str]:
        return [f"Root location: {self.root}", f"Split: {'Train' if self.train else 'Test'}"]
