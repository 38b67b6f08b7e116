"""Pictures in folders, one folder per class: on disk, or in a tar archive that is read as it is."""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any

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
