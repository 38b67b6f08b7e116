"""What a convolution kernel needs to know: extents, offsets and tiles, in one array of words.

A plan is made once for each geometry and kept. It decides how work is cut into pieces, from sizes alone.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from .simd import VECTOR_BYTES
from .simd_conv import HALF_COST, PIECES, PLACE, SPLITS, TILE_VECTORS

Ints = tuple[int, ...]
Taps = list[tuple[int, int]]

BUFFER_BYTES = 1 << 17
"""Pieces of image are cut so that their padded copies take no more than this, if they can be cut so far."""
PANEL_ROWS = 64
"""Rows of a panel of columns: with four vectors of 64 bytes each, 16 KB."""
PART_WORK = 1 << 20
"""Multiplications for which an image is worth being cut."""
MOST_PARTS = 64
IMAGE_GROUPS = 4
"""Groups of images whose weight gradients are summed apart."""

# A plan begins with these fields; tables follow, to which the fields named AT point.
(
    IMAGES, GROUPS, SOURCE_CHANNELS, DEPTH, HEIGHT, WIDTH, CHANNELS, DEPTH_TAPS, PHASES, STRIDE_D, STRIDE_H,
    STRIDE_W, FIRST_ROW, FIRST_COLUMN, BUFFER_ROWS, PITCH, BUFFER, LEVELS, LINES, COLUMNS, CHUNK, CHUNKS, TAPS,
    OUT_CHANNELS, ALL_OUT_CHANNELS, OUT_PLANE, OUT_LEVEL, A_ROW, A_GROUP, PACKED,
    BLOCKS, TOGETHER, ITEMS, IMAGE_PARTS, CHANNEL_PARTS, HALF, AT_A, AT_OFFSETS, AT_PANEL, AT_DEPTHS, AT_PHASES,
    AT_PIXELS, AT_LINES, AT_ROWS, AT_TILES, AT_LAST_TILES, TILES, LAST_TILES, FIELDS,
) = range(49)  # fmt: skip
TILE_WORDS = 5 + PLACE * TILE_VECTORS
"""A tile of pixels: its vectors, first pixel, pixels, runs to copy and where they are listed; then places."""


class Source(NamedTuple):
    """The image that is read: its extents, and how far apart the windows of neighbouring outputs begin."""

    images: int
    groups: int
    channels: int  # of one group
    extents: Ints
    strides: Ints


class Target(NamedTuple):
    """The grid of outputs."""

    channels: int  # of one group
    extents: Ints


def _packed_tiles(columns: int, pitch: int, lines: int, width: int) -> list[tuple[list[int], list[int]]]:
    """Tiles of as many pixels as vectors hold, each with the runs of pixels that it is made of."""
    tiles = []
    most = TILE_VECTORS * width
    for first in range(0, lines * columns, most):
        count = min(most, lines * columns - first)
        runs: list[int] = []
        p = first
        while p < first + count:
            line, column = divmod(p, columns)
            size = min(columns - column, first + count - p)
            runs += [line * pitch + column, p - first, size]
            p += size
        places = [word for at in range(0, most, width) for word in (at, at, min(width, max(count - at, 0)), width)]
        tiles.append(([-(-count // width), first, count, len(runs) // 3, 0, *places], runs))
    return tiles


def _runs(columns: int, lines: int, width: int, split: bool) -> list[tuple[int, int]]:
    """First pixel and pixels of vectors that end with each line, or, if `split`, with the one after."""
    runs, first, pixels = [], 0, lines * columns
    while first < pixels:
        rest = columns - first % columns
        size = min(width, pixels - first, rest + columns * split)
        runs.append((first, size))
        first += size
    return runs


def _straight_tiles(
    columns: int, pitch: int, lines: int, width: int, split: bool
) -> list[tuple[list[int], list[int]]]:
    """Tiles of such vectors."""
    tiles: list[tuple[list[int], list[int]]] = []
    vectors = []
    for pixel, size in _runs(columns, lines, width, split):
        line, column = divmod(pixel, columns)
        rest = columns - column
        vectors.append((line * pitch + column, pixel, size, rest if rest < size else width))
    for at in range(0, len(vectors), TILE_VECTORS):
        some = vectors[at : at + TILE_VECTORS]
        first = some[0][1]
        places = [word for source, pixel, size, split in some for word in (source, pixel - first, size, split)]
        tile = [len(some), first, sum(size for _, _, size, _ in some), 0, 0, *places]
        tiles.append((tile + [0] * (TILE_WORDS - len(tile)), []))
    return tiles


def _pieces(runs: list[int], width: int) -> list[int]:
    """Runs cut into pieces of the sizes that `add_rows` knows."""
    lists: list[list[int]] = [[] for _ in PIECES]
    for source, target, size in zip(runs[::3], runs[1::3], runs[2::3], strict=True):
        done = 0
        for some, part in zip(lists, PIECES, strict=True):
            step = max(width // part, 1)
            while size - done >= step:
                some += [source + done, target + done]
                done += step
    return [len(some) // 2 for some in lists] + [word for some in lists for word in some]


def make_plan(
    source: Source,
    target: Target,
    taps: list[Taps],
    a_row: int,
    a_channel: int,
    a_group: int,
    itemsize: int,
    spread: bool = False,
) -> np.ndarray:
    """Everything that a kernel needs to know about one convolution, as one array of words.

    `taps` lists for each axis where a tap reads, relative to the start of its window, and how far from the
    weight's first tap its own weight lies. With `spread` the plan serves the way back, which adds packed columns
    to the image.
    """
    width = VECTOR_BYTES // itemsize
    most = TILE_VECTORS * width
    levels, lines, columns = target.extents
    depths, rows, cols = ([tap for tap, _ in axis] for axis in taps)
    stride_d, stride_h, stride_w = source.strides
    phases = sorted({(h % stride_h, w % stride_w) for h in rows for w in cols})
    first_row, last_row = min(h // stride_h for h in rows), max(h // stride_h for h in rows)
    first_column, last_column = min(w // stride_w for w in cols), max(w // stride_w for w in cols)
    pitch = columns + last_column - first_column
    planes = source.channels * len(depths) * len(phases)
    k = source.channels * len(depths) * len(rows) * len(cols)

    # Vectors that read straight from the buffer end with each line, or with the next one where they can be read in two
    # pieces; packed ones do not, but must be copied.
    straight = -(-columns // width) * width / columns
    pixels = lines * columns
    dense = -(-pixels // most) * most / pixels
    half = split = False
    if HALF_COST and not spread:
        halves = HALF_COST * (-(-columns // (width // 2)) * (width // 2) / columns)
        half = halves < 0.95 * min(straight, dense + 0.2)
    if SPLITS and not spread:
        two_pieces = len(_runs(columns, lines, width, True)) * width / pixels
        split = two_pieces < 0.97 * straight and not (half and halves < two_pieces)
        half = half and not split
    packed = not half and not split and (spread or dense * (1 + 8 / target.channels) < straight)
    if half:
        width //= 2
        most = TILE_VECTORS * width

    # As many lines at a time as the buffer holds, but enough pieces for every core.
    halo = last_row - first_row
    fit = BUFFER_BYTES // (planes * pitch * itemsize) - halo
    work = target.channels * k * lines * columns
    wanted = min(-(-work // PART_WORK), max(1, 16 // (source.images * source.groups * levels)))
    chunk = max(1, min(lines, fit, -(-lines // wanted)))
    whole = most // math.gcd(most, columns if packed or split else -(-columns // width) * width)
    if chunk < lines:
        chunk = max(chunk // whole * whole, min(chunk, whole))
    chunks = -(-lines // chunk)
    together = 1
    if target.channels == 1 and not packed:
        room = max(1, BUFFER_BYTES // 4 // (planes * pitch * (chunk + halo) * itemsize))
        spare = max(1, source.images * source.groups * levels * chunks // 16)
        together = min(source.groups, room, spare)
    pieces = source.images * -(-source.groups // together) * levels * chunks
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
    last = lines - (chunks - 1) * chunk
    tiles, last_tiles = (
        _packed_tiles(columns, pitch, some, width) if packed else _straight_tiles(columns, pitch, some, width, split)
        for some in (chunk, last)
    )
    places = list(itertools.product(range(chunk), range(columns)))
    pixel_table = [line * pitch + column for line, column in places]
    line_table = [word for line in range(chunk) for word in (line * pitch, line * columns)]
    image_parts = min(IMAGE_GROUPS, source.images)
    channel_parts = max(
        1, min(source.channels, 8 // (image_parts * source.groups), source.images * levels * work * chunks // PART_WORK)
    )

    panel_rows = [i * most for i in range(max(min(k, PANEL_ROWS), target.channels))]
    tables: list[list[int]] = [
        a_offsets, [*offsets, together * planes * plane], panel_rows, depths,
        [word for phase in phases for word in phase], pixel_table, line_table,
        [c * a_row for c in range(target.channels)],
    ]  # fmt: skip
    starts = list(itertools.accumulate((len(table) for table in tables), initial=int(FIELDS)))
    for some in (tiles, last_tiles):
        end = starts[-1] + len(some) * TILE_WORDS
        runs_table: list[int] = []
        for tile, runs in some:
            tile[4] = end + len(runs_table)
            runs_table += _pieces(runs, width) if spread else runs
        tables += [[word for tile, _ in some for word in tile], runs_table]
        starts += [end, end + len(runs_table)]
    fields = {
        IMAGES: source.images, GROUPS: source.groups, SOURCE_CHANNELS: source.groups * source.channels,
        DEPTH: source.extents[0], HEIGHT: source.extents[1], WIDTH: source.extents[2],
        CHANNELS: source.channels, DEPTH_TAPS: len(depths), PHASES: len(phases),
        STRIDE_D: stride_d, STRIDE_H: stride_h, STRIDE_W: stride_w,
        FIRST_ROW: first_row, FIRST_COLUMN: first_column, BUFFER_ROWS: buffer_rows, PITCH: pitch,
        BUFFER: together * planes * plane, LEVELS: levels, LINES: lines, COLUMNS: columns, CHUNK: chunk, CHUNKS: chunks,
        TAPS: k, OUT_CHANNELS: target.channels, ALL_OUT_CHANNELS: source.groups * target.channels,
        OUT_PLANE: levels * lines * columns, OUT_LEVEL: lines * columns,
        A_ROW: a_row, A_GROUP: a_group, PACKED: packed, BLOCKS: blocks, TOGETHER: together, ITEMS: pieces * blocks,
        IMAGE_PARTS: image_parts, CHANNEL_PARTS: channel_parts, HALF: half,
        AT_A: starts[0], AT_OFFSETS: starts[1], AT_PANEL: starts[2], AT_DEPTHS: starts[3], AT_PHASES: starts[4],
        AT_PIXELS: starts[5], AT_LINES: starts[6], AT_ROWS: starts[7],
        AT_TILES: starts[8], AT_LAST_TILES: starts[10],
        TILES: len(tiles), LAST_TILES: len(last_tiles),
    }  # fmt: skip
    head = [fields[i] for i in range(FIELDS)]
    return np.array(head + [word for table in tables for word in table], np.int64)
