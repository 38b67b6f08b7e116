"""Libraries of vector functions: emitted as LLVM code, compiled when first called, then kept.

A library is a class derived from `Emitter`, whose `emit` writes the functions for one element type with the help of
`Vectors` and `loop`. `VectorLibrary` makes of it functions that kernels can call; kernels hold no more than a call,
and compile quickly.

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
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import JIT, cache_directory


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

WORD = ir.IntType(64)
INT32 = ir.IntType(32)
BYTE = ir.IntType(8)
BIT = ir.IntType(1)
Values = list[ir.Value]


def word(value: int) -> ir.Constant:
    return ir.Constant(WORD, value)


def loop(builder: ir.IRBuilder, count: ir.Value, carried: Values, body: Callable[..., Values]) -> Values:
    """Emit ``for i in range(count): carried = body(i, carried)``; carried values stay in registers."""
    before = builder.block
    block = builder.append_basic_block("loop")
    after = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", count, word(0)), block, after)
    builder.position_at_end(block)
    phis = [builder.phi(value.type) for value in [count, *carried]]
    updated = body(phis[0], phis[1:])
    updated = [builder.add(phis[0], word(1)), *updated]
    builder.cbranch(builder.icmp_signed("<", updated[0], count), block, after)
    for phi, start, value in zip(phis, [word(0), *carried], updated, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, builder.block)
    last = builder.block
    builder.position_at_end(after)
    results = [builder.phi(value.type) for value in carried]
    for phi, start, value in zip(results, carried, updated[1:], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, last)
    return results


class Vectors:
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
        vector = self.builder.insert_element(vector, value, ir.Constant(INT32, 0))
        lanes = ir.Constant(ir.VectorType(INT32, self.width), [0] * self.width)
        return self.builder.shuffle_vector(vector, vector, lanes)

    def fma(self, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        return self._call("llvm.fma.%s", self.type, x, y, z)

    def root(self, value: ir.Value) -> ir.Value:
        """The square root of a single number."""
        function_type = ir.FunctionType(self.element, [self.element])
        name = f"llvm.sqrt.f{8 * self.size}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function_type, name), [value])

    def sum(self, vector: ir.Value) -> ir.Value:
        """The sum of the lanes."""
        start = ir.Constant(self.element, -0.0)
        return self._call("llvm.vector.reduce.fadd.%s", self.element, start, vector, fastmath=("reassoc",))

    def sums(self, vectors: Values) -> Values:
        """The sums of the lanes of each, packed into vectors in their order: halves are added, then quarters, and
        so on, of two vectors at a time, which takes half the instructions of one at a time."""
        missing = ir.Constant(self.type, ir.Undefined)
        half = self.width // 2
        while half:
            starts = [block + i for block in range(0, 2 * self.width, 2 * half) for i in range(half)]
            ends = [lane + half for lane in starts]
            pairs = zip(vectors[::2], [*vectors[1::2], missing])
            folded = []
            for x, y in pairs:
                low, high = (self.shuffle(x, y, lanes) for lanes in (starts, ends))
                folded.append(self.builder.fadd(low, high))
            vectors, half = folded, half // 2
        return vectors

    def shuffle(self, x: ir.Value, y: ir.Value, lanes: list[int]) -> ir.Value:
        """The given lanes of `x` followed by `y`."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(INT32, len(lanes)), lanes))

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """The mask of the first `count` lanes."""
        lanes = ir.Constant(ir.VectorType(WORD, self.width), list(range(self.width)))
        return self.builder.icmp_signed("<", lanes, self.splat(count))

    def load(self, pointer: ir.Value, mask: ir.Value | None = None, other: ir.Value | None = None) -> ir.Value:
        """Lanes that the mask leaves out are those of `other`, or zero."""
        address = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            return self.builder.load(address, align=self.size)
        align = ir.Constant(INT32, self.size)
        return self._call("llvm.masked.load.%s.p0", self.type, address, align, mask, other or self.zero)

    def prefetch(self, pointer: ir.Value) -> None:
        """Fetch the cache line there into the first level; any address will do."""
        address = self.builder.bitcast(pointer, self.type.as_pointer())
        flags = [ir.Constant(INT32, flag) for flag in (1, 3, 1)]  # for writing, to the first level, data
        function_type = ir.FunctionType(ir.VoidType(), [address.type, INT32, INT32, INT32])
        function = cgutils.get_or_insert_function(self.builder.module, function_type, "llvm.prefetch.p0")
        self.builder.call(function, [address, *flags])

    def store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
        address = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, address, align=self.size)
        else:
            align = ir.Constant(INT32, self.size)
            self._call("llvm.masked.store.%s.p0", ir.VoidType(), value, address, align, mask)


