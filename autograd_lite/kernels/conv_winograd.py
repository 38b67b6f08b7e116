"""Winograd's convolution: 3x3 windows of stride 1 with a quarter (or, by smaller tiles, 4/9) of the multiplications.

Pixels are turned into rows of channels, so that every transform (see `simd_winograd`) works on full vectors
of channels; the products are plain ones, tiles by channels, one for each of 36 (or 16) points. A strip of so many
tiles as fit passes through all stages in the second-level cache.

The transforms add neighbouring pixels. So results differ from the direct way's by a few roundings of the
largest number in the neighbourhood (in the root mean square, twice those of the direct way itself), and a NaN or an
infinity would spread to the whole tile: kernels say whether they met one, and the caller then takes the direct way.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .conv_plan import IMAGE_GROUPS, Ints
from .jit import kernel
from .scratch import release, scratch
from .simd import TILE_VECTORS, VECTOR_BITS, at, block_product, lanes, transpose
from .simd_winograd import LARGE, SMALL, gradient_points, output_pixels, patch_points, weight_from_points, weight_points
from .threading import parallel_for

LEAST_TILES = 64
"""So many tiles of 2x2 outputs are worth the transforms."""
STRIPS = {SMALL: 64, LARGE: 32}
"""Tiles at a time, more or less: as many as keep the products busy, as few as stay in the cache."""

# A plan begins with these fields; tables follow, to which the fields named AT point.
(
    IMAGES, GROUPS, CHANNELS, OUT_CHANNELS, PLANE, OUT_PLANE, TOGETHER, STRIP_COUNT, TILES, PIXELS, OUT_PIXELS,
    OUTPUTS, POINTS, PARTS, AT_STRIPS, FIELDS,
) = range(16)  # fmt: skip


def suits_winograd(images: int, channels: int, out_channels: int, grid: Ints) -> bool:
    """Whether this way is the faster one for 3x3 windows of stride 1; channels are those of a group."""
    tiles = images * -(-grid[1] // 2) * -(-grid[2] // 2)
    return VECTOR_BITS > 0 and min(channels, out_channels) >= 16 and min(grid[1:]) >= 2 and tiles >= LEAST_TILES


def tile_outputs(grid: Ints) -> int:
    """Outputs along each axis of the tiles that leave the fewest multiplications to do."""
    costs = {m: (m + 2) ** 2 * -(-grid[0] // m) * -(-grid[1] // m) for m in (LARGE, SMALL)}
    return min(costs, key=costs.__getitem__)


@lru_cache(maxsize=256)
def winograd_plan(
    images: int, groups: int, channels: int, out_channels: int, extents: Ints, grid: Ints, padding: Ints, m: int
) -> np.ndarray:
    """Strips of tiles of m x m outputs, and where each tile finds its pixels and leaves its outputs.

    A strip is some whole images, or some rows of tiles of one. Its words: tiles, first pixel and pixels, first
    output and outputs, and where its tables begin. Pixels outside the image are one pixel of zeros after the
    strip's last; outputs outside go to one place after its last.
    """
    (height, width), (out_height, out_width) = extents, grid
    rows, columns, strip_tiles = -(-out_height // m), -(-out_width // m), STRIPS[m]
    together = max(1, min(images, strip_tiles // (rows * columns)))
    deep = rows if together > 1 else max(1, min(rows, round(strip_tiles / columns)))
    strips: list[list[int]] = []
    tables: list[np.ndarray] = []
    known: dict[tuple[int, ...], tuple[int, int]] = {}  # strips inside the image share their tables
    size = 0
    for top in range(0, rows, deep):
        here = min(deep, rows - top)
        first, last = max(0, m * top - padding[0]), min(height, m * (top + here) - padding[0] + 2)
        first_out, last_out = m * top, min(out_height, m * (top + here))
        pixels, out_pixels = max(last - first, 0) * width, (last_out - first_out) * out_width
        shift = m * top - padding[0] - first
        key = (here, shift, pixels, out_pixels)
        if key not in known:
            tile_y, tile_x = m * np.arange(here)[:, None, None, None], m * np.arange(columns)[:, None, None]
            y, x = shift + tile_y + np.arange(m + 2)[:, None], tile_x - padding[1] + np.arange(m + 2)
            inside = (y >= 0) & (y * width < pixels) & (x >= 0) & (x < width)
            patches = np.where(inside, y * width + x, -1).reshape(-1)
            y, x = tile_y + np.arange(m)[:, None], tile_x + np.arange(m)
            inside = (y * out_width < out_pixels) & (x < out_width)
            outputs = np.where(inside, y * out_width + x, -1).reshape(-1)
            image = np.arange(together)[:, None]
            tables += [
                np.where(patches < 0, -1, patches + image * pixels).reshape(-1),
                np.where(outputs < 0, -1, outputs + image * out_pixels).reshape(-1),
            ]
            known[key] = size, size + tables[-2].size
            size += tables[-2].size + tables[-1].size
        strips.append([here * columns, first * width, pixels, first_out * out_width, out_pixels, *known[key]])
    most, most_out = (together * max(strip[i] for strip in strips) for i in (2, 4))
    count = -(-images // together) * len(strips)
    at_tables = int(FIELDS) + 7 * len(strips)
    for strip in strips:
        strip[5] += at_tables
        strip[6] += at_tables
    outside = [most, most_out] * len(known)
    head = [
        images, groups, channels, out_channels, height * width, out_height * out_width, together, len(strips),
        together * strips[0][0], most, most_out, m, (m + 2) ** 2, min(count, IMAGE_GROUPS), int(FIELDS),
    ]  # fmt: skip
    tables = [np.where(table < 0, place, table) for table, place in zip(tables, outside, strict=True)]
    return np.concatenate([head, np.array(strips).reshape(-1), *tables]).astype(np.int64)


def strip_count(plan: np.ndarray) -> int:
    """How many strips all images have."""
    return -(-int(plan[IMAGES]) // int(plan[TOGETHER])) * int(plan[STRIP_COUNT])


@kernel(internal=True)
def _round_up(n, width):
    return (n + width - 1) // width * width


@kernel(internal=True)
def odd_vectors(numbers, width):
    """At least so many numbers, in an odd number of vectors: what lies so far apart, as the points of a tile do, is in
    different places of the first-level cache."""
    return (numbers // width | 1) * width


@kernel(internal=True)
def _weights_part(part, parts, m, rows, row_step, columns, column_step, turned, weight, u, step):
    """Points of the weights in rows [points][rows][columns, padded]; `turned` rotates them by half a turn."""
    width = _round_up(columns, lanes(weight))
    own = scratch(9 * width, weight)
    for j in range(9 * width):
        own[j] = 0
    for row in range(rows * part // parts, rows * (part + 1) // parts):
        transpose(at(weight, row * row_step), column_step, at(own, 0), width, columns, 9)
        first, tap_step = (at(own, 8 * width), -width) if turned else (at(own, 0), width)
        weight_points(m, width // lanes(weight), first, tap_step, at(u, row * width), step)
    release(own)


@kernel(internal=True)
def _gather(plan, x, strip, image, images, group, channels, plane, places, pitch, out):
    """Turn a strip of each image into rows of channels; `places` are the words of its first and its pixels."""
    first, pixels = plan[strip + places], plan[strip + places + 1]
    for i in range(images):
        source = at(x, ((image + i) * plan[GROUPS] + group) * channels * plane + first)
        transpose(source, plane, at(out, i * pixels * pitch), pitch, channels, pixels)


@kernel(internal=True)
def _winograd_part(part, parts, plan, u, x, start, start_step, relu, out, flags):
    width, groups, strips, together = lanes(x), plan[GROUPS], plan[STRIP_COUNT], plan[TOGETHER]
    channels, m, tiles, number, size = (
        plan[CHANNELS], plan[OUT_CHANNELS], plan[TILES], plan[POINTS], plan[OUTPUTS]
    )  # fmt: skip
    pitch, columns = _round_up(channels, width), _round_up(m, width)
    wide = min(columns, TILE_VECTORS * width)
    point, product = odd_vectors(tiles * pitch, width), odd_vectors(tiles * wide, width)
    own = scratch((plan[PIXELS] + 1) * pitch + number * (point + product) + (plan[OUT_PIXELS] + 1) * wide, x)
    pixels, points = at(own, 0), at(own, (plan[PIXELS] + 1) * pitch)
    products = at(points, number * point)
    outputs = at(products, number * product)
    for j in range((plan[PIXELS] + 1) * pitch):
        pixels[j] = 0
    few = scratch(columns + width, x)
    starts, check = at(few, 0), at(few, columns)
    for j in range(columns + width):
        few[j] = 0
    items = (plan[IMAGES] + together - 1) // together * strips * groups
    for item in range(items * part // parts, items * (part + 1) // parts):
        group, rest = item % groups, item // groups
        strip, image = plan[AT_STRIPS] + rest % strips * 7, rest // strips * together
        images = min(together, plan[IMAGES] - image)
        count = images * plan[strip]
        _gather(plan, x, strip, image, images, group, channels, plan[PLANE], 1, pitch, pixels)
        table = at(plan, plan[strip + 5])
        patch_points(size, count, pitch // width, pixels, pitch, table, points, pitch, point)
        for j in range(m):
            starts[j] = start[(group * m + j) * start_step]
        u_point = u.size // (groups * number)
        weights = at(u, group * number * u_point)
        for block in range(0, columns, wide):
            here = min(wide, columns - block)
            for i in range(number):
                block_product(
                    at(points, i * point), pitch, 1, at(weights, i * u_point + block), columns,
                    at(products, i * product), wide, count, here, channels, False,
                )  # fmt: skip
            output_pixels(
                size, count, here // width, products, wide, product, outputs, wide, at(plan, plan[strip + 6]),
                at(starts, block), check, relu,
            )  # fmt: skip
            for i in range(images):
                target = at(out, (((image + i) * groups + group) * m + block) * plan[OUT_PLANE] + plan[strip + 3])
                source = at(outputs, i * plan[strip + 4] * wide)
                transpose(source, wide, target, plan[OUT_PLANE], plan[strip + 4], min(here, m - block))
    flags[part] = 0
    for j in range(width):
        flags[part] += check[j]
    release(own)
    release(few)


@kernel
def winograd(parts, plan, weight, turned, u, x, start, start_step, relu, out, flags):
    """Convolve; with `turned`, as the gradient to the input. Returns whether all results are finite."""
    groups, channels, m = plan[GROUPS], plan[CHANNELS], plan[OUT_CHANNELS]
    for group in range(groups):
        # Rows of u are channels that are summed over, columns those of the result.
        row_step, column_step = (m * 9, 9) if turned else (9, channels * 9)
        mine = weight[group * channels * m * 9 : (group + 1) * channels * m * 9]
        target = u[group * (u.size // groups) : (group + 1) * (u.size // groups)]
        point = target.size // plan[POINTS]
        args = (min(parts, channels), plan[OUTPUTS], channels, row_step, m, column_step, turned, mine, target, point)
        parallel_for(_weights_part, min(parts, channels), args)
    parallel_for(_winograd_part, parts, (parts, plan, u, x, start, start_step, relu, out, flags))
    finite = True
    for part in range(parts):
        finite = finite and flags[part] == 0
    return finite


@kernel(internal=True)
def _weight_part(part, plan, x, grad, sums, bias_sums):
    width, groups, strips, together = lanes(x), plan[GROUPS], plan[STRIP_COUNT], plan[TOGETHER]
    channels, m, tiles, number, size = (
        plan[CHANNELS], plan[OUT_CHANNELS], plan[TILES], plan[POINTS], plan[OUTPUTS]
    )  # fmt: skip
    pitch, columns = _round_up(channels, width), _round_up(m, width)
    room, out_room = (plan[PIXELS] + 1) * pitch, (plan[OUT_PIXELS] + 1) * columns
    point, out_point = odd_vectors(tiles * pitch, width), odd_vectors(tiles * columns, width)
    own = scratch(room + out_room + number * (point + out_point), x)
    pixels, gradients = at(own, 0), at(own, room)
    points = at(own, room + out_room)
    others = at(points, number * point)
    for j in range(room + out_room):
        own[j] = 0
    group, image_part = part % groups, part // groups
    items = (plan[IMAGES] + together - 1) // together * strips
    step = sums.size // (groups * plan[PARTS] * number)
    total, bias_total = at(sums, part * number * step), at(bias_sums, part * columns)
    for j in range(columns):
        bias_total[j] = 0
    begin = items * image_part // plan[PARTS]
    for item in range(begin, items * (image_part + 1) // plan[PARTS]):
        strip, image = plan[AT_STRIPS] + item % strips * 7, item // strips * together
        images = min(together, plan[IMAGES] - image)
        count = images * plan[strip]
        _gather(plan, x, strip, image, images, group, channels, plan[PLANE], 1, pitch, pixels)
        table = at(plan, plan[strip + 5])
        patch_points(size, count, pitch // width, pixels, pitch, table, points, pitch, point)
        _gather(plan, grad, strip, image, images, group, m, plan[OUT_PLANE], 3, columns, gradients)
        table = at(plan, plan[strip + 6])
        gradient_points(
            size, count, columns // width, gradients, columns, table, others, columns, out_point, bias_total
        )
        for i in range(number):
            block_product(
                at(others, i * out_point), 1, columns, at(points, i * point), pitch, at(total, i * step), pitch,
                m, pitch, count, item > begin,
            )  # fmt: skip
    release(own)


@kernel(internal=True)
def _collect_part(part, parts, plan, sums, dweight):
    """Add up the groups of images and leave the points for the 3x3 weights."""
    channels, m, groups, number = plan[CHANNELS], plan[OUT_CHANNELS], plan[GROUPS], plan[POINTS]
    pitch = _round_up(channels, lanes(sums))
    step = sums.size // (groups * plan[PARTS] * number)
    own = scratch((number + 9) * pitch, sums)
    points, weights = at(own, 0), at(own, number * pitch)
    for row in range(groups * m * part // parts, groups * m * (part + 1) // parts):
        group, c = row // m, row % m
        for i in range(number):
            line = at(points, i * pitch)
            for image_part in range(plan[PARTS]):
                other = at(sums, ((image_part * groups + group) * number + i) * step + c * pitch)
                for j in range(pitch):
                    line[j] = line[j] + other[j] if image_part else other[j]
        weight_from_points(plan[OUTPUTS], pitch // lanes(sums), points, pitch, weights, pitch)
        transpose(weights, pitch, at(dweight, row * channels * 9), 9, 9, channels)
    release(own)


@kernel
def winograd_weight(plan, x, grad, sums, bias_sums, dweight, dbias):
    """Gradients to weight and bias. Returns whether all results are finite."""
    m, groups = plan[OUT_CHANNELS], plan[GROUPS]
    columns = bias_sums.size // (groups * plan[PARTS])
    parallel_for(_weight_part, groups * plan[PARTS], (plan, x, grad, sums, bias_sums))
    parts = min(groups * m, 16)
    parallel_for(_collect_part, parts, (parts, plan, sums, dweight))
    for c in range(dbias.size):
        total = bias_sums[c // m * columns + c % m]
        for part in range(1, plan[PARTS]):
            total += bias_sums[(part * groups + c // m) * columns + c % m]
        dbias[c] = total
    check = x.dtype.type(0)
    for value in dweight:
        check += value * x.dtype.type(0)
    return check == 0
