"""Functions with a derivative written by hand: what may be saved, marked, returned and left out, and what is refused.

At the end, checkpoints, which are made of such a function.
"""

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


def function(forward: Any, backward: Any, setup: Any = None) -> Any:
    """`apply` of a Function made of these."""
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    if setup is not None:
        members["setup_context"] = staticmethod(setup)
    return type("Made", (ag.autograd.Function,), members).apply


def test_setup_context_does_the_saving() -> None:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], output)

    def backward(ctx: Any, g: ag.Tensor) -> Any:
        x, out = ctx.saved_tensors
        return g * (out + 3 * x * x), None

    x = leaf(3)
    out = function(lambda x, factor: x.exp() * factor, backward, setup)(x, 1.0)
    out.sum().backward()
    v = x.detach()._data
    equal(x.grad, np.exp(v) + 3 * v * v)


def test_outputs_that_have_no_gradient() -> None:
    def forward(ctx: Any, x: ag.Tensor) -> Any:
        order = x.argsort()
        values = x * 2
        rounded = x.round()
        ctx.mark_non_differentiable(order, rounded)
        return values, order, rounded, "a text"

    out, order, rounded, text = function(forward, lambda ctx, g, *rest: 2 * g)(x := leaf(3))
    assert out.requires_grad and not order.requires_grad and not rounded.requires_grad
    assert text == "a text" and order.tolist() == [0, 1, 2]
    out.sum().backward()
    equal(x.grad, [2, 2, 2])


@pytest.mark.parametrize("materialize", [True, False])
def test_outputs_without_an_upstream_gradient(materialize: bool) -> None:
    seen: list[Any] = []

    def forward(ctx: Any, x: ag.Tensor) -> Any:
        ctx.set_materialize_grads(materialize)
        return x * 2, x * 3

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        seen.append(h)
        return 2 * g

    x = leaf(2)
    function(forward, backward)(x)[0].sum().backward()
    equal(x.grad, [2, 2])
    if materialize:
        equal(seen[0], [0, 0])
    else:
        assert seen == [None]


def test_an_input_changed_in_place() -> None:
    def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    x = leaf(2)
    y = x * 1
    version = y._version
    z = function(forward, lambda ctx, g: 3 * g)(y)
    assert z is y and y._version > version
    z.sum().backward()
    equal(x.grad, [3, 3])


def test_an_input_handed_on_is_another_tensor() -> None:
    x = leaf(2)
    y = function(lambda ctx, t: t, lambda ctx, g: 5 * g)(x)
    assert y is not x and x.is_leaf and not y.is_leaf
    assert np.shares_memory(y.detach().numpy(), x.detach().numpy())
    y.sum().backward()
    equal(x.grad, [5, 5])


def test_what_another_graph_made_is_cut_off() -> None:
    """A forward that returns a tensor with a history of its own: the gradient goes by the backward alone."""
    x, other = leaf(2), leaf(2)
    made = other * 7
    y = function(lambda ctx, t: made, lambda ctx, g: 5 * g)(x)
    y.sum().backward()
    equal(x.grad, [5, 5])
    assert other.grad is None


def test_a_gradient_that_is_too_wide_is_summed() -> None:
    x = leaf(1, 2)
    function(lambda ctx, t: t.expand(3, 2) * 1, lambda ctx, g: 2 * g)(x).sum().backward()
    equal(x.grad, [[6, 6]])


@pytest.mark.parametrize(
    ("backward", "error", "words"),
    [
        (lambda ctx, g: g[:1], RuntimeError, r"invalid gradient at index 0 - got \[1\] but expected shape.*\[3\]"),
        (lambda ctx, g: 2.0, TypeError, "expected Variable or None.*float"),
        (lambda ctx, g: (g, g), RuntimeError, "incorrect number of gradients .expected 1, got 2"),
        (lambda ctx, g: (), RuntimeError, "incorrect number of gradients .expected 1, got 0"),
    ],
)
def test_wrong_gradients_are_refused(backward: Any, error: type[Exception], words: str) -> None:
    x = leaf(3)
    with pytest.raises(error, match=words):
        function(lambda ctx, t: t * 2, backward)(x).sum().backward()
    assert x.grad is None


def test_wrong_forwards_are_refused() -> None:
    with pytest.raises(TypeError, match="must return Tensors, got float"):
        function(lambda ctx, t: 2.0, None)(leaf(2))
    with pytest.raises(TypeError, match="can only save variables, but argument is of type ndarray"):
        function(lambda ctx, t: ctx.save_for_backward(np.ones(2)), None)(leaf(2))


