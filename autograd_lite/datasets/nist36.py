"""NIST36: the handwritten letters and digits of the vision course."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..tensor import Tensor
from ._base import Arrays, find_file, not_found
from ._matlab import read_matlab
from ._strokes import CLASSES

SIDE = 32


class NIST36(Arrays):
    """Handwritten A-Z and 0-9, 32x32, black ink on white, from MATLAB files.

    The files ``nist36_{split}.mat`` hold ``{split}_data``, images in column-major order in the rows of an
    (N, 1024) array in [0, 1], and ``{split}_labels``, (N, 36) one-hot. Reading them takes SciPy.

    Parameters
    ----------
    root : path-like
        Looked for in ``root``, ``root/nist36`` and ``root/NIST36``. There is no public download.
    split : {"train", "valid", "test"}
    transform, target_transform : callable, optional
        Applied to the image (a float32 array of shape (32, 32), upright) and to the label (an int).

    Raises
    ------
    ValueError
        If there is no such split.
    FileNotFoundError
        If the file is missing.
    RuntimeError
        If it is truncated, corrupt, or holds something else.
    ImportError
        If SciPy is not installed.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> "".join(ag.datasets.NIST36.classes)
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
    """

    classes = CLASSES
    splits = ("train", "valid", "test")

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if split not in self.splits:
            raise ValueError(f"NIST36: unknown split {split!r}, expected one of {', '.join(self.splits)}")
        self.root, self.split = Path(root), split
        name, folders = f"nist36_{split}.mat", ["nist36", "NIST36"]
        path = find_file(root, folders, [name])
        if path is None:
            raise not_found(
                "NIST36", root, folders, [name], "It comes with the course's files; `Glyphs` needs no files."
            )
        rows, one_hot = _read(path, split)
        self.data = Tensor(rows.reshape(-1, SIDE, SIDE).transpose(0, 2, 1).astype(np.float32, order="C"))
        self.targets = Tensor(one_hot.argmax(1).astype(np.int64))
        self.transform, self.target_transform = transform, target_transform

    def _describe(self) -> list[str]:
        return [f"Root location: {self.root}", f"Split: {self.split}"]


def _read(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    keys = f"{split}_data", f"{split}_labels"
    rows, one_hot = read_matlab(path, keys)
    count = len(rows)
    if rows.shape != (count, SIDE * SIDE) or one_hot.shape != (count, len(CLASSES)) or rows.dtype.kind != "f":
        raise RuntimeError(
            f"{path}: expected {keys[0]} as floats of shape (N, {SIDE * SIDE}) and {keys[1]} of shape "
            f"(N, {len(CLASSES)}), got {rows.dtype} {rows.shape} and {one_hot.dtype} {one_hot.shape}"
        )
    if not (((one_hot == 0) | (one_hot == 1)).all() and (one_hot.sum(1) == 1).all()):
        raise RuntimeError(f"{path}: the rows of {keys[1]} are not one-hot")
    if count and not (np.isfinite(rows).all() and rows.min() >= 0 and rows.max() <= 1):
        raise RuntimeError(f"{path}: {keys[0]} has values outside [0, 1]")
    return rows, one_hot
