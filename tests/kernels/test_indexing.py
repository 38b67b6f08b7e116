"""Gathering and scattering against loops; bounds are checked before anything is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.kernels import indexing
from tests.conftest import examples

DTYPES = st.sampled_from(["float32", "float64", "int64"])
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.round(rng.standard_normal(shape) * 8).astype(dtype)  # whole numbers: sums are exact


@settings(max_examples=examples(20))
@given(shape=SHAPES, data=st.data(), dtype=DTYPES, seed=st.integers(0, 2**31))
def test_gather_and_scatter(shape: list[int], data: st.DataObject, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dim = data.draw(st.integers(0, len(shape) - 1))
    sizes = tuple(data.draw(st.integers(0, 7 if axis == dim else n)) for axis, n in enumerate(shape))
    x, index = drawn(rng, tuple(shape), dtype), rng.integers(0, shape[dim], sizes)
    values = drawn(rng, tuple(n + data.draw(st.integers(0, 1)) for n in sizes), dtype)
    gathered, scattered = np.zeros(sizes, dtype), x.copy()
    for place in np.ndindex(*sizes):
        there = (*place[:dim], index[place], *place[dim + 1 :])
        gathered[place] = x[there]
        scattered[there] += values[place]
    np.testing.assert_array_equal(indexing.gather(x, dim, index), gathered)
    out = x.copy()
    indexing.scatter_add(out, dim, index, values)
    np.testing.assert_array_equal(out, scattered)


@settings(max_examples=examples(20))
@given(shape=SHAPES, data=st.data(), dtype=DTYPES, seed=st.integers(0, 2**31))
def test_slices(shape: list[int], data: st.DataObject, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dim = data.draw(st.integers(0, len(shape) - 1))
    index = rng.integers(0, shape[dim], tuple(data.draw(st.lists(st.integers(0, 4), max_size=2))))
    x = drawn(rng, tuple(shape), dtype)
    taken = indexing.take_along(x, dim, index)
    np.testing.assert_array_equal(taken, np.take(x, index, dim))
    values, out, wanted = drawn(rng, taken.shape, dtype), x.copy(), x.copy()
    indexing.add_along(out, dim, index, values)
    flat = values.reshape(*shape[:dim], index.size, *shape[dim + 1 :])
    np.add.at(wanted, (*[slice(None)] * dim, index.reshape(-1)), flat)
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("wrong", [-1, 4])
def test_bounds_come_first(wrong: int, dtype: str) -> None:
    x, before = np.ones((4, 3), dtype), np.ones((4, 3), dtype)
    flat = np.array([0, 1, wrong])
    with pytest.raises(IndexError, match=f"index {wrong} is out of range for a dimension of size 4"):
        indexing.add_along(x, 0, flat, np.ones((3, 3), dtype))
    with pytest.raises(IndexError, match=f"index {wrong} .*size 4"):
        indexing.scatter_add(x, 0, flat[:, None], np.ones((3, 3), dtype))
    with pytest.raises(IndexError, match=f"index {wrong} .*size 4"):
        indexing.gather(x, 0, flat[:, None])
    with pytest.raises(IndexError, match=f"index {wrong} .*size 4"):
        indexing.take_along(x, 0, flat)
    with pytest.raises(IndexError, match=f"index {wrong} .*size 4"):
        indexing.scatter_add_flat(x[:, 0].copy(), flat, np.ones(3, dtype))
    np.testing.assert_array_equal(x, before)


def test_shapes_that_do_not_fit() -> None:
    x, index = np.ones((4, 3)), np.zeros((2, 4), np.int64)
    with pytest.raises(RuntimeError, match=r"gather: expected index \(2, 4\).*\(4, 3\)"):
        indexing.gather(x, 0, index)
    with pytest.raises(RuntimeError, match=r"scatter_add.*src \(1, 4\)"):
        indexing.scatter_add(x, 1, index, np.ones((1, 4)))


def test_threads_change_no_bit(rng: np.random.Generator) -> None:
    index, rows = rng.integers(0, 50, 3000), rng.standard_normal((3000, 64)).astype("float32")
    places, results = rng.integers(0, 64, rows.shape), []
    for threads in (1, 2):
        ag.set_num_threads(threads)
        out, other = np.zeros((50, 64), "float32"), np.zeros_like(rows)
        indexing.add_along(out, 0, index, rows)
        indexing.scatter_add(other, 1, places, rows)
        results.append((out, other, indexing.take_along(rows, 0, index), indexing.gather(rows, 1, places)))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
    wanted = np.zeros((50, 64), "float32")
    for i, row in zip(index, rows, strict=True):
        wanted[i] += row
    np.testing.assert_array_equal(results[0][0], wanted)
