"""Values, shapes and dtypes of every operation against its NumPy reference; documented errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.optable import ROWS, checks
from tests.optable.opinfo import OpInfo

seeds = st.integers(0, 2**32 - 1)
every = pytest.mark.parametrize("info", ROWS, ids=lambda info: info.ident)


@every
@given(seed=seeds)
def test_value(info: OpInfo, seed: int) -> None:
    for case in info.cases(seed):
        checks.value(info, case)


@pytest.mark.parametrize("info", [r for r in ROWS if r.errors], ids=lambda info: info.ident)
def test_errors(info: OpInfo) -> None:
    checks.errors(info, 0)


@pytest.mark.parametrize("info", [r for r in ROWS if r.aliases], ids=lambda info: info.ident)
def test_aliases(info: OpInfo) -> None:
    for alias in info.aliases:
        other = OpInfo(alias, info.ref, info.samples[:2], tolerance32=info.tolerance32)
        for case in other.cases(0):
            checks.value(other, case)
