"""Pooling over the last one to three axes: maximum and mean over windows, and their gradients.

Every function sees its array as `planes` (all leading axes together) of depth x height x width; pooling
over fewer axes has depth, or depth and height, one. Parts are groups of whole planes.

The hot loops walk the window's taps outside and one row of outputs inside, so that a row is one vector
loop whatever the window. The commonest case, a 2x2 window with stride 2, keeps its choice in one byte
per output and has kernels of its own.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from . import memory
from .jit import kernel
from .simd_pool import max_2x2_backward_row, max_2x2_row
from .threading import parallel_for

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


@kernel(internal=True)
def _spread_row(source, stride, target):
    if stride == 1:
        for j in range(target.size):
            target[j] = source[j]
    elif stride == 2:
        for j in range(target.size):
            target[j] = source[2 * j]
    else:
        for j in range(target.size):
            target[j] = source[stride * j]


@kernel(internal=True)
def _collect_row(source, stride, target):
    for j in range(source.size):
        target[stride * j] = source[j]


@kernel(internal=True)
def _spread(geometry, phases, x, volume, backward):
    """Copy one plane into `volume`, padded and parted by the window's place modulo the stride.

    `volume` is depth x stride_h x stride_w x phase_height x phase_width: with the tap (kh, kw) fixed, the
    elements that it meets lie one after the other, whatever the stride. `backward` copies from `volume`.
    """
    depth, height, width = geometry[0]
    stride_h, stride_w = geometry[3, 1], geometry[3, 2]
    pad_h, pad_w = geometry[4, 1], geometry[4, 2]
    if backward:
        x[:] = 0
    for phase in range(stride_w):
        first = (pad_w - phase + stride_w - 1) // stride_w if pad_w > phase else 0
        start = first * stride_w + phase - pad_w
        count = max(0, min((width - start + stride_w - 1) // stride_w, phases[1] - first))
        for d in range(depth):
            high, low = pad_h // stride_h, pad_h % stride_h
            for h in range(height):
                if high < phases[0]:
                    row = ((d * stride_h + low) * stride_w + phase) * phases[0] + high
                    inside = volume[row * phases[1] + first : row * phases[1] + first + count]
                    line = x[(d * height + h) * width + start : (d * height + h + 1) * width]
                    if backward:
                        _collect_row(inside, stride_w, line)
                    else:
                        _spread_row(line, stride_w, inside)
                low += 1
                if low == stride_h:
                    low = 0
                    high += 1


@kernel(inline=True, internal=True)
def _tap_offset(geometry, phases, kh, kw):
    """Where in a parted plane the elements of tap (kh, kw) begin."""
    h, w = kh * geometry[5, 1], kw * geometry[5, 2]
    stride_h, stride_w = geometry[3, 1], geometry[3, 2]
    phase = h % stride_h * stride_w + w % stride_w
    return (phase * phases[0] + h // stride_h) * phases[1] + w // stride_w


# ---------------------------------------------------------------------------------------------------
# Maximum, 2x2 windows that do not overlap
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _max_2x2_part(part, parts, planes, height, width, x, out, where):
    rows, columns = height // 2, width // 2
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        for row in range(rows):
            start = (plane * height + 2 * row) * width
            max_2x2_row(columns, width, x, start, out, where, (plane * rows + row) * columns)


@kernel
def _max_2x2(parts, planes, height, width, x, out, where):
    parallel_for(_max_2x2_part, parts, (parts, planes, height, width, x, out, where))


@kernel(internal=True)
def _max_2x2_backward_part(part, parts, planes, height, width, grad, where, dx):
    rows, columns = height // 2, width // 2
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        start = plane * height * width
        for row in range(rows):
            max_2x2_backward_row(columns, width, dx, start, grad, where, (plane * rows + row) * columns)
            if width % 2:
                dx[start + width - 1] = 0
                dx[start + 2 * width - 1] = 0
            start += 2 * width
        if height % 2:
            dx[start : start + width] = 0


@kernel
def _max_2x2_backward(parts, planes, height, width, grad, where, dx):
    parallel_for(_max_2x2_backward_part, parts, (parts, planes, height, width, grad, where, dx))


# ---------------------------------------------------------------------------------------------------
# Maximum, any window
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _max_tap(values, tap, best, found):
    for q in range(best.size):
        value = values[q]
        take = (value > best[q]) | np.isnan(value)
        best[q] = value if take else best[q]
        found[q] = tap if take else found[q]


@kernel(internal=True)
def _first_tap(extents, window, steps, d, h, w):
    """Number of the first tap inside the input, for a window that starts at (d, h, w); -1 if there is none."""
    for kd in range(window[0]):
        for kh in range(window[1]):
            for kw in range(window[2]):
                in_depth = 0 <= d + kd * steps[0] < extents[0]
                in_height = 0 <= h + kh * steps[1] < extents[1]
                if in_depth and in_height and 0 <= w + kw * steps[2] < extents[2]:
                    return (kd * window[1] + kh) * window[2] + kw
    return -1


@kernel(internal=True)
def _max_part(part, parts, planes, geometry, phases, x, out, where):
    depth, height, width = geometry[0]
    levels, rows, columns = geometry[1]
    window_d, window_h, window_w = geometry[2]
    stride_d, stride_h, stride_w = geometry[3]
    pad_d, pad_h, pad_w = geometry[4]
    step_d, step_h, step_w = geometry[5]
    extent = depth * height * width
    size = stride_h * stride_w * phases[0] * phases[1]
    volume = np.empty(depth * size, x.dtype)
    volume[:] = -np.inf
    span = (rows - 1) * phases[1] + columns
    best, found = np.empty(span, x.dtype), np.empty(span, np.int32)
    offsets = np.empty(window_d * window_h * window_w, np.int64)
    tap = 0
    for kd in range(window_d):
        for kh in range(window_h):
            for kw in range(window_w):
                offsets[tap] = (kd * step_d * height + kh * step_h) * width + kw * step_w
                tap += 1
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        _spread(geometry, phases, x[plane * extent : (plane + 1) * extent], volume, False)
        target = plane * levels * rows * columns
        for level in range(levels):
            best[:] = -np.inf
            found[:] = -1
            for kd in range(window_d):
                d = level * stride_d - pad_d + kd * step_d
                if d < 0 or d >= depth:
                    continue
                for kh in range(window_h):
                    for kw in range(window_w):
                        start = d * size + _tap_offset(geometry, phases, kh, kw)
                        number = np.int32((kd * window_h + kh) * window_w + kw)
                        _max_tap(volume[start : start + span], number, best, found)
            for row in range(rows):
                for column in range(columns):
                    d, h, w = level * stride_d - pad_d, row * stride_h - pad_h, column * stride_w - pad_w
                    q = row * phases[1] + column
                    tap = np.int64(found[q])
                    if tap < 0:
                        tap = _first_tap(geometry[0], geometry[2], geometry[5], d, h, w)
                    out[target] = best[q]
                    where[target] = (d * height + h) * width + w + offsets[tap] if tap >= 0 else -1
                    target += 1


@kernel
def _max(parts, planes, geometry, phases, x, out, where):
    parallel_for(_max_part, parts, (parts, planes, geometry, phases, x, out, where))


@kernel(internal=True)
def _adaptive_max_part(part, parts, planes, extents, starts, ends, x, out, where):
    depth, height, width = extents[0]
    levels, rows, columns = extents[1]
    volume = depth * height * width
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        values = x[plane * volume : (plane + 1) * volume]
        target = plane * levels * rows * columns
        for level in range(levels):
            for row in range(rows):
                for column in range(columns):
                    found = (starts[0, level] * height + starts[1, row]) * width + starts[2, column]
                    best = values[found]
                    for d in range(starts[0, level], ends[0, level]):
                        for h in range(starts[1, row], ends[1, row]):
                            base = (d * height + h) * width
                            for index in range(base + starts[2, column], base + ends[2, column]):
                                value = values[index]
                                if value > best or np.isnan(value):
                                    best = value
                                    found = index
                    out[target] = best
                    where[target] = found
                    target += 1


@kernel
def _adaptive_max(parts, planes, extents, starts, ends, x, out, where):
    parallel_for(_adaptive_max_part, parts, (parts, planes, extents, starts, ends, x, out, where))


@kernel(internal=True)
def _max_backward_part(part, parts, planes, volume, count, grad, where, dx):
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        target = dx[plane * volume : (plane + 1) * volume]
        g = grad[plane * count : (plane + 1) * count]
        index = where[plane * count : (plane + 1) * count]
        target[:] = 0
        for i in range(count):
            if index[i] >= 0:
                target[index[i]] += g[i]


@kernel
def _max_backward(parts, planes, volume, count, grad, where, dx):
    parallel_for(_max_backward_part, parts, (parts, planes, volume, count, grad, where, dx))


# ---------------------------------------------------------------------------------------------------
# Mean
# ---------------------------------------------------------------------------------------------------


@kernel
def _add(values, total):
    for q in range(total.size):
        total[q] += values[q]


@kernel(internal=True)
def _mean_part(part, parts, planes, geometry, phases, weights, x, out):
    depth, height, width = geometry[0]
    levels, rows, columns = geometry[1]
    extent = depth * height * width
    size = geometry[3, 1] * geometry[3, 2] * phases[0] * phases[1]
    volume = np.zeros(depth * size, x.dtype)
    span = (rows - 1) * phases[1] + columns
    total = np.empty(span, x.dtype)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        _spread(geometry, phases, x[plane * extent : (plane + 1) * extent], volume, False)
        for level in range(levels):
            total[:] = 0
            for kd in range(geometry[2, 0]):
                d = level * geometry[3, 0] - geometry[4, 0] + kd
                if 0 <= d < depth:
                    for kh in range(geometry[2, 1]):
                        for kw in range(geometry[2, 2]):
                            start = d * size + _tap_offset(geometry, phases, kh, kw)
                            _add(volume[start : start + span], total)
            for row in range(rows):
                weight = weights[0, level] * weights[1, row]
                target = ((plane * levels + level) * rows + row) * columns
                for j in range(columns):
                    out[target + j] = total[row * phases[1] + j] * (weight * weights[2, j])


@kernel
def _mean(parts, planes, geometry, phases, weights, x, out):
    """Means of windows; a window's weight is a product over the axes, one row of `weights` for each."""
    parallel_for(_mean_part, parts, (parts, planes, geometry, phases, weights, x, out))


