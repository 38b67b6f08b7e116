"""Uses of modules, containers and initialisers that give the same here and in PyTorch, where `p` stands for the package."""

from __future__ import annotations

import collections
import warnings
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from tests.test_calls import plain

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")


def linear(p: Any, *extents: int) -> Any:
    """A linear layer whose parameters are all one."""
    layer = p.nn.Linear(*extents)
    for parameter in layer.parameters():
        parameter.data.fill_(1.0)
    return layer


def names(container: Any) -> list[str]:
    return [type(m).__name__ for m in container]


def sequential(p: Any) -> Any:
    s = p.nn.Sequential(collections.OrderedDict(a=p.nn.ReLU(), b=p.nn.Tanh(), c=p.nn.Sigmoid()))
    part = s[1:]
    t = p.nn.Sequential(p.nn.ReLU(), p.nn.Tanh()).insert(1, p.nn.GELU())
    return names(s), list(dict(part.named_children())), names(t), names(s + p.nn.Sequential(p.nn.ELU())), len(s), names([s[-1]]), s(p.ones(2)).tolist()


def module_list(p: Any) -> Any:
    m = p.nn.ModuleList([p.nn.ReLU(), p.nn.Tanh()])
    m += [p.nn.GELU()]
    m.insert(0, p.nn.ELU())
    m[1] = p.nn.Sigmoid()
    del m[2]
    return names(m), names(m[1:]), names(m + [p.nn.SELU()]), repr(m)


def module_dict(p: Any) -> Any:
    m = p.nn.ModuleDict({"a": p.nn.ReLU(), "b": p.nn.Tanh()})
    m["c"] = p.nn.GELU()
    taken = type(m.pop("a")).__name__
    seen = list(m), list(m.keys()), names(m.values()), [(k, type(v).__name__) for k, v in m.items()], "b" in m, len(m)
    m.clear()
    return taken, seen, len(m)


def parameter_list(p: Any) -> Any:
    m = p.nn.ParameterList([p.ones(2), p.zeros(1, 2)])
    m[0] = p.full((3,), 2.0)
    m += [p.ones(1)]
    m.append("text")
    return [v if isinstance(v, str) else v.tolist() for v in m], len(m), len(m[1:]), sorted(dict(m.named_parameters()))


def parameter_dict(p: Any) -> Any:
    m = p.nn.ParameterDict({"a": p.ones(2), "b": p.zeros(1, 2)})
    m["c"] = p.nn.Parameter(p.ones(1))
    del m["a"]
    return list(m), list(m.keys()), [v.tolist() for v in m.values()], [k for k, _ in m.items()], "a" in m, len(m)


def moved(p: Any) -> Any:
    layer = p.nn.Sequential(p.nn.Linear(2, 1), p.nn.BatchNorm1d(1))
    layer(p.ones(3, 2)).sum().backward()
    kinds = [str(layer.to(given)[0].weight.dtype) for given in (p.float64, p.zeros(1), "cpu", p.device("cpu"))]
    layer.type(p.float64)
    counts = layer[1].num_batches_tracked
    return [k.split(".")[1] for k in kinds], layer.cpu() is layer, str(layer[0].weight.grad.dtype).split(".")[1], counts.item()


def shared_buffer(p: Any) -> Any:
    layer = p.nn.Module()
    layer.register_buffer("a", p.ones(2))
    layer.register_buffer("nothing", None)
    layer.register_module("inner", p.nn.Module())
    layer.register_module("none", None)
    layer.inner.b = layer.a
    layer.register_parameter("nobody", None)
    layer.double()
    return str(layer.a.dtype).split(".")[1], list(layer.state_dict()), [n for n, _ in layer.named_modules()], [n for n, _ in layer.named_children()]


def loaded(p: Any) -> Any:
    layer = linear(p, 2, 1)
    state = {"weight": p.full((1, 2), 3.0), "more": p.ones(1)}
    keys = layer.load_state_dict(state, strict=False)
    layer.load_state_dict({"weight": p.full((1, 2), 4.0), "bias": p.zeros(1)}, assign=True)
    return keys.missing_keys, keys.unexpected_keys, layer.weight.tolist(), layer.bias.tolist()


