"""The machine's limits, measured: fused multiply-adds on data in the first-level cache, and a large copy."""

from __future__ import annotations

import time

import numpy as np

from autograd_lite.kernels import simd, threading
from autograd_lite.kernels.jit import kernel


@kernel
def _tiles(part, a, b, c, m, n, k, rounds):  # type: ignore[no-untyped-def]
    for _ in range(rounds):
        simd.block_product(simd.at(a, 0), k, 1, simd.at(b, 0), n, simd.at(c, part * m * n), n, m, n, k, True)


@kernel
def _peak(a, b, c, m, n, k, rounds, parts):  # type: ignore[no-untyped-def]
    threading.parallel_for(_tiles, parts, (a, b, c, m, n, k, rounds))


@kernel
def _copy_part(part, source, target, parts):  # type: ignore[no-untyped-def]
    n = source.size // parts
    for i in range(part * n, (part + 1) * n):
        target[i] = source[i]


@kernel
def _copy(source, target, parts):  # type: ignore[no-untyped-def]
    threading.parallel_for(_copy_part, parts, (source, target, parts))


def best(run: object, seconds: float = 0.6) -> float:
    run()  # type: ignore[operator]
    times = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        run()  # type: ignore[operator]
        times.append(time.perf_counter() - started)
    return min(times)


def main(threads: int) -> None:
    threading.set_num_threads(threads)
    m, n, k, rounds = 12, 32, 256, 2000
    a, b = np.ones(m * k, np.float32), np.zeros(k * n, np.float32)
    c = np.zeros(threads * m * n, np.float32)
    seconds = best(lambda: _peak(a, b, c, m, n, k, rounds, threads))
    peak = 2.0 * m * n * k * rounds * threads / seconds
    source = np.ones(32 << 20, np.float32)
    target = np.empty_like(source)
    seconds = best(lambda: _copy(source, target, 8 * threads))
    print(peak, 2 * source.nbytes / seconds)
