"""How every kernel is compiled: one decorator, one cache.

A kernel is a Python function over plain NumPy arrays. `kernel` hands it to Numba with the options that
the whole library relies on, and gives it a cache whose entries go stale exactly when a source file that
the kernel depends on changes (Numba's own cache looks at the kernel's own file only).
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any, TypeVar

import llvmlite.binding as llvm
import numba
from numba.core import caching
from numba.core.runtime import _nrt_python as reference_counting

HERE = pathlib.Path(__file__).resolve().parent
JIT = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
"""False under ``NUMBA_DISABLE_JIT=1``: kernels then run as plain Python (coverage, debugging)."""

CONTRACT = {"contract"}
REASSOCIATE = {"contract", "reassoc", "nsz"}

F = TypeVar("F", bound=Callable[..., Any])


def kernel(
    function: F | None = None,
    /,
    *,
    reassociate: bool = False,
    inline: bool = False,
    internal: bool = False,
    separate: bool = False,
) -> Any:
    """Compile `function` on first use, once per combination of argument types.

    Parameters
    ----------
    reassociate : bool
        Let the compiler reorder floating-point sums, which it must in order to vectorise a reduction.
        Never implies that NaN or infinity are absent.
    inline : bool
        Inline at the call site, always; for the short scalar functions. Implies `internal`.
    internal : bool
        Only other kernels call it: no entry point for Python is compiled, which saves nearly half of the
        compile time of a short kernel.
    separate : bool
        Other kernels call its machine code. Otherwise Numba puts a copy into each of them, and into their callers,
        to optimise it together with them: what short functions need, and what large ones cost most time by.

    Notes
    -----
    Division follows IEEE 754 (``error_model="numpy"``); the GIL is released while a kernel runs.
    """

    def wrap(f: F) -> Any:
        options: dict[str, Any] = {
            "nogil": True,
            "error_model": "numpy",
            "fastmath": REASSOCIATE if reassociate else CONTRACT,
            "no_cfunc_wrapper": True,
        }
        if internal or inline:
            options["no_cpython_wrapper"] = True
        if inline:
            options["forceinline"] = True
        dispatcher = numba.njit(**options)(f)
        if JIT:
            dispatcher._cache = _DeferredCache(f, separate)
            _dispatchers[_name(f)] = dispatcher
        return dispatcher

    return wrap if function is None else wrap(function)


def kernels_from_source(source: str, namespace: dict[str, Any], **options: bool) -> dict[str, Any]:
    """Compile the functions of generated source, of which only the last is called from Python.

    `namespace` gives the other names that it uses.
    """
    caller = sys._getframe(1)
    scope = {**namespace, "__name__": caller.f_globals["__name__"]}  # a function without a module cannot be loaded
    exec(compile(source, caller.f_code.co_filename, "exec"), scope)
    names = [name for name in scope if name not in namespace and not name.startswith("__")]
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    made = {}
    for name in names:
        scope[name].__generated_source__ = source
        # The linker's name: functions of other sources may have the same, and come from the cache of other processes.
        scope[name].__qualname__ = f"{name}_{digest}"
        made[name] = kernel(scope[name], internal=name != names[-1], **options)
    scope.update(made)
    return made


_dispatchers: dict[str, Any] = {}
"""By the name of its function."""


class StaleCodeError(RuntimeError):
    """A kernel on disk calls machine code that is not what the name now stands for."""


def _name(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _load_called(name: str, arguments: tuple[Any, ...], symbol: str) -> None:
    """Load, before a kernel on disk is, the machine code that it calls."""
    dispatcher = _dispatchers.get(name)
    if dispatcher is not None and arguments not in dispatcher.overloads:
        dispatcher.compile(arguments)
    if dispatcher is None or dispatcher.overloads[arguments].fndesc.llvm_func_name != symbol:
        raise StaleCodeError(f"a function in Numba's cache was compiled with another {name}: delete its cache files")


def call_machine_code(library: Any, function: Any, compiled: Any) -> None:
    """Let whatever `library` is compiled into load the code `compiled` of `function` first, and call it."""
    load = partial(_load_called, _name(function), compiled.signature.args, compiled.fndesc.llvm_func_name)
    library._reload_init.add(load)


@cache
def _source_digest(path: pathlib.Path) -> str:
    """Digest of a kernel file and of every kernel file that it imports, directly or not; of all, from elsewhere."""
    seen: set[pathlib.Path] = set()
    todo = [path, HERE / "jit.py", HERE / "threading.py"]
    if path.parent != HERE:
        todo += HERE.glob("*.py")
    digest = hashlib.sha256()
    while todo:
        file = todo.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        for line in re.findall(r"^\s*from \.(\w*) import ([^#\n(]*)", file.read_text("utf-8"), re.M):
            names = [line[0]] if line[0] else re.split(r"[,\s]+", line[1])
            todo += [HERE / f"{name}.py" for name in names if name]
    for file in sorted(seen):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def cache_directory() -> pathlib.Path:
    """Where compiled kernels are kept.

    ``$AUTOGRAD_LITE_CACHE``; else beside the kernels; else, where that cannot be written, the user's own
    cache folder; else a private temporary folder. The folder holds pickles, so only its owner may write
    there.
    """
    wanted = os.environ.get("AUTOGRAD_LITE_CACHE")
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    choices = [pathlib.Path(wanted)] if wanted else [HERE / "__pycache__", home / "autograd_lite"]
    for folder in choices:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            if wanted:
                raise OSError(f"AUTOGRAD_LITE_CACHE={wanted}: cannot be written ({error})") from error
        else:
            return folder
    return pathlib.Path(tempfile.mkdtemp(prefix="autograd_lite-"))


class _Locator(caching._CacheLocator):
    def __init__(self, function: Any, file: str) -> None:
        self._file = pathlib.Path(file).resolve()
        self._generated = getattr(function, "__generated_source__", None)
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(cache_directory())

    def get_source_stamp(self) -> str:
        return _source_digest(self._file)

    def get_disambiguator(self) -> str:
        simd = os.environ.get("AUTOGRAD_LITE_SIMD", "").strip()
        if self._generated is None:
            return f"{self._line}{simd and '-simd'}{simd}"
        return hashlib.sha256((self._generated + simd).encode()).hexdigest()[:16]

    @classmethod
    def from_function(cls, function: Any, file: str) -> _Locator:
        return cls(function, file)


class _KernelCacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _CacheFile(caching.IndexDataCacheFile):
    """Numba's files, safe among processes that compile at the same time.

    Numba numbers its data files by an index that another process may be writing as well; two signatures can then
    end up with one number, and one of them would be run with the machine code of the other. Each file
    therefore says what it holds, and is ignored where that is not what was asked for.
    """

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (self._source_stamp, key, data))

    def load(self, key: Any) -> Any:
        found = super().load(key)
        return found[2] if found is not None and found[:2] == (self._source_stamp, key) else None


@cache
def _register_reference_counting() -> None:
    """Give LLVM the addresses of Numba's runtime, all that a kernel's machine code needs in order to be loaded.

    Numba's own `load_overload` prepares for compiling instead: it fills the tables of types and functions, and
    compiles reference counting, which the stored machine code contains. That takes 0.3 s and 45 MB.
    """
    for name, address in reference_counting.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class _KernelCache(caching.Cache):
    _impl_class = _KernelCacheImpl  # type: ignore[assignment]
    announced = False

    def __init__(self, function: Any, separate: bool) -> None:
        super().__init__(function)
        self._separate = separate
        file = self._cache_file
        self._cache_file = _CacheFile(file._cache_path, self._impl.filename_base, file._source_stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        _register_reference_counting()
        try:
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(sig, target_context)
        except StaleCodeError:
            found = None
        if found is not None:
            found.library._reload_init.update(found.reload_init)  # for the kernels that it will be compiled into
            self._set_apart(found)
        elif not _KernelCache.announced:
            _KernelCache.announced = True
            if not os.environ.get("AUTOGRAD_LITE_QUIET"):
                print(
                    "autograd_lite: compiling kernels for this CPU (first use only; kept in "
                    f"{cache_directory()})",
                    file=sys.stderr,
                )
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        super().save_overload(sig, data)
        self._set_apart(data)

    def _set_apart(self, compiled: Any) -> None:
        """Give the callers of a separate kernel nothing of it but its symbol."""
        if self._separate:
            library = compiled.library
            library._shared_module = llvm.parse_assembly(str(library.codegen._create_empty_module(library.name)))
            call_machine_code(library, self._py_func, compiled)


class _DeferredCache:
    """Makes the `_KernelCache` when it is first asked: at import it would cost 0.1 ms for every kernel."""

    def __init__(self, function: Any, separate: bool) -> None:
        self._arguments = function, separate

    @cached_property
    def _made(self) -> _KernelCache:
        return _KernelCache(*self._arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)
