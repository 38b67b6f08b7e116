"""The sum of a formula's values, block by block, without storing them."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_lite.kernels import threading
from autograd_lite.kernels.elementwise import SERIAL_BELOW, SPAN, Elementwise
from autograd_lite.kernels.reduce import BLOCK

weighted = Elementwise("weighted_square", ("x", "y"), "w * (x - y) * (x - y)", ("w",))
SIZES = [0, 1, BLOCK, BLOCK + 1, SPAN + 1, SERIAL_BELOW, 5 * SPAN + BLOCK + 3]


def _arguments(size: int, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(size)
    return [rng.standard_normal(size).astype(dtype), rng.standard_normal(size).astype(dtype), np.full(1, 0.25, dtype)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_total(size: int, dtype: str) -> None:
    x, y, w = _arguments(size, dtype)
    wanted = (0.25 * (x.astype(float) - y) ** 2).sum()
    found = weighted.total(x, y, w, divisor=4.0)
    assert found.shape == () and found.dtype == dtype
    np.testing.assert_allclose(found, wanted / 4, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_the_mean_of_nothing_is_not_a_number() -> None:
    with np.errstate(invalid="ignore"):
        assert np.isnan(weighted.total(*_arguments(0, "float32"), divisor=0.0))


@pytest.mark.skipif(not threading.has_threads(), reason="there is one thread only")
def test_total_does_not_depend_on_the_number_of_threads() -> None:
    before = threading.get_num_threads()
    results = set()
    try:
        for threads in (1, 2, 3):
            threading.set_num_threads(threads)
            results.add(weighted.total(*_arguments(SIZES[-1], "float32")).tobytes())
    finally:
        threading.set_num_threads(before)
    assert len(results) == 1
