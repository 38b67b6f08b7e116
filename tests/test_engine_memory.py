"""What the engine holds and for how long: long chains, cycles, saved arrays, checkpoints."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT
from tests.test_engine import equal, leaf


@pytest.mark.skipif(not JIT, reason="too long without the compiler")
def test_a_chain_of_100000_operations_leaves_nothing_behind() -> None:
    """Built, differentiated and freed without recursion, and without help from the garbage collector."""
    x = leaf(1, value=1.0)

    def run(n: int) -> float:
        y = x
        for _ in range(n):
            y = y * 1.00001
        y.sum().backward()
        assert x.grad is not None
        value = float(x.grad._data[0])
        x.grad = None
        return value

    run(1000)
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        run(1000)
        before = tracemalloc.get_traced_memory()[0]
        value = run(100_000)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert np.isclose(value, 1.00001**100_000, rtol=1e-9)
    # Some 60 MB were in use; what remains are the interpreter's free lists, of fixed size.
    assert after - before < 200_000, f"{after - before} bytes are still held"


def test_an_undifferentiated_chain_is_freed_without_recursion() -> None:
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y + 1
    del y


@pytest.mark.parametrize("differentiate", [True, False])
def test_no_reference_cycles(differentiate: bool) -> None:
    """Tensors and nodes die when the last name goes, with the collector off."""
    gc.collect()
    gc.disable()
    try:
        x = leaf(4)
        y = ((x.exp() * x).tanh().sigmoid() + x.sum()).reshape(2, 2).permute(1, 0)
        z = (y / y.sum(0)).sum()
        watched = [weakref.ref(t) for t in (y, z)] + [weakref.ref(z.grad_fn)]
        if differentiate:
            z.backward()
        del y, z
        assert [w() for w in watched] == [None] * 3
    finally:
        gc.enable()


def test_create_graph_leaves_no_cycle_when_the_gradient_goes() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(3)
        y = x.exp().sum()
        (g,) = ag.autograd.grad(y, x, create_graph=True)
        watched = weakref.ref(g.grad_fn)
        del y, g
        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not JIT, reason="too long without the compiler")
def test_saved_arrays_are_freed_as_the_pass_goes_on() -> None:
    x = ag.ones(200_000, requires_grad=True)
    y = x
    for _ in range(20):
        y = y.exp().log()
    total = y.sum()
    del y
    tracemalloc.start()
    total.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * x.nbytes


def test_needs_input_grad_spares_work() -> None:
    """No gradient is computed for what does not want one."""
    x, c = leaf(2), ag.tensor([3.0, 4.0], dtype=ag.float64)
    y = x * c
    assert len([t for t in y.grad_fn.inputs if t is not None]) == 1
    y.sum().backward()
    assert c.grad is None


# Checkpointing


def test_checkpoint_gives_the_same_gradient() -> None:
    w = leaf(3)

    def block(t: ag.Tensor) -> ag.Tensor:
        return (t * w).tanh() * t

    x, plain = leaf(3), leaf(3)
    ag.utils.checkpoint.checkpoint(block, x, use_reentrant=False).sum().backward()
    first = w.grad.clone()
    w.grad = None
    block(plain).sum().backward()
    equal(x.grad, plain.grad._data)
    equal(first, w.grad._data)
