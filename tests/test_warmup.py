"""The command that compiles ahead of time: it calls everything that it promises to, and leaves nothing to compile."""

from __future__ import annotations

import gc
import re

import pytest
from numba.core.dispatcher import Dispatcher

import autograd_lite as ag
from autograd_lite import warmup
from autograd_lite.kernels.jit import JIT
from autograd_lite.ops import activation, pointwise


def compiled() -> int:
    """How many signatures of kernels are ready in this process."""
    return sum(len(o.overloads) for o in gc.get_objects() if issubclass(type(o), Dispatcher))


def count(capsys: pytest.CaptureFixture[str]) -> int:
    found = re.fullmatch(r"(\d+) cases warm after [\d.]+ s; machine code in .+\n", capsys.readouterr().out)
    assert found
    return int(found[1])


def test_functions_are_ready_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    warmup.main(["--only", "functions"])
    cases = count(capsys)
    before = compiled()
    x = (ag.rand(4, 7) * 0.5 + 0.25).requires_grad_()
    for name in ("exp", "tanh", "erf", "sqrt"):
        getattr(ag, name)(x).sum().backward()
    ag.softmax(x, 1).sum().backward()
    assert compiled() == before
    warmup.main(["--only", "functions", "--float64"])
    assert count(capsys) == 2 * cases
    assert ag.get_default_dtype() is ag.float32


def test_every_elementwise_function_is_among_them() -> None:
    cases = {name for name, _ in warmup.functions(ag.float32)}
    assert {n for n in (*pointwise.__all__, *activation.__all__) if hasattr(getattr(ag, n, None), "primitive")} <= cases
    assert {"sum", "LayerNorm", "ConvTranspose2d", "gelu"} <= cases


@pytest.mark.skipif(not JIT, reason="too long without the compiler")
def test_training_steps_are_ready_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    warmup.main(["--only", "training"])
    assert count(capsys) == len(list(warmup.training(ag.float32)))
    before = compiled()
    model = ag.nn.Sequential(ag.nn.Linear(30, 20), ag.nn.Sigmoid(), ag.nn.Linear(20, 5))
    steps = ag.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    ag.nn.functional.cross_entropy(model(ag.rand(16, 30)), ag.randint(0, 5, (16,))).backward()
    steps.step()
    assert compiled() == before
