"""Vector code: the one place where the library writes its own instructions.

Three operations on blocks of matrices, for float32 and float64, to be called inside kernels:

- `block_product`: A times B, where rows of B are contiguous;
- `dot_product`: A times the transpose of B, where rows of A and of B are contiguous;
- `transpose`: a block copied with rows and columns swapped.

Each is cut into tiles that fit the vector registers. A tile of the first is

    for p in range(k):                         # the sums never leave their registers
        for v in range(vectors): b[v] = B[p, v * WIDTH : (v + 1) * WIDTH]
        for r in range(rows):    sum[r][v] = fma(broadcast(A[r, p]), b[v], sum[r][v])

(Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008). A is read
one number at a time and may have any strides. The last vector is masked where N ends inside it, and the last
rows get tiles of their own height, so that no element is left to scalar code.

The tiles are LLVM functions in a library of their own, one per dtype, that is compiled when a kernel first
calls it and kept beside the kernels' cache: kernels that use it stay small and compile quickly.

``AUTOGRAD_LITE_SIMD`` overrides the vector size: 128, 256 or 512 bits, or 0 for plain loops.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import JIT, cache_directory, kernel
from .scalar import like


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


CPU = llvm.get_host_cpu_name()
VECTOR_BITS = _vector_bits()
"""Bits of the vectors in use; 0 for plain loops."""
VECTOR_BYTES = max(VECTOR_BITS, 128) // 8
TILE_ROWS, TILE_VECTORS = (4, 3) if VECTOR_BITS == 256 else (6, 4)
"""The largest tile of `block_product`: AVX2 has 16 vector registers, AVX-512 and NEON have 32."""
DOT_ROWS, DOT_COLUMNS = (3, 3) if VECTOR_BITS == 256 else (5, 4)
"""The largest tile of `dot_product`."""

_WORD = ir.IntType(64)
_INT32 = ir.IntType(32)
_BIT = ir.IntType(1)
_Values = list[ir.Value]


def _word(value: int) -> ir.Constant:
    return ir.Constant(_WORD, value)


def _loop(builder: ir.IRBuilder, count: ir.Value, carried: _Values, body: Callable[..., _Values]) -> _Values:
    """Emit ``for i in range(count): carried = body(i, carried)``; carried values stay in registers."""
    before = builder.block
    block = builder.append_basic_block("loop")
    after = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", count, _word(0)), block, after)
    builder.position_at_end(block)
    phis = [builder.phi(value.type) for value in [count, *carried]]
    updated = body(phis[0], phis[1:])
    updated = [builder.add(phis[0], _word(1)), *updated]
    builder.cbranch(builder.icmp_signed("<", updated[0], count), block, after)
    for phi, start, value in zip(phis, [_word(0), *carried], updated, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, builder.block)
    last = builder.block
    builder.position_at_end(after)
    results = [builder.phi(value.type) for value in carried]
    for phi, start, value in zip(results, carried, updated[1:], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, last)
    return results


class _Vectors:
    """Emits vector operations on one element type."""

    def __init__(self, builder: ir.IRBuilder, size: int, vector_bytes: int = VECTOR_BYTES) -> None:
        self.builder = builder
        self.size = size
        self.element = ir.FloatType() if size == 4 else ir.DoubleType()
        self.width = vector_bytes // size
        self.type = ir.VectorType(self.element, self.width)
        self.zero = ir.Constant(self.type, [0.0] * self.width)

    def _call(self, name: str, result: ir.Type, *values: ir.Value, fastmath: tuple[str, ...] = ()) -> ir.Value:
        function_type = ir.FunctionType(result, [value.type for value in values])
        suffix = f"v{self.width}f{8 * self.size}"
        function = cgutils.get_or_insert_function(self.builder.module, function_type, name % suffix)
        return self.builder.call(function, values, fastmath=fastmath)

    def splat(self, value: ir.Value) -> ir.Value:
        vector = ir.Constant(ir.VectorType(value.type, self.width), ir.Undefined)
        vector = self.builder.insert_element(vector, value, ir.Constant(_INT32, 0))
        lanes = ir.Constant(ir.VectorType(_INT32, self.width), [0] * self.width)
        return self.builder.shuffle_vector(vector, vector, lanes)

    def fma(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        return self._call("llvm.fma.%s", self.type, x, y, z)

    def sum(self, vector: ir.Value) -> ir.Value:
        """The sum of the lanes."""
        start = ir.Constant(self.element, -0.0)
        return self._call("llvm.vector.reduce.fadd.%s", self.element, start, vector, fastmath=("reassoc",))

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """The mask of the first `count` lanes."""
        lanes = ir.Constant(ir.VectorType(_WORD, self.width), list(range(self.width)))
        return self.builder.icmp_signed("<", lanes, self.splat(count))

    def load(self, pointer: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        address = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            return self.builder.load(address, align=self.size)
        align = ir.Constant(_INT32, self.size)
        return self._call("llvm.masked.load.%s.p0", self.type, address, align, mask, self.zero)

    def prefetch(self, pointer: ir.Value) -> None:
        """Fetch the cache line there into the first level; any address will do."""
        address = self.builder.bitcast(pointer, self.type.as_pointer())
        flags = [ir.Constant(_INT32, flag) for flag in (1, 3, 1)]  # for writing, to the first level, data
        function_type = ir.FunctionType(ir.VoidType(), [address.type, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(self.builder.module, function_type, "llvm.prefetch.p0")
        self.builder.call(function, [address, *flags])

    def store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
        address = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, address, align=self.size)
        else:
            align = ir.Constant(_INT32, self.size)
            self._call("llvm.masked.store.%s.p0", ir.VoidType(), value, address, align, mask)


class _Library:
    """The vector functions for elements of `size` bytes, as one LLVM module."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.module = ir.Module(f"autograd_lite_simd_f{8 * size}")
        self.pointer = (ir.FloatType() if size == 4 else ir.DoubleType()).as_pointer()
        self.product()
        self.dot()
        self.transpose()

    def function(self, name: str, signature: str) -> tuple[ir.Function, ir.IRBuilder, _Vectors]:
        """Start a function; `signature` has one letter per argument: word, pointer or bit."""
        kinds = {"w": _WORD, "p": self.pointer, "b": _BIT}
        function_type = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in signature])
        function = ir.Function(self.module, function_type, name)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        return function, builder, _Vectors(builder, self.size)

    def choose(self, builder: ir.IRBuilder, key: ir.Value, cases: dict[int, ir.Function], args: Any) -> None:
        """Call the function whose number `key` is, then return."""
        end = builder.append_basic_block("end")
        switch = builder.switch(key, end)
        for number, function in cases.items():
            function.linkage = "internal"
            with builder.goto_block(builder.append_basic_block()):
                switch.add_case(_word(number), builder.block)
                builder.call(function, args)
                builder.branch(end)
        builder.position_at_end(end)
        builder.ret_void()

    @staticmethod
    def either(builder: ir.IRBuilder, x: ir.Value, x_from: ir.Block, y: ir.Value, y_from: ir.Block) -> ir.Value:
        """`x` if the control flow came from block `x_from`, `y` if from `y_from`."""
        phi = builder.phi(x.type)
        phi.add_incoming(x, x_from)
        phi.add_incoming(y, y_from)
        return phi

    def product(self) -> None:
        """product(rows, columns, count, k, a, a_row, a_col, b, b_row, c, c_row, accumulate):
        `count` tiles of `rows` rows, one below the other."""
        function, builder, vector = self.function(PRODUCT, _SIGNATURES[PRODUCT])
        rows, columns, *rest = function.args
        full = builder.icmp_signed("==", columns, _word(TILE_VECTORS * vector.width))
        before = builder.udiv(builder.sub(columns, _word(1)), _word(vector.width))
        last = builder.sub(columns, builder.mul(before, _word(vector.width)))
        shape = builder.select(full, _word(TILE_VECTORS), before)
        key = builder.add(builder.mul(shape, _word(TILE_ROWS + 1)), rows)
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
        function, builder, vector = self.function(name, _SIGNATURES[PRODUCT][1:])
        last, count, k, a, a_row, a_col, b, b_row, c, c_row, accumulate = function.args
        masks = [None] * vectors
        if masked:
            masks[-1] = vector.first_lanes(last)
        tile = [(r, v) for r in range(rows) for v in range(vectors)]

        def step(_: ir.Value, carried: _Values) -> _Values:
            a_now, b_now, *sums = carried
            row = [vector.load(builder.gep(b_now, [_word(v * vector.width)]), masks[v]) for v in range(vectors)]
            heads = [builder.gep(a_now, [builder.mul(a_row, _word(r))]) for r in range(rows)]
            column = [vector.splat(builder.load(head)) for head in heads]
            sums = [vector.fma(column[r], row[v], total) for (r, v), total in zip(tile, sums, strict=True)]
            return [builder.gep(a_now, [a_col]), builder.gep(b_now, [b_row]), *sums]

        def one_tile(_: ir.Value, carried: _Values) -> _Values:
            a_tile, c_tile = carried
            rows_of_c = [builder.gep(c_tile, [builder.mul(c_row, _word(r))]) for r in range(rows)]
            places = [builder.gep(rows_of_c[r], [_word(v * vector.width)]) for r, v in tile]
            start = builder.block
            with builder.if_then(accumulate):
                found = [vector.load(place, masks[v]) for place, (_, v) in zip(places, tile, strict=True)]
                for place in places:
                    vector.prefetch(builder.gep(place, [builder.mul(c_row, _word(rows))]))
                loaded = builder.block
            sums = [self.either(builder, vector.zero, start, value, loaded) for value in found]
            _, _, *sums = _loop(builder, k, [a_tile, b, *sums], step)
            for place, total, (_, v) in zip(places, sums, tile, strict=True):
                vector.store(total, place, masks[v])
            return [
                builder.gep(a_tile, [builder.mul(a_row, _word(rows))]),
                builder.gep(c_tile, [builder.mul(c_row, _word(rows))]),
            ]

        _loop(builder, count, [a, c], one_tile)
        builder.ret_void()
        return function

    def dot(self) -> None:
        """dot(rows, columns, k, a, a_row, b, b_row, c, c_row, accumulate): one tile."""
        function, builder, _ = self.function(DOT, _SIGNATURES[DOT])
        rows, columns, *rest = function.args
        key = builder.add(builder.mul(columns, _word(DOT_ROWS + 1)), rows)
        cases = {
            width * (DOT_ROWS + 1) + height: self.dot_tile(height, width)
            for height in range(1, DOT_ROWS + 1)
            for width in range(1, DOT_COLUMNS + 1)
        }
        self.choose(builder, key, cases, rest)

    def dot_tile(self, rows: int, columns: int) -> ir.Function:
        function, builder, vector = self.function(f"{DOT}_{rows}x{columns}", _SIGNATURES[DOT][2:])
        k, a, a_row, b, b_row, c, c_row, accumulate = function.args
        tile = [(r, s) for r in range(rows) for s in range(columns)]

        def step(_: ir.Value, carried: _Values, mask: ir.Value | None = None) -> _Values:
            a_now, b_now, *sums = carried
            left = [builder.gep(a_now, [builder.mul(a_row, _word(r))]) for r in range(rows)]
            right = [builder.gep(b_now, [builder.mul(b_row, _word(s))]) for s in range(columns)]
            x = [vector.load(head, mask) for head in left]
            y = [vector.load(head, mask) for head in right]
            sums = [vector.fma(x[r], y[s], total) for (r, s), total in zip(tile, sums, strict=True)]
            return [builder.gep(now, [_word(vector.width)]) for now in (a_now, b_now)] + sums

        whole = builder.udiv(k, _word(vector.width))
        rest = builder.urem(k, _word(vector.width))
        carried = _loop(builder, whole, [a, b] + [vector.zero] * len(tile), step)
        mask = vector.first_lanes(rest)
        some = builder.select(builder.icmp_signed(">", rest, _word(0)), _word(1), _word(0))
        _, _, *sums = _loop(builder, some, carried, lambda i, values: step(i, values, mask))
        for (r, s), total in zip(tile, sums, strict=True):
            place = builder.gep(c, [builder.add(builder.mul(c_row, _word(r)), _word(s))])
            start = builder.block
            with builder.if_then(accumulate):
                found = builder.load(place)
                loaded = builder.block
            before = self.either(builder, ir.Constant(vector.element, -0.0), start, found, loaded)
            builder.store(builder.fadd(before, vector.sum(total)), place)
        builder.ret_void()
        return function

    def transpose(self) -> None:
        """transpose(rows, columns, source, source_row, target, target_row): at most one vector each way."""
        function, builder, vector = self.function(TRANSPOSE, _SIGNATURES[TRANSPOSE])
        rows, columns, source, source_row, target, target_row = function.args
        width = vector.width
        indices = ir.VectorType(_INT32, width)

        def copy(masked: bool) -> None:
            block = []
            row_mask = vector.first_lanes(columns) if masked else None
            column_mask = vector.first_lanes(rows) if masked else None
            for i in range(width):
                mask = row_mask
                if masked:
                    mask = builder.and_(mask, vector.splat(builder.icmp_signed("<", _word(i), rows)))
                block.append(vector.load(builder.gep(source, [builder.mul(source_row, _word(i))]), mask))
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
                    mask = builder.and_(mask, vector.splat(builder.icmp_signed("<", _word(j), columns)))
                vector.store(block[j], builder.gep(target, [builder.mul(target_row, _word(j))]), mask)

        inside = [builder.icmp_signed("==", extent, _word(width)) for extent in (rows, columns)]
        with builder.if_else(builder.and_(*inside)) as (whole, edge):
            with whole:
                copy(masked=False)
            with edge:
                copy(masked=True)
        builder.ret_void()

    def compile(self) -> bytes:
        """Machine code for this CPU, as an object file."""
        module = llvm.parse_assembly(str(self.module))
        module.verify()
        return _target_machine().emit_object(module)


