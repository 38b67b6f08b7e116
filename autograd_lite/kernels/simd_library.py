"""Libraries of vector functions beside `simd`: emitted as LLVM code, compiled when first called, then kept.

A library is a class derived from `Emitter`, whose `emit` writes the functions for one element type.
`VectorLibrary` makes of it functions that kernels can call; kernels hold no more than a call, and compile
quickly.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pathlib
import threading
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import JIT, cache_directory
from .simd import VECTOR_BITS, VECTOR_BYTES, _Library, _target_machine, _Vectors, _word

WORD = ir.IntType(64)
BIT = ir.IntType(1)


class Emitter(_Library):
    """The module of one library for elements of `size` bytes. Signatures have one letter per argument:
    word, pointer to elements, table (pointer to words), bit."""

    signatures: dict[str, str]
    vector_bytes = VECTOR_BYTES

    def __init__(self, size: int) -> None:
        self.size = size
        self.module = ir.Module(f"{type(self).__name__}_f{8 * size}")
        self.pointer = (ir.FloatType() if size == 4 else ir.DoubleType()).as_pointer()
        self.emit()

    def emit(self) -> None:
        raise NotImplementedError

    def function(self, name: str, signature: str) -> tuple[ir.Function, ir.IRBuilder, _Vectors]:
        kinds = {"w": WORD, "p": self.pointer, "t": WORD.as_pointer(), "b": BIT}
        function_type = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in signature])
        function = ir.Function(self.module, function_type, name)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        return function, builder, _Vectors(builder, self.size, self.vector_bytes)

    @staticmethod
    def entry(builder: ir.IRBuilder, table: ir.Value, index: ir.Value | int) -> ir.Value:
        """The word of a table at an index."""
        index = _word(index) if isinstance(index, int) else index
        return builder.load(builder.gep(table, [index]))


class VectorLibrary:
    """The functions of an emitter, by name; each takes its arguments as one tuple, pointers made by `at`.

    Parameters
    ----------
    emitter : type
        Its functions are those that `signatures` lists.
    file : str
        Where the emitter is defined; when that changes, the kept machine code is out of date.
    """

    def __init__(self, emitter: type[Emitter], file: str) -> None:
        self._emitter = emitter
        self._file = pathlib.Path(file)
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
            sources = [self._file, here, here.with_name("simd.py")]
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
        place = builder.gep(self._table(builder.module), [_word(0), _word(slot)])
        with builder.if_then(cgutils.is_null(builder, builder.load(place)), likely=False):
            load_type = ir.FunctionType(ir.VoidType(), [WORD])
            load = cgutils.get_or_insert_function(builder.module, load_type, f"{self._symbol}_load")
            builder.call(load, [_word(size)])
        builder.call(builder.bitcast(builder.load(place), function_type.as_pointer()), values)

    def __getitem__(self, name: str) -> Any:
        signature = self._emitter.signatures[name]

        @intrinsic
        def function(typingctx: Any, arguments: Any) -> Any:
            def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
                passed, size = [], 0
                given = zip(cgutils.unpack_tuple(builder, values[0]), arguments.types, signature, strict=True)
                for value, kind, letter in given:
                    if letter in "pt":
                        passed.append(value)
                        size = kind.dtype.bitwidth // 8 if letter == "p" else size
                    else:
                        wanted = types.int64 if letter == "w" else types.boolean
                        passed.append(context.cast(builder, value, kind, wanted))
                self._call(builder, name, size, passed)
                return context.get_dummy_value()

            return types.void(arguments), codegen

        return function
