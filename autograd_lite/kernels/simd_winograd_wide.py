"""Vector code of Winograd's convolution with 5x5 windows: the six transforms, on rows of tiles of 2x2 outputs.

See `simd_winograd` for the method. With the six points that serve 4x4 outputs of 3x3 windows there, 2x2 outputs of
5x5 windows take 36 multiplications instead of 100: the image's part of the transforms is the same, the window's and
the output's change places. The gradient to the image is the transpose in d, ``B ((G g G') * (A y A')) B'``.

Images and points are of vectors: a pixel is one vector, of as many images as it has lanes. Neighbouring patches share
four of six columns, so a row of them is transformed down its columns first, into a buffer, and then along its rows,
with what is shared kept in registers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from . import simd_winograd
from .simd_library import Emitter, Values, VectorLibrary, Vectors, loop, word
from .simd_winograd import (
    _AT_FAR,
    _AT_NEAR,
    _AT_ZERO,
    _FAR,
    _FAR_2,
    _NEAR,
    _NEAR_2,
    Line,
    _both_ways,
    _Number,
    _patch,
)

WIDE_TAPS, WIDE_POINTS = 25, 36
"""Of a window, and of its tile of 2x2 outputs."""
_EDGE = 6
_SHARED = _EDGE - 2


def _wide_gradient(y: Any) -> Any:
    near, far = y[1] * _NEAR, y[1] * _FAR
    return y[0], y[0] + near, y[0] - near, y[0] + far, y[0] - far, y[1]


def _wide_output(m: Any) -> Any:
    return m[0] + (m[1] + m[2]) + (m[3] + m[4]), (m[1] - m[2]) * _NEAR + (m[3] - m[4]) * _FAR + m[5]


def _wide_weight(g: Any) -> Any:
    near, near_odd = (
        ((g[4] * _NEAR_2 + g[2]) * _NEAR_2 + g[0]) * _AT_NEAR, (g[3] * _NEAR_2 + g[1]) * (_NEAR * _AT_NEAR)
    )  # fmt: skip
    far, far_odd = ((g[4] * _FAR_2 + g[2]) * _FAR_2 + g[0]) * _AT_FAR, (g[3] * _FAR_2 + g[1]) * (_FAR * _AT_FAR)
    return g[0] * _AT_ZERO, near + near_odd, near - near_odd, far + far_odd, far - far_odd, g[4]


def _wide_weight_gradient(u: Any) -> Any:
    near, near_odd = (u[1] + u[2]) * _AT_NEAR, (u[1] - u[2]) * (_NEAR * _AT_NEAR)
    far, far_odd = (u[3] + u[4]) * _AT_FAR, (u[3] - u[4]) * (_FAR * _AT_FAR)
    return (
        u[0] * _AT_ZERO + near + far, near_odd + far_odd, near * _NEAR_2 + far * _FAR_2,
        near_odd * _NEAR_2 + far_odd * _FAR_2, u[5] + near * _NEAR_2**2 + far * _FAR_2**2,
    )  # fmt: skip


def _patch_gradient(p: Any) -> Any:
    near, near_odd = p[1] + p[2], (p[1] - p[2]) * _NEAR
    far, far_odd = p[3] + p[4], (p[3] - p[4]) * _FAR
    both, all_four = _NEAR_2 + _FAR_2, _NEAR_2 * _FAR_2
    return (
        p[0] * all_four, p[5] * all_four - near_odd * _FAR_2 - far_odd * _NEAR_2,
        -(p[0] * both) - near * _FAR_2 - far * _NEAR_2, near_odd + far_odd - p[5] * both, p[0] + near + far, p[5],
    )  # fmt: skip


PATCH, GRADIENT, OUTPUT, PATCH_GRADIENT, WEIGHT, WEIGHT_GRADIENT = (
    "wide_patch", "wide_gradient", "wide_output", "wide_patch_gradient", "wide_weight", "wide_weight_gradient",
)  # fmt: skip


class _Wide(Emitter):
    signatures = {
        PATCH: "wpwppww", GRADIENT: "wpwpwwp", OUTPUT: "wpwwpwppb", PATCH_GRADIENT: "wpwwppwp", WEIGHT: "wpwpw",
        WEIGHT_GRADIENT: "wpwpw",
    }  # fmt: skip

    def emit(self) -> None:
        self.patch()
        self.gradient()
        self.output()
        self.patch_gradient()
        self.points(WEIGHT, _wide_weight, WIDE_TAPS)
        self.points(WEIGHT_GRADIENT, _wide_weight_gradient, WIDE_POINTS)

    @staticmethod
    def loads(vector: Vectors, head: ir.Value, step: ir.Value, count: int) -> list[_Number]:
        builder = vector.builder
        heads = [builder.gep(head, [builder.mul(step, word(i))]) for i in range(count)]
        return [_Number(vector, vector.load(one)) for one in heads]

    @staticmethod
    def stores(vector: Vectors, values: list[_Number], head: ir.Value, step: ir.Value) -> None:
        builder = vector.builder
        for i, value in enumerate(values):
            vector.store(value.value, builder.gep(head, [builder.mul(step, word(i))]))

    @staticmethod
    def columns(builder: ir.IRBuilder, vector: Vectors, tiles: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Of a row of tiles: columns that its patches have, and how far it is from row to row of the buffer."""
        columns = builder.add(builder.mul(tiles, word(2)), word(_SHARED))
        return columns, builder.mul(columns, word(vector.width))

    def patch(self) -> None:
        """name(tiles, image, image_row, buffer, out, out_tile, out_point): from pixels to points."""
        function, builder, vector = self.function(PATCH, self.signatures[PATCH])
        tiles, image, image_row, buffer, out, out_tile, out_point = function.args
        columns, buffer_row = self.columns(builder, vector, tiles)
        one, two = word(vector.width), word(2 * vector.width)

        def column(_: ir.Value, carried: Values) -> Values:
            self.stores(vector, _patch(self.loads(vector, carried[0], image_row, _EDGE)), carried[1], buffer_row)
            return [builder.gep(now, [one]) for now in carried]

        def row(_: ir.Value, carried: Values) -> Values:
            def tile(_: ir.Value, carried: Values) -> Values:
                source, out, *shared = carried
                seen = [*(_Number(vector, value) for value in shared), *self.loads(vector, source, one, 2)]
                self.stores(vector, _patch(seen), out, out_point)
                return [builder.gep(source, [two]), builder.gep(out, [out_tile]), *(n.value for n in seen[2:])]

            source, out = carried
            shared = [n.value for n in self.loads(vector, source, one, _SHARED)]
            loop(builder, tiles, [builder.gep(source, [word(_SHARED * vector.width)]), out, *shared], tile)
            return [builder.gep(source, [buffer_row]), builder.gep(out, [builder.mul(out_point, word(_EDGE))])]

        loop(builder, columns, [image, buffer], column)
        loop(builder, word(_EDGE), [buffer, out], row)
        builder.ret_void()

    def patch_gradient(self) -> None:
        """name(tiles, points, tile, point, buffer, image, image_row, check): from points to pixels, to which they are
        added."""
        function, builder, vector = self.function(PATCH_GRADIENT, self.signatures[PATCH_GRADIENT])
        tiles, points, tile_step, point_step, buffer, image, image_row, check = function.args
        columns, buffer_row = self.columns(builder, vector, tiles)
        one, two = word(vector.width), word(2 * vector.width)

        def row(_: ir.Value, carried: Values) -> Values:
            def tile(_: ir.Value, carried: Values) -> Values:
                points, target, *shared = carried
                sums = list(_patch_gradient(self.loads(vector, points, point_step, _EDGE)))
                for i, value in enumerate(shared):
                    sums[i] += _Number(vector, value)
                self.stores(vector, sums[:2], target, one)
                return [builder.gep(points, [tile_step]), builder.gep(target, [two]), *(n.value for n in sums[2:])]

            points, target = carried
            _, last, *shared = loop(builder, tiles, [points, target, *[vector.zero] * _SHARED], tile)
            self.stores(vector, [_Number(vector, value) for value in shared], last, one)
            return [builder.gep(points, [builder.mul(point_step, word(_EDGE))]), builder.gep(target, [buffer_row])]

        def column(_: ir.Value, carried: Values) -> Values:
            source, target, seen = carried
            more = _patch_gradient(self.loads(vector, source, buffer_row, _EDGE))
            found = self.loads(vector, target, image_row, _EDGE)
            sums = [before + new for before, new in zip(found, more, strict=True)]
            self.stores(vector, sums, target, image_row)
            return [builder.gep(source, [one]), builder.gep(target, [one]), self.check(vector, sums, seen)]

        loop(builder, word(_EDGE), [points, buffer], row)
        vector.store(loop(builder, columns, [buffer, image, vector.load(check)], column)[2], check)
        builder.ret_void()

    @staticmethod
    def check(vector: Vectors, values: list[_Number], seen: ir.Value) -> ir.Value:
        """`seen`, or NaN where a value is not finite."""
        return vector.fma(sum(values[1:], values[0]).value, vector.zero, seen)

    def gradient(self) -> None:
        """name(tiles, image, image_row, out, out_tile, out_point, sums): from gradients to points, and the sums of
        gradients added to `sums`."""
        function, builder, vector = self.function(GRADIENT, self.signatures[GRADIENT])
        tiles, image, image_row, out, out_tile, out_point, sums = function.args
        one = word(vector.width)

        def tile(_: ir.Value, carried: Values) -> Values:
            image, out, total = carried
            heads = image, builder.gep(image, [image_row])
            block = [number for head in heads for number in self.loads(vector, head, one, 2)]
            self.stores(vector, _both_ways(_wide_gradient, block), out, out_point)
            total = builder.fadd(total, sum(block[1:], block[0]).value)
            return [builder.gep(image, [word(2 * vector.width)]), builder.gep(out, [out_tile]), total]

        vector.store(loop(builder, tiles, [image, out, vector.load(sums)], tile)[2], sums)
        builder.ret_void()

    def output(self) -> None:
        """name(tiles, points, tile, point, image, image_row, start, check, relu): from points to pixels, plus the
        number at `start`."""
        function, builder, vector = self.function(OUTPUT, self.signatures[OUTPUT])
        tiles, points, tile_step, point_step, image, image_row, start, check, relu = function.args
        first, relu_mask = vector.splat(builder.load(start)), vector.splat(relu)

        def tile(_: ir.Value, carried: Values) -> Values:
            points, image, seen = carried
            pixels = _both_ways(_wide_output, self.loads(vector, points, point_step, WIDE_POINTS))
            seen = self.check(vector, pixels, seen)
            for i, pixel in enumerate(pixels):
                value = builder.fadd(pixel.value, first)
                low = builder.and_(relu_mask, builder.fcmp_ordered("<=", value, vector.zero))
                head = builder.gep(image, [builder.mul(image_row, word(i // 2))])
                vector.store(builder.select(low, vector.zero, value), builder.gep(head, [word(i % 2 * vector.width)]))
            return [builder.gep(points, [tile_step]), builder.gep(image, [word(2 * vector.width)]), seen]

        vector.store(loop(builder, tiles, [points, image, vector.load(check)], tile)[2], check)
        builder.ret_void()

    def points(self, name: str, line: Line, count: int) -> None:
        """name(vectors, a, a_point, out, out_point): from a block of points to another."""
        function, builder, vector = self.function(name, self.signatures[name])
        vectors, a, a_point, out, out_point = function.args

        def some(_: ir.Value, carried: Values) -> Values:
            a, out = carried
            self.stores(vector, _both_ways(line, self.loads(vector, a, a_point, count)), out, out_point)
            return [builder.gep(now, [word(vector.width)]) for now in carried]

        loop(builder, vectors, [a, out], some)
        builder.ret_void()


_library = VectorLibrary(_Wide, __file__, simd_winograd.__file__)
wide_patch, wide_gradient, wide_output, wide_patch_gradient, wide_weight, wide_weight_gradient = (
    _library[name] for name in _Wide.signatures
)
"""Inside a kernel, each with a tuple of arguments; pointers are made by `at`, and steps count elements.

- ``wide_patch((tiles, image, image_row, buffer, out, out_tile, out_point))``: the points of patches of 6x6 pixels, of
  which each begins two pixels after the one before; point p of tile t is left at ``out[p * out_point + t * out_tile]``.
  The buffer holds ``6 * (2 * tiles + 4)`` vectors.
- ``wide_gradient((tiles, image, image_row, out, out_tile, out_point, sums))``: the points of gradients of 2x2 outputs,
  and the gradients' sum added to the vector `sums`.
- ``wide_output((tiles, points, tile, point, image, image_row, start, check, relu))``: the 2x2 outputs of points,
  plus the number at `start`, raised to zero with `relu`. What is not finite leaves a NaN in the vector `check`.
- ``wide_patch_gradient((tiles, points, tile, point, buffer, image, image_row, check))``: the way back of `wide_patch`,
  added to the image.
- ``wide_weight((vectors, weight, weight_point, out, out_point))``: the points of windows.
- ``wide_weight_gradient((vectors, points, point, out, out_point))``: the gradients of windows from their points'.
"""
