"""Layers computed together with the ReLU and the pooling that follow: the same bits as one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import nn
from autograd_lite.kernels.jit import JIT

F = nn.functional
Layer = Callable[[Any], Any]
DTYPES = ["float32", "float64"]
SHAPES = [(4, 3, 8, 8), (2, 40, 16, 16), (3, 5, 24, 24), (2, 3, 6, 10), (3, 4, 5, 7)]


def _bits(tensor: Any) -> np.ndarray:
    array = np.ascontiguousarray(tensor.detach().numpy())
    return array.view(f"u{array.itemsize}")


def _everything(layer: Layer, parameters: list[Any], shape: tuple[int, ...], dtype: str) -> list[Any]:
    """Output, gradients, and gradients of the gradients' squares."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal(shape).astype(dtype)
    values.flat[:3] = 0.0, -0.0, 1e-30
    found = []
    for recorded in (False, True):
        x = ag.tensor(values, requires_grad=True)
        out = layer(x)
        g = ag.tensor(np.random.default_rng(2).standard_normal(out.shape).astype(dtype), requires_grad=True)
        gradients = ag.autograd.grad(out, [x, *parameters], g, create_graph=recorded)
        found += [out, *gradients]
        if recorded:
            total = sum((one * one).sum() for one in gradients)
            found += ag.autograd.grad(total, [g, *parameters], allow_unused=True)
    return found


def _assert_same(fused: Layer, apart: Layer, parameters: list[Any], shape: tuple[int, ...], dtype: str) -> None:
    pairs = zip(*(_everything(layer, parameters, shape, dtype) for layer in (fused, apart)), strict=True)
    for one, other in pairs:
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(_bits(one), _bits(other))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("shape", SHAPES if JIT else SHAPES[3:])
def test_batch_norm_relu_and_pooling(shape: tuple[int, ...], train: bool, dtype: str) -> None:
    norm, pool = nn.BatchNorm2d(shape[1], dtype=getattr(ag, dtype)).train(train), nn.MaxPool2d(2)
    rng = np.random.default_rng(3)
    with ag.no_grad():
        for vector in (norm.weight, norm.bias):
            vector.copy_(ag.tensor(rng.standard_normal(shape[1]).astype(dtype)))
    assert pool._halves()
    parameters = [norm.weight, norm.bias]
    # Running statistics move at every call, but in training they are only written, and in evaluation only read.
    _assert_same(norm._with_relu, lambda x: F.relu(norm(x)), parameters, shape, dtype)
    _assert_same(norm._with_relu_pool, lambda x: pool(F.relu(norm(x))), parameters, shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "options"),
    [(16, 32, 3, {"padding": 1}), (4, 8, 5, {}), (6, 6, 3, {"groups": 6}), (4, 8, 3, {"stride": 2, "groups": 2})],
)
def test_convolution_relu(inputs: int, outputs: int, size: int, options: dict[str, Any], dtype: str) -> None:
    layer = nn.Conv2d(inputs, outputs, size, dtype=getattr(ag, dtype), **options)
    parameters = [layer.weight, layer.bias]
    _assert_same(layer._with_relu, lambda x: F.relu(layer(x)), parameters, (4, inputs, 16, 16) if JIT else (1, inputs, 7, 5), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, ceil_mode=True)])
def test_max_pool_relu(pool: Any, dtype: str) -> None:
    scale = ag.tensor(np.array([-1.5], dtype), requires_grad=True)
    _assert_same(
        lambda x: pool._with_relu(x * x * scale), lambda x: F.relu(pool(x * x * scale)), [scale], (2, 3, 7, 9), dtype
    )
    _assert_same(lambda x: pool._with_relu(x * scale), lambda x: F.relu(pool(x * scale)), [scale], (2, 3, 8, 8), dtype)


def test_nan_passes_as_in_the_layers_apart() -> None:
    values = np.random.default_rng(4).standard_normal((2, 3, 8, 8)).astype("float32")
    values[0, 0, 0, 1] = np.nan
    norm, pool = nn.BatchNorm2d(3), nn.MaxPool2d(2)
    outs, gradients = [], []
    for layer in (norm._with_relu_pool, lambda x: pool(F.relu(norm(x)))):
        x = ag.tensor(values, requires_grad=True)
        outs.append(layer(x))
        outs[-1].sum().backward()
        gradients.append(x.grad)
    np.testing.assert_array_equal(outs[0].detach().numpy(), outs[1].detach().numpy())
    np.testing.assert_array_equal(gradients[0].numpy(), gradients[1].numpy())
    assert np.isnan(outs[0].detach().numpy()[:, 0]).all()
    assert not np.isnan(outs[0].detach().numpy()[:, 1:]).any()
