"""Resampling of images, and patches as columns.

Nearest and linear interpolation over the last one to three axes go through tables that name, for every place
along an axis, where it reads and with what weight; backward, the same tables say where gradients go. Parts
are groups of whole planes, so no two threads write to one place.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from . import memory
from .jit import kernel
from .scratch import release, scratch
from .simd import at
from .threading import parallel_for

Ints = tuple[int, ...]
Scales = tuple[float | None, ...]

PART = 1 << 15
"""Elements that are worth a part of their own."""


def _parts(planes: int, elements: int) -> int:
    return max(1, min(planes, elements // PART))


def _three(values: Ints) -> Ints:
    return (1,) * (3 - len(values)) + tuple(values)


def _check(name: str, shape: Ints, size: Ints) -> None:
    if not 1 <= len(size) <= 3 or len(shape) <= len(size) or min(shape[1:], default=0) < 1 or min(size) < 1:
        raise RuntimeError(
            f"{name}: expected an input with more axes than the 1 to 3 of size, none but the first empty, and a "
            f"positive size, got input {shape} and size {size}"
        )


# ---------------------------------------------------------------------------------------------------
# Nearest
# ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _nearest_tables(shape: Ints, size: Ints, scales: Scales, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Extents of input and output, and along each axis the place that each output reads (reckoned in float32, as
    PyTorch does it)."""
    extents, grid = _three(shape[-len(size) :]), _three(size)
    steps = (None,) * (3 - len(size)) + tuple(scales)
    table = np.zeros((3, max(grid)), np.int64)
    for axis, (n, m, scale) in enumerate(zip(extents, grid, steps, strict=True)):
        places = (np.arange(m, dtype=np.float32) + np.float32(shift)) * np.float32(1 / scale if scale else n / m)
        table[axis, :m] = np.minimum(np.floor(places).astype(np.int64), n - 1)
    return np.array([extents, grid], np.int64), table


@kernel
def _nearest_part(part, parts, planes, extents, table, x, out, backward):
    depth, height, width = extents[0]
    levels, lines, columns = extents[1]
    volume, count = depth * height * width, levels * lines * columns
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        source, target = at(x, plane * volume), at(out, plane * count)
        if backward:
            for j in range(volume):
                source[j] = 0
        for level in range(levels):
            for line in range(lines):
                row = at(source, (table[0, level] * height + table[1, line]) * width)
                if backward:
                    for j in range(columns):
                        row[table[2, j]] += target[j]
                else:
                    for j in range(columns):
                        target[j] = row[table[2, j]]
                target = at(target, columns)


@kernel
def _nearest(parts, planes, extents, table, x, out, backward):
    parallel_for(_nearest_part, parts, (parts, planes, extents, table, x, out, backward))


def nearest(x: np.ndarray, size: Ints, scales: Scales | None = None, shift: float = 0) -> np.ndarray:
    """The nearest element to the left: output i reads input floor((i + shift) / scale).

    Parameters
    ----------
    x : array (..., [depth, [height,]] width), float32 or float64, C-contiguous
    size : tuple of int
        Extents of the output, for the last 1 to 3 axes.
    scales : tuple of float or None
        Output by input extents, where they are not to be taken from the extents themselves.
    shift : float
        0.5 to reckon from the middle of the elements.

    Raises
    ------
    RuntimeError
        If `size` does not fit the input, or is not positive.
    """
    _check("nearest", x.shape, size)
    extents, table = _nearest_tables(x.shape, size, scales or (None,) * len(size), shift)
    lead = x.shape[: -len(size)]
    out = memory.empty((*lead, *size), x.dtype)
    planes = math.prod(lead)
    _nearest(_parts(planes, out.size), planes, extents, table, x.ravel(), out.ravel(), False)
    return out


def nearest_backward(
    grad: np.ndarray, shape: Ints, size: Ints, scales: Scales | None = None, shift: float = 0
) -> np.ndarray:
    """Gradient of `nearest` for an input of `shape`: each element gets the sum over the outputs that read it."""
    _check("nearest_backward", shape, size)
    extents, table = _nearest_tables(shape, size, scales or (None,) * len(size), shift)
    dx = memory.empty(shape, grad.dtype)
    planes = math.prod(shape[: -len(size)])
    _nearest(_parts(planes, grad.size), planes, extents, table, dx.ravel(), grad.ravel(), True)
    return dx


