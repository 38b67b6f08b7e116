"""The numerical policy: one test for each row of the table in docs/numerics.md."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT

F = ag.nn.functional
INF, NAN = float("inf"), float("nan")
DTYPES = [ag.float32, ag.float64]
POLICY: dict[str, Callable[[Any], None]] = {}


def policy(name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a test under the name of its row."""

    def register(test: Callable[[Any], None]) -> Callable[[Any], None]:
        POLICY[name] = test
        return test

    return register


def leaf(values: Any, dtype: Any) -> ag.Tensor:
    return ag.tensor(values, dtype=dtype, requires_grad=True)


def gradient(function: Callable[..., Any], *tensors: ag.Tensor, weights: Any = None) -> Any:
    """The gradient(s) of the sum of `function` (weighted, where weights are given)."""
    out = function(*tensors)
    out.backward(ag.ones_like(out) if weights is None else ag.tensor(weights, dtype=out.dtype))
    found = [None if t.grad is None else t.grad._data for t in tensors]
    return found[0] if len(found) == 1 else found


def equal(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


def near(got: Any, expected: Any, rtol: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(got, dtype=float), expected, rtol=rtol, atol=1e-7)


# Kinks


@policy("relu at 0")
def _(dtype: Any) -> None:
    equal(gradient(F.relu, leaf([-1.0, 0.0, -0.0, 2.0], dtype)), [0, 0, 0, 1])


@policy("abs at 0")
def _(dtype: Any) -> None:
    equal(gradient(ag.abs, leaf([-1.0, 0.0, -0.0, 2.0], dtype)), [-1, 0, 0, 1])


@policy("clamp at the limits")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: ag.clamp(t, -1, 1), leaf([-2.0, -1.0, 0.0, 1.0, 2.0], dtype)), [0, 1, 1, 1, 0])


@policy("maximum, minimum: ties")
def _(dtype: Any) -> None:
    for function in (ag.maximum, ag.minimum):
        a, b = gradient(function, leaf([1.0, 2.0], dtype), leaf([1.0, 2.0], dtype))
        equal(a, [0.5, 0.5])
        equal(b, [0.5, 0.5])


@policy("amax, amin: ties")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: ag.amax(t, 1), leaf([[3.0, 3.0, 1.0], [2.0, 2.0, 2.0]], dtype)), np.array([[0.5, 0.5, 0], [1 / 3] * 3], dtype.dtype))
    equal(gradient(lambda t: ag.amin(t, 1), leaf([[3.0, 1.0, 1.0]], dtype)), [[0, 0.5, 0.5]])


@policy("max(), min(), median() of everything: ties")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: t.max(), leaf([1.0, 3.0, 3.0], dtype)), [0, 0.5, 0.5])
    equal(gradient(lambda t: t.min(), leaf([1.0, 1.0, 3.0, 1.0], dtype)), np.array([1 / 3, 1 / 3, 0, 1 / 3], dtype.dtype))
    equal(gradient(lambda t: t.median(), leaf([1.0, 3.0, 3.0], dtype)), [0, 0.5, 0.5])


@policy("max(dim), min(dim), median(dim), sort, topk: ties")
def _(dtype: Any) -> None:
    """Everything goes to the index that was returned."""
    for function in (lambda t: t.max(0), lambda t: t.min(0), lambda t: t.median(0), lambda t: t.sort(0), lambda t: t.topk(2)):
        x = leaf([2.0, 2.0, 2.0], dtype)
        values, index = function(x)
        weights = np.arange(1.0, 1 + values.numel()).reshape(values.shape)
        expected = np.zeros(3)
        np.add.at(expected, index._data, weights)
        values.backward(ag.tensor(weights, dtype=dtype))
        equal(x.grad._data, expected)


@policy("max(dim) of equal elements returns the first")
def _(dtype: Any) -> None:
    assert ag.tensor([1.0, 3.0, 3.0], dtype=dtype).max(0)[1].item() == 1
    assert ag.tensor([[1.0, 1.0]], dtype=dtype).argmin(1).item() == 0


@policy("floor, ceil, round, trunc, sign")
def _(dtype: Any) -> None:
    for function in (ag.floor, ag.ceil, ag.round, ag.trunc, ag.sign):
        equal(gradient(function, leaf([-1.5, 0.0, 0.5, 2.0], dtype)), [0, 0, 0, 0])
    equal(ag.round(ag.tensor([0.5, 1.5, 2.5, -0.5], dtype=dtype))._data, [0, 2, 2, -0.0])


