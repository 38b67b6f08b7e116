"""Vector code of Winograd's convolution: the five transforms, each on as many channels at a time as lanes.

A 3x3 window over 2x2 neighbouring outputs sees a patch of 4x4 pixels d. With

        [1  0 -1  0]        [ 1   0   0 ]
    B'= [0  1  1  0]    G = [1/2 1/2 1/2]    A'= [1 1  1  0]
        [0 -1  1  0]        [1/2-1/2 1/2]        [0 1 -1 -1]
        [0  1  0 -1]        [ 0   0   1 ]

the outputs are ``A' ((G g G') * (B' d B)) A`` for a weight g: 16 multiplications instead of 36 (Winograd, SIAM 1980;
Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, section 4.1). Summed over
channels, each of the 16 points is a matrix product. The weight's gradient is the transpose of this in g,
``G' ((A y A') * (B' d B)) G`` for output gradients y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .jit import kernel
from .simd import _loop, _Values, _Vectors, _word
from .simd_library import Emitter, VectorLibrary

PATCH, GRADIENT, OUTPUT, WEIGHT, WEIGHT_GRADIENT = (
    "winograd_patch", "winograd_gradient", "winograd_output", "winograd_weight", "winograd_weight_gradient",
)  # fmt: skip


def _patch(d: Any) -> Any:
    return d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]


def _gradient(y: Any) -> Any:
    return y[0], y[0] + y[1], y[0] - y[1], -y[1]


def _output(m: Any) -> Any:
    return m[0] + m[1] + m[2], m[1] - m[2] - m[3]


def _weight(g: Any) -> Any:
    ends, middle = (g[0] + g[2]) * 0.5, g[1] * 0.5
    return g[0], ends + middle, ends - middle, g[2]


def _weight_gradient(u: Any) -> Any:
    total, difference = (u[1] + u[2]) * 0.5, (u[1] - u[2]) * 0.5
    return u[0] + total, difference, total + u[3]


def _both_ways(line: Callable[[Any], Any], block: list[Any]) -> list[Any]:
    """Transform the columns of a square block, given row by row, and then its rows."""
    n = {4: 2, 9: 3, 16: 4}[len(block)]
    columns = [line([block[n * i + j] for i in range(n)]) for j in range(n)]
    rows = [line(list(row)) for row in zip(*columns, strict=True)]
    return [value for row in rows for value in row]


class _Number:
    """A vector that adds, subtracts and is scaled when the code that is emitted here runs."""

    def __init__(self, vector: _Vectors, value: ir.Value) -> None:
        self.vector, self.value = vector, value

    def __add__(self, other: _Number) -> _Number:
        return _Number(self.vector, self.vector.builder.fadd(self.value, other.value))

    def __sub__(self, other: _Number) -> _Number:
        return _Number(self.vector, self.vector.builder.fsub(self.value, other.value))

    def __neg__(self) -> _Number:
        return _Number(self.vector, self.vector.builder.fneg(self.value))

    def __mul__(self, factor: float) -> _Number:
        splat = ir.Constant(self.vector.type, [factor] * self.vector.width)
        return _Number(self.vector, self.vector.builder.fmul(self.value, splat))


class _Winograd(Emitter):
    signatures = {
        PATCH: "wwpwtpww",
        GRADIENT: "wwpwtpww",
        OUTPUT: "wwpwwpwtppb",
        WEIGHT: "wpwpw",
        WEIGHT_GRADIENT: "wpwpw",
    }

    def emit(self) -> None:
        self.spread(PATCH, _patch, 16)
        self.spread(GRADIENT, _gradient, 4)
        self.output()
        self.points(WEIGHT, _weight, 9)
        self.points(WEIGHT_GRADIENT, _weight_gradient, 16)

    def loads(self, vector: _Vectors, heads: list[ir.Value]) -> list[_Number]:
        return [_Number(vector, vector.load(head)) for head in heads]

    def pixel(self, builder: ir.IRBuilder, image: ir.Value, pitch: ir.Value, table: ir.Value, i: int) -> ir.Value:
        return builder.gep(image, [builder.mul(self.entry(builder, table, i), pitch)])

    def spread(self, name: str, line: Callable[[Any], Any], pixels: int) -> None:
        """name(tiles, vectors, image, pitch, table, out, out_tile, out_point): from pixels to points."""
        function, builder, vector = self.function(name, self.signatures[name])
        tiles, vectors, image, pitch, table, out, out_tile, out_point = function.args

        def tile(_: ir.Value, carried: _Values) -> _Values:
            table, out = carried
            heads = [self.pixel(builder, image, pitch, table, i) for i in range(pixels)]
            targets = [builder.gep(out, [builder.mul(out_point, _word(i))]) for i in range(16)]

            def some(v: ir.Value, _: _Values) -> _Values:
                here = builder.mul(v, _word(vector.width))
                block = self.loads(vector, [builder.gep(head, [here]) for head in heads])
                for value, target in zip(_both_ways(line, block), targets, strict=True):
                    vector.store(value.value, builder.gep(target, [here]))
                return []

            _loop(builder, vectors, [], some)
            return [builder.gep(table, [_word(pixels)]), builder.gep(out, [out_tile])]

        _loop(builder, tiles, [table, out], tile)
        builder.ret_void()

    def output(self) -> None:
        """name(tiles, vectors, points, tile, point, image, pitch, table, start, check, relu): from points to
        pixels."""
        function, builder, vector = self.function(OUTPUT, self.signatures[OUTPUT])
        tiles, vectors, points, tile_step, point_step, image, pitch, table, *rest = function.args
        start, check, relu = rest

        def some(v: ir.Value, _: _Values) -> _Values:
            here = builder.mul(v, _word(vector.width))
            first = vector.load(builder.gep(start, [here]))

            def tile(_: ir.Value, carried: _Values) -> _Values:
                table, points, seen = carried
                heads = [builder.gep(points, [builder.mul(point_step, _word(i))]) for i in range(16)]
                pixels = _both_ways(_output, self.loads(vector, heads))
                total = pixels[0] + pixels[1] + pixels[2] + pixels[3]
                seen = vector.fma(total.value, vector.zero, seen)
                sums = [builder.fadd(pixel.value, first) for pixel in pixels]
                lows = [builder.and_(relu_mask, builder.fcmp_ordered("<=", one, vector.zero)) for one in sums]
                for i, (one, low) in enumerate(zip(sums, lows, strict=True)):
                    target = builder.gep(self.pixel(builder, image, pitch, table, i), [here])
                    vector.store(builder.select(low, vector.zero, one), target)
                return [builder.gep(table, [_word(4)]), builder.gep(points, [tile_step]), seen]

            relu_mask = vector.splat(relu)
            carried = [table, builder.gep(points, [here]), vector.load(check)]
            vector.store(_loop(builder, tiles, carried, tile)[2], check)
            return []

        _loop(builder, vectors, [], some)
        builder.ret_void()

    def points(self, name: str, line: Callable[[Any], Any], count: int) -> None:
        """name(vectors, a, a_point, out, out_point): from a block of points to another."""
        function, builder, vector = self.function(name, self.signatures[name])
        vectors, a, a_point, out, out_point = function.args

        def some(_: ir.Value, carried: _Values) -> _Values:
            a, out = carried
            heads = [builder.gep(a, [builder.mul(a_point, _word(i))]) for i in range(count)]
            for i, value in enumerate(_both_ways(line, self.loads(vector, heads))):
                vector.store(value.value, builder.gep(out, [builder.mul(out_point, _word(i))]))
            return [builder.gep(now, [_word(vector.width)]) for now in carried]

        _loop(builder, vectors, [a, out], some)
        builder.ret_void()


_library = VectorLibrary(_Winograd, __file__)
_vector_patch, _vector_gradient, _vector_output, _vector_weight, _vector_weight_gradient = (
    _library[name] for name in _Winograd.signatures
)


@kernel
def patch_points(tiles, vectors, image, pitch, table, out, out_tile, out_point):
    """Inside a kernel: the 16 points of patches whose pixels are ``image[table[16 tile + i] * pitch]``."""
    _vector_patch((tiles, vectors, image, pitch, table, out, out_tile, out_point))


@kernel
def gradient_points(tiles, vectors, image, pitch, table, out, out_tile, out_point):
    """Inside a kernel: the 16 points of gradients whose pixels are ``image[table[4 tile + i] * pitch]``."""
    _vector_gradient((tiles, vectors, image, pitch, table, out, out_tile, out_point))


@kernel
def output_pixels(tiles, vectors, points, tile, point, image, pitch, table, start, check, relu):
    """Inside a kernel: the outputs ``image[table[4 tile + i] * pitch]`` of points, plus `start`. A number that is
    not finite leaves a NaN in the vector `check`."""
    _vector_output((tiles, vectors, points, tile, point, image, pitch, table, start, check, relu))


@kernel
def weight_points(vectors, weight, weight_point, out, out_point):
    """Inside a kernel: the 16 points of 3x3 weights."""
    _vector_weight((vectors, weight, weight_point, out, out_point))


@kernel
def weight_from_points(vectors, points, point, out, out_point):
    """Inside a kernel: the gradients of 3x3 weights from those of their 16 points."""
    _vector_weight_gradient((vectors, points, point, out, out_point))