@kernel(internal=True)
def _mean_backward_part(part, parts, planes, geometry, phases, weights, grad, dx):
    depth, height, width = geometry[0]
    levels, rows, columns = geometry[1]
    extent = depth * height * width
    size = geometry[3, 1] * geometry[3, 2] * phases[0] * phases[1]
    volume = np.empty(depth * size, dx.dtype)
    span = (rows - 1) * phases[1] + columns
    share = np.zeros(span, dx.dtype)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        volume[:] = 0
        for level in range(levels):
            for row in range(rows):
                weight = weights[0, level] * weights[1, row]
                source = ((plane * levels + level) * rows + row) * columns
                for j in range(columns):
                    share[row * phases[1] + j] = grad[source + j] * (weight * weights[2, j])
            for kd in range(geometry[2, 0]):
                d = level * geometry[3, 0] - geometry[4, 0] + kd
                if 0 <= d < depth:
                    for kh in range(geometry[2, 1]):
                        for kw in range(geometry[2, 2]):
                            start = d * size + _tap_offset(geometry, phases, kh, kw)
                            _add(share, volume[start : start + span])
        _spread(geometry, phases, dx[plane * extent : (plane + 1) * extent], volume, True)


@kernel
def _mean_backward(parts, planes, geometry, phases, weights, grad, dx):
    parallel_for(_mean_backward_part, parts, (parts, planes, geometry, phases, weights, grad, dx))


