"""The suites: which cases there are, and how long each is timed."""

from __future__ import annotations

import sys
from collections.abc import Callable

from . import networks
from .runner import Result, measure

Suite = Callable[[list[str], int, bool, "list[str] | None"], list[Result]]


def _run(
    suite: str,
    cases: list[tuple[str, str, float]],
    peers: list[str],
    threads: int,
    quick: bool,
    only: list[str] | None,
    tolerance: float = 2e-3,
) -> list[Result]:
    """Measure the cases, given as (name, title, floating-point operations)."""
    results = []
    for name, title, work in cases:
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
    return _run("steps", [(s.name, s.title, 0.0) for s in networks.STEPS], peers, threads, quick, only)


SUITES: dict[str, Suite] = {"steps": steps}
