"""The suites: which cases there are, and how long each is timed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from . import networks, operations, processes
from .runner import Result, measure

Suite = Callable[[list[str], int, bool, "list[str] | None"], list[Result]]


def _run(
    suite: str,
    cases: list[tuple[str, str, float, float]],
    peers: list[str],
    threads: int,
    quick: bool,
    only: list[str] | None,
) -> list[Result]:
    """Measure the cases, given as (name, title, floating-point operations, tolerance)."""
    results = []
    for name, title, work, tolerance in cases:
        if only and not any(text in name for text in only):
            continue
        print(f"... {title}", file=sys.stderr, flush=True)
        result = measure(
            suite, name, title, peers, threads=threads, processes=1 if quick else 3, turns=2 if quick else 5,
            seconds=0.1 if quick else 0.5, tolerance=tolerance,
        )  # fmt: skip
        result.work = work
        results.append(result)
    return results


def steps(peers: list[str], threads: int, quick: bool, only: list[str] | None) -> list[Result]:
    """Whole training steps: forward, loss, backward, optimizer."""
    return _run("steps", _training_steps(networks.STEPS), peers, threads, quick, only)


def _training_steps(cases: list[networks.Step]) -> list[tuple[str, str, float, float]]:
    return [(s.name, s.title, 0.0, networks.tolerance(s)) for s in cases]


def _operations(cases: list[operations.Operation]) -> Suite:
    def suite(peers: list[str], threads: int, quick: bool, only: list[str] | None) -> list[Result]:
        results = []
        for case in cases:
            described = [(case.name, case.title, case.flop, 1e-3)]
            results += _run("operations", described, peers, case.threads or threads, quick, only)
        return results

    return suite


def scaling(peers: list[str], threads: int, quick: bool, only: list[str] | None) -> list[Result]:
    """How the cost of a step grows with batch size, width, depth and channels."""
    return _run("steps", _training_steps(networks.SCALING), peers, threads, quick, only)


SUITES: dict[str, Suite] = {
    "ops": _operations(operations.OPERATIONS),
    "gemm": _operations(operations.GEMMS),
    "conv": _operations(operations.CONVS),
    "steps": steps,
    "startup": processes.startup,
    "memory": processes.memory,
    "scaling": scaling,
}