@kernel(internal=True)
def _adaptive_mean_part(part, parts, planes, extents, starts, ends, x, out, backward):
    depth, height, width = extents[0]
    levels, rows, columns = extents[1]
    volume = depth * height * width
    one = x.dtype.type(1)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        values = x[plane * volume : (plane + 1) * volume]
        if backward:
            values[:] = 0
        target = plane * levels * rows * columns
        for level in range(levels):
            first_d, last_d = starts[0, level], ends[0, level]
            for row in range(rows):
                first_h, last_h = starts[1, row], ends[1, row]
                for column in range(columns):
                    first_w, last_w = starts[2, column], ends[2, column]
                    count = (last_d - first_d) * (last_h - first_h) * (last_w - first_w)
                    weight = one / x.dtype.type(count)
                    share = out[target] * weight
                    total = x.dtype.type(0)
                    for d in range(first_d, last_d):
                        for h in range(first_h, last_h):
                            line = values[(d * height + h) * width + first_w :]
                            if backward:
                                for w in range(last_w - first_w):
                                    line[w] += share
                            else:
                                total += _sum(line[: last_w - first_w])
                    if not backward:
                        out[target] = total * weight
                    target += 1


@kernel(reassociate=True, inline=True)
def _sum(line):
    total = line.dtype.type(0)
    for i in range(line.size):
        total += line[i]
    return total


