"""Winograd's convolution for 5x5 windows of stride 1: lanes are images.

So many images as a vector has lanes are interleaved, pixel by pixel, into padded planes: every vector is full, whatever
the extents and the numbers of channels are. Rows of tiles of 2x2 outputs, as many as fit into the cache, pass through
the transforms of `simd_winograd_wide`; between these are products, channels by tiles, one for each of 36 points: 36
multiplications instead of 100.

The gradient to the image is the transpose of the forward pass: points' gradients become patches, which are added up.
So it too takes 36 multiplications for 2x2 outputs, and looks at nothing beyond the gradient's border.

As in `conv_winograd`, results differ from the direct way's by a few roundings, and kernels say whether all were
finite: if not, the caller takes the direct way.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .conv_plan import IMAGE_GROUPS, Ints
from .jit import kernel
from .scratch import release, scratch
from .simd import VECTOR_BITS, VECTOR_BYTES, at, block_product, dot_product, lanes, transpose
from .simd_winograd_wide import (
    WIDE_POINTS,
    WIDE_TAPS,
    wide_gradient,
    wide_output,
    wide_patch,
    wide_patch_gradient,
    wide_weight,
    wide_weight_gradient,
)
from .threading import parallel_for

LEAST_CHANNELS = 3
"""Products of input and output channels for each channel that is transformed."""
LEAST_TILES = 6
"""So many tiles at a time make sums for the weight that are worth adding up."""
MOST_WASTE = 1.25
"""Lanes, as a multiple of images."""
PLANE_BYTES = 1 << 22
"""The planes of so many images as a vector has lanes fit into this much of the cache."""
POINT_BYTES, WEIGHT_POINT_BYTES = 5 << 17, 5 << 18
"""As do the points of the tiles that are taken at a time; the sums for the weight should be long."""

(
    IMAGES, CHANNELS, OUT_CHANNELS, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, TOP, LEFT, TILE_ROWS, TILE_COLUMNS, AT_A_TIME,
    PARTS,
) = range(13)  # fmt: skip
"""Words of a plan; so many rows of tiles are taken AT_A_TIME."""


def suits_interleaved(images: int, channels: int, out_channels: int, grid: Ints) -> bool:
    """Whether this way is the faster one for 5x5 windows of stride 1."""
    width = VECTOR_BYTES // 4
    groups = -(-images // width)
    planes = channels * (grid[1] + 5) * (grid[2] + 5) + out_channels * (grid[1] + 1) * (grid[2] + 1)
    return (
        VECTOR_BITS > 0 and groups > 1 and groups * width <= MOST_WASTE * images
        and channels * out_channels >= LEAST_CHANNELS * (channels + out_channels)
        and planes * VECTOR_BYTES <= PLANE_BYTES
    )  # fmt: skip


@lru_cache(maxsize=256)
def interleaved_plan(
    images: int, channels: int, out_channels: int, extents: Ints, grid: Ints, padding: Ints, point_bytes: int
) -> np.ndarray:
    rows, columns = (-(-extent // 2) for extent in grid)
    fit = max(1, point_bytes // (WIDE_POINTS * (channels + out_channels) * columns * VECTOR_BYTES))
    at_a_time = -(-rows // -(-rows // fit))
    parts = min(-(-images * 4 // VECTOR_BYTES), IMAGE_GROUPS)
    sizes = (*extents, *grid, *padding, rows, columns, at_a_time)
    return np.array([images, channels, out_channels, *sizes, parts], np.int64)


def suits_weight(plan: np.ndarray) -> bool:
    """Whether this way is the faster one for the weight's gradient, too."""
    return bool(plan[AT_A_TIME] * plan[TILE_COLUMNS] >= LEAST_TILES)


@kernel(internal=True)
def _odd(vectors):
    """Steps of an odd number of vectors use all places of the first-level cache."""
    return vectors | 1


@kernel(internal=True)
def _room(plan, width):
    """Numbers that padded planes of the image and the output take, then their points, then one row of patches."""
    rows, columns, channels, m = plan[TILE_ROWS], plan[TILE_COLUMNS], plan[CHANNELS], plan[OUT_CHANNELS]
    tiles = plan[AT_A_TIME] * columns
    return (
        channels * (2 * rows + 4) * (2 * columns + 4) * width, m * 4 * rows * columns * width,
        WIDE_POINTS * _odd(channels * tiles) * width, WIDE_POINTS * _odd(m * tiles) * width,
        6 * (2 * columns + 4) * width,
    )  # fmt: skip


