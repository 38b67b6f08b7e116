"""Pictures in folders, one folder per class: on disk, or in a tar archive that is read as it is."""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ..data.dataset import Dataset
from ..tensor import Tensor
from ._base import DatasetNotFoundError, to_float

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")


def read_image(source: Any, mode: str = "RGB") -> np.ndarray:
    """Decode a picture with Pillow.

    Parameters
    ----------
    source : path-like or binary file
    mode : str
        Pillow's name of the pixel format: "RGB" gives (height, width, 3), "L" (grey) gives (height, width).

    Returns
    -------
    ndarray, uint8

    Raises
    ------
    ImportError
        If Pillow is not installed.
    RuntimeError
        If it is not a picture, or damaged.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> from autograd_lite.datasets import read_image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 2)).save(file, "PNG")
    >>> read_image(file).shape
    (2, 4, 3)
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Pictures are decoded with Pillow, which is not installed: pip install "
            "'autograd_lite[examples]' (or "
            "pip install pillow)"
        ) from error
    try:
        with Image.open(source) as image:
            return np.array(image.convert(mode))
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        name = getattr(source, "name", source)
        raise RuntimeError(f"{name} is truncated, corrupt, or not a picture ({error})") from error


class Tree:
    """The files below a folder, on disk or in a tar archive.

    Parameters
    ----------
    root : path-like
        A folder; a tar archive, compressed or not; or a folder within one, as in ``faces.tgz/train``. The
        files of an archive are read into memory, still compressed as they are.

    Attributes
    ----------
    names : list of str
        Their names relative to `root`, sorted.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._members: dict[str, bytes] | None = None
        if self.root.is_dir():
            paths = (path for path in self.root.rglob("*") if path.is_file())
            self.names = sorted(path.relative_to(self.root).as_posix() for path in paths)
            return
        archive = next((p for p in (self.root, *self.root.parents) if p.is_file()), None)
        if archive is None:
            raise DatasetNotFoundError(f"{self.root} not found: expected a folder, a tar archive, or a folder in one")
        inside = self.root.relative_to(archive).as_posix()
        self._members = read_tar(archive, "" if inside == "." else inside + "/")
        self.names = sorted(self._members)
        if not self.names and inside != ".":
            raise DatasetNotFoundError(f"{archive} holds no folder {inside}")

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes() if self._members is None else self._members[name]

    def open(self, name: str) -> Any:
        """The file as a path, or as a binary file with a name."""
        if self._members is None:
            return self.root / name
        file = io.BytesIO(self._members[name])
        file.name = str(self.root / name)
        return file


def read_tar(path: Path, prefix: str) -> dict[str, bytes]:
    """The regular files below `prefix` in an archive, by their names without it."""
    members = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and name.startswith(prefix):
                    file = archive.extractfile(member)
                    assert file is not None
                    content = file.read()
                    if len(content) != member.size:
                        raise EOFError(f"{name} ends early")
                    members[name.removeprefix(prefix)] = content
            # An archive ends with empty blocks; tarfile takes a cut one for ended as well.
            assert archive.fileobj is not None
            archive.fileobj.seek(archive.offset)
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError("the end is missing")
            while archive.fileobj.read(1 << 20):  # on to the checksum
                pass
    except (tarfile.TarError, EOFError, LZMAError, zlib.error, OSError) as error:
        raise RuntimeError(
            f"{path} is truncated, corrupt, or not a tar archive ({error}). Get the file again."
        ) from error
    return members


