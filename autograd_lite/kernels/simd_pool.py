"""Vector code for 2x2 windows of stride 2: one row of outputs from two rows of inputs.

Compilers do not vectorise rows this short (16, 8, 4 outputs) with their choice of one in four; here the
even and odd lanes are parted by shuffles, and a row's end is masked.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import kernel
from .simd_library import BYTE, VECTOR_BITS, VECTOR_BYTES, WORD, Vectors, loop


class Lanes(Vectors):
    """Vectors with one byte per lane beside the numbers, and pairs of vectors parted or joined."""

    def __init__(self, builder: ir.IRBuilder, size: int, vector_bytes: int = VECTOR_BYTES) -> None:
        super().__init__(builder, size, vector_bytes)
        self.mask_type = ir.VectorType(ir.IntType(1), self.width)
        self.code_type = ir.VectorType(BYTE, self.width)

    def codes(self, value: int) -> ir.Constant:
        return ir.Constant(self.code_type, [value] * self.width)

    def _pick(self, first: ir.Value, second: ir.Value, lanes: list[int]) -> ir.Value:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), lanes)
        return self.builder.shuffle_vector(first, second, mask)

    def part(self, first: ir.Value, second: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Even and odd numbers of two vectors."""
        even = self._pick(first, second, list(range(0, 2 * self.width, 2)))
        return even, self._pick(first, second, list(range(1, 2 * self.width, 2)))

    def join(self, even: ir.Value, odd: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The way back of `part`."""
        order = [lane // 2 + self.width * (lane % 2) for lane in range(2 * self.width)]
        return self._pick(even, odd, order[: self.width]), self._pick(even, odd, order[self.width :])

    def halves(self, first: ir.Value, second: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The first halves of two vectors as one vector, and the second halves; its own way back."""
        half = self.width // 2
        low = [*range(half), *range(self.width, self.width + half)]
        return self._pick(first, second, low), self._pick(first, second, [lane + half for lane in low])

    def load_pairs(self, pointer: ir.Value, masks: tuple[Any, Any]) -> tuple[ir.Value, ir.Value]:
        """Even and odd numbers of two vectors' length."""
        first = self.load(pointer, masks[0])
        return self.part(first, self.load(self.builder.gep(pointer, [ir.Constant(WORD, self.width)]), masks[1]))

    def store_pairs(self, even: ir.Value, odd: ir.Value, pointer: ir.Value, masks: tuple[Any, Any]) -> None:
        first, second = self.join(even, odd)
        self.store(first, pointer, masks[0])
        self.store(second, self.builder.gep(pointer, [ir.Constant(WORD, self.width)]), masks[1])

    def largest(self, values: list[ir.Value], relu: bool) -> tuple[ir.Value, ir.Value]:
        """The largest of four, and which it is."""
        builder = self.builder
        best, found = values[0], self.codes(0)
        for number, value in enumerate(values[1:], 1):
            greater = builder.fcmp_ordered(">", value, best)
            take = builder.or_(greater, builder.fcmp_unordered("uno", value, value))
            best = builder.select(take, value, best)
            found = builder.select(take, self.codes(number), found)
        if relu:
            low = builder.fcmp_ordered("<=", best, self.zero)
            best = builder.select(low, self.zero, best)
            found = builder.select(low, self.codes(4), found)
        return best, found

    def shares(self, g: ir.Value, found: ir.Value) -> list[ir.Value]:
        """What each of four gets of a gradient."""
        builder = self.builder
        chosen = [builder.icmp_unsigned("==", found, self.codes(number)) for number in range(4)]
        return [builder.select(one, g, self.zero) for one in chosen]

    def _call_on_codes(self, name: str, result: ir.Type, *values: ir.Value) -> ir.Value:
        function_type = ir.FunctionType(result, [value.type for value in values])
        name = f"llvm.masked.{name}.v{self.width}i8.p0"
        function = cgutils.get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, values)

    def load_codes(self, pointer: ir.Value, mask: ir.Value | None) -> ir.Value:
        address = self.builder.bitcast(pointer, self.code_type.as_pointer())
        if mask is None:
            return self.builder.load(address, align=1)
        one = ir.Constant(ir.IntType(32), 1)
        return self._call_on_codes("load", self.code_type, address, one, mask, self.codes(0))

    def store_codes(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None) -> None:
        address = self.builder.bitcast(pointer, self.code_type.as_pointer())
        if mask is None:
            self.builder.store(value, address, align=1)
            return
        one = ir.Constant(ir.IntType(32), 1)
        self._call_on_codes("store", ir.VoidType(), value, address, one, mask)


