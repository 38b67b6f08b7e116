"""Pooling over the last one to three axes: maximum and mean over windows, and their gradients.

Every function sees its array as `planes` (all leading axes together) of depth x height x width; pooling
over fewer axes has depth, or depth and height, one. Parts are groups of whole planes.

The hot loops walk the window's taps outside and a whole plane of outputs inside (`pool_windows`), so that
vectors are full whatever the window. The commonest case, a 2x2 window with stride 2, keeps its choice in one byte
per output and has kernels of its own.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import memory
from .pool_windows import (
    adaptive_max,
    adaptive_mean,
    max_2x2,
    max_2x2_backward,
    max_backward,
    max_windows,
    mean_blocks,
    mean_windows,
)

Ints = tuple[int, ...]

PART = 1 << 15
"""Elements that are worth a part of their own."""


# ---------------------------------------------------------------------------------------------------
# Geometry
# ---------------------------------------------------------------------------------------------------


def output_extent(
    extent: int, window: int, stride: int, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Number of windows along one axis, as PyTorch counts them.

    In ceil mode the last window may reach over the end, but it must start inside the input or its left
    padding.
    """
    room = extent + 2 * padding - dilation * (window - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= extent + padding:
        count -= 1
    return count


def _three(values: Ints, fill: int) -> Ints:
    return (fill,) * (3 - len(values)) + tuple(values)


@lru_cache(maxsize=1024)
def _geometry(
    name: str, shape: Ints, window: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[Ints, np.ndarray, np.ndarray]:
    """Shape of the output, all extents in one array for the kernels, and the size of a parted plane."""
    axes = len(window)
    if not 1 <= axes <= 3 or any(len(v) != axes for v in (stride, padding, dilation)):
        raise RuntimeError(
            f"{name}: kernel_size, stride, padding and dilation must have the same 1 to 3 entries, got "
            f"{window}, {stride}, {padding}, {dilation}"
        )
    if len(shape) <= axes or any(extent == 0 for extent in shape[1:]):
        raise RuntimeError(f"{name}: expected at least {axes + 1} axes, none but the first empty, got {shape}")
    if min(window) < 1 or min(stride) < 1 or min(dilation) < 1:
        raise RuntimeError(
            f"{name}: kernel_size, stride and dilation must be greater than zero, got {window}, {stride}, {dilation}"
        )
    for size, pad, step in zip(window, padding, dilation, strict=True):
        if pad < 0 or pad > (step * (size - 1) + 1) // 2:
            raise RuntimeError(
                f"{name}: padding must be at least 0 and at most half of the effective kernel size, got "
                f"padding {padding}, kernel_size {window}, dilation {dilation}"
            )
    extents = shape[-axes:]
    out = tuple(map(output_extent, extents, window, stride, padding, dilation, (ceil_mode,) * axes))
    if min(out) < 1:
        raise RuntimeError(f"{name}: input of shape {shape} is too small for kernel_size {window}")
    rows = [
        _three(extents, 1),
        _three(out, 1),
        _three(window, 1),
        _three(stride, 1),
        _three(padding, 0),
        _three(dilation, 1),
    ]
    met = [(o - 1) * s + d * (k - 1) + 1 for _, o, k, s, _, d in zip(*rows, strict=True)]
    phases = [-(-extent // step) for extent, step in zip(met[1:], rows[3][1:], strict=True)]
    return (*shape[:-axes], *out), np.array(rows, np.int64), np.array(phases, np.int64)


def _parts(planes: int, elements: int) -> int:
    return max(1, min(planes, elements // PART))


def _is_2x2(shape: Ints, window: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> bool:
    return (
        window == stride == (2, 2)
        and padding == (0, 0)
        and dilation == (1, 1)
        and out[-2:] == (shape[-2] // 2, shape[-1] // 2)
    )


# ---------------------------------------------------------------------------------------------------
# Arrays in, arrays out
# ---------------------------------------------------------------------------------------------------


def max_pool(
    x: np.ndarray, window: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool = False,
    relu: bool = False,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Maximum over windows of the last ``len(window)`` axes, and where it was found.

    Parameters
    ----------
    x : array (..., [depth, [height,]] width), float32 or float64, C-contiguous
    window, stride, padding, dilation : tuple of int, one entry per pooled axis
    ceil_mode : bool
        Count a last window that reaches over the end.
    relu : bool
        Raise negative maxima to zero; where that happens there is no gradient, nor an index.

    Returns
    -------
    out : array of the dtype of `x`
    where : array of the shape of `out`
        What `max_pool_backward` and `max_pool_indices` need; its content depends on the window: one byte
        per output for the 2x2 window of stride 2, else an int32 index into the plane.

    Raises
    ------
    RuntimeError
        If the extents do not fit each other.

    Notes
    -----
    Of several maxima the first in memory order is chosen. NaN counts as larger than any number. Dilated
    windows can miss the input altogether: their maximum is -inf, at index -1, and has no gradient.
    """
    shape, geometry, phases = _geometry("max_pool", x.shape, window, stride, padding, dilation, ceil_mode)
    planes = math.prod(shape[: -len(window)])
    out = memory.empty(shape, x.dtype)
    parts = _parts(planes, x.size)
    if _is_2x2(x.shape, window, stride, padding, dilation, shape):
        where = memory.empty(shape, np.dtype(np.uint8))
        height, width = x.shape[-2:]
        max_2x2(parts, planes, height, width, relu, x.reshape(-1), out.reshape(-1), where.reshape(-1))
    else:
        where = memory.empty(shape, np.dtype(np.int32))
        max_windows(parts, planes, geometry, phases, relu, x.reshape(-1), out.reshape(-1), where.reshape(-1))
    return out, where


def max_pool_backward(grad: np.ndarray, where: np.ndarray, shape: Ints, axes: int) -> np.ndarray:
    """Gradient of `max_pool` or `adaptive_max_pool` over the last `axes` axes of an array of `shape`."""
    dx = memory.empty(shape, grad.dtype)
    planes = math.prod(shape[:-axes])
    parts = _parts(planes, dx.size)
    if where.dtype == np.uint8:
        height, width = shape[-2:]
        max_2x2_backward(parts, planes, height, width, grad.reshape(-1), where.reshape(-1), dx.reshape(-1))
    else:
        volume, count = math.prod(shape[-axes:]), math.prod(grad.shape[-axes:])
        max_backward(parts, planes, volume, count, grad.reshape(-1), where.reshape(-1), dx.reshape(-1))
    return dx


def max_pool_indices(where: np.ndarray, shape: Ints) -> np.ndarray:
    """The int64 indices into the flattened pooled axes that PyTorch's ``return_indices`` gives."""
    if where.dtype != np.uint8:
        return where.astype(np.int64)
    code = where.astype(np.int64)
    row, column = np.arange(where.shape[-2]), np.arange(where.shape[-1])
    return np.where(code < 4, (2 * row[:, None] + code // 2) * shape[-1] + 2 * column + code % 2, -1)


class _Means(NamedTuple):
    """How the means of windows are computed, forward and backward."""

    shape: Ints
    planes: int
    geometry: np.ndarray
    phases: np.ndarray
    weights: np.ndarray
    blocks: tuple[Any, ...] | None  # what `mean_blocks` wants to know, where it can be taken


@lru_cache(maxsize=256)
def _mean_plan(
    shape: Ints,
    window: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
    dtype: np.dtype,
) -> _Means:
    out, geometry, phases = _geometry("avg_pool", shape, window, stride, padding, (1,) * len(window), ceil_mode)
    weights = _mean_weights(shape, window, stride, padding, out, count_include_pad, divisor, dtype)
    extents, counts, windows, strides, margins, _ = geometry.tolist()
    planes, blocks = math.prod(shape[: -len(window)]), None
    fits = all(count * size <= extent for extent, count, size in zip(extents, counts, windows, strict=True))
    if fits and windows == strides and not any(margins) and windows[0] == 1:
        weight = weights[0, 0] * weights[1, 0] * weights[2, 0]
        blocks = (planes * extents[0], *extents[1:], *counts[1:], *windows[1:], weight)
    return _Means(out, planes, geometry, phases, weights, blocks)


def _mean_weights(
    shape: Ints, window: Ints, stride: Ints, padding: Ints, out: Ints, count_include_pad: bool, divisor: int | None,
    dtype: np.dtype,
) -> np.ndarray:  # fmt: skip
    """Reciprocal sizes of the windows along each of three axes, in the first entries of each row."""
    axes = len(window)
    weights = np.ones((3, max(out[-axes:])), dtype)
    if divisor is not None:
        if divisor == 0:
            raise RuntimeError("avg_pool: divisor_override must not be zero")
        weights[0] /= divisor
        return weights
    for axis in range(axes):
        starts = np.arange(out[axis - axes]) * stride[axis] - padding[axis]
        extent = shape[axis - axes]
        ends = np.minimum(starts + window[axis], extent + padding[axis])
        if not count_include_pad:
            starts, ends = np.maximum(starts, 0), np.minimum(ends, extent)
        weights[axis + 3 - axes, : starts.size] = 1 / np.maximum(ends - starts, 1)
    return weights


def avg_pool(
    x: np.ndarray,
    window: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Mean over windows of the last ``len(window)`` axes.

    Parameters are those of `max_pool`; padded zeros count as elements if `count_include_pad`, and the
    divisor can be given instead. Raises RuntimeError if the extents do not fit each other.
    """
    plan = _mean_plan(x.shape, window, stride, padding, ceil_mode, count_include_pad, divisor_override, x.dtype)
    out = memory.empty(plan.shape, x.dtype)
    _means(plan, x, out, False)
    return out


def _means(plan: _Means, x: np.ndarray, out: np.ndarray, backward: bool) -> None:
    """`out` from `x`, or backward."""
    parts, flat, results = _parts(plan.planes, x.size), x.reshape(-1), out.reshape(-1)
    if plan.blocks is not None:
        mean_blocks(parts, *plan.blocks, flat, results, backward)
    else:
        mean_windows(parts, plan.planes, plan.geometry, plan.phases, plan.weights, flat, results, backward)


def avg_pool_backward(
    grad: np.ndarray,
    shape: Ints,
    window: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """Gradient of `avg_pool` for an input of `shape`."""
    plan = _mean_plan(shape, window, stride, padding, ceil_mode, count_include_pad, divisor_override, grad.dtype)
    dx = memory.empty(shape, grad.dtype)
    _means(plan, dx, grad, True)
    return dx


@lru_cache(maxsize=256)
def _adaptive(name: str, shape: Ints, size: Ints) -> tuple[Ints, np.ndarray, np.ndarray, np.ndarray]:
    """Output shape, extents, and first and last+1 element of each window along three axes."""
    axes = len(size)
    if not 1 <= axes <= 3 or len(shape) <= axes or any(extent == 0 for extent in shape[1:]):
        raise RuntimeError(
            f"{name}: expected one more axis than output_size {size} has, none but the first empty, got shape {shape}"
        )
    if min(size) < 0:
        raise RuntimeError(f"{name}: output_size must not be negative, got {size}")
    extents, counts = _three(shape[-axes:], 1), _three(size, 1)
    starts = np.zeros((3, max(counts)), np.int64)
    ends = np.zeros((3, max(counts)), np.int64)
    for axis, (extent, count) in enumerate(zip(extents, counts, strict=True)):
        o = np.arange(count)
        starts[axis, :count] = o * extent // max(count, 1)
        ends[axis, :count] = -(-(o + 1) * extent // max(count, 1))
    return (*shape[:-axes], *size), np.array([extents, counts], np.int64), starts, ends


def _even(shape: Ints, size: Ints) -> Ints | None:
    """The window (and stride) to which adaptive pooling comes down when every extent is a multiple."""
    if len(shape) <= len(size) or min(size, default=0) < 1:
        return None
    extents = shape[-len(size) :]
    if any(extent % n for extent, n in zip(extents, size, strict=True)):
        return None
    return tuple(extent // n for extent, n in zip(extents, size, strict=True))


def _collapse(shape: Ints, size: Ints) -> tuple[Ints, Ints]:
    """One window over everything is one window over one long axis."""
    if size and max(size) == min(size) == 1 < len(size):
        return (*shape[: -len(size)], math.prod(shape[-len(size) :])), (1,)
    return shape, size


def adaptive_max_pool(x: np.ndarray, size: Ints) -> tuple[np.ndarray, np.ndarray]:
    """Maximum over ``size`` windows that cover the last axes, as even as can be; see `max_pool`.

    Window o of n along an axis of extent m reaches from floor(o m / n) to ceil((o + 1) m / n).
    """
    if window := _even(x.shape, size):
        return max_pool(x, window, window, (0,) * len(size), (1,) * len(size))
    shape, extents, starts, ends = _adaptive("adaptive_max_pool", x.shape, size)
    planes = math.prod(shape[: -len(size)])
    out, where = memory.empty(shape, x.dtype), memory.empty(shape, np.dtype(np.int32))
    args = (extents, starts, ends, x.reshape(-1), out.reshape(-1), where.reshape(-1))
    adaptive_max(_parts(planes, x.size), planes, *args)
    return out, where


def adaptive_avg_pool(x: np.ndarray, size: Ints) -> np.ndarray:
    """Mean over ``size`` windows that cover the last axes, as even as can be; see `adaptive_max_pool`."""
    if (window := _even(x.shape, size)) and max(size) > 1:
        return avg_pool(x, window, window, (0,) * len(size))
    shape, size = _collapse(x.shape, size)
    out, extents, starts, ends = _adaptive("adaptive_avg_pool", shape, size)
    planes = math.prod(shape[: -len(size)])
    means = memory.empty(out, x.dtype)
    args = (extents, starts, ends, x.reshape(-1), means.reshape(-1), False)
    adaptive_mean(_parts(planes, x.size), planes, *args)
    return means.reshape(*means.shape[: -len(size)], *means.shape[-len(size) :], *(1,) * (x.ndim - len(out)))


def adaptive_avg_pool_backward(grad: np.ndarray, shape: Ints, size: Ints) -> np.ndarray:
    """Gradient of `adaptive_avg_pool` for an input of `shape`."""
    if (window := _even(shape, size)) and max(size) > 1:
        return avg_pool_backward(grad, shape, window, window, (0,) * len(size))
    dx = memory.empty(shape, grad.dtype)
    shape, size = _collapse(shape, size)
    _, extents, starts, ends = _adaptive("adaptive_avg_pool", shape, size)
    planes = math.prod(shape[: -len(size)])
    args = (extents, starts, ends, dx.reshape(-1), grad.reshape(-1), True)
    adaptive_mean(_parts(planes, dx.size), planes, *args)
    return dx