def hooks_of_tuples(p: Any) -> Any:
    """Backward hooks on a module that returns several tensors."""

    class Two(p.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2, x * 3

    seen: list[Any] = []
    module, x = Two(), p.ones(2, requires_grad=True)
    module.register_full_backward_hook(lambda m, gi, go: seen.append([g.tolist() for g in (*gi, *go)]))
    module.register_full_backward_pre_hook(lambda m, go: None)
    a, b = module(x)
    (a.sum() + 2 * b.sum()).backward()
    return seen, x.grad.tolist(), a.grad_fn.name()


def hooks_that_change_nothing(p: Any) -> Any:
    layer, x = linear(p, 2, 2), p.ones(1, 2)
    layer.register_forward_pre_hook(lambda m, args: None)
    layer.register_forward_pre_hook(lambda m, args, kwargs: None, with_kwargs=True)
    layer.register_forward_hook(lambda m, args, out: None)
    layer.register_full_backward_hook(lambda m, gi, go: None)
    out = layer(x)
    out.sum().backward()
    return out.tolist(), layer.weight.grad.tolist()


def transposed(p: Any) -> Any:
    layer = p.nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    layer.weight.data.fill_(1.0)
    layer.bias.data.zero_()
    return [plain(layer(p.ones(1, 1, 3, 3), output_size=size)) for size in ((5, 6), (1, 1, 6, 5))]


def initialised(p: Any) -> Any:
    init = p.nn.init
    gains = [init.calculate_gain(*a) for a in (("leaky_relu",), ("leaky_relu", 0.2), ("tanh",), ("conv2d",), ("selu",))]
    empty = [f(p.empty(0, 3)).shape for f in (init.orthogonal_, init.kaiming_normal_, init.kaiming_uniform_)]
    return gains, [tuple(s) for s in empty], plain(init.dirac_(p.empty(4, 2, 3), groups=2)), plain(init.eye_(p.empty(2, 3)))


def implicit_dim(p: Any) -> Any:
    f = p.nn.functional
    return [plain(g(p.arange(6.0).view(shape))) for g in (f.softmax, f.softmin, f.log_softmax) for shape in ((6,), (2, 3), (1, 2, 3))]


def in_place(p: Any) -> Any:
    f = p.nn.functional
    out = []
    for name in ("relu_", "selu_", "celu_"):
        x = p.tensor([-1.0, 2.0])
        getattr(f, name)(x)
        out.append(plain(x))
    return out, [plain(f.dropout(p.ones(3), 1.0)), plain(f.dropout(p.ones(3), 0.5, False)), plain(f.alpha_dropout(p.ones(2), 0.3, False))]


def reset(p: Any) -> Any:
    """What `reset_parameters` makes of parameters that are fixed by definition."""
    out = []
    for layer in (p.nn.PReLU(2, init=0.1), p.nn.RMSNorm(3), p.nn.LayerNorm(3), p.nn.GroupNorm(1, 2), p.nn.BatchNorm1d(2)):
        for parameter in layer.parameters():
            parameter.data.fill_(7.0)
        layer.reset_parameters()
        out.append([q.tolist() for q in layer.parameters()])
    p.nn.RMSNorm(3, elementwise_affine=False).reset_parameters()
    p.nn.Linear(0, 2).reset_parameters() if p is ag else None
    return out


def texts(p: Any) -> Any:
    lists = p.nn.ParameterList([p.ones(2, 3), "text"]), p.nn.ParameterDict({"a": p.ones(2)})
    return [" ".join(repr(t).split()).replace("( ", "(").replace("autograd_lite", "torch").replace("torch.float32", "torch.FloatTensor") for t in lists]


def listed(p: Any) -> Any:
    layer = p.nn.Sequential(p.nn.ReLU())
    return [n for n in dir(layer) if n in ("0", "training", "forward")]


def losses_by_old_names(p: Any) -> Any:
    f, x, y = p.nn.functional, p.ones(2, 2), p.zeros(2, 2)
    return [plain(f.mse_loss(x, y, **kw)) for kw in ({"reduce": False}, {"size_average": False}, {"size_average": True, "reduce": True})]


def of_nothing(p: Any) -> Any:
    """Layers without input channels have weights without elements, which nothing need be drawn for."""
    layers = p.nn.Conv1d(0, 2, 1, bias=False), p.nn.ConvTranspose2d(0, 2, 3, bias=False)
    return [tuple(layer.weight.shape) for layer in layers]


def attending_to_nothing(p: Any) -> Any:
    """A further key of zeros, beside keys that a mask hides."""
    layer = p.nn.MultiheadAttention(2, 1, add_zero_attn=True)
    for i, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(p.arange(float(parameter.numel())).view(parameter.shape) / 8 + i)
    x = p.arange(6.0).view(3, 1, 2) / 4
    mask = p.tensor([[False, True, True], [False, False, True], [False, False, False]])
    return plain(layer(x, x, x, attn_mask=mask)), plain(layer(x, x, x, key_padding_mask=p.tensor([[False, True, False]])))


def activations_by_name(p: Any) -> Any:
    layer = p.nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0, activation="relu")
    for i, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(p.arange(float(parameter.numel())).view(parameter.shape) / 8 - i / 4)
    return plain(layer(p.arange(6.0).view(3, 1, 2)))


def representations(p: Any) -> Any:
    cells = p.nn.RNNCell(2, 3), p.nn.GRUCell(2, 3, bias=False), p.nn.LSTMCell(1, 2)
    keys = linear(p, 2, 1).load_state_dict({"weight": p.ones(1, 2), "more": p.ones(1)}, strict=False)
    return [repr(cell) for cell in cells], repr(keys).lstrip("<_").rstrip(">")


def not_a_leaf(p: Any) -> Any:
    """A parameter that a recorded in-place change has given a history."""
    parameter = p.nn.Parameter(p.ones(2), requires_grad=False)
    return parameter.mul_(p.ones(2, requires_grad=True))


