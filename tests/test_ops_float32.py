"""A float32 program stays in float32: values, saved arrays, gradients, and all arrays in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT
from tests.optable import checks, guard, only
from tests.optable.opinfo import OpInfo


@pytest.fixture(scope="module", autouse=True)
def watched() -> Iterator[int]:
    with guard.watched() as functions:
        yield functions


@pytest.mark.parametrize("info", only(differentiable=True), ids=lambda info: info.ident)
def test_float32(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in info.samples:
        checks.float32_gradient(info, sample.make(rng), rng)


X = ag.ones(3)
DOUBLE = {
    "a method and back": lambda: X.double().float(),
    "promotion": lambda: X * ag.ones(3, dtype=ag.float64),
}


@pytest.mark.parametrize("name", list(DOUBLE))
def test_guard_sees_a_float64_array(name: str) -> None:
    with pytest.raises(AssertionError, match="float64"), guard.no_float64():
        DOUBLE[name]()


def test_guard_lets_float32_pass() -> None:
    with guard.no_float64():
        X * 2.5


@pytest.mark.parametrize(
    "expression",
    [
        "(x * np.float64(2)).astype(np.float32)",
        "x.astype(float).astype('f4')",
        "(-x.astype('f8')).astype('f4')",
        "np.add(x, np.float64(1)).astype('f4')",
        "[y.astype('f4') for y in np.split(x.astype('f8'), 3)]",
    ],
)
def test_guard_sees_an_array_without_a_name(expression: str, tmp_path: Any) -> None:
    source = f"def function(x):\n    return {expression}\n"
    scope: dict[str, Any] = {"np": np, guard.LOOK: guard.look}
    exec(compile(guard.instrumented(source, "file.py"), "file.py", "exec"), scope)
    with pytest.raises(AssertionError, match="file.py:2"), guard.no_float64():
        scope["function"](np.ones(3, np.float32))


@pytest.mark.skipif(not JIT, reason="without the compiler kernels are functions like others")
def test_every_function_is_watched(watched: int) -> None:
    """None runs code of its own, kernels and what is made from generated source excepted."""
    watching = set(guard.codes().values())
    kernels = {id(o.py_func) for o in gc.get_objects() if issubclass(type(o), Dispatcher)}
    functions = [f for f in gc.get_objects() if type(f) is FunctionType and f.__code__.co_filename.startswith(f"{guard.PACKAGE}/")]
    own = {
        f"{f.__module__}.{f.__qualname__}"
        for f in functions
        if f.__code__ not in watching and id(f) not in kernels and not hasattr(f, "__generated_source__")
    }
    assert not own
    assert watched > 1000


def test_graph_check_sees_a_saved_float64_array() -> None:
    x = ag.ones(3, dtype=ag.float64, requires_grad=True)
    with pytest.raises(AssertionError, match="has saved a float64"):
        guard.check_graph([(x * x).float()])
