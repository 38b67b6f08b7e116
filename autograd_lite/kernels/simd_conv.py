"""Vector code of the convolutions: products whose operands are read through tables of offsets.

A convolution is a matrix product in which one matrix, the columns of image patches, never exists: the entry
of row k (one tap of one channel) and pixel p lies in the padded image at ``offset[k] + offset[p]``. So the
tiles below read their operands through tables:

- `tap_product`: for a tile of channels by pixels, ``sum[r][v] += a[r, k] * image[offset[k] + vector v]``;
- `pixel_product`: for a tile of taps by channels, ``sum[r][v] += image[offset[r] + offset[p]] * b[p, v]``;
- `pixel_dots`: for a tile of taps by channels, ``sum[r][n] += image[offset[r] + vector] * grad[n, vector]``, added
  over lanes;
- `copy_rows`, `add_rows`: runs of the image, copied tap by tap into columns that are contiguous, or added back;
- `pad_plane`: a piece of image with zeros around it.

"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from .jit import kernel
from .scalar import like
from .simd import at, lanes
from .simd_library import BIT, CPU, VECTOR_BITS, VECTOR_BYTES, Emitter, Values, VectorLibrary, loop, word

TILE_HEIGHTS = (0, 8, 6, 4) if VECTOR_BITS == 256 else (0, 12, 12, 8, 6)
"""The most rows of a tile of so many vectors: AVX2 has 16 vector registers, AVX-512 and NEON have 32."""
TILE_VECTORS = len(TILE_HEIGHTS) - 1
HALF_COST = 0.0 if VECTOR_BITS < 512 else 1.0 if CPU == "znver4" else 2.0
"""What a number costs in vectors of half the size, as against whole ones; 0 where there are none. Zen 4 does a 512-bit
operation in two halves anyway."""
PIECES = (1, 2, 4, 16) if VECTOR_BITS == 512 else (1, 2, 8)
"""Runs that are added back are cut into vectors, and such fractions of vectors, down to single numbers."""
PLACE = 4
"""Words that tell `tap_product` where a vector is."""
SPLITS = VECTOR_BITS == 512
"""Whether a vector may be read from two lines at no cost: a load that leaves masked lanes alone is one instruction."""
DOT_HEIGHTS = (0, 9, 5, 3) if VECTOR_BITS == 256 else (0, 12, 10, 8, 6)
"""The most taps of a tile of so many channels in `pixel_dots`."""
DOT_CHANNELS = len(DOT_HEIGHTS) - 1

TAPS, PIXELS, DOTS = "conv_taps", "conv_pixels", "conv_dots"
COPY, ADD, PAD, PAD_TWO = "conv_copy", "conv_add", "conv_pad", "conv_pad_two"
LOW, LOW_TWO = "conv_pad_low", "conv_pad_low_two"


class _Convolution(Emitter):
    signatures = {
        TAPS: "wwwwpwtpwtwtpwpwbb",
        PIXELS: "wwwwpttpwpwb",
        DOTS: "wwwwptpwtpww",
        COPY: "wwptpwt",
        ADD: "wpwptt",
        PAD: "wwwwwwpwp",
        PAD_TWO: "wwwwwwpwp",
        LOW: "wwwwwwpwp",
        LOW_TWO: "wwwwwwpwp",
    }

    def emit(self) -> None:
        self.products()
        self.copy()
        self.add()
        self.pad(PAD, 1, 0.0)
        self.pad(PAD_TWO, 2, 0.0)
        self.pad(LOW, 1, float("-inf"))
        self.pad(LOW_TWO, 2, float("-inf"))

    def products(self) -> None:
        self.tiles(TAPS, self.taps_tile)
        self.tiles(PIXELS, self.pixels_tile)
        self.dots()

    def tiles(self, name: str, tile: Any) -> None:
        """The function that calls the tile of ``rows`` and ``vectors``, its first two arguments."""
        function, builder, _ = self.function(name, self.signatures[name])
        rows, vectors, *rest = function.args
        key = builder.add(builder.mul(vectors, word(64)), rows)
        cases = {
            64 * width + height: tile(height, width)
            for width, most in enumerate(TILE_HEIGHTS)
            for height in range(1, most + 1)
        }
        self.choose(builder, key, cases, rest)

    def taps_tile(self, rows: int, vectors: int) -> ir.Function:
        """tap_product(rows, vectors, count, k, a, a_row, a_offset, image, image_step, offset, gap, places, c, c_row,
        start, start_row, accumulate, relu): `count` tiles, one below the other. `places` has four words for each
        vector: where it begins in the image and in c, how many of its lanes are stored, and from which lane on it is
        read `gap` further."""
        function, builder, vector = self.function(f"{TAPS}_{rows}x{vectors}", self.signatures[TAPS][2:])
        count, k, a, a_row, a_offset, image, image_step, offset, gap, places, c, c_row, *rest = function.args
        start, start_row, accumulate, relu = rest
        tile = [(r, v) for r in range(rows) for v in range(vectors)]
        columns, targets, lanes, splits = (
            [self.entry(builder, places, PLACE * v + i) for v in range(vectors)] for i in range(PLACE)
        )
        masks = [vector.first_lanes(n) for n in lanes]
        beyond = [builder.not_(vector.first_lanes(n)) for n in splits]

        def one_tile(_: ir.Value, carried: Values) -> Values:
            a_tile, image, c_tile, start_tile = carried
            c_rows = [builder.gep(c_tile, [builder.mul(c_row, word(r))]) for r in range(rows)]
            spots = [builder.gep(c_rows[r], [targets[v]]) for r, v in tile]
            with builder.if_else(accumulate) as (go_on, begin):
                with go_on:
                    found = [vector.load(spot, masks[v]) for spot, (_, v) in zip(spots, tile, strict=True)]
                    found_in = builder.block
                with begin:
                    heads = [builder.gep(start_tile, [builder.mul(start_row, word(r))]) for r in range(rows)]
                    fresh = [vector.splat(builder.load(head)) for head in heads]
                    fresh_in = builder.block
            sums = [self.either(builder, found[i], found_in, fresh[r], fresh_in) for i, (r, _) in enumerate(tile)]

            def step(i: ir.Value, sums: Values) -> Values:
                here = builder.gep(image, [self.entry(builder, offset, i)])
                row = [vector.load(builder.gep(here, [columns[v]])) for v in range(vectors)]
                if SPLITS:
                    there = builder.gep(here, [gap])
                    heads = [builder.gep(there, [column]) for column in columns]
                    row = [vector.load(*one) for one in zip(heads, beyond, row, strict=True)]
                a_now = builder.gep(a_tile, [self.entry(builder, a_offset, i)])
                heads = [builder.gep(a_now, [builder.mul(a_row, word(r))]) for r in range(rows)]
                column = [vector.splat(builder.load(head)) for head in heads]
                return [vector.fma(column[r], row[v], total) for (r, v), total in zip(tile, sums, strict=True)]

            sums = loop(builder, k, sums, step)
            before = builder.block
            with builder.if_then(relu):
                negative = [builder.fcmp_ordered("<=", total, vector.zero) for total in sums]
                raised = [builder.select(low, vector.zero, total) for low, total in zip(negative, sums, strict=True)]
                raised_in = builder.block
            sums = [
                self.either(builder, total, before, high, raised_in) for total, high in zip(sums, raised, strict=True)
            ]
            for v in range(vectors):
                mine = [i for i, (_, column) in enumerate(tile) if column == v]
                with builder.if_else(builder.icmp_signed("==", lanes[v], word(vector.width))) as (all_of, some):
                    with all_of:
                        for i in mine:
                            vector.store(sums[i], spots[i])
                    with some:
                        for i in mine:
                            vector.store(sums[i], spots[i], masks[v])
            return [
                builder.gep(a_tile, [builder.mul(a_row, word(rows))]),
                builder.gep(image, [image_step]),
                builder.gep(c_tile, [builder.mul(c_row, word(rows))]),
                builder.gep(start_tile, [builder.mul(start_row, word(rows))]),
            ]

        loop(builder, count, [a, image, c, start], one_tile)
        builder.ret_void()
        return function

    def pixels_tile(self, rows: int, vectors: int) -> ir.Function:
        """pixel_product(rows, vectors, count, k, image, offset, pixel, b, b_row, c, c_row, accumulate):
        `count` tiles, one below the other. Whole vectors are read and written."""
        function, builder, vector = self.function(f"{PIXELS}_{rows}x{vectors}", self.signatures[PIXELS][2:])
        count, k, image, offset, pixel, b, b_row, c, c_row, accumulate = function.args
        tile = [(r, v) for r in range(rows) for v in range(vectors)]

        def one_tile(_: ir.Value, carried: Values) -> Values:
            offset_tile, c_tile = carried
            taps = [self.entry(builder, offset_tile, r) for r in range(rows)]
            c_rows = [builder.gep(c_tile, [builder.mul(c_row, word(r))]) for r in range(rows)]
            spots = [builder.gep(c_rows[r], [word(v * vector.width)]) for r, v in tile]
            start = builder.block
            with builder.if_then(accumulate):
                found = [vector.load(spot) for spot in spots]
                found_in = builder.block
            sums = [self.either(builder, vector.zero, start, value, found_in) for value in found]

            def step(i: ir.Value, carried: Values) -> Values:
                b_now, *sums = carried
                row = [vector.load(builder.gep(b_now, [word(v * vector.width)])) for v in range(vectors)]
                here = builder.gep(image, [self.entry(builder, pixel, i)])
                column = [vector.splat(builder.load(builder.gep(here, [tap]))) for tap in taps]
                sums = [vector.fma(column[r], row[v], total) for (r, v), total in zip(tile, sums, strict=True)]
                return [builder.gep(b_now, [b_row]), *sums]

            _, *sums = loop(builder, k, [b, *sums], step)
            for spot, total in zip(spots, sums, strict=True):
                vector.store(total, spot)
            return [
                builder.gep(offset_tile, [word(rows)]),
                builder.gep(c_tile, [builder.mul(c_row, word(rows))]),
            ]

        loop(builder, count, [offset, c], one_tile)
        builder.ret_void()
        return function

    def dots(self) -> None:
        """pixel_dots(taps, channels, lines, vectors, image, offset, grad, plane, places, c, c_row, last): see below."""
        function, builder, _ = self.function(DOTS, self.signatures[DOTS])
        taps, channels, *rest = function.args
        key = builder.add(builder.mul(taps, word(DOT_CHANNELS + 1)), channels)
        cases = {
            rows * (DOT_CHANNELS + 1) + columns: self.dots_tile(rows, columns)
            for columns, most in enumerate(DOT_HEIGHTS)
            for rows in range(1, most + 1)
        }
        self.choose(builder, key, cases, rest)

    def dots_tile(self, rows: int, columns: int) -> ir.Function:
        function, builder, vector = self.function(f"{DOTS}_{rows}x{columns}", self.signatures[DOTS][2:])
        lines, vectors, image, offset, grad, plane, places, c, c_row, last = function.args
        taps = [self.entry(builder, offset, r) for r in range(rows)]
        channels = [builder.mul(plane, word(n)) for n in range(columns)]
        tile = [(r, n) for n in range(columns) for r in range(rows)]
        mask = vector.first_lanes(last)

        def line(i: ir.Value, sums: Values) -> Values:
            two = builder.mul(i, word(2))
            x = builder.gep(image, [self.entry(builder, places, two)])
            g = builder.gep(grad, [self.entry(builder, places, builder.add(two, word(1)))])

            def add(carried: Values, mask: ir.Value | None) -> Values:
                x, g, *sums = carried
                factors = [vector.load(builder.gep(g, [channel]), mask) for channel in channels]
                seen = [vector.load(builder.gep(x, [tap]), mask) for tap in taps]
                sums = [vector.fma(seen[r], factors[n], total) for (r, n), total in zip(tile, sums, strict=True)]
                return [builder.gep(x, [word(vector.width)]), builder.gep(g, [word(vector.width)]), *sums]

            carried = loop(builder, vectors, [x, g, *sums], lambda _, carried: add(carried, None))
            some = builder.select(builder.icmp_signed(">", last, word(0)), word(1), word(0))
            return loop(builder, some, carried, lambda _, carried: add(carried, mask))[2:]

        heads = [builder.gep(c, [builder.mul(c_row, word(n))]) for n in range(columns)]
        places_of_c = [builder.gep(heads[n], [word(r * vector.width)]) for r, n in tile]
        sums = loop(builder, lines, [vector.load(place) for place in places_of_c], line)
        for place, total in zip(places_of_c, sums, strict=True):
            vector.store(total, place)
        builder.ret_void()
        return function

    def copy(self) -> None:
        """copy_rows(taps, runs, image, offset, out, out_row, places): see below."""
        function, builder, vector = self.function(COPY, self.signatures[COPY])
        taps, runs, image, offset, out, out_row, places = function.args

        def tap(i: ir.Value, carried: Values) -> Values:
            here = builder.gep(image, [self.entry(builder, offset, i)])
            row = builder.gep(out, [builder.mul(out_row, i)])

            def run(j: ir.Value, _: Values) -> Values:
                run_word = builder.mul(j, word(3))
                source, target, size = (self.entry(builder, places, builder.add(run_word, word(n))) for n in range(3))
                source, target = builder.gep(here, [source]), builder.gep(row, [target])

                def whole(_: ir.Value, carried: Values) -> Values:
                    vector.store(vector.load(carried[0]), carried[1])
                    return [builder.gep(pointer, [word(vector.width)]) for pointer in carried]

                # The last vector may reach over the end of the run: the next run overwrites that.
                vectors = builder.udiv(builder.add(size, word(vector.width - 1)), word(vector.width))
                loop(builder, vectors, [source, target], whole)
                return []

            loop(builder, runs, [], run)
            return []

        loop(builder, taps, [], tap)
        builder.ret_void()

    def add(self) -> None:
        """add_rows(taps, columns, columns_row, image, offset, pieces): see below."""
        function, builder, vector = self.function(ADD, self.signatures[ADD])
        taps, columns, columns_row, image, offset, pieces = function.args
        counts = [self.entry(builder, pieces, i) for i in range(len(PIECES))]
        pointers = [ir.VectorType(vector.element, max(vector.width // part, 1)).as_pointer() for part in PIECES]

        def tap(i: ir.Value, _: Values) -> Values:
            here = builder.gep(image, [self.entry(builder, offset, i)])
            row = builder.gep(columns, [builder.mul(columns_row, i)])

            def add(kind: ir.Type, place: ir.Value) -> Values:
                heads = (
                    builder.gep(here, [self.entry(builder, place, 0)]),
                    builder.gep(row, [self.entry(builder, place, 1)]),
                )
                target, source = (builder.bitcast(head, kind) for head in heads)
                found, more = (builder.load(one, align=vector.size) for one in (target, source))
                builder.store(builder.fadd(found, more), target, align=vector.size)
                return [builder.gep(place, [word(2)])]

            place = builder.gep(pieces, [word(len(PIECES))])
            for count, kind in zip(counts, pointers, strict=True):
                (place,) = loop(builder, count, [place], lambda _, carried, kind=kind: add(kind, carried[0]))
            return []

        loop(builder, taps, [], tap)
        builder.ret_void()

    def pad(self, name: str, step: int, outside: float) -> None:
        """name(rows, columns, top, bottom, left, right, image, image_row, out): see below."""
        function, builder, vector = self.function(name, self.signatures[name])
        rows, columns, top, bottom, left, right, image, image_row, out = function.args
        width = vector.width
        lane_type = ir.VectorType(ir.IntType(32), width)
        evens = ir.Constant(lane_type, list(range(0, 2 * width, 2)))
        ends = ir.Constant(ir.VectorType(BIT, width), [lane % step == 0 for lane in range(width)])
        fill = ir.Constant(vector.type, [outside] * width)

        def strip(i: ir.Value, _: Values) -> Values:
            begin = builder.mul(i, word(width))
            kept = vector.first_lanes(builder.sub(columns, begin))
            masks = []
            for part in range(step):
                low, high = (
                    builder.sub(builder.mul(builder.sub(edge, begin), word(step)), word(part * width))
                    for edge in (left, right)
                )
                inside = builder.and_(vector.first_lanes(high), builder.not_(vector.first_lanes(low)))
                masks.append(builder.and_(inside, ends))

            def zero(_: ir.Value, carried: Values) -> Values:
                vector.store(fill, carried[0], kept)
                return [builder.gep(carried[0], [columns])]

            def row(_: ir.Value, carried: Values) -> Values:
                source, target = carried
                heads = [builder.gep(source, [word(n * width)]) for n in range(step)]
                parts = [vector.load(head, mask) for head, mask in zip(heads, masks, strict=True)]
                if outside:
                    pairs = zip(masks, parts, strict=True)
                    parts = [builder.select(mask, some, fill) for mask, some in pairs]
                value = parts[0] if step == 1 else builder.shuffle_vector(*parts, evens)
                vector.store(value, target, kept)
                return [builder.gep(source, [image_row]), builder.gep(target, [columns])]

            (target,) = loop(builder, top, [builder.gep(out, [begin])], zero)
            source = builder.gep(image, [builder.mul(begin, word(step))])
            _, target = loop(builder, builder.sub(bottom, top), [source, target], row)
            loop(builder, builder.sub(rows, bottom), [target], zero)
            return []

        vectors = builder.udiv(builder.add(columns, word(width - 1)), word(width))
        loop(builder, vectors, [], strip)
        builder.ret_void()


class _HalfConvolution(_Convolution):
    """The products with vectors of half the size, which fit short lines and odd numbers of channels."""

    signatures = {name: _Convolution.signatures[name] for name in (TAPS, PIXELS, DOTS)}
    vector_bytes = VECTOR_BYTES // 2

    def emit(self) -> None:
        self.products()


_library = VectorLibrary(_Convolution, __file__)
_half = VectorLibrary(_HalfConvolution, __file__)
_half_taps, _half_pixels, _half_dots = (_half[name] for name in _HalfConvolution.signatures)
_taps, _pixels, _dots, _copy, _add, _pad, _pad_two, _low, _low_two = (
    _library[name] for name in _Convolution.signatures
)


@kernel(internal=True)
def _vector_tap_product(
    half, m, vectors, k, a, a_row, a_offset, image, image_step, offset, gap, places, c, c_row, start, start_row,
    accumulate, relu,
):  # fmt: skip
    # Tiles differ in height by one row at most: a low tile would not keep the vector units busy.
    tiles = m if image_step > 0 else (m + TILE_HEIGHTS[vectors] - 1) // TILE_HEIGHTS[vectors]
    rows = m // tiles
    higher = m - rows * tiles
    below = higher * (rows + 1)
    for height, count, first in ((rows + 1, higher, 0), (rows, tiles - higher, below)):
        if count > 0:
            args = (
                height, vectors, count, k, at(a, first * a_row), a_row, a_offset, at(image, first * image_step),
                image_step, offset, gap, places, at(c, first * c_row), c_row, at(start, first * start_row), start_row,
                accumulate, relu,
            )  # fmt: skip
            if half:
                _half_taps(args)
            else:
                _taps(args)


@kernel(internal=True)
def _vector_pixel_product(half, m, vectors, k, image, offset, pixel, b, b_row, c, c_row, accumulate):
    tiles = (m + TILE_HEIGHTS[vectors] - 1) // TILE_HEIGHTS[vectors]
    rows = m // tiles
    higher = m - rows * tiles
    for height, count, first in ((rows + 1, higher, 0), (rows, tiles - higher, higher * (rows + 1))):
        if count > 0:
            args = (
                height, vectors, count, k, image, at(offset, first), pixel, b, b_row, at(c, first * c_row), c_row,
                accumulate,
            )  # fmt: skip
            if half:
                _half_pixels(args)
            else:
                _pixels(args)


@kernel(internal=True)
def _vector_pixel_dots(half, taps, channels, lines, size, image, offset, grad, plane, places, c, c_row):
    width = lanes(c) // 2 if half else lanes(c)
    channel_tiles = (channels + DOT_CHANNELS - 1) // DOT_CHANNELS
    for j in range(channel_tiles):
        channel = j * channels // channel_tiles
        some = (j + 1) * channels // channel_tiles - channel
        tap_tiles = (taps + DOT_HEIGHTS[some] - 1) // DOT_HEIGHTS[some]
        for i in range(tap_tiles):
            tap = i * taps // tap_tiles
            args = (
                (i + 1) * taps // tap_tiles - tap, some, lines, size // width, image, at(offset, tap),
                at(grad, channel * plane), plane, places, at(c, channel * c_row + tap * width), c_row, size % width,
            )  # fmt: skip
            if half:
                _half_dots(args)
            else:
                _dots(args)


@kernel(internal=True)
def _vector_copy_rows(taps, runs, image, offset, out, out_row, places):
    _copy((taps, runs, image, offset, out, out_row, places))


@kernel(internal=True)
def _vector_add_rows(taps, columns, columns_row, image, offset, pieces):
    _add((taps, columns, columns_row, image, offset, pieces))


@kernel(internal=True)
def _plain_pad(rows, columns, top, bottom, left, right, image, image_row, step, out, outside):
    for r in range(rows):
        row, source = at(out, r * columns), at(image, (r - top) * image_row)
        for j in range(columns):
            inside = top <= r < bottom and left <= j < right
            row[j] = source[j * step] if inside else like(row[j], outside)


@kernel(internal=True)
def _plain_pad_plane(rows, columns, top, bottom, left, right, image, image_row, step, out):
    _plain_pad(rows, columns, top, bottom, left, right, image, image_row, step, out, 0.0)


@kernel(internal=True)
def _plain_pad_low(rows, columns, top, bottom, left, right, image, image_row, step, out):
    _plain_pad(rows, columns, top, bottom, left, right, image, image_row, step, out, -np.inf)


@kernel(internal=True)
def _vector_pad_low(rows, columns, top, bottom, left, right, image, image_row, step, out):
    if step == 1:
        _low((rows, columns, top, bottom, left, right, image, image_row, out))
    elif step == 2:
        _low_two((rows, columns, top, bottom, left, right, image, image_row, out))
    else:
        _plain_pad_low(rows, columns, top, bottom, left, right, image, image_row, step, out)


@kernel(internal=True)
def _vector_pad_plane(rows, columns, top, bottom, left, right, image, image_row, step, out):
    if step == 1:
        _pad((rows, columns, top, bottom, left, right, image, image_row, out))
    elif step == 2:
        _pad_two((rows, columns, top, bottom, left, right, image, image_row, out))
    else:
        _plain_pad_plane(rows, columns, top, bottom, left, right, image, image_row, step, out)


@kernel(internal=True)
def _plain_tap_product(
    half, m, vectors, k, a, a_row, a_offset, image, image_step, offset, gap, places, c, c_row, start, start_row,
    accumulate, relu,
):  # fmt: skip
    for r in range(m):
        for v in range(vectors):
            place = at(places, PLACE * v)
            source, row = at(image, r * image_step + place[0]), at(c, r * c_row + place[1])
            for j in range(place[2]):
                row[j] = row[j] if accumulate else start[r * start_row]
            for i in range(k):
                weight, pixels = a[r * a_row + a_offset[i]], at(source, offset[i])
                for j in range(place[2]):
                    row[j] += weight * pixels[j if j < place[3] else j + gap]
            for j in range(place[2]):
                row[j] = like(row[j], 0) if relu and row[j] <= 0 else row[j]


@kernel(internal=True)
def _plain_pixel_product(half, m, vectors, k, image, offset, pixel, b, b_row, c, c_row, accumulate):
    for r in range(m):
        row = at(c, r * c_row)
        for j in range(vectors * lanes(c)):
            row[j] = row[j] if accumulate else like(row[j], 0)
        for i in range(k):
            weight, other = image[offset[r] + pixel[i]], at(b, i * b_row)
            for j in range(vectors * lanes(c)):
                row[j] += weight * other[j]


@kernel(internal=True)
def _plain_pixel_dots(half, taps, channels, lines, size, image, offset, grad, plane, places, c, c_row):
    for channel in range(channels):
        sums = at(c, channel * c_row)
        for r in range(taps):
            for i in range(lines):
                x, g = at(image, offset[r] + places[2 * i]), at(grad, channel * plane + places[2 * i + 1])
                for j in range(size):
                    sums[r * lanes(c) + j % lanes(c)] += x[j] * g[j]


@kernel(internal=True)
def _plain_copy_rows(taps, runs, image, offset, out, out_row, places):
    for i in range(taps):
        for j in range(runs):
            source, target = at(image, offset[i] + places[3 * j]), at(out, i * out_row + places[3 * j + 1])
            for n in range(places[3 * j + 2]):
                target[n] = source[n]


@kernel(internal=True)
def _plain_add_rows(taps, columns, columns_row, image, offset, pieces):
    for i in range(taps):
        row, place = at(columns, i * columns_row), len(PIECES)
        for kind in range(len(PIECES)):
            for _ in range(pieces[kind]):
                target = at(image, offset[i] + pieces[place])
                for n in range(max(lanes(row) // PIECES[kind], 1)):
                    target[n] += row[pieces[place + 1] + n]
                place += 2


tap_product = _vector_tap_product if VECTOR_BITS else _plain_tap_product
"""
Inside a kernel: ``tap_product(half, m, vectors, k, a, a_row, a_offset, image, image_step, offset, gap, places, c,
c_row, start, start_row, accumulate, relu)``. Vector v of row r of the result is

    start[r * start_row], or with `accumulate` what is in c,
    + sum over i < k of a[r * a_row + a_offset[i]] * image[r * image_step + places[4 v] + offset[i] + lane],

