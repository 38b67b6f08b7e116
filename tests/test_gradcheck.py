"""The checkers are checked: wrong derivatives must be caught, right ones must pass.

Twice: `ag.autograd.gradcheck`, which users rely on, and `tests.optable.checks`, which this suite relies on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT
from tests.optable import checks
from tests.optable.derivatives import Kink, complex_step, five_point
from tests.optable.opinfo import F, OpInfo, S

Function = ag.autograd.Function


def made(forward: Any, backward: Any) -> Any:
    """A Function of one argument that saves its input."""

    class Made(Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> Any:
            return backward(g, *ctx.saved_tensors)

    return Made.apply


def rows_swapped(t: ag.Tensor) -> ag.Tensor:
    return ag.cat([t[1:], t[:1]])


WRONG_SQUARES = {
    "wrong sign": lambda g, x: -2 * x * g,
    "dropped factor": lambda g, x: x * g,
    "dropped upstream gradient": lambda g, x: 2 * x + 0 * g,
    "upstream gradient squared": lambda g, x: 2 * x * g * g,
    "off by a tenth of a percent and a half": lambda g, x: 2.03 * x * g,
    "wrong for negative arguments": lambda g, x: 2 * x.abs() * g,
    "rows exchanged": lambda g, x: rows_swapped(2 * x * g),
    "one entry lost": lambda g, x: 2 * x * g * ag.tensor([0.0, 1.0, 1.0], dtype=ag.float64).reshape(3, 1),
    "transposed": lambda g, x: (2 * x * g).T.reshape(3, 2),
    "summed and spread": lambda g, x: (2 * x * g).sum(0, keepdim=True).expand(3, 2) / 3,
    "detached from g": lambda g, x: 2 * x * g.detach().round(),
    "zero": lambda g, x: 0 * g,
    "constant added": lambda g, x: 2 * x * g + 0.01,
    "none": lambda g, x: None,
}


@pytest.fixture
def x() -> ag.Tensor:
    values = [[0.7, -1.2], [1.9, 0.4], [-0.6, 1.1]]
    return ag.tensor(values, dtype=ag.float64, requires_grad=True)


def test_right_derivative_passes(x: ag.Tensor, rng: np.random.Generator) -> None:
    square = made(lambda t: t * t, lambda g, t: 2 * t * g)
    assert ag.autograd.gradcheck(square, x)
    assert ag.autograd.gradgradcheck(square, x)
    checks.gradient(row(square), row(square).samples[0].make(rng), rng)
    checks.second_order(row(square), row(square).samples[0].make(rng), rng)


def row(function: Any, ref: Any = lambda x: x * x) -> OpInfo:
    return OpInfo("square", ref, [S(F(3, 2, lo=0.5)), S(F(3, 2, lo=-2, hi=-0.5))], op=lambda package, t: function(t))


@pytest.mark.parametrize("name", list(WRONG_SQUARES))
def test_gradcheck_catches(name: str, x: ag.Tensor) -> None:
    wrong = made(lambda t: t * t, WRONG_SQUARES[name])
    with pytest.raises(RuntimeError):
        ag.autograd.gradcheck(wrong, x)
    if name not in ("none", "detached from g"):
        assert not ag.autograd.gradcheck(wrong, x, raise_exception=False)


@pytest.mark.parametrize("name", list(WRONG_SQUARES))
def test_suite_catches(name: str, rng: np.random.Generator) -> None:
    wrong = row(made(lambda t: t * t, WRONG_SQUARES[name]))
    with pytest.raises((AssertionError, RuntimeError)):
        for sample in wrong.samples:
            checks.gradient(wrong, sample.make(rng), rng)


def test_second_order_is_checked(x: ag.Tensor, rng: np.random.Generator) -> None:
    """A first derivative that is right but not differentiable in the right way."""
    wrong = made(lambda t: t * t, lambda g, t: 2 * t.detach() * g)
    assert ag.autograd.gradcheck(wrong, x)
    assert not ag.autograd.gradgradcheck(wrong, x, raise_exception=False)
    with pytest.raises(AssertionError, match="second derivative"):
        checks.second_order(row(wrong), row(wrong).samples[0].make(rng), rng)
    unlinked = made(lambda t: t * t, lambda g, t: 2 * t * g.detach())
    assert not ag.autograd.gradgradcheck(unlinked, x, raise_exception=False)
    with pytest.raises(AssertionError, match="upstream"):
        checks.second_order(row(unlinked), row(unlinked).samples[0].make(rng), rng)


def test_wrong_values_are_caught(rng: np.random.Generator) -> None:
    for wrong in (lambda t: t * t + 1e-6, lambda t: (t * t).float(), lambda t: (t * t)[:2], lambda t: (t * t).reshape(2, 3)):
        info = row(wrong)
        with pytest.raises(AssertionError):
            checks.value(info, info.samples[0].make(rng))


def test_mutation_and_aliasing_are_caught(rng: np.random.Generator) -> None:
    def scribbles(t: ag.Tensor) -> ag.Tensor:
        t._data[...] += 1
        return t * t

    class ReturnsSaved(Function):
        @staticmethod
        def forward(ctx: Any, t: ag.Tensor) -> ag.Tensor:
            return t * 1.0

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            g._data[...] *= 1.0 + 1e-3
            return g

    for wrong in (scribbles, ReturnsSaved.apply):
        info = row(wrong)
        with pytest.raises(AssertionError):
            checks.untouched(info, info.samples[0].make(rng), rng)


@pytest.mark.skipif(not JIT, reason="without the compiler there is one thread")
def test_thread_dependence_is_caught(rng: np.random.Generator) -> None:
    info = row(lambda t: t * (1.0 + 1e-6 * ag.get_num_threads()))
    with pytest.raises(AssertionError, match="threads"):
        checks.same_bits(info, info.samples[0].make(rng), rng)


def test_gradcheck_rejects_what_it_cannot_check(x: ag.Tensor) -> None:
    with pytest.raises(ValueError, match="require"):
        ag.autograd.gradcheck(lambda t: t * 2, x.detach())

    state = {"calls": 0.0}

    def unsteady(g: ag.Tensor, t: ag.Tensor) -> ag.Tensor:
        state["calls"] += 1e-3
        return 2 * t * g + state["calls"]

    assert not ag.autograd.gradcheck(made(lambda t: t * t, unsteady), x, raise_exception=False, atol=1.0)


def test_gradcheck_over_several_inputs_and_outputs(rng: np.random.Generator) -> None:
    a = ag.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    b = ag.tensor(rng.standard_normal(3), requires_grad=True)
    assert ag.autograd.gradcheck(lambda p, q: (p * q, (p - q).sin()), (a, b))
    assert ag.autograd.gradcheck(lambda p, q: (p * q, (p - q).sin()), (a, b), fast_mode=True)

    class Swapped(Function):
        @staticmethod
        def forward(ctx: Any, p: ag.Tensor, q: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(p, q)
            return p * q

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> Any:
            p, q = ctx.saved_tensors
            return g * p, g * q

    c = ag.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    assert not ag.autograd.gradcheck(Swapped.apply, (a, c), raise_exception=False)


def test_reference_derivatives() -> None:
    """The independent side itself: exact for known derivatives, and alarmed by kinks."""
    x, v = np.array([0.3, -1.1]), np.array([1.0, 2.0])
    (exact,) = complex_step(lambda a: [np.sin(a[0])], [x], [v])
    np.testing.assert_array_max_ulp(exact, np.cos(x) * v, 2)
    (close,) = five_point(lambda a: [np.sin(a[0])], [x], [v])
    np.testing.assert_allclose(close, np.cos(x) * v, rtol=1e-10)
    with pytest.raises(Kink):
        five_point(lambda a: [np.abs(a[0])], [np.array([1e-4])], [np.array([1.0])])


def test_gradcheck_beside_outputs_without_a_gradient(x: ag.Tensor) -> None:
    assert ag.autograd.gradcheck(lambda t: (t * t, t.argmax(), t.detach() * 0), x)
    assert ag.autograd.gradgradcheck(lambda t: t.exp(), x, grad_outputs=ag.ones(3, 2, dtype=ag.float64, requires_grad=True))


def test_gradcheck_notices_what_else_may_go_wrong(x: ag.Tensor) -> None:
    kept: list[ag.Tensor] = []

    def scribbles(g: ag.Tensor, t: ag.Tensor) -> ag.Tensor:
        kept[-1]._data[...] += 1e-4
        return 2 * t * g

    def remembered(t: ag.Tensor) -> ag.Tensor:
        out = made(lambda u: u * u, scribbles)(t)
        kept.append(out)
        return out

    class Forgetful(Function):
        """One missing gradient of three is not a gradient of zero here."""

        @staticmethod
        def forward(ctx: Any, t: ag.Tensor) -> Any:
            ctx.set_materialize_grads(False)
            return t * 2, t * 3, t * 4

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            terms = [factor * g for factor, g in zip((2, 3, 4), grads, strict=True) if g is not None]
            return sum(terms) + (1 if len(terms) == 2 else 0)

    for wrong, words in (
        (remembered, "changed the output"),
        (made(lambda t: t * t, lambda g, t: (2 * t * g).float()), "float32"),
        (Forgetful.apply, "leaving out the gradient of output"),
    ):
        with pytest.raises(RuntimeError, match=words):
            ag.autograd.gradcheck(wrong, x)
