"""Vector code of Winograd's convolution: the five transforms, each on as many channels at a time as lanes.

The outputs of a 3-tap window along a line of d are coefficients of a product of two polynomials, which is found from
its values at points (Winograd, "Arithmetic complexity of computations", SIAM 1980). With matrices B' for the values
of the data, G for those of the window g and A' for the way back, over two axes at once, m x m neighbouring outputs
are ``A' ((G g G') * (B' d B)) A`` for a patch d of (m + 2) x (m + 2) pixels (Lavin and Gray, "Fast algorithms for
convolutional neural networks", CVPR 2016, section 4.1): for m = 2, 16 multiplications instead of 36; for m = 4, 36
instead of 144. Summed over channels, each of the (m + 2)^2 values is a matrix product. The weight's gradient is the
transpose of this in g, ``G' ((A y A') * (B' d B)) G`` for output gradients y.

The points are 0, 1, -1 and infinity for m = 2; for m = 4, 0, 3/4, -3/4, 3/2, -3/2 and infinity, with which rounding
errors are a third of what the usual 0, 1, -1, 2, -2 give (on such choices: Barabasz, Anderson, Soodhalter and Gregg,
"Error analysis and improving the accuracy of Winograd convolution for deep neural networks", ACM TOMS 46(4), 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isqrt
from typing import Any

from llvmlite import ir

from .jit import kernel
from .simd_library import Emitter, Values, VectorLibrary, Vectors, loop, word

SMALL, LARGE = 2, 4
"""Outputs along each axis of a tile."""
Line = Callable[[Any], Any]
"""Transforms one axis."""
_NEAR, _FAR = 0.75, 1.5
_NEAR_2, _FAR_2 = _NEAR**2, _FAR**2
# What the products of differences between the points divide.
_AT_ZERO, _AT_NEAR, _AT_FAR = (
    1 / (_NEAR_2 * _FAR_2), 1 / (2 * _NEAR_2 * (_NEAR_2 - _FAR_2)), 1 / (2 * _FAR_2 * (_FAR_2 - _NEAR_2))
)  # fmt: skip


def _patch(d: Any) -> Any:
    if len(d) == SMALL + 2:
        return d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]
    near, near_odd = d[4] - d[2] * _FAR_2, (d[3] - d[1] * _FAR_2) * _NEAR
    far, far_odd = d[4] - d[2] * _NEAR_2, (d[3] - d[1] * _NEAR_2) * _FAR
    both, all_four = _NEAR_2 + _FAR_2, _NEAR_2 * _FAR_2
    zero, infinity = (d[i + 4] - d[i + 2] * both + d[i] * all_four for i in (0, 1))
    return zero, near + near_odd, near - near_odd, far + far_odd, far - far_odd, infinity


def _gradient(y: Any) -> Any:
    if len(y) == SMALL:
        return y[0], y[0] + y[1], y[0] - y[1], -y[1]
    near, near_odd = y[0] + y[2] * _NEAR_2, (y[1] + y[3] * _NEAR_2) * _NEAR
    far, far_odd = y[0] + y[2] * _FAR_2, (y[1] + y[3] * _FAR_2) * _FAR
    return y[0], near + near_odd, near - near_odd, far + far_odd, far - far_odd, y[3]


def _output(m: Any) -> Any:
    if len(m) == SMALL + 2:
        return m[0] + m[1] + m[2], m[1] - m[2] - m[3]
    near, near_odd = m[1] + m[2], (m[1] - m[2]) * _NEAR
    far, far_odd = m[3] + m[4], (m[3] - m[4]) * _FAR
    return (
        m[0] + near + far, near_odd + far_odd, near * _NEAR_2 + far * _FAR_2,
        m[5] + near_odd * _NEAR_2 + far_odd * _FAR_2,
    )  # fmt: skip


def _weight(g: Any, outputs: int) -> Any:
    if outputs == SMALL:
        ends, middle = (g[0] + g[2]) * 0.5, g[1] * 0.5
        return g[0], ends + middle, ends - middle, g[2]
    near, near_odd = (g[0] + g[2] * _NEAR_2) * _AT_NEAR, g[1] * (_NEAR * _AT_NEAR)
    far, far_odd = (g[0] + g[2] * _FAR_2) * _AT_FAR, g[1] * (_FAR * _AT_FAR)
    return g[0] * _AT_ZERO, near + near_odd, near - near_odd, far + far_odd, far - far_odd, g[2]


def _weight_gradient(u: Any) -> Any:
    if len(u) == SMALL + 2:
        total, difference = (u[1] + u[2]) * 0.5, (u[1] - u[2]) * 0.5
        return u[0] + total, difference, total + u[3]
    near, near_odd = (u[1] + u[2]) * _AT_NEAR, (u[1] - u[2]) * (_NEAR * _AT_NEAR)
    far, far_odd = (u[3] + u[4]) * _AT_FAR, (u[3] - u[4]) * (_FAR * _AT_FAR)
    return u[0] * _AT_ZERO + near + far, near_odd + far_odd, u[5] + near * _NEAR_2 + far * _FAR_2


def _both_ways(line: Line, block: list[Any]) -> list[Any]:
    """Transform the columns of a square block, given row by row, and then its rows."""
    n = isqrt(len(block))
    columns = [line([block[n * i + j] for i in range(n)]) for j in range(n)]
    rows = [line(list(row)) for row in zip(*columns, strict=True)]
    return [value for row in rows for value in row]


CONTRACTED = ("contract",)
"""A product may be rounded together with the sum that it goes into."""


class _Number:
    """A vector that adds, subtracts and is scaled when the code that is emitted here runs."""

    def __init__(self, vector: Vectors, value: ir.Value) -> None:
        self.vector, self.value = vector, value

    def __add__(self, other: _Number) -> _Number:
        return _Number(self.vector, self.vector.builder.fadd(self.value, other.value, flags=CONTRACTED))

    def __sub__(self, other: _Number) -> _Number:
        return _Number(self.vector, self.vector.builder.fsub(self.value, other.value, flags=CONTRACTED))

    def __neg__(self) -> _Number:
        return _Number(self.vector, self.vector.builder.fneg(self.value))

    def __mul__(self, factor: float) -> _Number:
        splat = ir.Constant(self.vector.type, [factor] * self.vector.width)
        return _Number(self.vector, self.vector.builder.fmul(self.value, splat, flags=CONTRACTED))


PATCH, GRADIENT, OUTPUT, WEIGHT, WEIGHT_GRADIENT = (
    "winograd_patch", "winograd_gradient", "winograd_output", "winograd_weight", "winograd_weight_gradient",
)  # fmt: skip
_KINDS = {
    PATCH: "wwpwtpww", GRADIENT: "wwpwtpwwp", OUTPUT: "wwpwwpwtppb", WEIGHT: "wpwpw", WEIGHT_GRADIENT: "wpwpw",
}  # fmt: skip


class _Winograd(Emitter):
    signatures = {f"{name}_{m}": letters for m in (SMALL, LARGE) for name, letters in _KINDS.items()}

    def emit(self) -> None:
        for m in (SMALL, LARGE):
            self.patch(m)
            self.gradient(m)
            self.output(m)
            self.points(WEIGHT, m, partial(_weight, outputs=m), 9)
            self.points(WEIGHT_GRADIENT, m, _weight_gradient, (m + 2) ** 2)

    def start(self, name: str, m: int) -> tuple[ir.Function, ir.IRBuilder, Vectors]:
        return self.function(f"{name}_{m}", _KINDS[name])

    def loads(self, vector: Vectors, heads: list[ir.Value]) -> list[_Number]:
        return [_Number(vector, vector.load(head)) for head in heads]

    def pixel(self, builder: ir.IRBuilder, image: ir.Value, pitch: ir.Value, table: ir.Value, i: int) -> ir.Value:
        return builder.gep(image, [builder.mul(self.entry(builder, table, i), pitch)])

    def patch(self, m: int) -> None:
        """name(tiles, vectors, image, pitch, table, out, out_tile, out_point): from pixels to points."""
        function, builder, vector = self.start(PATCH, m)
        tiles, vectors, image, pitch, table, out, out_tile, out_point = function.args
        count = (m + 2) ** 2

        def tile(_: ir.Value, carried: Values) -> Values:
            table, out = carried
            heads = [self.pixel(builder, image, pitch, table, i) for i in range(count)]

            def some(v: ir.Value, _: Values) -> Values:
                here = builder.mul(v, word(vector.width))
                block = self.loads(vector, [builder.gep(head, [here]) for head in heads])
                self.stores(builder, vector, _both_ways(_patch, block), builder.gep(out, [here]), out_point)
                return []

            loop(builder, vectors, [], some)
            return [builder.gep(table, [word(count)]), builder.gep(out, [out_tile])]

        loop(builder, tiles, [table, out], tile)
        builder.ret_void()

    def gradient(self, m: int) -> None:
        """name(tiles, vectors, image, pitch, table, out, out_tile, out_point, sums): from gradients to points, and
        the sums of gradients added to `sums`."""
        function, builder, vector = self.start(GRADIENT, m)
        tiles, vectors, image, pitch, table, out, out_tile, out_point, sums = function.args

        def some(v: ir.Value, _: Values) -> Values:
            here = builder.mul(v, word(vector.width))

            def tile(_: ir.Value, carried: Values) -> Values:
                table, out, total = carried
                heads = [self.pixel(builder, image, pitch, table, i) for i in range(m * m)]
                block = self.loads(vector, [builder.gep(head, [here]) for head in heads])
                self.stores(builder, vector, _both_ways(_gradient, block), builder.gep(out, [here]), out_point)
                own = sum(block[1:], block[0])
                return [
                    builder.gep(table, [word(m * m)]), builder.gep(out, [out_tile]), builder.fadd(total, own.value)
                ]  # fmt: skip

            place = builder.gep(sums, [here])
            vector.store(loop(builder, tiles, [table, out, vector.load(place)], tile)[2], place)
            return []

        loop(builder, vectors, [], some)
        builder.ret_void()

    def stores(
        self, builder: ir.IRBuilder, vector: Vectors, block: list[_Number], out: ir.Value, step: ir.Value
    ) -> None:
        for i, value in enumerate(block):
            vector.store(value.value, builder.gep(out, [builder.mul(step, word(i))]))

    def output(self, m: int) -> None:
        """name(tiles, vectors, points, tile, point, image, pitch, table, start, check, relu): from points to
        pixels."""
        function, builder, vector = self.start(OUTPUT, m)
        tiles, vectors, points, tile_step, point_step, image, pitch, table, *rest = function.args
        start, check, relu = rest

        def some(v: ir.Value, _: Values) -> Values:
            here = builder.mul(v, word(vector.width))
            first = vector.load(builder.gep(start, [here]))

            def tile(_: ir.Value, carried: Values) -> Values:
                table, points, seen = carried
                heads = [builder.gep(points, [builder.mul(point_step, word(i))]) for i in range((m + 2) ** 2)]
                pixels = _both_ways(_output, self.loads(vector, heads))
                total = sum(pixels[1:], pixels[0])
                seen = vector.fma(total.value, vector.zero, seen)
                sums = [builder.fadd(pixel.value, first) for pixel in pixels]
                lows = [builder.and_(relu_mask, builder.fcmp_ordered("<=", one, vector.zero)) for one in sums]
                for i, (one, low) in enumerate(zip(sums, lows, strict=True)):
                    target = builder.gep(self.pixel(builder, image, pitch, table, i), [here])
                    vector.store(builder.select(low, vector.zero, one), target)
                return [builder.gep(table, [word(m * m)]), builder.gep(points, [tile_step]), seen]

            relu_mask = vector.splat(relu)
            carried = [table, builder.gep(points, [here]), vector.load(check)]
            vector.store(loop(builder, tiles, carried, tile)[2], check)
            return []

        loop(builder, vectors, [], some)
        builder.ret_void()

    def points(self, name: str, m: int, line: Line, count: int) -> None:
        """name(vectors, a, a_point, out, out_point): from a block of points to another."""
        function, builder, vector = self.start(name, m)
        vectors, a, a_point, out, out_point = function.args

        def some(_: ir.Value, carried: Values) -> Values:
            a, out = carried
            heads = [builder.gep(a, [builder.mul(a_point, word(i))]) for i in range(count)]
            self.stores(builder, vector, _both_ways(line, self.loads(vector, heads)), out, out_point)
            return [builder.gep(now, [word(vector.width)]) for now in carried]

        loop(builder, vectors, [a, out], some)
        builder.ret_void()


_library = VectorLibrary(_Winograd, __file__)
_patch_small, _gradient_small, _output_small, _weight_small, _weight_gradient_small = (
    _library[f"{name}_{SMALL}"] for name in _KINDS
)
_patch_large, _gradient_large, _output_large, _weight_large, _weight_gradient_large = (
    _library[f"{name}_{LARGE}"] for name in _KINDS
)


@kernel(internal=True)
def patch_points(m, tiles, vectors, image, pitch, table, out, out_tile, out_point):
    """Inside a kernel: the points of patches whose pixels are ``image[table[(m + 2)^2 tile + i] * pitch]``."""
    if m == LARGE:
        _patch_large((tiles, vectors, image, pitch, table, out, out_tile, out_point))
    else:
        _patch_small((tiles, vectors, image, pitch, table, out, out_tile, out_point))


@kernel(internal=True)
def gradient_points(m, tiles, vectors, image, pitch, table, out, out_tile, out_point, sums):
    """Inside a kernel: the points of gradients whose pixels are ``image[table[m^2 tile + i] * pitch]``, and the
    gradients' sums added to the vectors `sums`."""
    if m == LARGE:
        _gradient_large((tiles, vectors, image, pitch, table, out, out_tile, out_point, sums))
    else:
        _gradient_small((tiles, vectors, image, pitch, table, out, out_tile, out_point, sums))


@kernel(internal=True)
def output_pixels(m, tiles, vectors, points, tile, point, image, pitch, table, start, check, relu):
    """Inside a kernel: the outputs ``image[table[m^2 tile + i] * pitch]`` of points, plus `start`. A number that is
    not finite leaves a NaN in the vector `check`."""
    if m == LARGE:
        _output_large((tiles, vectors, points, tile, point, image, pitch, table, start, check, relu))
    else:
        _output_small((tiles, vectors, points, tile, point, image, pitch, table, start, check, relu))


@kernel(internal=True)
def weight_points(m, vectors, weight, weight_point, out, out_point):
    """Inside a kernel: the points of 3x3 weights."""
    if m == LARGE:
        _weight_large((vectors, weight, weight_point, out, out_point))
    else:
        _weight_small((vectors, weight, weight_point, out, out_point))


@kernel(internal=True)
def weight_from_points(m, vectors, points, point, out, out_point):
    """Inside a kernel: the gradients of 3x3 weights from those of their points."""
    if m == LARGE:
        _weight_gradient_large((vectors, points, point, out, out_point))
    else:
        _weight_gradient_small((vectors, points, point, out, out_point))
