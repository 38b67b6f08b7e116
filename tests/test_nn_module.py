"""Modules: registers, trees, state, hooks, copies, containers, initialisation."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 2, bias=False)
        self.scale = nn.Parameter(ag.ones(2))
        self.register_buffer("mean", ag.zeros(2))
        self.register_buffer("scratch", ag.zeros(1), persistent=False)

    def forward(self, x):
        return self.second(ag.relu(self.first(x))) * self.scale + self.mean


def test_names_are_listed_in_pytorchs_order():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "second.weight"]
    assert [n for n, _ in net.named_buffers()] == ["mean", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second"]
    assert [n for n, _ in net.named_children()] == ["first", "second"]
    assert list(net.state_dict()) == ["scale", "mean", "first.weight", "first.bias", "second.weight"]


def test_shared_parameters_are_listed_once():
    net = Net()
    net.again = net.first
    assert len(list(net.parameters())) == 4
    assert len(list(net.modules())) == 3
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6


def test_attributes_follow_the_registers():
    net = Net()
    replacement = nn.Parameter(ag.zeros(2))
    net.scale = replacement
    assert net.scale is replacement is net._parameters["scale"]
    net.scale = None
    assert net.scale is None and "scale" not in dict(net.named_parameters())
    net.mean = ag.ones(2)
    assert net.mean is net._buffers["mean"]
    del net.first
    assert not hasattr(net, "first") and "first" not in net._modules
    net.second = nn.Identity()
    assert list(net._modules) == ["second"]
    net.plain = 3
    net.plain = nn.Linear(1, 1)
    assert "plain" in net._modules
    with pytest.raises(AttributeError):
        del net.nothing


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", ag.ones(2), "as parameter 'scale'"),
        ("first", 3, "as child module 'first'"),
        ("mean", 3, "as buffer 'mean'"),
    ],
)
def test_wrong_assignments_are_refused_and_change_nothing(name, value, message):
    net = Net()
    before = getattr(net, name)
    with pytest.raises(TypeError, match=message):
        setattr(net, name, value)
    assert getattr(net, name) is before


def test_assignment_before_init_is_refused():
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    class EarlyParameter(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(ag.ones(1))

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Early()
    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module.__init__\(\) call"):
        EarlyParameter()


def test_registering_checks_names_and_types():
    net = Net()
    for register, good in (
        (net.register_parameter, nn.Parameter(ag.ones(1))),
        (net.register_buffer, ag.ones(1)),
        (net.add_module, nn.Identity()),
    ):
        for name in ("", "a.b", "forward"):
            with pytest.raises(KeyError):
                register(name, good)
        with pytest.raises(TypeError):
            register(3, good)
        with pytest.raises(TypeError):
            register("fresh", 3.0)
    with pytest.raises(TypeError):
        net.register_parameter("fresh", ag.ones(1))


def test_parameter_shares_memory_and_checks_its_data():
    data = ag.ones(3)
    parameter = nn.Parameter(data)
    assert parameter.data_ptr() == data.data_ptr() and parameter.requires_grad and parameter.is_leaf
    assert not nn.Parameter(ag.arange(3), requires_grad=False).requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(ag.arange(3))
    with pytest.raises(TypeError):
        nn.Parameter([1.0])


def test_looking_up_by_dotted_name():
    net = nn.Sequential(Net())
    assert net.get_submodule("0.first") is net[0].first
    assert net.get_submodule("") is net
    assert net.get_parameter("0.first.weight") is net[0].first.weight
    assert net.get_buffer("0.mean") is net[0].mean
    for lookup, name in (
        (net.get_submodule, "0.third"),
        (net.get_submodule, "0.scale"),
        (net.get_parameter, "0.mean"),
        (net.get_buffer, "0.scale"),
    ):
        with pytest.raises(AttributeError):
            lookup(name)


def test_modes_and_gradients():
    net = Net()
    assert net.eval() is net and not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)
    net(ag.ones(5, 3)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.numpy().any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_apply_visits_children_first():
    seen = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Linear", "Net"]


def test_conversion_keeps_the_parameters_themselves():
    net = Net()
    net(ag.ones(1, 3)).sum().backward()
    before = list(net.parameters())
    net.register_buffer("count", ag.tensor(3))
    assert net.double() is net
    assert [a is b for a, b in zip(before, net.parameters(), strict=True)] == [True] * 4
    assert {p.dtype for p in net.parameters()} == {p.grad.dtype for p in net.parameters()} == {ag.float64}
    assert net.mean.dtype is ag.float64 and net.count.dtype is ag.int64
    assert net.float().mean is net._buffers["mean"] and net.mean.dtype is ag.float32
    assert net.to("cpu", ag.float64).scale.dtype is ag.float64
    with pytest.raises(TypeError, match="floating point"):
        net.to(ag.int64)
    with pytest.raises(RuntimeError):
        net.to("cuda")


def test_missing_forward():
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        nn.Module()(1)


def test_repr_is_pytorchs():
    net = nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.1))))
    assert repr(net) == (
        "Sequential(\n"
        "  (a): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (b): Sequential(\n"
        "    (0): ReLU(inplace=True)\n"
        "    (1): Dropout(p=0.1, inplace=False)\n"
        "  )\n"
        ")"
    )


# State


def test_state_is_shared_and_loaded_by_value():
    a, b = Net(), Net()
    state = a.state_dict()
    assert all(not t.requires_grad for t in state.values())
    assert state["scale"].data_ptr() == a.scale.data_ptr()
    version = b.scale._version
    assert str(b.load_state_dict(state)) == "<All keys matched successfully>"
    assert b.scale._version > version
    for name, value in b.state_dict().items():
        assert ag.equal(value, state[name]) and value.data_ptr() != state[name].data_ptr()
    assert a.state_dict(keep_vars=True)["scale"] is a.scale
    assert next(iter(a.state_dict(prefix="net."))) == "net.scale"


def test_arrays_of_another_dtype_are_loaded():
    net = Net()
    net.load_state_dict({name: np.full(t.shape, 2.0) for name, t in net.state_dict().items()})
    assert net.scale.dtype is ag.float32 and net.scale.tolist() == [2.0, 2.0]


def test_loading_lists_every_problem_and_changes_nothing():
    net = Net()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    state = {name: ag.full(t.shape, 9.0) for name, t in before.items()}
    del state["mean"]
    state["first.weight"] = ag.zeros(4, 4)
    state["extra"] = ag.zeros(1)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert text.startswith("Error(s) in loading state_dict for Net:")
    assert 'Missing key(s) in state_dict: "mean"' in text and 'Unexpected key(s) in state_dict: "extra"' in text
    assert "size mismatch for first.weight" in text and "(4, 4)" in text and "(4, 3)" in text
    assert all(ag.equal(t, before[name]) for name, t in net.state_dict().items())
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict(state, strict=False)
    state["first.weight"] = before["first.weight"]
    keys = net.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["mean"] and keys.unexpected_keys == ["extra"]
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])


def test_loading_under_a_recorded_graph_is_noticed():
    layer = nn.Linear(3, 2)
    loss = layer(ag.ones(1, 3, requires_grad=True)).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_copies_are_independent_and_consistent():
    net = Net()
    net(ag.ones(1, 3)).sum().backward()
    for made in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert made.scale is made._parameters["scale"] and made.first is made._modules["first"]
        assert isinstance(made.scale, nn.Parameter) and made.scale.requires_grad
        assert all(ag.equal(a, b) and a is not b for a, b in zip(net.parameters(), made.parameters(), strict=True))
        x = ag.ones(2, 3)
        assert ag.equal(net(x), made(x))
        made.scale.data.fill_(7.0)
        assert net.scale.tolist() == [1.0, 1.0]
        assert net.scale.grad is not None and made.scale.grad is None


# Hooks


def test_forward_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    layer.register_forward_hook(lambda m, args, out: seen.append(args[0].tolist()))
    handle = layer.register_forward_hook(lambda m, args, out: out + 1)
    out = layer(ag.ones(1, 2))
    assert seen == [[[0.0, 0.0]]] and ag.equal(out, (layer.bias + 1).unsqueeze(0))
    handle.remove()
    assert ag.equal(layer(ag.ones(1, 2)), layer.bias.unsqueeze(0))


def test_forward_hooks_with_keywords_and_order():
    class Scaled(nn.Module):
        def forward(self, x, factor=1):
            return x * factor

    module, order = Scaled(), []
    module.register_forward_pre_hook(lambda m, a, k: (a, {"factor": 3}), with_kwargs=True)
    module.register_forward_hook(lambda m, a, k, out: order.append(k["factor"]), with_kwargs=True)
    module.register_forward_hook(lambda m, a, out: order.append("first"), prepend=True)
    assert module(ag.ones(1), factor=2).tolist() == [3.0] and order == ["first", 3]
    module.register_forward_pre_hook(lambda m, a, k: 5, with_kwargs=True)
    with pytest.raises(RuntimeError, match="new_args, new_kwargs"):
        module(ag.ones(1))


def test_backward_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 3), {}
    layer.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 2,))

    def hook(module, grad_input, grad_output):
        seen.update(input=grad_input[0].clone(), output=grad_output[0].clone())
        return (grad_input[0] * 10,)

    layer.register_full_backward_hook(hook)
    x = ag.ones(4, 2, requires_grad=True)
    layer(x).sum().backward()
    expected = ag.full((4, 3), 2.0) @ layer.weight.detach()
    assert seen["output"].tolist() == [[2.0] * 3] * 4
    assert ag.allclose(seen["input"], expected) and ag.allclose(x.grad, expected * 10)
    assert layer.bias.grad.tolist() == [8.0] * 3


def test_backward_hook_without_an_input_gradient():
    layer, seen = nn.Linear(2, 3), []
    handle = layer.register_full_backward_hook(lambda m, grad_input, grad_output: seen.append(grad_input))
    layer(ag.ones(1, 2)).sum().backward()
    assert seen == [(None,)] and layer.weight.grad is not None
    handle.remove()
    layer.register_full_backward_hook(lambda m, grad_input, grad_output: (ag.ones(1, 2),))
    with pytest.raises(RuntimeError, match="no input requires gradient"):
        layer(ag.ones(1, 2)).sum().backward()


def test_backward_hooks_leave_second_derivatives_right():
    class Cube(nn.Module):
        def forward(self, x):
            return x**3

    module = Cube()
    module.register_full_backward_hook(lambda m, grad_input, grad_output: None)
    x = ag.tensor([2.0], requires_grad=True)
    (first,) = ag.autograd.grad(module(x), x, create_graph=True)
    (second,) = ag.autograd.grad(first, x)
    assert first.item() == 12.0 and second.item() == 12.0


# Containers


def test_sequential_as_a_sequence():
    layers = [nn.Linear(2, 2) for _ in range(4)]
    net = nn.Sequential(*layers[:3])
    assert len(net) == 3 and net[-1] is layers[2] and list(net) == layers[:3]
    assert list(net[1:]) == layers[1:3] and isinstance(net[1:], nn.Sequential)
    assert list(net.append(layers[3])) == layers
    assert net.pop(0) is layers[0] and list(net._modules) == ["0", "1", "2"]
    net.insert(0, layers[0])
    del net[1:3]
    assert list(net) == [layers[0], layers[3]] and list(net._modules) == ["0", "1"]
    net[1] = layers[1]
    assert net[1] is layers[1] and list(nn.Sequential(*layers[:1]) + net) == [layers[0], *layers[:2]]
    with pytest.raises(IndexError):
        net[2]
    with pytest.raises(TypeError, match="not a Module subclass"):
        nn.Sequential(3)


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(2, 2)])
    layers += [nn.ReLU(), nn.Linear(2, 1)]
    assert len(layers) == 3 and len(list(layers.parameters())) == 4 and isinstance(layers[:2], nn.ModuleList)
    with pytest.raises(NotImplementedError):
        layers(1)
    heads = nn.ModuleDict({"a": nn.Linear(1, 1)})
    heads["b"] = nn.Identity()
    assert list(heads) == ["a", "b"] and "a" in heads and [n for n, _ in heads.named_parameters()] == ["a.weight", "a.bias"]
    assert isinstance(heads.pop("b"), nn.Identity) and list(heads.keys()) == ["a"]
    with pytest.raises(KeyError):
        heads["c"]


def test_parameter_list_and_dict():
    weights = nn.ParameterList([ag.zeros(2)]).append(ag.ones(3))
    assert [n for n, _ in weights.named_parameters()] == ["0", "1"] and len(weights[:1]) == 1
    scales = nn.ParameterDict({"a": ag.ones(1)})
    scales["b"] = ag.ones(2)
    assert isinstance(scales["b"], nn.Parameter) and [n for n, _ in scales.named_parameters()] == ["a", "b"]


# Initialisation


@pytest.mark.parametrize("shape", [(64, 32), (16, 8, 3, 3)])
def test_the_spread_of_first_values(shape):
    field = int(np.prod(shape[2:]))
    fan_in, fan_out = shape[1] * field, shape[0] * field
    generator = ag.Generator().manual_seed(3)
    expected = {
        nn.init.xavier_uniform_: np.sqrt(2 / (fan_in + fan_out)),
        nn.init.xavier_normal_: np.sqrt(2 / (fan_in + fan_out)),
        nn.init.kaiming_uniform_: np.sqrt(2 / fan_in),
        nn.init.kaiming_normal_: np.sqrt(2 / fan_in),
    }
    for function, std in expected.items():
        w = ag.empty(shape)
        assert function(w, generator=generator) is w
        assert abs(w.std().item() / std - 1) < 0.1 and abs(w.mean().item()) < 0.2 * std


def test_layers_start_within_pytorchs_bounds():
    for layer, fan in ((nn.Linear(50, 40), 50), (nn.Conv2d(4, 8, 3), 36)):
        bound = 1 / np.sqrt(fan)
        for parameter in layer.parameters():
            values = np.abs(parameter.detach().numpy())
            assert values.max() <= bound * (1 + 1e-6) and values.max() > 0.7 * bound


def test_special_first_values():
    w = nn.init.orthogonal_(ag.empty(3, 5), gain=2)
    np.testing.assert_allclose((w @ w.T).numpy(), 4 * np.eye(3), atol=1e-5)
    assert nn.init.eye_(ag.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = ag.randn(1, 2, 5, 5)
    np.testing.assert_allclose(nn.functional.conv2d(x, nn.init.dirac_(ag.empty(2, 2, 3, 3)), padding=1), x, atol=1e-6)
    w = nn.init.trunc_normal_(ag.empty(4000), mean=1.0, std=2.0, a=0.0, b=2.0)
    assert w.min().item() >= 0 and w.max().item() <= 2 and abs(w.mean().item() - 1) < 0.05
    assert nn.init.sparse_(ag.empty(10, 4), 0.3).count_nonzero(0).tolist() == [7] * 4
    parameter = nn.Parameter(ag.empty(2))
    assert nn.init.ones_(parameter) is parameter and parameter.requires_grad and parameter.is_leaf


def test_initialisation_refuses_what_it_cannot_do():
    for function in (nn.init.xavier_uniform_, nn.init.kaiming_normal_, nn.init.orthogonal_, nn.init.eye_, nn.init.dirac_):
        with pytest.raises(ValueError):
            function(ag.empty(3))
    with pytest.raises(ValueError, match="not supported"):
        nn.init.kaiming_uniform_(ag.empty(2, 2), mode="fan")
    with pytest.raises(ValueError, match="nonlinearity"):
        nn.init.calculate_gain("foo")
    with pytest.warns(UserWarning, match="zero-element"):
        nn.init.kaiming_uniform_(ag.empty(0, 2))
