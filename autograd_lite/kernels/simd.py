"""Vector code: the one place where the library writes its own instructions.

Four operations on blocks of matrices, for float32 and float64, to be called inside kernels:

- `block_product`: A times B, where rows of B are contiguous;
- `dot_product`: A times the transpose of B, where rows of A and of B are contiguous;
- `copy`: a block copied;
- `transpose`: a block copied with rows and columns swapped.

The products are cut into tiles that fit the vector registers. A tile of the first is

    for p in range(k):                         # the sums never leave their registers
        for v in range(vectors): b[v] = B[p, v * WIDTH : (v + 1) * WIDTH]
        for r in range(rows):    sum[r][v] = fma(broadcast(A[r, p]), b[v], sum[r][v])

(Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008). A is read
one number at a time and may have any strides. The last vector is masked where N ends inside it, and the last
rows get tiles of their own height, so that no element is left to scalar code.

The tiles are LLVM functions in a library of their own, one per dtype, that is compiled when a kernel first
calls it and kept beside the kernels' cache: kernels that use it stay small and compile quickly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .jit import JIT, kernel
from .scalar import like
from .simd_library import INT32, VECTOR_BITS, VECTOR_BYTES, Emitter, Values, VectorLibrary, loop, word

TILE_ROWS, TILE_VECTORS = (4, 3) if VECTOR_BITS == 256 else (6, 4)
"""The largest tile of `block_product`: AVX2 has 16 vector registers, AVX-512 and NEON have 32."""
DOT_ROWS, DOT_COLUMNS = (3, 3) if VECTOR_BITS == 256 else (5, 4)
"""The largest tile of `dot_product`."""

PRODUCT, DOT = "autograd_lite_product", "autograd_lite_dot"
COPY, TRANSPOSE = "autograd_lite_copy", "autograd_lite_transpose"


class _Products(Emitter):
    signatures = {PRODUCT: "wwwwpwwpwpwb", DOT: "wwwpwpwpwb", COPY: "wwpwpw", TRANSPOSE: "wwpwpw"}

    def emit(self) -> None:
        self.product()
        self.dot()
        self.copy()
        self.transpose()

    def product(self) -> None:
        """product(rows, columns, count, k, a, a_row, a_col, b, b_row, c, c_row, accumulate):
        `count` tiles of `rows` rows, one below the other."""
        function, builder, vector = self.function(PRODUCT, self.signatures[PRODUCT])
        rows, columns, *rest = function.args
        full = builder.icmp_signed("==", columns, word(TILE_VECTORS * vector.width))
        before = builder.udiv(builder.sub(columns, word(1)), word(vector.width))
        last = builder.sub(columns, builder.mul(before, word(vector.width)))
        shape = builder.select(full, word(TILE_VECTORS), before)
        key = builder.add(builder.mul(shape, word(TILE_ROWS + 1)), rows)
        cases = {}
        for height in range(1, TILE_ROWS + 1):
            for vectors in range(TILE_VECTORS):
                number = vectors * (TILE_ROWS + 1) + height
                cases[number] = self.product_tile(height, vectors + 1, masked=True)
            number = TILE_VECTORS * (TILE_ROWS + 1) + height
            cases[number] = self.product_tile(height, TILE_VECTORS, masked=False)
        self.choose(builder, key, cases, [last, *rest])

    def product_tile(self, rows: int, vectors: int, masked: bool) -> ir.Function:
        """`last` counts the live lanes of the last vector."""
        name = f"{PRODUCT}_{rows}x{vectors}{'_masked' * masked}"
        function, builder, vector = self.function(name, self.signatures[PRODUCT][1:])
        last, count, k, a, a_row, a_col, b, b_row, c, c_row, accumulate = function.args
        masks = [None] * vectors
        if masked:
            masks[-1] = vector.first_lanes(last)
        tile = [(r, v) for r in range(rows) for v in range(vectors)]

        def step(_: ir.Value, carried: Values) -> Values:
            a_now, b_now, *sums = carried
            row = [vector.load(builder.gep(b_now, [word(v * vector.width)]), masks[v]) for v in range(vectors)]
            heads = [builder.gep(a_now, [builder.mul(a_row, word(r))]) for r in range(rows)]
            column = [vector.splat(builder.load(head)) for head in heads]
            sums = [vector.fma(column[r], row[v], total) for (r, v), total in zip(tile, sums, strict=True)]
            return [builder.gep(a_now, [a_col]), builder.gep(b_now, [b_row]), *sums]

        def one_tile(_: ir.Value, carried: Values) -> Values:
            a_tile, c_tile = carried
            rows_of_c = [builder.gep(c_tile, [builder.mul(c_row, word(r))]) for r in range(rows)]
            places = [builder.gep(rows_of_c[r], [word(v * vector.width)]) for r, v in tile]
            start = builder.block
            with builder.if_then(accumulate):
                found = [vector.load(place, masks[v]) for place, (_, v) in zip(places, tile, strict=True)]
                for place in places:
                    vector.prefetch(builder.gep(place, [builder.mul(c_row, word(rows))]))
                loaded = builder.block
            sums = [self.either(builder, vector.zero, start, value, loaded) for value in found]
            _, _, *sums = loop(builder, k, [a_tile, b, *sums], step)
            for place, total, (_, v) in zip(places, sums, tile, strict=True):
                vector.store(total, place, masks[v])
            return [
                builder.gep(a_tile, [builder.mul(a_row, word(rows))]),
                builder.gep(c_tile, [builder.mul(c_row, word(rows))]),
            ]

        loop(builder, count, [a, c], one_tile)
        builder.ret_void()
        return function

    def dot(self) -> None:
        """dot(rows, columns, k, a, a_row, b, b_row, c, c_row, accumulate): one tile."""
        function, builder, _ = self.function(DOT, self.signatures[DOT])
        rows, columns, *rest = function.args
        key = builder.add(builder.mul(columns, word(DOT_ROWS + 1)), rows)
        cases = {
            width * (DOT_ROWS + 1) + height: self.dot_tile(height, width)
            for height in range(1, DOT_ROWS + 1)
            for width in range(1, DOT_COLUMNS + 1)
        }
        self.choose(builder, key, cases, rest)

    def dot_tile(self, rows: int, columns: int) -> ir.Function:
        function, builder, vector = self.function(f"{DOT}_{rows}x{columns}", self.signatures[DOT][2:])
        k, a, a_row, b, b_row, c, c_row, accumulate = function.args
        tile = [(r, s) for r in range(rows) for s in range(columns)]

        def step(_: ir.Value, carried: Values, mask: ir.Value | None = None) -> Values:
            a_now, b_now, *sums = carried
            left = [builder.gep(a_now, [builder.mul(a_row, word(r))]) for r in range(rows)]
            right = [builder.gep(b_now, [builder.mul(b_row, word(s))]) for s in range(columns)]
            x = [vector.load(head, mask) for head in left]
            y = [vector.load(head, mask) for head in right]
            sums = [vector.fma(x[r], y[s], total) for (r, s), total in zip(tile, sums, strict=True)]
            return [builder.gep(now, [word(vector.width)]) for now in (a_now, b_now)] + sums

        whole = builder.udiv(k, word(vector.width))
        rest = builder.urem(k, word(vector.width))
        carried = loop(builder, whole, [a, b] + [vector.zero] * len(tile), step)
        mask = vector.first_lanes(rest)
        some = builder.select(builder.icmp_signed(">", rest, word(0)), word(1), word(0))
        _, _, *sums = loop(builder, some, carried, lambda i, values: step(i, values, mask))
        # Every row takes as many lanes of the vectors of sums, so that its numbers lie together in one.
        slots = min(1 << (columns - 1).bit_length(), vector.width)
        pieces = [(r, s) for r in range(rows) for s in range(0, columns, slots)]
        missing = ir.Constant(vector.type, ir.Undefined)
        sums = [sums[r * columns + s + i] if s + i < columns else missing for r, s in pieces for i in range(slots)]
        totals = vector.sums(sums)
        places, results = [], []
        for number, (r, s) in enumerate(pieces):
            first, live = number * slots % vector.width, min(slots, columns - s)
            lanes = ir.Constant(ir.VectorType(INT32, live), list(range(first, first + live)))
            results.append(builder.shuffle_vector(totals[number * slots // vector.width], missing, lanes))
            place = builder.gep(c, [builder.add(builder.mul(c_row, word(r)), word(s))])
            places.append(builder.bitcast(place, results[-1].type.as_pointer()))
        start = builder.block
        with builder.if_then(accumulate):
            found = [builder.load(place, align=self.size) for place in places]
            loaded = builder.block
        nothing = [ir.Constant(total.type, [-0.0] * total.type.count) for total in results]
        before = [self.either(builder, x, start, y, loaded) for x, y in zip(nothing, found, strict=True)]
        for place, total, value in zip(places, results, before, strict=True):
            builder.store(builder.fadd(value, total), place, align=self.size)
        builder.ret_void()
        return function

    def copy(self) -> None:
        """copy(rows, columns, source, source_row, target, target_row): at most a tile wide."""
        function, builder, vector = self.function(COPY, self.signatures[COPY])
        rows, columns, *rest = function.args
        before = builder.udiv(builder.sub(columns, word(1)), word(vector.width))
        last = builder.sub(columns, builder.mul(before, word(vector.width)))
        cases = {vectors: self.copy_panel(vectors + 1) for vectors in range(TILE_VECTORS)}
        self.choose(builder, before, cases, [rows, last, *rest])

    def copy_panel(self, vectors: int) -> ir.Function:
        """`last` counts the live lanes of the last vector."""
        function, builder, vector = self.function(f"{COPY}_{vectors}", self.signatures[COPY])
        rows, last, source, source_row, target, target_row = function.args
        masks = [None] * (vectors - 1) + [vector.first_lanes(last)]

        def one_row(_: ir.Value, carried: Values) -> Values:
            source_now, target_now = carried
            places = [word(v * vector.width) for v in range(vectors)]
            for place, mask in zip(places, masks, strict=True):
                value = vector.load(builder.gep(source_now, [place]), mask)
                vector.store(value, builder.gep(target_now, [place]), mask)
            return [builder.gep(source_now, [source_row]), builder.gep(target_now, [target_row])]

        loop(builder, rows, [source, target], one_row)
        builder.ret_void()
        return function

    def transpose(self) -> None:
        """transpose(rows, columns, source, source_row, target, target_row): at most one vector each way."""
        function, builder, vector = self.function(TRANSPOSE, self.signatures[TRANSPOSE])
        rows, columns, source, source_row, target, target_row = function.args
        width = vector.width
        indices = ir.VectorType(INT32, width)

        def copy(masked: bool) -> None:
            block = []
            row_mask = vector.first_lanes(columns) if masked else None
            column_mask = vector.first_lanes(rows) if masked else None
            for i in range(width):
                mask = row_mask
                if masked:
                    mask = builder.and_(mask, vector.splat(builder.icmp_signed("<", word(i), rows)))
                block.append(vector.load(builder.gep(source, [builder.mul(source_row, word(i))]), mask))
            # Swap ever larger off-diagonal blocks (Eklundh, IEEE Trans. Computers C-21(7), 1972).
            step = 1
            while step < width:
                low = [lane if not lane & step else width + lane - step for lane in range(width)]
                high = [lane + step if not lane & step else width + lane for lane in range(width)]
                swapped = list(block)
                for i in range(width):
                    if not i & step:
                        pair = block[i], block[i + step]
                        swapped[i] = builder.shuffle_vector(*pair, ir.Constant(indices, low))
                        swapped[i + step] = builder.shuffle_vector(*pair, ir.Constant(indices, high))
                block = swapped
                step *= 2
            for j in range(width):
                mask = column_mask
                if masked:
                    mask = builder.and_(mask, vector.splat(builder.icmp_signed("<", word(j), columns)))
                vector.store(block[j], builder.gep(target, [builder.mul(target_row, word(j))]), mask)

        inside = [builder.icmp_signed("==", extent, word(width)) for extent in (rows, columns)]
        with builder.if_else(builder.and_(*inside)) as (whole, edge):
            with whole:
                copy(masked=False)
            with edge:
                copy(masked=True)
        builder.ret_void()

@intrinsic
def _at(typingctx: Any, block: Any, offset: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        pointer, offset = values
        if isinstance(block, types.Array):
            pointer = context.make_array(block)(context, builder, pointer).data
        return builder.gep(pointer, [offset])

    return types.CPointer(block.dtype)(block, types.int64), codegen


class _Before:
    """A pointer to before the beginning of a memory; what it is indexed with leads inside."""

    def __init__(self, memory: np.ndarray, place: int) -> None:
        self.memory, self.place, self.dtype, self.itemsize = memory, place, memory.dtype, memory.itemsize

    def _inside(self, index: int) -> int:
        if self.place + index < 0:
            raise IndexError(f"{self.place + index} lies before the beginning")
        return self.place + index

    def __getitem__(self, index: int) -> Any:
        return self.memory[self._inside(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        self.memory[self._inside(index)] = value


def _numpy_at(block: Any, offset: int) -> Any:
    if isinstance(block, _Before):
        block, offset = block.memory, block.place + offset
    if block.ndim != 1:
        extent = sum((n - 1) * max(s, 0) for n, s in zip(block.shape, block.strides)) // block.itemsize + 1
        block = np.lib.stride_tricks.as_strided(block, (extent if block.size else 0,), (block.itemsize,))
    return block[offset:] if offset >= 0 else _Before(block, offset)


at = _at if JIT else _numpy_at
"""Inside a kernel: ``at(block, offset)`` points to an element in the memory of `block`, which is an array or
itself such a pointer. Offsets count elements; the array must outlive the pointer."""


@intrinsic
def _lanes(typingctx: Any, block: Any) -> Any:
    count = VECTOR_BYTES * 8 // block.dtype.bitwidth

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        return word(count)

    return types.int64(block), codegen


def _numpy_lanes(block: np.ndarray) -> int:
    return VECTOR_BYTES // block.itemsize


lanes = _lanes if JIT else _numpy_lanes
"""Inside a kernel: how many elements of the memory that `block` is or points to make a vector."""


_library = VectorLibrary(_Products, __file__)
_product, _dot, _copy, _transpose = (_library[name] for name in _Products.signatures)


@kernel(internal=True)
def _vector_block_product(a, a_row, a_col, b, b_row, c, c_row, m, n, k, accumulate):
    if m <= 0:
        return
    panel = TILE_VECTORS * lanes(c)
    # Tiles differ in height by one row at most: a low tile would not keep the vector units busy.
    tiles = (m + TILE_ROWS - 1) // TILE_ROWS
    rows = m // tiles
    higher = m - rows * tiles
    below = higher * (rows + 1)
    a_below, c_below = at(a, below * a_row), at(c, below * c_row)
    for j in range(0, n, panel):
        columns = min(panel, n - j)
        here = at(b, j)
        if higher > 0:
            _product((rows + 1, columns, higher, k, a, a_row, a_col, here, b_row, at(c, j), c_row, accumulate))
        _product(
            (rows, columns, tiles - higher, k, a_below, a_row, a_col, here, b_row, at(c_below, j), c_row, accumulate)
        )


@kernel(internal=True)
def _vector_dot_product(a, a_row, b, b_row, c, c_row, m, n, k, accumulate):
    row_tiles = (m + DOT_ROWS - 1) // DOT_ROWS
    column_tiles = (n + DOT_COLUMNS - 1) // DOT_COLUMNS
    for s in range(column_tiles):
        j = s * n // column_tiles
        columns = (s + 1) * n // column_tiles - j
        for r in range(row_tiles):
            i = r * m // row_tiles
            rows = (r + 1) * m // row_tiles - i
            place = at(c, i * c_row + j)
            _dot((rows, columns, k, at(a, i * a_row), a_row, at(b, j * b_row), b_row, place, c_row, accumulate))


@kernel(internal=True)
def _vector_copy(a, a_row, out, out_row, m, n):
    panel = TILE_VECTORS * lanes(a)
    for j in range(0, n, panel):
        _copy((m, min(panel, n - j), at(a, j), a_row, at(out, j), out_row))


@kernel(internal=True)
def _vector_transpose(a, a_row, out, out_row, m, n):
    width = lanes(a)
    for i in range(0, m, width):
        rows = min(width, m - i)
        for j in range(0, n, width):
            columns = min(width, n - j)
            _transpose((rows, columns, at(a, i * a_row + j), a_row, at(out, j * out_row + i), out_row))


@kernel(internal=True)
def _plain_block_product(a, a_row, a_col, b, b_row, c, c_row, m, n, k, accumulate):
    for i in range(m):
        row = at(c, i * c_row)
        if not accumulate:
            for j in range(n):
                row[j] = 0
        for p in range(k):
            factor = a[i * a_row + p * a_col]
            other = at(b, p * b_row)
            for j in range(n):
                row[j] += factor * other[j]


@kernel(reassociate=True, internal=True)
def _plain_dot_product(a, a_row, b, b_row, c, c_row, m, n, k, accumulate):
    for i in range(m):
        left = at(a, i * a_row)
        for j in range(n):
            right = at(b, j * b_row)
            place = i * c_row + j
            total = like(c[place], 0)
            for p in range(k):
                total += left[p] * right[p]
            c[place] = c[place] + total if accumulate else total


@kernel(internal=True)
def _plain_copy(a, a_row, out, out_row, m, n):
    for i in range(m):
        for j in range(n):
            out[i * out_row + j] = a[i * a_row + j]


@kernel(internal=True)
def _plain_transpose(a, a_row, out, out_row, m, n):
    for i in range(m):
        for j in range(n):
            out[j * out_row + i] = a[i * a_row + j]


def _matrix(flat: np.ndarray, m: int, n: int, row: int, col: int = 1) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(flat, (m, n), (row * flat.itemsize, col * flat.itemsize))


def _numpy_block_product(
    a: np.ndarray, a_row: int, a_col: int, b: np.ndarray, b_row: int, c: np.ndarray, c_row: int,
    m: int, n: int, k: int, accumulate: bool,
) -> None:  # fmt: skip
    target, product = _matrix(c, m, n, c_row), _matrix(a, m, k, a_row, a_col) @ _matrix(b, k, n, b_row)
    target[...] = target + product if accumulate else product


def _numpy_dot_product(
    a: np.ndarray, a_row: int, b: np.ndarray, b_row: int, c: np.ndarray, c_row: int, m: int, n: int, k: int,
    accumulate: bool,
) -> None:  # fmt: skip
    target, product = _matrix(c, m, n, c_row), _matrix(a, m, k, a_row) @ _matrix(b, n, k, b_row).T
    target[...] = target + product if accumulate else product


def _numpy_copy(a: np.ndarray, a_row: int, out: np.ndarray, out_row: int, m: int, n: int) -> None:
    _matrix(out, m, n, out_row)[...] = _matrix(a, m, n, a_row)


def _numpy_transpose(a: np.ndarray, a_row: int, out: np.ndarray, out_row: int, m: int, n: int) -> None:
    _matrix(out, n, m, out_row)[...] = _matrix(a, m, n, a_row).T


def _chosen(vector: Any, plain: Any, without_compiler: Any) -> Any:
    if not JIT:
        return without_compiler
    return vector if VECTOR_BITS else plain


block_product = _chosen(_vector_block_product, _plain_block_product, _numpy_block_product)
"""
Inside a kernel: multiply a block of A by a block of B into a block of C, on the calling thread.