PRODUCT, DOT, TRANSPOSE = "autograd_lite_product", "autograd_lite_dot", "autograd_lite_transpose"
_NAMES = [PRODUCT, DOT, TRANSPOSE]
_SIGNATURES = {PRODUCT: "wwwwpwwpwpwb", DOT: "wwwpwpwpwb", TRANSPOSE: "wwpwpw"}


def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(cpu, features, opt=3, jit=True)


_addresses = (ctypes.c_void_p * (2 * len(_NAMES)))()
"""Where the functions are: for float32, then for float64, in the order of `_NAMES`; null until loaded."""
_engines: list[Any] = []
_loading = threading.Lock()


def _load(size: int) -> None:
    """Fill `_addresses` for elements of `size` bytes; a kernel calls this when it first meets a null."""
    first = 0 if size == 4 else len(_NAMES)
    with _loading:
        if _addresses[first]:
            return
        cpu = llvm.get_host_cpu_name() + llvm.get_host_cpu_features().flatten()
        build = f"{llvmlite.__version__} {llvm.llvm_version_info} {cpu} {VECTOR_BITS} {size}"
        source = pathlib.Path(__file__).read_bytes()
        digest = hashlib.sha256(source + build.encode()).hexdigest()[:24]
        file = cache_directory() / f"simd-f{8 * size}-{digest}.o"
        if file.is_file():
            code = file.read_bytes()
        else:
            code = _Library(size).compile()
            draft = file.with_suffix(f".{os.getpid()}")
            draft.write_bytes(code)
            draft.replace(file)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _engines.append(engine)  # owns the machine code
        for i, name in reversed(list(enumerate(_NAMES))):
            _addresses[first + i] = engine.get_function_address(name)


