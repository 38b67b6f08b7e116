"""The same bits at 1 and 2 threads and in every run, for operations large enough to be shared out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.optable import checks, only
from tests.optable.large import LARGE
from tests.optable.opinfo import OpInfo

ROWS = {row.ident: row for row in only(differentiable=True)}


@pytest.mark.parametrize("info", list(ROWS.values()), ids=lambda info: info.ident)
def test_second_run_has_the_same_bits(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in info.samples:
        checks.same_bits(info, sample.make(rng), rng)


@pytest.mark.parametrize("name", list(LARGE))
def test_threads_do_not_change_bits(name: str, rng: np.random.Generator) -> None:
    for sample in LARGE[name]:
        checks.same_bits(ROWS[name], sample.make(rng), rng)
