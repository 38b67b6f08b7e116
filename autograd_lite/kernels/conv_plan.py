"""What a convolution kernel needs to know: extents, offsets and tiles, in one array of words.

A plan is made once for each geometry and kept. It decides how work is cut into pieces, from sizes alone.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from .simd import VECTOR_BYTES
from .simd_conv import TILE_VECTORS

Ints = tuple[int, ...]
Taps = list[tuple[int, int]]

BUFFER_BYTES = 1 << 17
"""Pieces of image are cut so that their padded copies take no more than this, if they can be cut so far."""
PANEL_ROWS = 64
"""Rows of a panel of columns: with four vectors of 64 bytes each, 16 KB."""
PART_WORK = 1 << 20
"""Multiplications that are worth a part of their own."""
MOST_PARTS = 64
IMAGE_GROUPS = 4
"""Groups of images whose weight gradients are summed apart."""

# A plan begins with these fields; tables follow, to which the fields named AT point.
(
    IMAGES, GROUPS, SOURCE_CHANNELS, DEPTH, HEIGHT, WIDTH, CHANNELS, DEPTH_TAPS, PHASES, STRIDE_D, STRIDE_H,
    STRIDE_W, FIRST_ROW, FIRST_COLUMN, BUFFER_ROWS, PITCH, BUFFER, LEVELS, LINES, COLUMNS, CHUNK, CHUNKS, TAPS,
    OUT_CHANNELS, ALL_OUT_CHANNELS, OUT_PLANE, OUT_BASE, OUT_LEVEL, OUT_LINE, OUT_COLUMN, A_ROW, A_GROUP, PACKED,
    BLOCKS, ITEMS, IMAGE_PARTS, CHANNEL_PARTS, AT_A, AT_OFFSETS, AT_PANEL, AT_DEPTHS, AT_PHASES, AT_POSITIONS,
    AT_PIXELS, AT_LINES, AT_TILES, AT_LAST_TILES, TILES, LAST_TILES, FIELDS,
) = range(50)  # fmt: skip
TILE_WORDS = 5 + 3 * TILE_VECTORS
"""A tile of pixels: its vectors, first pixel, pixels, runs to copy and where they are listed; then places."""


class Source(NamedTuple):
    """The image that is read: its extents, and how far apart the windows of neighbouring outputs begin."""

    images: int
    groups: int
    channels: int  # of one group
    extents: Ints
    strides: Ints


class Target(NamedTuple):
    """The grid of outputs: where its elements lie in the array that is written."""

    channels: int  # of one group
    extents: Ints
    plane: int
    base: int
    steps: Ints  # between levels, lines and columns


def _tile_table(target: Target, pitch: int, lines: int, width: int, packed: bool) -> tuple[list[int], list[int], int]:
    """Tiles for a chunk of so many lines, and the runs of pixels that they copy, if they do."""
    columns = target.extents[2]
    tiles: list[list[int]] = []
    runs: list[int] = []
    most = TILE_VECTORS * width
    if packed:
        for first in range(0, lines * columns, most):
            count = min(most, lines * columns - first)
            tile = [-(-count // width), first, count, 0, len(runs) // 3]
            p = first
            while p < first + count:
                line, column = divmod(p, columns)
                size = min(columns - column, first + count - p)
                runs += [line * pitch + column, p - first, size]
                tile[3] += 1
                p += size
            for at in range(0, most, width):
                tile += [at, at, min(width, max(count - at, 0))]
            tiles.append(tile)
    else:
        vectors = [
            (line * pitch + column, line * columns + column, min(width, columns - column))
            for line in range(lines)
            for column in range(0, columns, width)
        ]
        for at in range(0, len(vectors), TILE_VECTORS):
            some = vectors[at : at + TILE_VECTORS]
            first = some[0][1]
            tile = [len(some), first, sum(size for _, _, size in some), 0, 0]
            for source, pixel, size in some:
                tile += [source, pixel - first, size]
            tiles.append(tile + [0] * (TILE_WORDS - len(tile)))
    return [word for tile in tiles for word in tile], runs, len(tiles)


def make_plan(
    source: Source,
    target: Target,
    taps: tuple[Taps, Taps, Taps],
    a_row: int,
    a_channel: int,
    a_group: int,
    itemsize: int,
) -> np.ndarray:
    """Everything that a kernel needs to know about one convolution, as one array of words.

    `taps` lists for each axis where a tap reads, relative to the start of its window, and how far from the
    weight's first tap its own weight lies.
    """
    width = VECTOR_BYTES // itemsize
    levels, lines, columns = target.extents
    depths, rows, cols = ([tap for tap, _ in axis] for axis in taps)
    stride_d, stride_h, stride_w = source.strides
    phases = sorted({(h % stride_h, w % stride_w) for h in rows for w in cols})
    first_row, last_row = min(h // stride_h for h in rows), max(h // stride_h for h in rows)
    first_column, last_column = min(w // stride_w for w in cols), max(w // stride_w for w in cols)
    pitch = columns + last_column - first_column
    planes = source.channels * len(depths) * len(phases)
    k = source.channels * len(depths) * len(rows) * len(cols)

    # Vectors that read straight from the buffer end with each line; packed ones do not, but must be copied.
    straight = -(-columns // width) * width / columns
    pixels = lines * columns
    dense = -(-pixels // (TILE_VECTORS * width)) * (TILE_VECTORS * width) / pixels
    packed = dense * (1 + 8 / target.channels) < straight

    # As many lines at a time as the buffer holds, but enough pieces for every core.
    halo = last_row - first_row
    fit = BUFFER_BYTES // (planes * pitch * itemsize) - halo
    work = target.channels * k * lines * columns
    wanted = min(-(-work // PART_WORK), max(1, 16 // (source.images * source.groups * levels)))
    chunk = max(1, min(lines, fit, -(-lines // wanted)))
    whole = TILE_VECTORS * width // math.gcd(TILE_VECTORS * width, columns if packed else -(-columns // width) * width)
    if chunk < lines:
        chunk = max(chunk // whole * whole, min(chunk, whole))
    chunks = -(-lines // chunk)
    pieces = source.images * source.groups * levels * chunks
    blocks = max(1, min(16 // pieces, target.channels // 16, source.images * levels * work // (pieces * PART_WORK)))

    buffer_rows = chunk + halo
    plane = buffer_rows * pitch
    offsets, a_offsets = [], []
    for c, (i, (_, wd)), (h, wh), (w, ww) in itertools.product(
        range(source.channels), enumerate(taps[0]), taps[1], taps[2]
    ):
        phase = phases.index((h % stride_h, w % stride_w))
        row, column = h // stride_h - first_row, w // stride_w - first_column
        offsets.append(((c * len(depths) + i) * len(phases) + phase) * plane + row * pitch + column)
        a_offsets.append(c * a_channel + wd + wh + ww)
    tiles, runs, count = _tile_table(target, pitch, chunk, width, packed)
    last = lines - (chunks - 1) * chunk
    last_tiles, last_runs, last_count = _tile_table(target, pitch, last, width, packed)
    step_d, step_h, step_w = target.steps
    places = list(itertools.product(range(chunk), range(columns)))
    positions = [line * step_h + column * step_w for line, column in places]
    pixel_table = [line * pitch + column for line, column in places]
    line_table = [word for line in range(chunk) for word in (line * pitch, line * columns)]
    image_parts = min(IMAGE_GROUPS, source.images)
    channel_parts = max(
        1, min(source.channels, 8 // (image_parts * source.groups), source.images * levels * work * chunks // PART_WORK)
    )

    tables: list[list[int]] = [
        a_offsets, [*offsets, planes * plane], [i * TILE_VECTORS * width for i in range(min(k, PANEL_ROWS))], depths,
        [word for phase in phases for word in phase], positions, pixel_table, line_table,
        tiles, last_tiles, runs, last_runs,
    ]  # fmt: skip
    starts = list(itertools.accumulate((len(table) for table in tables), initial=int(FIELDS)))
    for table, table_runs in ((tiles, starts[10]), (last_tiles, starts[11])):
        table[4::TILE_WORDS] = [table_runs + 3 * run for run in table[4::TILE_WORDS]]
    fields = {
        IMAGES: source.images, GROUPS: source.groups, SOURCE_CHANNELS: source.groups * source.channels,
        DEPTH: source.extents[0], HEIGHT: source.extents[1], WIDTH: source.extents[2],
        CHANNELS: source.channels, DEPTH_TAPS: len(depths), PHASES: len(phases),
        STRIDE_D: stride_d, STRIDE_H: stride_h, STRIDE_W: stride_w,
        FIRST_ROW: first_row, FIRST_COLUMN: first_column, BUFFER_ROWS: buffer_rows, PITCH: pitch,
        BUFFER: planes * plane, LEVELS: levels, LINES: lines, COLUMNS: columns, CHUNK: chunk, CHUNKS: chunks,
        TAPS: k, OUT_CHANNELS: target.channels, ALL_OUT_CHANNELS: source.groups * target.channels,
        OUT_PLANE: target.plane, OUT_BASE: target.base, OUT_LEVEL: step_d, OUT_LINE: step_h, OUT_COLUMN: step_w,
        A_ROW: a_row, A_GROUP: a_group, PACKED: packed, BLOCKS: blocks, ITEMS: pieces * blocks,
        IMAGE_PARTS: image_parts, CHANNEL_PARTS: channel_parts,
        AT_A: starts[0], AT_OFFSETS: starts[1], AT_PANEL: starts[2], AT_DEPTHS: starts[3], AT_PHASES: starts[4],
        AT_POSITIONS: starts[5], AT_PIXELS: starts[6], AT_LINES: starts[7], AT_TILES: starts[8],
        AT_LAST_TILES: starts[9],
        TILES: count, LAST_TILES: last_count,
    }  # fmt: skip
    head = [fields[i] for i in range(FIELDS)]
    return np.array(head + [word for table in tables for word in table], np.int64)
