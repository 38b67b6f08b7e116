"""Convolution over one to three axes: forward, gradient to the input, gradient to weight and bias.

All three are matrix products in which one matrix, the image's patches as columns, never exists. A part pads
the piece of image that it needs into a buffer of its own that stays in the second-level cache, and the
vector code of `simd_conv` reads columns from there through tables of offsets: where vectors fit the lines of
the image well, straight from the buffer; else through a panel of columns that is small enough for the
first-level cache. Lines are parted by their columns' place modulo the stride, so that neighbouring outputs
read neighbouring numbers whatever the stride. A third axis is a loop over more channels.

The gradient to the input is such a convolution too, of the output's gradient by the weight with its taps
turned round; where there is a stride, or the output is much smaller than the input, columns of gradients
are made instead, a panel at a time, and added to the image. The gradient to the weight reads the image in
the same way as the forward pass, and the output's gradient through a small transposed panel; the bias is one
more tap that always sees 1.

Small windows have ways of their own: 3x3 windows of stride 1 Winograd's (`conv_winograd`), and so have 5x5 windows over
batches of small images (`conv_interleaved`); depthwise convolution is a strip that slides down each channel
(`conv_depthwise`), and 1x1 windows are plain products.

Work is cut into pieces by image, group, lines and channels; sizes alone decide the cut. Every sum is taken
in the same order whatever the number of threads.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import memory
from .conv_depthwise import depthwise, depthwise_weight, suits_depthwise
from .conv_direct import convolve, narrow_weight_gradient, spread, weight_gradient
from .conv_interleaved import PARTS as INTERLEAVED_PARTS
from .conv_interleaved import (
    POINT_BYTES,
    WEIGHT_POINT_BYTES,
    interleaved,
    interleaved_input,
    interleaved_plan,
    interleaved_weight,
    suits_interleaved,
    suits_weight,
)
from .conv_plan import (
    CHANNEL_PARTS,
    IMAGE_GROUPS,
    IMAGE_PARTS,
    ITEMS,
    MOST_PARTS,
    TAPS,
    Ints,
    Source,
    Taps,
    Target,
    make_plan,
)
from .conv_winograd import PARTS, strip_count, suits_winograd, tile_outputs, winograd, winograd_plan, winograd_weight
from .gemm import gemm_batched
from .simd import VECTOR_BYTES
from .simd_conv import HALF_COST
from .simd_winograd_wide import WIDE_POINTS

NARROW = 3
"""Up to so many output channels of a group, the weight's gradient is summed over lanes."""
PART_WORK = 1 << 18
"""Multiplications that are worth a part of their own."""
TURNING = 12
SPREAD_FROM = 1.25
"""Inputs so many times larger than the output get their gradient by spreading columns."""


class Case(NamedTuple):
    """The extents of one convolution, over three axes whatever it had."""

    shape: Ints  # of the input
    out: Ints  # shape of the output
    images: int
    groups: int
    channels: int  # of one group of the input
    out_channels: int  # of one group of the output
    extents: Ints
    grid: Ints  # extents of the output
    window: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    winograd: bool
    interleaved: bool
    depthwise: bool
    pointwise: bool

    @property
    def taps(self) -> int:
        return math.prod(self.window)

    @property
    def work(self) -> int:
        """Multiplications of the direct way."""
        return math.prod(self.out) * self.channels * self.taps


