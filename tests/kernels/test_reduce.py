"""The reduction kernels, against NumPy in float64 over any dimensions, layouts and sizes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_lite.kernels import reduce, scan, threading
from autograd_lite.kernels.jit import JIT

DTYPES = [np.float32, np.float64]
SHAPES = [(), (1,), (5,), (3, 4), (64, 36), (4, 5, 6, 7), (2, 1, 3), (300, 5), (5, 300)]
LARGE = [(reduce.SPAN * 3 + 17,), (3, 2 * reduce.SPAN + 5), (30000, 3), (2, 3000, 17), (70, 2500), (20, 40, 50)]
if not JIT:
    LARGE = [(37,)]


def relative(dtype):
    return 2e-5 if dtype == np.float32 else 1e-12


def check(got, wanted, dtype, name=""):
    wanted = np.asarray(wanted)
    assert got.shape == wanted.shape, name
    assert got.dtype == dtype, name
    assert got.flags.c_contiguous, name
    np.testing.assert_allclose(got, wanted, rtol=relative(dtype), atol=relative(dtype), equal_nan=True, err_msg=name)


def subsets(ndim):
    return [axes for k in range(ndim + 1) for axes in itertools.combinations(range(ndim), k)]


def laid_out(x, layout):
    """The same numbers, differently in memory."""
    if layout == "transposed":
        return x.copy(order="F")
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided"])
@pytest.mark.parametrize("shape", SHAPES + LARGE)
def test_every_set_of_dimensions(shape, layout, dtype, rng):
    x = np.asarray(rng.normal(size=shape) / max(1, math.prod(shape)) ** 0.5, dtype)
    wide, given_x = x.astype(np.float64), laid_out(x, layout)
    for axes in subsets(len(shape)):
        keepdims = bool(rng.integers(2))
        over = {"axis": axes, "keepdims": keepdims}
        n = math.prod([shape[a] for a in axes])
        arguments = (given_x, axes, keepdims)
        check(reduce.sum(*arguments), wide.sum(**over), dtype, "sum")
        check(reduce.mean(*arguments), wide.sum(**over) / n, dtype, "mean")
        check(reduce.max(*arguments), wide.max(**over), dtype, "max")
        check(reduce.min(*arguments), wide.min(**over), dtype, "min")
        check(reduce.sum_of_squares(*arguments), (wide**2).sum(**over), dtype, "squares")
        check(reduce.logsumexp(*arguments), np.log(np.exp(wide).sum(**over)), dtype, "logsumexp")
        variance, mean = reduce.var_mean(given_x, axes, 0, keepdims)
        check(variance, wide.var(**over), dtype, "var")
        check(mean, wide.mean(**over), dtype, "mean of var")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", [0.0, 1.0, 2.0, 3.0, 0.5, -1.0, math.inf, -math.inf])
def test_norms(order, dtype, rng):
    x = rng.normal(size=(6, 7, 8)).astype(dtype)
    x[0, 0, 0] = 0 if order >= 0 else 1
    for axes in subsets(3):
        wide = np.abs(x.astype(np.float64))
        if math.isinf(order):
            wanted = wide.max(axis=axes) if order > 0 else wide.min(axis=axes)
        elif order == 0:
            wanted = (wide != 0).sum(axis=axes)
        else:
            wanted = (wide**order).sum(axis=axes) ** (1 / order)
        check(reduce.norm(x, order, axes), wanted, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products(dtype, rng):
    x = rng.uniform(0.5, 1.5, (6, 7, 8)).astype(dtype)
    for axes in subsets(3):
        check(reduce.prod(x, axes), x.astype(np.float64).prod(axis=axes), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_to_reduce(dtype):
    x = np.empty((2, 0, 3), dtype)
    check(reduce.sum(x, (1,)), np.zeros((2, 3)), dtype)
    check(reduce.sum(x, (0, 1, 2)), 0.0, dtype)
    check(reduce.sum(x, (2,), True), np.zeros((2, 0, 1)), dtype)
    check(reduce.prod(x, (1,), True), np.ones((2, 1, 3)), dtype)
    with np.errstate(all="ignore"):
        check(reduce.mean(x, (0, 1)), np.full(3, np.nan), dtype)
        check(reduce.logsumexp(x, (1,)), np.full((2, 3), -np.inf), dtype)
        check(reduce.var_mean(np.ones((3, 1), dtype), (1,))[0], np.full(3, np.nan), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(40,), (7, 40), (40, 7)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinity(shape, dtype, rng):
    for special in (np.nan, np.inf, -np.inf):
        x = rng.normal(size=shape).astype(dtype)
        x[(3,) * len(shape)] = special
        for axes in subsets(len(shape))[1:]:
            np.testing.assert_array_equal(reduce.max(x, axes), np.max(x, axis=axes))
            np.testing.assert_array_equal(reduce.min(x, axes), np.min(x, axis=axes))
            np.testing.assert_array_equal(np.isnan(reduce.sum(x, axes)), np.isnan(x.sum(axis=axes)))
            wanted = np.log(np.exp(x.astype(np.float64)).sum(axis=axes))
            check(reduce.logsumexp(x, axes), wanted, dtype)
        for axis in range(len(shape)):
            np.testing.assert_array_equal(reduce.argmax(x, axis), np.argmax(x, axis))
            np.testing.assert_array_equal(reduce.argmin(x, axis), np.argmin(x, axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_logsumexp_of_large_and_of_no_scores(dtype):
    x = np.array([[1e30, 1e30, -1e30], [-1e30, -1e30, -1e30], [-np.inf] * 3], dtype)
    np.testing.assert_array_equal(reduce.logsumexp(x, (1,)), np.array([1e30, -1e30, -np.inf], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (300,), (64, 10), (5, 300), (300, 5), (3, 2000, 7), (10, 4000)])
def test_indices_of_extremes(shape, dtype, rng):
    x = np.asarray(rng.integers(-3, 4, shape), dtype)  # many ties: the first one counts
    for axis in range(max(1, len(shape))):
        if not shape:
            assert reduce.argmax(x, 0) == 0
            continue
        for keepdims in (False, True):
            values, indices = reduce.max_with_index(x, axis, keepdims)
            np.testing.assert_array_equal(indices, np.argmax(x, axis, keepdims=keepdims))
            check(values, np.max(x, axis, keepdims=keepdims), dtype)
            assert indices.dtype == np.int64
            values, indices = reduce.min_with_index(x, axis, keepdims)
            np.testing.assert_array_equal(indices, np.argmin(x, axis, keepdims=keepdims))
            check(values, np.min(x, axis, keepdims=keepdims), dtype)
    assert reduce.argmax(x, None) == np.argmax(x)
    assert reduce.argmin(x, None, True).shape == (1,) * len(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (1000,), (3, 400), (400, 3), (2, 300, 70), (0, 3), (3, 0)])
def test_running_sums_and_products(shape, reverse, dtype, rng):
    x = np.asarray(rng.uniform(0.9, 1.1, shape), dtype)
    for axis in range(max(1, len(shape))):
        wide = np.atleast_1d(x.astype(np.float64))
        wide = np.flip(wide, axis) if reverse else wide
        for function, reference in ((scan.cumsum, np.cumsum), (scan.cumprod, np.cumprod)):
            wanted = reference(wide, axis=axis)
            wanted = (np.flip(wanted, axis) if reverse else wanted).reshape(shape)
            got = function(x, axis, reverse)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, wanted, rtol=2e-4 if dtype == np.float32 else 1e-11)


@given(st.lists(st.integers(1, 5), min_size=0, max_size=4), st.data())
@settings(max_examples=40)
def test_sum_to_undoes_a_broadcast(shape, data):
    small = [n if data.draw(st.booleans()) else 1 for n in shape]
    small = tuple(small[data.draw(st.integers(0, len(shape))) :])
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    got = reduce.sum_to(x, small)
    lead = x.sum(axis=tuple(range(len(shape) - len(small))), dtype=np.float64)
    stretched = tuple(a for a, n in enumerate(small) if n == 1)
    check(got, lead.sum(axis=stretched, keepdims=True), np.float32)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_integers_and_booleans(dtype, rng):
    x = rng.integers(0, 2, (4, 5)).astype(dtype)
    for axes in subsets(2):
        for name in ("sum", "prod"):
            got = getattr(reduce, name)(x, axes)
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, getattr(np, name)(x, axis=axes, dtype=np.int64))
        for name in ("max", "min", "any", "all"):
            np.testing.assert_array_equal(getattr(reduce, name)(x, axes), getattr(np, name)(x, axis=axes))
        np.testing.assert_array_equal(reduce.count_nonzero(x, axes), np.asarray(np.count_nonzero(x, axis=axes)))
    assert reduce.sum_to(x, (1, 5)).shape == (1, 5)
    np.testing.assert_array_equal(reduce.argmax(x, 1), np.argmax(x, 1))
    np.testing.assert_array_equal(scan.cumsum(x, 0, True), np.flip(np.cumsum(np.flip(x, 0), 0), 0))


@pytest.mark.skipif(not JIT, reason="too many elements for plain Python")
def test_float32_sums_of_many_elements(rng):
    x = rng.random(10_000_000, np.float32)
    exact = x.sum(dtype=np.float64)
    assert abs(reduce.sum(x, (0,)) - exact) < 2e-7 * exact
    assert abs(scan.cumsum(x, 0)[-1] - exact) < 1e-5 * exact
    columns = reduce.sum(x.reshape(-1, 10), (0,))
    np.testing.assert_allclose(columns, x.reshape(-1, 10).sum(axis=0, dtype=np.float64), rtol=3e-7)


@pytest.mark.skipif(not JIT, reason="plain Python adds one by one")
def test_variance_far_from_zero(rng):
    x = (rng.normal(size=(3, 5000)) + 1e4).astype(np.float32)
    check(reduce.var_mean(x, (1,))[0], x.astype(np.float64).var(axis=1, ddof=1), np.float32)


@pytest.mark.skipif(not threading.has_threads(), reason="one thread only")
@pytest.mark.parametrize("shape", LARGE + [(1_000_003,)])
def test_same_bits_with_any_number_of_threads(shape, rng):
    x = rng.normal(size=shape).astype(np.float32)

    def everything():
        for axes in subsets(len(shape))[1:]:
            yield reduce.sum(x, axes)
            yield reduce.logsumexp(x, axes)
            yield reduce.var_mean(x, axes)[0]
        for axis in range(len(shape)):
            yield scan.cumsum(x, axis)
            yield reduce.argmax(x, axis)

    results = []
    for threads in (1, 2, 3):
        threading.set_num_threads(threads)
        results.append([r.tobytes() for r in everything()])
    assert results[0] == results[1] == results[2]
