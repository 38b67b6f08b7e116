"""Oxford's flowers: pictures that are numbered through, in 17 or 102 categories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ._base import DatasetNotFoundError
from ._matlab import read_matlab
from .folder import ImageFolder, Tree, read_image


class _NumberedPictures(ImageFolder):
    """Pictures ``image_<number>.jpg``, in an archive or in the folder ``jpg`` that it holds."""

    def _read(self, place: Path, labels: list[int], chosen: list[int], digits: int) -> None:
        """Take the pictures numbered `chosen`; `labels` are those of picture 1, 2, ... of the whole data set."""
        self.loader = read_image
        self._tree = Tree(place)
        found = {PurePosixPath(name).name: name for name in self._tree.names}
        names = [f"image_{number:0{digits}}.jpg" for number in range(1, len(labels) + 1)]
        missing = len(set(names) - found.keys())
        if missing:
            raise RuntimeError(
                f"{place} is not the whole data set: {missing} of the pictures {names[0]} to {names[-1]} are missing"
            )
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [(found[names[number - 1]], labels[number - 1]) for number in chosen]
        self.targets = [label for _, label in self.samples]


class Flowers17(_NumberedPictures):
    """Oxford's 17 categories of flowers, 80 pictures of each (M.-E. Nilsback, A. Zisserman, CVPR 2006).

    Parameters
    ----------
    root : path-like
        The archive ``17flowers.tgz``, a folder that holds it or its unpacked folder ``jpg``, or that folder;
        ``root/flowers17`` is looked into as well. The file is published without a checksum, so it is not
        downloaded: https://www.robots.ox.ac.uk/~vgg/data/flowers/17/
    split : {"train", "valid", "test"}
        By the number of a picture: of each four, two train, one validates, one tests (680, 340, 340).
    transform, target_transform : callable, optional
        As for `ImageFolder`.

    Raises
    ------
    ValueError
        If there is no such split.
    FileNotFoundError, RuntimeError
        As for `ImageFolder`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> len(ag.datasets.Flowers17.names), ag.datasets.Flowers17.names[9]
    (17, 'Sunflower')
    """

    names = (
        "Daffodil", "Snowdrop", "Lily Valley", "Bluebell", "Crocus", "Iris", "Tigerlily", "Tulip",
        "Fritillary", "Sunflower", "Daisy", "Colts' Foot", "Dandelion", "Cowslip", "Buttercup",
        "Windflower", "Pansy",
    )  # fmt: skip
    splits: ClassVar[dict[str, tuple[int, ...]]] = {"train": (0, 1), "valid": (2,), "test": (3,)}
    per_class = 80

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if split not in self.splits:
            raise ValueError(f"Flowers17: unknown split {split!r}, expected one of {', '.join(self.splits)}")
        self.root, self.split = Path(root), split
        self.transform, self.target_transform = transform, target_transform
        self.classes = list(self.names)
        numbers = range(1, self.per_class * len(self.names) + 1)
        labels = [(number - 1) // self.per_class for number in numbers]
        chosen = [number for number in numbers if (number - 1) % 4 in self.splits[split]]
        self._read(self._locate(), labels, chosen, digits=4)

    def _locate(self) -> Path:
        if self.root.is_file():
            return self.root
        for place in (self.root, self.root / "flowers17", self.root / "17flowers"):
            for inside in ("17flowers.tgz", "jpg"):
                if (place / inside).exists():
                    return place / inside
        if (self.root / "image_0001.jpg").exists():
            return self.root
        raise DatasetNotFoundError(
            "Flowers17 not found: looked for 17flowers.tgz, or the folder jpg that it holds, in "
            f"{self.root} and "
            f"{self.root / 'flowers17'}. Get it from https://www.robots.ox.ac.uk/~vgg/data/flowers/17/"
        )


class Flowers102(_NumberedPictures):
    """Oxford's 102 categories of flowers (M.-E. Nilsback, A. Zisserman, ICVGIP 2008).

    Parameters
    ----------
    root : path-like
        A folder with the three published files: ``102flowers.tgz`` (or the folder ``jpg`` that it holds),
        ``imagelabels.mat`` and ``setid.mat``; ``root/flowers102`` and torchvision's ``root/flowers-102`` are
        looked into as well. Reading the labels takes SciPy. There is no download:
        https://www.robots.ox.ac.uk/~vgg/data/flowers/102/
    split : {"train", "val", "test"}
        The published split: 1,020, 1,020 and 6,149 pictures.
    transform, target_transform : callable, optional
        As for `ImageFolder`.

    Attributes
    ----------
    classes : list of str
        The numbers of the categories from "1" on, for the files hold no names.

    Raises
    ------
    ValueError
        If there is no such split.
    FileNotFoundError, RuntimeError
        As for `ImageFolder`.
    ImportError
        If SciPy is not installed.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> list(ag.datasets.Flowers102.splits)
    ['train', 'val', 'test']
    """

    splits: ClassVar[dict[str, str]] = {"train": "trnid", "val": "valid", "test": "tstid"}
    folders = ("flowers102", "flowers-102")

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if split not in self.splits:
            raise ValueError(f"Flowers102: unknown split {split!r}, expected one of {', '.join(self.splits)}")
        self.root, self.split = Path(root), split
        self.transform, self.target_transform = transform, target_transform
        place = self._locate()
        labels = read_matlab(place / "imagelabels.mat", ["labels"])[0].ravel()
        chosen = read_matlab(place / "setid.mat", [self.splits[split]])[0].ravel()
        if not (len(labels) and labels.dtype.kind in "iu" and labels.min() >= 1):
            raise RuntimeError(f"{place / 'imagelabels.mat'}: expected labels from 1 on, got {labels.dtype} {labels}")
        if not (np.isin(chosen, np.arange(1, len(labels) + 1)).all()):
            raise RuntimeError(f"{place / 'setid.mat'} does not fit imagelabels.mat, which has {len(labels)} labels")
        self.classes = [str(k) for k in range(1, int(labels.max()) + 1)]
        pictures = place / "jpg" if (place / "jpg").is_dir() else place / "102flowers.tgz" / "jpg"
        self._read(pictures, (labels.astype(int) - 1).tolist(), chosen.tolist(), digits=5)

    def _locate(self) -> Path:
        wanted = ("setid.mat", "imagelabels.mat")
        for place in (self.root, *(self.root / folder for folder in self.folders)):
            if all((place / name).exists() for name in wanted):
                return place
        raise DatasetNotFoundError(
            f"Flowers102 not found: looked for {' and '.join(wanted)}, beside 102flowers.tgz or the folder jpg that it "
            f"holds, in {self.root} and {self.root / self.folders[0]}. Get them from "
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
        )