``block_product(a, a_row, a_col, b, b_row, c, c_row, m, n, k, accumulate)`` sets (or, with `accumulate`, adds to)
``c[i * c_row + j]``, for i < m and j < n, the sum over p < k of ``a[i * a_row + p * a_col] * b[p * b_row + j]``.

`a`, `b` and `c` are pointers made by `at`, all to float32 or all to float64; strides count elements. `c` must not
overlap the others. Nothing is checked. `m`, `n` and `k` may be zero. Every element of C is its start value plus
the products in the order of p, one rounding each: however C is cut into blocks, and k into calls that accumulate,
the bits are the same.
"""
dot_product = _chosen(_vector_dot_product, _plain_dot_product, _numpy_dot_product)
"""
Inside a kernel: ``dot_product(a, a_row, b, b_row, c, c_row, m, n, k, accumulate)`` is `block_product` for an A
stored by rows and a B stored by columns: it sums ``a[i * a_row + p] * b[j * b_row + p]`` over p < k. It needs no
packing, and is the faster one where m or n is small and k is not. Each lane of the vectors sums its own p, so the
bits depend on k alone.
"""
copy = _chosen(_vector_copy, _plain_copy, _numpy_copy)
"""
Inside a kernel: ``copy(a, a_row, out, out_row, m, n)`` sets ``out[i * out_row + j] = a[i * a_row + j]`` for i < m,
j < n.
"""
transpose = _chosen(_vector_transpose, _plain_transpose, _numpy_transpose)
"""
Inside a kernel: ``transpose(a, a_row, out, out_row, m, n)`` sets ``out[j * out_row + i] = a[i * a_row + j]`` for
i < m, j < n.
"""
