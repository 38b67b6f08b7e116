"""What whole processes cost: starting up, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from . import networks
from .runner import OURS, Result, measure

_IMPORT = {OURS: "import autograd_lite", "torch": "import torch", "jax": "import jax", "numpy": "import numpy",
           "mygrad": "import mygrad", "autograd": "import autograd.numpy", "tinygrad": "import tinygrad"}  # fmt: skip
_FIRST_STEP = """
import time; started = time.perf_counter()
from benchmarks.peers import PEERS
import importlib
module = importlib.import_module("benchmarks.peers." + PEERS[{peer!r}])
imported = time.perf_counter()
case = module.build("steps", {case!r}, {threads})
case.run()
print(imported - started, time.perf_counter() - imported)
"""


def _fresh(code: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return run.stdout


def startup(peers: list[str], threads: int, quick: bool, only: list[str] | None) -> list[Result]:
    """Seconds to import, and to the end of the first training step: compiling kernels, and with kernels on disk."""
    repeats = 2 if quick else 5
    results = [Result("startup", "import", "import")]
    for _ in range(repeats):
        for peer in peers:
            if peer in _IMPORT:
                code = f"import time; t = time.perf_counter(); {_IMPORT[peer]}; print(time.perf_counter() - t)"
                results[0].seconds.setdefault(peer, []).append(float(_fresh(code)))
    for name in ("mlp-64", "cnn-28-64"):
        title = networks.BY_NAME[name].title
        cold = Result("startup", f"cold-{name}", f"first step, compiling: {title}")
        warm = Result("startup", f"warm-{name}", f"import and first step, kernels on disk: {title}")
        results += [cold, warm]
        timed = [p for p in peers if p in (OURS, "torch", "torch.compile", "jax")]
        with tempfile.TemporaryDirectory() as folder:
            code = _FIRST_STEP.format(peer=OURS, case=name, threads=threads)
            cold.seconds[OURS] = [float(_fresh(code, AUTOGRAD_LITE_CACHE=folder).split()[1])]
            for _ in range(repeats):
                for peer in timed:
                    code = _FIRST_STEP.format(peer=peer, case=name, threads=threads)
                    times = map(float, _fresh(code, AUTOGRAD_LITE_CACHE=folder).split())
                    warm.seconds.setdefault(peer, []).append(sum(times))
    return results


def memory(peers: list[str], threads: int, quick: bool, only: list[str] | None) -> list[Result]:
    """Peak resident memory of each step's process (printed in MB), and growth over a long loop."""
    results = []
    for step in networks.STEPS:
        if only and not any(text in step.name for text in only):
            continue
        timed = measure(
            "steps", step.name, step.title, peers, threads=threads, processes=1, turns=1,
            seconds=0.1 if quick else 0.5, tolerance=networks.tolerance(step),
        )  # fmt: skip
        print(
            f"{step.title}: " + ", ".join(f"{p} {b / 2**20:.0f} MB" for p, b in timed.rss.items()), flush=True
        )
        results.append(timed)
    return results

