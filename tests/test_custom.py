"""`ag.elementwise`: operations from formulas of the user."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_lite as ag

SWISH = ag.elementwise(
    "x / (1 + exp(-b * x))",
    {
        "x": "g * sigmoid(b * x) * (1 + b * x * (1 - sigmoid(b * x)))",
        "b": "g * x * out * (1 - sigmoid(b * x))",
    },
    name="swish",
)
PINBALL = ag.elementwise(
    "where(x > y, 0.9 * (x - y), 0.1 * (y - x))",
    {"x": "where(x > y, 0.9 * g, -0.1 * g)", "y": "where(x > y, -0.9 * g, 0.1 * g)"},
)


def swish(x: np.ndarray, b: Any) -> np.ndarray:
    return x / (1 + np.exp(-b * x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 0)), ((70_001,), ())])
def test_value(dtype: str, shapes: Any, rng: np.random.Generator) -> None:
    x, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    found = SWISH(ag.tensor(x), ag.tensor(b))
    assert found._data.dtype == dtype
    np.testing.assert_allclose(found.numpy(), swish(x, b), rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-7)


def test_gradients_of_every_order(rng: np.random.Generator) -> None:
    x = ag.tensor(rng.standard_normal((3, 1)), requires_grad=True)
    b = ag.tensor(rng.standard_normal(4), requires_grad=True)
    assert ag.autograd.gradcheck(SWISH, (x, b)) and ag.autograd.gradgradcheck(SWISH, (x, b))
    assert ag.autograd.gradcheck(PINBALL, (x, b))
    third = SWISH(x, b).sum()
    for _ in range(3):
        (third,) = ag.autograd.grad(third.sum(), x, create_graph=True)
    step, at = 1e-3, swish
    low, high = (at(x.numpy(force=True) + k, b.numpy(force=True)) for k in (-step, step))
    lower, higher = (at(x.numpy(force=True) + 2 * k, b.numpy(force=True)) for k in (-step, step))
    wanted = ((higher - 2 * high + 2 * low - lower) / (2 * step**3)).sum(1, keepdims=True)
    np.testing.assert_allclose(third.numpy(force=True), wanted, rtol=1e-4, atol=1e-5)


def test_numbers_and_integers_are_promoted() -> None:
    x = ag.arange(3)
    assert SWISH(x, 1.5).dtype is ag.float32
    assert SWISH(ag.ones(2, dtype=ag.float64), ag.ones(2)).dtype is ag.float64
    w = ag.ones(2, 1, requires_grad=True)
    out = PINBALL(w, x)
    out.sum().backward()
    assert out.shape == (2, 3) and type(out.grad_fn).__name__ and "elementwise" in repr(out.grad_fn).lower()
    np.testing.assert_allclose(w.grad.numpy(), [[0.7], [0.7]], rtol=1e-6)


def test_powers() -> None:
    cube = ag.elementwise("x ** 3 / 2 ** 2", {"x": "g * 3 * x ** 2 / 4"}, name="cube")
    x = ag.tensor([-2.0, 0.0, 3.0], dtype=ag.float64, requires_grad=True)
    np.testing.assert_array_equal(cube(x).numpy(force=True), [-2.0, 0.0, 6.75])
    assert ag.autograd.gradcheck(cube, (x,))


@pytest.mark.parametrize(
    "formula, derivatives, message",
    [
        ("x +", {"x": "g"}, "is not a formula"),
        ("x + z", {"x": "g"}, "'z' in 'x [+] z' is not known: operands are x"),
        ("gamma(x)", {"x": "g"}, "'gamma' in .* is not known"),
        ("x.real", {"x": "g"}, "not allowed"),
        ("__import__('os')", {"x": "g"}, "not known|not allowed"),
        ("x if x > 0 else 0", {"x": "g"}, "not allowed"),
        ("x @ x", {"x": "g"}, "'MatMult' in .* not allowed"),
        ("0 < x < 1", {"x": "g"}, "compares twice"),
        ("where((x > 0) & x, x, 0)", {"x": "g"}, "joins what is no comparison"),
        ("exp(x, 2)", {"x": "g"}, "exp takes 1 argument"),
        ("x * 2", {"x": "2"}, "in terms of g"),
        ("x * 2", {"x": "g * y"}, "'y' in 'g [*] y' is not known: operands are x, g, out"),
        ("x", {"exp": "g"}, "'exp' cannot be the name of an operand"),
        ("g", {"g": "g"}, "'g' cannot be the name"),
        ("1", {}, "must name the operands"),
    ],
)
def test_formulas_that_are_none(formula: str, derivatives: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ag.elementwise(formula, derivatives)


def test_bad_names_and_arguments() -> None:
    with pytest.raises(ValueError, match="must be an identifier"):
        ag.elementwise("x", {"x": "g"}, name="two words")
    for arguments in ((), (1.0, 2.0), (ag.ones(2),), (ag.ones(2), 1.0, 2.0)):
        with pytest.raises(TypeError, match=r"swish\(\) takes 2 tensors or numbers \(x, b\)"):
            SWISH(*arguments)
    with pytest.raises(RuntimeError, match="swish: The size of tensor a"):
        SWISH(ag.ones(2), ag.ones(3))


def test_a_wrong_derivative_is_caught() -> None:
    wrong = ag.elementwise("x / (1 + exp(-b * x))", {"x": "g * sigmoid(b * x)", "b": "0"})
    x = ag.tensor([0.5, -1.0], dtype=ag.float64, requires_grad=True)
    with pytest.raises(ag.autograd.GradcheckError):
        ag.autograd.gradcheck(wrong, (x, 1.5))
