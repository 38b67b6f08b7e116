"""The kernels of the convolutions; see `conv` for how they work and `conv_plan` for what a plan holds."""

from __future__ import annotations

from .conv_plan import (
    A_GROUP,
    A_ROW,
    ALL_OUT_CHANNELS,
    AT_A,
    AT_DEPTHS,
    AT_LAST_TILES,
    AT_LINES,
    AT_OFFSETS,
    AT_PANEL,
    AT_PHASES,
    AT_PIXELS,
    AT_POSITIONS,
    AT_TILES,
    BLOCKS,
    BUFFER,
    BUFFER_ROWS,
    CHANNEL_PARTS,
    CHANNELS,
    CHUNK,
    CHUNKS,
    COLUMNS,
    DEPTH,
    DEPTH_TAPS,
    FIRST_COLUMN,
    FIRST_ROW,
    GROUPS,
    HEIGHT,
    IMAGE_PARTS,
    IMAGES,
    ITEMS,
    LAST_TILES,
    LEVELS,
    LINES,
    OUT_BASE,
    OUT_CHANNELS,
    OUT_COLUMN,
    OUT_LEVEL,
    OUT_LINE,
    OUT_PLANE,
    PACKED,
    PANEL_ROWS,
    PHASES,
    PITCH,
    SOURCE_CHANNELS,
    STRIDE_D,
    STRIDE_H,
    STRIDE_W,
    TAPS,
    TILE_WORDS,
    TILES,
    WIDTH,
)
from .jit import kernel
from .scratch import release, scratch
from .simd import at, lanes, transpose
from .simd_conv import DOT_HEIGHT, TILE_VECTORS, copy_rows, pad_plane, pixel_dots, pixel_product, tap_product
from .threading import parallel_for


