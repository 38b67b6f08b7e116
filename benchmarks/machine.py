"""The machine: its name, and what it can do at most."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu() -> str:
    """The processor's name, and its widest vectors."""
    name, flags = platform.processor() or platform.machine(), ""
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() == "flags":
                    flags = value
    elif sys.platform == "darwin":
        name = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        ).stdout.strip()
    for flag, vectors in (("avx512f", "AVX-512"), ("avx2", "AVX2")):
        if f" {flag} " in f"{flags} ":
            return f"{name} ({vectors})"
    return name


def describe(threads: int) -> dict[str, Any]:
    """Name, versions, and the measured roofline of `threads` threads."""
    import llvmlite
    import numba
    import numpy

    peak, bandwidth = roofline(threads)
    return {
        "cpu": cpu(),
        "cores": cores(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "peak_flops": peak,
        "bandwidth": bandwidth,
    }


def roofline(threads: int) -> tuple[float, float]:
    """Floating-point operations and bytes a second: a product of cached tiles, and a copy of large arrays.

    Measured in a process of its own, so that this one stays without threads.
    """
    code = f"from benchmarks.roofline import main; main({threads})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak, bandwidth = run.stdout.split()
    return float(peak), float(bandwidth)


def text(about: dict[str, Any]) -> str:
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads; Python {about['python']}, "
        f"NumPy {about['numpy']}, Numba {about['numba']}\n"
        f"measured peak {about['peak_flops'] / 1e9:.0f} GFLOP/s (float32 FMA), "
        f"{about['bandwidth'] / 1e9:.1f} GB/s (copy)"
    )
