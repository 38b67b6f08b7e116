"""Second derivatives: the gradient's own gradient against differences of the (checked) gradient."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.optable import checks, only
from tests.optable.opinfo import OpInfo


@pytest.mark.parametrize("info", only(differentiable=True, second_order=True), ids=lambda info: info.ident)
@settings(max_examples=max(1, settings().max_examples // 2))
@given(seed=st.integers(0, 2**32 - 1))
def test_second_order(info: OpInfo, seed: int) -> None:
    check = checks.redrawn(checks.second_order)
    for sample in info.samples:
        check(info, sample, seed)
