"""Glyphs: handwriting-like characters made on the spot, so that everything can be tried without any file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from ._base import Arrays
from ._cache import cached
from ._strokes import CLASSES, EXTENT, GRID, stroke_fields

VERSION = 1
"""Of the images: part of the cache's key, to be raised with every change that alters one of them."""
SIDE = 32
SPLITS = {"train": 10_800, "valid": 3_600, "test": 1_800}
CHUNK = 512

# How writers differ. Lengths are fractions of a letter's longer side, but for the pen: that is in pixels.
SIZE = (0.56, 0.72)  # of the image
SLANT, SHEAR = 0.12, 0.12  # mean and spread
ROTATION = 0.1  # radians
ASPECT = 0.1  # of the logarithm
SHIFT = 0.04  # of half the image
KNOTS, ELASTIC = 5, 0.095
PEN, PEN_SPREAD, PEN_LIMITS = 1.35, 0.33, (0.6, 3.0)  # radius
PRESSURE = 0.25  # spread of the radius within a letter, as a fraction of it
SOFTNESS = (0.9, 1.6)  # of the ink's edge, pixels
DARKNESS = (0.85, 1.0)
NOISE = 0.04


class Glyphs(Arrays):
    """36 classes of handwriting-like characters, A-Z and 0-9: 32x32, black ink on white.

    The skeletons of letterforms from matplotlib's fonts are written with a round pen, after a random affine
    map and a smooth random displacement (P. Y. Simard, D. Steinkraus, J. C. Platt, "Best practices for
    convolutional neural networks applied to visual document analysis", ICDAR 2003). Pen width, pressure,
    darkness, softness of the edge and grain vary from letter to letter. Class order, sizes of the splits and
    look are those of `NIST36`, and so is the difficulty, about: a perceptron with one hidden layer of 64
    units gets 85 % of the test set right, a small convolutional network 97 %.

    The three splits hold different letters from the same distribution; all fonts occur in all of them, and
    classes are balanced. The first use takes some seconds and matplotlib (``pip install
    'autograd_lite[examples]'``); then the images are in the user's cache folder.

    Parameters
    ----------
    split : {"train", "valid", "test"}
        10,800, 3,600 and 1,800 images.
    transform, target_transform : callable, optional
        Applied to the image (a uint8 array of shape (32, 32)) and to the label (an int).
    seed : int
        Another seed gives another data set.
    cache_dir : path-like, optional
        Instead of the user's cache folder.

    Raises
    ------
    ValueError
        If there is no such split, or if `seed` is negative.
    ImportError
        If the images have to be made and matplotlib is not installed.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> letters = ag.datasets.Glyphs("test")
    >>> images, labels = letters.tensors()
    >>> images.shape, images.dtype, letters.classes[10]
    (autograd_lite.Size([1800, 1, 32, 32]), autograd_lite.float32, 'K')
    """

    classes = CLASSES
    splits = tuple(SPLITS)

    def __init__(
        self,
        split: str = "train",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        seed: int = 0,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"Glyphs: unknown split {split!r}, expected one of {', '.join(SPLITS)}")
        if seed < 0:
            raise ValueError(f"Glyphs: seed must not be negative, got {seed}")
        self.split, self.seed = split, seed
        layout: dict[str, Any] = {}
        for name, count in SPLITS.items():
            layout[f"{name}_images"] = ("uint8", (count, SIDE, SIDE))
            layout[f"{name}_labels"] = ("uint8", (count,))
        arrays = cached(f"glyphs-{VERSION}-{seed}", layout, lambda: generate(seed), cache_dir)
        self.data = Tensor(arrays[f"{split}_images"])
        self.targets = Tensor(arrays[f"{split}_labels"].astype(np.int64))
        self.transform, self.target_transform = transform, target_transform

    def _describe(self) -> list[str]:
        return [f"Split: {self.split}", f"Seed: {self.seed}"]


def generate(seed: int) -> dict[str, np.ndarray]:
    """Write all letters of all splits: ``{split}_images`` uint8 and ``{split}_labels`` uint8."""
    fields, form_labels, frequencies = stroke_fields()
    arrays = {}
    for number, (split, count) in enumerate(SPLITS.items()):
        rng = np.random.Generator(np.random.PCG64([VERSION, seed, number]))
        labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), count // len(CLASSES)))
        forms = _choose_forms(labels, form_labels, frequencies, rng)
        images = [_write(fields, forms[i : i + CHUNK], rng) for i in range(0, count, CHUNK)]
        arrays[f"{split}_images"] = np.concatenate(images)
        arrays[f"{split}_labels"] = labels.astype(np.uint8)
    return arrays


