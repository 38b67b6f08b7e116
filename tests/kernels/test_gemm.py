"""Matrix products against float64 NumPy: every way through the code, every layout, every tail."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd_lite.kernels import threading
from autograd_lite.kernels.gemm import gemm, gemm_batched
from autograd_lite.kernels.jit import JIT
from autograd_lite.kernels.simd import TILE_ROWS, TILE_VECTORS, VECTOR_BITS, VECTOR_BYTES

FLOATS = [np.float32, np.float64]
LAYOUTS = ["NN", "NT", "TN", "TT"]
ROOT = Path(__file__).resolve().parents[2]


def matrix(rng: np.random.Generator, m: int, n: int, layout: str, dtype: type) -> np.ndarray:
    if layout == "T":
        return rng.standard_normal((n, m)).astype(dtype).T
    return rng.standard_normal((m, n)).astype(dtype)


def close(got: np.ndarray, expected: np.ndarray, scale: np.ndarray) -> None:
    """Within the bound on the rounding errors of a sum of products, to first order."""
    steps = 2 + np.sqrt(max(scale.size, 1))
    bound = np.finfo(got.dtype).eps * (scale + 1) * min(steps, 64)
    assert np.all(np.abs(got - expected) <= bound)


def check(a: np.ndarray, b: np.ndarray, **kwargs: object) -> None:
    wide, bias, activation = a.astype(np.float64), kwargs.get("bias"), kwargs.get("activation")
    expected = wide @ b.astype(np.float64)
    scale = np.abs(wide) @ np.abs(b.astype(np.float64))
    start = kwargs.get("out")
    if start is not None and kwargs.get("accumulate"):
        expected, scale = expected + start, scale + np.abs(start)
    if bias is not None:
        expected, scale = expected + bias, scale + np.abs(bias)
    finish = {"relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
    if activation is not None:
        expected = finish[activation](expected)
    out = gemm(a, b, **kwargs)
    assert out.dtype == a.dtype and out.shape == expected.shape and out.flags.c_contiguous
    close(out, expected, scale)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tails(layout: str, dtype: type) -> None:
    rng = np.random.default_rng(1)
    width = VECTOR_BYTES // np.dtype(dtype).itemsize
    panel = TILE_VECTORS * width
    for m in [1, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1, 2 * TILE_ROWS + 1]:
        for n in [1, width - 1, width, width + 1, panel - 1, panel, panel + 1]:
            for k in [1, 2, width - 1, width + 1, 70]:
                check(matrix(rng, m, k, layout[0], dtype), matrix(rng, k, n, layout[1], dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "m, k, n",
    [
        (5, 1024, 64),  # few rows: dot products where B is stored by columns
        (70, 33, 150),  # cut into parts
        (300, 10, 4),
        (200, 1100, 300),  # several blocks of K and N, copied
        (1100, 64, 256),  # several blocks of M where A is stored by columns
        (1, 700, 300),  # read line by line
        (300, 700, 1),
        (200, 2, 300),  # written line by line
        (140, 20, 1024),  # parts copy the panels that they need, transposed or not
        (140, 1100, 256),  # and more than one block of K of them
        (256, 1024, 256),  # the transposed product has a buffer of its own
    ],
)
def test_every_way(m: int, k: int, n: int, layout: str, dtype: type) -> None:
    rng = np.random.default_rng(2)
    a, b = matrix(rng, m, k, layout[0], dtype), matrix(rng, k, n, layout[1], dtype)
    check(a, b)
    start, bias = rng.standard_normal((m, n)).astype(dtype), rng.standard_normal(n).astype(dtype)
    check(a, b, out=start.copy(), accumulate=False)
    result = gemm(a, b, start.copy(), accumulate=True, bias=bias, activation="relu")
    wide = start + a.astype(np.float64) @ b.astype(np.float64) + bias
    close(result, np.maximum(wide, 0), np.abs(a).astype(np.float64) @ np.abs(b) + np.abs(start) + np.abs(bias))


@given(
    st.integers(0, 70), st.integers(0, 70), st.integers(0, 70), st.sampled_from(LAYOUTS), st.sampled_from(FLOATS),
    st.booleans(), st.sampled_from([None, "relu", "sigmoid", "tanh"]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_drawn(
    m: int, n: int, k: int, layout: str, dtype: type, biased: bool, activation: str | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, m, k, layout[0], dtype), matrix(rng, k, n, layout[1], dtype)
    check(a, b, bias=rng.standard_normal(n).astype(dtype) if biased else None, activation=activation)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("m, k, n", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 0, 1), (0, 5, 1)])
def test_empty(m: int, k: int, n: int, dtype: type) -> None:
    out = np.full((m, n), 7, dtype)
    assert np.array_equal(gemm(np.ones((m, k), dtype), np.ones((k, n), dtype), out.copy()), np.zeros((m, n)))
    assert np.array_equal(gemm(np.ones((m, k), dtype), np.ones((k, n), dtype), out, accumulate=True), out)
    bias = np.arange(n, dtype=dtype)
    biased = gemm(np.ones((m, k), dtype), np.ones((k, n), dtype), bias=bias)
    assert np.array_equal(biased, np.zeros((m, n), dtype) + bias)


@pytest.mark.parametrize("dtype", FLOATS)
def test_strides(dtype: type) -> None:
    rng = np.random.default_rng(3)
    large = rng.standard_normal((60, 60)).astype(dtype)
    a, b = large[:20, :30], large[:30, :40]
    for left in [a, a[::2], a[:, ::2], a[::-1], a[:, ::-1], np.broadcast_to(a[:1], a.shape), a[::3, ::2].T]:
        wide = np.broadcast_to(b[:1], b.shape)
        for right in [b, b[:, ::2], b[::-1], wide, b.T[:30], np.broadcast_to(b[:, :1], b.shape)]:
            rows = min(left.shape[1], right.shape[0])
            check(left[:, :rows], right[:rows])
    readonly = a.copy()
    readonly.flags.writeable = False
    check(readonly, b)


def test_bits_do_not_depend_on_threads_or_on_the_cut() -> None:
    rng = np.random.default_rng(4)
    before = threading.get_num_threads()
    try:
        for m, k, n in [(64, 1024, 64), (300, 300, 300), (1000, 100, 10), (1, 800, 900), (257, 1030, 257)]:
            for layout in LAYOUTS:
                a, b = matrix(rng, m, k, layout[0], np.float32), matrix(rng, k, n, layout[1], np.float32)
                results = []
                for threads in [1, 2, 3]:
                    threading.set_num_threads(threads)
                    results.append(gemm(a, b))
                assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])
    finally:
        threading.set_num_threads(before)


def test_nan_and_infinity() -> None:
    a = np.array([[np.nan, 1], [np.inf, 0], [1, 1]], np.float32)
    b = np.array([[1, 0], [0, 1]], np.float32)
    with np.errstate(invalid="ignore"):
        expected = a @ b
    assert np.array_equal(gemm(a, b), expected, equal_nan=True)
    assert np.array_equal(gemm(a, b, activation="relu"), np.maximum(expected, 0), equal_nan=True)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (1, 5, 7, 3), (7, 16, 33, 17), (40, 5, 0, 4), (3, 200, 300, 130)])
def test_batched(shape: tuple[int, int, int, int], layout: str, dtype: type) -> None:
    rng = np.random.default_rng(5)
    batch, m, k, n = shape
    a = np.stack([matrix(rng, m, k, "N", dtype) for _ in range(batch)]) if batch else np.empty((0, m, k), dtype)
    b = np.stack([matrix(rng, k, n, "N", dtype) for _ in range(batch)]) if batch else np.empty((0, k, n), dtype)
    if layout[0] == "T":
        a = np.ascontiguousarray(a.transpose(0, 2, 1)).transpose(0, 2, 1)
    if layout[1] == "T":
        b = np.ascontiguousarray(b.transpose(0, 2, 1)).transpose(0, 2, 1)
    pairs = [(a, b)]
    if batch:
        pairs += [(np.broadcast_to(a[:1], a.shape), b), (a, np.broadcast_to(b[:1], b.shape))]
    for left, right in pairs:
        wide = left.astype(np.float64)
        close(gemm_batched(left, right), wide @ right, np.abs(wide) @ np.abs(right))
    out = np.ones((batch, m, n), dtype)
    expected = np.maximum(a.astype(np.float64) @ b + 1, 0)
    result = gemm_batched(a, b, out, accumulate=True, activation="relu")
    assert result is out
    close(out, expected, np.abs(a.astype(np.float64)) @ np.abs(b) + 1)


def test_errors_come_before_any_change() -> None:
    a, b, out = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match=r"gemm: shapes do not fit.*\[2, 3\].*\[2, 3\]"):
        gemm(a, a, out)
    with pytest.raises(ValueError, match="shapes do not fit"):
        gemm(a, b, np.zeros((2, 5), np.float32))
    with pytest.raises(ValueError, match="shapes do not fit"):
        gemm(a, b, out, bias=np.ones(3, np.float32))
    with pytest.raises(TypeError, match="float64"):
        gemm(a, b.astype(np.float64), out)
    if JIT:  # types and layouts are checked where machine code refuses them
        with pytest.raises(TypeError, match="int64"):
            gemm(a.astype(np.int64), b.astype(np.int64))
        with pytest.raises(ValueError, match="C-contiguous"):
            gemm(a, b, np.zeros((4, 2), np.float32).T)
    with pytest.raises(ValueError, match="gelu"):
        gemm(a, b, out, activation="gelu")
    with pytest.raises(ValueError, match="dimensions"):
        gemm_batched(a[None], b[None], out)
    assert not out.any()


@pytest.mark.parametrize("bits", [0, 256 if VECTOR_BITS > 256 else 128])
def test_vector_sizes_agree(bits: int) -> None:
    """Every vector size, and plain loops, compute what NumPy does; run apart, for the size is fixed at import."""
    program = textwrap.dedent(
        """
        import numpy as np
        from autograd_lite.kernels.gemm import gemm
        rng = np.random.default_rng(0)
        for m, k, n in [(1, 1, 1), (5, 40, 36), (13, 70, 65), (5, 300, 20), (33, 17, 130)]:
            for left in (0, 1):
                for right in (0, 1):
                    a = rng.standard_normal((k, m) if left else (m, k)).astype(np.float32)
                    b = rng.standard_normal((n, k) if right else (k, n)).astype(np.float32)
                    a, b = a.T if left else a, b.T if right else b
                    exact = a.astype(np.float64) @ b
                    assert np.allclose(gemm(a, b), exact, rtol=0, atol=1e-6 * (k + 4)), (m, k, n, left, right)
        """
    )
    environment = {**os.environ, "AUTOGRAD_LITE_SIMD": str(bits), "AUTOGRAD_LITE_QUIET": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
