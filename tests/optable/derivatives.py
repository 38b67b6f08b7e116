"""Derivatives without automatic differentiation: the independent side of every gradient test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

COMPLEX_STEP = 1e-20
STEP = 1e-3

Arrays = Sequence[np.ndarray]
Function = Callable[[list[np.ndarray]], Sequence[np.ndarray]]


class Kink(Exception):
    """The function has a kink near the point, so that a difference quotient means nothing."""


def complex_step(function: Function, at: Arrays, along: Arrays) -> list[np.ndarray]:
    """The directional derivative of `function`, exact to rounding."""
    moved = [x + (1j * COMPLEX_STEP) * v for x, v in zip(at, along, strict=True)]
    with np.errstate(all="ignore"):
        return [np.imag(o) / COMPLEX_STEP for o in function(moved)]


def five_point(function: Function, at: Arrays, along: Arrays, tolerance: float = 1e-6) -> list[np.ndarray]:
    """The directional derivative by central differences of fourth order.

    Raises
    ------
    Kink
        If steps of `STEP` and of half of it disagree.
    """

    def quotient(h: float) -> list[np.ndarray]:
        values = [
            function([x + (k * h) * v for x, v in zip(at, along, strict=True)]) for k in (-2.0, -1.0, 1.0, 2.0)
        ]
        return [(a - 8 * b + 8 * c - d) / (12 * h) for a, b, c, d in zip(*values, strict=True)]

    coarse, fine = quotient(STEP), quotient(STEP / 2)
    for a, b in zip(coarse, fine, strict=True):
        scale = 1 + np.max(np.abs(b), initial=0)
        if not np.all(np.abs(a - b) <= tolerance * scale):
            raise Kink
    return fine


def unit_directions(at: Arrays) -> list[list[np.ndarray]]:
    """One direction for each entry of each array."""
    directions = []
    for k, x in enumerate(at):
        for i in range(x.size):
            v = [np.zeros(a.shape) for a in at]
            v[k].reshape(-1)[i] = 1.0
            directions.append(v)
    return directions


def random_directions(at: Arrays, rng: np.random.Generator, n: int) -> list[list[np.ndarray]]:
    return [[np.asarray(rng.standard_normal(x.shape)) for x in at] for _ in range(n)]


def inner(a: Arrays, b: Arrays) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))
