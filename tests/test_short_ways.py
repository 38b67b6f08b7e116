"""Calls that take the shorter or rarer of two ways through an operation, and refusals that PyTorch does not share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.autograd import Function
from autograd_lite.ops.linear import linear_activation
from autograd_lite.ops.primitive import primitive

F = ag.nn.functional


# Refusals


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ag.ones(2) < "a", TypeError, "not supported between instances of 'Tensor' and 'str'"),
        (lambda: ag.ones(3).mul_(np.arange(3.0)), TypeError, r"mul_\(\): expected Tensor or number, got ndarray"),
        (lambda: F.group_norm(ag.ones(2, 4), 0), RuntimeError, "num groups to be greater than 0"),
        (lambda: F.embedding(ag.tensor([0]), ag.ones(2, 2), sparse=True), RuntimeError, "sparse gradients"),
        (lambda: ag.ones(2, 3).t().as_strided((2,), (1,)), RuntimeError, "expects a contiguous tensor"),
        (lambda: ag.linalg.svd(ag.ones(2, 3, requires_grad=True), full_matrices=True), RuntimeError, "full_matrices"),
        (lambda: ag.linalg.qr(ag.ones(2, 3, requires_grad=True)), RuntimeError, "qr"),
    ],
)
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@primitive
def _halved(x: Any, y: Any) -> Any:
    return (x + y) / 2


@_halved.fused("x")
def _(g: Any) -> Any:
    return g / 2


def test_derivatives_that_nobody_has_written() -> None:
    x, y = ag.ones(2, requires_grad=True), ag.ones(2)
    out = _halved(x, y)
    assert ag.autograd.grad(out.sum(), x, retain_graph=True)[0].tolist() == [0.5, 0.5]
    with pytest.raises(RuntimeError, match="not differentiable twice"):
        ag.autograd.grad(out.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="halved: derivative with respect to 'y' is not implemented"):
        _halved(x, y.requires_grad_())


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: F.linear(x, w),
        lambda x, w: ag.mm(x, w),
        lambda x, w: x * w,
        lambda x, w: x @ w,
        lambda x, w: ag.addmm(w, x, w),
        lambda x, w: F.prelu(x, w[0, :1]),
    ],
)
def test_inference_tensors_cannot_be_saved(call: Any) -> None:
    with ag.inference_mode():
        x = ag.ones(2, 2) * 1
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        call(x, ag.ones(2, 2, requires_grad=True))


def test_inference_targets_cannot_be_saved() -> None:
    with ag.inference_mode():
        target = ag.tensor([0, 1]).clone()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        F.cross_entropy(ag.ones(2, 2, requires_grad=True), target)


# Short ways


def test_copies_of_what_cannot_be_shared() -> None:
    for array in (
        np.arange(3.0).astype(">f8"),
        np.broadcast_to(np.float64(2), 3),
        np.zeros(25, np.uint8)[1:].view(np.float64),
    ):
        tensor = ag.from_numpy(array)
        assert tensor.dtype is ag.float64 and tensor.tolist() == array.tolist()
        tensor.fill_(7.0)
        assert 7.0 not in array.tolist()


def test_linear_with_an_activation_under_inference() -> None:
    x, w = ag.tensor([[1.0, -2.0]]), ag.eye(2)
    with ag.inference_mode():
        out = linear_activation(x, w, None, "relu")
    assert out.is_inference() and out.tolist() == [[1.0, 0.0]]


def test_an_index_of_tensors() -> None:
    assert ag.tensor([1.0, 2.0, 3.0])[[ag.tensor(2), 0]].tolist() == [3.0, 1.0]


def test_a_part_of_itself_is_assigned() -> None:
    x = ag.arange(4.0).requires_grad_()
    y = x * 1
    y[ag.tensor([0, 1])] = y[2:]
    assert y.tolist() == [2.0, 3.0, 2.0, 3.0]
    (y * ag.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 0.0, 4.0, 6.0]


def test_a_mask_assigns_a_number_of_another_dtype() -> None:
    x = ag.arange(3.0).requires_grad_()
    y = x * 1
    y[ag.tensor([True, False, True])] = ag.tensor(9)
    assert y.tolist() == [9.0, 1.0, 9.0] and y.dtype is ag.float32
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 1.0, 0.0]


def test_views_of_what_is_not_contiguous() -> None:
    """Where a view stands in a base whose elements lie in another order."""
    x = ag.arange(6.0).view(2, 3).requires_grad_()
    base = ag.from_numpy(np.arange(6, dtype=np.float32).reshape(2, 3).T)
    column = base[1]
    assert column.tolist() == [1.0, 4.0]
    base.mul_(x.t())
    assert column.tolist() == [1.0, 16.0]
    column.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0.0, 1.0, 0.0], [0.0, 4.0, 0.0]]


def test_a_view_made_under_no_grad_stays_outside() -> None:
    x = ag.ones(3, requires_grad=True)
    base = ag.zeros(3)
    with ag.no_grad():
        view = base[1:]
    base.add_(x)
    assert view.tolist() == [1.0, 1.0] and not view.requires_grad and base.requires_grad


def test_an_operand_broadcasts_in_place() -> None:
    x = ag.ones(2, 3)
    assert x.add_(ag.arange(3.0)).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert x.mul_(2).sum().item() == 24.0


def test_shapes_change_in_place_where_they_are_recorded() -> None:
    x = ag.arange(6.0).view(2, 3).requires_grad_()
    y = x * 2
    assert y.t_() is y and y.shape == (3, 2)
    y.unsqueeze_(0)
    (y * ag.arange(6.0).view(1, 3, 2)).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0.0, 4.0, 8.0], [2.0, 6.0, 10.0]]


@pytest.mark.parametrize(
    ("dtype", "top"), [(ag.float32, 2**24), (ag.float64, 2**53), (ag.uint8, 255), (ag.int64, 2**63 - 1), (ag.bool, 2)]
)
def test_random_fills_all_of_the_dtype(dtype: Any, top: int) -> None:
    x = ag.empty(1000, dtype=dtype).random_()
    values = x.double().numpy()
    assert x.dtype is dtype and values.min() >= 0 and values.max() < top
    assert values.max() > (top - 1) * 0.95 and np.unique(values).size >= min(top * 0.9, 900)


def test_nan_takes_the_gradient_of_an_extreme() -> None:
    x = ag.tensor([float("nan"), 1.0, float("nan")], requires_grad=True)
    (slope,) = ag.autograd.grad(ag.amax(x, 0), x, create_graph=True)
    assert slope.tolist() == [0.5, 0.0, 0.5]


def test_casts_are_differentiated_twice() -> None:
    x = ag.tensor([2.0, 3.0], requires_grad=True)
    (slope,) = ag.autograd.grad((x.double() ** 3).sum(), x, create_graph=True)
    assert slope.dtype is ag.float32 and slope.tolist() == [12.0, 27.0]
    assert ag.autograd.grad(slope.sum(), x)[0].tolist() == [12.0, 18.0]


def test_a_function_may_save_one_of_two_outputs() -> None:
    class Both(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            a, b = x * 2, x.exp()
            ctx.save_for_backward(b)
            return a, b

        @staticmethod
        def backward(ctx: Any, da: Any, db: Any) -> Any:
            (b,) = ctx.saved_tensors
            return da * 2 + db * b

    x = ag.tensor([0.5, 1.0], dtype=ag.float64, requires_grad=True)
    _, b = Both.apply(x)
    (slope,) = ag.autograd.grad(b.sum(), x, create_graph=True)
    np.testing.assert_allclose(slope.tolist(), np.exp([0.5, 1.0]))
    np.testing.assert_allclose(ag.autograd.grad(slope.sum(), x)[0].tolist(), np.exp([0.5, 1.0]))


def test_one_of_several_outputs_bears_the_name_of_its_operation() -> None:
    values = ag.linalg.eigh(ag.eye(2).requires_grad_())[0]
    assert values.grad_fn is not None and "Decomposition" in values.grad_fn.name()
    assert values._node is not None and values._node.name() == values.grad_fn.name()


def test_what_is_no_number_is_not_equal() -> None:
    assert (ag.ones(2) == "a") is False and (ag.ones(2) != "a") is True


def test_a_number_is_repeated_along_its_only_dimension() -> None:
    assert ag.repeat_interleave(ag.tensor(5), 3, dim=0).tolist() == [5, 5, 5]


def test_long_arrays_are_computed_like_short_ones() -> None:
    x = ag.arange(20_000.0) / 20_000
    np.testing.assert_array_equal(ag.exp(x)[:100].numpy(), ag.exp(x[:100]).numpy())


def test_gradients_without_elements_are_clipped() -> None:
    a, b = ag.nn.Parameter(ag.ones(0)), ag.nn.Parameter(ag.ones(2))
    a.grad, b.grad = ag.ones(0), ag.full((2,), 4.0)
    ag.nn.utils.clip_grad_value_([a, b], 3.0)
    assert b.grad.tolist() == [3.0, 3.0]
    assert abs(ag.nn.utils.clip_grad_norm_([a, b], 1.0).item() - 18**0.5) < 1e-5
    np.testing.assert_allclose(b.grad.tolist(), [0.5**0.5] * 2, rtol=1e-5)


# Optimizers


def test_states_of_optimizers_in_further_forms() -> None:
    p = ag.nn.Parameter(ag.ones(2))
    optimizer = ag.optim.SGD([("weight", p)], lr=0.5, momentum=0.5)
    state = optimizer.state_dict()
    del state["param_groups"][0]["param_names"]
    state["state"] = {0: {"history": [ag.ones(2, dtype=ag.float64), (1, "text")]}, "more": {"a": 1}}
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["param_names"] == ["weight"] and optimizer.state["more"] == {"a": 1}
    first, second = optimizer.state[p]["history"]
    assert first.dtype is ag.float32 and first.tolist() == [1.0, 1.0] and second == (1, "text")


def test_a_hook_may_replace_the_closure() -> None:
    optimizer = ag.optim.SGD([ag.nn.Parameter(ag.ones(1))], lr=0.5)
    handle = optimizer.register_step_pre_hook(lambda opt, args, kwargs: ((lambda: 7.0,), kwargs))
    assert optimizer.step(lambda: 1.0) == 7.0
    handle.remove()
    assert optimizer.step(lambda: 1.0) == 1.0


def test_adagrad_starts_anew_without_its_state() -> None:
    p = ag.nn.Parameter(ag.ones(1))
    optimizer = ag.optim.Adagrad([p], lr=0.5)
    optimizer.state.clear()
    p.grad = ag.full((1,), 2.0)
    optimizer.step()
    np.testing.assert_allclose(p.tolist(), [0.5], rtol=1e-6)


def test_cosine_annealing_begins_in_the_middle() -> None:
    optimizer = ag.optim.SGD([ag.nn.Parameter(ag.ones(1))], lr=1.0)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    schedule = ag.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4, last_epoch=1)
    assert schedule.get_last_lr() == [1.0]
    np.testing.assert_allclose(schedule.get_lr(), [0.5])
