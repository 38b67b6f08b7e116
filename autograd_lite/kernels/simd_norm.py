"""Vector code of batch norm: passes over the rows of a tile, four rows at a time.

A tile is `size` neighbouring numbers of each of `count` rows that lie `pitch` apart. Its working arrays, `TILE` numbers
each, hold for every column a mean, a scale, a shift and so on. Four rows share each load of them, and sums are stored
once for four rows, which halves the traffic to the first-level cache. Rows are added in their order, one after the
other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .jit import kernel
from .scalar import like
from .simd import at, lanes
from .simd_library import VECTOR_BITS, Emitter, Values, VectorLibrary, Vectors, loop, word
from .simd_pool import Lanes

TILE = np.int64(512)
"""Numbers of a row that are taken at a time; working arrays of this length stay in the L1 cache.
(A plain int would be a literal to Numba, which would compile the helpers once for each.)"""
TOGETHER = 4
"""Rows that share the loads of the working arrays."""

MOMENTS, SCALE, SUMS, GRADIENT = "norm_moments", "norm_scale", "norm_sums", "norm_gradient"
POOL_SCALE, POOL_SUMS, POOL_GRADIENT = "norm_pool_scale", "norm_pool_sums", "norm_pool_gradient"


class _Norm(Emitter):
    signatures = {
        MOMENTS: "wwpwp", SCALE: "wwpwpbpw", SUMS: "wwpwpwpb", GRADIENT: "wwpwpwpbp",
        POOL_SCALE: "wwwpwppcw", POOL_SUMS: "wwwpcwpwp", POOL_GRADIENT: "wwwpcwpwpp",
    }  # fmt: skip

    def emit(self) -> None:
        self.moments()
        self.scale()
        self.sums()
        self.gradient()
        self.pool_scale()
        self.pool_sums()
        self.pool_gradient()

    def sweep(
        self, builder: ir.IRBuilder, vector: Vectors, count: ir.Value, size: ir.Value,
        streams: list[tuple[ir.Value, ir.Value]], work: ir.Value, arrays: int, body: Callable[..., None],
    ) -> None:  # fmt: skip
        """Emit ``body(rows, columns, mask)`` for all rows and vectors of a tile: pointers into the streams for each
        row taken together, and pointers into the first so many working arrays."""

        def rows(number: int, heads: Values) -> Values:
            def columns(offset: ir.Value, mask: ir.Value | None) -> None:
                mine = [
                    [
                        builder.gep(head, [builder.add(builder.mul(pitch, word(n)), offset)])
                        for head, (_, pitch) in zip(heads, streams, strict=True)
                    ]
                    for n in range(number)
                ]
                spots = [builder.gep(work, [builder.add(offset, word(int(TILE) * i))]) for i in range(arrays)]
                body(mine, spots, mask)

            def whole(i: ir.Value, _: Values) -> Values:
                columns(builder.mul(i, word(vector.width)), None)
                return []

            vectors = builder.udiv(size, word(vector.width))
            loop(builder, vectors, [], whole)
            rest = builder.urem(size, word(vector.width))
            with builder.if_then(builder.icmp_signed(">", rest, word(0))):
                columns(builder.mul(vectors, word(vector.width)), vector.first_lanes(rest))
            return [
                builder.gep(head, [builder.mul(pitch, word(number))])
                for head, (_, pitch) in zip(heads, streams, strict=True)
            ]

        heads = [head for head, _ in streams]
        heads = loop(builder, builder.udiv(count, word(TOGETHER)), heads, lambda _, h: rows(TOGETHER, h))
        loop(builder, builder.urem(count, word(TOGETHER)), heads, lambda _, h: rows(1, h))

    def moments(self) -> None:
        """name(count, size, x, pitch, work): see below."""
        function, builder, vector = self.function(MOMENTS, self.signatures[MOMENTS])
        count, size, x, pitch, work = function.args

        def body(rows: list[Values], spots: Values, mask: Any) -> None:
            mean, first, second = (vector.load(spot, mask) for spot in spots)
            for (place,) in rows:
                d = builder.fsub(vector.load(place, mask), mean)
                first, second = builder.fadd(first, d), vector.fma(d, d, second)
            vector.store(first, spots[1], mask)
            vector.store(second, spots[2], mask)

        self.sweep(builder, vector, count, size, [(x, pitch)], work, 3, body)
        builder.ret_void()

    def scale(self) -> None:
        """name(count, size, x, pitch, work, relu, out, out_pitch): see below."""
        function, builder, vector = self.function(SCALE, self.signatures[SCALE])
        count, size, x, pitch, work, relu, out, out_pitch = function.args
        mask_of_relu = vector.splat(relu)

        def body(rows: list[Values], spots: Values, mask: Any) -> None:
            mean, factor, shift = (vector.load(spot, mask) for spot in spots)
            for place, target in rows:
                y = vector.fma(builder.fsub(vector.load(place, mask), mean), factor, shift)
                low = builder.and_(mask_of_relu, builder.fcmp_ordered("<=", y, vector.zero))
                vector.store(builder.select(low, vector.zero, y), target, mask)

        self.sweep(builder, vector, count, size, [(x, pitch), (out, out_pitch)], work, 3, body)
        builder.ret_void()

    def passed(
        self, builder: ir.IRBuilder, vector: Vectors, spots: Values, relu: bool, mask: Any
    ) -> Callable[[ir.Value, ir.Value], tuple[ir.Value, ir.Value]]:
        """What gives ``x - mean`` and the gradient that has passed the ReLU, from where they lie."""
        mean = vector.load(spots[0], mask)
        factor, shift = (vector.load(spot, mask) for spot in spots[1:3])

        def load(place: ir.Value, source: ir.Value) -> tuple[ir.Value, ir.Value]:
            d, g = builder.fsub(vector.load(place, mask), mean), vector.load(source, mask)
            if relu:
                low = builder.fcmp_ordered("<=", vector.fma(d, factor, shift), vector.zero)
                g = builder.select(low, vector.zero, g)
            return d, g

        return load

    def sums(self) -> None:
        """name(count, size, grad, grad_pitch, x, pitch, work, relu): see below."""
        function, builder, vector = self.function(SUMS, self.signatures[SUMS])
        count, size, grad, grad_pitch, x, pitch, work, relu = function.args

        def emit(with_relu: bool) -> None:
            def body(rows: list[Values], spots: Values, mask: Any) -> None:
                load = self.passed(builder, vector, spots, with_relu, mask)
                first, second = (vector.load(spot, mask) for spot in spots[3:])
                for place, source in rows:
                    d, g = load(place, source)
                    first, second = builder.fadd(first, g), vector.fma(g, d, second)
                vector.store(first, spots[3], mask)
                vector.store(second, spots[4], mask)

            self.sweep(builder, vector, count, size, [(x, pitch), (grad, grad_pitch)], work, 5, body)

        with builder.if_else(relu) as (some, others):
            with some:
                emit(True)
            with others:
                emit(False)
        builder.ret_void()

    def gradient(self) -> None:
        """name(count, size, grad, grad_pitch, x, pitch, work, relu, dx): see below."""
        function, builder, vector = self.function(GRADIENT, self.signatures[GRADIENT])
        count, size, grad, grad_pitch, x, pitch, work, relu, dx = function.args

        def emit(with_relu: bool) -> None:
            def body(rows: list[Values], spots: Values, mask: Any) -> None:
                load = self.passed(builder, vector, spots, with_relu, mask)
                factor, level, slope = (vector.load(spots[i], mask) for i in (1, 3, 4))
                for place, source, target in rows:
                    d, g = load(place, source)
                    vector.store(vector.fma(factor, g, vector.fma(slope, d, level)), target, mask)

            streams = [(x, pitch), (grad, grad_pitch), (dx, pitch)]
            self.sweep(builder, vector, count, size, streams, work, 5, body)

        with builder.if_else(relu) as (some, others):
            with some:
                emit(True)
            with others:
                emit(False)
        builder.ret_void()


    def pool_scale(self) -> None:
        """name(count, blocks, line, x, pitch, work, out, where, pooled_pitch): see below."""
        function, builder, vector = self.lanes(POOL_SCALE)
        count, blocks, line, x, pitch, work, out, where, pooled_pitch = function.args

        def body(kind: int, rows: list[Values], spots: Any) -> None:
            mean, factor, shift = ([vector.load(place) for place in spots(i)] for i in range(3))
            for row in rows:
                x, out, where = row
                values = [vector.load(place) for place in self.block(builder, vector, x)]
                y = [
                    vector.fma(builder.fsub(value, m), f, s)
                    for value, m, f, s in zip(values, mean, factor, shift, strict=True)
                ]
                top, top_next, bottom, bottom_next = self.lines(vector, y, kind)
                four = [*vector.part(top, top_next), *vector.part(bottom, bottom_next)]
                best, found = vector.largest(four, relu=True)
                vector.store(best, out)
                vector.store_codes(found, where, None)

        streams = [(x, pitch, 4), (out, pooled_pitch, 1), (where, pooled_pitch, 1)]
        self.over_blocks(builder, vector, count, blocks, line, streams, work, body)
        builder.ret_void()

    def pool_sums(self) -> None:
        """name(count, blocks, line, grad, where, pooled_pitch, x, pitch, work): see below."""
        function, builder, vector = self.lanes(POOL_SUMS)
        count, blocks, line, grad, where, pooled_pitch, x, pitch, work = function.args

        def body(kind: int, rows: list[Values], spots: Any) -> None:
            mean, first, second = ([vector.load(place) for place in spots(i)] for i in (0, 3, 4))
            for row in rows:
                x, grad, where = row
                given = self.expanded(vector, grad, where, kind)
                for i, place in enumerate(self.block(builder, vector, x)):
                    d = builder.fsub(vector.load(place), mean[i])
                    first[i] = builder.fadd(first[i], given[i])
                    second[i] = vector.fma(given[i], d, second[i])
            for values, array in ((first, 3), (second, 4)):
                for value, place in zip(values, spots(array), strict=True):
                    vector.store(value, place)

        streams = [(x, pitch, 4), (grad, pooled_pitch, 1), (where, pooled_pitch, 1)]
        self.over_blocks(builder, vector, count, blocks, line, streams, work, body)
        builder.ret_void()

    def pool_gradient(self) -> None:
        """name(count, blocks, line, grad, where, pooled_pitch, x, pitch, work, dx): see below."""
        function, builder, vector = self.lanes(POOL_GRADIENT)
        count, blocks, line, grad, where, pooled_pitch, x, pitch, work, dx = function.args

        def body(kind: int, rows: list[Values], spots: Any) -> None:
            mean, factor, level, slope = ([vector.load(place) for place in spots(i)] for i in (0, 1, 3, 4))
            for row in rows:
                x, grad, where, dx = row
                given, targets = self.expanded(vector, grad, where, kind), self.block(builder, vector, dx)
                for i, place in enumerate(self.block(builder, vector, x)):
                    d = builder.fsub(vector.load(place), mean[i])
                    rest = vector.fma(slope[i], d, level[i])
                    vector.store(vector.fma(factor[i], given[i], rest), targets[i])

        streams = [(x, pitch, 4), (grad, pooled_pitch, 1), (where, pooled_pitch, 1), (dx, pitch, 4)]
        self.over_blocks(builder, vector, count, blocks, line, streams, work, body)
        builder.ret_void()

    def lanes(self, name: str) -> tuple[ir.Function, ir.IRBuilder, Lanes]:
        function, builder, _ = self.function(name, self.signatures[name])
        return function, builder, Lanes(builder, self.size, self.vector_bytes)

    def block(self, builder: ir.IRBuilder, vector: Vectors, head: ir.Value) -> Values:
        """The places of four vectors one after the other."""
        return [builder.gep(head, [word(i * vector.width)]) for i in range(4)]

    def lines(self, vector: Lanes, block: Values, kind: int) -> Values:
        """Two vectors of upper lines and two of the lines below them, of a block as it lies in memory."""
        first, second, third, fourth = block
        if kind == 2:  # a line is two vectors
            return [first, second, third, fourth]
        if kind == 1:
            return [first, third, second, fourth]
        (top, bottom), (top_next, bottom_next) = vector.halves(first, second), vector.halves(third, fourth)
        return [top, top_next, bottom, bottom_next]

    def expanded(self, vector: Lanes, grad: ir.Value, where: ir.Value, kind: int) -> Values:
        """The gradient of a block, as it lies in memory, from that of its maxima."""
        shares = vector.shares(vector.load(grad), vector.load_codes(where, None))
        top, top_next = vector.join(shares[0], shares[1])
        bottom, bottom_next = vector.join(shares[2], shares[3])
        if kind == 2:
            return [top, top_next, bottom, bottom_next]
        if kind == 1:
            return [top, bottom, top_next, bottom_next]
        return [*vector.halves(top, bottom), *vector.halves(top_next, bottom_next)]

    def over_blocks(
        self, builder: ir.IRBuilder, vector: Vectors, count: ir.Value, blocks: ir.Value, line: ir.Value,
        streams: list[tuple[ir.Value, ir.Value, int]], work: ir.Value, body: Callable[..., None],
    ) -> None:  # fmt: skip
        """Emit ``body(line, rows, spots)`` for all rows and blocks: for each row taken together where the block begins
        in each stream (of which it has so many vectors), and what gives the places in a working array."""

        def rows(kind: int, number: int, heads: Values) -> Values:
            def some(i: ir.Value, _: Values) -> Values:
                start = builder.mul(i, word(vector.width))
                mine = [
                    [
                        builder.gep(head, [builder.add(builder.mul(pitch, word(n)), builder.mul(start, word(size)))])
                        for head, (_, pitch, size) in zip(heads, streams, strict=True)
                    ]
                    for n in range(number)
                ]
                own = builder.gep(work, [builder.mul(start, word(4))])
                body(kind, mine, lambda i: self.block(builder, vector, builder.gep(own, [word(int(TILE) * i)])))
                return []

            loop(builder, blocks, [], some)
            return [
                builder.gep(head, [builder.mul(pitch, word(number))])
                for head, (_, pitch, _) in zip(heads, streams, strict=True)
            ]

        after = builder.append_basic_block("after")
        switch = builder.switch(line, after)
        for kind in range(3):
            with builder.goto_block(builder.append_basic_block()):
                switch.add_case(word(kind), builder.block)
                heads = [head for head, _, _ in streams]
                together, apart = (builder.udiv(count, word(TOGETHER)), builder.urem(count, word(TOGETHER)))
                heads = loop(builder, together, heads, lambda _, h, kind=kind: rows(kind, TOGETHER, h))
                loop(builder, apart, heads, lambda _, h, kind=kind: rows(kind, 1, h))
                builder.branch(after)
        builder.position_at_end(after)


_library = VectorLibrary(_Norm, __file__)
_moments, _scale, _sums, _gradient, _pool_scale, _pool_sums, _pool_gradient = (
    _library[name] for name in _Norm.signatures
)


@kernel(internal=True)
def _vector_add_moments(count, size, x, pitch, work):
    _moments((count, size, x, pitch, work))


@kernel(internal=True)
def _vector_scale_rows(count, size, x, pitch, work, relu, out, out_pitch):
    _scale((count, size, x, pitch, work, relu, out, out_pitch))


@kernel(internal=True)
def _vector_add_gradients(count, size, grad, grad_pitch, x, pitch, work, relu):
    _sums((count, size, grad, grad_pitch, x, pitch, work, relu))


@kernel(internal=True)
def _vector_gradient_rows(count, size, grad, grad_pitch, x, pitch, work, relu, dx):
    _gradient((count, size, grad, grad_pitch, x, pitch, work, relu, dx))


@kernel(internal=True)
def line_vectors(line, width, size):
    """Vectors in a line, 0 for half of one; -1 where the functions for pooled tiles do not know such lines or sizes."""
    if VECTOR_BITS == 0 or size % (4 * width) != 0:
        return -1
    if line == 2 * width:
        return 2
    if line == width:
        return 1
    return 0 if 2 * line == width else -1


@kernel(internal=True)
def _vector_pool_rows(count, size, vectors, x, pitch, work, out, where, pooled_pitch):
    _pool_scale((count, size // (4 * lanes(work)), vectors, x, pitch, work, out, where, pooled_pitch))


@kernel(internal=True)
def _vector_add_pooled(count, size, vectors, grad, where, pooled_pitch, x, pitch, work):
    _pool_sums((count, size // (4 * lanes(work)), vectors, grad, where, pooled_pitch, x, pitch, work))


@kernel(internal=True)
def _vector_pooled_rows(count, size, vectors, grad, where, pooled_pitch, x, pitch, work, dx):
    _pool_gradient((count, size // (4 * lanes(work)), vectors, grad, where, pooled_pitch, x, pitch, work, dx))


@kernel(internal=True)
def _no_pool_rows(count, size, vectors, x, pitch, work, out, where, pooled_pitch):
    return


@kernel(internal=True)
def _no_add_pooled(count, size, vectors, grad, where, pooled_pitch, x, pitch, work):
    return


@kernel(internal=True)
def _no_pooled_rows(count, size, vectors, grad, where, pooled_pitch, x, pitch, work, dx):
    return


@kernel(internal=True)
def _plain_add_moments(count, size, x, pitch, work):
    for n in range(count):
        row = at(x, n * pitch)
        for j in range(size):
            d = row[j] - work[j]
            work[TILE + j] += d
            work[2 * TILE + j] += d * d


@kernel(internal=True)
def _plain_scale_rows(count, size, x, pitch, work, relu, out, out_pitch):
    for n in range(count):
        row, target = at(x, n * pitch), at(out, n * out_pitch)
        for j in range(size):
            y = (row[j] - work[j]) * work[TILE + j] + work[2 * TILE + j]
            target[j] = like(y, 0) if relu and y <= 0 else y


@kernel(internal=True)
def _plain_add_gradients(count, size, grad, grad_pitch, x, pitch, work, relu):
    for n in range(count):
        row, source = at(x, n * pitch), at(grad, n * grad_pitch)
        for j in range(size):
            d = row[j] - work[j]
            g = like(d, 0) if relu and d * work[TILE + j] + work[2 * TILE + j] <= 0 else source[j]
            work[3 * TILE + j] += g
            work[4 * TILE + j] += g * d


@kernel(internal=True)
def _plain_gradient_rows(count, size, grad, grad_pitch, x, pitch, work, relu, dx):
    for n in range(count):
        row, source, target = at(x, n * pitch), at(grad, n * grad_pitch), at(dx, n * pitch)
        for j in range(size):
            d = row[j] - work[j]
            g = like(d, 0) if relu and d * work[TILE + j] + work[2 * TILE + j] <= 0 else source[j]
            target[j] = work[TILE + j] * g + (work[4 * TILE + j] * d + work[3 * TILE + j])


add_moments = _vector_add_moments if VECTOR_BITS else _plain_add_moments
"""
Inside a kernel: ``add_moments(count, size, x, pitch, work)`` adds to the second and third working array the sums over
the rows of ``d = x - mean`` and of its square; the first holds the means. Here and below, arrays are pointers made
by `at`.
"""
scale_rows = _vector_scale_rows if VECTOR_BITS else _plain_scale_rows
"""
Inside a kernel: ``scale_rows(count, size, x, pitch, work, relu, out, out_pitch)`` sets the rows of `out` to
``(x - mean) * scale + shift``, raised to zero with `relu`; the working arrays hold mean, scale and shift.
"""
add_gradients = _vector_add_gradients if VECTOR_BITS else _plain_add_gradients
"""
Inside a kernel: ``add_gradients(count, size, grad, grad_pitch, x, pitch, work, relu)`` adds to the fourth and fifth
working array the sums over the rows of the gradient before the ReLU, if there is one, and of its product with
``x - mean``; the first three are those of `scale_rows`.
"""
gradient_rows = _vector_gradient_rows if VECTOR_BITS else _plain_gradient_rows
"""
Inside a kernel: ``gradient_rows(count, size, grad, grad_pitch, x, pitch, work, relu, dx)`` sets the rows of `dx` to
``scale * g + (slope * (x - mean) + level)`` for the gradient g before the ReLU; the first three working arrays are
those of `scale_rows`, the fourth and fifth hold level and slope.
"""
pool_rows = _vector_pool_rows if VECTOR_BITS else _no_pool_rows
"""
Inside a kernel: ``pool_rows(count, size, vectors, x, pitch, work, out, where, pooled_pitch)`` is `scale_rows`,
followed by a ReLU and the maximum over windows of 2x2 in lines of so many vectors (see `line_vectors`); codes as in
`simd_pool`.
"""
add_pooled = _vector_add_pooled if VECTOR_BITS else _no_add_pooled
"""
Inside a kernel: ``add_pooled(count, size, vectors, grad, where, pooled_pitch, x, pitch, work)`` is `add_gradients` for
the gradient of what `pool_rows` gives.
"""
pooled_rows = _vector_pooled_rows if VECTOR_BITS else _no_pooled_rows
"""
Inside a kernel: ``pooled_rows(count, size, vectors, grad, where, pooled_pitch, x, pitch, work, dx)`` is `gradient_rows`
likewise.
"""
