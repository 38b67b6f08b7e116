"""What runs along a dimension: sums, products, and linear recurrences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import memory
from .jit import kernel
from .reduce import COLUMNS, FLOATS
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


# Running sums and products

RESTART = 128
"""Elements that a running sum adds up one by one."""


@kernel(internal=True)
def _scan_lines(part: int, x: Any, out: Any, n: int, count: int, reverse: bool, product: bool) -> None:
    """Running sums restart every 128 elements, on top of what came before."""
    T = x.dtype.type
    for o in range(part * count, min(x.size // n, (part + 1) * count)):
        line, result = x[o * n : (o + 1) * n], out[o * n : (o + 1) * n]
        base = T(0)
        s = T(1) if product else T(0)
        for i in range(n):
            at = n - 1 - i if reverse else i
            if product:
                s = s * line[at]
            else:
                if i % RESTART == 0:
                    base += s
                    s = T(0)
                s += line[at]
            result[at] = base + s


@kernel
def _scan_along(x: Any, out: Any, n: int, reverse: bool, product: bool) -> None:
    lines = x.size // n
    count = lines if x.size < SERIAL_BELOW else max(1, SPAN // n)
    parallel_for(_scan_lines, (lines + count - 1) // count, (x, out, n, count, reverse, product))


@kernel(internal=True)
def _scan_patches(
    part: int, x: Any, out: Any, sums: Any, n: int, inner: int, columns: int, reverse: bool, product: bool
) -> None:
    """As along, for a row of sums; `sums` holds the sum since the restart and the sum before it."""
    T = x.dtype.type
    o = part // columns
    lo = (part - o * columns) * COLUMNS
    width = min(COLUMNS, inner - lo)
    s = sums[o * inner + lo : o * inner + lo + width]
    base = sums[sums.size // 2 + o * inner + lo : sums.size // 2 + o * inner + lo + width]
    for j in range(width):
        s[j] = T(1) if product else T(0)
        base[j] = T(0)
    for i in range(n):
        at = (o * n + (n - 1 - i if reverse else i)) * inner + lo
        row, result = x[at : at + width], out[at : at + width]
        if product:
            for j in range(width):
                s[j] = s[j] * row[j]
                result[j] = s[j]
        else:
            if i % RESTART == 0:
                for j in range(width):
                    base[j] += s[j]
                    s[j] = T(0)
            for j in range(width):
                s[j] += row[j]
                result[j] = base[j] + s[j]


@kernel
def _scan_across(x: Any, out: Any, sums: Any, n: int, inner: int, reverse: bool, product: bool) -> None:
    columns = (inner + COLUMNS - 1) // COLUMNS
    parts = x.size // (n * inner) * columns
    if x.size < SERIAL_BELOW:
        for part in range(parts):
            _scan_patches(part, x, out, sums, n, inner, columns, reverse, product)
    else:
        parallel_for(_scan_patches, parts, (x, out, sums, n, inner, columns, reverse, product))


def _scanned(x: np.ndarray, axis: int, reverse: bool, product: bool) -> np.ndarray:
    if x.dtype not in FLOATS:
        flipped = np.flip(x, axis) if reverse else x
        out = (np.cumprod if product else np.cumsum)(flipped, axis=axis, dtype=np.int64)
        return np.ascontiguousarray(np.flip(out, axis)) if reverse else out
    out = memory.empty(x.shape, x.dtype)
    if x.size:
        n, inner = (x.shape[axis], math.prod(x.shape[axis + 1 :])) if x.ndim else (1, 1)
        if inner == 1:
            _scan_along(x.ravel(), out.ravel(), n, reverse, product)
        else:
            sums = memory.empty((2 * x.size // n,), x.dtype)
            _scan_across(x.ravel(), out.ravel(), sums, n, inner, reverse, product)
    return out


def cumsum(x: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
    """Running sum along `axis`, from the end if `reverse`."""
    return _scanned(x, axis, reverse, False)


def cumprod(x: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
    """Running product along `axis`, from the end if `reverse`."""
    return _scanned(x, axis, reverse, True)
