"""The tensor itself: its attributes and protocols, its text, dtypes, the device, modes and differentiation by function."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import dtypes, printing
from autograd_lite.autograd import functional
from tests.test_engine import equal, leaf

# Attributes


def test_attributes() -> None:
    x = ag.zeros(2, 3, 4)
    assert x.shape == (2, 3, 4) and x.shape.numel() == 24 and repr(x.shape) == "autograd_lite.Size([2, 3, 4])"
    assert x.size() == x.shape and x.size(-1) == 4 and x.dim() == x.ndimension() == x.ndim == 3
    assert x.numel() == x.nelement() == 24 and x.element_size() == x.itemsize == 4 and x.nbytes == 96
    assert x.stride() == (12, 4, 1) and x.stride(1) == 4
    assert x.is_contiguous() and not x.transpose(0, 1).is_contiguous()
    assert not (x.is_complex() or x.is_shared() or x.is_cuda or x.is_sparse)
    assert x.device == ag.device("cpu") and x.cpu() is x
    assert x.storage_offset() == 0 and x[1, 2, 3:].storage_offset() == 23
    with pytest.raises(IndexError, match=r"expected to be in range of \[-3, 2\], but got 3"):
        x.size(3)


def test_protocols() -> None:
    x = ag.tensor([1, 2, 3])
    assert 2 in x and 4 not in x
    assert [10, 20, 30, 40][x[0]] == 20 and int(x[1]) == 2 and float(x[2]) == 3.0
    for bad in (x, ag.tensor(1.0)):
        with pytest.raises(TypeError, match="only integer tensors of a single element"):
            bad.__index__()
    assert f"{ag.tensor(0.123456):.2f}" == "0.12" and f"{x}" == str(x)
    with pytest.raises(TypeError):
        f"{x:.2f}"
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(x), x.numpy()) and not np.shares_memory(np.array(x), x.numpy())
    assert np.array_equal(np.from_dlpack(x), x.numpy())
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(leaf(2))


def test_copies_keep_what_makes_a_leaf() -> None:
    x = leaf(2)
    (x * 3).sum().backward()
    twin = copy.deepcopy(x)
    assert twin.requires_grad and twin.is_leaf
    equal(twin.grad, [3, 3])
    assert not np.shares_memory(twin.grad.numpy(), x.grad.numpy())
    again = pickle.loads(pickle.dumps(x))
    assert again.requires_grad and again.grad is None and again.dtype is ag.float64
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(x * 2)


def test_gradients_that_are_refused() -> None:
    x = ag.ones(2)
    with pytest.raises(RuntimeError, match="own grad"):
        x.grad = x
    with pytest.raises(TypeError, match="data must be a Tensor, got list"):
        x.data = [1.0, 2.0]
    with pytest.raises(RuntimeError, match="non-leaf"):
        (leaf(2) * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="detach views in-place"):
        x[:1].detach_()
    with pytest.raises(RuntimeError, match="cannot be empty"):
        leaf(1).sum().backward(inputs=[])
    with pytest.raises(RuntimeError, match="does not require grad"):
        leaf(1).sum().backward(inputs=[x])


def test_the_flag_can_be_set_like_an_attribute() -> None:
    x = ag.ones(2)
    x.requires_grad = True
    assert x.requires_grad and (x * 2).requires_grad_() is not x
    x.requires_grad = False
    assert not (x * 2).requires_grad
    with ag.inference_mode():
        y = x * 2
    with pytest.raises(RuntimeError, match="inference tensor"):
        y.requires_grad_()


def test_an_upstream_gradient_takes_the_dtype_of_the_tensor() -> None:
    x = ag.ones(2, requires_grad=True)
    (x * 2).backward(ag.ones(2, dtype=ag.float64))
    assert x.grad.dtype is ag.float32 and x.grad.tolist() == [2, 2]


def test_a_hook_for_a_while() -> None:
    x, seen = leaf(2), []
    with x.register_hook(seen.append) as handle:
        (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert len(seen) == 1
    handle.remove()
    calls: list[Any] = []
    for _ in range(2):
        x.register_post_accumulate_grad_hook(lambda t: calls.append(t))
    (x * 2).sum().backward()
    assert len(calls) == 2


# Modes


def test_modes_as_decorators() -> None:
    x = leaf(2)

    @ag.no_grad
    def bare(t: ag.Tensor) -> ag.Tensor:
        return t * 2

    @ag.set_grad_enabled(False)
    def off(t: ag.Tensor) -> ag.Tensor:
        return t * 2

    assert ag.is_grad_enabled()
    assert not bare(x).requires_grad and not off(x).requires_grad and ag.is_grad_enabled()


def test_inference_mode_has_a_flag() -> None:
    assert not ag.is_inference_mode_enabled()
    with ag.inference_mode():
        assert ag.is_inference_mode_enabled()
        with ag.inference_mode(False):
            assert not ag.is_inference_mode_enabled()
            assert not (ag.ones(1) * 2).is_inference()
    with ag.inference_mode(False):
        assert (leaf(1) * 2).requires_grad


@pytest.mark.parametrize("on", [True, False])
def test_anomaly_detection_has_a_flag(on: bool) -> None:
    y = None
    with ag.autograd.set_detect_anomaly(on):
        x = leaf(2)
        y = (x * float("nan")).sum()
        if on:
            with pytest.raises(RuntimeError, match="nan"):
                y.backward()
        else:
            y.backward()
            assert np.isnan(x.grad.numpy()).all()
    with ag.autograd.set_detect_anomaly(True, check_nan=False):
        (leaf(1) * float("nan")).backward()


# Functions of functions


def test_roots_and_gradients_must_match() -> None:
    x = leaf(2)
    y = x * 2
    with pytest.raises(RuntimeError, match="got 1 tensors and 2 gradients"):
        ag.autograd.backward([y], [ag.ones(2), ag.ones(2)])
    with pytest.raises(RuntimeError, match="cannot be empty"):
        ag.autograd.backward(y.sum(), inputs=[])
    with pytest.raises(ValueError, match="allow_unused"):
        ag.autograd.grad(y.sum(), x, allow_unused=False, materialize_grads=True)


def test_a_recorded_gradient_is_added_to_a_recorded_one() -> None:
    x = leaf(2)
    for _ in range(2):
        (x**3).sum().backward(create_graph=True)
    equal(x.grad, 6 * x.detach()._data ** 2)
    g, x.grad = x.grad, None
    g.sum().backward()
    equal(x.grad, 12 * x.detach()._data)


def test_transforms_of_functions_of_a_single_number() -> None:
    x = ag.tensor([2.0])
    assert functional.vjp(lambda t: t**3, x)[1].tolist() == [12.0]
    assert functional.jvp(lambda t: t**3, x)[1].tolist() == [12.0]
    assert functional.vhp(lambda t: t**3, x)[1].tolist() == [12.0]


def test_transforms_can_be_differentiated() -> None:
    x, c = leaf(2), ag.ones(2, dtype=ag.float64)
    rows = functional.jacobian(lambda t, k: t**3 * k, (x, c), create_graph=True)[0]
    rows.sum().backward()
    equal(x.grad, 6 * x.detach()._data)


def test_transforms_of_functions_that_ignore_an_input() -> None:
    x = ag.tensor([2.0, 3.0])
    assert functional.jacobian(lambda t: ag.ones(2), x).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(RuntimeError, match="independent of an input"):
        functional.jacobian(lambda t: ag.ones(2), x, strict=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: functional.jacobian(lambda t: t, [x, 2.0]), TypeError, "inputs must be Tensors, got float"),
        (lambda x: functional.jacobian(lambda t: 2.0, x), TypeError, "must return a Tensor or a tuple of Tensors, got float"),
        (lambda x: functional.vjp(lambda t: t * 2, x), RuntimeError, "v can only be None if the output"),
        (lambda x: functional.jvp(lambda t: t * 2, x), RuntimeError, "v can only be None if the input"),
        (lambda x: functional.vjp(lambda t: t * 2, x, ag.ones(3)), RuntimeError, r"v has shapes \[\(3,\)\]"),
        (lambda x: functional.hessian(lambda t: t * 2, x), RuntimeError, "hessian should return a single element"),
        (lambda x: functional.hvp(lambda t: t * 2, x, x), RuntimeError, "should return a single element"),
        (lambda x: functional.vhp(lambda t: t * 2, x, x), RuntimeError, "vhp should return a single element"),
    ],
)
def test_transforms_refuse(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(ag.ones(2))


# Dtypes, device, generators


def test_what_names_a_dtype() -> None:
    for given in (ag.int32, np.int32, np.dtype("int32"), "int32", "torch.int32"):
        assert dtypes.as_dtype(given) is ag.int32
    assert dtypes.as_dtype(float) is ag.float64 and dtypes.as_dtype(int) is ag.int64 and dtypes.as_dtype(bool) is ag.bool
    assert ag.int8.is_signed and not ag.uint8.is_signed and ag.float32.is_signed
    assert pickle.loads(pickle.dumps(ag.float64)) is ag.float64
    for bad in ("complex64", np.complex64, object(), "f99"):
        with pytest.raises(TypeError, match="unknown dtype.*expected one of autograd_lite.float32"):
            dtypes.as_dtype(bad)
    for bad in (ag.int64, "float64"):
        with pytest.raises(TypeError, match="only floating-point dtypes can be the default"):
            ag.set_default_dtype(bad)


def test_the_device() -> None:
    cpu = ag.device("cpu")
    assert cpu == ag.device("cpu:0") == ag.device(cpu) and cpu != "cpu"
    assert len({cpu, ag.device("cpu")}) == 1
    assert str(cpu) == cpu.type == "cpu" and repr(cpu) == "device(type='cpu')"
    assert not ag.cuda.is_available() and ag.cuda.device_count() == 0
    ag.cuda.manual_seed_all(0)
    for make in (lambda: ag.device("cuda"), lambda: ag.ones(2, device="cuda:1"), lambda: ag.ones(2).to("cuda"), lambda: ag.Generator("cuda")):
        with pytest.raises(RuntimeError, match="CPU only, got device 'cuda"):
            make()


def test_generators_keep_and_pass_on_their_state() -> None:
    one = ag.Generator().manual_seed(5)
    ag.rand(7, generator=one)
    other = pickle.loads(pickle.dumps(one))
    assert repr(other) == repr(one) and one.initial_seed() == 5 and "seed=5 offset=" in repr(one)
    third = ag.Generator().set_state(one.get_state())
    draws = [ag.rand(3, generator=g).tolist() for g in (one, other, third)]
    assert draws[0] == draws[1] == draws[2]
    assert one.seed() == one.initial_seed() != other.seed()
    assert ag.seed() == ag.initial_seed()


@pytest.mark.parametrize("bad", [ag.ones(16), ag.zeros(3, dtype=ag.uint8), [0] * 16])
def test_states_of_generators_that_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="uint8 tensor of 16 elements"):
        ag.Generator().set_state(bad)


def test_seeds_that_are_refused() -> None:
    for bad in (True, 1.5, "1"):
        with pytest.raises(TypeError, match="manual_seed expected an int"):
            ag.manual_seed(bad)
    with pytest.raises(RuntimeError, match="64-bit"):
        ag.manual_seed(1 << 64)
    with pytest.raises(TypeError, match=r"must be an autograd_lite\.Generator, got int"):
        ag.rand(2, generator=3)


# Text


@pytest.fixture
def options() -> Iterator[None]:
    """The print options are as they were."""
    before = dict(vars(printing.options))
    yield
    vars(printing.options).update(before)


def made(package: Any) -> dict[str, Any]:
    """Tensors whose text is compared; the same in PyTorch."""
    t, f64 = package.tensor, package.float64
    return {
        "numbers": t([1.0, -2.5, 0.125]),
        "whole numbers": t([1.0, 20.0]),
        "wide range": t([1e-6, 1.0, 1e6]),
        "not finite": t([float("nan"), float("inf"), 1.5]),
        "only not finite": t([float("nan"), -float("inf")]),
        "zeros": package.zeros(2, 2),
        "integers": t([[1, -200], [3, 4]]),
        "booleans": t([True, False]),
        "a number": t(2.5),
        "float64": t([1.0], dtype=f64),
        "bytes": t([1, 2], dtype=package.uint8),
        "nothing": t([]),
        "nothing by three": package.zeros(0, 3),
        "no integers": package.zeros(0, dtype=package.int64),
        "many": package.arange(2000),
        "many rows": package.arange(3000.0).reshape(30, 100) / 7,
        "three dimensions": package.arange(24).reshape(2, 3, 4),
        "long lines": package.arange(40.0) / 3,
        "a leaf": t([1.0, 2.0], requires_grad=True),
        "result": t([1.0], requires_grad=True) * 2,
    }


@pytest.mark.parametrize("name", list(made(ag)))
def test_text_is_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    assert repr(made(ag)[name]).replace("autograd_lite.", "torch.") == repr(made(torch)[name])


def test_text_by_options(options: None) -> None:
    x = ag.arange(8.0) / 3
    ag.set_printoptions(precision=2, threshold=5, edgeitems=1)
    assert repr(x) == "tensor([0.00,  ..., 2.33])"
    ag.set_printoptions(sci_mode=True, profile="short", threshold=100)
    assert repr(x[:2]) == "tensor([0.00e+00, 3.33e-01])"
    ag.set_printoptions(profile="full")
    assert "..." not in repr(ag.arange(2000))
    ag.set_printoptions(profile="default", linewidth=30)
    assert repr(x[:4]) == "tensor([0.0000, 0.3333,\n        0.6667, 1.0000])"
    assert repr(ag.ones(2, dtype=ag.float64)) == "tensor([1., 1.],\n       dtype=autograd_lite.float64)"
    assert repr(ag.nn.Parameter(ag.ones(1))) == "Parameter containing:\ntensor([1.],\n       requires_grad=True)"