raised to zero with `relu`; its first ``places[4 v + 2]`` lanes go to ``c[r * c_row + places[4 v + 1]]``. Lanes from
``places[4 v + 3]`` on are read `gap` further in the image (where `SPLITS` is false, there may be none). Here and
below, arrays are pointers made by `at`, to float32 or float64, and to int64 for tables. Whole vectors are read; with
`half`, vectors have half the size everywhere (not in plain loops, where `half` must be false).
"""
pixel_product = _vector_pixel_product if VECTOR_BITS else _plain_pixel_product
"""
Inside a kernel: ``pixel_product(half, m, vectors, k, image, offset, pixel, b, b_row, c, c_row, accumulate)`` sets,
or with `accumulate` adds to, so many whole vectors of row r of c

    sum over i < k of image[offset[r] + pixel[i]] * b[i * b_row + lane].
"""
pixel_dots = _vector_pixel_dots if VECTOR_BITS else _plain_pixel_dots
"""
Inside a kernel: ``pixel_dots(half, taps, channels, lines, size, image, offset, grad, plane, places, c, c_row)`` adds to
the vectors ``c[n * c_row + r * lanes]``, for r < taps and n < channels,

    sum over i < lines, j < size of image[offset[r] + places[2 i] + j] * grad[n * plane + places[2 i + 1] + j]

