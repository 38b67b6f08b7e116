"""Times one case on several peers, each in a process of its own, the processes taking turns."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .peers import MODULES, PEERS

OURS = "autograd_lite"
REST = 0.25
"""Seconds between turns: threads of the last process that still spin must have gone to sleep."""


def installed() -> list[str]:
    """The peers that can be imported here, this project first."""
    return [p for p in PEERS if importlib.util.find_spec(MODULES.get(p, p)) is not None]


@dataclass
class Result:
    """What was measured for one case: seconds per run by peer, one list a fresh process."""

    suite: str
    case: str
    title: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    rss: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    work: float = 0.0
    """Floating-point operations of one run, if they are the measure of it."""

    def median(self, peer: str) -> float:
        return statistics.median(self.seconds[peer])

    def ratios(self, peer: str) -> list[float]:
        """The peer's time over ours, turn by turn."""
        return [theirs / ours for theirs, ours in zip(self.seconds[peer], self.seconds[OURS])]

    def ratio(self, peer: str) -> tuple[float, float, float]:
        """Median, lower and upper quartile of the ratios."""
        values = sorted(self.ratios(peer))
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return float(middle), float(low), float(high)


class Worker:
    """The process of one peer."""

    def __init__(self, peer: str, threads: int) -> None:
        self.peer = peer
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(threads)
        environment.setdefault("XLA_FLAGS", "")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.version = self._read()["version"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the process ended with code {self.process.wait()}", "version": "?"}
        return dict(json.loads(line))

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            print(json.dumps(command), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"error": f"the process ended with code {self.process.wait()}"}
        return self._read()

    def stop(self) -> None:
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
        self.process.wait(timeout=30)


def compare(ours: Path, theirs: Path, tolerance: float) -> str | None:
    """What is wrong with the peer's result, or None."""
    with np.load(ours) as a, np.load(theirs) as b:
        if len(a.files) != len(b.files):
            return f"{len(b.files)} arrays instead of {len(a.files)}"
        for name in a.files:
            x, y = a[name].astype(np.float64), b[name].astype(np.float64)
            if x.shape != y.shape:
                return f"{name}: shape {y.shape} instead of {x.shape}"
            difference = float(np.linalg.norm(x - y)) / max(float(np.linalg.norm(x)), 1e-9)
            if not difference <= tolerance:
                return f"{name}: results differ by {difference:.1e}"
    return None


def measure(
    suite: str,
    case: str,
    title: str,
    peers: list[str],
    *,
    threads: int,
    processes: int,
    turns: int,
    seconds: float,
    check_steps: int = 3,
    tolerance: float,
) -> Result:
    """Build the case in every peer, compare results, then time in turns; all of it in fresh processes."""
    result = Result(suite, case, title)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(processes):
            workers = {p: Worker(p, threads) for p in peers if p not in result.errors}
            try:
                ready = _prepare(result, workers, Path(folder), check_steps, tolerance)
                if OURS not in ready:
                    return result
                for _ in range(turns):
                    for peer in ready:
                        time.sleep(REST)
                        answer = workers[peer].ask(do="time", seconds=seconds)
                        if "seconds" not in answer:
                            raise RuntimeError(f"{peer}: {case}: {answer.get('error')}")
                        result.seconds.setdefault(peer, []).append(answer["seconds"])
                        result.rss[peer] = max(result.rss.get(peer, 0), answer["rss"])
            finally:
                for worker in workers.values():
                    worker.stop()
    return result


def _prepare(
    result: Result, workers: dict[str, Worker], folder: Path, check_steps: int, tolerance: float
) -> list[str]:
    """The peers that have the case and agree with our result; notes the others' errors."""
    ready = []
    for peer, worker in workers.items():
        built = worker.ask(do="build", suite=result.suite, case=result.case)
        if not built.get("built"):
            result.errors[peer] = built.get("error", "has no such case")
            continue
        file = folder / f"{peer}.npz"
        answer = worker.ask(do="check", steps=check_steps, file=str(file))
        if "error" in answer:
            result.errors[peer] = answer["error"]
            if peer == OURS:
                return []
            continue
        uncompared = peer in (OURS, "sklearn")
        problem = None if uncompared else compare(folder / f"{OURS}.npz", file, tolerance)
        if problem:
            result.errors[peer] = f"disagrees: {problem}"
            continue
        ready.append(peer)
    return ready
