"""Profiles, isolation and order of the tests.

Profiles of Hypothesis: ``ci`` (the default; the whole suite in minutes) and ``thorough`` (for the night):
``pytest --hypothesis-profile=thorough``. Every run draws new examples; a failure prints how to repeat it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

# Before anything loads OpenMP: waiting threads sleep, and each of several workers computes on one thread, except in
# the tests that ask for more. Threads that spin while another process holds their core are a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT

COMMON = {
    "deadline": None,
    "print_blob": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
}
settings.register_profile("ci", max_examples=3, **COMMON)
settings.register_profile("thorough", max_examples=60, **COMMON)
settings.load_profile("ci")

ORDER = ["test_gradcheck", "test_engine", "test_inplace_views", "test_numerics", "test_ops_values", "test_ops_gradients"]
LAST = ["test_ops_second_order", "test_ops_bits", "test_parity", "test_random_graphs", "test_stateful"]


COMPILED_ONLY = {"test_examples", "test_ops_bits"}
"""Files whose sizes are those of real work, which plain Python would take hours for."""
THREADED = {"test_threads_change_no_bit", "test_same_bits_with_any_number_of_threads", "test_bits_do_not_depend_on_threads_or_on_the_cut"}
"""Tests that would see a single thread without the compiler."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests, and those that localise a fault best, come first."""

    def rank(item: pytest.Item) -> int:
        name = item.path.stem
        if name in ORDER:
            return ORDER.index(name) - len(ORDER)
        return 1 + LAST.index(name) if name in LAST else 0

    items.sort(key=rank)
    if not JIT:
        for item in items:
            if item.path.stem in COMPILED_ONLY or getattr(item, "originalname", "") in THREADED:
                item.add_marker(pytest.mark.skip(reason="too long without the compiler"))


def examples(factor: int) -> int:
    """`factor` times as many examples as the profile says: for tests that draw what they run."""
    return factor * settings().max_examples


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator of this test's own, so that no test depends on what ran before it."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(autouse=True)
def isolated(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test starts from the same global state, and must leave none behind."""
    ag.manual_seed(zlib.crc32(request.node.nodeid.encode()))
    threads, dtype = ag.get_num_threads(), ag.get_default_dtype()
    assert ag.is_grad_enabled()
    with np.errstate(**({} if JIT else {"all": "ignore"})):  # plain Python warns where machine code does not
        yield
    grad, after = ag.is_grad_enabled(), ag.get_default_dtype()
    ag.set_grad_enabled(True)
    ag.set_default_dtype(dtype)
    ag.set_num_threads(threads)
    assert grad, "the test left recording switched off"
    assert after is dtype, "the test left another default dtype"
