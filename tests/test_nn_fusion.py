"""What `Sequential` computes in one operation is what the modules compute one by one, to the bit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import nn
from autograd_lite.nn import fusion

RUNS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "linear-relu": ([nn.Linear(6, 5), nn.ReLU()], (4, 6)),
    "linear-sigmoid": ([nn.Linear(6, 5, bias=False), nn.Sigmoid()], (4, 6)),
    "linear-tanh": ([nn.Linear(70, 33), nn.Tanh()], (20, 70)),
    "linear-relu-of-three-dimensions": ([nn.Linear(6, 5), nn.ReLU()], (2, 4, 6)),
    "conv1d-relu": ([nn.Conv1d(2, 3, 3, padding=1), nn.ReLU()], (2, 2, 9)),
    "conv2d-relu": ([nn.Conv2d(2, 3, 3, stride=2), nn.ReLU(inplace=True)], (2, 2, 7, 9)),
    "conv3d-relu": ([nn.Conv3d(1, 2, 2), nn.ReLU()], (2, 1, 3, 4, 3)),
    "norm1d-relu": ([nn.BatchNorm1d(5), nn.ReLU()], (6, 5)),
    "norm2d-relu": ([nn.BatchNorm2d(3), nn.ReLU()], (2, 3, 5, 4)),
    "norm3d-relu": ([nn.BatchNorm3d(2), nn.ReLU()], (2, 2, 3, 4, 2)),
    "norm2d-relu-pool": ([nn.BatchNorm2d(3, momentum=None), nn.ReLU(), nn.MaxPool2d(2)], (2, 3, 8, 6)),
    "norm2d-relu-pool-of-odd-extents": ([nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)], (2, 3, 7, 5)),
    "norm2d-relu-other-pool": ([nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(3)], (2, 3, 7, 6)),
    "pool1d-relu": ([nn.MaxPool1d(2), nn.ReLU()], (2, 3, 9)),
    "pool2d-relu": ([nn.MaxPool2d(3, 2, padding=1), nn.ReLU()], (2, 3, 9, 8)),
    "pool3d-relu": ([nn.MaxPool3d(2), nn.ReLU()], (1, 2, 4, 4, 5)),
}


def one_by_one(modules: list[Any], x: ag.Tensor) -> ag.Tensor:
    for module in modules:
        x = module(x)
    return x


def results(forward: Any, modules: list[Any], shape: tuple[int, ...], dtype: ag.dtype) -> list[np.ndarray]:
    """The output, every gradient, the gradients of a gradient's norm, and the buffers afterwards."""
    rng = np.random.default_rng(0)
    x = ag.from_numpy(rng.standard_normal(shape)).to(dtype).requires_grad_()
    out = forward(x)
    upstream = ag.from_numpy(rng.standard_normal(out.shape)).to(dtype)
    inputs = [x, *(p for m in modules for p in m.parameters())]
    first = ag.autograd.grad(out, inputs, upstream, retain_graph=True)
    (again,) = ag.autograd.grad(out * out, x, upstream, create_graph=True)
    second = ag.autograd.grad((again * again).sum(), inputs, allow_unused=True)
    buffers = [b for m in modules for b in m.buffers()]
    return [t.detach().numpy() for t in (out, *first, again, *(s for s in second if s is not None), *buffers)]


@pytest.mark.parametrize("dtype", [ag.float32, ag.float64], ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", RUNS)
def test_same_bits(name: str, training: bool, dtype: ag.dtype) -> None:
    modules, shape = RUNS[name]
    if training and "3d" in name and dtype is ag.float64:
        pytest.skip("as in float32")
    net = nn.Sequential(*copy.deepcopy(modules)).to(dtype).train(training)
    apart = list(copy.deepcopy(net))
    for fused, plain in zip(
        results(net, list(net), shape, dtype), results(lambda x: one_by_one(apart, x), apart, shape, dtype), strict=True
    ):
        np.testing.assert_array_equal(fused, plain)


def test_every_entry_of_the_table_is_tried() -> None:
    tried = {tuple(map(type, run)) for modules, _ in RUNS.values() for run, maker in fusion.runs(modules) if maker}
    assert tried == set(fusion.TABLE)


def test_runs() -> None:
    block = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)]
    modules = [*block, nn.Flatten(), nn.Linear(8, 2), nn.ReLU()]
    assert [len(run) for run, _ in fusion.runs(modules)] == [1, 3, 1, 2]


def test_a_hook_sees_what_is_in_between() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    x = ag.tensor([[1.0, -2.0, 3.0]])
    net(x)
    seen = []
    handle = net[0].register_forward_hook(lambda module, args, output: seen.append(output.detach().clone()))
    out = net(x)
    assert ag.equal(seen[0].relu(), out)
    handle.remove()
    net(x)
    assert len(seen) == 1


def test_subclasses_are_called() -> None:
    class Loud(nn.ReLU):
        def forward(self, input: ag.Tensor) -> ag.Tensor:
            return super().forward(input) + 1

    net = nn.Sequential(nn.Linear(2, 2), Loud())
    assert (net(ag.ones(1, 2)) >= 1).all()


def test_options_and_modules_may_change() -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(), nn.MaxPool2d(2)).eval()
    x = ag.randn(1, 1, 4, 4)
    assert net(x).shape == (1, 1, 2, 2)
    net[2].kernel_size = net[2].stride = 4
    assert net(x).shape == (1, 1, 1, 1)
    net[2] = nn.Identity()
    assert net(x).shape == (1, 1, 4, 4)
    net.append(nn.Flatten())
    assert net(x).shape == (1, 16)


def test_copies_are_independent() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    x = ag.ones(1, 2)
    before = net(x)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert ag.equal(other(x), before)
        with ag.no_grad():
            other[0].weight.zero_()
            other[0].bias.fill_(7.0)
        assert (other(x) == 7).all()
    assert ag.equal(net(x), before)
    assert "_divided" not in pickle.dumps(net).decode("latin1")


def test_errors_are_those_of_the_modules() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    with pytest.raises(RuntimeError, match="linear"):
        net(ag.ones(4, 5))
    with pytest.raises(TypeError, match="linear"):
        net(np.ones((4, 3)))


def test_a_saved_output_that_was_changed() -> None:
    x = ag.ones(2, 3, requires_grad=True)
    out = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid())(x)
    with ag.no_grad():
        out.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        out.sum().backward()