# ---------------------------------------------------------------------------------------------------
# Linear, bilinear, trilinear
# ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _linear_tables(
    shape: Ints, size: Ints, align_corners: bool, scales: Scales, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extents; along each axis the lower and upper neighbour of each output; and the weight of the upper."""
    extents, grid = _three(shape[-len(size) :]), _three(size)
    steps = (None,) * (3 - len(size)) + tuple(scales)
    table, weights = np.zeros((6, max(grid)), np.int64), np.zeros((3, max(grid)), dtype)
    for axis, (n, m, scale) in enumerate(zip(extents, grid, steps, strict=True)):
        if align_corners:
            places = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0)
        else:
            places = np.maximum((np.arange(m) + 0.5) * (1 / scale if scale else n / m) - 0.5, 0)
        low = np.minimum(places.astype(np.int64), n - 1)
        table[2 * axis, :m], table[2 * axis + 1, :m] = low, np.minimum(low + 1, n - 1)
        weights[axis, :m] = np.where(low + 1 < n, places - low, 0)
    return np.array([extents, grid], np.int64), table, weights


@kernel
def _linear_part(part, parts, planes, extents, table, weights, x, out, backward):
    """Four source lines, weighted, make one; neighbours in that make an output. Backward goes the other way."""
    depth, height, width = extents[0]
    levels, lines, columns = extents[1]
    volume, count = depth * height * width, levels * lines * columns
    one = x.dtype.type(1)
    own = scratch(width, x)
    mixed = at(own, 0)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        source, target = at(x, plane * volume), at(out, plane * count)
        if backward:
            for j in range(volume):
                source[j] = 0
        for level in range(levels):
            for line in range(lines):
                for j in range(width):
                    mixed[j] = 0
                if backward:
                    for j in range(columns):
                        g, t = target[j], weights[2, j]
                        mixed[table[4, j]] += g * (one - t)
                        if t != 0:
                            mixed[table[5, j]] += g * t
                for corner in range(4):
                    upper_d, upper_h = corner // 2, corner % 2
                    share = weights[0, level] if upper_d else one - weights[0, level]
                    share *= weights[1, line] if upper_h else one - weights[1, line]
                    # What has no weight is not read: it may be infinite.
                    if share != 0:
                        row = at(source, (table[upper_d, level] * height + table[2 + upper_h, line]) * width)
                        if backward:
                            for j in range(width):
                                row[j] += share * mixed[j]
                        else:
                            for j in range(width):
                                mixed[j] += share * row[j]
                if not backward:
                    for j in range(columns):
                        t = weights[2, j]
                        value = mixed[table[4, j]]
                        if t != 0:
                            value = value * (one - t) + mixed[table[5, j]] * t
                        target[j] = value
                target = at(target, columns)
    release(own)


@kernel
def _linear(parts, planes, extents, table, weights, x, out, backward):
    parallel_for(_linear_part, parts, (parts, planes, extents, table, weights, x, out, backward))


def linear(x: np.ndarray, size: Ints, align_corners: bool = False, scales: Scales | None = None) -> np.ndarray:
    """Linear interpolation over the last ``len(size)`` axes: linear, bilinear or trilinear.

    Parameters
    ----------
    x : array (..., [depth, [height,]] width), float32 or float64, C-contiguous
    size : tuple of int
        Extents of the output.
    align_corners : bool
        Place the centres of the corner elements of input and output on each other, instead of their edges.
    scales : tuple of float or None
        Output by input extents, where they are not to be taken from the extents; not with `align_corners`.

    Raises
    ------
    RuntimeError
        If `size` does not fit the input, or is not positive.
    """
    _check("linear", x.shape, size)
    tables = _linear_tables(x.shape, size, align_corners, scales or (None,) * len(size), x.dtype)
    lead = x.shape[: -len(size)]
    out = memory.empty((*lead, *size), x.dtype)
    planes = math.prod(lead)
    _linear(_parts(planes, out.size), planes, *tables, x.ravel(), out.ravel(), False)
    return out


def linear_backward(
    grad: np.ndarray, shape: Ints, size: Ints, align_corners: bool = False, scales: Scales | None = None
) -> np.ndarray:
    """Gradient of `linear` for an input of `shape`: the transposed weights."""
    _check("linear_backward", shape, size)
    tables = _linear_tables(shape, size, align_corners, scales or (None,) * len(size), grad.dtype)
    dx = memory.empty(shape, grad.dtype)
    planes = math.prod(shape[: -len(size)])
    _linear(_parts(planes, grad.size), planes, *tables, dx.ravel(), grad.ravel(), True)
    return dx


# ---------------------------------------------------------------------------------------------------
# Patches as columns
# ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _patch_geometry(
    name: str, shape: Ints, window: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> tuple[Ints, np.ndarray]:
    lists = (window, stride, padding, dilation)
    if len(shape) != 4 or any(len(v) != 2 for v in lists) or min(shape[1:], default=0) < 1:
        raise RuntimeError(f"{name}: expected images (N, C, H, W) and pairs of options, got {shape} and {lists}")
    if min(window + stride + dilation) < 1 or min(padding) < 0:
        raise RuntimeError(
            f"{name}: kernel_size, stride and dilation must be positive and padding not negative, got {window}, "
            f"{stride}, {dilation}, {padding}"
        )
    grid = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape[2:], window, stride, padding, dilation, strict=True)
    )
    if min(grid) < 1:
        raise RuntimeError(f"{name}: kernel_size {window} does not fit into the padded input of shape {shape}")
    columns = (shape[0], shape[1] * math.prod(window), math.prod(grid))
    return columns, np.array([shape[2:], grid, window, stride, padding, dilation], np.int64)


@kernel
def _patches_part(part, parts, planes, geometry, x, out, backward):
    height, width = geometry[0]
    lines, columns = geometry[1]
    window_h, window_w = geometry[2]
    stride_h, stride_w = geometry[3]
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        source = at(x, plane * height * width)
        target = at(out, plane * window_h * window_w * lines * columns)
        if backward:
            for j in range(height * width):
                source[j] = 0
        for kh in range(window_h):
            for kw in range(window_w):
                left = kw * geometry[5, 1] - geometry[4, 1]
                for line in range(lines):
                    h = line * stride_h + kh * geometry[5, 0] - geometry[4, 0]
                    row = at(source, h * width + left)
                    for j in range(columns):
                        inside = 0 <= h < height and 0 <= j * stride_w + left < width
                        if backward:
                            if inside:
                                row[j * stride_w] += target[j]
                        else:
                            target[j] = row[j * stride_w] if inside else x.dtype.type(0)
                    target = at(target, columns)


@kernel
def _patches(parts, planes, geometry, x, out, backward):
    parallel_for(_patches_part, parts, (parts, planes, geometry, x, out, backward))


def unfold(x: np.ndarray, window: Ints, stride: Ints, padding: Ints, dilation: Ints) -> np.ndarray:
    """Patches of images (N, C, H, W) as columns: (N, C * prod(window), number of windows).

    Raises RuntimeError if the options do not fit the images. Its gradient is `fold`.
    """
    shape, geometry = _patch_geometry("unfold", x.shape, window, stride, padding, dilation)
    out = memory.empty(shape, x.dtype)
    planes = x.shape[0] * x.shape[1]
    _patches(_parts(planes, out.size), planes, geometry, x.ravel(), out.ravel(), False)
    return out


def fold(columns: np.ndarray, shape: Ints, window: Ints, stride: Ints, padding: Ints, dilation: Ints) -> np.ndarray:
    """Images of `shape` in which each element is the sum of its copies in the columns; the gradient of `unfold`.

    Raises RuntimeError if the options do not fit each other, or the columns do not fit them.
    """
    wanted, geometry = _patch_geometry("fold", shape, window, stride, padding, dilation)
    if columns.shape != wanted:
        raise RuntimeError(f"fold: expected columns of shape {wanted} for images {shape}, got {columns.shape}")
    x = memory.empty(shape, columns.dtype)
    planes = shape[0] * shape[1]
    _patches(_parts(planes, columns.size), planes, geometry, x.ravel(), columns.ravel(), True)
    return x
