"""Taking and adding elements at places that integer arrays name.

Every index is checked before anything is written. Sums over a repeated place run in the order of the
index, whatever the number of threads: threads share the destinations among them, never one destination.
float32 and float64 are compiled; other dtypes go through NumPy.
"""

from __future__ import annotations

import math

import numpy as np

from . import memory
from .jit import kernel
from .threading import parallel_for

Ints = tuple[int, ...]

PART = 1 << 14
"""Elements that are worth a part of their own."""
LINE = 16
"""Neighbouring elements that stay in one part."""


@kernel
def _first_outside(index, size):
    for i in range(index.size):
        if index[i] < 0 or index[i] >= size:
            return i
    return -1


def _refuse(name: str, index: np.ndarray, where: int, size: int) -> None:
    raise IndexError(f"{name}: index {index.flat[where]} is out of range for a dimension of size {size}")


def check_bounds(name: str, index: np.ndarray, size: int) -> None:
    """Raise IndexError, naming the first offender, unless 0 <= index < size everywhere."""
    where = _first_outside(index.ravel(), size)
    if where >= 0:
        _refuse(name, index, where, size)


def _compiled(array: np.ndarray, other: np.ndarray | None = None) -> bool:
    dtype = array.dtype
    return dtype.char in "fd" and (other is None or other.dtype == dtype)


