"""Gradients of every operation against the complex step or five-point differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optable import checks, only
from tests.optable.opinfo import OpInfo

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("info", only(differentiable=True), ids=lambda info: info.ident)
@given(seed=seeds)
def test_gradient(info: OpInfo, seed: int) -> None:
    check = checks.redrawn(checks.gradient)
    for sample in info.samples:
        check(info, sample, seed)


SEVERAL = {info: [s for s in info.samples if len(s.shapes()) > 1] for info in only(differentiable=True)}


@pytest.mark.parametrize("info", [info for info in SEVERAL if SEVERAL[info]], ids=lambda info: info.ident)
def test_each_input_alone(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in SEVERAL[info]:
        checks.each_alone(info, sample.make(rng), rng)
