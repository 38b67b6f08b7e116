"""Normalisation against its formulas in float64, gradients against the derivative of the formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.kernels import batch_norm, norm
from tests.conftest import examples

Ints = tuple[int, ...]
EPS = 1e-5
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


def close(found: np.ndarray, wanted: np.ndarray, dtype: str, condition: float = 1.0, terms: Any = 0) -> None:
    """Equal to rounding; `terms` are what has been summed, where they may cancel."""
    assert found.dtype == dtype and found.shape == wanted.shape
    scale = max(float(np.abs(wanted).max(initial=0)), float(np.abs(terms).max(initial=0)), 1e-3) * max(condition, 1.0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE[dtype] * scale)


def condition_of(rstd: np.ndarray) -> float:
    """A few values that lie close together lose digits when their mean is taken off."""
    return float(rstd.max())


def normalised(x: np.ndarray, axes: Ints) -> tuple[np.ndarray, np.ndarray]:
    x = x.astype(np.float64)
    rstd = 1 / np.sqrt(x.var(axes, keepdims=True) + EPS)
    return (x - x.mean(axes, keepdims=True)) * rstd, rstd


def gradient(g: np.ndarray, u: np.ndarray, rstd: np.ndarray, axes: Ints) -> np.ndarray:
    """Through ``u = (x - mean) rstd``: the projection orthogonal to 1 and to u."""
    return rstd * (g - g.mean(axes, keepdims=True) - u * (g * u).mean(axes, keepdims=True))


@settings(max_examples=examples(15))
@given(
    n=st.integers(1, 6), c=st.integers(1, 70), span=st.sampled_from([(), (1,), (3,), (4, 5), (16, 16), (30, 21)]),
    dtype=st.sampled_from(["float32", "float64"]), relu=st.booleans(), train=st.booleans(), affine=st.booleans(),
    seed=st.integers(0, 2**31),
)  # fmt: skip
def test_batch_norm(n: int, c: int, span: Ints, dtype: str, relu: bool, train: bool, affine: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (n + 1, c, *span)
    axes, line = (0, *range(2, len(shape))), (1, c, *[1] * len(span))
    x = (rng.standard_normal(shape) * 2 + 3).astype(dtype)
    weight, bias, mean, g = (rng.standard_normal(s).astype(dtype) for s in (c, c, c, shape))
    var = (rng.random(c) + 0.5).astype(dtype)
    if not affine:
        weight, bias = None, None
    w, b = (1, 0) if weight is None else (weight.reshape(line).astype(float), bias.reshape(line).astype(float))
    number, batch = x.size // c, x.astype(np.float64)
    u, rstd = normalised(x, axes)
    moved = (0.9 * mean + 0.1 * batch.mean(axes), 0.9 * var + 0.1 * batch.var(axes) * number / (number - 1))
    if not train:
        rstd = 1 / np.sqrt(var.reshape(line).astype(float) + EPS)
        u, moved = (batch - mean.reshape(line)) * rstd, (mean.copy(), var.copy())
    y = u * w + b
    out, stats = batch_norm.batch_norm(x, weight, bias, mean, var, 0.1, EPS, train, relu)
    condition = condition_of(rstd)
    close(out, np.maximum(y, 0) if relu else y, dtype, condition)
    close(mean, moved[0], dtype)
    close(var, moved[1], dtype)
    passed = np.where((out <= 0) & relu, 0, g.astype(np.float64))
    dx, dw, db = batch_norm.batch_norm_backward(g, x, weight, bias, stats, train, relu)
    wanted = gradient(passed * w, u, rstd, axes) if train else passed * w * rstd
    close(db, passed.sum(axes), dtype)
    # Two values per channel normalise to +-1 whatever they are: what is left is rounding.
    if number > 2:
        close(dx, wanted, dtype, condition, passed * w * rstd)
        close(dw, (passed * u).sum(axes), dtype, condition)


@settings(max_examples=examples(15))
@given(
    lead=st.lists(st.integers(1, 30), min_size=1, max_size=2), size=st.sampled_from([(3,), (16,), (5, 7), (130,)]),
    dtype=st.sampled_from(["float32", "float64"]), affine=st.booleans(), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_rows(lead: list[int], size: Ints, dtype: str, affine: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, g = ((rng.standard_normal((*lead, *size)) + shift).astype(dtype) for shift in (3, 0))
    weight, bias = ((rng.standard_normal(size)).astype(dtype) for _ in range(2))
    axes, rows = tuple(range(len(lead), x.ndim)), tuple(range(len(lead)))
    if not affine:
        weight, bias = None, None
    w, b = (1, 0) if weight is None else (weight.astype(float), bias.astype(float))
    u, rstd = normalised(x, axes)
    condition = condition_of(rstd)
    out, stats = norm.layer_norm(x, size, weight, bias, EPS)
    close(out, u * w + b, dtype, condition)
    dx, dw, db = norm.layer_norm_backward(g, x, size, weight, stats)
    close(dx, gradient(g * w, u, rstd, axes), dtype, condition, g * w * rstd)
    close(dw, (g * u).sum(rows), dtype, condition)
    close(db, g.astype(float).sum(rows), dtype)

    rstd = 1 / np.sqrt((x.astype(float) ** 2).mean(axes, keepdims=True) + EPS)
    u = x * rstd
    out, stats = norm.rms_norm(x, size, weight, EPS)
    close(out, u * w, dtype)
    dx, dw = norm.rms_norm_backward(g, x, size, weight, stats)
    close(dx, rstd * (g * w - u * (g * w * u).mean(axes, keepdims=True)), dtype, terms=g * w * rstd)
    close(dw, (g * u).sum(rows), dtype)


@settings(max_examples=examples(15))
@given(
    n=st.integers(1, 6), groups=st.integers(1, 4), each=st.integers(1, 5), dtype=st.sampled_from(["float32", "float64"]),
    span=st.sampled_from([(), (3,), (4, 5), (30, 21)]), affine=st.booleans(), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_group_norm(n: int, groups: int, each: int, dtype: str, span: Ints, affine: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if each * int(np.prod(span)) < 3:
        each = 3
    shape, line = (n, groups * each, *span), (1, groups * each, *[1] * len(span))
    x, g = ((rng.standard_normal(shape) + shift).astype(dtype) for shift in (3, 0))
    weight, bias = ((rng.standard_normal(groups * each)).astype(dtype) for _ in range(2))
    if not affine:
        weight, bias = None, None
    w, b = (1, 0) if weight is None else (weight.reshape(line).astype(float), bias.reshape(line).astype(float))
    u, rstd = normalised(x.reshape(n, groups, -1), (2,))
    condition = condition_of(rstd)
    out, stats = norm.group_norm(x, groups, weight, bias, EPS)
    close(out, u.reshape(shape) * w + b, dtype, condition)
    dx, dw, db = norm.group_norm_backward(g, x, groups, weight, stats)
    wanted = gradient((g * w).reshape(n, groups, -1), u, rstd, (2,)).reshape(shape)
    close(dx, wanted, dtype, condition, (g * w).reshape(n, groups, -1) * rstd)
    axes = (0, *range(2, len(shape)))
    close(dw, (g * u.reshape(shape)).sum(axes), dtype, condition)
    close(db, g.astype(float).sum(axes), dtype)


@pytest.mark.parametrize("mean", [1e3, 1e4])
@pytest.mark.parametrize("shape", [(32, 4), (16, 4, 64)])
def test_large_means_keep_their_variance(mean: float, shape: Ints, rng: np.random.Generator) -> None:
    """The sum of squares less the square of the sum would leave no digit of float32 here."""
    x = (rng.standard_normal(shape) + mean).astype("float32")
    axes = (0, *range(2, len(shape)))
    _, stats = batch_norm.batch_norm(x, None, None, None, None)
    np.testing.assert_allclose(stats[2], x.astype(float).var(axes), rtol=1e-4)
    _, (_, rstd) = norm.layer_norm(x, shape[1:], None, None, EPS)
    wanted = 1 / np.sqrt(x.astype(float).reshape(shape[0], -1).var(1) + EPS)
    np.testing.assert_allclose(rstd, wanted, rtol=1e-4)


def test_threads_change_no_bit(rng: np.random.Generator) -> None:
    x, g = (rng.standard_normal((16, 48, 20, 20)).astype("float32") for _ in range(2))
    rows, row_grad = x.reshape(-1, 400), g.reshape(-1, 400)
    results = []
    for threads in (1, 2):
        ag.set_num_threads(threads)
        out, stats = batch_norm.batch_norm(x, None, None, None, None)
        layer = norm.layer_norm(rows, (400,), None, None)
        group = norm.group_norm(x, 8, None, None)
        results.append((
            out, stats, *layer, *group, *batch_norm.batch_norm_backward(g, x, None, None, stats),
            *norm.layer_norm_backward(row_grad, rows, (400,), None, *layer[1:]),
            *norm.group_norm_backward(g, x, 8, None, *group[1:]),
        ))  # fmt: skip
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_errors() -> None:
    x = np.ones((4, 6, 2))
    with pytest.raises(RuntimeError, match=r"batch_norm: weight must be float64 of shape \(6,\).*\(5,\)"):
        batch_norm.batch_norm(x, np.ones(5), None, None, None)
    with pytest.raises(RuntimeError, match="running_mean.*float32"):
        batch_norm.batch_norm(x, None, None, np.ones(6, "float32"), None)
    with pytest.raises(RuntimeError, match="evaluation"):
        batch_norm.batch_norm(x, None, None, None, None, train=False)
    with pytest.raises(ValueError, match=r"more than 1 value per channel.*\(1, 6\)"):
        batch_norm.batch_norm(np.ones((1, 6)), None, None, None, None)
    with pytest.raises(RuntimeError, match="divisible by num_groups.*num_groups=4"):
        norm.group_norm(x, 4, None, None)