@kernel
def _adaptive_mean(parts, planes, extents, starts, ends, x, out, backward):
    parallel_for(_adaptive_mean_part, parts, (parts, planes, extents, starts, ends, x, out, backward))


# ---------------------------------------------------------------------------------------------------
# Arrays in, arrays out
# ---------------------------------------------------------------------------------------------------


def max_pool(
    x: np.ndarray, window: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum over windows of the last ``len(window)`` axes, and where it was found.

    Parameters
    ----------
    x : array (..., [depth, [height,]] width), float32 or float64, C-contiguous
    window, stride, padding, dilation : tuple of int, one entry per pooled axis
    ceil_mode : bool
        Count a last window that reaches over the end.

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
        _max_2x2(parts, planes, height, width, x.reshape(-1), out.reshape(-1), where.reshape(-1))
    else:
        where = memory.empty(shape, np.dtype(np.int32))
        _max(parts, planes, geometry, phases, x.reshape(-1), out.reshape(-1), where.reshape(-1))
    return out, where


def max_pool_backward(grad: np.ndarray, where: np.ndarray, shape: Ints, axes: int) -> np.ndarray:
    """Gradient of `max_pool` or `adaptive_max_pool` over the last `axes` axes of an array of `shape`."""
    dx = memory.empty(shape, grad.dtype)
    planes = math.prod(shape[:-axes])
    parts = _parts(planes, dx.size)
    if where.dtype == np.uint8:
        height, width = shape[-2:]
        _max_2x2_backward(parts, planes, height, width, grad.reshape(-1), where.reshape(-1), dx.reshape(-1))
    else:
        volume, count = math.prod(shape[-axes:]), math.prod(grad.shape[-axes:])
        _max_backward(parts, planes, volume, count, grad.reshape(-1), where.reshape(-1), dx.reshape(-1))
    return dx


def max_pool_indices(where: np.ndarray, shape: Ints) -> np.ndarray:
    """The int64 indices into the flattened pooled axes that PyTorch's ``return_indices`` gives."""
    if where.dtype != np.uint8:
        return where.astype(np.int64)
    code = where.astype(np.int64)
    row, column = np.arange(where.shape[-2]), np.arange(where.shape[-1])
    return (2 * row[:, None] + code // 2) * shape[-1] + 2 * column + code % 2


@lru_cache(maxsize=256)
def _mean_weights(
    shape: Ints,
    window: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
    dtype: np.dtype,
) -> np.ndarray:
    """Reciprocal sizes of the windows along each of three axes, in the first entries of each row."""
    out, _, _ = _geometry("avg_pool", shape, window, stride, padding, (1,) * len(window), ceil_mode)
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
    args = (window, stride, padding, ceil_mode)
    shape, geometry, phases = _geometry("avg_pool", x.shape, window, stride, padding, (1,) * len(window), ceil_mode)
    weights = _mean_weights(x.shape, *args, count_include_pad, divisor_override, x.dtype)
    planes = math.prod(shape[: -len(window)])
    out = memory.empty(shape, x.dtype)
    _mean(_parts(planes, x.size), planes, geometry, phases, weights, x.reshape(-1), out.reshape(-1))
    return out


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
    args = (window, stride, padding, ceil_mode)
    out, geometry, phases = _geometry("avg_pool", shape, window, stride, padding, (1,) * len(window), ceil_mode)
    weights = _mean_weights(shape, *args, count_include_pad, divisor_override, grad.dtype)
    planes = math.prod(out[: -len(window)])
    dx = memory.empty(shape, grad.dtype)
    _mean_backward(_parts(planes, dx.size), planes, geometry, phases, weights, grad.reshape(-1), dx.reshape(-1))
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
    _adaptive_max(_parts(planes, x.size), planes, *args)
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
    _adaptive_mean(_parts(planes, x.size), planes, *args)
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
    _adaptive_mean(_parts(planes, dx.size), planes, *args)
    return dx