@kernel
def _fill(plan, x, image, channel, channels, level, line, buffer):
    """Copy the padded planes of some channels that the outputs of a chunk of lines read."""
    height, width = plan[HEIGHT], plan[WIDTH]
    rows, pitch = plan[BUFFER_ROWS], plan[PITCH]
    stride_h, stride_w = plan[STRIDE_H], plan[STRIDE_W]
    depths, phases = at(plan, plan[AT_DEPTHS]), at(plan, plan[AT_PHASES])
    top, left = line + plan[FIRST_ROW], max(0, -plan[FIRST_COLUMN])
    target = at(buffer, 0)
    for c in range(channel, channel + channels):
        for t in range(plan[DEPTH_TAPS]):
            d = level * plan[STRIDE_D] + depths[t]
            plane = ((image * plan[SOURCE_CHANNELS] + c) * plan[DEPTH] + d) * height * width
            for f in range(plan[PHASES]):
                phase_h, phase_w = phases[2 * f], phases[2 * f + 1]
                low = min(rows, max(0, -top))
                high = max(low, min(rows, (height - phase_h + stride_h - 1) // stride_h - top))
                if d < 0 or d >= plan[DEPTH]:
                    high = low
                right = min(pitch, (width - phase_w + stride_w - 1) // stride_w - plan[FIRST_COLUMN])
                source = at(x, plane + ((top + low) * stride_h + phase_h) * width)
                source = at(source, plan[FIRST_COLUMN] * stride_w + phase_w)
                if stride_w == 1:
                    pad_plane(rows, pitch, low, high, left, right, source, stride_h * width, target)
                else:
                    for j in range(rows * pitch):
                        target[j] = 0
                    for r in range(high - low):
                        row, inside = at(target, (low + r) * pitch), at(source, r * stride_h * width)
                        for j in range(left, right):
                            row[j] = inside[j * stride_w]
                target = at(target, rows * pitch)


@kernel
def _convolve_part(part, parts, plan, a, x, start, start_step, relu, out):
    taps, packed, chunks, levels, groups = plan[TAPS], plan[PACKED], plan[CHUNKS], plan[LEVELS], plan[GROUPS]
    m, blocks, plane = plan[OUT_CHANNELS], plan[BLOCKS], plan[OUT_PLANE]
    a_offsets, offsets = at(plan, plan[AT_A]), at(plan, plan[AT_OFFSETS])
    pixels = TILE_VECTORS * lanes(x)
    room = plan[BUFFER] + pixels
    own = scratch(room + (PANEL_ROWS + 1) * pixels + m * pixels, x)
    buffer, panel, some = at(own, 0), at(own, room), at(own, room + (PANEL_ROWS + 1) * pixels)
    apart = plan[OUT_COLUMN] != 1 or plan[OUT_LINE] != plan[COLUMNS]
    filled = -1
    for item in range(plan[ITEMS] * part // parts, plan[ITEMS] * (part + 1) // parts):
        block, piece = item % blocks, item // blocks
        chunk, rest = piece % chunks, piece // chunks
        level, rest = rest % levels, rest // levels
        group, image = rest % groups, rest // groups
        line = chunk * plan[CHUNK]
        if filled != piece:
            _fill(plan, x, image, group * plan[CHANNELS], plan[CHANNELS], level, line, buffer)
            filled = piece
        first = m * block // blocks
        rows = m * (block + 1) // blocks - first
        weights = at(a, group * plan[A_GROUP] + first * plan[A_ROW])
        channel = group * m + first
        starts = at(start, channel * start_step)
        base = at(out, (image * plan[ALL_OUT_CHANNELS] + channel) * plane + plan[OUT_BASE])
        base = at(base, level * plan[OUT_LEVEL] + line * plan[OUT_LINE])
        final = chunk == chunks - 1
        tile = at(plan, plan[AT_LAST_TILES] if final else plan[AT_TILES])
        for _ in range(plan[LAST_TILES] if final else plan[TILES]):
            vectors, places = tile[0], at(tile, 5)
            c, c_row = (some, pixels) if apart else (at(base, tile[1]), plane)
            source, table, depth = buffer, offsets, taps
            if packed:
                source, table, depth = panel, at(plan, plan[AT_PANEL]), PANEL_ROWS
            for k in range(0, taps, depth):
                here = min(depth, taps - k)
                if packed:
                    copy_rows(here, tile[3], buffer, at(offsets, k), panel, pixels, at(plan, tile[4]))
                tap_product(
                    rows, vectors, here, weights, plan[A_ROW], at(a_offsets, k), source, table, places,
                    c, c_row, starts, start_step, k > 0, relu and k + here == taps,
                )  # fmt: skip
            if apart:
                positions = at(plan, plan[AT_POSITIONS] + tile[1])
                for r in range(rows):
                    source, row = at(some, r * pixels), at(base, r * plane)
                    for p in range(tile[2]):
                        row[positions[p]] = source[p]
            tile = at(tile, TILE_WORDS)
    release(own)


@kernel
def convolve(parts, plan, a, x, start, start_step, relu, out):
    parallel_for(_convolve_part, parts, (parts, plan, a, x, start, start_step, relu, out))


@kernel
def _weight_part(part, parts, plan, x, grad, bias, sums):
    """Sums over a group of images; for each group of channels, taps by output channels, then the bias."""
    width = lanes(x)
    m, taps, channels, groups = plan[OUT_CHANNELS], plan[TAPS], plan[CHANNELS], plan[GROUPS]
    image_parts, channel_parts = plan[IMAGE_PARTS], plan[CHANNEL_PARTS]
    plane, columns = plan[BUFFER_ROWS] * plan[PITCH], plan[COLUMNS]
    offsets, pixel_table = at(plan, plan[AT_OFFSETS]), at(plan, plan[AT_PIXELS])
    padded = (m + width - 1) // width * width
    wide = min(padded, TILE_VECTORS * width)
    most = PANEL_ROWS * TILE_VECTORS * width // wide
    room = plan[BUFFER] + plane + width
    own = scratch(room + most * wide, x)
    buffer, panel, ones = at(own, 0), at(own, room), at(own, plan[BUFFER])
    for j in range(plane):
        ones[j] = 1
    for j in range(most * wide):
        panel[j] = 0
    items = image_parts * groups * channel_parts
    for item in range(items * part // parts, items * (part + 1) // parts):
        channel_part, rest = item % channel_parts, item // channel_parts
        group, image_part = rest % groups, rest // groups
        first, last = channels * channel_part // channel_parts, channels * (channel_part + 1) // channel_parts
        begin, end = plan[IMAGES] * image_part // image_parts, plan[IMAGES] * (image_part + 1) // image_parts
        total = at(sums, (image_part * groups + group) * (taps + 1) * padded)
        mine = at(total, taps // channels * first * padded)
        fresh = True
        for strip in range(begin * plan[LEVELS] * plan[CHUNKS], end * plan[LEVELS] * plan[CHUNKS]):
            line, rest = strip % plan[CHUNKS] * plan[CHUNK], strip // plan[CHUNKS]
            level, image = rest % plan[LEVELS], rest // plan[LEVELS]
            _fill(plan, x, image, group * channels + first, last - first, level, line, buffer)
            source = at(grad, (image * groups + group) * m * plan[OUT_PLANE])
            source = at(source, level * plan[OUT_LEVEL] + line * columns)
            pixels = min(plan[CHUNK], plan[LINES] - line) * columns
            for pixel in range(0, pixels, most):
                count = min(most, pixels - pixel)
                table = at(pixel_table, pixel)
                for block in range(0, m, wide):
                    here = min(wide, m - block)
                    vectors, rows = (here + width - 1) // width, taps // channels * (last - first)
                    transpose(at(source, block * plan[OUT_PLANE] + pixel), plan[OUT_PLANE], panel, wide, here, count)
                    for row in range(2 if bias and channel_part == 0 else 1):
                        # The bias is one more tap that always sees 1.
                        target, tap, height = (at(total, taps * padded), taps, 1) if row else (mine, 0, rows)
                        pixel_product(
                            height, vectors, count, buffer, at(offsets, tap), table, panel, wide,
                            at(target, block), padded, not fresh,
                        )  # fmt: skip
                fresh = False
    release(own)


@kernel
def _collect_part(part, parts, plan, bias, sums, dweight, dbias):
    """Add up the groups of images and turn taps by channels into channels by taps."""
    m, taps, groups = plan[OUT_CHANNELS], plan[TAPS], plan[GROUPS]
    padded = (m + lanes(sums) - 1) // lanes(sums) * lanes(sums)
    first, last = taps * part // parts, taps * (part + 1) // parts
    step = groups * (taps + 1) * padded
    for group in range(groups):
        total = at(sums, group * (taps + 1) * padded)
        mine, its_bias = at(total, first * padded), at(total, taps * padded)
        for i in range(1, plan[IMAGE_PARTS]):
            other = at(mine, i * step)
            for j in range((last - first) * padded):
                mine[j] += other[j]
        transpose(mine, padded, at(dweight, group * m * taps + first), taps, last - first, m)
        if bias and part == 0:
            for c in range(m):
                for i in range(1, plan[IMAGE_PARTS]):
                    its_bias[c] += its_bias[i * step + c]
                dbias[group * m + c] = its_bias[c]


@kernel
def weight_gradient(parts, plan, x, grad, bias, sums, dweight, dbias):
    parallel_for(_weight_part, parts, (parts, plan, x, grad, bias, sums))
    pieces = max(1, min(parts, plan[TAPS] // 16))
    parallel_for(_collect_part, pieces, (pieces, plan, bias, sums, dweight, dbias))


@kernel
def _narrow_part(part, parts, plan, x, grad, bias, sums):
    """`_weight_part` for groups with few output channels: sums over lanes instead of vectors of channels."""
    m, taps, channels, groups = plan[OUT_CHANNELS], plan[TAPS], plan[CHANNELS], plan[GROUPS]
    image_parts, chunks, levels = plan[IMAGE_PARTS], plan[CHUNKS], plan[LEVELS]
    plane = plan[BUFFER_ROWS] * plan[PITCH]
    own = scratch(plan[BUFFER] + plane + lanes(x), x)
    buffer, ones = at(own, 0), at(own, plan[BUFFER])
    for j in range(plane):
        ones[j] = 1
    for item in range(image_parts * groups * part // parts, image_parts * groups * (part + 1) // parts):
        group, image_part = item % groups, item // groups
        begin, end = plan[IMAGES] * image_part // image_parts, plan[IMAGES] * (image_part + 1) // image_parts
        total = at(sums, item * m * (taps + 1))
        for j in range(m * (taps + 1)):
            total[j] = 0
        for strip in range(begin * levels * chunks, end * levels * chunks):
            line, rest = strip % chunks * plan[CHUNK], strip // chunks
            level, image = rest % levels, rest // levels
            _fill(plan, x, image, group * channels, channels, level, line, buffer)
            lines = min(plan[CHUNK], plan[LINES] - line)
            for c in range(m):
                source = at(grad, ((image * groups + group) * m + c) * plan[OUT_PLANE])
                source = at(source, level * plan[OUT_LEVEL] + line * plan[COLUMNS])
                for tap in range(0, taps + bias, DOT_HEIGHT):
                    pixel_dots(
                        min(DOT_HEIGHT, taps + bias - tap), lines, plan[COLUMNS], buffer,
                        at(plan, plan[AT_OFFSETS] + tap), source, at(plan, plan[AT_LINES]),
                        at(total, c * (taps + 1) + tap),
                    )  # fmt: skip
    release(own)


@kernel
def narrow_weight_gradient(parts, plan, x, grad, bias, sums, dweight, dbias):
    parallel_for(_narrow_part, parts, (parts, plan, x, grad, bias, sums))
    taps, channels = plan[TAPS], plan[ALL_OUT_CHANNELS]
    for c in range(channels):
        total = at(sums, c * (taps + 1))
        for i in range(1, plan[IMAGE_PARTS]):
            for k in range(taps + bias):
                total[k] += total[i * channels * (taps + 1) + k]
        for k in range(taps):
            dweight[c * taps + k] = total[k]
        if bias:
            dbias[c] = total[taps]
