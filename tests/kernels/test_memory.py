"""The pool of buffers: aligned, reused, never while a view lives."""

from __future__ import annotations

import ast
import gc
import pathlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autograd_lite.kernels import memory

FLOAT32 = np.dtype(np.float32)


@given(st.lists(st.integers(0, 40), max_size=3), st.sampled_from(["float32", "float64", "int64", "bool"]))
def test_shape_and_dtype(shape: list[int], dtype: str) -> None:
    array = memory.empty(tuple(shape), np.dtype(dtype))
    assert array.shape == tuple(shape)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_large_arrays_are_aligned() -> None:
    first = memory.POOLED_FROM // FLOAT32.itemsize
    arrays = [memory.empty((n,), FLOAT32) for n in range(first, first + 40 * 17, 17)]
    assert all(a.ctypes.data % memory.ALIGNMENT == 0 for a in arrays)
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))


def test_memory_returns_with_the_last_view() -> None:
    memory.release()
    gc.disable()
    try:
        array = memory.empty((100_000,), FLOAT32)
        address = array.ctypes.data
        view = array.reshape(100, 1000)[3:7]
        del array
        assert memory.waiting_bytes() == 0
        other = memory.empty((100_000,), FLOAT32)
        assert other.ctypes.data != address
        del view
        assert memory.waiting_bytes() > 0
        again = memory.empty((100_000,), FLOAT32)
        assert again.ctypes.data == address
    finally:
        gc.enable()


def test_the_pool_is_bounded() -> None:
    memory.release()
    before = memory.LIMIT
    memory.LIMIT = 1 << 20
    try:
        arrays = [memory.empty((1 << 16,), FLOAT32) for _ in range(10)]
        del arrays
        assert memory.waiting_bytes() <= 1 << 20
    finally:
        memory.LIMIT = before
        memory.release()
    assert memory.waiting_bytes() == 0


@given(st.integers(memory.POOLED_FROM, 1 << 26))
def test_size_classes_hold_and_waste_little(nbytes: int) -> None:
    size = memory._size_class(nbytes)
    assert nbytes <= size <= nbytes * 9 / 8 + 1


def test_zeros_are_zero_in_reused_memory() -> None:
    memory.empty((50_000,), FLOAT32).fill(7)
    assert not memory.zeros((50_000,), FLOAT32).any()


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def test_working_memory_outlives_the_pointers_into_it() -> None:
    """Compiled code frees an array after the last mention of its name, which `release` has to be."""
    kept = 0
    for file in pathlib.Path(memory.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            decorators = function.decorator_list if isinstance(function, ast.FunctionDef) else []
            if not any("kernel" in _names(d) for d in decorators):
                continue
            made, pointed, released = set(), set(), set()
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Call, ast.Tuple)):
                    if any(part in ast.unparse(node.value) for part in ("np.empty(", "np.zeros(", "scratch(")):
                        made |= _names(node.targets[0])
                elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("at", "_aligned"):
                    pointed |= _names(node.args[0])
                elif isinstance(node, ast.Call) and ast.unparse(node.func) == "release":
                    released |= _names(node.args[0])
            assert made & pointed <= released, f"{file.name}: {function.name}: {made & pointed - released}"
            kept += len(made & pointed)
    assert kept > 10
