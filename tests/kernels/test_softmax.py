"""softmax, log_softmax and cross-entropy: against formulas in float64, and their gradients likewise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from autograd_lite.kernels import cross_entropy as ce
from autograd_lite.kernels import softmax, threading
from autograd_lite.kernels.jit import JIT

DTYPES = [np.float32, np.float64]
SHAPES = [(), (7,), (64, 10), (5, 1), (3, 10, 4, 5), (2, 21, 17, 19), (0, 5), (5, 3, 0)]
LARGE = [(300, 100), (2, 3, 10000), (9, 70, 70)] if JIT else []


def close(got, wanted, dtype):
    assert got.shape == np.shape(wanted)
    assert got.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def log_softmax(x, axis):
    x = x - x.max(axis=axis, keepdims=True, initial=-np.inf)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES + LARGE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_softmax(shape, dtype, rng):
    x, g = (np.asarray(3 * rng.normal(size=shape), dtype) for _ in range(2))
    for axis in range(max(1, len(shape))):
        wide = np.atleast_1d(x.astype(np.float64))
        y = log_softmax(wide, axis).reshape(shape)
        p = np.exp(y)
        g64 = np.atleast_1d(g.astype(np.float64))
        dot = (g64 * np.atleast_1d(p)).sum(axis=axis, keepdims=True)
        close(softmax.log_softmax(x, axis), y, dtype)
        close(softmax.softmax(x, axis), p, dtype)
        close(softmax.softmax_backward(g, np.asarray(p, dtype), axis), (p * (g64 - dot)).reshape(shape), dtype)
        total = g64.sum(axis=axis, keepdims=True)
        close(softmax.log_softmax_backward(g, np.asarray(y, dtype), axis), (g64 - p * total).reshape(shape), dtype)


def test_inputs_in_any_layout(rng):
    x = rng.normal(size=(6, 5, 4)).astype(np.float32)
    for axis in range(3):
        np.testing.assert_array_equal(softmax.softmax(x.copy(order="F"), axis), softmax.softmax(x, axis))
        np.testing.assert_array_equal(softmax.softmax(x[::-1][::-1], axis), softmax.softmax(x, axis))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_scores(across, dtype):
    inf = np.inf
    rows = [[1e30, -1e30, 0], [-inf, -inf, -inf], [inf, 0, 1], [-inf, 0, 0], [np.nan, 1, 2], [1e30, 1e30, 1e30]]
    nan3, third = [np.nan] * 3, [1 / 3] * 3
    wanted = np.array([[1, 0, 0], nan3, nan3, [0, 0.5, 0.5], nan3, third])
    x, axis = np.array(rows, dtype), 1
    if across:
        x, wanted, axis = np.ascontiguousarray(x.T), wanted.T, 0
    close(softmax.softmax(x, axis), wanted, dtype)
    logs = softmax.log_softmax(x, axis)
    np.testing.assert_allclose(np.exp(logs), wanted, rtol=1e-6)
    # a line without upstream gradient has none itself, whatever its scores
    for backward, y in ((softmax.softmax_backward, wanted.astype(dtype)), (softmax.log_softmax_backward, logs)):
        np.testing.assert_array_equal(backward(np.zeros_like(y), y, axis), np.zeros_like(y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_class(dtype):
    x = np.array([[3.0], [-1e30]], dtype)
    np.testing.assert_array_equal(softmax.softmax(x, 1), np.ones_like(x))
    np.testing.assert_array_equal(softmax.log_softmax(x, 1), np.zeros_like(x))


def shares(x, target, weight, ignored, smoothing):
    """For each class its weight times its share of the target (classes last), and the lines that count."""
    n = x.shape[-1]
    w = np.ones(n) if weight is None else weight.astype(np.float64)
    if target.shape == x.shape:
        return (target * (1 - smoothing) + smoothing / n) * w, np.ones(x.shape[:-1], bool)
    counts = target != ignored
    hot = np.eye(n)[np.where(counts, target, 0)]
    return (hot * (1 - smoothing) + smoothing / n) * np.where(hot.any(-1, keepdims=True), w, w) * counts[
        ..., None
    ], counts


def reference(x, target, weight, ignored, smoothing, reduction, g):
    """Loss and gradient in float64; classes in dimension 1."""
    last = (lambda a: np.moveaxis(a, 1, -1)) if x.ndim > 1 else (lambda a: a)
    probabilities = target.dtype.kind == "f"
    x64 = last(x.astype(np.float64))
    q, counts = shares(x64, last(target.astype(np.float64)) if probabilities else target, weight, ignored, smoothing)
    logs = log_softmax(x64, -1)
    losses = -(q * logs).sum(-1)
    divisor = 1.0
    if reduction == "mean":
        own = np.ones(x64.shape[-1]) if weight is None else weight.astype(np.float64)
        divisor = losses.size if probabilities else (own[np.where(counts, target, 0)] * counts).sum()
    loss = losses if reduction == "none" else losses.sum() / divisor
    each = np.exp(logs) * q.sum(-1, keepdims=True) - q
    gradient = each * (np.asarray(g)[..., None] if reduction == "none" else g) / divisor
    return loss, np.moveaxis(gradient, -1, 1) if x.ndim > 1 else gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7,), (64, 10), (5, 1), (3, 10, 4, 5), *LARGE])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(shape, weighted, smoothing, dtype, rng):
    n = shape[1] if len(shape) > 1 else shape[0]
    lines = shape[:1] + shape[2:] if len(shape) > 1 else ()
    weight = rng.uniform(0.1, 2, n).astype(dtype) if weighted else None
    x = (3 * rng.normal(size=shape)).astype(dtype)
    classes = np.asarray(rng.integers(0, n, lines))
    if lines:
        classes[rng.random(lines) < 0.2] = -100
        classes.flat[0] = 0
    for target, reduction in itertools.product((classes, rng.random(shape).astype(dtype)), ("none", "mean", "sum")):
        loss, saved = ce.cross_entropy(x, target, weight, -100, smoothing, reduction)
        g = np.asarray(rng.normal(size=loss.shape), dtype)
        wanted, gradient = reference(x, target, weight, -100, smoothing, reduction, g.astype(np.float64))
        close(loss, wanted, dtype)
        got = ce.cross_entropy_backward(g, x, target, saved, weight, -100, smoothing)
        close(got, gradient, dtype)


@pytest.mark.parametrize("shape", [(6, 3), (1, 3, 6)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_lines_without_upstream_gradient_have_none(shape):
    inf = np.inf
    rows = np.array([[1, 2, 3], [-inf] * 3, [inf, 0, 1], [np.nan, 0, 1], [-inf, 0, 0], [1, 1, 1]], np.float32)
    x = rows if len(shape) == 2 else np.ascontiguousarray(rows.T)[None]
    target = np.array([0, 1, 2, 0, 1, -100]).reshape(shape[:1] + shape[2:])
    g = np.array([1, 0, 0, 0, 1, 1], np.float32).reshape(target.shape)
    _, saved = ce.cross_entropy(x, target, reduction="none")
    dx = ce.cross_entropy_backward(g, x, target, saved)
    got = dx if len(shape) == 2 else dx[0].T
    e = np.exp([1.0, 2, 3])
    p = e / e.sum()
    np.testing.assert_allclose(got[0], p - [1, 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(got[[1, 2, 3, 5]], 0)
    np.testing.assert_allclose(got[4], [0, -0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3), (1, 3, 2), (0, 3), (0, 3, 2), (2, 3, 0)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_all_targets_ignored(shape):
    x, target = np.ones(shape, np.float32), np.full(shape[:1] + shape[2:], -100)
    loss, saved = ce.cross_entropy(x, target)
    dx = ce.cross_entropy_backward(np.ones((), np.float32), x, target, saved)
    assert math.isnan(loss)
    np.testing.assert_array_equal(dx, np.zeros_like(x))


@pytest.mark.parametrize("shape", [(3, 4), (1, 4, 3)])
@pytest.mark.parametrize("bad", [4, -1])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_targets_out_of_bounds(shape, bad, reduction):
    target = np.array([0, bad, 1]).reshape(shape[:1] + shape[2:])
    with pytest.raises(IndexError, match=f"target {bad} is out of bounds for 4 classes"):
        ce.cross_entropy(np.ones(shape, np.float32), target, reduction=reduction)


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_losses_keep_their_digits(dtype):
    """Far from zero, log(sum(exp)) - x would lose them."""
    x = np.array([[1000.0, 1000.0 - 8]], dtype)
    loss, _ = ce.cross_entropy(x, np.array([0]))
    close(loss, math.log1p(math.exp(-8)), dtype)


@pytest.mark.skipif(not threading.has_threads(), reason="one thread only")
@pytest.mark.parametrize("shape", LARGE)
def test_same_bits_with_any_number_of_threads(shape, rng):
    x, g = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    target = rng.integers(0, shape[1], shape[:1] + shape[2:])
    results = []
    for threads in (1, 2, 3):
        threading.set_num_threads(threads)
        loss, saved = ce.cross_entropy(x, target)
        arrays = [loss, ce.cross_entropy_backward(np.float32(1).reshape(()), x, target, saved)]
        for axis in range(len(shape)):
            y = softmax.softmax(x, axis)
            arrays += [y, softmax.softmax_backward(g, y, axis), softmax.log_softmax(x, axis)]
        results.append([a.tobytes() for a in arrays])
    assert results[0] == results[1] == results[2]


@pytest.mark.skipif(not JIT, reason="a matter of the compiled loops")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lines", [2, 6])
@pytest.mark.parametrize("n", [4, 13, 24, 40])
def test_bits_do_not_depend_on_addresses(n, lines, dtype, rng):
    """Arrays close together, in either order, and far apart."""
    data = rng.normal(size=lines * n).astype(dtype)
    found = {name: set() for name in ("softmax", "log_softmax", "softmax_backward", "log_softmax_backward")}
    for gap in (0, 1, 2, 5, 16, 1000):
        for order in itertools.permutations(range(3)):
            buffer = np.zeros(3 * (data.size + gap), dtype)
            places = [i * (data.size + gap) for i in order]
            x, y, out = (buffer[at : at + data.size] for at in places)
            for logarithm, name in ((False, "softmax"), (True, "log_softmax")):
                x[:], y[:] = data, data[::-1]
                softmax._softmax_along(x, out, n, logarithm)
                found[name].add(out.tobytes())
                softmax._backward_along(x, y, out, n, logarithm)
                found[f"{name}_backward"].add(out.tobytes())
    assert {name: len(bits) for name, bits in found.items()} == dict.fromkeys(found, 1)