class ImageFolder(Dataset[Any]):
    """Pictures in one folder per class, ``root/<class>/.../<name>.jpg``.

    Parameters
    ----------
    root : path-like
        A folder; a tar archive (``.tar``, ``.tgz``, ``.tar.xz``, ...), read without unpacking it; or a folder
        within an archive, as in ``faces.tgz/train``.
    transform, target_transform : callable, optional
        Applied to the image (a uint8 array of shape (height, width, 3)) and to the label (an int).
    loader : callable, optional
        From a path (or, in an archive, a binary file) to an image; by default `read_image`.
    is_valid_file : callable, optional
        Tells from a file's name relative to `root` whether it is to be used; by default, names of pictures.
    allow_empty : bool
        Whether classes without a picture are allowed.

    Attributes
    ----------
    classes : list of str
        The names of the folders, sorted.
    class_to_idx : dict
    samples : list of (str, int)
        Name relative to `root`, and label, of each picture.
    targets : list of int

    Raises
    ------
    FileNotFoundError
        If `root` does not exist, has no folder, or has one without pictures.
    RuntimeError
        If an archive, or a picture when it is read, is truncated or corrupt.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> import autograd_lite as ag
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         pathlib.Path(folder, name).mkdir()
    ...         Image.new("RGB", (8, 6)).save(pathlib.Path(folder, name, "1.png"))
    ...     pictures = ag.datasets.ImageFolder(folder)
    ...     image, label = pictures[1]
    >>> pictures.classes, image.shape, label
    (['cat', 'dog'], (6, 8, 3), 1)
    """

    classes: list[str]

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[Any], Any] = read_image,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        self.root, self.loader = Path(root), loader
        self.transform, self.target_transform = transform, target_transform
        self._tree = Tree(root)
        parts = [PurePosixPath(name).parts for name in self._tree.names]
        self.classes = self._class_names({p[0] for p in parts if len(p) > 1})
        if not self.classes:
            raise DatasetNotFoundError(f"{root} has no folders: expected one folder of pictures per class")
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        valid = is_valid_file or (lambda name: name.lower().endswith(IMG_EXTENSIONS))
        self.samples = [
            (name, self.class_to_idx[p[0]])
            for name, p in zip(self._tree.names, parts, strict=True)
            if len(p) > 1 and valid(name)
        ]
        self.targets = [label for _, label in self.samples]
        empty = set(self.classes) - {self.classes[label] for label in self.targets}
        if empty and not allow_empty:
            wanted = "" if is_valid_file else f"; pictures are files named {', '.join('*' + e for e in IMG_EXTENSIONS)}"
            raise DatasetNotFoundError(f"{root}: no picture for the classes {', '.join(sorted(empty))}{wanted}")

    def _class_names(self, folders: set[str]) -> list[str]:
        if self.root.is_dir():  # folders without any file are classes as well
            folders = folders | {entry.name for entry in os.scandir(self.root) if entry.is_dir()}
        return sorted(folders)

    @property
    def imgs(self) -> list[tuple[str, int]]:
        return self.samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name, label = self.samples[index]
        image = self.loader(self._tree.open(name))
        if self.transform is not None:
            image = self.transform(image)
        return image, label if self.target_transform is None else self.target_transform(label)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images as float32 (N, 3, H, W) in [0, 1] and all labels as int64 (N,).

        The transforms are not applied.

        Raises
        ------
        RuntimeError
            If the images differ in size.
        """
        images = [self.loader(self._tree.open(name)) for name, _ in self.samples]
        shapes = {image.shape for image in images}
        if len(shapes) != 1:
            raise RuntimeError(
                f"{self.root}: {len(shapes)} different sizes of image do not fit one array; use a "
                "`DataLoader` and a transform that resizes"
            )
        return to_float(np.stack(images)), np.array(self.targets, np.int64)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """`arrays`, as tensors."""
        images, labels = self.arrays()
        return Tensor(images), Tensor(labels)

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        lines += [f"    Root location: {self.root}", f"    Classes: {len(self.classes)}"]
        if self.transform is not None:
            lines.append(f"    Transform: {self.transform!r}")
        return "\n".join(lines)


class Flowers17(ImageFolder):
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
        self.root, self.split, self.loader = Path(root), split, read_image
        self.transform, self.target_transform = transform, target_transform
        self._tree = Tree(self._locate())
        numbered = [(name, self._number(name)) for name in self._tree.names]
        found = {number: name for name, number in numbered if number}
        total = self.per_class * len(self.names)
        missing = total - len(found.keys() & set(range(1, total + 1)))
        if missing:
            raise RuntimeError(
                f"{self._tree.root} is not the whole data set: {missing} of the pictures image_0001.jpg to "
                f"image_{total:04}.jpg are missing"
            )
        self.classes = list(self.names)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [
            (found[number], (number - 1) // self.per_class)
            for number in range(1, total + 1)
            if (number - 1) % 4 in self.splits[split]
        ]
        self.targets = [label for _, label in self.samples]

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

    @staticmethod
    def _number(name: str) -> int:
        stem = PurePosixPath(name).stem
        digits = stem.removeprefix("image_")
        return int(digits) if name.endswith(".jpg") and digits != stem and digits.isdigit() else 0