_load_callback = ctypes.CFUNCTYPE(None, ctypes.c_int64)(_load)
if JIT:
    llvm.add_symbol("autograd_lite_simd_addresses", ctypes.addressof(_addresses))
    llvm.add_symbol("autograd_lite_simd_load", ctypes.cast(_load_callback, ctypes.c_void_p).value)


def _call_vector_function(builder: ir.IRBuilder, name: str, element: ir.Type, values: Any) -> None:
    size = 4 if isinstance(element, ir.FloatType) else 8
    slot = _NAMES.index(name) + (0 if size == 4 else len(_NAMES))
    pointer = element.as_pointer()
    kinds = {"w": _WORD, "p": pointer, "b": _BIT}
    function_type = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in _SIGNATURES[name]])
    module = builder.module
    if "autograd_lite_simd_addresses" in module.globals:
        table = module.globals["autograd_lite_simd_addresses"]
    else:
        table = ir.GlobalVariable(
            module, ir.ArrayType(function_type.as_pointer(), len(_addresses)), "autograd_lite_simd_addresses"
        )
    place = builder.bitcast(builder.gep(table, [_word(0), _word(slot)]), function_type.as_pointer().as_pointer())
    missing = cgutils.is_null(builder, builder.load(place))
    with builder.if_then(missing, likely=False):
        load_type = ir.FunctionType(ir.VoidType(), [_WORD])
        load = cgutils.get_or_insert_function(module, load_type, "autograd_lite_simd_load")
        builder.call(load, [_word(size)])
    builder.call(builder.load(place), values)


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

    def __getitem__(self, index: int) -> Any:
        if self.place + index < 0:
            raise IndexError(f"{self.place + index} lies before the beginning")
        return self.memory[self.place + index]


