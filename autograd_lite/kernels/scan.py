"""Linear recurrences and running extremes along a dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import memory
from .jit import kernel
from .threading import parallel_for

SERIAL_BELOW = 32768
SPAN = 16384


@kernel(internal=True)
def _recurrence_part(part: int, a: Any, b: Any, out: Any, n: int, inner: int, count: int, reverse: bool) -> None:
    for line in range(part * count, min(b.size // n, (part + 1) * count)):
        o = line // inner
        at = o * n * inner + (line - o * inner)
        step = inner
        if reverse:
            at += (n - 1) * inner
            step = -inner
        s = b[at]
        out[at] = s
        for _ in range(n - 1):
            at += step
            s = b[at] + a[at] * s
            out[at] = s


@kernel
def _recurrence(a: Any, b: Any, out: Any, n: int, inner: int, reverse: bool) -> None:
    lines = b.size // n
    count = lines if b.size < SERIAL_BELOW else max(1, SPAN // n)
    parallel_for(_recurrence_part, (lines + count - 1) // count, (a, b, out, n, inner, count, reverse))


def recurrence(a: np.ndarray, b: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
    """``out[i] = b[i] + a[i] * out[i - 1]`` along `axis`; from the end, with ``out[i + 1]``, if `reverse`.

    There is nothing before the first: ``out[0] = b[0]``. `a` and `b` have one shape and dtype.
    """
    out = memory.empty(b.shape, b.dtype)
    if b.size:
        extent, inner = (b.shape[axis], math.prod(b.shape[axis + 1 :])) if b.ndim else (1, 1)
        _recurrence(a.ravel(), b.ravel(), out.ravel(), extent, inner, reverse)
    return out


def running_extreme(x: np.ndarray, axis: int, smallest: bool) -> tuple[np.ndarray, np.ndarray]:
    """The largest (or smallest) element so far along `axis`, and where it was last met; NaN is met for good."""
    if x.ndim == 0:
        return x.copy(), np.zeros((), np.int64)
    values = (np.minimum if smallest else np.maximum).accumulate(x, axis=axis)
    here = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
    met = np.where((x == values) | (x != x), here, 0)
    return values, np.maximum.accumulate(met, axis=axis)
