"""The micro-kernel: the one place where the library writes vector instructions itself.

`block_product` multiplies a block of A by a block of B inside a kernel. It cuts C into tiles that fit the
vector registers; one tile is one function of LLVM vector code, emitted by `_tile` below:

    for p in range(k):                         # accumulators never leave their registers
        for v in range(vectors): b[v] = B[p, v * WIDTH : (v + 1) * WIDTH]
        for r in range(rows):    acc[r][v] = fma(broadcast(A[r, p]), b[v], acc[r][v])

A is read one number at a time, so it may have any strides; rows of B are read as vectors, so they are
contiguous, at any distance from each other. The last vector of a tile is masked where N ends inside it; the
last rows of C get tiles of their own height. The order of the sums over k is always that of k itself.

``AUTOGRAD_LITE_SIMD`` overrides the vector size: 128, 256 or 512 bits, or 0 for plain loops.
"""

from __future__ import annotations

import os
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import JIT, kernel


def _vector_bits() -> int:
    wanted = os.environ.get("AUTOGRAD_LITE_SIMD", "").strip()
    if wanted not in ("", "0", "128", "256", "512"):
        raise ValueError(f"AUTOGRAD_LITE_SIMD must be 0, 128, 256 or 512, got {wanted!r}")
    if not JIT or wanted == "0":
        return 0
    if wanted:
        return int(wanted)
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") else 128


VECTOR_BITS = _vector_bits()
"""Bits of the vectors that the micro-kernel uses; 0 where it is a plain loop."""
VECTOR_BYTES = max(VECTOR_BITS, 128) // 8
TILE_ROWS, TILE_VECTORS = (4, 3) if VECTOR_BITS == 256 else (6, 4)
"""The largest tile: rows of C by vectors of C. AVX2 has 16 vector registers, AVX-512 and NEON have 32."""

_WORD = ir.IntType(64)
_INT32 = ir.IntType(32)
_BIT = ir.IntType(1)


def _loop(builder: ir.IRBuilder, count: ir.Value, carried: list[ir.Value], body: Any) -> list[ir.Value]:
    """Emit ``for _ in range(count): carried = body(carried)``, at least once; values stay in registers."""
    before = builder.block
    block = builder.append_basic_block("loop")
    after = builder.append_basic_block("done")
    builder.branch(block)
    builder.position_at_end(block)
    index = builder.phi(_WORD)
    phis = [builder.phi(value.type) for value in carried]
    updated = body(phis)
    following = builder.add(index, ir.Constant(_WORD, 1))
    index.add_incoming(ir.Constant(_WORD, 0), before)
    index.add_incoming(following, builder.block)
    for phi, start, value in zip(phis, carried, updated, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), block, after)
    builder.position_at_end(after)
    return updated