# Norms, spreads, products


@policy("norm at 0")
def _(dtype: Any) -> None:
    for p in (1, 2, 3.0):
        equal(gradient(lambda t, p=p: t.norm(p), leaf([0.0, 0.0, 0.0], dtype)), [0, 0, 0])
        got = gradient(lambda t, p=p: t.norm(p, 1), leaf([[0.0, 0.0], [3.0, 0.0]], dtype))
        near(got, [[0, 0], [1, 0]])
    equal(gradient(lambda t: F.normalize(t, dim=0), leaf([0.0, 0.0], dtype))[0] > 0, True)


@policy("hypot of huge and tiny numbers")
def _(dtype: Any) -> None:
    big = 1e30 if dtype is ag.float32 else 1e200
    for scale in (big, 1 / big):
        a, b = ag.tensor(3 * scale, dtype=dtype), ag.tensor(4 * scale, dtype=dtype)
        near(ag.hypot(a, b).item() / scale, 5)


@policy("hypot at 0")
def _(dtype: Any) -> None:
    a, b = gradient(ag.hypot, leaf([0.0, 3.0], dtype), leaf([0.0, 4.0], dtype), weights=[0.0, 1.0])
    near(a, [0, 0.6])
    near(b, [0, 0.8])


@policy("std of a constant")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: t.std(), leaf([3.0, 3.0, 3.0], dtype)), [0, 0, 0])
    equal(gradient(lambda t: t.std(1), leaf([[3.0, 3.0], [1.0, 1.0]], dtype)), [[0, 0], [0, 0]])


@policy("var and mean of far-off numbers")
def _(dtype: Any) -> None:
    offset = 1e4 if dtype is ag.float32 else 1e8
    x = ag.tensor([offset + 1, offset + 2, offset + 3], dtype=dtype)
    near(x.var().item(), 1.0, 1e-5)
    near(x.mean().item() - offset, 2.0, 1e-3)


@policy("sum of many")
def _(dtype: Any) -> None:
    """A running sum in float32 would stop at 2^24."""
    if JIT:  # plain Python would take minutes, and adds one by one
        near(ag.ones(2**25, dtype=ag.float32).sum().item(), 2**25)
        near(ag.full((10_000_000,), 0.1).mean().item(), 0.1, 1e-5)


@policy("prod with one zero and with two")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: t.prod(), leaf([2.0, 0.0, 3.0], dtype)), [0, 6, 0])
    equal(gradient(lambda t: t.prod(), leaf([2.0, 0.0, 0.0], dtype)), [0, 0, 0])
    equal(gradient(lambda t: t.prod(1), leaf([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [1.5, 2.0, -1.0]], dtype)), [[0, 6, 0], [0, 0, 0], [-2, -1.5, 3]])


@policy("cumprod with zeros")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: t.cumprod(0), leaf([2.0, 0.0, 3.0], dtype)), [1, 8, 0])


# A zero upstream gradient gives zero


SINGULAR: dict[str, tuple[Callable[..., Any], float]] = {
    "sqrt": (ag.sqrt, 0.0), "rsqrt": (ag.rsqrt, 0.0), "log": (ag.log, 0.0), "log2": (ag.log2, 0.0), "log10": (ag.log10, 0.0),
    "log1p": (ag.log1p, -1.0), "reciprocal": (ag.reciprocal, 0.0), "asin": (ag.asin, 1.0), "acos": (ag.acos, -1.0),
    "acosh": (ag.acosh, 1.0), "atanh": (ag.atanh, 1.0), "1 / x": (lambda t: 1 / t, 0.0), "x ** 0.5": (lambda t: t**0.5, 0.0),
    "x ** -1.5": (lambda t: t**-1.5, 0.0), "x ** 0.25": (lambda t: t**0.25, 0.0), "sqrt of negative": (ag.sqrt, -1.0), "log of negative": (ag.log, -2.0),
    "norm": (lambda t: t.reshape(-1, 1).norm(dim=1), 0.0), "atan2": (lambda t: ag.atan2(t, t * 0), 0.0), "xlogy": (lambda t: ag.xlogy(ag.ones_like(t), t), 0.0),
    "hypot": (lambda t: ag.hypot(t, t), 0.0),
}  # fmt: skip


