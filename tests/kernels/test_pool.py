"""Pooling against loops over windows; resampling and patches by their definitions and as adjoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.kernels import pool, resample
from tests.conftest import examples

Ints = tuple[int, ...]


def windows(extent: int, out: int, k: int, s: int, p: int, d: int) -> list[list[int]]:
    return [[i for i in range(o * s - p, o * s - p + k * d, d) if 0 <= i < extent] for o in range(out)]


def reference_max(x: np.ndarray, lists: list[list[list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    """Values and flat indices; the first of equals, the last NaN, -inf and -1 for nothing."""
    extents, lead = x.shape[-len(lists) :], x.shape[: -len(lists)]
    out = np.full((*lead, *map(len, lists)), -np.inf)
    where = np.full(out.shape, -1)
    for place in np.ndindex(*out.shape):
        axes = [some[i] for some, i in zip(lists, place[len(lead) :], strict=True)]
        for tap in np.ndindex(*map(len, axes)):
            index = tuple(axis[t] for axis, t in zip(axes, tap, strict=True))
            value = x[(*place[: len(lead)], *index)]
            if where[place] < 0 or value > out[place] or np.isnan(value):
                out[place], where[place] = value, np.ravel_multi_index(index, extents)
    return out, where


@st.composite
def cases(draw: st.DrawFn) -> tuple[Ints, Ints, Ints, Ints, Ints, bool]:
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int) -> Ints:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    window, stride, dilation = each(1, 3), each(1, 3), each(1, 2)
    if draw(st.booleans()):
        window, stride, dilation = (2,) * axes, (2,) * axes, (1,) * axes
    padding = tuple(draw(st.integers(0, k // 2)) for k in window)
    extents = tuple(d * (k - 1) + 1 + more for k, d, more in zip(window, dilation, each(0, 6), strict=True))
    return (2, 2, *extents), window, stride, padding, dilation, draw(st.booleans())


@settings(max_examples=examples(15))
@given(case=cases(), seed=st.integers(0, 2**31), dtype=st.sampled_from(["float32", "float64"]))
def test_maximum(case: tuple, seed: int, dtype: str) -> None:
    shape, window, stride, padding, dilation, ceil_mode = case
    rng, axes = np.random.default_rng(seed), len(window)
    x = np.round(rng.standard_normal(shape) * 2).astype(dtype)  # with ties
    x[rng.random(shape) < 0.05] = np.nan
    x[rng.random(shape) < 0.1] = -np.inf
    out, where = pool.max_pool(x, window, stride, padding, dilation, ceil_mode)
    options = zip(shape[2:], out.shape[2:], window, stride, padding, dilation, strict=True)
    values, index = reference_max(x, [windows(*each) for each in options])
    np.testing.assert_array_equal(out, values)
    np.testing.assert_array_equal(pool.max_pool_indices(where, shape), index)
    g = rng.standard_normal(out.shape).astype(dtype)
    wanted = np.zeros((4, int(np.prod(shape[2:]))))
    for plane, (places, values) in enumerate(zip(index.reshape(4, -1), g.reshape(4, -1), strict=True)):
        np.add.at(wanted[plane], places[places >= 0], values[places >= 0])
    found = pool.max_pool_backward(g, where, shape, axes)
    np.testing.assert_allclose(found, wanted.reshape(shape), rtol=0, atol=1e-5)


@settings(max_examples=examples(15))
@given(case=cases(), seed=st.integers(0, 2**31), include=st.booleans(), divisor=st.sampled_from([None, 3]))
def test_mean(case: tuple, seed: int, include: bool, divisor: int | None) -> None:
    shape, window, stride, padding, _, ceil_mode = case
    rng, ones = np.random.default_rng(seed), (1,) * len(window)
    x = rng.standard_normal(shape)
    args = (window, stride, padding, ceil_mode, include, divisor)
    out = pool.avg_pool(x, *args)
    options = zip(shape[2:], out.shape[2:], window, stride, padding, ones, strict=True)
    lists = [windows(*each) for each in options]
    for place in np.ndindex(*out.shape[2:]):
        axes = [some[i] for some, i in zip(lists, place, strict=True)]
        number = np.prod([len(axis) for axis in axes])
        if include:
            sizes = zip(shape[2:], place, window, stride, padding, strict=True)
            number = np.prod([min(o * s - p + k, n + p) - (o * s - p) for n, o, k, s, p in sizes])
        wanted = x[(..., *np.ix_(*axes))].sum(tuple(range(2, x.ndim))) / (divisor or max(number, 1))
        np.testing.assert_allclose(out[(..., *place)], wanted, rtol=0, atol=1e-12)
    g = rng.standard_normal(out.shape)
    dx = pool.avg_pool_backward(g, shape, *args)
    assert np.vdot(out, g) == pytest.approx(np.vdot(x, dx), abs=1e-10)


@settings(max_examples=examples(15))
@given(extents=st.lists(st.integers(1, 8), min_size=1, max_size=3), data=st.data(), seed=st.integers(0, 2**31))
def test_adaptive(extents: list[int], data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(data.draw(st.integers(1, 5)) for _ in extents)
    x = np.round(rng.standard_normal((2, 2, *extents)) * 4)
    lists = [
        [list(range(o * n // m, -(-(o + 1) * n // m))) for o in range(m)] for n, m in zip(extents, size, strict=True)
    ]
    values, index = reference_max(x, lists)
    out, where = pool.adaptive_max_pool(x, size)
    np.testing.assert_array_equal(out, values)
    np.testing.assert_array_equal(pool.max_pool_indices(where, x.shape), index)
    mean = pool.adaptive_avg_pool(x, size)
    for place in np.ndindex(*size):
        axes = [some[i] for some, i in zip(lists, place, strict=True)]
        wanted = x[(..., *np.ix_(*axes))].mean(tuple(range(2, x.ndim)))
        np.testing.assert_allclose(mean[(..., *place)], wanted, rtol=0, atol=1e-12)
    g = rng.standard_normal(mean.shape)
    assert np.vdot(mean, g) == pytest.approx(np.vdot(x, pool.adaptive_avg_pool_backward(g, x.shape, size)), abs=1e-10)


@pytest.mark.parametrize("width", [2, 5, 8, 24, 33, 64])
def test_vectors_of_two_by_two(width: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 2, 7, width)).astype("float32")
    out, where = pool.max_pool(x, (2, 2), (2, 2), (0, 0), (1, 1))
    assert where.dtype == np.uint8
    blocks = x[..., :6, : width // 2 * 2].reshape(3, 2, 3, 2, width // 2, 2)
    np.testing.assert_array_equal(out, blocks.max((3, 5)))
    dx = pool.max_pool_backward(out, where, x.shape, 2)
    np.testing.assert_array_equal(dx != 0, np.isin(x, out))


def test_threads_change_no_bit(rng: np.random.Generator) -> None:
    x = rng.standard_normal((8, 16, 40, 40)).astype("float32")
    results = []
    for threads in (1, 2):
        ag.set_num_threads(threads)
        out, where = pool.max_pool(x, (3, 3), (2, 2), (1, 1), (1, 1))
        mean = pool.avg_pool(x, (3, 3), (2, 2), (1, 1))
        results.append(
            (out, where, mean, pool.max_pool_backward(mean, where, x.shape, 2), resample.linear(x, (53, 61)))
        )
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("window", "stride", "padding", "dilation", "words"),
    [
        ((2, 2), (2, 2), (2, 0), (1, 1), "padding.*half"),
        ((9, 2), (2, 2), (0, 0), (1, 1), "too small"),
        ((2, 2), (0, 2), (0, 0), (1, 1), "greater than zero"),
        ((2, 2), (2,), (0, 0), (1, 1), "same 1 to 3 entries"),
    ],
)
def test_errors(window: Ints, stride: Ints, padding: Ints, dilation: Ints, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        pool.max_pool(np.ones((1, 1, 5, 5)), window, stride, padding, dilation)


@settings(max_examples=examples(10))
@given(
    extents=st.lists(st.integers(1, 6), min_size=1, max_size=3), data=st.data(), seed=st.integers(0, 2**31),
    align=st.booleans(),
)  # fmt: skip
def test_resampling(extents: list[int], data: st.DataObject, seed: int, align: bool) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(data.draw(st.integers(1, 9)) for _ in extents)
    x = rng.standard_normal((2, 2, *extents))
    near, smooth = x, x
    for axis, (n, m) in enumerate(zip(extents, size, strict=True), 2):
        near = near.take(np.arange(m) * n // m, axis)
        place = np.arange(m) * (n - 1) / max(m - 1, 1) if align else (np.arange(m) + 0.5) * n / m - 0.5
        smooth = np.apply_along_axis(lambda line, place=place, n=n: np.interp(place, np.arange(n), line), axis, smooth)
    np.testing.assert_array_equal(resample.nearest(x, size), near)
    np.testing.assert_allclose(resample.linear(x, size, align), smooth, rtol=0, atol=1e-12)
    g = rng.standard_normal(near.shape)
    assert np.vdot(near, g) == pytest.approx(np.vdot(x, resample.nearest_backward(g, x.shape, size)), abs=1e-10)
    assert np.vdot(smooth, g) == pytest.approx(np.vdot(x, resample.linear_backward(g, x.shape, size, align)), abs=1e-10)


@settings(max_examples=examples(10))
@given(case=cases(), seed=st.integers(0, 2**31))
def test_patches(case: tuple, seed: int) -> None:
    shape, *options, _ = case
    if len(shape) != 4:
        return
    window, stride, padding, dilation = options
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    columns = resample.unfold(x, window, stride, padding, dilation)
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    for at, (i, j) in enumerate(np.ndindex(*window)):
        lines = [
            slice(t * d, n + 2 * p - d * (k - 1) + t * d, s)
            for t, n, k, s, p, d in zip((i, j), shape[2:], window, stride, padding, dilation, strict=True)
        ]
        wanted = padded[:, :, lines[0], lines[1]].reshape(2, 2, -1)
        np.testing.assert_array_equal(columns.reshape(2, 2, -1, columns.shape[2])[:, :, at], wanted)
    g = rng.standard_normal(columns.shape)
    back = resample.fold(g, shape, window, stride, padding, dilation)
    assert np.vdot(columns, g) == pytest.approx(np.vdot(x, back), abs=1e-10)
