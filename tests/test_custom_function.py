"""`autograd.Function`: forward and backward written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from tests.test_engine import equal, leaf


class Cube(ag.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: ag.Tensor, scale: float) -> ag.Tensor:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x**3

    @staticmethod
    def backward(ctx: Any, g: ag.Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * ctx.scale * x * x * g, None


def test_custom_function() -> None:
    x = leaf(3)
    y = Cube.apply(x, 2.0)
    assert "Cube" in y.grad_fn.name()
    (gx,) = ag.autograd.grad(y.sum(), x, create_graph=True)
    equal(gx, 6 * x.detach()._data ** 2)
    gx.sum().backward()
    equal(x.grad, 12 * x.detach()._data)


def test_custom_function_with_two_outputs_and_needs_input_grad() -> None:
    seen: list[Any] = []

    class Pair(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: ag.Tensor, b: ag.Tensor) -> Any:
            ctx.save_for_backward(a, b)
            return a * b, a + b

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor, h: ag.Tensor) -> Any:
            a, b = ctx.saved_tensors
            seen.append(ctx.needs_input_grad)
            return g * b + h, (g * a + h) if ctx.needs_input_grad[1] else None

    a, b = leaf(2), ag.tensor([5.0, 7.0], dtype=ag.float64)
    product, total = Pair.apply(a, b)
    (product * 2 + total * 3).sum().backward()
    equal(a.grad, 2 * b._data + 3)
    assert seen == [(True, False)]
    a.grad = None
    product, _ = Pair.apply(a, b)
    product.sum().backward()
    equal(a.grad, b._data)


def test_custom_function_that_saves_its_outputs_can_be_differentiated_twice() -> None:
    class Both(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> Any:
            e, s = x.exp(), x.sin()
            ctx.save_for_backward(x, e, s)
            return e, s

        @staticmethod
        def backward(ctx: Any, ge: ag.Tensor, gs: ag.Tensor) -> Any:
            x, e, s = ctx.saved_tensors
            return ge * e + gs * x.cos() + 0 * s

    class Exp(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            e = x.exp()
            ctx.save_for_backward(e)
            return e

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            return g * ctx.saved_tensors[0]

    x = leaf(3)
    e = Exp.apply(x)
    for _ in range(3):
        (e,) = ag.autograd.grad(e.sum(), x, create_graph=True)
        equal(e, np.exp(x.detach()._data))
    e, s = Both.apply(x)
    (g,) = ag.autograd.grad((e * s).sum(), x, create_graph=True)
    (h,) = ag.autograd.grad(g.sum(), x)
    equal(h, 2 * np.exp(x.detach()._data) * np.cos(x.detach()._data))


def test_custom_function_with_the_wrong_number_of_gradients() -> None:
    class Short(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: ag.Tensor, b: ag.Tensor) -> ag.Tensor:
            return a + b

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> Any:
            return g

    x = leaf(2)
    with pytest.raises(RuntimeError, match="number of gradients"):
        Short.apply(x, leaf(2)).sum().backward()
    assert x.grad is None