def test_saved_tensors_that_were_changed_or_freed() -> None:
    def forward(ctx: Any, t: ag.Tensor) -> ag.Tensor:
        ctx.save_for_backward(t)
        return t * t

    def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
        (t,) = ctx.saved_tensors
        return 2 * t * g

    x = leaf(2)
    y = x * 1
    z = function(forward, backward)(y)
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation: a tensor of shape \(2,\) saved by MadeBackward"):
        z.sum().backward()
    z = function(forward, backward)(x)
    z.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        z.sum().backward()
    equal(x.grad, 2 * x.detach()._data)


def test_once_differentiable() -> None:
    class Square(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @ag.autograd.function.once_differentiable
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            return 2 * ctx.saved_tensors[0] * g

    x = leaf(2)
    Square.apply(x).sum().backward()
    equal(x.grad, 2 * x.detach()._data)
    with pytest.raises(RuntimeError, match="once"):
        Square.apply(x).sum().backward(create_graph=True)


def test_the_base_class_has_neither_direction() -> None:
    with pytest.raises(NotImplementedError, match="forward"):
        ag.autograd.Function.apply(leaf(1))
    with pytest.raises(NotImplementedError, match="backward"):
        type("Half", (ag.autograd.Function,), {"forward": staticmethod(lambda ctx, t: t * 2)}).apply(leaf(1)).backward()


def test_next_functions_show_the_graph() -> None:
    x, c = leaf(2), ag.ones(2, dtype=ag.float64)
    y = x * c + x.exp()
    (left, zero), (right, _) = y.grad_fn.next_functions
    assert zero == 0 and left.name() == "MulBackward0" and "Exp" in right.name()
    (end, _), *rest = left.next_functions
    assert end.name() == "AccumulateGrad" and end.variable is x
    assert rest in ([], [(None, 0)])
    values, _ = (x * 1).max(0)
    first, second = function(lambda ctx, t: (t * 2, t * 3), lambda ctx, g, h: g)(x)
    edges = [(first * 1).grad_fn.next_functions[0], (second * 1).grad_fn.next_functions[0]]
    assert [number for _, number in edges] == [0, 1] and edges[0][0] is edges[1][0]
    assert first.grad_fn.name() == second.grad_fn.name() == "MadeBackward"
    assert values.grad_fn is not None


def test_checkpoint_with_other_arguments_and_random_numbers() -> None:
    """The recomputation draws what the forward drew, and leaves the generator where it was."""
    from autograd_lite.utils.checkpoint import checkpoint

    drawn: list[Any] = []

    def block(t: ag.Tensor, index: ag.Tensor, factor: float, keep: bool = True) -> ag.Tensor:
        noise = ag.rand(2, dtype=ag.float64)
        drawn.append(noise.clone())
        return (t * noise * factor)[index]

    x = leaf(2)
    index = ag.tensor([1, 1])
    ag.manual_seed(3)
    out = checkpoint(block, x, index, 3.0, use_reentrant=True)
    after = ag.get_rng_state()
    out.sum().backward()
    assert ag.equal(drawn[0], drawn[1]) and ag.equal(after, ag.get_rng_state())
    equal(x.grad, [0, 6 * drawn[0]._data[1]])
    out = checkpoint(block, x, index, 3.0, preserve_rng_state=False)
    out.sum().backward()
    assert not ag.equal(drawn[2], drawn[3])


def test_what_checkpoint_refuses() -> None:
    from autograd_lite.utils.checkpoint import checkpoint, checkpoint_sequential

    x = leaf(2)
    with pytest.raises(RuntimeError, match="not differentiable twice"):
        ag.autograd.grad(checkpoint(lambda t: t * t, x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="none of output has requires_grad"):
        checkpoint(lambda t: t.detach() * 2, x).sum().backward()
    with pytest.raises(ValueError, match="3 segments for 2 functions"):
        checkpoint_sequential([ag.exp, ag.sin], 3, x)


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_checkpoint_in_segments(segments: int) -> None:
    from autograd_lite.utils.checkpoint import checkpoint_sequential

    layers = ag.nn.Sequential(ag.nn.Linear(3, 3), ag.nn.Tanh(), ag.nn.Linear(3, 2)).double()
    x, plain = leaf(4, 3), leaf(4, 3)
    checkpoint_sequential(layers, segments, x).sum().backward()
    kept = [p.grad.clone() for p in layers.parameters()]
    layers.zero_grad()
    layers(plain).sum().backward()
    equal(x.grad, plain.grad._data)
    for one, p in zip(kept, layers.parameters(), strict=True):
        equal(one, p.grad._data)
