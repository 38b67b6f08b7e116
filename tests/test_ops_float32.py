"""A float32 program stays in float32: values, saved arrays, gradients, and all arrays in between."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_lite as ag
from tests.optable import checks, guard, only
from tests.optable.opinfo import OpInfo


@pytest.mark.parametrize("info", only(differentiable=True), ids=lambda info: info.ident)
def test_float32(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in info.samples:
        checks.float32_gradient(info, sample.make(rng), rng)


def test_guard_sees_a_float64_array() -> None:
    x = ag.ones(3)
    with pytest.raises(AssertionError, match="float64"), guard.no_float64():
        x.double().float()
    with pytest.raises(AssertionError, match="float64"), guard.no_float64():
        x * ag.ones(3, dtype=ag.float64)
    with guard.no_float64():
        x * 2.5


def test_graph_check_sees_a_saved_float64_array() -> None:
    x = ag.ones(3, dtype=ag.float64, requires_grad=True)
    with pytest.raises(AssertionError, match="has saved a float64"):
        guard.check_graph([(x * x).float()])
