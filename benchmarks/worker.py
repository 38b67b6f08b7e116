"""A peer in a process of its own: reads commands from standard input, one JSON line each, answers likewise.

``{"do": "build", "suite": ..., "case": ...}``, ``{"do": "check", "steps": n, "file": ...}`` (run `n` times and
write the result), ``{"do": "time", "seconds": s}`` (seconds per run, the median over some chunks),
``{"do": "stop"}``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import resource
import statistics
import sys
import time
from typing import Any

import numpy as np

from .peers import PEERS, Case


def serve(peer: str, threads: int) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints goes to standard error
    module: Any = importlib.import_module(f".peers.{PEERS[peer]}", __package__)
    case: Case | None = None

    def answer(**content: Any) -> None:
        print(json.dumps(content), file=answers, flush=True)

    answer(version=module.version())
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "stop":
            break
        try:
            if command["do"] == "build":
                extra = {"peer": peer} if "peer" in inspect.signature(module.build).parameters else {}
                case = module.build(command["suite"], command["case"], threads, **extra)
                answer(built=case is not None)
            elif command["do"] == "check" and case is not None:
                for _ in range(command["steps"]):
                    case.run()
                np.savez(command["file"], *[np.asarray(a) for a in case.result()])
                answer(checked=True)
            elif command["do"] == "time" and case is not None:
                answer(seconds=measure(case, command["seconds"]), rss=peak_rss())
        except Exception as error:  # the parent reports it and goes on with the other peers
            answer(error=f"{type(error).__name__}: {error}")


def measure(case: Case, seconds: float) -> float:
    """Seconds per run: the median over chunks, each long enough for the clock."""
    run = case.run
    run()
    started = time.perf_counter()
    run()
    once = max(time.perf_counter() - started, 1e-7)
    count = max(1, int(seconds / 15 / once))
    chunks = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(chunks) < 3:
        started = time.perf_counter()
        for _ in range(count):
            run()
        chunks.append((time.perf_counter() - started) / count)
    return statistics.median(chunks)


def peak_rss() -> int:
    """Bytes of memory that this process had at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
