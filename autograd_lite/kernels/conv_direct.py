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
    AT_ROWS,
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
    HALF,
    HEIGHT,
    IMAGE_PARTS,
    IMAGES,
    ITEMS,
    LAST_TILES,
    LEVELS,
    LINES,
    OUT_CHANNELS,
    OUT_LEVEL,
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
    TOGETHER,
    WIDTH,
)
from .jit import kernel
from .scratch import release, scratch
from .simd import at, lanes, transpose
from .simd_conv import TILE_VECTORS, add_rows, copy_rows, pad_plane, pixel_dots, pixel_product, tap_product
from .threading import parallel_for


@kernel(internal=True)
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
                pad_plane(rows, pitch, low, high, left, right, source, stride_h * width, stride_w, target)
                target = at(target, rows * pitch)


@kernel(internal=True)
def _convolve_part(part, parts, plan, a, x, start, start_step, relu, out):
    taps, packed, chunks, levels, groups = plan[TAPS], plan[PACKED], plan[CHUNKS], plan[LEVELS], plan[GROUPS]
    m, blocks, plane, together = plan[OUT_CHANNELS], plan[BLOCKS], plan[OUT_PLANE], plan[TOGETHER]
    a_offsets, offsets = at(plan, plan[AT_A]), at(plan, plan[AT_OFFSETS])
    pixels = TILE_VECTORS * lanes(x)
    room = plan[BUFFER] + pixels
    own = scratch(room + (PANEL_ROWS + 1) * pixels * packed, x)
    buffer, panel = at(own, 0), at(own, room)
    batches = (groups + together - 1) // together
    step, a_row = (plan[BUFFER] // together, plan[A_GROUP]) if together > 1 else (0, plan[A_ROW])
    gap = plan[PITCH] - plan[COLUMNS]
    filled = -1
    for item in range(plan[ITEMS] * part // parts, plan[ITEMS] * (part + 1) // parts):
        block, piece = item % blocks, item // blocks
        chunk, rest = piece % chunks, piece // chunks
        level, rest = rest % levels, rest // levels
        # Groups of one output channel are taken several at a time, and one product does them all.
        group, image = rest % batches * together, rest // batches
        some = min(together, groups - group)
        line = chunk * plan[CHUNK]
        if filled != piece:
            _fill(plan, x, image, group * plan[CHANNELS], some * plan[CHANNELS], level, line, buffer)
            filled = piece
        first = m * block // blocks
        rows = some if together > 1 else m * (block + 1) // blocks - first
        weights = at(a, group * plan[A_GROUP] + first * plan[A_ROW])
        channel = group * m + first
        starts = at(start, channel * start_step)
        base = at(out, (image * plan[ALL_OUT_CHANNELS] + channel) * plane)
        base = at(base, level * plan[OUT_LEVEL] + line * plan[COLUMNS])
        final = chunk == chunks - 1
        tile = at(plan, plan[AT_LAST_TILES] if final else plan[AT_TILES])
        for _ in range(plan[LAST_TILES] if final else plan[TILES]):
            vectors, places = tile[0], at(tile, 5)
            source, table, depth = buffer, offsets, taps
            if packed:
                source, table, depth = panel, at(plan, plan[AT_PANEL]), PANEL_ROWS
            for k in range(0, taps, depth):
                here = min(depth, taps - k)
                if packed:
                    copy_rows(here, tile[3], buffer, at(offsets, k), panel, pixels, at(plan, tile[4]))
                tap_product(
                    plan[HALF], rows, vectors, here, weights, a_row, at(a_offsets, k), source, step, table, gap,
                    places, at(base, tile[1]), plane, starts, start_step, k > 0, relu and k + here == taps,
                )  # fmt: skip
            tile = at(tile, TILE_WORDS)
    release(own)


@kernel
def convolve(parts, plan, a, x, start, start_step, relu, out):
    parallel_for(_convolve_part, parts, (parts, plan, a, x, start, start_step, relu, out))


@kernel(internal=True)
def _collect(plan, buffer, image, channel, channels, level, line, out):
    """Add padded planes to the image that `_fill` would have copied them from."""
    height, width = plan[HEIGHT], plan[WIDTH]
    rows, pitch = plan[BUFFER_ROWS], plan[PITCH]
    stride_h, stride_w = plan[STRIDE_H], plan[STRIDE_W]
    depths, phases = at(plan, plan[AT_DEPTHS]), at(plan, plan[AT_PHASES])
    top, left = line + plan[FIRST_ROW], max(0, -plan[FIRST_COLUMN])
    source = at(buffer, 0)
    for c in range(channel, channel + channels):
        for t in range(plan[DEPTH_TAPS]):
            d = level * plan[STRIDE_D] + depths[t]
            plane = at(out, ((image * plan[SOURCE_CHANNELS] + c) * plan[DEPTH] + d) * height * width)
            for f in range(plan[PHASES]):
                phase_h, phase_w = phases[2 * f], phases[2 * f + 1]
                high = min(rows, (height - phase_h + stride_h - 1) // stride_h - top)
                right = min(pitch, (width - phase_w + stride_w - 1) // stride_w - plan[FIRST_COLUMN])
                if 0 <= d < plan[DEPTH]:
                    for r in range(min(rows, max(0, -top)), high):
                        row = at(source, r * pitch + left)
                        target = at(plane, ((top + r) * stride_h + phase_h) * width + phase_w)
                        target = at(target, (plan[FIRST_COLUMN] + left) * stride_w)
                        if stride_w == 1:
                            for j in range(right - left):
                                target[j] += row[j]
                        else:
                            for j in range(right - left):
                                target[j * stride_w] += row[j]
                source = at(source, rows * pitch)


@kernel(internal=True)
def _spread_part(part, parts, plan, a, grad, start, start_step, dx):
    """Columns of the gradient, a panel at a time, added to where the forward pass would read them."""
    channels, m, chunks, groups = plan[CHANNELS], plan[OUT_CHANNELS], plan[CHUNKS], plan[GROUPS]
    blocks, plane = plan[CHANNEL_PARTS], plan[DEPTH] * plan[HEIGHT] * plan[WIDTH]
    taps = plan[TAPS] // channels
    pixels = TILE_VECTORS * lanes(grad)
    own = scratch(plan[BUFFER] + (m + PANEL_ROWS) * pixels + 1, grad)
    buffer, panel = at(own, 1), at(own, 1 + plan[BUFFER])
    columns = at(panel, m * pixels)
    own[0] = 0
    items = plan[IMAGES] * groups * blocks
    for item in range(items * part // parts, items * (part + 1) // parts):
        block, rest = item % blocks, item // blocks
        group, image = rest % groups, rest // groups
        first, last = channels * block // blocks, channels * (block + 1) // blocks
        weights = at(a, group * plan[A_GROUP] + first * taps)
        target = at(dx, (image * plan[SOURCE_CHANNELS] + group * channels) * plane)
        for c in range(first, last):
            own_plane, value = at(target, c * plane), start[(group * channels + c) * start_step]
            for j in range(plane):
                own_plane[j] = value
        for strip in range(plan[LEVELS] * chunks):
            chunk, level = strip % chunks, strip // chunks
            line = chunk * plan[CHUNK]
            source = at(grad, (image * groups + group) * m * plan[OUT_PLANE])
            source = at(source, level * plan[OUT_LEVEL] + line * plan[COLUMNS])
            for j in range((last - first) * (plan[BUFFER] // channels)):
                buffer[j] = 0
            final = chunk == chunks - 1
            tile = at(plan, plan[AT_LAST_TILES] if final else plan[AT_TILES])
            for _ in range(plan[LAST_TILES] if final else plan[TILES]):
                pad_plane(m, pixels, 0, m, 0, tile[2], at(source, tile[1]), plan[OUT_PLANE], 1, panel)
                for k in range(0, (last - first) * taps, PANEL_ROWS):
                    rows = min(PANEL_ROWS, (last - first) * taps - k)
                    tap_product(
                        False, rows, tile[0], m, at(weights, k), 1, at(plan, plan[AT_ROWS]), panel, 0,
                        at(plan, plan[AT_PANEL]), 0, at(tile, 5), columns, pixels, at(own, 0), 0, False, False,
                    )  # fmt: skip
                    offsets = at(plan, plan[AT_OFFSETS] + k)
                    add_rows(rows, columns, pixels, buffer, offsets, at(plan, tile[4]))
                tile = at(tile, TILE_WORDS)
            _collect(plan, buffer, image, group * channels + first, last - first, level, line, dx)
    release(own)


@kernel
def spread(parts, plan, a, grad, start, start_step, dx):
    parallel_for(_spread_part, parts, (parts, plan, a, grad, start, start_step, dx))


@kernel(internal=True)
def _weight_part(part, parts, plan, half, x, grad, bias, sums):
    """Sums over a group of images; for each group of channels, taps by output channels, then the bias."""
    width = lanes(x) // 2 if half else lanes(x)
    m, taps, channels, groups = plan[OUT_CHANNELS], plan[TAPS], plan[CHANNELS], plan[GROUPS]
    image_parts, channel_parts = plan[IMAGE_PARTS], plan[CHANNEL_PARTS]
    plane, columns = plan[BUFFER_ROWS] * plan[PITCH], plan[COLUMNS]
    offsets, pixel_table = at(plan, plan[AT_OFFSETS]), at(plan, plan[AT_PIXELS])
    padded = (m + width - 1) // width * width
    wide = min(padded, TILE_VECTORS * width)
    most = PANEL_ROWS * TILE_VECTORS * width // wide
    room = plan[BUFFER] + plane + lanes(x)
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
        total = at(sums, ((image_part * groups + group) * (taps + 1) + taps // channels * first) * padded)
        offset, rows = at(offsets, taps // channels * first), taps // channels * (last - first)
        if bias and last == channels:
            rows += 1
        fresh = True
        for strip in range(begin * plan[LEVELS] * plan[CHUNKS], end * plan[LEVELS] * plan[CHUNKS]):
            line, rest = strip % plan[CHUNKS] * plan[CHUNK], strip // plan[CHUNKS]
            level, image = rest % plan[LEVELS], rest // plan[LEVELS]
            mine = at(buffer, plan[BUFFER] // channels * first)
            _fill(plan, x, image, group * channels + first, last - first, level, line, mine)
            source = at(grad, (image * groups + group) * m * plan[OUT_PLANE])
            source = at(source, level * plan[OUT_LEVEL] + line * columns)
            pixels = min(plan[CHUNK], plan[LINES] - line) * columns
            for pixel in range(0, pixels, most):
                count = min(most, pixels - pixel)
                table = at(pixel_table, pixel)
                for block in range(0, m, wide):
                    here = min(wide, m - block)
                    here_at = at(source, block * plan[OUT_PLANE] + pixel)
                    transpose(here_at, plan[OUT_PLANE], panel, wide, here, count)
                    # The bias is one more tap that always sees 1.
                    pixel_product(
                        half, rows, (here + width - 1) // width, count, buffer, offset, table, panel, wide,
                        at(total, block), padded, not fresh,
                    )  # fmt: skip
                fresh = False
    release(own)


@kernel(internal=True)
def _collect_part(part, parts, plan, half, bias, sums, dweight, dbias):
    """Add up the groups of images and turn taps by channels into channels by taps."""
    m, taps, groups = plan[OUT_CHANNELS], plan[TAPS], plan[GROUPS]
    width = lanes(sums) // 2 if half else lanes(sums)
    padded = (m + width - 1) // width * width
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
def weight_gradient(parts, plan, half, x, grad, bias, sums, dweight, dbias):
    parallel_for(_weight_part, parts, (parts, plan, half, x, grad, bias, sums))
    pieces = max(1, min(parts, plan[TAPS] // 16))
    parallel_for(_collect_part, pieces, (pieces, plan, half, bias, sums, dweight, dbias))


@kernel(internal=True)
def _narrow_part(part, parts, plan, half, x, grad, bias, sums):
    """`_weight_part` for groups with few output channels: sums over lanes instead of vectors of channels."""
    m, taps, channels, groups = plan[OUT_CHANNELS], plan[TAPS], plan[CHANNELS], plan[GROUPS]
    image_parts, chunks, levels = plan[IMAGE_PARTS], plan[CHUNKS], plan[LEVELS]
    plane, width = plan[BUFFER_ROWS] * plan[PITCH], lanes(x) // 2 if half else lanes(x)
    own = scratch(plan[BUFFER] + plane + lanes(x), x)
    buffer, ones = at(own, 0), at(own, plan[BUFFER])
    for j in range(plane):
        ones[j] = 1
    for item in range(image_parts * groups * part // parts, image_parts * groups * (part + 1) // parts):
        group, image_part = item % groups, item // groups
        begin, end = plan[IMAGES] * image_part // image_parts, plan[IMAGES] * (image_part + 1) // image_parts
        total = at(sums, item * m * (taps + 1) * width)
        for j in range(m * (taps + 1) * width):
            total[j] = 0
        for strip in range(begin * levels * chunks, end * levels * chunks):
            line, rest = strip % chunks * plan[CHUNK], strip // chunks
            level, image = rest % levels, rest // levels
            _fill(plan, x, image, group * channels, channels, level, line, buffer)
            lines = min(plan[CHUNK], plan[LINES] - line)
            source = at(grad, (image * groups + group) * m * plan[OUT_PLANE])
            source = at(source, level * plan[OUT_LEVEL] + line * plan[COLUMNS])
            pixel_dots(
                half, taps + bias, m, lines, plan[COLUMNS], buffer, at(plan, plan[AT_OFFSETS]), source,
                plan[OUT_PLANE], at(plan, plan[AT_LINES]), total, (taps + 1) * width,
            )  # fmt: skip
    release(own)


@kernel
def narrow_weight_gradient(parts, plan, half, x, grad, bias, sums, dweight, dbias):
    parallel_for(_narrow_part, parts, (parts, plan, half, x, grad, bias, sums))
    taps, channels, width = plan[TAPS], plan[ALL_OUT_CHANNELS], lanes(x) // 2 if half else lanes(x)
    for c in range(channels):
        for k in range(taps + bias):
            total = x.dtype.type(0)
            for i in range(plan[IMAGE_PARTS]):
                some = at(sums, ((i * channels + c) * (taps + 1) + k) * width)
                for j in range(width):
                    total += some[j]
            if k < taps:
                dweight[c * taps + k] = total
            else:
                dbias[c] = total
