"""Threads: the library's only parallel region.

``parallel_for(body, parts, args)`` calls ``body(part, *args)`` for every part in ``range(parts)`` from
inside a kernel, on as many threads as `set_num_threads` allows. Threads take the next part from a shared
counter, so the *work* is balanced dynamically; a kernel that sums must therefore let each part write its
own slot, and add the slots up in order afterwards. Results then do not depend on the thread count.

The region itself is one call of OpenMP's ``GOMP_parallel``, about 1 us when the threads are awake. Where
no OpenMP library can be loaded, and in a process forked after OpenMP has started its threads (which do
not survive a fork), parts run one after another on the calling thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import JIT

_threads = ctypes.c_int64(1)
_forked = False


def _load_openmp() -> Any:
    names = {
        "linux": ["libgomp.so.1", "libomp.so.5", "libomp.so"],
        "darwin": ["libgomp.1.dylib", "libomp.dylib", "/opt/homebrew/opt/libomp/lib/libomp.dylib"],
    }
    for name in names.get(sys.platform, []):
        try:
            return ctypes.CDLL(name).GOMP_parallel
        except (OSError, AttributeError):
            continue
    return None


def _available_cores() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_openmp = _load_openmp() if JIT else None


def has_threads() -> bool:
    """Whether kernels can run on more than one thread in this process."""
    return _openmp is not None and not _forked


def set_num_threads(n: int) -> None:
    """Set how many threads a kernel may use.

    Results do not depend on it, to the bit. In a process without usable OpenMP threads (see
    `has_threads`) kernels stay on one.

    Raises
    ------
    RuntimeError
        If `n` is not a positive integer.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> before = ag.get_num_threads()
    >>> ag.set_num_threads(1)
    >>> ag.get_num_threads()
    1
    >>> ag.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n}")
    _threads.value = n if has_threads() else 1


def get_num_threads() -> int:
    """How many threads a kernel may use (at first, the cores that this process may run on).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.get_num_threads() >= 1
    True
    """
    return int(_threads.value)


def _after_fork() -> None:
    global _forked
    _forked = True
    _threads.value = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
if has_threads():
    _threads.value = _available_cores()


def _register_runtime() -> None:
    """Give LLVM the two symbols that kernels call: the thread count and the parallel region."""
    word = ir.IntType(64)
    module = ir.Module("autograd_lite_threads")
    module.triple = llvm.get_process_triple()
    count = ir.Function(module, ir.FunctionType(word, []), "autograd_lite_num_threads")
    builder = ir.IRBuilder(count.append_basic_block())
    address = ir.Constant(word, ctypes.addressof(_threads))
    builder.ret(builder.load(builder.inttoptr(address, word.as_pointer())))
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    text = llvm.parse_assembly(str(module))
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(text, machine)
    engine.finalize_object()
    _register_runtime.engine = engine  # type: ignore[attr-defined]  # owns the machine code
    llvm.add_symbol(count.name, engine.get_function_address(count.name))
    if _openmp is not None:
        address_of = ctypes.cast(_openmp, ctypes.c_void_p).value
        llvm.add_symbol("autograd_lite_fork", address_of)
    else:
        llvm.add_symbol("autograd_lite_fork", engine.get_function_address(count.name))  # never called


if JIT:
    _register_runtime()

_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()


def _external(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, list(arguments)), name)


@intrinsic
def _num_threads(typingctx: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return builder.call(_external(builder, "autograd_lite_num_threads", _WORD), [])

    return types.int64(), codegen


@intrinsic
def _parallel_for(typingctx: Any, body: Any, parts: Any, args: Any) -> Any:
    body_sig = body.get_call_type(typingctx, (types.intp, *args.types), {})

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        _, n, arguments = values
        compiled = body.dispatcher.get_compile_result(body_sig)
        context.active_code_library.add_linking_library(compiled.library)
        # The frame that the threads share: the next part to take, the number of parts, the arguments.
        frame_type = ir.LiteralStructType([_WORD, _WORD, arguments.type])
        frame = cgutils.alloca_once(builder, frame_type)
        builder.store(ir.Constant(_WORD, 0), cgutils.gep_inbounds(builder, frame, 0, 0))
        builder.store(n, cgutils.gep_inbounds(builder, frame, 0, 1))
        builder.store(arguments, cgutils.gep_inbounds(builder, frame, 0, 2))

        name = builder.module.get_unique_name("parallel_for")
        worker = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), name)
        worker.linkage = "internal"
        inner = ir.IRBuilder(worker.append_basic_block("entry"))
        shared = inner.bitcast(worker.args[0], frame_type.as_pointer())
        counter = cgutils.gep_inbounds(inner, shared, 0, 0)
        total = inner.load(cgutils.gep_inbounds(inner, shared, 0, 1))
        unpacked = inner.load(cgutils.gep_inbounds(inner, shared, 0, 2))
        callee = context.declare_function(builder.module, compiled.fndesc)
        take, work, done = (worker.append_basic_block(b) for b in ("take", "work", "done"))
        inner.branch(take)
        inner.position_at_end(take)
        part = inner.atomic_rmw("add", counter, ir.Constant(_WORD, 1), "seq_cst")
        inner.cbranch(inner.icmp_signed("<", part, total), work, done)
        inner.position_at_end(work)
        fields = [inner.extract_value(unpacked, i) for i in range(len(args.types))]
        fields = [
            context.cast(inner, value, given, wanted)
            for value, given, wanted in zip(fields, args.types, body_sig.args[1:], strict=True)
        ]
        context.call_conv.call_function(
            inner, callee, compiled.fndesc.restype, compiled.fndesc.argtypes, [part, *fields]
        )
        inner.branch(take)
        inner.position_at_end(done)
        inner.ret_void()

        threads = builder.call(_external(builder, "autograd_lite_num_threads", _WORD), [])
        threads = builder.select(builder.icmp_signed("<", threads, n), threads, n)
        data = builder.bitcast(frame, _BYTES)
        with builder.if_else(builder.icmp_signed(">", threads, ir.Constant(_WORD, 1))) as (many, one):
            with many:
                int32 = ir.IntType(32)
                fork = _external(
                    builder, "autograd_lite_fork", ir.VoidType(), worker.type, _BYTES, int32, int32
                )
                count = builder.trunc(threads, int32)
                builder.call(fork, [worker, data, count, ir.Constant(int32, 0)])
            with one:
                builder.call(worker, [data])
        return context.get_dummy_value()

    return types.void(body, types.int64, args), codegen


def _serial_num_threads() -> int:
    return 1


def _serial_parallel_for(body: Any, parts: int, args: tuple[Any, ...]) -> None:
    for part in range(parts):
        body(part, *args)


num_threads: Any = _num_threads if JIT else _serial_num_threads
"""Inside a kernel: the number of threads allowed now."""
parallel_for: Any = _parallel_for if JIT else _serial_parallel_for
"""Inside a kernel: ``parallel_for(body, parts, args)``; `body` is itself a kernel."""
