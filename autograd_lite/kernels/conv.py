"""Convolution over one to three axes: forward, gradient to the input, gradient to weight and bias.

All three are matrix products in which one matrix, the image's patches as columns, never exists. A part pads
the piece of image that it needs into a buffer of its own that stays in the second-level cache, and the
vector code of `simd_conv` reads columns from there through tables of offsets: where vectors fit the lines of
the image well, straight from the buffer; else through a panel of columns that is small enough for the
first-level cache. Lines are parted by their columns' place modulo the stride, so that neighbouring outputs
read neighbouring numbers whatever the stride. A third axis is a loop over more channels.

The gradient to the input is such a convolution too, of the output's gradient by the weight with its taps
turned round; with stride s it falls into s^d interleaved ones, each by some of the taps. The gradient to the
weight reads the image in the same way, and the output's gradient through a small transposed panel; the bias
is one more tap that always sees 1.

Work is cut into pieces by image, group, lines and channels; sizes alone decide the cut. Every sum is taken
in the same order whatever the number of threads.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import memory
from .conv_direct import convolve, narrow_weight_gradient, weight_gradient
from .conv_plan import (
    CHANNEL_PARTS,
    IMAGE_PARTS,
    ITEMS,
    MOST_PARTS,
    PART_WORK,
    TAPS,
    Ints,
    Source,
    Target,
    make_plan,
)
from .conv_winograd import PARTS, padded, strip_count, suits, winograd, winograd_plan, winograd_weight
from .simd import VECTOR_BYTES

NARROW = 3
"""Up to so many output channels of a group, the weight's gradient is summed over lanes."""