@policy("where(x > 0, f(x), 0) with f singular")
def _(dtype: Any) -> None:
    for name, (function, at) in SINGULAR.items():
        x = leaf([at, 0.5], dtype)
        chosen = ag.tensor([False, True])
        y = ag.where(chosen, function(x), ag.zeros(2, dtype=dtype))
        y.sum().backward()
        assert x.grad is not None
        assert x.grad[0].item() == 0, f"{name} at {at}: gradient {x.grad}"


@policy("the same in second order")
def _(dtype: Any) -> None:
    for name in ("sqrt", "log", "reciprocal", "x ** 0.5", "rsqrt"):
        function, at = SINGULAR[name]
        x = leaf([at, 0.5], dtype)
        y = ag.where(ag.tensor([False, True]), function(x), ag.zeros(2, dtype=dtype))
        (g,) = ag.autograd.grad(y.sum(), x, create_graph=True)
        g.sum().backward()
        assert x.grad is not None and x.grad[0].item() == 0, f"{name}: {x.grad}"


@policy("masked branches of an indexed loss")
def _(dtype: Any) -> None:
    x = leaf([0.0, 4.0], dtype)
    ag.sqrt(x)[1].backward()
    near(x.grad._data, [0, 0.25])


# Powers, logarithms


@policy("pow at 0")
def _(dtype: Any) -> None:
    equal(gradient(lambda t: t**0, leaf([0.0, 2.0], dtype)), [0, 0])
    equal(gradient(lambda t: t**1, leaf([0.0, 2.0], dtype)), [1, 1])
    equal(gradient(lambda t: t**2, leaf([0.0, -2.0], dtype)), [0, -4])
    a, b = gradient(ag.pow, leaf([0.0, 0.0], dtype), leaf([2.0, 0.0], dtype))
    equal(a, [0, 0])
    equal(b, [0, 0])
    assert (ag.zeros(1, dtype=dtype) ** 0).item() == 1
    assert (ag.zeros(1, dtype=dtype) ** -1).item() == INF


@policy("pow with a negative base")
def _(dtype: Any) -> None:
    equal((ag.tensor([-2.0, -2.0], dtype=dtype) ** ag.tensor([3.0, 2.0], dtype=dtype))._data, [-8, 4])
    assert np.isnan((ag.tensor(-2.0, dtype=dtype) ** 0.5).item())
    equal(gradient(lambda t: t**3, leaf([-2.0], dtype)), [12])
    a, b = gradient(ag.pow, leaf([-2.0], dtype), leaf([3.0], dtype))
    near(a, [12])
    assert np.isnan(b[0])


@policy("xlogy at 0")
def _(dtype: Any) -> None:
    equal(ag.xlogy(ag.zeros(3, dtype=dtype), ag.tensor([0.0, INF, 2.0], dtype=dtype))._data, [0, 0, 0])
    assert np.isnan(ag.xlogy(ag.zeros(1, dtype=dtype), ag.tensor([NAN], dtype=dtype)).item())


@policy("division by 0")
def _(dtype: Any) -> None:
    equal((ag.tensor([1.0, -1.0, 0.0], dtype=dtype) / 0.0)._data, [INF, -INF, NAN])
    with pytest.raises((ZeroDivisionError, RuntimeError)):
        ag.tensor([1, 2]) // 0


# NaN and infinity in the forward


@policy("NaN in max, maximum, fmax, clamp, relu, sum")
def _(dtype: Any) -> None:
    x = ag.tensor([1.0, NAN, 3.0], dtype=dtype)
    one = ag.ones(3, dtype=dtype)
    assert np.isnan(x.max().item()) and np.isnan(x.amax().item()) and np.isnan(x.max(0)[0].item()) and np.isnan(x.min().item())
    equal(ag.maximum(x, one)._data, [1, NAN, 3])
    equal(ag.minimum(x, one)._data, [1, NAN, 1])
    equal(ag.fmax(x, one)._data, [1, 1, 3])
    equal(ag.fmin(x, one)._data, [1, 1, 1])
    equal(ag.clamp(x, 0, 2)._data, [1, NAN, 2])
    equal(F.relu(x)._data, [1, NAN, 3])
    assert np.isnan(x.sum().item()) and np.isnan(x.mean().item()) and np.isnan(x.prod().item())


@policy("NaN in sort and argmax")
def _(dtype: Any) -> None:
    x = ag.tensor([2.0, NAN, 1.0], dtype=dtype)
    equal(x.sort()[0]._data, [1, 2, NAN])
    assert x.argmax().item() == 1


