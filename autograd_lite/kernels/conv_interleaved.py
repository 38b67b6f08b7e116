"""Winograd's convolution for 5x5 windows of stride 1 and few channels: lanes are images.

So many images as a vector has lanes are interleaved, pixel by pixel: whatever the extents and the numbers of
channels are, every vector is full, and the transforms of `simd_winograd` and the products, one for each of 36 points,
know nothing of the images' borders. A tile of 2x2 outputs takes 36 multiplications instead of 100.

The gradient to the image is the transpose of the forward pass: the points' gradients become patches that are added
up. It too takes 36 multiplications for every 2x2 outputs.

As in `conv_winograd`, results differ from the direct way's by a few roundings, and kernels say whether all were
finite: if not, the caller takes the direct way.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .conv_plan import IMAGE_GROUPS, Ints
from .jit import kernel
from .scalar import like
from .scratch import release, scratch
from .simd import VECTOR_BITS, VECTOR_BYTES, at, block_product, dot_product, lanes, transpose
from .simd_winograd import (
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

FEWEST_CHANNELS = 4
MOST_IMAGE_BYTES = 1 << 19
"""All planes of so many images as a vector has lanes, read and written, fit into this much of the cache."""
POINT_BYTES, WEIGHT_POINT_BYTES = 5 << 17, 5 << 18
"""As much do the points of the tiles that are taken at a time; sums for the weight should be long."""
MOST_WASTE = 1.25
"""Lanes, as a multiple of images."""

# A plan begins with these fields; tables follow, to which the fields named AT point.
(
    IMAGES, CHANNELS, OUT_CHANNELS, PLANE, OUT_PLANE, TILES, PITCH, PARTS, AT_PATCHES, AT_OUTPUTS, FIELDS,
) = range(11)  # fmt: skip


def suits_interleaved(images: int, channels: int, out_channels: int, extents: Ints, grid: Ints) -> bool:
    """Whether this way is the faster one for 5x5 windows of stride 1."""
    width = VECTOR_BYTES // 4
    groups = -(-images // width)
    planes = channels * (extents[1] * extents[2] + 1) + out_channels * (grid[1] * grid[2] + 1)
    return (
        VECTOR_BITS > 0 and groups > 1 and groups * width <= MOST_WASTE * images
        and min(channels, out_channels) >= FEWEST_CHANNELS and planes * VECTOR_BYTES <= MOST_IMAGE_BYTES
    )  # fmt: skip


@lru_cache(maxsize=256)
def interleaved_plan(
    images: int, channels: int, out_channels: int, extents: Ints, grid: Ints, padding: Ints, point_bytes: int
) -> np.ndarray:
    """Where each tile finds its pixels and leaves its outputs; those outside have a place after the last."""
    (height, width), (out_height, out_width) = extents, grid
    rows, columns = -(-out_height // 2), -(-out_width // 2)
    tile_y, tile_x = 2 * np.arange(rows)[:, None, None, None], 2 * np.arange(columns)[:, None, None]
    y, x = tile_y - padding[0] + np.arange(6)[:, None], tile_x - padding[1] + np.arange(6)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    patches = np.where(inside, y * width + x, height * width)
    y, x = tile_y + np.arange(2)[:, None], tile_x + np.arange(2)
    outputs = np.where((y < out_height) & (x < out_width), y * out_width + x, out_height * out_width)
    fit = max(4, point_bytes // (WIDE_POINTS * (channels + out_channels) * VECTOR_BYTES))
    tiles = rows * columns
    pitch = -(-tiles // -(-tiles // fit))
    groups = -(-images // (VECTOR_BYTES // 4))
    at_patches = int(FIELDS)
    at_outputs = at_patches + patches.size
    head = [
        images, channels, out_channels, height * width, out_height * out_width, tiles, pitch,
        min(groups, IMAGE_GROUPS), at_patches, at_outputs,
    ]  # fmt: skip
    return np.concatenate([head, patches.reshape(-1), outputs.reshape(-1)]).astype(np.int64)


@kernel(internal=True)
def _odd(lines, width):
    """Lines of `width` numbers, in bytes that do not map to a few places of the first-level cache only."""
    return (lines | 1) * width


@kernel(internal=True)
def _interleave(image, images, channels, plane, x, out):
    """Planes of so many images as there are lanes, one number of each in a vector; a zero follows each plane."""
    width = lanes(x)
    if images < width:
        for j in range(channels * (plane + 1) * width):
            out[j] = 0
    for c in range(channels):
        source, target = at(x, (image * channels + c) * plane), at(out, c * (plane + 1) * width)
        transpose(source, channels * plane, target, width, images, plane)
        for j in range(width):
            target[plane * width + j] = 0


@kernel(internal=True)
def _separate(image, images, channels, plane, planes, out):
    """The way back."""
    width = lanes(out)
    for c in range(channels):
        source, target = at(planes, c * (plane + 1) * width), at(out, (image * channels + c) * plane)
        transpose(source, width, target, channels * plane, plane, images)


@kernel(internal=True)
def _patches(plan, tile, tiles, pixels, points):
    """Points of some tiles, [points][channels][tiles][lanes]."""
    width, channels = lanes(points), plan[CHANNELS]
    step, table = plan[PITCH] * width, at(plan, plan[AT_PATCHES] + tile * WIDE_POINTS)
    for c in range(channels):
        plane = at(pixels, c * (plan[PLANE] + 1) * width)
        wide_patch(
            (tiles, 1, plane, width, table, at(points, c * step), width, _odd(channels * plan[PITCH], width))
        )


@kernel(internal=True)
def _gradients(plan, tile, tiles, pixels, points, sums):
    width, channels = lanes(points), plan[OUT_CHANNELS]
    step, table = plan[PITCH] * width, at(plan, plan[AT_OUTPUTS] + tile * 4)
    for c in range(channels):
        plane = at(pixels, c * (plan[OUT_PLANE] + 1) * width)
        wide_gradient((
            tiles, 1, plane, width, table, at(points, c * step), width, _odd(channels * plan[PITCH], width),
            at(sums, c * width),
        ))  # fmt: skip


@kernel(internal=True)
def _sizes(plan, width):
    """Numbers that the image's planes take, the output's, and the points of some tiles of both."""
    channels, m, pitch = plan[CHANNELS], plan[OUT_CHANNELS], plan[PITCH]
    return (
        channels * (plan[PLANE] + 1) * width, m * (plan[OUT_PLANE] + 1) * width,
        WIDE_POINTS * _odd(channels * pitch, width), WIDE_POINTS * _odd(m * pitch, width),
    )  # fmt: skip


@kernel(internal=True)
def _interleaved_part(part, parts, plan, u, x, start, start_step, relu, out, flags):
    width, channels, m, pitch = lanes(x), plan[CHANNELS], plan[OUT_CHANNELS], plan[PITCH]
    columns = (m + width - 1) // width * width
    room, out_room, size, out_size = _sizes(plan, width)
    own = scratch(room + out_room + size + out_size + (m + 1) * width, x)
    pixels, outputs, points = at(own, 0), at(own, room), at(own, room + out_room)
    products = at(points, size)
    starts = at(products, out_size)
    check = at(starts, m * width)
    for j in range((m + 1) * width):
        starts[j] = start[j // width * start_step] if j < m * width else like(start[0], 0)
    groups = (plan[IMAGES] + width - 1) // width
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        image = group * width
        images = min(width, plan[IMAGES] - image)
        _interleave(image, images, channels, plan[PLANE], x, pixels)
        for tile in range(0, plan[TILES], pitch):
            tiles = min(pitch, plan[TILES] - tile)
            _patches(plan, tile, tiles, pixels, points)
            for i in range(WIDE_POINTS):
                block_product(
                    at(u, i * channels * columns), 1, columns, at(points, i * _odd(channels * pitch, width)),
                    pitch * width, at(products, i * _odd(m * pitch, width)), pitch * width, m, tiles * width, channels,
                    False,
                )  # fmt: skip
            for c in range(m):
                wide_output((
                    tiles, 1, at(products, c * pitch * width), width, _odd(m * pitch, width),
                    at(outputs, c * (plan[OUT_PLANE] + 1) * width), width, at(plan, plan[AT_OUTPUTS] + tile * 4),
                    at(starts, c * width), check, relu,
                ))  # fmt: skip
        _separate(image, images, m, plan[OUT_PLANE], outputs, out)
    flags[part] = 0
    for j in range(width):
        flags[part] += check[j]
    release(own)


@kernel(internal=True)
def _gradient_part(part, parts, plan, u, grad, start, start_step, dx, flags):
    width, channels, m, pitch = lanes(dx), plan[CHANNELS], plan[OUT_CHANNELS], plan[PITCH]
    columns = (m + width - 1) // width * width
    room, out_room, size, out_size = _sizes(plan, width)
    own = scratch(room + out_room + size + out_size + (m + 1) * width, dx)
    pixels, gradients, products = at(own, 0), at(own, room), at(own, room + out_room)
    points = at(products, size)
    sums = at(points, out_size)
    check = at(sums, m * width)
    for j in range((m + 1) * width):
        sums[j] = 0
    groups = (plan[IMAGES] + width - 1) // width
    for group in range(groups * part // parts, groups * (part + 1) // parts):
        image = group * width
        images = min(width, plan[IMAGES] - image)
        _interleave(image, images, m, plan[OUT_PLANE], grad, gradients)
        for c in range(channels):
            plane, value = at(pixels, c * (plan[PLANE] + 1) * width), start[c * start_step]
            for j in range((plan[PLANE] + 1) * width):
                plane[j] = value
        for tile in range(0, plan[TILES], pitch):
            tiles = min(pitch, plan[TILES] - tile)
            _gradients(plan, tile, tiles, gradients, points, sums)
            for i in range(WIDE_POINTS):
                block_product(
                    at(u, i * channels * columns), columns, 1, at(points, i * _odd(m * pitch, width)), pitch * width,
                    at(products, i * _odd(channels * pitch, width)), pitch * width, channels, tiles * width, m, False,
                )  # fmt: skip
            for c in range(channels):
                wide_patch_gradient((
                    tiles, at(products, c * pitch * width), width, _odd(channels * pitch, width),
                    at(pixels, c * (plan[PLANE] + 1) * width), width, at(plan, plan[AT_PATCHES] + tile * WIDE_POINTS),
                    check,
                ))  # fmt: skip
        _separate(image, images, channels, plan[PLANE], pixels, dx)
    flags[part] = 0
    for j in range(width):
        flags[part] += check[j]
    release(own)


@kernel(internal=True)
def _weights_part(part, parts, channels, m, weight, u):
    """Points of the weights, [points][channels][output channels, padded]."""
    width = lanes(weight)
    columns = (m + width - 1) // width * width
    own = scratch(WIDE_TAPS * columns, weight)
    for j in range(WIDE_TAPS * columns):
        own[j] = 0
    for c in range(channels * part // parts, channels * (part + 1) // parts):
        transpose(at(weight, c * WIDE_TAPS), channels * WIDE_TAPS, at(own, 0), columns, m, WIDE_TAPS)
        wide_weight((columns // width, at(own, 0), columns, at(u, c * columns), channels * columns))
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
    channels, m = plan[CHANNELS], plan[OUT_CHANNELS]
    parallel_for(_weights_part, min(channels, parts), (min(channels, parts), channels, m, weight, u))
    parallel_for(_interleaved_part, parts, (parts, plan, u, x, start, start_step, relu, out, flags))
    return _all_finite(flags)


@kernel
def interleaved_input(parts, plan, weight, u, grad, start, start_step, dx, flags):
    """The gradient to the input. Returns whether all results are finite."""
    channels, m = plan[CHANNELS], plan[OUT_CHANNELS]
    parallel_for(_weights_part, min(channels, parts), (min(channels, parts), channels, m, weight, u))
    parallel_for(_gradient_part, parts, (parts, plan, u, grad, start, start_step, dx, flags))
    return _all_finite(flags)


@kernel(internal=True)
def _weight_part(part, plan, x, grad, sums, bias_sums):
    """Sums over some groups of images, [points][output channels][channels, padded], and the bias' [..][lanes]."""
    width, channels, m, pitch = lanes(x), plan[CHANNELS], plan[OUT_CHANNELS], plan[PITCH]
    columns = (channels + width - 1) // width * width
    room, out_room, size, out_size = _sizes(plan, width)
    own = scratch(room + out_room + size + out_size, x)
    pixels, gradients, points = at(own, 0), at(own, room), at(own, room + out_room)
    others = at(points, size)
    total, bias_total = at(sums, part * WIDE_POINTS * m * columns), at(bias_sums, part * m * width)
    for j in range(WIDE_POINTS * m * columns):
        total[j] = 0
    for j in range(m * width):
        bias_total[j] = 0
    groups = (plan[IMAGES] + width - 1) // width
    for group in range(groups * part // plan[PARTS], groups * (part + 1) // plan[PARTS]):
        image = group * width
        images = min(width, plan[IMAGES] - image)
        _interleave(image, images, channels, plan[PLANE], x, pixels)
        _interleave(image, images, m, plan[OUT_PLANE], grad, gradients)
        for tile in range(0, plan[TILES], pitch):
            tiles = min(pitch, plan[TILES] - tile)
            _patches(plan, tile, tiles, pixels, points)
            _gradients(plan, tile, tiles, gradients, others, bias_total)
            for i in range(WIDE_POINTS):
                dot_product(
                    at(others, i * _odd(m * pitch, width)), pitch * width,
                    at(points, i * _odd(channels * pitch, width)), pitch * width,
                    at(total, i * m * columns), columns, m, channels, tiles * width, True,
                )  # fmt: skip
    release(own)


@kernel(internal=True)
def _collect_part(part, parts, plan, sums, dweight):
    """Add up the groups of images and leave the points for the weights."""
    width, channels, m = lanes(sums), plan[CHANNELS], plan[OUT_CHANNELS]
    columns = (channels + width - 1) // width * width
    own = scratch((WIDE_POINTS + WIDE_TAPS) * columns, sums)
    points, weights = at(own, 0), at(own, WIDE_POINTS * columns)
    for row in range(m * part // parts, m * (part + 1) // parts):
        for i in range(WIDE_POINTS):
            line = at(points, i * columns)
            for image_part in range(plan[PARTS]):
                other = at(sums, ((image_part * WIDE_POINTS + i) * m + row) * columns)
                for j in range(columns):
                    line[j] = line[j] + other[j] if image_part else other[j]
        wide_weight_gradient((columns // width, points, columns, weights, columns))
        transpose(weights, columns, at(dweight, row * channels * WIDE_TAPS), WIDE_TAPS, WIDE_TAPS, channels)
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
