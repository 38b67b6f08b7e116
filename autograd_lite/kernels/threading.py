"""Threads: the library's only parallel region.

``parallel_for(body, parts, args)`` calls ``body(part, *args)`` for every part in ``range(parts)`` from
inside a kernel, on as many threads as `set_num_threads` allows. Each thread begins with its own range of the
parts, the same in every call, so that what a core wrote in one kernel is still in its cache in the next (to fetch
a line that another core has changed costs several times the arithmetic on it); who is done takes parts from the
others' ranges. A kernel that sums must therefore let each part write its own slot, and add the slots up in order
afterwards. Results then do not depend on the thread count.

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

from .jit import JIT, call_machine_code

_threads = ctypes.c_int64(1)
_forked = False


def _load_openmp() -> Any:
    names = {
        "linux": ["libgomp.so.1", "libomp.so.5", "libomp.so"],
        "darwin": ["libgomp.1.dylib", "libomp.dylib", "/opt/homebrew/opt/libomp/lib/libomp.dylib"],
    }
    for name in names.get(sys.platform, []):
        try:
            library = ctypes.CDLL(name)
            return library.GOMP_parallel, library.omp_get_thread_num
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


def _register_symbols() -> None:
    """Tell LLVM where the symbols are that kernels name: the thread count, the parallel region, a thread's number."""
    llvm.add_symbol("autograd_lite_num_threads", ctypes.addressof(_threads))
    for i, name in enumerate(("autograd_lite_fork", "autograd_lite_thread")):
        never_called = ctypes.addressof(_threads)
        address = ctypes.cast(_openmp[i], ctypes.c_void_p).value if _openmp is not None else never_called
        llvm.add_symbol(name, address)


if JIT:
    _register_symbols()

MOST_RANGES = 32
"""More threads than that share their first ranges."""
CACHE_LINE = 8
"""In words."""

_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()


def _external(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, list(arguments)), name)


def _load_num_threads(builder: ir.IRBuilder) -> ir.Instruction:
    name = "autograd_lite_num_threads"
    count = builder.module.globals.get(name) or ir.GlobalVariable(builder.module, _WORD, name)
    return builder.load_atomic(count, "monotonic", 8)


@intrinsic
def _num_threads(typingctx: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
        return _load_num_threads(builder)

    return types.int64(), codegen


@intrinsic
def _parallel_for(typingctx: Any, body: Any, parts: Any, args: Any) -> Any:
    body_sig = body.get_call_type(typingctx, (types.intp, *args.types), {})

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        _, n, arguments = values
        compiled = body.dispatcher.get_compile_result(body_sig)
        call_machine_code(context.active_code_library, body.dispatcher.py_func, compiled)
        # The frame that the threads share: parts, ranges, arguments, and for each range how many parts are taken.
        counters = ir.ArrayType(_WORD, MOST_RANGES * CACHE_LINE)
        frame_type = ir.LiteralStructType([_WORD, _WORD, arguments.type, counters])
        frame = cgutils.alloca_once(builder, frame_type)

        worker = ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), builder.module.get_unique_name("parallel_for")
        )
        worker.linkage = "internal"
        inner = ir.IRBuilder(worker.append_basic_block("entry"))
        shared = inner.bitcast(worker.args[0], frame_type.as_pointer())
        total, ranges, unpacked = (inner.load(cgutils.gep_inbounds(inner, shared, 0, i)) for i in range(3))
        fields = [inner.extract_value(unpacked, i) for i in range(len(args.types))]
        fields = [
            context.cast(inner, value, given, wanted)
            for value, given, wanted in zip(fields, args.types, body_sig.args[1:], strict=True)
        ]
        callee = context.declare_function(builder.module, compiled.fndesc)
        alone = inner.icmp_signed("==", ranges, ir.Constant(_WORD, 1))
        me = cgutils.alloca_once_value(inner, ir.Constant(_WORD, 0))
        with inner.if_then(inner.not_(alone)):
            number = inner.call(_external(inner, "autograd_lite_thread", ir.IntType(32)), [])
            inner.store(inner.zext(number, _WORD), me)
        first = inner.load(me)
        with cgutils.for_range(inner, ranges) as turn:
            mine = inner.urem(inner.add(first, turn.index), ranges)
            begin = inner.udiv(inner.mul(mine, total), ranges)
            end = inner.udiv(inner.mul(inner.add(mine, ir.Constant(_WORD, 1)), total), ranges)
            counter = cgutils.gep_inbounds(inner, shared, 0, 3, inner.mul(mine, ir.Constant(_WORD, CACHE_LINE)))
            take, work, done = (inner.append_basic_block(name) for name in ("take", "work", "done"))
            inner.branch(take)
            inner.position_at_end(take)
            part = inner.add(begin, inner.atomic_rmw("add", counter, ir.Constant(_WORD, 1), "seq_cst"))
            inner.cbranch(inner.icmp_signed("<", part, end), work, done)
            inner.position_at_end(work)
            context.call_conv.call_function(
                inner, callee, compiled.fndesc.restype, compiled.fndesc.argtypes, [part, *fields]
            )
            inner.branch(take)
            inner.position_at_end(done)
        inner.ret_void()

        threads = _load_num_threads(builder)
        threads = builder.select(builder.icmp_signed("<", threads, n), threads, n)
        most = ir.Constant(_WORD, MOST_RANGES)
        ranges = builder.select(builder.icmp_signed("<", threads, most), threads, most)
        for i, value in enumerate((n, ranges, arguments)):
            builder.store(value, cgutils.gep_inbounds(builder, frame, 0, i))
        with cgutils.for_range(builder, ranges) as each:
            place = builder.mul(each.index, ir.Constant(_WORD, CACHE_LINE))
            builder.store(ir.Constant(_WORD, 0), cgutils.gep_inbounds(builder, frame, 0, 3, place))
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