@policy("nan_to_num")
def _(dtype: Any) -> None:
    x = leaf([NAN, INF, -INF, 1.5], dtype)
    limits = np.finfo(dtype.dtype)
    equal(ag.nan_to_num(x).detach()._data, [0, limits.max, limits.min, 1.5])
    equal(gradient(ag.nan_to_num, x), [0, 0, 0, 1])


# Stable for |x| up to 1e30


@policy("sigmoid and its gradient")
def _(dtype: Any) -> None:
    x = leaf([1e30, -1e30, 0.0, 100.0, -80.0], dtype)
    y = ag.sigmoid(x)
    near(y.detach()._data, [1, 0, 0.5, 1, 1.8048513878454153e-35], 1e-5)
    assert y[4].item() > 0
    near(gradient(ag.sigmoid, x), [0, 0, 0.25, 0, 0])


@policy("logsigmoid, softplus")
def _(dtype: Any) -> None:
    near(F.logsigmoid(ag.tensor([1e30, -1e30, 0.0], dtype=dtype))._data, [0, -1e30, -0.6931471805599453])
    near(F.softplus(ag.tensor([1e30, -1e30, 0.0], dtype=dtype))._data, [1e30, 0, 0.6931471805599453])
    near(gradient(F.logsigmoid, leaf([1e30, -1e30, 0.0], dtype)), [0, 1, 0.5])
    near(gradient(F.softplus, leaf([1e30, -1e30, 0.0], dtype)), [1, 0, 0.5])


@policy("tanh, erf, expm1, log1p, gelu, silu, mish of huge numbers")
def _(dtype: Any) -> None:
    x = [1e30, -1e30]
    for function, value, slope in [
        (ag.tanh, [1, -1], [0, 0]), (ag.erf, [1, -1], [0, 0]), (F.gelu, [1e30, 0], [1, 0]), (F.silu, [1e30, 0], [1, 0]),
        (F.mish, [1e30, 0], [1, 0]), (F.elu, [1e30, -1], [1, 0]), (F.softsign, [1, -1], [0, 0]),
    ]:  # fmt: skip
        near(function(ag.tensor(x, dtype=dtype))._data, value)
        near(gradient(function, leaf(x, dtype)), slope)
    assert ag.expm1(ag.tensor(-1e30, dtype=dtype)).item() == -1
    tiny = ag.tensor(1e-10, dtype=dtype)
    near(ag.expm1(tiny).item() / 1e-10, 1)
    near(ag.log1p(tiny).item() / 1e-10, 1)


@policy("softmax, log_softmax, logsumexp of huge numbers")
def _(dtype: Any) -> None:
    x = [[1e30, -1e30, 0.0], [1000.0, 1000.0, -1000.0]]
    near(ag.softmax(ag.tensor(x, dtype=dtype), 1)._data, [[1, 0, 0], [0.5, 0.5, 0]])
    near(ag.log_softmax(ag.tensor(x, dtype=dtype), 1)._data, [[0, -2e30, -1e30], [-0.6931472, -0.6931472, -2000.6931]])
    near(ag.logsumexp(ag.tensor(x, dtype=dtype), 1)._data, [1e30, 1000.6931472])
    for function in (ag.softmax, ag.log_softmax, ag.logsumexp):
        assert np.isfinite(gradient(lambda t, f=function: f(t, 1), leaf(x, dtype))).all()


@policy("logsumexp, logaddexp of infinities")
def _(dtype: Any) -> None:
    rows = ag.tensor([[-INF, -INF], [INF, 1.0], [-INF, 2.0]], dtype=dtype)
    equal(ag.logsumexp(rows, 1)._data, [-INF, INF, 2])
    equal(ag.logaddexp(rows[:, 0], rows[:, 1])._data, [-INF, INF, 2])
    assert np.isnan(ag.logsumexp(ag.tensor([NAN, 1.0], dtype=dtype), 0).item())


@policy("softmax rows of equal -inf")
def _(dtype: Any) -> None:
    """As PyTorch: NaN, since no element has any weight; a row with one finite element is one-hot."""
    y = ag.softmax(ag.tensor([[-INF, -INF], [-INF, 3.0]], dtype=dtype), 1)._data
    assert np.isnan(y[0]).all()
    equal(y[1], [0, 1])
    z = ag.log_softmax(ag.tensor([[-INF, -INF], [-INF, 3.0]], dtype=dtype), 1)._data
    assert np.isnan(z[0]).all()
    equal(z[1], [-INF, 0])