def output_extents(extents: Ints, window: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    """Extents of a convolution's output."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(extents, window, stride, padding, dilation, strict=True)
    )


def _check(
    name: str, x: Ints, w: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> tuple[Ints, tuple[Ints, ...]]:
    """The output's shape, and extents, window, stride, padding and dilation for three axes."""
    axes = len(w) - 2
    if not 1 <= axes <= 3 or len(x) != len(w) or any(len(v) != axes for v in (stride, padding, dilation)):
        raise RuntimeError(
            f"{name}: expected input and weight of 3 to 5 axes, and stride, padding and dilation for all but "
            f"the first two, got input {x}, weight {w}, stride {stride}, padding {padding}, dilation {dilation}"
        )
    if groups < 1 or w[0] % groups or x[1] != w[1] * groups:
        raise RuntimeError(
            f"{name}: given groups={groups}, weight of shape {w}, expected input of shape {x} to have "
            f"{w[1] * groups} channels, and the weight's first axis to be a multiple of groups"
        )
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise RuntimeError(
            f"{name}: stride and dilation must be positive and padding not negative, got stride {stride}, "
            f"dilation {dilation}, padding {padding}"
        )
    if min(w) < 1 or min(x[1:]) < 1:
        raise RuntimeError(f"{name}: only the batch may be empty, got input {x} and weight {w}")
    out = output_extents(x[2:], w[2:], stride, padding, dilation)
    if min(out) < 1:
        raise RuntimeError(
            f"{name}: kernel of size {w[2:]} (dilation {dilation}) does not fit into the padded input of shape "
            f"{x} (padding {padding})"
        )
    more = 3 - axes
    full = (
        (1,) * more + x[2:],
        (1,) * more + w[2:],
        (1,) * more + stride,
        (0,) * more + padding,
        (1,) * more + dilation,
    )
    return (x[0], w[0], *out), full


class Fast(NamedTuple):
    """A Winograd convolution: its plan, and the sizes of what it needs."""

    plan: np.ndarray
    parts: int
    padded: int  # channels of the result, rounded up to whole vectors
    points: int  # numbers in the transformed weight


def _fast(
    images: int, groups: int, channels: int, out_channels: int, extents: Ints, grid: Ints, padding: Ints, itemsize: int
) -> Fast:
    plan = winograd_plan(images, groups, channels, out_channels, extents[1:], grid[1:], padding[1:])
    width = padded(out_channels, itemsize)
    parts = min(strip_count(plan) * groups, MOST_PARTS)
    return Fast(plan, parts, width, groups * 16 * channels * width)


def _row_major(extents: Ints) -> Ints:
    return (extents[1] * extents[2], extents[2], 1)


def _parts(plan: np.ndarray, items: int, work: int) -> int:
    return max(1, min(items, work // PART_WORK, MOST_PARTS))


@lru_cache(maxsize=512)
def _forward_plan(
    name: str, x: Ints, w: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int, itemsize: int
) -> tuple[Ints, np.ndarray, int, Fast | None]:
    out, (extents, window, strides, pads, steps) = _check(name, x, w, stride, padding, dilation, groups)
    grid = (1,) * (5 - len(out)) + out[2:]
    taps = math.prod(window)
    source = Source(max(x[0], 1), groups, w[1], extents, strides)
    target = Target(w[0] // groups, grid, math.prod(grid), 0, _row_major(grid))
    apart = _row_major(window)
    axes = tuple([(i * steps[axis] - pads[axis], i * apart[axis]) for i in range(window[axis])] for axis in range(3))
    plan = make_plan(source, target, axes, w[1] * taps, taps, w[0] // groups * w[1] * taps, itemsize)
    fast = None
    if suits(x[0], groups, w[1], w[0] // groups, grid, window, strides + steps):
        fast = _fast(x[0], groups, w[1], w[0] // groups, extents, grid, pads, itemsize)
    return out, plan, _parts(plan, int(plan[ITEMS]), math.prod(out) * w[1] * taps), fast


@lru_cache(maxsize=512)
def _input_plans(
    name: str, x: Ints, w: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int, itemsize: int
) -> tuple[Ints, list[tuple[np.ndarray, int]], list[tuple[slice, ...]], Fast | None]:
    """The output gradient's shape, a plan for each phase of the input's grid, and phases that no tap meets."""
    out, (extents, window, strides, pads, steps) = _check(name, x, w, stride, padding, dilation, groups)
    grid = (1,) * (5 - len(out)) + out[2:]
    taps = math.prod(window)
    plans, bare = [], []
    apart, places = _row_major(window), _row_major(extents)
    for phase in itertools.product(*map(range, strides)):
        if any(first >= extent for first, extent in zip(phase, extents, strict=True)):
            continue
        axes = tuple(
            [
                ((first + pad - i * step) // stride, i * distance)
                for i in reversed(range(size))
                if (first + pad - i * step) % stride == 0
            ]
            for first, pad, step, stride, size, distance in zip(phase, pads, steps, strides, window, apart, strict=True)
        )
        if not all(axes):
            bare.append((slice(None), slice(None), *(slice(f, None, s) for f, s in zip(phase, strides, strict=True))))
            continue
        count = tuple(-(-(n - f) // s) for n, f, s in zip(extents, phase, strides, strict=True))
        source = Source(max(x[0], 1), groups, w[0] // groups, grid, (1, 1, 1))
        base = sum(f * place for f, place in zip(phase, places, strict=True))
        between = tuple(s * place for s, place in zip(strides, places, strict=True))
        target = Target(w[1], count, math.prod(extents), base, between)
        plan = make_plan(source, target, axes, taps, w[1] * taps, w[0] // groups * w[1] * taps, itemsize)
        work = x[0] * x[1] * math.prod(count) * int(plan[TAPS])
        plans.append((plan, _parts(plan, int(plan[ITEMS]), work)))
    fast = None
    if suits(x[0], groups, w[0] // groups, w[1], extents, window, strides + steps):
        turned = tuple(size - 1 - pad for size, pad in zip(window, pads, strict=True))
        fast = _fast(x[0], groups, w[0] // groups, w[1], grid, extents, turned, itemsize)
    return out, plans, bare, fast


def _run_fast(
    fast: Fast, w: np.ndarray, turned: bool, x: np.ndarray, start: np.ndarray, step: int, relu: bool, out: np.ndarray
) -> bool:
    u, flags = memory.empty((fast.points,), x.dtype), np.empty(fast.parts, x.dtype)
    args = (u, x.reshape(-1), start, step, relu, out.reshape(-1), flags)
    return winograd(fast.parts, fast.plan, w.reshape(-1), turned, *args)


def _start(bias: np.ndarray | None, channels: int, like: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Where sums start: the bias, or zero for every channel."""
    if bias is None:
        return np.zeros(1, like.dtype), 0
    if bias.shape != (channels,) or bias.dtype != like.dtype:
        raise RuntimeError(
            f"{name}: expected bias to be {like.dtype} of shape ({channels},), got {bias.dtype} of shape {bias.shape}"
        )
    return bias, 1


def _same_dtype(name: str, x: np.ndarray, w: np.ndarray) -> None:
    if x.dtype != w.dtype:
        raise RuntimeError(f"{name}: input of {x.dtype} and weight of {w.dtype} should be of one dtype")


def conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int = 1,
    relu: bool = False,
) -> np.ndarray:
    """Cross-correlation of images with the weight's windows, plus bias.

    Parameters
    ----------
    x : array (N, C, [depth, [height,]] width), float32 or float64, C-contiguous
    w : array (M, C / groups, ...) of the same dtype, C-contiguous
    bias : array (M,) or None
    stride, padding, dilation : tuple of int, one entry per spatial axis
        Padding is by zeros, on both sides.
    groups : int
        Output channels of group g see the input channels of group g only.
    relu : bool
        Raise negative results to zero.

    Returns
    -------
    array (N, M, ...)

    Raises
    ------
    RuntimeError
        If shapes, dtypes or options do not fit each other.

    Notes
    -----
    Beside the result, every thread uses at most about max(`BUFFER_BYTES`, three lines of every channel of a
    group) for a padded piece of image, and 16 KB for columns.
    """
    _same_dtype("conv", x, w)
    args = (x.shape, w.shape, stride, padding, dilation, groups, x.itemsize)
    shape, plan, parts, fast = _forward_plan("conv", *args)
    start, step = _start(bias, w.shape[0], w, "conv")
    out = memory.empty(shape, x.dtype)
    if fast and _run_fast(fast, w, False, x, start, step, relu, out):
        return out
    if out.size:
        convolve(parts, plan, w.reshape(-1), x.reshape(-1), start, step, relu, out.reshape(-1))
    return out


def conv_input(
    grad: np.ndarray,
    w: np.ndarray,
    shape: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int = 1,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `conv` to an input of `shape`; with a bias (C,), the transposed convolution.

    The transposed convolution of `grad` by `w` (M, C / groups, ...) gives an array (N, C, ...) whose extents
    `shape` holds: several fit one `grad` when there is a stride, and output padding tells them apart.
    Raises RuntimeError if shapes, dtypes or options do not fit each other.
    """
    _same_dtype("conv_input", grad, w)
    out, plans, bare, fast = _input_plans(
        "conv_input", shape, w.shape, stride, padding, dilation, groups, grad.itemsize
    )
    if grad.shape != out:
        raise RuntimeError(f"conv_input: expected grad of shape {out} for input {shape}, got {grad.shape}")
    start, step = _start(bias, shape[1], w, "conv_input")
    dx = memory.empty(shape, grad.dtype)
    if fast and _run_fast(fast, w, True, grad, start, step, False, dx):
        return dx
    for plan, parts in plans if dx.size else ():
        convolve(parts, plan, w.reshape(-1), grad.reshape(-1), start, step, False, dx.reshape(-1))
    for places in bare:
        full = dx.reshape(*shape[:2], *(1,) * (5 - dx.ndim), *shape[2:])
        full[places] = 0 if bias is None else bias[:, None, None, None]
    return dx


def conv_weight(
    grad: np.ndarray,
    x: np.ndarray,
    shape: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int = 1,
    bias: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Gradients of `conv` to a weight of `shape`, and to the bias if it is wanted.

    Raises RuntimeError if shapes, dtypes or options do not fit each other. Beside the buffers that `conv`
    uses, up to four partial sums of the size of the weight are kept.
    """
    _same_dtype("conv_weight", x, grad)
    args = (x.shape, shape, stride, padding, dilation, groups, x.itemsize)
    out, plan, _, fast = _forward_plan("conv_weight", *args)
    if grad.shape != out:
        raise RuntimeError(f"conv_weight: expected grad of shape {out} for input {x.shape}, got {grad.shape}")
    dweight, dbias = memory.empty(shape, x.dtype), np.empty(shape[0] if bias else 0, x.dtype)
    m, taps = shape[0] // groups, int(plan[TAPS])
    if fast:
        strips = int(fast.plan[PARTS]) * groups
        sums = memory.empty((strips * 16 * m * padded(shape[1], x.itemsize),), x.dtype)
        bias_sums = np.empty(strips * fast.padded, x.dtype)
        flat = (x.reshape(-1), grad.reshape(-1), sums, bias_sums, dweight.reshape(-1), dbias)
        if winograd_weight(fast.plan, *flat):
            return dweight, dbias if bias else None
    narrow = m <= NARROW
    width = 1 if narrow else VECTOR_BYTES // x.itemsize
    image_parts = int(plan[IMAGE_PARTS])
    items = image_parts * groups * (1 if narrow else int(plan[CHANNEL_PARTS]))
    parts = _parts(plan, items, math.prod(out) * taps)
    sums = memory.empty((max(image_parts, 1) * groups * (taps + 1) * (-(-m // width) * width),), x.dtype)
    if x.shape[0] == 0:
        dweight.fill(0)
        dbias.fill(0)
    else:
        run = narrow_weight_gradient if narrow else weight_gradient
        run(parts, plan, x.reshape(-1), grad.reshape(-1), bias, sums, dweight.reshape(-1), dbias)
    return dweight, dbias if bias else None
