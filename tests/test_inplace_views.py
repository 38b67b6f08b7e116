"""In-place operations and views, alone and together: right gradients, or an error before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag

F64 = ag.float64


def leaf(*shape: int) -> ag.Tensor:
    return ag.tensor(np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape) / 3, dtype=F64, requires_grad=True)


def same(t: Any, expected: Any) -> None:
    assert t is not None
    np.testing.assert_allclose(t.detach()._data, expected, rtol=1e-12, atol=1e-14)


# In-place operations give what their twins give

TWINS: dict[str, tuple[Any, ...]] = {
    "add_": (2.5,), "sub_": (2.5,), "mul_": (2.5,), "div_": (2.5,), "pow_": (3,), "neg_": (), "exp_": (), "sigmoid_": (),
    "tanh_": (), "sqrt_": (), "square_": (), "reciprocal_": (), "abs_": (), "sin_": (), "cos_": (), "log_": (), "log1p_": (),
    "clamp_": (0.5, 1.0), "fill_": (3.0,), "zero_": (), "floor_": (), "round_": (),
}  # fmt: skip


@pytest.mark.parametrize("name", list(TWINS))
def test_in_place_agrees_with_its_twin(name: str) -> None:
    x, other = leaf(2, 3), leaf(2, 3)
    y = x * 1
    version = y._version
    result = getattr(y, name)(*TWINS[name])
    assert result is y and y._version > version
    (y * y).sum().backward()
    z = other * 1
    if name == "zero_":
        z = z * 0
    elif name == "fill_":
        z = z * 0 + 3
    else:
        z = getattr(z, name[:-1])(*TWINS[name])
    (z * z).sum().backward()
    same(y, z.detach()._data)
    assert x.grad is not None and other.grad is not None
    same(x.grad, other.grad._data)


@pytest.mark.parametrize("name", list(TWINS))
def test_in_place_without_recording(name: str) -> None:
    x = leaf(2, 3).detach().clone()
    memory, expected = x.data_ptr(), None
    if hasattr(x, name[:-1]) and name not in ("fill_",):
        expected = getattr(x.clone(), name[:-1])(*TWINS[name])._data
    getattr(x, name)(*TWINS[name])
    assert x.data_ptr() == memory
    if expected is not None:
        same(x, expected)


def test_augmented_assignment() -> None:
    x = leaf(3)
    y = x * 1
    identity = id(y)
    y += 1
    y *= x
    y -= x
    y /= 2
    y **= 2
    assert id(y) == identity
    y.sum().backward()
    same(x.grad, x.detach()._data ** 3)  # ((x + 1) x - x)^2 / 4 = x^4 / 4


def test_right_hand_side_gets_its_gradient() -> None:
    x, w = leaf(3), leaf(3)
    y = ag.zeros(3, dtype=F64)
    y.add_(x)
    y.mul_(w)
    assert y.requires_grad
    y.sum().backward()
    same(x.grad, w.detach()._data)
    same(w.grad, x.detach()._data)


def test_in_place_with_itself() -> None:
    x = leaf(3)
    y = x * 1
    y.mul_(y)
    y.add_(y)
    y.sum().backward()
    same(x.grad, 4 * x.detach()._data)
    z = leaf(4).detach().clone()
    z[1:].add_(z[:-1])
    same(z, [1 / 3, 1, 5 / 3, 7 / 3])


def test_in_place_changes_dtype_never() -> None:
    x = ag.ones(3)
    x.add_(ag.ones(3, dtype=F64))
    assert x.dtype is ag.float32
    with pytest.raises(RuntimeError, match="cast"):
        ag.ones(3, dtype=ag.int64).div_(2)


# Views share memory and history

VIEWS: dict[str, Callable[[ag.Tensor], ag.Tensor]] = {
    "row": lambda t: t[1],
    "column": lambda t: t[:, 1],
    "slice": lambda t: t[:, 1:],
    "step": lambda t: t[:, ::2],
    "none": lambda t: t[None],
    "transpose": lambda t: t.T,
    "permute": lambda t: t.permute(1, 0),
    "reshape": lambda t: t.reshape(3, 2),
    "view": lambda t: t.view(-1),
    "narrow": lambda t: t.narrow(1, 0, 2),
    "select": lambda t: t.select(0, 1),
    "diagonal": lambda t: t.diagonal(),
    "unsqueeze": lambda t: t.unsqueeze(0),
    "chunk": lambda t: t.chunk(3, 1)[1],
    "split": lambda t: t.split(2, 1)[0],
    "unbind": lambda t: t.unbind(1)[2],
    "view of a view": lambda t: t[:, 1:].T[0],
    "detached twin": lambda t: t[0, :2],
}  # fmt: skip


def positions(view: Callable[[ag.Tensor], ag.Tensor], shape: tuple[int, ...]) -> np.ndarray:
    """Which elements of the base a view shows."""
    return view(ag.tensor(np.arange(np.prod(shape)).reshape(shape), dtype=F64))._data.astype(int)


@pytest.mark.parametrize("name", list(VIEWS))
def test_views_share_memory(name: str) -> None:
    base = leaf(2, 3).detach().clone()
    view = VIEWS[name](base)
    assert np.shares_memory(view._data, base._data)
    version = base._version
    view.add_(10)
    assert base._version > version
    expected = (np.arange(1.0, 7) / 3).reshape(-1)
    expected[positions(VIEWS[name], (2, 3)).ravel()] += 10
    same(base, expected.reshape(2, 3))
    base.mul_(2)
    same(view, 2 * expected[positions(VIEWS[name], (2, 3))])


@pytest.mark.parametrize("name", list(VIEWS))
def test_writing_into_a_view_of_a_recorded_tensor(name: str) -> None:
    """base = 2x; view *= x[0, 0]; the gradients of base and of the view are those of the written-out function."""
    at = positions(VIEWS[name], (2, 3))
    for read_from in ("base", "view", "both"):
        x = leaf(2, 3)
        base = x * 2
        view = VIEWS[name](base)
        view.mul_(x[0, 0] * 3)
        v, w = np.linspace(1, 2, 6).reshape(2, 3), np.linspace(-1, 3, at.size).reshape(at.shape)
        out = 0
        if read_from in ("base", "both"):
            out = out + (base * ag.from_numpy(v)).sum()
        if read_from in ("view", "both"):
            out = out + (view * ag.from_numpy(w)).sum()
        out.backward()

        def function(z: np.ndarray, read_from: str = read_from, v: Any = v, w: Any = w) -> Any:
            b = (2 * z).ravel().copy()
            b[at.ravel()] = b[at.ravel()] * (3 * z[0, 0])
            total = 0
            if read_from in ("base", "both"):
                total = total + np.sum(b * v.ravel())
            if read_from in ("view", "both"):
                total = total + np.sum(b[at] * w)
            return total

        expected = np.zeros((2, 3))
        for i in np.ndindex(2, 3):
            step = np.zeros((2, 3), complex)
            step[i] = 1e-20j
            expected[i] = function(x.detach()._data + step).imag / 1e-20
        same(x.grad, expected)


def test_changing_the_base_after_the_view_was_made() -> None:
    x = leaf(4)
    base = x * 1
    view = base[1:3]
    base.mul_(x)
    assert view.requires_grad
    (view * view).sum().backward()
    a = x.detach()._data
    expected = 4 * a**3
    expected[[0, 3]] = 0
    same(x.grad, expected)


def test_writing_a_gradient_carrier_into_a_plain_base() -> None:
    x = leaf(2)
    base = ag.zeros(4, dtype=F64)
    sibling = base[:2]
    base[1:3] = x * 5
    assert base.requires_grad and sibling.requires_grad
    (base * ag.tensor([1.0, 2.0, 3.0, 4.0], dtype=F64)).sum().backward(retain_graph=True)
    same(x.grad, [10, 15])
    x.grad = None
    sibling.sum().backward()
    same(x.grad, [5, 0])


def test_old_values_stay_differentiable() -> None:
    x = leaf(3)
    y = x * 1
    before = y * 2
    y.add_(x)
    (before.sum() + y.sum()).backward()
    same(x.grad, [4, 4, 4])


def test_setitem_of_every_kind() -> None:
    x, v = leaf(3, 4), leaf(2)
    y = x * 1
    y[0, 1:3] = v
    y[:, 0] = 0.0
    y[2] *= 2
    y[ag.tensor([1]), ag.tensor([3])] = v[:1]
    y[y > 3.9] = 1.0
    weights = np.linspace(1, 2, 12).reshape(3, 4)
    (y * ag.from_numpy(weights)).sum().backward()
    expected = weights.copy()
    expected[2] *= 2
    expected[0, 1:3] = expected[:, 0] = 0
    expected[1, 3] = 0
    expected[y.detach()._data == 1.0] = 0
    same(x.grad, expected)
    same(v.grad, [weights[0, 1] + weights[1, 3], weights[0, 2]])


# What is refused, and that nothing has changed then


def test_stale_saved_tensor_through_a_view() -> None:
    x = leaf(4)
    y = x * 1
    z = y * y
    y[1:2].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    assert x.grad is None


def test_stale_saved_view_through_its_base() -> None:
    x = leaf(4)
    y = x * 1
    part = y[1:3]
    z = part.exp()
    w = part * part
    y.zero_()
    z.sum().backward(retain_graph=True)
    same(x.grad, np.exp(x.detach()._data) * [0, 1, 1, 0])
    with pytest.raises(RuntimeError, match="modified"):
        w.sum().backward()


def test_changes_that_do_no_harm_are_allowed() -> None:
    """An addition saves nothing, so its inputs may change."""
    x = leaf(3)
    y = x * 1
    z = y + y
    y.mul_(7)
    z.sum().backward()
    same(x.grad, [2, 2, 2])


@pytest.mark.parametrize(
    "name, function",
    [
        ("quotient", lambda x: 3 / x),
        ("quotient of two", lambda x: (x + 1) / x),
        ("x ** 0.5", lambda x: x**0.5),
        ("x ** -0.5", lambda x: x**-0.5),
        ("x ** -1", lambda x: x**-1),
        ("normalize", lambda x: ag.nn.functional.normalize(x, dim=0)),
    ],
)
def test_outputs_that_pytorch_lets_change_may_change(name: str, function: Any) -> None:
    """Normalisation written by hand: ``x = (x - mean) / std; x *= scale``."""
    x, twin = leaf(3), leaf(3)
    y = function(x)
    y *= 2
    y.sum().backward()
    (2 * function(twin)).sum().backward()
    same(x.grad, twin.grad._data)


@pytest.mark.parametrize("name", ["rsqrt", "reciprocal"])
def test_inputs_that_pytorch_lets_change_may_change(name: str) -> None:
    x, twin = leaf(3), leaf(3)
    inner = x * 1
    y = getattr(inner, name)()
    inner.add_(1)
    y.sum().backward()
    getattr(twin, name)().sum().backward()
    same(x.grad, twin.grad._data)


def test_overwriting_everything_keeps_the_tensor_recorded() -> None:
    for index in (..., slice(None), np.array([True] * 3)):
        x = leaf(3)
        y = x.clone()
        y[index] = 1.5
        assert y.requires_grad
        y.sum().backward()
        same(x.grad, [0, 0, 0])


def test_view_made_under_no_grad() -> None:
    x = leaf(4)
    base = x * 1
    with ag.no_grad():
        view = base[:2]
    before = base.detach()._data.copy()
    with pytest.raises(RuntimeError, match="no_grad"):
        view.mul_(2)
    same(base, before)
    with ag.no_grad():
        view.mul_(2)
    same(base, before * [2, 2, 1, 1])


def test_in_place_under_no_grad_on_a_saved_tensor_is_still_seen() -> None:
    x = leaf(3)
    y = x * 1
    z = y * y
    with ag.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="modified"):
        z.sum().backward()


def test_leaf_updated_under_no_grad_as_optimizers_do() -> None:
    x = leaf(3)
    for _ in range(3):
        (x * x).sum().backward()
        with ag.no_grad():
            x -= 0.1 * x.grad
        x.grad = None
    same(x, np.arange(1.0, 4) / 3 * 0.8**3)
    assert x.is_leaf and x.requires_grad


def test_detached_alias_shares_the_version() -> None:
    x = leaf(3)
    y = x * 1
    z = y * y
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified"):
        z.sum().backward()


def test_expanded_tensors_cannot_be_written() -> None:
    x = ag.zeros(1, 3)
    wide = x.expand(4, 3)
    for change in (lambda: wide.add_(1), lambda: wide.zero_(), lambda: wide.mul_(2)):
        with pytest.raises(RuntimeError, match="single memory location|clone"):
            change()
    same(x, [[0, 0, 0]])


def test_errors_come_before_any_change() -> None:
    x = leaf(2, 3)
    y = x * 1
    before, version, node = y.detach()._data.copy(), y._version, y.grad_fn
    for change in (
        lambda: y.add_(ag.ones(2)),
        lambda: y.mul_(ag.ones(3, 2, 3)),
        lambda: y.__setitem__(0, ag.ones(2)),
        lambda: y.__setitem__(5, 1.0),
        lambda: y.copy_(ag.ones(4)),
        lambda: y.add_("text"),
    ):
        with pytest.raises((RuntimeError, IndexError, TypeError)):
            change()
    same(y, before)
    assert y._version == version and y.grad_fn is node
    y.sum().backward()
    same(x.grad, np.ones((2, 3)))