@kernel(internal=True, separate=True)
def _interleave(x, image, images, channels, height, width, planes, lines, columns, top, left):
    """Copy images into planes of vectors with zeros around them; lanes that are left are zero, too."""
    size = lanes(x)
    for j in range(channels * lines * columns * size):
        planes[j] = 0
    for c in range(channels):
        source = at(x, (image * channels + c) * height * width)
        target = at(planes, ((c * lines + top) * columns + left) * size)
        if width == columns:
            transpose(source, channels * height * width, target, size, images, height * width)
        else:
            for line in range(height):
                here = at(target, line * columns * size)
                transpose(at(source, line * width), channels * height * width, here, size, images, width)


@kernel(internal=True, separate=True)
def _separate(planes, lines, columns, top, left, out, image, images, channels, height, width):
    """The way back."""
    size = lanes(out)
    for c in range(channels):
        source = at(planes, ((c * lines + top) * columns + left) * size)
        target = at(out, (image * channels + c) * height * width)
        if width == columns:
            transpose(source, size, target, channels * height * width, height * width, images)
        else:
            for line in range(height):
                here = at(source, line * columns * size)
                transpose(here, size, at(target, line * width), channels * height * width, width, images)


@kernel(internal=True)
def _read_image(plan, x, image, images, planes):
    lines, columns = 2 * plan[TILE_ROWS] + 4, 2 * plan[TILE_COLUMNS] + 4
    _interleave(
        x, image, images, plan[CHANNELS], plan[HEIGHT], plan[WIDTH], planes, lines, columns, plan[TOP], plan[LEFT]
    )


@kernel(internal=True)
def _read_gradient(plan, grad, image, images, planes):
    lines, columns = 2 * plan[TILE_ROWS], 2 * plan[TILE_COLUMNS]
    _interleave(
        grad, image, images, plan[OUT_CHANNELS], plan[OUT_HEIGHT], plan[OUT_WIDTH], planes, lines, columns, 0, 0
    )


@kernel(internal=True, separate=True)
def _patch_points(plan, row, rows, planes, buffer, points):
    """Points of some rows of tiles, [points][channels][tiles][lanes]."""
    width, channels, columns = lanes(points), plan[CHANNELS], plan[TILE_COLUMNS]
    tiles, pitch = plan[AT_A_TIME] * columns, (2 * columns + 4) * width
    for c in range(channels):
        plane = at(planes, c * (2 * plan[TILE_ROWS] + 4) * pitch)
        for r in range(rows):
            wide_patch((
                columns, at(plane, 2 * (row + r) * pitch), pitch, buffer, at(points, (c * tiles + r * columns) * width),
                width, _odd(channels * tiles) * width,
            ))  # fmt: skip


@kernel(internal=True, separate=True)
def _gradient_points(plan, row, rows, planes, points, sums):
    """The same of the output's gradients, whose sums are added to a vector of `sums` for each channel."""
    width, channels, columns = lanes(points), plan[OUT_CHANNELS], plan[TILE_COLUMNS]
    tiles, pitch = plan[AT_A_TIME] * columns, 2 * columns * width
    for c in range(channels):
        plane = at(planes, c * 2 * plan[TILE_ROWS] * pitch)
        for r in range(rows):
            wide_gradient((
                columns, at(plane, 2 * (row + r) * pitch), pitch, at(points, (c * tiles + r * columns) * width),
                width, _odd(channels * tiles) * width, at(sums, c * width),
            ))  # fmt: skip


@kernel(internal=True, separate=True)
def _multiply(plan, rows, u, u_row, u_column, points, channels, products, m):
    """For each point: products by [m][channels] numbers of u."""
    width = lanes(points)
    tiles, count = plan[AT_A_TIME] * plan[TILE_COLUMNS], rows * plan[TILE_COLUMNS]
    step, out_step = _odd(channels * tiles) * width, _odd(m * tiles) * width
    size = plan[CHANNELS] * max(u_row, u_column)
    for i in range(WIDE_POINTS):
        block_product(
            at(u, i * size), u_row, u_column, at(points, i * step), tiles * width, at(products, i * out_step),
            tiles * width, m, count * width, channels, False,
        )  # fmt: skip


