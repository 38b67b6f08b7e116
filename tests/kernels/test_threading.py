"""The parallel region: every part runs once, whatever the thread count, from any thread, and after a fork."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.kernels import threading as region
from autograd_lite.kernels.jit import JIT, kernel


@kernel
def _mark(part, counts, weight):  # type: ignore[no-untyped-def]
    counts[part] += weight


@kernel
def _mark_all(counts, weight):  # type: ignore[no-untyped-def]
    region.parallel_for(_mark, counts.size, (counts, weight))


@pytest.fixture
def restored_threads():  # type: ignore[no-untyped-def]
    before = ag.get_num_threads()
    yield
    ag.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [0, 1, 2, 7, 1000])
def test_every_part_runs_once(threads: int, parts: int, restored_threads: None) -> None:
    ag.set_num_threads(threads)
    counts = np.zeros(parts)
    _mark_all(counts, 2.0)
    assert (counts == 2).all()


def test_regions_from_several_python_threads() -> None:
    results = [np.zeros(500) for _ in range(6)]

    def run(counts: np.ndarray) -> None:
        for _ in range(50):
            _mark_all(counts, 1.0)

    workers = [threading.Thread(target=run, args=(counts,)) for counts in results]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all((counts == 50).all() for counts in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_computes_on_one_thread() -> None:
    counts = np.zeros(100)
    _mark_all(counts, 1.0)  # OpenMP's threads exist from here on
    child = os.fork()
    if child == 0:
        try:
            _mark_all(counts, 1.0)
            ag.set_num_threads(4)
            good = (counts == 2).all() and ag.get_num_threads() == 1
            large = ag.ones(1 << 17)
            good = good and (large + large).sum().item() == 1 << 18
        finally:
            os._exit(0 if good else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_num_threads_is_checked() -> None:
    before = ag.get_num_threads()
    with pytest.raises(RuntimeError, match="positive"):
        ag.set_num_threads(0)
    with pytest.raises(TypeError, match="int"):
        ag.set_num_threads(1.5)  # type: ignore[arg-type]
    assert ag.get_num_threads() == before


@pytest.mark.skipif(not JIT, reason="without the compiler parts run one after another")
def test_threads_are_as_many_as_allowed(restored_threads: None) -> None:
    if not region.has_threads():
        pytest.skip("no OpenMP library here")
    ag.set_num_threads(2)
    assert ag.get_num_threads() == 2