def hook_that_returns_too_much(p: Any) -> None:
    layer = linear(p, 2, 2)
    layer.register_full_backward_hook(lambda m, gi, go: (p.ones(1, 2), p.ones(1, 2)))
    layer(p.ones(1, 2, requires_grad=True)).sum().backward()


USES = [
    sequential, module_list, module_dict, parameter_list, parameter_dict, moved, shared_buffer, loaded, hooks_of_tuples,
    hooks_that_change_nothing, transposed, initialised, implicit_dim, in_place, reset, texts, listed, losses_by_old_names,
    of_nothing, attending_to_nothing, activations_by_name, representations,
]  # fmt: skip


def compare(a: Any, b: Any) -> None:
    if isinstance(b, (tuple, list)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            compare(one, other)
    elif isinstance(b, (np.ndarray, float)):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)
    else:
        assert a == b


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_same_as_in_pytorch(use: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(use(ag), use(torch))


@pytest.mark.parametrize(
    ("refused", "error", "words"),
    [
        (lambda p: p.nn.Sequential().insert(2, p.nn.ReLU()), IndexError, "out of range"),
        (lambda p: p.nn.Sequential() + [p.nn.ReLU()], (TypeError, ValueError), None),
        (lambda p: p.nn.ModuleDict().pop("a"), KeyError, "a"),
        (lambda p: p.nn.ModuleDict().__delitem__("a"), KeyError, "a"),
        (lambda p: p.nn.ParameterDict().__delitem__("a"), KeyError, "a"),
        (lambda p: p.nn.Linear(2, 2).get_parameter("wait"), AttributeError, "no attribute `wait`"),
        (lambda p: p.nn.Linear(2, 2).load_state_dict({"weight": 3.0, "bias": p.ones(2)}), RuntimeError, "weight"),
        (lambda p: p.nn.ConvTranspose2d(1, 1, 3)(p.ones(1, 1, 3, 3), output_size=(9, 9)), ValueError, "valid sizes range"),
        (lambda p: p.nn.ConvTranspose2d(1, 1, 3)(p.ones(1, 1, 3, 3), output_size=(9,)), ValueError, "output_size"),
        (lambda p: p.nn.init.calculate_gain("leaky_relu", True), ValueError, "not a valid number"),
        (lambda p: p.nn.init.dirac_(p.empty(3, 2, 3), groups=2), ValueError, "divisible by groups"),
        (lambda p: p.nn.init.sparse_(p.empty(3), 0.5), ValueError, "2 dimensions"),
        (lambda p: p.nn.Hardtanh(1.0, 0.0), (AssertionError, ValueError), None),
        (lambda p: p.nn.Softmax2d()(p.ones(2, 2)), ValueError, "expected input to be 3D or 4D|requires a 3D or 4D"),
        (lambda p: p.nn.Bilinear(0, 1, 1), ValueError, "must be > 0"),
        (lambda p: p.nn.Embedding(2, 3, _weight=p.ones(3, 3)), AssertionError, "Shape of weight"),
        (lambda p: p.nn.Embedding.from_pretrained(p.ones(3)), AssertionError, "2-dimensional"),
        (lambda p: p.nn.Unflatten(0, 3), TypeError, "unflattened_size"),
        (lambda p: p.nn.Module().register_parameter("a", p.nn.Parameter(p.ones(1)) * 2), (TypeError, ValueError), None),
        (lambda p: p.nn.GroupNorm(3, 4), ValueError, "divisible"),
        (lambda p: p.nn.Sequential().insert(0, 3), (AssertionError, TypeError), "(?i)module"),
        (lambda p: p.nn.Module().register_parameter("a", not_a_leaf(p)), ValueError, "Cannot assign non-leaf Tensor to parameter 'a'"),
        (lambda p: p.nn.InstanceNorm1d(3, affine=True)(p.ones(2, 4, 5)), ValueError, "expected input's size at dim"),
        (hook_that_returns_too_much, RuntimeError, "got 2, but expected 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("package", [ag, torch], ids=["here", "PyTorch"])
def test_refused(refused: Any, error: Any, words: str, package: Any) -> None:
    with pytest.raises(error, match=words):
        refused(package)


def test_backward_hooks_need_tensors() -> None:
    class Words(ag.nn.Module):
        def forward(self, x: ag.Tensor) -> str:
            return "text"

    module = Words()
    module.register_full_backward_hook(lambda m, gi, go: None)
    with pytest.raises(RuntimeError, match="backward hooks need a forward that returns a Tensor"):
        module(ag.ones(1, requires_grad=True))


def test_a_backward_hook_cannot_invent_gradients() -> None:
    layer = linear(ag, 2, 2)
    layer.register_full_backward_hook(lambda m, gi, go: (ag.ones(1, 2),))
    with pytest.raises(RuntimeError, match="no input requires gradient"):
        layer(ag.ones(1, 2)).sum().backward()


def test_values_far_outside_the_cut_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="more than 2 std"):
        ag.nn.init.trunc_normal_(ag.empty(3), mean=9.0)