def output_extents(extents: Ints, window: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Ints:
    """Extents of a convolution's output."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(extents, window, stride, padding, dilation, strict=True)
    )


@lru_cache(maxsize=512)
def _case(name: str, x: Ints, w: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Case:
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
    ones = (1,) * (3 - axes)
    window, grid, steps = ones + w[2:], ones + out, stride + dilation
    channels, out_channels = w[1], w[0] // groups
    single = (ones + x[2:])[0] == grid[0] == 1  # the ways for small windows know one plane only
    simple = single and set(steps) == {1}
    return Case(
        x, (x[0], w[0], *out), x[0], groups, channels, out_channels, ones + x[2:], grid, window, ones + stride,
        (0,) * len(ones) + padding, ones + dilation,
        simple and window == (1, 3, 3) and suits_winograd(x[0], channels, out_channels, grid),
        simple and window == (1, 5, 5) and groups == 1
        and suits_interleaved(x[0], channels, out_channels, grid),
        single and suits_depthwise(groups, channels, out_channels, window, ones + dilation),
        set(window) == set(stride) == {1} and not any(padding) and groups == 1 and min(channels, out_channels) >= 16,
    )  # fmt: skip


def _row_major(extents: Ints) -> Ints:
    return (extents[1] * extents[2], extents[2], 1)


def _parts(items: int, work: int) -> int:
    return max(1, min(items, work // PART_WORK, MOST_PARTS))


@lru_cache(maxsize=512)
def _direct_plan(case: Case, itemsize: int, spreads: bool = False) -> np.ndarray:
    """The plan that reads the image as the forward pass does."""
    source = Source(case.images, case.groups, case.channels, case.extents, case.stride)
    target = Target(case.out_channels, case.grid)
    apart, rows = _row_major(case.window), case.channels * case.taps
    axes: list[Taps] = [
        [(i * case.dilation[axis] - case.padding[axis], i * apart[axis]) for i in range(case.window[axis])]
        for axis in range(3)
    ]
    return make_plan(source, target, axes, rows, case.taps, case.out_channels * rows, itemsize, spreads)


@lru_cache(maxsize=512)
def _turned_plan(case: Case, itemsize: int) -> np.ndarray:
    """The plan that reads the output's gradient by windows turned round; for stride 1."""
    source = Source(case.images, case.groups, case.out_channels, case.grid, case.stride)
    target = Target(case.channels, case.extents)
    apart, rows = _row_major(case.window), case.channels * case.taps
    axes: list[Taps] = [
        [(case.padding[axis] - i * case.dilation[axis], i * apart[axis]) for i in reversed(range(case.window[axis]))]
        for axis in range(3)
    ]
    return make_plan(source, target, axes, case.taps, rows, case.out_channels * rows, itemsize)


def _start(bias: np.ndarray | None, channels: int, like: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Where sums start, and how far from channel to channel: the bias, or zero for all."""
    if bias is None:
        return np.zeros(1, like.dtype), 0
    if bias.shape != (channels,) or bias.dtype != like.dtype:
        raise RuntimeError(
            f"{name}: expected bias to be {like.dtype} of shape ({channels},), got {bias.dtype} of shape {bias.shape}"
        )
    return np.ascontiguousarray(bias), 1


def _same_dtype(name: str, x: np.ndarray, w: np.ndarray) -> None:
    if x.dtype != w.dtype:
        raise RuntimeError(f"{name}: input of {x.dtype} and weight of {w.dtype} should be of one dtype")


def _special(
    case: Case, turned: bool, x: np.ndarray, w: np.ndarray, start: np.ndarray, step: int, relu: bool, out: np.ndarray
) -> bool:
    """Convolve in one of the ways for small windows, if there is one; False leaves it to be done."""
    flat = (start, step, relu, out.reshape(-1))
    extents, grid, (_, *padding) = case.extents[1:], case.grid[1:], case.padding
    channels, out_channels = case.channels, case.out_channels
    if turned:
        extents, grid, padding = grid, extents, [2 - pad for pad in padding]
        channels, out_channels = out_channels, channels
    strides, window = case.stride[1:], case.window[2]
    if case.pointwise and step == 0:
        # A plain product for each image, in which all share the weight.
        matrix = w.reshape(case.out_channels, case.channels)
        matrix = matrix.T if turned else matrix
        pixels = (case.images, -1, math.prod(case.extents))
        shared = np.broadcast_to(matrix, (case.images, *matrix.shape))
        gemm_batched(shared, x.reshape(pixels), out.reshape(pixels), activation="relu" if relu else None)
        return True
    if case.depthwise and max(strides) <= 1 + turned:
        if turned:
            padding = [window - 1 - pad for pad in case.padding[1:]]
        parts = _parts(case.images * case.groups, case.work)
        args = (parts, window, case.images, case.groups, *extents, *strides, *grid, *padding, turned)
        depthwise(*args, w.reshape(-1), x.reshape(-1), *flat)
        return True
    if case.interleaved:
        plan = _interleaved_plan(case, POINT_BYTES)
        parts = -(-case.images * x.itemsize // VECTOR_BYTES)
        points = memory.empty((WIDE_POINTS * case.channels * _padded(case.out_channels, x),), x.dtype)
        args = (parts, plan, w.reshape(-1), points, x.reshape(-1))
        flags = np.empty(parts, x.dtype)
        if turned:
            return interleaved_input(*args, start, step, out.reshape(-1), flags)
        return interleaved(*args, *flat, flags)
    if case.winograd:
        m = tile_outputs(grid)
        plan = winograd_plan(case.images, case.groups, channels, out_channels, extents, grid, tuple(padding), m)
        parts = min(strip_count(plan) * case.groups, MOST_PARTS)
        points = memory.empty((case.groups * (m + 2) ** 2 * _odd(channels * _padded(out_channels, x), x),), x.dtype)
        flags = np.empty(parts, x.dtype)
        return winograd(parts, plan, w.reshape(-1), turned, points, x.reshape(-1), *flat, flags)
    return False


def _interleaved_plan(case: Case, point_bytes: int) -> np.ndarray:
    sizes = (case.extents[1:], case.grid[1:], case.padding[1:])
    return interleaved_plan(case.images, case.channels, case.out_channels, *sizes, point_bytes)


def _padded(channels: int, x: np.ndarray) -> int:
    """Channels rounded up to whole vectors."""
    width = VECTOR_BYTES // x.itemsize
    return -(-channels // width) * width


def _odd(numbers: int, x: np.ndarray) -> int:
    """Numbers in whole vectors, rounded up to an odd number of these (why: `conv_winograd.odd_vectors`)."""
    width = VECTOR_BYTES // x.itemsize
    return (numbers // width | 1) * width


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
    Beside the result every thread uses a padded piece of image, of `BUFFER_BYTES` or as much as one line of
    outputs needs, and 16 KB for columns. Winograd's way uses about 32 (C + M) * 40 numbers per thread (more only
    where one row of tiles is longer than 32), and 4 for each of the weight; for 5x5 windows about 4 MB
    per thread and 1.5 numbers for each of the weight.
    """
    _same_dtype("conv", x, w)
    case = _case("conv", x.shape, w.shape, stride, padding, dilation, groups)
    start, step = _start(bias, w.shape[0], w, "conv")
    out = memory.empty(case.out, x.dtype)
    if not out.size or _special(case, False, x, w, start, step, relu, out):
        return out
    plan = _direct_plan(case, x.itemsize)
    parts = _parts(int(plan[ITEMS]), case.work)
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
    Raises RuntimeError if shapes, dtypes or options do not fit each other. Memory as for `conv`.
    """
    _same_dtype("conv_input", grad, w)
    case = _case("conv_input", shape, w.shape, stride, padding, dilation, groups)
    if grad.shape != case.out:
        raise RuntimeError(f"conv_input: expected grad of shape {case.out} for input {shape}, got {grad.shape}")
    start, step = _start(bias, shape[1], w, "conv_input")
    dx = memory.empty(shape, grad.dtype)
    if not dx.size or _special(case, True, grad, w, start, step, False, dx):
        return dx
    flat = (w.reshape(-1), grad.reshape(-1), start, step)
    # Turned windows also multiply the zeros beyond the gradient's border.
    if set(case.stride) != {1} or math.prod(case.extents) > SPREAD_FROM * math.prod(case.grid):
        plan = _direct_plan(case, grad.itemsize, True)
        parts = _parts(case.images * groups * int(plan[CHANNEL_PARTS]), case.work)
        spread(parts, plan, *flat, dx.reshape(-1))
    else:
        plan = _turned_plan(case, grad.itemsize)
        convolve(_parts(int(plan[ITEMS]), case.work), plan, *flat, False, dx.reshape(-1))
    return dx


@lru_cache(maxsize=512)
def _weight_lanes(case: Case, itemsize: int) -> tuple[bool, bool, int]:
    """Whether sums for the weight's gradient run over the lanes, in vectors of half the size, and how many numbers
    one tap takes."""
    width, m, (_, lines, columns) = VECTOR_BYTES // itemsize, case.out_channels, case.grid
    sizes = [(1.0, width, False), *([(HALF_COST, width // 2, True)] if HALF_COST else [])]
    wide = min((cost * -(-m // w) * w / m, half, w) for cost, w, half in sizes)
    dots = min((cost * -(-columns // w) * w / columns, half, w) for cost, w, half in sizes)
    # To turn the gradient into rows of channels costs as much as so many taps; to add to the sums, so many vectors.
    taps, vectors = case.channels * case.taps, lines * dots[0] * columns / width
    if m <= NARROW or dots[0] * taps * (1 + 4 / vectors) < wide[0] * taps + TURNING:
        return True, dots[1], m * dots[2]
    return False, wide[1], -(-m // wide[2]) * wide[2]


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
    uses, up to four partial sums of the size of the weight are kept, in Winograd's way four times as large or less.
    """
    _same_dtype("conv_weight", x, grad)
    case = _case("conv_weight", x.shape, shape, stride, padding, dilation, groups)
    if grad.shape != case.out:
        raise RuntimeError(f"conv_weight: expected grad of shape {case.out} for input {x.shape}, got {grad.shape}")
    dweight, dbias = memory.empty(shape, x.dtype), np.empty(shape[0] if bias else 0, x.dtype)
    if case.images == 0:
        dweight.fill(0)
        dbias.fill(0)
    elif not _special_weight(case, x, grad, dweight, dbias):
        plan = _direct_plan(case, x.itemsize)
        narrow, half, lanes = _weight_lanes(case, x.itemsize)
        pieces = int(plan[IMAGE_PARTS]) * groups * (1 if narrow else int(plan[CHANNEL_PARTS]))
        sums = memory.empty((int(plan[IMAGE_PARTS]) * groups * (int(plan[TAPS]) + 1) * lanes,), x.dtype)
        run = narrow_weight_gradient if narrow else weight_gradient
        flat = (x.reshape(-1), grad.reshape(-1), bias, sums, dweight.reshape(-1), dbias)
        run(_parts(pieces, case.work), plan, half, *flat)
    return dweight, dbias if bias else None


def _special_weight(case: Case, x: np.ndarray, grad: np.ndarray, dweight: np.ndarray, dbias: np.ndarray) -> bool:
    """`conv_weight` in one of the ways for 3x3 windows of stride 1, if there is one."""
    flat = (dweight.reshape(-1), dbias)
    sizes = (case.extents[1:], case.grid[1:], case.padding[1:])
    if case.depthwise and case.window[2] == 3 and max(case.stride) == 1:
        image_parts = min(case.images, IMAGE_GROUPS)
        sums = memory.empty((image_parts * case.groups * 10 * (VECTOR_BYTES // x.itemsize),), x.dtype)
        parts = _parts(image_parts * case.groups, case.work)
        args = (parts, image_parts, case.images, case.groups, *sizes[0], *sizes[1], *sizes[2])
        depthwise_weight(*args, x.reshape(-1), grad.reshape(-1), sums, *flat)
        return True
    plan = _interleaved_plan(case, WEIGHT_POINT_BYTES) if case.interleaved else None
    if plan is not None and suits_weight(plan):
        rows = int(plan[INTERLEAVED_PARTS]) * case.out_channels
        sums = memory.empty((rows * WIDE_POINTS * _padded(case.channels, x),), x.dtype)
        bias_sums = np.empty(rows * VECTOR_BYTES // x.itemsize, x.dtype)
        return interleaved_weight(plan, x.reshape(-1), grad.reshape(-1), sums, bias_sums, *flat)
    if case.winograd:
        m = tile_outputs(case.grid[1:])
        plan = winograd_plan(case.images, case.groups, case.channels, case.out_channels, *sizes, m)
        parts = int(plan[PARTS]) * case.groups
        step = _odd(case.out_channels * _padded(case.channels, x), x)
        sums = memory.empty((parts * (m + 2) ** 2 * step,), x.dtype)
        bias_sums = np.empty(parts * _padded(case.out_channels, x), x.dtype)
        return winograd_weight(plan, x.reshape(-1), grad.reshape(-1), sums, bias_sums, *flat)
    return False