@kernel(internal=True)
def _interleaved_part(part, parts, plan, u, x, start, start_step, relu, out, flags):
    width, channels, m, columns = lanes(x), plan[CHANNELS], plan[OUT_CHANNELS], plan[TILE_COLUMNS]
    padded, tiles, pitch = (m + width - 1) // width * width, plan[AT_A_TIME] * columns, 2 * columns * width
    planes, out_planes, points, out_points, buffer = _room(plan, width)
    own = scratch(planes + out_planes + points + out_points + buffer + width, x)
    pixels, outputs, values = at(own, 0), at(own, planes), at(own, planes + out_planes)
    products = at(values, points)
    patches = at(products, out_points)
    check = at(patches, buffer)
    for j in range(width):
        check[j] = 0
    groups = (plan[IMAGES] + width - 1) // width
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        image = group * width
        images = min(width, plan[IMAGES] - image)
        _read_image(plan, x, image, images, pixels)
        for row in range(0, plan[TILE_ROWS], plan[AT_A_TIME]):
            rows = min(plan[AT_A_TIME], plan[TILE_ROWS] - row)
            _patch_points(plan, row, rows, pixels, patches, values)
            _multiply(plan, rows, u, 1, padded, values, channels, products, m)
            for c in range(m):
                plane = at(outputs, c * 2 * plan[TILE_ROWS] * pitch)
                for r in range(rows):
                    wide_output((
                        columns, at(products, (c * tiles + r * columns) * width), width, _odd(m * tiles) * width,
                        at(plane, 2 * (row + r) * pitch), pitch, at(start, c * start_step), check, relu,
                    ))  # fmt: skip
        _separate(
            outputs, 2 * plan[TILE_ROWS], 2 * columns, 0, 0, out, image, images, m, plan[OUT_HEIGHT], plan[OUT_WIDTH]
        )
    flags[part] = 0
    for j in range(width):
        flags[part] += check[j]
    release(own)


@kernel(internal=True)
def _input_part(part, parts, plan, u, grad, start, start_step, dx, flags):
    width, channels, m, columns = lanes(dx), plan[CHANNELS], plan[OUT_CHANNELS], plan[TILE_COLUMNS]
    padded, tiles, pitch = (m + width - 1) // width * width, plan[AT_A_TIME] * columns, (2 * columns + 4) * width
    lines = 2 * plan[TILE_ROWS] + 4
    planes, out_planes, points, out_points, buffer = _room(plan, width)
    own = scratch(planes + out_planes + points + out_points + buffer + (m + 1) * width, dx)
    pixels, gradients, products = at(own, 0), at(own, planes), at(own, planes + out_planes)
    values = at(products, points)
    patches = at(values, out_points)
    check, sums = at(patches, buffer), at(patches, buffer + width)
    for j in range((m + 1) * width):
        check[j] = 0
    groups = (plan[IMAGES] + width - 1) // width
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        image = group * width
        images = min(width, plan[IMAGES] - image)
        _read_gradient(plan, grad, image, images, gradients)
        for c in range(channels):
            plane, value = at(pixels, c * lines * pitch), start[c * start_step]
            for j in range(lines * pitch):
                plane[j] = value
        for row in range(0, plan[TILE_ROWS], plan[AT_A_TIME]):
            rows = min(plan[AT_A_TIME], plan[TILE_ROWS] - row)
            _gradient_points(plan, row, rows, gradients, values, sums)
            _multiply(plan, rows, u, padded, 1, values, m, products, channels)
            for c in range(channels):
                plane = at(pixels, c * lines * pitch)
                for r in range(rows):
                    wide_patch_gradient((
                        columns, at(products, (c * tiles + r * columns) * width), width, _odd(channels * tiles) * width,
                        patches, at(plane, 2 * (row + r) * pitch), pitch, check,
                    ))  # fmt: skip
        _separate(
            pixels, lines, 2 * columns + 4, plan[TOP], plan[LEFT], dx, image, images, channels, plan[HEIGHT],
            plan[WIDTH],
        )  # fmt: skip
    flags[part] = 0
    for j in range(width):
        flags[part] += check[j]
    release(own)