def _numpy_at(block: Any, offset: int) -> Any:
    if isinstance(block, _Before):
        block, offset = block.memory, block.place + offset
    if block.ndim != 1:
        extent = sum((n - 1) * s for n, s in zip(block.shape, block.strides)) // block.itemsize + 1
        block = np.lib.stride_tricks.as_strided(block, (extent if block.size else 0,), (block.itemsize,))
    return block[offset:] if offset >= 0 else _Before(block, offset)


at = _at if JIT else _numpy_at
"""Inside a kernel: ``at(block, offset)`` points to an element in the memory of `block`, which is an array or
itself such a pointer. Offsets count elements; the array must outlive the pointer."""


@intrinsic
def _lanes(typingctx: Any, block: Any) -> Any:
    count = VECTOR_BYTES * 8 // block.dtype.bitwidth

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        return _word(count)

    return types.int64(block), codegen


def _numpy_lanes(block: np.ndarray) -> int:
    return VECTOR_BYTES // block.itemsize


lanes = _lanes if JIT else _numpy_lanes
"""Inside a kernel: how many elements of the memory that `block` is or points to make a vector."""


def _vector_function(name: str) -> Any:
    """The function of that name, for kernels; it takes its arguments as one tuple."""

    @intrinsic
    def function(typingctx: Any, arguments: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
            passed, element = [], None
            given = zip(cgutils.unpack_tuple(builder, values[0]), arguments.types, _SIGNATURES[name], strict=True)
            for value, kind, letter in given:
                if letter == "p":
                    element = context.get_data_type(kind.dtype)
                    passed.append(value)
                else:
                    passed.append(context.cast(builder, value, kind, types.int64 if letter == "w" else types.boolean))
            _call_vector_function(builder, name, element, passed)
            return context.get_dummy_value()

        return types.void(arguments), codegen

    return function


_product = _vector_function(PRODUCT)
_dot = _vector_function(DOT)
_transpose = _vector_function(TRANSPOSE)


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
transpose = _chosen(_vector_transpose, _plain_transpose, _numpy_transpose)
"""
Inside a kernel: ``transpose(a, a_row, out, out_row, m, n)`` sets ``out[j * out_row + i] = a[i * a_row + j]`` for
i < m, j < n.
"""
