"""The engine: what is recorded, accumulated, freed, and refused."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag


def leaf(*shape: int, value: float | None = None) -> ag.Tensor:
    data = np.arange(1.0, 1.0 + int(np.prod(shape))).reshape(shape) if value is None else np.full(shape, value)
    return ag.tensor(data, requires_grad=True)


def equal(t: ag.Tensor | None, expected: Any) -> None:
    assert t is not None
    np.testing.assert_allclose(t._data, expected, rtol=1e-12)


# Accumulation


def test_backward_n_times_gives_n_times_the_gradient() -> None:
    x = leaf(3)
    y = (x * x).exp().sum()
    y.backward(retain_graph=True)
    assert x.grad is not None
    once = x.grad.clone()
    for _ in range(4):
        y.backward(retain_graph=True)
    equal(x.grad, 5 * once._data)


def test_gradients_accumulate_over_graphs_until_reset() -> None:
    x = leaf(2)
    (2 * x).sum().backward()
    (x * x).sum().backward()
    equal(x.grad, 2 + 2 * x.detach()._data)
    x.grad = None
    (3 * x).sum().backward()
    equal(x.grad, [3, 3])


def test_micro_batches_add_up_to_the_batch(rng: np.random.Generator) -> None:
    data, w = rng.standard_normal((12, 4)), leaf(4)
    for part in np.split(data, 3):
        ((ag.from_numpy(part) * w).tanh() ** 2).sum().backward()
    whole = leaf(4)
    ((ag.from_numpy(data) * whole).tanh() ** 2).sum().backward()
    assert w.grad is not None and whole.grad is not None
    np.testing.assert_allclose(w.grad._data, whole.grad._data, rtol=1e-12)


def test_fan_out_and_shared_subexpressions() -> None:
    x = leaf(3)
    s = x * x
    y = (s + s * s + s.exp() * s).sum()
    y.backward()
    a = x.detach()._data
    v = a * a
    equal(x.grad, (1 + 2 * v + np.exp(v) * (1 + v)) * 2 * a)


def test_gradients_that_pass_unchanged_add_up() -> None:
    """An addition hands on the upstream gradient itself; what comes later is added to it, and not in place."""
    for build in (lambda y: y + y.sin(), lambda y: y.sin() + y, lambda y: (y + 1) + (y + y.cos() * 0).sin()):
        x = leaf(3)
        upstream = ag.ones(3, dtype=ag.float64)
        build(x * 2).backward(upstream)
        equal(x.grad, 2 * (1 + np.cos(2 * x.detach()._data)))
        equal(upstream, [1, 1, 1])


def test_same_tensor_in_every_argument() -> None:
    x = leaf(3)
    (x * x + x / x - x).sum().backward()
    equal(x.grad, 2 * x.detach()._data - 1)


def test_only_leaves_get_a_gradient() -> None:
    x = leaf(2)
    y = x * 3
    z = y * y
    z.sum().backward()
    assert y.grad is None and z.grad is None and x.grad is not None


def test_retain_grad() -> None:
    x = leaf(2)
    y = x * 3
    y.retain_grad()
    assert y.retains_grad
    (y * y).sum().backward(retain_graph=True)
    equal(y.grad, 2 * 3 * x.detach()._data)
    with pytest.raises(RuntimeError, match="retain_grad"):
        ag.ones(2).retain_grad()


def test_leaf_without_a_path_keeps_no_gradient() -> None:
    x, z = leaf(2), leaf(2)
    (x * 2).sum().backward()
    assert z.grad is None


def test_backward_of_a_leaf_itself() -> None:
    x = leaf()
    x.backward()
    equal(x.grad, 1)
    w = leaf(2)
    upstream = ag.tensor([2.0, 3.0], dtype=ag.float64)
    w.backward(upstream)
    equal(w.grad, [2, 3])
    assert w.grad is not None
    assert not np.may_share_memory(w.grad._data, upstream._data)


def test_inputs_argument_limits_who_gets_a_gradient() -> None:
    x, z = leaf(2), leaf(2)
    (x * z).sum().backward(inputs=[x])
    assert z.grad is None
    equal(x.grad, z.detach()._data)


def test_grad_of_intermediate_and_unused() -> None:
    x, z = leaf(2), leaf(2)
    y = x * 3
    (gy,) = ag.autograd.grad((y * y).sum(), y, retain_graph=True)
    equal(gy, 6 * x.detach()._data)
    assert x.grad is None
    with pytest.raises(RuntimeError, match="not have been used"):
        ag.autograd.grad((x * 2).sum(), z)
    assert ag.autograd.grad((x * 2).sum(), z, allow_unused=True) == (None,)
    (zeros,) = ag.autograd.grad((x * 2).sum(), z, materialize_grads=True)
    equal(zeros, [0, 0])


def test_several_roots() -> None:
    x = leaf(2)
    ag.autograd.backward([(x * 2).sum(), (x * x).sum()])
    equal(x.grad, 2 + 2 * x.detach()._data)


# Modes


def test_no_grad_records_nothing_and_nests() -> None:
    x = leaf(2)
    with ag.no_grad():
        assert not ag.is_grad_enabled()
        assert not (x * 2).requires_grad
        with ag.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), ag.no_grad():
        _ = 1 / 0
    assert ag.is_grad_enabled()

    @ag.no_grad()
    def decorated() -> ag.Tensor:
        return x * 2

    assert not decorated().requires_grad


def test_modes_around_generators() -> None:
    x, seen = leaf(2), []

    @ag.no_grad
    def steps() -> Any:
        try:
            got = yield (x * 2).requires_grad
            seen.append(got)
            yield ag.is_grad_enabled()
        except KeyError:
            yield ag.is_grad_enabled()
        finally:
            seen.append(ag.is_grad_enabled())
        return 7

    running = steps()
    assert next(running) is False and ag.is_grad_enabled()
    assert running.send("sent") is False and ag.is_grad_enabled()
    assert running.throw(KeyError()) is False
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == 7 and seen == ["sent", False] and ag.is_grad_enabled()
    left = steps()
    next(left)
    left.close()
    assert seen == ["sent", False, False] and ag.is_grad_enabled()


def test_modes_decorate_without_parentheses() -> None:
    x = leaf(2)

    @ag.enable_grad
    def recorded() -> ag.Tensor:
        return x * 2

    with ag.no_grad():
        assert recorded().requires_grad


def test_set_detect_anomaly_as_a_plain_call() -> None:
    try:
        ag.autograd.set_detect_anomaly(True)
        with pytest.raises(RuntimeError, match="nan"):
            (leaf(1) * float("nan")).sum().backward()
        with ag.autograd.set_detect_anomaly(False):
            (leaf(1) * float("nan")).sum().backward()
        with pytest.raises(RuntimeError, match="nan"):
            (leaf(1) * float("nan")).sum().backward()
    finally:
        ag.autograd.set_detect_anomaly(False)
    (leaf(1) * float("nan")).sum().backward()


def test_no_grad_island_is_a_constant() -> None:
    x = leaf(2)
    with ag.no_grad():
        c = x * x
    (c * x).sum().backward()
    equal(x.grad, c._data)


def test_set_grad_enabled() -> None:
    x = leaf(2)
    with ag.set_grad_enabled(False):
        assert not (x * 1).requires_grad
    assert ag.is_grad_enabled()
    ag.set_grad_enabled(False)
    assert not ag.is_grad_enabled()
    ag.set_grad_enabled(True)


def test_inference_tensors_cannot_be_recorded() -> None:
    x = leaf(2)
    with ag.inference_mode():
        y = x * 2
        assert y.is_inference() and not y.requires_grad
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        _ = x * y
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        y.add_(1)
    with ag.inference_mode():
        y.add_(1)


def test_modes_are_per_thread() -> None:
    seen: list[bool] = []
    with ag.no_grad():
        thread = threading.Thread(target=lambda: seen.append(ag.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_can_record_and_differentiate_at_once() -> None:
    failures: list[Any] = []

    def work(k: int) -> None:
        for _ in range(50):
            x = leaf(4, value=float(k))
            (x * x * x).sum().backward()
            if x.grad is None or not np.allclose(x.grad._data, 3 * k * k):
                failures.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_detach_cuts() -> None:
    x = leaf(2)
    (x * x.detach()).sum().backward()
    equal(x.grad, x.detach()._data)
    assert not x.detach().requires_grad
    y = (x * 2).detach_()
    assert y.is_leaf and not y.requires_grad


def test_requires_grad_flags() -> None:
    x = ag.ones(2)
    assert x.is_leaf and not x.requires_grad and x.grad_fn is None
    y = x.requires_grad_() * 2
    assert y.requires_grad and not y.is_leaf and "Mul" in y.grad_fn.name()
    assert "MulBackward0" in repr(y.grad_fn)
    with pytest.raises(RuntimeError, match="leaf"):
        y.requires_grad_(False)
    with pytest.raises(RuntimeError, match="floating point"):
        ag.tensor([1, 2]).requires_grad_()
    with pytest.raises(RuntimeError):
        ag.tensor([1, 2], requires_grad=True)


# Hooks


def test_hooks_see_and_replace_the_gradient() -> None:
    x = leaf(2)
    y = x * 3
    seen: list[Any] = []
    handle = y.register_hook(lambda g: seen.append(g.clone()))
    second = y.register_hook(lambda g: 10 * g)
    (y * y).sum().backward(retain_graph=True)
    equal(seen[0], 6 * x.detach()._data)
    equal(x.grad, 10 * 18 * x.detach()._data)
    handle.remove()
    second.remove()
    x.grad = None
    (y * y).sum().backward()
    assert len(seen) == 1
    equal(x.grad, 18 * x.detach()._data)


def test_leaf_hooks_run_once_on_the_whole_gradient() -> None:
    x = leaf(2)
    calls: list[Any] = []
    x.register_hook(lambda g: calls.append(g.clone()))
    x.register_hook(lambda g: -g)
    (x * 2 + x * x).sum().backward()
    assert len(calls) == 1
    equal(calls[0], 2 + 2 * x.detach()._data)
    equal(x.grad, -(2 + 2 * x.detach()._data))


def test_post_accumulate_hook() -> None:
    x = leaf(2)
    seen: list[Any] = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.clone()))
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    equal(seen[1], [4, 4])


def test_a_hook_may_not_change_the_shape() -> None:
    x = leaf(2)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="size"):
        (x * 2).sum().backward()
    assert x.grad is None


def test_hook_on_what_needs_no_gradient() -> None:
    with pytest.raises(RuntimeError, match="gradient"):
        ag.ones(2).register_hook(lambda g: g)


def test_an_exception_in_a_hook_leaves_everything_as_it_was() -> None:
    x = leaf(2)
    y = (x * 3).exp()
    handle = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.sum().backward(retain_graph=True)
    assert x.grad is None and ag.is_grad_enabled()
    handle.remove()
    y.sum().backward()
    equal(x.grad, 3 * np.exp(3 * x.detach()._data))


# Higher order


def test_derivatives_of_every_order() -> None:
    x = ag.tensor(0.7, dtype=ag.float64, requires_grad=True)
    y = x.sin()
    values = []
    for _ in range(5):
        (y,) = ag.autograd.grad(y, x, create_graph=True)
        values.append(y.item())
    s, c = np.sin(0.7), np.cos(0.7)
    np.testing.assert_allclose(values, [c, -s, -c, s, c], rtol=1e-12)


def test_backward_with_create_graph_records_the_gradient() -> None:
    x = leaf(2)
    (x**3).sum().backward(create_graph=True)
    assert x.grad is not None and x.grad.requires_grad
    g = x.grad
    x.grad = None
    g.sum().backward()
    equal(x.grad, 6 * x.detach()._data)


def test_functional_transforms(rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 3))
    x = ag.tensor(rng.standard_normal(3))
    v = ag.tensor(rng.standard_normal(3))

    def function(t: ag.Tensor) -> ag.Tensor:
        return (ag.from_numpy(a) * t).sin().sum(1)

    functional = ag.autograd.functional
    jacobian = np.cos(a * x._data) * a
    equal(functional.jacobian(function, x), jacobian)
    equal(functional.vjp(function, x, v)[1], v._data @ jacobian)
    equal(functional.jvp(function, x, v)[1], jacobian @ v._data)

    def scalar(t: ag.Tensor) -> ag.Tensor:
        return (t**4).sum() + (t[0] * t[1] * t[2])

    d = x._data
    hessian = np.diag(12 * d**2) + np.array([[0, d[2], d[1]], [d[2], 0, d[0]], [d[1], d[0], 0]])
    equal(functional.hessian(scalar, x), hessian)
    equal(functional.hvp(scalar, x, v)[1], hessian @ v._data)
    equal(functional.vhp(scalar, x, v)[1], hessian @ v._data)


def test_arguments_of_grad_stand_in_pytorchs_order() -> None:
    x, y = leaf(2), leaf(2)
    assert ag.autograd.grad((x * x).sum(), [x, y], None, False, False, True, True)[1] is None
    with pytest.raises(ValueError, match="only_inputs"):
        ag.autograd.grad((x * x).sum(), x, only_inputs=False)


# Anomalies and errors: the type that PyTorch raises, and nothing changed


def test_detect_anomaly_names_the_forward_line() -> None:
    x = ag.tensor([1.0], requires_grad=True)
    with ag.autograd.detect_anomaly():
        y = x * float("nan")  # the line to be named
        with pytest.raises(RuntimeError, match="the line to be named"):
            (y + 1).sum().backward()
    assert x.grad is None


def test_backward_on_a_non_scalar() -> None:
    x = leaf(2)
    with pytest.raises(RuntimeError, match=r"scalar.*\(2,\)"):
        (x * 2).backward()
    assert x.grad is None


def test_backward_without_a_graph() -> None:
    with pytest.raises(RuntimeError, match="does not require grad"):
        ag.ones(1).sum().backward()


def test_gradient_of_the_wrong_shape() -> None:
    x = leaf(2)
    with pytest.raises(RuntimeError, match=r"shape"):
        (x * 2).backward(ag.ones(3, dtype=ag.float64))
    with pytest.raises(TypeError):
        (x * 2).backward(3.0)
    assert x.grad is None


def test_second_backward_without_retain_graph() -> None:
    x = leaf(2)
    y = (x * x).sum()
    y.backward()
    assert x.grad is not None
    before = x.grad._data.copy()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    np.testing.assert_array_equal(x.grad._data, before)


def test_saved_tensor_changed_in_place() -> None:
    x = leaf(2)
    y = x * 1
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    assert x.grad is None


def test_saved_output_changed_in_place() -> None:
    x = leaf(2)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="Exp.*modified|modified.*Exp"):
        y.sum().backward()


def test_in_place_on_a_leaf() -> None:
    x = leaf(2)
    before = x.detach()._data.copy()
    for change in (lambda: x.add_(1), lambda: x[0].zero_(), lambda: x.__setitem__(0, 5.0), lambda: x.view(2).mul_(2)):
        with pytest.raises(RuntimeError, match="leaf"):
            change()
    np.testing.assert_array_equal(x.detach()._data, before)
    with ag.no_grad():
        x.add_(1)
    np.testing.assert_array_equal(x.detach()._data, before + 1)


def test_in_place_results_that_do_not_fit() -> None:
    x = ag.ones(2)
    before = x._data.copy()
    with pytest.raises(RuntimeError, match="broadcast"):
        x.add_(ag.ones(3, 2))
    with pytest.raises(RuntimeError, match="cast"):
        ag.ones(2, dtype=ag.int64).add_(1.5)
    with pytest.raises(RuntimeError, match="single memory location|refers to"):
        x[:1].expand(2).add_(1)
    np.testing.assert_array_equal(x._data, before)


def test_numpy_of_what_requires_grad() -> None:
    x = leaf(2)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(x * 2)
    assert x.detach().numpy() is not None


def test_assigning_a_gradient_that_does_not_fit() -> None:
    x = leaf(2)
    for bad in (ag.ones(3, dtype=ag.float64), ag.ones(2, dtype=ag.float32)):
        with pytest.raises(RuntimeError):
            x.grad = bad
    with pytest.raises(TypeError):
        x.grad = np.ones(2)
    assert x.grad is None


def test_truth_value_item_len_iteration() -> None:
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(ag.ones(2))
    with pytest.raises(RuntimeError):
        ag.ones(2).item()
    with pytest.raises(TypeError):
        len(ag.tensor(1.0))
    with pytest.raises(TypeError):
        iter(ag.tensor(1.0))
    assert [t.item() for t in ag.tensor([1.0, 2.0])] == [1.0, 2.0]