@policy("log_softmax of one class")
def _(dtype: Any) -> None:
    x = leaf([[5.0], [-1e30]], dtype)
    equal(ag.log_softmax(x, 1).detach()._data, [[0], [0]])
    equal(gradient(lambda t: ag.log_softmax(t, 1), x), [[0], [0]])
    equal(F.cross_entropy(ag.tensor([[5.0]], dtype=dtype), ag.tensor([0])).item(), 0)


@policy("cross-entropy with logits of 1e30")
def _(dtype: Any) -> None:
    x = leaf([[1e30, 0.0, -1e30], [0.0, 1e30, 0.0]], dtype)
    loss = F.cross_entropy(x, ag.tensor([0, 0]), reduction="none")
    near(loss.detach()._data, [0, 1e30])
    near(gradient(lambda t: F.cross_entropy(t, ag.tensor([0, 0]), reduction="sum"), x), [[0, 0, 0], [-1, 1, 0]])


@policy("BCE with logits of 1e30")
def _(dtype: Any) -> None:
    x = leaf([1e30, -1e30, 1e30, 0.0], dtype)
    y = ag.tensor([1.0, 0.0, 0.0, 1.0], dtype=dtype)
    near(F.binary_cross_entropy_with_logits(x, y, reduction="none").detach()._data, [0, 0, 1e30, 0.6931472])
    near(gradient(lambda t: F.binary_cross_entropy_with_logits(t, y, reduction="sum"), x), [0, 0, 1, -0.5])


@policy("BCE at probabilities 0 and 1")
def _(dtype: Any) -> None:
    """Logarithms are cut off at -100, as in PyTorch."""
    p, y = leaf([0.0, 1.0, 0.0, 1.0], dtype), ag.tensor([1.0, 0.0, 0.0, 1.0], dtype=dtype)
    near(F.binary_cross_entropy(p, y, reduction="none").detach()._data, [100, 100, 0, 0])
    assert np.isfinite(gradient(lambda t: F.binary_cross_entropy(t, y, reduction="sum"), p)).all()


@policy("KL divergence with target 0")
def _(dtype: Any) -> None:
    x = leaf([-1.0, -2.0], dtype)
    loss = F.kl_div(x, ag.tensor([0.0, 1.0], dtype=dtype), reduction="sum")
    near(loss.item(), 2.0)
    equal(gradient(lambda t: F.kl_div(t, ag.tensor([0.0, 1.0], dtype=dtype), reduction="sum"), x), [0, -1])


# Empty


@policy("reductions of nothing")
def _(dtype: Any) -> None:
    nothing = ag.zeros(0, dtype=dtype)
    assert nothing.sum().item() == 0 and nothing.prod().item() == 1
    assert np.isnan(nothing.mean().item())
    assert nothing.all().item() and not nothing.any().item()
    for function in (lambda t: t.max(), lambda t: t.argmax(), lambda t: t.amax(0)):
        with pytest.raises((RuntimeError, IndexError)):
            function(nothing)
    equal(ag.logsumexp(ag.zeros(2, 0, dtype=dtype), 1)._data, [-INF, -INF])


@policy("var with too few elements")
def _(dtype: Any) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(ag.ones(1, dtype=dtype).var().item())
        assert np.isnan(ag.ones(1, dtype=dtype).std().item())
    assert ag.ones(1, dtype=dtype).var(correction=0).item() == 0


# float32 stays float32


@policy("Python numbers do not widen float32")
def _(dtype: Any) -> None:
    x = ag.ones(3, dtype=dtype, requires_grad=True)
    y = (2.5 * x + 1) ** 2 / 3.0 - 0.1
    assert y.dtype is dtype
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype is dtype
    assert (ag.ones(2) * ag.tensor(2.0, dtype=ag.float64)).dtype is ag.float32
    assert (ag.tensor([1, 2]) * 1.5).dtype is ag.float32


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("name", list(POLICY))
def test_policy(name: str, dtype: Any) -> None:
    POLICY[name](dtype)


def test_the_table_in_the_docs_has_these_rows() -> None:
    table = (pathlib.Path(__file__).parent.parent / "docs" / "numerics.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.M)
    named = {row.strip("`") for row in rows if row.strip("`") not in ("Case", "---")}
    assert named == set(POLICY), f"only in docs: {named - set(POLICY)}; only in tests: {set(POLICY) - named}"