class _Vectors:
    """Vector operations on one element type: what LLVM offers, with the types filled in."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type) -> None:
        self.builder = builder
        self.element = element
        self.size = 4 if element == ir.FloatType() else 8
        self.width = VECTOR_BYTES // self.size
        self.type = ir.VectorType(element, self.width)
        self.zero = ir.Constant(self.type, [0.0] * self.width)
        self.suffix = f"v{self.width}f{8 * self.size}"
        self.mask_type = ir.VectorType(_BIT, self.width)

    def _intrinsic(self, name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
        function_type = ir.FunctionType(result, list(arguments))
        return cgutils.get_or_insert_function(self.builder.module, function_type, name)

    def splat(self, value: ir.Value, count: int | None = None) -> ir.Value:
        count = count or self.width
        vector = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
        vector = self.builder.insert_element(vector, value, ir.Constant(_INT32, 0))
        lanes = ir.Constant(ir.VectorType(_INT32, count), [0] * count)
        return self.builder.shuffle_vector(vector, vector, lanes)

    def fma(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        function = self._intrinsic(f"llvm.fma.{self.suffix}", self.type, self.type, self.type, self.type)
        return self.builder.call(function, [x, y, z])

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """The mask of the first `count` lanes."""
        lanes = ir.Constant(ir.VectorType(_WORD, self.width), list(range(self.width)))
        return self.builder.icmp_signed("<", lanes, self.splat(count))

    def _vector_pointer(self, pointer: ir.Value, offset: ir.Value | int) -> ir.Value:
        if isinstance(offset, int):
            offset = ir.Constant(_WORD, offset)
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), self.type.as_pointer())

    def load(self, pointer: ir.Value, offset: ir.Value | int, mask: ir.Value | None) -> ir.Value:
        address = self._vector_pointer(pointer, offset)
        if mask is None:
            return self.builder.load(address, align=self.size)
        name = f"llvm.masked.load.{self.suffix}.p0"
        function = self._intrinsic(name, self.type, address.type, _INT32, self.mask_type, self.type)
        return self.builder.call(function, [address, ir.Constant(_INT32, self.size), mask, self.zero])

    def store(self, value: ir.Value, pointer: ir.Value, offset: ir.Value | int, mask: ir.Value | None) -> None:
        address = self._vector_pointer(pointer, offset)
        if mask is None:
            self.builder.store(value, address, align=self.size)
            return
        name = f"llvm.masked.store.{self.suffix}.p0"
        function = self._intrinsic(name, ir.VoidType(), self.type, address.type, _INT32, self.mask_type)
        self.builder.call(function, [value, address, ir.Constant(_INT32, self.size), mask])


def _tile(module: ir.Module, element: ir.Type, rows: int, vectors: int, masked: bool) -> ir.Function:
    """The function that computes one tile of C; `columns` counts the live lanes of the last vector."""
    bits = 32 if element == ir.FloatType() else 64
    name = f"autograd_lite_tile_f{bits}_{rows}x{vectors}{'_masked' if masked else ''}"
    pointer = element.as_pointer()
    # columns, k, a, a_row_stride, a_col_stride, b, b_row_stride, c, c_row_stride, accumulate
    arguments = [_WORD, _WORD, pointer, _WORD, _WORD, pointer, _WORD, pointer, _WORD, _BIT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    columns, k, a, a_row, a_col, b, b_row, c, c_row, accumulate = function.args
    for argument in (a, b, c):
        argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    vector = _Vectors(builder, element)
    masks = [None] * vectors
    if masked:
        masks[-1] = vector.first_lanes(columns)
    a_rows = [builder.mul(a_row, ir.Constant(_WORD, r)) for r in range(rows)]

    def step(carried: list[ir.Value]) -> list[ir.Value]:
        a_now, b_now, *sums = carried
        row = [vector.load(b_now, v * vector.width, masks[v]) for v in range(vectors)]
        updated = []
        for r in range(rows):
            number = vector.splat(builder.load(builder.gep(a_now, [a_rows[r]])))
            updated += [vector.fma(number, row[v], sums[r * vectors + v]) for v in range(vectors)]
        return [builder.gep(a_now, [a_col]), builder.gep(b_now, [b_row]), *updated]

    _, _, *sums = _loop(builder, k, [a, b] + [vector.zero] * (rows * vectors), step)

    def each(add: bool) -> None:
        for r in range(rows):
            row = builder.gep(c, [builder.mul(c_row, ir.Constant(_WORD, r))])
            for v in range(vectors):
                value = sums[r * vectors + v]
                if add:
                    value = builder.fadd(vector.load(row, v * vector.width, masks[v]), value)
                vector.store(value, row, v * vector.width, masks[v])

    with builder.if_else(accumulate) as (then, otherwise):
        with then:
            each(add=True)
        with otherwise:
            each(add=False)
    builder.ret_void()
    return function


def _any_tile(module: ir.Module, element: ir.Type) -> ir.Function:
    """The function that picks the tile for `rows` and `columns` at run time."""
    bits = 32 if element == ir.FloatType() else 64
    name = f"autograd_lite_tile_f{bits}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    arguments = [_WORD, _WORD, _WORD, pointer, _WORD, _WORD, pointer, _WORD, pointer, _WORD, _BIT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    rows, columns, *rest = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    width = VECTOR_BYTES * 8 // bits
    full = builder.icmp_signed("==", columns, ir.Constant(_WORD, TILE_VECTORS * width))
    before = builder.udiv(builder.sub(columns, ir.Constant(_WORD, 1)), ir.Constant(_WORD, width))
    last = builder.sub(columns, builder.mul(before, ir.Constant(_WORD, width)))
    shape = builder.select(full, ir.Constant(_WORD, TILE_VECTORS), before)
    key = builder.add(builder.mul(shape, ir.Constant(_WORD, TILE_ROWS)), rows)
    end = function.append_basic_block("end")
    switch = builder.switch(key, end)
    for vectors in range(TILE_VECTORS + 1):
        for height in range(1, TILE_ROWS + 1):
            masked = vectors < TILE_VECTORS
            tile = _tile(module, element, height, vectors + masked, masked)
            block = function.append_basic_block()
            switch.add_case(ir.Constant(_WORD, vectors * TILE_ROWS + height), block)
            inner = ir.IRBuilder(block)
            inner.call(tile, [last, *rest])
            inner.branch(end)
    ir.IRBuilder(end).ret_void()
    return function


@intrinsic
def _vector_tile(
    typingctx: Any, rows: Any, columns: Any, k: Any, a: Any, a_offset: Any, a_row_stride: Any,
    a_col_stride: Any, b: Any, b_offset: Any, b_row_stride: Any, c: Any, c_offset: Any, c_row_stride: Any,
    accumulate: Any,
) -> Any:  # fmt: skip
    n = types.int64
    signature = types.void(n, n, n, a, n, n, n, b, n, n, c, n, n, types.boolean)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        rows, columns, k, a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, accumulate = args
        element = context.get_data_type(sig.args[3].dtype)

        def start(position: int, value: ir.Value, offset: ir.Value) -> ir.Value:
            array = context.make_array(sig.args[position])(context, builder, value)
            return builder.gep(array.data, [offset])

        tile = _any_tile(builder.module, element)
        pointers = start(3, a, a_at), start(7, b, b_at), start(10, c, c_at)
        builder.call(
            tile,
            [rows, columns, k, pointers[0], a_row, a_col, pointers[1], b_row, pointers[2], c_row, accumulate],
        )
        return context.get_dummy_value()

    return signature, codegen


@kernel
def _vector_block_product(
    a, a_offset, a_row_stride, a_col_stride, b, b_offset, b_row_stride, c, c_offset, c_row_stride,
    m, n, k, accumulate,
):  # fmt: skip
    if k <= 0:
        if not accumulate:
            for i in range(m):
                for j in range(n):
                    c[c_offset + i * c_row_stride + j] = 0
        return
    panel = TILE_VECTORS * (VECTOR_BYTES // c.itemsize)
    tiles = (m + TILE_ROWS - 1) // TILE_ROWS
    for j in range(0, n, panel):
        columns = min(panel, n - j)
        for t in range(tiles):
            # Heights differ by one row at most, so that none is too low to keep the vector units busy.
            i = t * m // tiles
            rows = (t + 1) * m // tiles - i
            _vector_tile(
                rows, columns, k, a, a_offset + i * a_row_stride, a_row_stride, a_col_stride,
                b, b_offset + j, b_row_stride, c, c_offset + i * c_row_stride + j, c_row_stride, accumulate,
            )  # fmt: skip


@kernel
def _plain_block_product(
    a, a_offset, a_row_stride, a_col_stride, b, b_offset, b_row_stride, c, c_offset, c_row_stride,
    m, n, k, accumulate,
):  # fmt: skip
    for i in range(m):
        row = c_offset + i * c_row_stride
        if not accumulate:
            for j in range(n):
                c[row + j] = 0
        for p in range(k):
            factor = a[a_offset + i * a_row_stride + p * a_col_stride]
            start = b_offset + p * b_row_stride
            for j in range(n):
                c[row + j] += factor * b[start + j]


def _numpy_block_product(
    a: np.ndarray, a_offset: int, a_row_stride: int, a_col_stride: int, b: np.ndarray, b_offset: int,
    b_row_stride: int, c: np.ndarray, c_offset: int, c_row_stride: int, m: int, n: int, k: int,
    accumulate: bool,
) -> None:  # fmt: skip
    def block(flat: np.ndarray, offset: int, shape: tuple[int, int], row: int, col: int) -> np.ndarray:
        strides = (row * flat.itemsize, col * flat.itemsize)
        return np.ndarray(shape, flat.dtype, flat, offset * flat.itemsize, strides)

    if m > 0 and n > 0:
        target = block(c, c_offset, (m, n), c_row_stride, 1)
        product: Any = 0
        if k > 0:
            left = block(a, a_offset, (m, k), a_row_stride, a_col_stride)
            product = left @ block(b, b_offset, (k, n), b_row_stride, 1)
        target[...] = target + product if accumulate else product


if not JIT:
    block_product = _numpy_block_product
elif VECTOR_BITS:
    block_product = _vector_block_product
else:
    block_product = _plain_block_product
"""
Inside a kernel: multiply a block of A by a block of B into a block of C, on the calling thread.

``block_product(a, a_offset, a_row_stride, a_col_stride, b, b_offset, b_row_stride,
c, c_offset, c_row_stride, m, n, k, accumulate)`` sets (or, with `accumulate`, adds to)

    c[c_offset + i * c_row_stride + j]  for i < m, j < n

the sum over p < k of

    a[a_offset + i * a_row_stride + p * a_col_stride] * b[b_offset + p * b_row_stride + j].

`a`, `b` and `c` are one-dimensional C-contiguous arrays of one dtype, float32 or float64; offsets and strides
count elements. `c` must not overlap the others. Nothing is checked. ``m``, ``n`` and ``k`` may be zero. Every
element of C is the sum over p in order, whatever the block it is computed in, so cutting C into other blocks
changes no bit of it.
"""