class Emitter:
    """The module of one library for elements of `size` bytes. Signatures have one letter per argument:
    word, pointer to elements, table (pointer to words), codes (pointer to bytes), bit."""

    signatures: dict[str, str]
    vector_bytes = VECTOR_BYTES

    def __init__(self, size: int) -> None:
        self.size = size
        self.module = ir.Module(f"{type(self).__name__}_f{8 * size}")
        self.pointer = (ir.FloatType() if size == 4 else ir.DoubleType()).as_pointer()
        self.emit()

    def emit(self) -> None:
        raise NotImplementedError

    def function(self, name: str, signature: str) -> tuple[ir.Function, ir.IRBuilder, Vectors]:
        kinds = {"w": WORD, "p": self.pointer, "t": WORD.as_pointer(), "c": BYTE.as_pointer(), "b": BIT}
        function_type = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in signature])
        function = ir.Function(self.module, function_type, name)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        return function, builder, Vectors(builder, self.size, self.vector_bytes)

    def choose(self, builder: ir.IRBuilder, key: ir.Value, cases: dict[int, ir.Function], args: Any) -> None:
        """Call the function whose number `key` is, then return."""
        end = builder.append_basic_block("end")
        switch = builder.switch(key, end)
        for number, function in cases.items():
            function.linkage = "internal"
            with builder.goto_block(builder.append_basic_block()):
                switch.add_case(word(number), builder.block)
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

    @staticmethod
    def entry(builder: ir.IRBuilder, table: ir.Value, index: ir.Value | int) -> ir.Value:
        """The word of a table at an index."""
        index = word(index) if isinstance(index, int) else index
        return builder.load(builder.gep(table, [index]))

    def compile(self) -> bytes:
        """Machine code for this CPU, as an object file."""
        module = llvm.parse_assembly(str(self.module))
        module.verify()
        return _target_machine().emit_object(module)


def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(cpu, features, opt=3, jit=True)


class VectorLibrary:
    """The functions of an emitter, by name; each takes its arguments as one tuple, pointers made by `at`.

    Parameters
    ----------
    emitter : type
        Its functions are those that `signatures` lists.
    files : str
        Where the emitter is defined, and what it is made of; when that changes, the kept machine code is out of date.
    """

    def __init__(self, emitter: type[Emitter], *files: str) -> None:
        self._emitter = emitter
        self._files = [pathlib.Path(file) for file in files]
        self._names = list(emitter.signatures)
        self._symbol = f"autograd_lite_{emitter.__name__.lower()}"
        # Where the functions are, for float32 and then for float64; null until they are loaded.
        self._addresses = (ctypes.c_void_p * (2 * len(self._names)))()
        self._engines: list[Any] = []
        self._loading = threading.Lock()
        self._callback = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self._load)
        if JIT:
            llvm.add_symbol(f"{self._symbol}_addresses", ctypes.addressof(self._addresses))
            llvm.add_symbol(f"{self._symbol}_load", ctypes.cast(self._callback, ctypes.c_void_p).value)

    def _load(self, size: int) -> None:
        """Fill the addresses for elements of `size` bytes; a kernel calls this when it meets a null."""
        first = 0 if size == 4 else len(self._names)
        with self._loading:
            if self._addresses[first]:
                return
            cpu = llvm.get_host_cpu_name() + llvm.get_host_cpu_features().flatten()
            build = f"{llvmlite.__version__} {llvm.llvm_version_info} {cpu} {VECTOR_BITS} {size}"
            here = pathlib.Path(__file__)
            sources = [*self._files, here]
            digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources) + build.encode()).hexdigest()
            file = cache_directory() / f"{self._symbol}-f{8 * size}-{digest[:24]}.o"
            if file.is_file():
                code = file.read_bytes()
            else:
                code = self._emitter(size).compile()
                draft = file.with_suffix(f".{os.getpid()}")
                draft.write_bytes(code)
                draft.replace(file)
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            self._engines.append(engine)  # owns the machine code
            for i, name in reversed(list(enumerate(self._names))):
                self._addresses[first + i] = engine.get_function_address(name)

    def _table(self, module: ir.Module) -> ir.Value:
        name = f"{self._symbol}_addresses"
        if name in module.globals:
            return module.globals[name]
        return ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8).as_pointer(), len(self._addresses)), name)

    def _call(self, builder: ir.IRBuilder, name: str, size: int, values: list[ir.Value]) -> None:
        function_type = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        slot = self._names.index(name) + (0 if size == 4 else len(self._names))
        place = builder.gep(self._table(builder.module), [word(0), word(slot)])
        with builder.if_then(cgutils.is_null(builder, builder.load(place)), likely=False):
            load_type = ir.FunctionType(ir.VoidType(), [WORD])
            load = cgutils.get_or_insert_function(builder.module, load_type, f"{self._symbol}_load")
            builder.call(load, [word(size)])
        builder.call(builder.bitcast(builder.load(place), function_type.as_pointer()), values)

    def __getitem__(self, name: str) -> Any:
        signature = self._emitter.signatures[name]

        @intrinsic
        def function(typingctx: Any, arguments: Any) -> Any:
            def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
                passed, size = [], 0
                given = zip(cgutils.unpack_tuple(builder, values[0]), arguments.types, signature, strict=True)
                for value, kind, letter in given:
                    if letter in "ptc":
                        passed.append(value)
                        size = kind.dtype.bitwidth // 8 if letter == "p" else size
                    else:
                        wanted = types.int64 if letter == "w" else types.boolean
                        passed.append(context.cast(builder, value, kind, wanted))
                self._call(builder, name, size, passed)
                return context.get_dummy_value()

            return types.void(arguments), codegen

        return function
