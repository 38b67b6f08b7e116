"""The op table against PyTorch, where it is installed: values, shapes, dtypes, gradients, errors, defaults.

The table's own references are compared as well, so that a wrong reference cannot hide a wrong operation.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from tests.optable import ROWS, checks, only
from tests.optable.opinfo import Arr, Case, OpInfo, outputs

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")
SHARED = [row for row in ROWS if row.torch]
shared = pytest.mark.parametrize("info", SHARED, ids=lambda info: info.ident)
torch.set_num_threads(1)  # two OpenMP runtimes in one process fight over the cores


def array(t: Any) -> np.ndarray:
    return t.detach().numpy() if isinstance(t, torch.Tensor) else np.asarray(t)


def on_torch(info: OpInfo, case: Case, dtype: str = "float64", grad: bool = True) -> tuple[list[Any], tuple[Any, ...]]:
    def tensor(a: np.ndarray) -> Any:
        return torch.from_numpy(np.array(a, dtype) if a.dtype.kind == "f" else np.array(a))

    leaves = [tensor(x).requires_grad_(grad and info.differentiable) for x in case.leaves]
    args, kwargs = case.bind(leaves, tensor)
    return leaves, outputs(info.function(torch)(*args, **kwargs))


@shared
def test_reference_agrees_with_pytorch(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in info.samples:
        case = sample.make(rng)
        _, outs = on_torch(info, case)
        expected = case.reference(info)
        assert len(outs) == len(expected)
        for o, e in zip(outs, expected, strict=True):
            checks.close(array(o), e, 1e-10, 1e-11, checks.label(info, sample))


@shared
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_gradients(info: OpInfo, dtype: str, rng: np.random.Generator) -> None:
    rtol, atol = (1e-9, 1e-10) if dtype == "float64" else (1e-3, 1e-4)
    if info.name == "nn.functional.hardsigmoid":
        rtol = max(rtol, 1e-6)  # there the slope, 1/6, is rounded to float32
    for sample in info.samples:
        where = checks.label(info, sample)
        case = sample.make(rng)
        theirs, outs = on_torch(info, case, dtype)
        leaves = checks.as_leaves(case, dtype, grad=info.differentiable)
        ours = checks.run(info, case, leaves, dtype)
        assert len(ours) == len(outs), where
        for mine, other in zip(ours, outs, strict=True):
            checks.close(checks.array(mine), array(other), rtol, atol, where)
            if isinstance(other, torch.Tensor):
                assert isinstance(mine, ag.Tensor), where
                assert str(mine.dtype).split(".")[1] == str(other.dtype).split(".")[1], f"{where}: {mine.dtype}, PyTorch {other.dtype}"
                assert tuple(mine.shape) == tuple(other.shape)
        if not info.differentiable:
            continue
        if info.name == "linalg.slogdet":
            continue  # there the sign has a gradient too: zero
        used = [i for i, o in enumerate(outs) if isinstance(o, torch.Tensor) and o.requires_grad]
        assert used == checks.floating(ours), f"{where}: outputs with a gradient are {checks.floating(ours)}, in PyTorch {used}"
        weights = checks.cotangents(ours, rng)
        grads = checks.backward(ours, weights, leaves)
        found = torch.autograd.grad(
            [outs[i] for i in used], theirs, [torch.from_numpy(w.astype(dtype)) for w in weights], allow_unused=True
        )
        for k, (g, t) in enumerate(zip(grads, found, strict=True)):
            scale = 1.0 if t is None else 1 + float(t.abs().max()) if t.numel() else 1.0
            checks.close(g, np.zeros(g.shape) if t is None else t.numpy(), rtol, atol * scale, f"{where}: gradient {k}")


@pytest.mark.parametrize("info", [r for r in SHARED if r.errors], ids=lambda info: info.ident)
def test_error_types(info: OpInfo, rng: np.random.Generator) -> None:
    """What we refuse, PyTorch refuses, with an error that one ``except`` clause catches for both."""
    if info.name == "Tensor.__getitem__":
        pytest.skip("an index that is no index is an IndexError here, as in NumPy; a TypeError in PyTorch")
    for bad in info.errors:
        if not bad.torch:
            continue
        case = bad.call.make(rng)
        with pytest.raises(Exception) as theirs:
            on_torch(info, case)
        with pytest.raises(Exception) as ours:
            checks.run(info, case, checks.as_leaves(case))
        assert issubclass(ours.type, theirs.type) or issubclass(theirs.type, ours.type), (
            f"{checks.label(info, bad.call)}: {ours.type.__name__}, PyTorch {theirs.type.__name__}: {theirs.value}"
        )


METHODS = [
    r for r in SHARED
    if r.op is None and hasattr(torch.Tensor, r.name) and isinstance(r.samples[0].args[0], (Arr, np.ndarray)) and r.name != "where"
]  # fmt: skip


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.ident)
def test_methods(info: OpInfo, rng: np.random.Generator) -> None:
    """What is a method of a PyTorch tensor is one here, and does the same as the function."""
    sample = info.samples[0]
    case = sample.make(rng)
    args, kwargs = case.bind(checks.as_leaves(case, grad=False), checks.tensor)
    assert hasattr(ag.Tensor, info.name), f"Tensor.{info.name} is missing"
    expected = outputs(info.function(ag)(*args, **kwargs))
    for got, wanted in zip(outputs(getattr(args[0], info.name)(*args[1:], **kwargs)), expected, strict=True):
        np.testing.assert_array_equal(checks.array(got), checks.array(wanted))


def has_signature(function: Any) -> bool:
    try:
        return bool(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False  # a builtin


SIGNED = [r for r in SHARED if r.op is None and r.name.startswith("nn.") and has_signature(r.function(torch))]


@pytest.mark.parametrize("info", SIGNED, ids=lambda info: info.ident)
def test_default_arguments(info: OpInfo) -> None:
    """Parameters that both have, have the same defaults and the same order."""
    theirs = inspect.signature(info.function(torch)).parameters
    ours = inspect.signature(info.function(ag)).parameters
    common = [n for n in ours if n in theirs]
    deprecated = ("size_average", "reduce", "_stacklevel", "inplace", "dtype")
    for name in common:
        if name not in deprecated:
            assert ours[name].default == theirs[name].default, f"{info.ident}: default of {name}"
    positional = [n for n in theirs if n not in deprecated and theirs[n].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    mine = [n for n in ours if n in positional]
    assert mine == [n for n in positional if n in mine], f"{info.ident}: order of parameters {mine}"
    for name in positional:
        assert name in ours or name in ("training", "dtype", "track_running_stats", "sparse", "max_norm", "norm_type", "scale_grad_by_freq",
            "antialias", "recompute_scale_factor", "return_indices", "divisor_override", "enable_gqa", "dropout_p", "attn_mask", "inplace", "out"), f"{info.ident}: no parameter {name}"  # fmt: skip


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40])
# Where the policy of docs/numerics.md differs from PyTorch on purpose, or PyTorch's own kernels disagree.
OTHERWISE = {"sign", "copysign", "rsqrt", "acosh"}  # the last two: the sign of an infinite slope at -0.0, at -1


@pytest.mark.parametrize("info", [r for r in only(operands=1) if r.torch and r.name not in OTHERWISE], ids=lambda info: info.ident)
def test_special_values_and_slopes(info: OpInfo) -> None:
    """At zeros, infinities, NaN and huge numbers: PyTorch's value and PyTorch's slope (for an upstream gradient of 1)."""
    x = ag.tensor(SPECIAL, dtype=ag.float64, requires_grad=True)
    t = torch.tensor(SPECIAL, requires_grad=True)
    y, z = info.function(ag)(x), info.function(torch)(t)
    np.testing.assert_allclose(y._data if not y.requires_grad else y.detach()._data, z.detach().numpy(), rtol=1e-9, atol=1e-300, equal_nan=True)
    if info.differentiable:
        y.backward(ag.ones_like(y))
        z.backward(torch.ones_like(z))
        for value, got, wanted in zip(SPECIAL, x.grad._data, t.grad.numpy(), strict=True):  # type: ignore[union-attr]
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-300, err_msg=f"slope of {info.ident} at {value}")


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "where", "eq"])
def test_type_promotion(name: str) -> None:
    """Every pair of dtypes, tensors with and without dimensions, and Python numbers."""
    dtypes = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]

    def operands(package: Any) -> list[Any]:
        made = [package.ones(2, dtype=getattr(package, d)) for d in dtypes]
        made += [package.tensor(1, dtype=getattr(package, d)) for d in dtypes]
        return [*made, 2, 2.5, True]

    def call(package: Any, a: Any, b: Any) -> Any:
        if name == "where":
            return package.where(package.tensor([True, False]), a, b)
        return getattr(package, name)(a, b)

    for i, (a, p) in enumerate(zip(operands(ag), operands(torch), strict=True)):
        for j, (b, q) in enumerate(zip(operands(ag), operands(torch), strict=True)):
            if not isinstance(p, torch.Tensor) and (not isinstance(q, torch.Tensor) or name != "pow"):
                continue
            if name in ("maximum",) and not isinstance(q, torch.Tensor):
                continue
            try:
                wanted: Any = call(torch, p, q)
            except (RuntimeError, NotImplementedError) as error:
                with pytest.raises((RuntimeError, TypeError)):
                    call(ag, a, b)
                assert error
                continue
            got = call(ag, a, b)
            assert str(got.dtype).split(".")[1] == str(wanted.dtype).split(".")[1], f"{name} of {i} and {j}: {got.dtype}, PyTorch {wanted.dtype}"
            np.testing.assert_array_equal(got._data, wanted.numpy())