def _parts(things: int, elements: int) -> int:
    return max(1, min(things, elements // PART))


# ---------------------------------------------------------------------------------------------------
# One index per slice: arrays are (outer, n, inner), the index names places along the middle axis
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _take_part(part, parts, outer, n, inner, x, index, out):
    count = index.size
    width = np.uint64(inner)
    for row in range(outer * count * part // parts, outer * count * (part + 1) // parts):
        source = np.uint64((row // count * n + index[row % count]) * inner)
        target = np.uint64(row * inner)
        for j in range(width):
            out[target + j] = x[source + j]


@kernel
def _take(parts, outer, n, inner, x, index, out):
    """Returns the place of the first index out of range, and takes nothing then; else -1."""
    where = _first_outside(index, n)
    if where < 0:
        parallel_for(_take_part, parts, (parts, outer, n, inner, x, index, out))
    return where


@kernel(internal=True)
def _add_part(part, blocks, n, inner, index, values, out):
    o, block = part // blocks, part % blocks
    begin, end = inner * block // blocks, inner * (block + 1) // blocks
    width = np.uint64(end - begin)
    for i in range(index.size):
        source = np.uint64((o * index.size + i) * inner + begin)
        target = np.uint64((o * n + index[i]) * inner + begin)
        for j in range(width):
            out[target + j] += values[source + j]


@kernel
def _add(outer, blocks, n, inner, index, values, out):
    """As `_take`."""
    where = _first_outside(index, n)
    if where < 0:
        parallel_for(_add_part, outer * blocks, (blocks, n, inner, index, values, out))
    return where


def take_along(x: np.ndarray, dim: int, index: np.ndarray, name: str = "take_along") -> np.ndarray:
    """The slices of `x` along `dim` at `index`, whose axes take the place of `dim`.

    Parameters
    ----------
    x : array, C-contiguous
    index : int64 array of any shape, counted from 0
    name : str
        Who asks, for the message.

    Raises
    ------
    IndexError
        If an index is out of range.
    """
    before, n, after = x.shape[:dim], x.shape[dim], x.shape[dim + 1 :]
    out = memory.empty((*before, *index.shape, *after), x.dtype)
    if not _compiled(x):
        check_bounds(name, index, n)
        np.take(x, index, dim, out=out, mode="clip")
        return out
    outer = math.prod(before)
    parts = _parts(outer * index.size, out.size)
    where = _take(parts, outer, n, math.prod(after), x.ravel(), index.ravel(), out.ravel())
    if where >= 0:
        _refuse(name, index, where, n)
    return out


def add_along(out: np.ndarray, dim: int, index: np.ndarray, values: np.ndarray) -> None:
    """Add slices to `out`, in place: the inverse of `take_along` where no index repeats, its gradient always.

    Parameters
    ----------
    out : array, C-contiguous
    index : int64 array of any shape, counted from 0
    values : array of the shape and dtype that ``take_along(out, dim, index)`` has, C-contiguous

    Raises
    ------
    IndexError
        If an index is out of range; `out` is then as it was.
    """
    outer, n, inner = math.prod(out.shape[:dim]), out.shape[dim], math.prod(out.shape[dim + 1 :])
    flat = index.ravel()
    if not _compiled(out, values):
        check_bounds("add_along", index, n)
        np.add.at(out.reshape(outer, n, inner), (slice(None), flat), values.reshape(outer, flat.size, inner))
        return
    blocks = max(1, min(inner // LINE, values.size // PART // max(outer, 1)))
    where = _add(outer, blocks, n, inner, flat, values.ravel(), out.reshape(-1))
    if where >= 0:
        _refuse("add_along", index, where, n)


# ---------------------------------------------------------------------------------------------------
# One index per element
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _gather_part(part, parts, x, before, after, stride, index, out):
    outer, inner = before.size, after.size
    middle = index.size // (outer * inner)
    for row in range(outer * middle * part // parts, outer * middle * (part + 1) // parts):
        base = before[row // middle]
        at = np.uint64(row * inner)
        for j in range(np.uint64(inner)):
            out[at + j] = x[np.uint64(base + after[j] + index[at + j] * stride)]


@kernel
def _gather(parts, x, before, after, stride, index, out):
    parallel_for(_gather_part, parts, (parts, x, before, after, stride, index, out))


@kernel(internal=True)
def _scatter_part(part, parts, before, after, stride, index, values, out):
    outer, inner = before.size, after.size
    rows = index.size // (outer * inner)
    for o in range(outer * part // parts, outer * (part + 1) // parts):
        base = before[o]
        at = np.uint64(o * rows * inner)
        for _ in range(rows):
            for j in range(np.uint64(inner)):
                out[np.uint64(base + after[j] + index[at + j] * stride)] += values[at + j]
            at += np.uint64(inner)


@kernel
def _scatter(parts, before, after, stride, index, values, out):
    parallel_for(_scatter_part, parts, (parts, before, after, stride, index, values, out))


def _offsets(shape: Ints, sizes: Ints, step: int) -> np.ndarray:
    """Flat offsets of the leading `sizes` of an array of `shape` whose elements lie `step` apart."""
    offsets = np.zeros(1, np.int64)
    strides = [step * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    for size, stride in zip(sizes, strides, strict=True):
        offsets = (offsets[:, None] + np.arange(size) * stride).reshape(-1)
    return offsets


def _places(shape: Ints, dim: int, sizes: Ints) -> tuple[np.ndarray, np.ndarray, int]:
    """Offsets of what comes before and after `dim` in an index of `sizes`, and the stride of `dim`."""
    stride = math.prod(shape[dim + 1 :])
    before = _offsets(shape[:dim], sizes[:dim], shape[dim] * stride)
    return before, _offsets(shape[dim + 1 :], sizes[dim + 1 :], 1), stride


def _check_sizes(name: str, shape: Ints, dim: int, sizes: Ints, values: Ints | None = None) -> None:
    fits = len(shape) == len(sizes) and all(i == dim or size <= shape[i] for i, size in enumerate(sizes))
    if values is not None:
        fits = fits and len(values) == len(sizes) and all(a <= b for a, b in zip(sizes, values, strict=True))
    if not fits:
        more = "" if values is None else f" and nowhere than src {values}"
        raise RuntimeError(
            f"{name}: expected index {sizes} to be no larger than self {shape} apart from dimension "
            f"{dim}{more}"
        )


def gather(x: np.ndarray, dim: int, index: np.ndarray) -> np.ndarray:
    """``out[i, j, k] = x[i, index[i, j, k], k]`` for ``dim=1``, and so for every shape and `dim`.

    Parameters
    ----------
    x : array, C-contiguous
    index : int64 array with as many axes as `x`, no larger than it apart from `dim`; C-contiguous

    Returns
    -------
    array of the shape of `index` and the dtype of `x`

    Raises
    ------
    RuntimeError
        If the shapes do not fit.
    IndexError
        If an index is out of range.
    """
    _check_sizes("gather", x.shape, dim, index.shape)
    check_bounds("gather", index, x.shape[dim])
    out = memory.empty(index.shape, x.dtype)
    if not index.size:
        return out
    before, after, stride = _places(x.shape, dim, index.shape)
    if not _compiled(x):
        places = before[:, None, None] + index.reshape(before.size, -1, after.size) * stride + after
        np.take(x.reshape(-1), places.reshape(-1), out=out.reshape(-1), mode="clip")
        return out
    parts = _parts(index.size // after.size, index.size)
    _gather(parts, x.reshape(-1), before, after, stride, index.reshape(-1), out.reshape(-1))
    return out


def scatter_add(out: np.ndarray, dim: int, index: np.ndarray, values: np.ndarray) -> None:
    """``out[i, index[i, j, k], k] += values[i, j, k]`` for ``dim=1``, in place; the gradient of `gather`.

    Parameters
    ----------
    out : array, C-contiguous
    index : int64 array with as many axes as `out`, no larger than it apart from `dim`
    values : array of the dtype of `out`, in no axis smaller than `index`

    Raises
    ------
    RuntimeError
        If the shapes do not fit.
    IndexError
        If an index is out of range; `out` is then as it was.
    """
    _check_sizes("scatter_add", out.shape, dim, index.shape, values.shape)
    check_bounds("scatter_add", index, out.shape[dim])
    if not index.size:
        return
    values = np.ascontiguousarray(values[tuple(map(slice, index.shape))])
    before, after, stride = _places(out.shape, dim, index.shape)
    if not _compiled(out, values):
        places = before[:, None, None] + index.reshape(before.size, -1, after.size) * stride + after
        np.add.at(out.reshape(-1), places.reshape(-1), values.reshape(-1))
        return
    parts = _parts(before.size, index.size)
    _scatter(parts, before, after, stride, index.reshape(-1), values.reshape(-1), out.reshape(-1))


@kernel
def _scatter_flat(out, index, values):
    for i in range(index.size):
        out[np.uint64(index[i])] += values[i]


def scatter_add_flat(out: np.ndarray, flat_index: np.ndarray, values: np.ndarray) -> None:
    """``out[flat_index[i]] += values[i]``, one after the other, for one-dimensional arrays.

    Raises
    ------
    IndexError
        If an index is out of range; `out` is then as it was.
    """
    check_bounds("scatter_add_flat", flat_index, out.size)
    if _compiled(out, values):
        _scatter_flat(out, flat_index, values)
    else:
        np.add.at(out, flat_index, values)