in such a way that lane l gets the terms with j = l modulo the number of lanes.
"""
copy_rows = _vector_copy_rows if VECTOR_BITS else _plain_copy_rows
"""
Inside a kernel: ``copy_rows(taps, runs, image, offset, out, out_row, places)`` copies for every tap i and run j
``places[3 j + 2]`` numbers from ``image[offset[i] + places[3 j]]`` to ``out[i * out_row + places[3 j + 1]]``. Whole
vectors are read and written, in the order of the runs.
"""
add_rows = _vector_add_rows if VECTOR_BITS else _plain_add_rows
"""
Inside a kernel: ``add_rows(taps, columns, columns_row, image, offset, pieces)``, the way back of `copy_rows`. For
every tap i and piece, ``columns[i * columns_row + source]`` and so on is added to ``image[offset[i] + target]`` and so
on. `pieces` lists how many pieces there are of each of the sizes that `PIECES` names, then target and source of each.
"""
pad_plane = _vector_pad_plane if VECTOR_BITS else _plain_pad_plane
"""
Inside a kernel: ``pad_plane(rows, columns, top, bottom, left, right, image, image_row, step, out)`` fills a plane with
zeros, but lines [top, bottom) and columns [left, right) of it with every step-th number of the image's lines. Column 0
of line `top` is ``image[0]``; what lies left of column `left` is not read.
"""
pad_low = _vector_pad_low if VECTOR_BITS else _plain_pad_low
"""Inside a kernel: `pad_plane` with minus infinity around the image."""
