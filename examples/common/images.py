"""The image data sets of the examples, by the names that ``--dataset`` takes."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, datasets

from .options import progress

NAMES = ("glyphs", "nist36", "mnist", "emnist", "cifar10")


@dataclass
class Split:
    """Images (N, C, H, W), float32 in [0, 1] or uint8, and labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def thinned(self, n: int) -> Split:
        """About `n` of the examples, evenly spaced: a small data set with the same mix of classes."""
        step = max(len(self) // n, 1)
        return Split(self.images[::step], self.labels[::step])


@dataclass
class Images:
    """A data set in memory."""

    name: str
    train: Split
    valid: Split
    test: Split
    classes: list[str]

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image."""
        return tuple(self.train.images.shape[1:])

    @property
    def white_on_black(self) -> bool:
        """Whether ink is 1 and paper 0, as MNIST has it; NIST36 and the drawn letters have it the other way."""
        return self.name in ("mnist", "emnist")

    def __str__(self) -> str:
        sizes = " / ".join(str(len(split)) for split in (self.train, self.valid, self.test))
        channels, height, width = self.shape
        return f"{self.name}: {sizes} images of {height}x{width}" + ("x3" if channels == 3 else "")


def folder(options: argparse.Namespace, what: str) -> pathlib.Path:
    """The folder given by ``--data``; ends the program with a message if there is none."""
    if not options.data:
        sys.exit(f"{what} needs --data DIR, the folder with its files (or set AUTOGRAD_LITE_DATA)")
    return pathlib.Path(options.data)


def load(options: argparse.Namespace, quick: int = 2000) -> Images:
    """The data set that the options ask for; ends the program with a message if its files cannot be read."""
    name = options.dataset
    try:
        if name == "glyphs":
            made = _three_parts(name, {split: datasets.Glyphs(split) for split in datasets.Glyphs.splits})
        elif name == "nist36":
            root = folder(options, "--dataset nist36")
            made = _three_parts(name, {split: datasets.NIST36(root, split) for split in ("train", "valid", "test")})
        else:
            root = folder(options, f"--dataset {name}")
            reader: Any = {"mnist": datasets.MNIST, "emnist": datasets.EMNIST, "cifar10": datasets.CIFAR10}[name]
            made = _held_out(name, reader(root, train=True), reader(root, train=False))
    except (ImportError, OSError, RuntimeError) as error:
        sys.exit(str(error))
    if options.quick:
        made.train, made.valid, made.test = (part.thinned(quick) for part in (made.train, made.valid, made.test))
    return made


def _three_parts(name: str, parts: dict[str, Any]) -> Images:
    train, valid, test = (Split(*map(ag.from_numpy, parts[split].arrays())) for split in ("train", "valid", "test"))
    return Images(name, train, valid, test, list(parts["train"].classes))


def _held_out(name: str, train: Any, test: Any) -> Images:
    """A data set that comes in two parts: every 20th training image is kept for validation."""
    images, labels = _as_stored(train)
    chosen = np.arange(len(labels)) % 20 == 19
    parts = [Split(ag.from_numpy(images[mask]), ag.from_numpy(labels[mask])) for mask in (~chosen, chosen)]
    kept = [str(c).split(" - ")[0] for c in train.classes]
    return Images(name, *parts, Split(*(ag.from_numpy(a) for a in _as_stored(test))), kept)


def _as_stored(part: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images as uint8 (N, C, H, W): a quarter of the memory, and `to_float` is quick."""
    images = np.asarray(part.data)
    images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(np.moveaxis(images, 3, 1))
    return images, np.asarray(part.targets, np.int64)


def gather(part: Any, name: str, change: Callable[[np.ndarray], np.ndarray] | None = None, every: int = 1) -> Split:
    """The pictures of a data set that reads one at a time, each put through `change`, as uint8 (N, C, H, W)."""
    pictures, labels = [], []
    for k in progress(range(0, len(part), every), unit="image", desc=f"reading {name}"):
        picture, label = part[k]
        pictures.append(np.moveaxis(picture if change is None else change(picture), 2, 0))
        labels.append(label)
    return Split(ag.from_numpy(np.stack(pictures)), ag.tensor(labels))


def to_float(images: Tensor) -> Tensor:
    """Images as the networks take them: bytes become float32 in [0, 1]."""
    return images.float() / 255 if images.dtype == ag.uint8 else images


class Augment:
    """Random crops after padding, and random flips, of a whole batch (N, C, H, W).

    The usual augmentation for CIFAR-10 (He et al., Deep residual learning, CVPR 2016, section 4.2).
    """

    def __init__(self, padding: int = 4, flip: bool = True, seed: int = 0) -> None:
        self.padding, self.flip, self.seed = padding, flip, seed

    def __call__(self, batch: Tensor, epoch: int, step: int) -> Tensor:
        rng = np.random.default_rng([self.seed, epoch, step])  # so that a resumed run sees the same pictures
        images = batch.numpy()
        n, _, height, width = images.shape
        p = self.padding
        padded = np.pad(images, ((0, 0), (0, 0), (p, p), (p, p)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        top, left = rng.integers(0, 2 * p + 1, (2, n))
        cut = np.ascontiguousarray(windows[np.arange(n), :, top, left])
        if self.flip:
            which = rng.random(n) < 0.5
            cut[which] = cut[which, :, :, ::-1]
        return ag.from_numpy(cut)