@kernel(internal=True)
def _weights_part(part, parts, channels, m, weight, u):
    """Points of the weights, [points][channels][output channels, padded]."""
    width = lanes(weight)
    padded = (m + width - 1) // width * width
    own = scratch(WIDE_TAPS * padded, weight)
    for j in range(WIDE_TAPS * padded):
        own[j] = 0
    for c in range(channels * part // parts, channels * (part + 1) // parts):
        transpose(at(weight, c * WIDE_TAPS), channels * WIDE_TAPS, at(own, 0), padded, m, WIDE_TAPS)
        wide_weight((padded // width, at(own, 0), padded, at(u, c * padded), channels * padded))
    release(own)


@kernel(internal=True)
def _all_finite(flags):
    finite = True
    for flag in flags:
        finite = finite and flag == 0
    return finite


@kernel
def interleaved(parts, plan, weight, u, x, start, start_step, relu, out, flags):
    """Convolve. Returns whether all results are finite."""
    pieces = min(plan[CHANNELS], parts)
    parallel_for(_weights_part, pieces, (pieces, plan[CHANNELS], plan[OUT_CHANNELS], weight, u))
    parallel_for(_interleaved_part, parts, (parts, plan, u, x, start, start_step, relu, out, flags))
    return _all_finite(flags)


@kernel
def interleaved_input(parts, plan, weight, u, grad, start, start_step, dx, flags):
    """The gradient to the input. Returns whether all results are finite."""
    pieces = min(plan[CHANNELS], parts)
    parallel_for(_weights_part, pieces, (pieces, plan[CHANNELS], plan[OUT_CHANNELS], weight, u))
    parallel_for(_input_part, parts, (parts, plan, u, grad, start, start_step, dx, flags))
    return _all_finite(flags)


@kernel(internal=True)
def _weight_part(part, plan, x, grad, sums, bias_sums):
    """Sums over some of the images: [points][output channels][channels, padded], and for the bias [channels][lanes]."""
    width, channels, m, columns = lanes(x), plan[CHANNELS], plan[OUT_CHANNELS], plan[TILE_COLUMNS]
    padded, tiles = (channels + width - 1) // width * width, plan[AT_A_TIME] * columns
    planes, out_planes, points, out_points, buffer = _room(plan, width)
    own = scratch(planes + out_planes + points + out_points + buffer, x)
    pixels, gradients, values = at(own, 0), at(own, planes), at(own, planes + out_planes)
    others = at(values, points)
    patches = at(others, out_points)
    total, bias_total = at(sums, part * WIDE_POINTS * m * padded), at(bias_sums, part * m * width)
    for j in range(WIDE_POINTS * m * padded):
        total[j] = 0
    for j in range(m * width):
        bias_total[j] = 0
    groups = (plan[IMAGES] + width - 1) // width
    for group in range(groups * part // plan[PARTS], groups * (part + 1) // plan[PARTS]):
        image = group * width
        images = min(width, plan[IMAGES] - image)
        _read_image(plan, x, image, images, pixels)
        _read_gradient(plan, grad, image, images, gradients)
        for row in range(0, plan[TILE_ROWS], plan[AT_A_TIME]):
            rows = min(plan[AT_A_TIME], plan[TILE_ROWS] - row)
            _patch_points(plan, row, rows, pixels, patches, values)
            _gradient_points(plan, row, rows, gradients, others, bias_total)
            for i in range(WIDE_POINTS):
                dot_product(
                    at(others, i * _odd(m * tiles) * width), tiles * width,
                    at(values, i * _odd(channels * tiles) * width), tiles * width,
                    at(total, i * m * padded), padded, m, channels, rows * columns * width, True,
                )  # fmt: skip
    release(own)


@kernel(internal=True)
def _collect_part(part, parts, plan, sums, dweight):
    """Add up the groups of images and leave the points for the weights."""
    width, channels, m = lanes(sums), plan[CHANNELS], plan[OUT_CHANNELS]
    padded = (channels + width - 1) // width * width
    own = scratch((WIDE_POINTS + WIDE_TAPS) * padded, sums)
    points, weights = at(own, 0), at(own, WIDE_POINTS * padded)
    for row in range(m * part // parts, m * (part + 1) // parts):
        for i in range(WIDE_POINTS):
            line = at(points, i * padded)
            for image_part in range(plan[PARTS]):
                other = at(sums, ((image_part * WIDE_POINTS + i) * m + row) * padded)
                for j in range(padded):
                    line[j] = line[j] + other[j] if image_part else other[j]
        wide_weight_gradient((padded // width, points, padded, weights, padded))
        transpose(weights, padded, at(dweight, row * channels * WIDE_TAPS), WIDE_TAPS, WIDE_TAPS, channels)
    release(own)


@kernel
def interleaved_weight(plan, x, grad, sums, bias_sums, dweight, dbias):
    """Gradients to weight and bias. Returns whether all results are finite."""
    m, width = plan[OUT_CHANNELS], lanes(x)
    parallel_for(_weight_part, plan[PARTS], (plan, x, grad, sums, bias_sums))
    parallel_for(_collect_part, min(m, 4), (min(m, 4), plan, sums, dweight))
    for c in range(dbias.size):
        total = x.dtype.type(0)
        for part in range(plan[PARTS]):
            for j in range(width):
                total += bias_sums[(part * m + c) * width + j]
        dbias[c] = total
    check = x.dtype.type(0)
    for value in dweight:
        check += value * x.dtype.type(0)
    return check == 0