def _row(context: Any, builder: ir.IRBuilder, sig: Any, args: Any, step: Any) -> None:
    """Emit `step` for whole vectors of outputs and once more, masked, for the rest.

    `args` are (columns, wide, wide_offset, narrow, narrow_offset, codes): two rows of `wide`, each
    ``2 columns`` long and `pitch` apart, belong to a row of `narrow` and of `codes`.
    """
    columns, pitch, wide, wide_at, narrow, codes, at = args

    def start(position: int, value: ir.Value, offset: ir.Value) -> ir.Value:
        array = context.make_array(sig.args[position])(context, builder, value)
        return builder.gep(array.data, [offset])

    top, out, code = start(2, wide, wide_at), start(4, narrow, at), start(5, codes, at)
    lanes = Lanes(builder, sig.args[2].dtype.bitwidth // 8)
    width = ir.Constant(WORD, lanes.width)
    twice = ir.Constant(WORD, 2 * lanes.width)
    vectors = builder.sdiv(columns, width)
    none = (None, None)

    def whole(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        top, out, code = carried
        step(lanes, top, builder.gep(top, [pitch]), out, code, None, none)
        return [builder.gep(top, [twice]), builder.gep(out, [width]), builder.gep(code, [width])]

    loop(builder, vectors, [top, out, code], whole)
    rest = builder.srem(columns, width)
    with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(WORD, 0))):
        done = builder.mul(vectors, width)
        top = builder.gep(top, [builder.mul(vectors, twice)])
        out, code = builder.gep(out, [done]), builder.gep(code, [done])
        double = builder.mul(rest, ir.Constant(WORD, 2))
        masks = lanes.first_lanes(double), lanes.first_lanes(builder.sub(double, width))
        step(lanes, top, builder.gep(top, [pitch]), out, code, lanes.first_lanes(rest), masks)


def _forward(
    lanes: Lanes, top: Any, bottom: Any, out: Any, code: Any, mask: Any, masks: tuple[Any, Any], relu: bool = False
) -> None:
    best, found = lanes.largest([*lanes.load_pairs(top, masks), *lanes.load_pairs(bottom, masks)], relu)
    lanes.store(best, out, mask)
    lanes.store_codes(found, code, mask)


def _backward(lanes: Lanes, top: Any, bottom: Any, grad: Any, code: Any, mask: Any, masks: tuple[Any, Any]) -> None:
    shares = lanes.shares(lanes.load(grad, mask), lanes.load_codes(code, mask))
    lanes.store_pairs(shares[0], shares[1], top, masks)
    lanes.store_pairs(shares[2], shares[3], bottom, masks)


def _signature(columns: Any, pitch: Any, wide: Any, wide_at: Any, narrow: Any, codes: Any, at: Any) -> Any:
    n = types.int64
    return types.void(n, n, wide, n, narrow, codes, n)


@intrinsic
def _vector_forward(typingctx, columns, pitch, wide, wide_at, narrow, codes, at):
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        _row(context, builder, sig, args, _forward)
        return context.get_dummy_value()

    return _signature(columns, pitch, wide, wide_at, narrow, codes, at), codegen


@intrinsic
def _vector_forward_relu(typingctx, columns, pitch, wide, wide_at, narrow, codes, at):
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        _row(context, builder, sig, args, partial(_forward, relu=True))
        return context.get_dummy_value()

    return _signature(columns, pitch, wide, wide_at, narrow, codes, at), codegen


@intrinsic
def _vector_backward(typingctx, columns, pitch, wide, wide_at, narrow, codes, at):
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        _row(context, builder, sig, args, _backward)
        return context.get_dummy_value()

    return _signature(columns, pitch, wide, wide_at, narrow, codes, at), codegen


@kernel(inline=True)
def _plain_forward(columns, pitch, x, x_at, out, where, at):
    for j in range(columns):
        best = x[x_at + 2 * j]
        code = np.uint8(0)
        for number, index in ((1, 2 * j + 1), (2, pitch + 2 * j), (3, pitch + 2 * j + 1)):
            value = x[x_at + index]
            if value > best or np.isnan(value):
                best = value
                code = np.uint8(number)
        out[at + j] = best
        where[at + j] = code


@kernel(inline=True)
def _plain_forward_relu(columns, pitch, x, x_at, out, where, at):
    _plain_forward(columns, pitch, x, x_at, out, where, at)
    for j in range(columns):
        if out[at + j] <= 0:
            out[at + j] = 0
            where[at + j] = 4


@kernel(inline=True)
def _plain_backward(columns, pitch, dx, dx_at, grad, where, at):
    for j in range(columns):
        for number, index in ((0, 2 * j), (1, 2 * j + 1), (2, pitch + 2 * j), (3, pitch + 2 * j + 1)):
            dx[dx_at + index] = grad[at + j] if where[at + j] == number else 0


max_2x2_row = _vector_forward if VECTOR_BITS else _plain_forward
"""
Inside a kernel: ``max_2x2_row(columns, pitch, x, x_at, out, where, at)`` sets ``out[at + j]`` to the largest of

    x[x_at + 2 j], x[x_at + 2 j + 1], x[x_at + pitch + 2 j], x[x_at + pitch + 2 j + 1]

and ``where[at + j]`` (uint8) to its number, 0 to 3, for j < columns. The first of equals is chosen, NaN before any
number. All arrays are one-dimensional and C-contiguous; nothing is checked.
"""
max_2x2_relu_row = _vector_forward_relu if VECTOR_BITS else _plain_forward_relu
"""Inside a kernel: `max_2x2_row` and a ReLU; where that gives zero, ``where`` is 4, which has no gradient."""
max_2x2_backward_row = _vector_backward if VECTOR_BITS else _plain_backward
"""
Inside a kernel: ``max_2x2_backward_row(columns, pitch, dx, dx_at, grad, where, at)`` sets the four elements of `dx`
that belong to ``grad[at + j]`` (see `max_2x2_row`) to it where ``where`` says so, and to zero elsewhere.
"""
