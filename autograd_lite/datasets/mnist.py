"""Data sets in the IDX format: MNIST, Fashion-MNIST, Kuzushiji-MNIST, EMNIST."""

from __future__ import annotations

import gzip
import math
import os
import string
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..tensor import Tensor
from ._base import Arrays, find_file, not_found
from ._download import download

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an array from an IDX file, compressed by gzip or not.

    The format is the one of Y. LeCun's MNIST page: two zero bytes, a type code, the number of dimensions,
    each extent as a big-endian 32-bit integer, then the elements in row-major order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RuntimeError
        If it is truncated, corrupt, or not an IDX file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from autograd_lite.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(file)
    array([5, 0, 4], dtype=uint8)
    """
    return _parse_idx(Path(path).read_bytes(), os.fspath(path))


def _parse_idx(content: bytes, name: str) -> np.ndarray:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise RuntimeError(f"{name} is truncated or corrupt: gzip says '{error}'. Get the file again.") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_DTYPES or content[3] == 0:
        raise RuntimeError(
            f"{name} is not an IDX file: expected two zero bytes, a type code and a number of "
            "dimensions, got "
            f"the bytes {content[:4].hex(' ')!r}"
        )
    dtype, ndim = np.dtype(_IDX_DTYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "corrupt"
        raise RuntimeError(
            f"{name} is {state}: its header tells of shape {shape} in {expected} bytes, it holds "
            f"{len(content)}. "
            "Get the file again."
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _check_pair(images: np.ndarray, labels: np.ndarray, names: list[str], classes: int) -> None:
    image_file, label_file = names
    if images.ndim != 3 or images.dtype != np.uint8:
        raise RuntimeError(
            f"{image_file} does not hold images: expected uint8 of shape (N, height, width), got "
            f"{images.dtype} of "
            f"shape {images.shape}"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise RuntimeError(
            f"{label_file} does not hold labels: expected integers of shape (N,), got {labels.dtype} "
            "of shape "
            f"{labels.shape}"
        )
    if len(images) != len(labels):
        raise RuntimeError(
            f"{image_file} has {len(images)} images, but {label_file} has {len(labels)} labels: they "
            "do not belong "
            "together"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise RuntimeError(
            f"{label_file} holds labels from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}"
        )


class MNIST(Arrays):
    """Handwritten digits, 28x28, white on black (Y. LeCun et al., 1998).

    Parameters
    ----------
    root : path-like
        Looked for in ``root``, ``root/MNIST/raw`` (torchvision's place, and where downloads go),
        ``root/MNIST`` and ``root/mnist``, compressed or not.
    train : bool
        The 60,000 training images, else the 10,000 test images.
    transform, target_transform : callable, optional
        Applied to the image (a uint8 array of shape (28, 28)) and to the label (an int).
    download : bool
        Get the files if they are not there.

    Raises
    ------
    FileNotFoundError
        If a file is missing (it is a `RuntimeError`, too).
    RuntimeError
        If a file is truncated, corrupt or the wrong one, or if the download fails.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.datasets.MNIST.classes[7]
    '7 - seven'
    >>> ag.datasets.MNIST("no/such/folder")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    autograd_lite.datasets.DatasetNotFoundError: MNIST not found ('no/such/folder' is not a folder): ...
    """

    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    resources: tuple[tuple[str, str], ...] = (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
    classes: Sequence[str] = (
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    )  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root, self.train = Path(root), train
        part = "train" if train else "t10k"
        names = [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]
        if download and any(self._find(name) is None for name in names):
            self._download(names)
        images, labels = (read_idx(self._require(name)) for name in names)
        _check_pair(images, labels, names, len(self.classes))
        self.data, self.targets = Tensor(images), Tensor(labels.astype(np.int64))
        self.transform, self.target_transform = transform, target_transform

    @property
    def _folders(self) -> list[str]:
        name = type(self).__name__
        return [os.path.join(name, "raw"), name, name.lower()]

    def _find(self, name: str) -> Path | None:
        return find_file(self.root, self._folders, [name, name + ".gz"])

    def _require(self, name: str) -> Path:
        path = self._find(name)
        if path is None:
            remedy = "Use download=True to download it."
            raise not_found(type(self).__name__, self.root, self._folders, [name, name + ".gz"], remedy)
        return path

    def _download(self, names: list[str]) -> None:
        for file, md5 in self.resources:
            if file.removesuffix(".gz") in names:
                target = self.root / type(self).__name__ / "raw" / file
                download([mirror + file for mirror in self.mirrors], target, md5=md5)

    def _describe(self) -> list[str]:
        return [f"Root location: {self.root}", f"Split: {'Train' if self.train else 'Test'}"]


class FashionMNIST(MNIST):
    """Pictures of clothes in MNIST's format (H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747).

    Parameters and errors as for `MNIST`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.datasets.FashionMNIST.classes[9]
    'Ankle boot'
    """

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    )
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    )  # fmt: skip


class KMNIST(MNIST):
    """Cursive Japanese characters in MNIST's format (T. Clanuwat et al., arXiv:1812.01718).

    Parameters and errors as for `MNIST`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.datasets.KMNIST.classes[:3]
    ('o', 'ki', 'su')
    """

    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    )
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


_MERGED = set("cijklmopsuvwxyz")
_ALL = set(string.digits + string.ascii_letters)


class EMNIST(MNIST):
    """Handwritten letters and digits, 28x28, white on black (G. Cohen et al., arXiv:1702.05373).

    The files store each image transposed; here they stand upright (torchvision leaves them lying).

    Parameters
    ----------
    root : path-like
        As for `MNIST`; EMNIST's own ``gzip.zip`` is read as it is.
    split : {"byclass", "bymerge", "balanced", "letters", "digits", "mnist"}
        62 classes; 47 with the small letters that look like capitals merged into these, as they come or
        balanced; 26 letters (labels 1 to 26; class 0 is "N/A"); 10 digits.
    train, transform, target_transform, download
        As for `MNIST`. The download is one file of 560 MB for all splits.

    Raises
    ------
    ValueError
        If there is no such split.
    FileNotFoundError, RuntimeError
        As for `MNIST`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> "".join(ag.datasets.EMNIST.classes_split_dict["balanced"])
    '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt'
    """

    mirrors = ("https://biometrics.nist.gov/cs_links/EMNIST/",)
    resources = (("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e"),)
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": sorted(_ALL),
        "bymerge": sorted(_ALL - _MERGED),
        "balanced": sorted(_ALL - _MERGED),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "balanced",
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        if split not in self.splits:
            raise ValueError(f"EMNIST: unknown split {split!r}, expected one of {', '.join(self.splits)}")
        self.root, self.split, self.train = Path(root), split, train
        self.classes = self.classes_split_dict[split]
        stem = f"emnist-{split}-{'train' if train else 'test'}"
        names = [f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"]
        if download and self._zip() is None and any(self._find(name) is None for name in names):
            self._download(["gzip.zip"])
        images, labels = (self._read(name) for name in names)
        _check_pair(images, labels, names, len(self.classes))
        self._check_mapping()
        self.data = Tensor(np.ascontiguousarray(images.transpose(0, 2, 1)))
        self.targets = Tensor(labels.astype(np.int64))
        self.transform, self.target_transform = transform, target_transform

    def _zip(self) -> Path | None:
        return find_file(self.root, self._folders, ["gzip.zip", "emnist-gzip.zip"])

    def _read(self, name: str) -> np.ndarray:
        path, archive = self._find(name), self._zip()
        if path is not None or archive is None:
            return read_idx(path or self._require(name))
        member = f"gzip/{name}.gz"
        try:
            with zipfile.ZipFile(archive) as opened:
                content = opened.read(member)
        except (KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise RuntimeError(
                f"{archive} is not EMNIST's gzip.zip, or is truncated: "
                f"cannot read {member} ({error}). Get the file again."
            ) from error
        return _parse_idx(content, f"{archive}/{member}")

    def _check_mapping(self) -> None:
        """Compare the file that maps labels to character codes, where it is, with the split's classes."""
        path = find_file(self.root, self._folders, [f"emnist-{self.split}-mapping.txt"])
        if path is None or self.split == "letters":  # that one maps to two codes a label
            return
        try:
            rows = [[int(field) for field in line.split()] for line in path.read_text().splitlines() if line.strip()]
            classes = [chr(code) for _, code in sorted(rows)]
        except ValueError as error:
            raise RuntimeError(f"{path} is not an EMNIST mapping: expected lines 'label code' ({error})") from error
        if classes != self.classes:
            raise RuntimeError(
                f"{path} maps the labels to {''.join(classes)!r}, expected {''.join(self.classes)!r}: "
                "it does not "
                f"belong to the split {self.split!r}"
            )

    def _describe(self) -> list[str]:
        return [*super()._describe(), f"EMNIST split: {self.split}"]