def _choose_forms(
    labels: np.ndarray, form_labels: np.ndarray, frequencies: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """For each label one of the letterforms of its class."""
    drawn = rng.random(len(labels))
    forms = np.empty(len(labels), np.int64)
    for label in range(len(CLASSES)):
        which, own = np.flatnonzero(labels == label), np.flatnonzero(form_labels == label)
        edges = np.cumsum(frequencies[own])[:-1]
        forms[which] = own[np.searchsorted(edges, drawn[which], side="right")]
    return forms


def _write(fields: np.ndarray, forms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write the letterforms with numbers `forms`, each by a hand of its own: uint8 (n, SIDE, SIDE)."""
    n = len(forms)
    size = rng.uniform(*SIZE, n)
    pixels = (size * SIDE).astype(np.float32)[:, None]  # per unit of the letter
    x, y = _positions(n, size, rng)
    distance = _lookup(fields, forms, x, y)

    pen = np.clip(rng.lognormal(np.log(PEN), PEN_SPREAD, n), *PEN_LIMITS).astype(np.float32)[:, None] / pixels
    softness = rng.uniform(*SOFTNESS, n).astype(np.float32)[:, None]
    # Distances are clipped, so a wider pen would touch the whole paper.
    radius = np.minimum(pen * (1 + _smooth(rng, (n,), PRESSURE)), fields.max() - softness / pixels)
    ink = np.clip((radius - distance) * pixels / softness + np.float32(0.5), 0, 1)
    ink *= rng.uniform(*DARKNESS, n).astype(np.float32)[:, None]
    ink *= 1 + np.float32(NOISE) * rng.standard_normal(ink.shape, dtype=np.float32)
    levels = np.clip(255 * (1 - ink) + np.float32(0.5), 0, 255)
    return levels.astype(np.uint8).reshape(n, SIDE, SIDE)


_GRID = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1).astype(np.float32)
_WEIGHTS = np.exp(-0.5 * ((_GRID[:, None] - np.linspace(-1, 1, KNOTS)) * (KNOTS - 1) / 1.4) ** 2)
_WEIGHTS = (_WEIGHTS / _WEIGHTS.sum(1, keepdims=True)).astype(np.float32)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> np.ndarray:
    """Random functions on the image that change slowly: normal at KNOTS x KNOTS points, smooth in between."""
    knots = rng.standard_normal((*shape, KNOTS, KNOTS), dtype=np.float32) * np.float32(spread)
    return (_WEIGHTS @ knots @ _WEIGHTS.T).reshape(*shape, SIDE * SIDE)


def _positions(n: int, size: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where in the letter, whose centre is 0 and whose longer side is 1, each pixel of each image lies."""
    angle = rng.standard_normal(n) * ROTATION
    shear = SLANT + rng.standard_normal(n) * SHEAR
    aspect = np.exp(rng.standard_normal(n) * ASPECT)
    cos, sin, zero = np.cos(angle), np.sin(angle), np.zeros(n)
    rotation = np.array([[cos, -sin], [sin, cos]])
    stretch = np.array([[aspect, -shear], [zero, 1 / aspect]])
    inverse = np.linalg.inv(np.einsum("ijn,jkn->nik", rotation, stretch * 2 * size)).astype(np.float32)
    shift = (rng.standard_normal((n, 2)) * SHIFT).astype(np.float32)
    px = np.tile(_GRID, SIDE) - shift[:, :1]
    py = np.repeat(_GRID, SIDE) - shift[:, 1:]
    bend = _smooth(rng, (n, 2), ELASTIC)
    x = inverse[:, 0, :1] * px + inverse[:, 0, 1:] * py + bend[:, 0]
    y = inverse[:, 1, :1] * px + inverse[:, 1, 1:] * py + bend[:, 1]
    return x, y


def _lookup(fields: np.ndarray, forms: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear interpolation in the field of each form."""
    column = np.clip((x / np.float32(EXTENT) + np.float32(0.5)) * GRID - np.float32(0.5), 0, GRID - 1.001)
    row = np.clip((y / np.float32(EXTENT) + np.float32(0.5)) * GRID - np.float32(0.5), 0, GRID - 1.001)
    left, top = column.astype(np.int32), row.astype(np.int32)
    right_part, low_part = column - left, row - top
    corner = forms[:, None] * (GRID * GRID) + top * GRID + left
    flat = fields.reshape(-1)
    upper = flat[corner] + right_part * (flat[corner + 1] - flat[corner])
    lower = flat[corner + GRID] + right_part * (flat[corner + GRID + 1] - flat[corner + GRID])
    return upper + low_part * (lower - upper)
