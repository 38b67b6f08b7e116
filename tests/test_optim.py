"""The optimizers: against the papers' recurrences, against PyTorch, and everything around the step."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_lite import optim
from autograd_lite.nn import utils
from autograd_lite.tensor import Tensor

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]
STEPS = 50


def leaf(array):
    return Tensor(np.array(array)).requires_grad_()


def parameters(dtype=np.float64, seed=0, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [leaf(rng.standard_normal(shape).astype(dtype)) for shape in shapes]


def gradients(dtype=np.float64, steps=STEPS, seed=1, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal(shape).astype(dtype) for shape in shapes] for _ in range(steps)]


def set_gradients(params, grads):
    for p, g in zip(params, grads, strict=True):
        p.grad = None if g is None else Tensor(g)


# The recurrences, one parameter at a time, as their papers have them


def sgd(p, grads, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    b = None
    for g in grads:
        d = (-g if maximize else g) + weight_decay * p
        if momentum:
            b = d if b is None else momentum * b + (1 - dampening) * d
            d = d + momentum * b if nesterov else b
        p = p - lr * d
    return p


def adam(
    p,
    grads,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0,
    amsgrad=False,
    maximize=False,
    decoupled_weight_decay=False,
):
    m = v = top = np.zeros_like(p)
    for t, gradient in enumerate(grads, 1):
        g = -gradient if maximize else gradient
        if decoupled_weight_decay:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        top = np.maximum(top, v)
        m_hat = m / (1 - betas[0] ** t)
        v_hat = (top if amsgrad else v) / (1 - betas[1] ** t)
        p = p - lr * m_hat / (np.sqrt(v_hat) + eps)
    return p


def adamw(p, grads, weight_decay=1e-2, **options):
    return adam(p, grads, weight_decay=weight_decay, decoupled_weight_decay=True, **options)


def rmsprop(p, grads, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, maximize=False):
    v = a = b = np.zeros_like(p)
    for gradient in grads:
        g = (-gradient if maximize else gradient) + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - a**2 if centered else v) + eps)
        p = p - lr * b
    return p


def adagrad(
    p,
    grads,
    lr=1e-2,
    lr_decay=0,
    weight_decay=0,
    initial_accumulator_value=0,
    eps=1e-10,
    maximize=False,
):
    s = np.full_like(p, initial_accumulator_value)
    for t, gradient in enumerate(grads, 1):
        g = (-gradient if maximize else gradient) + weight_decay * p
        s = s + g**2
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
    return p


CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6)}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.9, "eps": 1e-2, "centered": True}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.9, "eps": 1e-2, "centered": True, "momentum": 0.7}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-2}),
]
REFERENCES = {"SGD": sgd, "Adam": adam, "AdamW": adamw, "RMSprop": rmsprop, "Adagrad": adagrad}
IDS = [f"{name}-{'-'.join(options) or 'defaults'}" for name, options in CASES]
cases = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def close(got, want, dtype):
    tolerance = 1e-12 if dtype is np.float64 else 2e-4
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@cases
@dtypes
def test_recurrence(name, options, dtype):
    params = parameters(dtype)
    begin = [p._data.astype(np.float64) for p in params]
    history = gradients(dtype)
    optimizer = getattr(optim, name)(params, **options)
    for grads in history:
        set_gradients(params, grads)
        optimizer.step()
    for i, p in enumerate(params):
        assert p._data.dtype == dtype
        want = REFERENCES[name](begin[i], [grads[i].astype(np.float64) for grads in history], **options)
        close(p._data, want, dtype)


def both(torch, name, options, dtype):
    """The same parameters and the same optimizer, here and in PyTorch."""
    ours = parameters(dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(np.array(p._data))) for p in ours]
    return (
        (ours, getattr(optim, name)(ours, **options)),
        (theirs, getattr(torch.optim, name)(theirs, foreach=False, **options)),
    )


def step_both(torch, ours, theirs, history):
    for grads in history:
        set_gradients(ours[0], grads)
        ours[1].step()
        for p, g in zip(theirs[0], grads, strict=True):
            p.grad = None if g is None else torch.from_numpy(np.array(g))
        theirs[1].step()


def compare_states(ours, theirs, dtype):
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys()
    for a, b in zip(mine["param_groups"], other["param_groups"], strict=True):
        assert {k: v for k, v in a.items() if k != "foreach"} == {k: v for k, v in b.items() if k != "foreach"}
    assert mine["state"].keys() == other["state"].keys()
    for key, state in mine["state"].items():
        assert state.keys() == other["state"][key].keys()
        for entry, value in state.items():
            want = other["state"][key][entry]
            assert str(value._data.dtype) == str(want.dtype).removeprefix("torch.")
            assert value._data.shape == want.shape
            close(value._data, want.numpy(), dtype)


@cases
@dtypes
def test_pytorch(name, options, dtype):
    torch = pytest.importorskip("torch")
    ours, theirs = both(torch, name, options, dtype)
    history = gradients(dtype)
    history[3][1] = history[0][2] = None  # a parameter that is left out once, and one that starts later
    for step in range(0, STEPS, 10):
        step_both(torch, ours, theirs, history[step : step + 10])
        for p, q in zip(ours[0], theirs[0], strict=True):
            close(p._data, q.detach().numpy(), dtype)
    compare_states(ours[1], theirs[1], dtype)


@cases
def test_states_move_from_and_to_pytorch(name, options):
    torch = pytest.importorskip("torch")
    ours, theirs = both(torch, name, options, np.float64)
    step_both(torch, ours, theirs, gradients(steps=5))
    state = theirs[1].state_dict()
    for number, entries in state["state"].items():
        state["state"][number] = {k: Tensor(v.numpy().copy()) for k, v in entries.items()}
    resumed = getattr(optim, name)(ours[0], lr=7)
    resumed.load_state_dict(state)
    compare_states(resumed, theirs[1], np.float64)
    step_both(torch, (ours[0], resumed), theirs, gradients(steps=5, seed=2))
    for p, q in zip(ours[0], theirs[0], strict=True):
        close(p._data, q.detach().numpy(), np.float64)

    state = resumed.state_dict()
    for number, entries in state["state"].items():
        state["state"][number] = {k: torch.from_numpy(np.array(v._data)) for k, v in entries.items()}
    other = getattr(torch.optim, name)(theirs[0])
    other.load_state_dict(state)
    step_both(torch, (ours[0], resumed), (theirs[0], other), gradients(steps=5, seed=3))
    for p, q in zip(ours[0], theirs[0], strict=True):
        close(p._data, q.detach().numpy(), np.float64)


@cases
def test_resuming_gives_the_same_bits(name, options):
    params = parameters(np.float32)
    optimizer = getattr(optim, name)(params, **options)
    history = gradients(np.float32, steps=8)
    for grads in history[:4]:
        set_gradients(params, grads)
        optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    copies = [leaf(p._data) for p in params]
    resumed = getattr(optim, name)(copies)
    resumed.load_state_dict(saved)
    for grads in history[4:]:
        for group in (params, copies):
            set_gradients(group, grads)
        optimizer.step()
        resumed.step()
    for p, q in zip(params, copies, strict=True):
        np.testing.assert_array_equal(p._data, q._data)
    for entries in saved["state"].values():
        if "step" in entries:
            assert float(entries["step"]) == 4  # loading has copied it


@cases
def test_replaced_arrays_are_noticed(name, options):
    """Nothing is cached between steps: data, gradient and state may be other arrays at any time."""
    params, expected = parameters(np.float32), parameters(np.float32)
    history = gradients(np.float32, steps=6)
    one, two = (getattr(optim, name)(group, **options) for group in (params, expected))
    for grads in history:
        set_gradients(params, [np.array(g, order="F") for g in grads])
        set_gradients(expected, grads)
        one.step()
        two.step()
        for p in params:
            p.data = Tensor(np.array(p._data, order="F"))
            for entry, value in one.state[p].items():
                one.state[p][entry] = Tensor(value._data.copy())
    for p, q in zip(params, expected, strict=True):
        np.testing.assert_array_equal(p._data, q._data)


def test_options_of_groups_and_their_change():
    a, b = parameters(shapes=[(2,), (3,)])
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 1.0}], lr=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0]
    begin = [p._data.copy() for p in (a, b)]
    set_gradients([a, b], [np.ones(2), np.ones(3)])
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 2
    optimizer.param_groups[1]["weight_decay"] = 1.0
    optimizer.step()
    np.testing.assert_allclose(a._data, begin[0] - 2.5)
    np.testing.assert_allclose(b._data, -1, atol=1e-15)
    assert optimizer.state_dict()["param_groups"][1]["params"] == [1]
    assert "weight_decay: 1.0" in repr(optimizer)
    assert repr(optimizer).startswith("SGD (\nParameter Group 0\n")


def test_dtypes_may_be_mixed():
    a, b = leaf(np.ones(3, np.float32)), leaf(np.ones((2, 2)))
    optimizer = optim.Adam([a, b], lr=0.5)
    set_gradients([a, b], [np.ones(3, np.float32), np.ones((2, 2))])
    optimizer.step()
    assert (a._data.dtype, b._data.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(a._data, 0.5, rtol=1e-6)
    np.testing.assert_allclose(b._data, 0.5, rtol=1e-6)


def test_learning_rate_may_be_a_tensor():
    rate = Tensor(np.array(0.5))
    p = leaf(np.zeros(2))
    optimizer = optim.SGD([p], lr=rate)
    set_gradients([p], [np.ones(2)])
    optimizer.step()
    rate._data.fill(0.25)
    optimizer.step()
    np.testing.assert_array_equal(p._data, -0.75)


@given(st.floats(0, 1e30), st.floats(0, 1))
@settings(max_examples=30)
def test_zero_gradient_moves_nothing(lr, momentum):
    p = leaf(np.array([1.0, -2.0], np.float32))
    for optimizer in (optim.SGD([p], lr=lr, momentum=momentum), optim.Adam([p], lr=lr)):
        set_gradients([p], [np.zeros(2, np.float32)])
        optimizer.step()
    np.testing.assert_array_equal(p._data, [1, -2])


def test_version_counter_rises_where_data_changed():
    a, b = parameters(shapes=[(2,), (2,)])
    for optimizer in (
        optim.SGD([a, b]),
        optim.SGD([a, b], momentum=0.9),
        optim.Adam([a, b]),
        optim.RMSprop([a, b]),
        optim.Adagrad([a, b]),
    ):
        before = a._version, b._version
        set_gradients([a, b], [np.ones(2), None])
        optimizer.step()
        assert (a._version, b._version) == (before[0] + 1, before[1])


def test_zero_grad():
    a, b = parameters(shapes=[(2,), (2,)])
    optimizer = optim.SGD([a, b])
    set_gradients([a, b], [np.ones(2), None])
    gradient = a.grad
    optimizer.zero_grad(set_to_none=False)
    assert b.grad is None
    np.testing.assert_array_equal(a.grad._data, 0)
    assert a.grad._data is gradient._data
    assert gradient._version == 1
    optimizer.zero_grad()
    assert a.grad is None


def test_closure_and_hooks():
    p = leaf(np.array([3.0]))
    optimizer = optim.SGD([p], lr=0.25)
    calls = []
    first = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("before", o is optimizer)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("after", float(p._data[0]))))

    def closure():
        p.grad = Tensor(2 * p._data)
        return float(p._data[0] ** 2)

    assert optimizer.step(closure) == 9.0
    assert calls == [("before", True), ("after", 1.5)]
    first.remove()
    optimizer.step(closure)
    assert calls[2:] == [("after", 0.75)]


def test_pickle_and_deepcopy():
    params = parameters(np.float32)
    optimizer = optim.Adam(params, lr=0.1)
    set_gradients(params, gradients(np.float32, steps=1)[0])
    optimizer.step()
    for clone in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        theirs = clone.param_groups[0]["params"]
        set_gradients(theirs, gradients(np.float32, steps=1, seed=5)[0])
        clone.step()
        assert all(float(state["step"]) == 2 for state in clone.state.values())
    assert all(float(state["step"]) == 1 for state in optimizer.state.values())
    set_gradients(params, gradients(np.float32, steps=1, seed=5)[0])
    optimizer.step()
    for p, q in zip(params, theirs, strict=True):
        np.testing.assert_array_equal(p._data, q._data)


def test_named_parameters():
    a, b = parameters(shapes=[(2,), (2,)])
    optimizer = optim.SGD([("a", a), ("b", b)], lr=0.1)
    assert list(map(id, optimizer.param_groups[0]["params"])) == [id(a), id(b)]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="Some param names are missing"):
        optim.SGD([("a", a), b], lr=0.1)
    with pytest.raises(ValueError, match="cannot add param group without names"):
        optimizer.add_param_group({"params": parameters(shapes=[(1,)])})


def test_a_subclass_may_have_a_step_of_its_own():
    class Half(optim.Optimizer):
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p._data *= group["factor"]

    p = leaf(np.ones(2))
    Half([p], {"factor": 0.5}).step()
    np.testing.assert_array_equal(p._data, 0.5)
    with pytest.raises(NotImplementedError, match="Optimizer must implement step"):
        optim.Optimizer([p], {}).step()


P = leaf(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: optim.SGD([]), ValueError, "empty parameter list"),
        (lambda: optim.SGD(P), TypeError, "iterable of Tensors or dicts, but got a Tensor"),
        (lambda: optim.SGD([P, 3]), TypeError, "can only optimize Tensors, but one of the params is int"),
        (lambda: optim.SGD([{"params": {P}}]), TypeError, "ordered collections"),
        (lambda: optim.SGD([{"params": [P]}, [P]]), TypeError, "param_group must be a dict"),
        (lambda: optim.SGD([{"lr": 1}]), KeyError, "params"),
        (lambda: optim.SGD([{"params": P}, {"params": P}]), ValueError, "more than one parameter group"),
        (lambda: optim.SGD([P], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.SGD([P], lr=float("nan")), ValueError, "Invalid learning rate: nan"),
        (lambda: optim.SGD([P], lr=Tensor(np.ones(2))), ValueError, "Tensor lr must be 1-element"),
        (lambda: optim.SGD([P], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: optim.SGD([P], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda: optim.SGD([P], nesterov=True), ValueError, "Nesterov momentum requires"),
        (lambda: optim.SGD([P], momentum=1, dampening=1, nesterov=True), ValueError, "zero dampening"),
        (lambda: optim.SGD([P], fused=True, foreach=True), RuntimeError, "cannot be `True` together"),
        (lambda: optim.SGD([P], differentiable=True), NotImplementedError, "differentiable"),
        (lambda: optim.Adam([P], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.Adam([P], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.Adam([P], betas=(1.0, 0.9)), ValueError, "parameter at index 0: 1.0"),
        (lambda: optim.Adam([P], betas=(0.9, -0.1)), ValueError, "parameter at index 1: -0.1"),
        (lambda: optim.AdamW([P], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda: optim.RMSprop([P], alpha=-1), ValueError, "Invalid alpha value: -1"),
        (lambda: optim.RMSprop([P], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: optim.Adagrad([P], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
        (
            lambda: optim.Adagrad([P], initial_accumulator_value=-1),
            ValueError,
            "Invalid initial_accumulator_value value: -1",
        ),
        (lambda: optim.SGD([P * 1]), ValueError, "can't optimize a non-leaf Tensor"),
    ],
)
def test_bad_arguments(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_duplicates_in_a_group_are_dropped_with_a_warning():
    a, b = parameters(shapes=[(2,), (2,)])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.SGD([("a", a), ("b", b), ("again", a)], lr=1.0)
    assert list(map(id, optimizer.param_groups[0]["params"])) == [id(a), id(b)]
    assert optimizer.param_groups[0]["param_names"] == ["a", "b"]


def test_bad_states_change_nothing():
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    set_gradients(params, gradients(steps=1)[0])
    optimizer.step()
    state, groups = optimizer.state, optimizer.param_groups
    good = copy.deepcopy(optimizer.state_dict())
    wrong_groups = {"state": {}, "param_groups": good["param_groups"] * 2}
    wrong_size = {"state": {}, "param_groups": [{**good["param_groups"][0], "params": [0]}]}
    wrong_shape = copy.deepcopy(good)
    wrong_shape["state"][1]["exp_avg"] = Tensor(np.ones((7, 7)))
    for bad, error, message in [
        ({"state": {}}, KeyError, "param_groups"),
        ({"param_groups": good["param_groups"]}, KeyError, "state"),
        (wrong_groups, ValueError, "different number of parameter groups: 2"),
        (wrong_size, ValueError, "group 0 has 1 parameters, but the optimizer's has 4"),
        (wrong_shape, ValueError, r"state of parameter 1: 'exp_avg' has shape \(7, 7\).* shape \(5,\)"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.load_state_dict(bad)
        assert optimizer.state is state
        assert optimizer.param_groups is groups


def test_old_states_are_completed():
    """Step counts that are numbers, and options that did not exist yet."""
    (p,) = parameters(shapes=[(2,)])
    optimizer = optim.AdamW([p], lr=0.1)
    moments = {"step": 3, "exp_avg": Tensor(np.ones(2, np.float32)), "exp_avg_sq": Tensor(np.ones(2))}
    group = {"lr": 0.5, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.0, "params": [0]}
    optimizer.load_state_dict({"state": {0: moments}, "param_groups": [group]})
    assert optimizer.state[p]["step"]._data.dtype == np.float32
    assert optimizer.state[p]["exp_avg"]._data.dtype == np.float64
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True
    set_gradients([p], [np.ones(2)])
    optimizer.step()
    assert float(optimizer.state[p]["step"]) == 4


def test_bad_gradients_change_nothing():
    a, b = parameters(shapes=[(2, 3), (4,)])
    for build in (lambda: optim.SGD([a, b], momentum=0.9), lambda: optim.Adam([a, b])):
        optimizer = build()
        a.grad = Tensor(np.ones((2, 3)))
        b._grad = Tensor(np.ones(3))
        before = a._data.copy(), b._data.copy(), a._version
        with pytest.raises(RuntimeError, match=r"parameter 1 has shape \(4,\).* gradient has shape \(3,\)"):
            optimizer.step()
        np.testing.assert_array_equal(a._data, before[0])
        np.testing.assert_array_equal(b._data, before[1])
        assert a._version == before[2]


# Clipping and vectors of parameters


@pytest.mark.parametrize("order", [2.0, 1.0, 3, 0.0, float("inf"), "inf", float("-inf")])
@pytest.mark.parametrize("limit", [0.5, 1e6])
@dtypes
def test_clip_grad_norm(order, limit, dtype):
    torch = pytest.importorskip("torch")
    params = parameters(dtype)
    grads = gradients(dtype, steps=1)[0]
    grads[1] = None
    set_gradients(params, grads)
    theirs = [torch.nn.Parameter(torch.from_numpy(p._data.copy())) for p in params]
    for p, g in zip(theirs, grads, strict=True):
        p.grad = None if g is None else torch.from_numpy(g.copy())
    before = params[0].grad._version
    got = utils.clip_grad_norm_(iter(params), limit, order)
    want = torch.nn.utils.clip_grad_norm_(theirs, limit, order)
    assert got._data.dtype == dtype
    assert got._data.shape == ()
    tolerance = 1e-12 if dtype is np.float64 else 1e-6
    np.testing.assert_allclose(got._data, want.numpy(), rtol=tolerance)
    for p, q in zip(params, theirs, strict=True):
        if q.grad is not None:
            np.testing.assert_allclose(p.grad._data, q.grad.numpy(), rtol=tolerance)
    assert params[1].grad is None
    assert params[0].grad._version == before + (float(want) + 1e-6 > limit)


def test_clip_grad_norm_of_nothing_and_of_infinity():
    p = leaf(np.ones(3, np.float32))
    assert float(utils.clip_grad_norm_(p, 1.0)) == 0
    with pytest.warns(UserWarning, match="empty generator"):
        assert float(utils.clip_grad_norm_((q for q in ()), 1.0)) == 0
    p.grad = Tensor(np.array([1, np.inf, 2], np.float32))
    with pytest.raises(RuntimeError, match=r"total norm of order 2.0 .* is non-finite"):
        utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(p.grad._data, np.array([1, np.inf, 2], np.float32))
    assert float(utils.clip_grad_norm_([p], 1.0)) == np.inf
    np.testing.assert_array_equal(p.grad._data, np.array([0, np.nan, 0], np.float32))


def test_clip_grad_value():
    a, b = leaf(np.ones(3, np.float32)), leaf(np.ones(2))
    set_gradients([a, b], [np.array([-3, 0.5, np.nan], np.float32), np.array([2.0, -0.25])])
    utils.clip_grad_value_([a, b], 1)
    np.testing.assert_array_equal(a.grad._data, np.array([-1, 0.5, np.nan], np.float32))
    np.testing.assert_array_equal(b.grad._data, [1, -0.25])
    utils.clip_grad_value_(b, 0.125)
    np.testing.assert_array_equal(b.grad._data, [0.125, -0.125])


def test_total_norm_and_clipping_apart():
    params = parameters(np.float32)
    grads = gradients(np.float32, steps=1)[0]
    set_gradients(params, grads)
    total = utils.get_total_norm([p.grad for p in params])
    np.testing.assert_allclose(total._data, np.sqrt(sum((g**2).sum() for g in grads)), rtol=1e-6)
    utils.clip_grads_with_norm_(params, 1.0, total)
    np.testing.assert_allclose(utils.get_total_norm([p.grad for p in params])._data, 1, rtol=1e-5)


def test_parameters_to_vector_and_back():
    params = parameters(np.float32)
    vector = utils.parameters_to_vector(params)
    flat = np.concatenate([p._data.ravel() for p in params])
    np.testing.assert_array_equal(vector._data, flat)
    assert vector.requires_grad
    utils.vector_to_parameters(vector.detach() * 2, params)
    np.testing.assert_array_equal(np.concatenate([p._data.ravel() for p in params]), 2 * flat)
    assert [p._data.shape for p in params] == SHAPES
    with pytest.raises(TypeError, match="expected a Tensor, but got: list"):
        utils.vector_to_parameters([1.0], params)
    with pytest.raises(RuntimeError, match="the vector has 3 elements, but the parameters have 24"):
        utils.vector_to_parameters(Tensor(np.ones(3)), params)
