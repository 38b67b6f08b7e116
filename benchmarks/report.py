"""Tables, JSON and plots of the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .runner import OURS, Result


def seconds_text(seconds: float) -> str:
    for scale, unit in ((1e-3, "s"), (1e-6, "ms")):
        if seconds >= scale * 1e3:
            return f"{seconds / (scale * 1e3):.3g} {unit}"
    return f"{seconds * 1e6:.3g} us" if seconds >= 1e-6 else f"{seconds * 1e9:.3g} ns"


def table(results: list[Result], peers: list[str], peak: float = 0.0) -> str:
    """A Markdown table: our time, each peer's time and how many times ours it is."""
    others = [p for p in peers if p != OURS and any(p in r.seconds for r in results)]
    work = any(r.work for r in results)
    head = ["case", OURS, *(["GFLOP/s", "of peak"] if work else []), *others]
    rows = [head, ["---"] * len(head)]
    for r in results:
        if OURS not in r.seconds:
            rows.append([r.title, f"failed: {r.errors.get(OURS)}", *[""] * (len(head) - 2)])
            continue
        cells = [r.title, seconds_text(r.median(OURS))]
        if work:
            rate = r.work / r.median(OURS)
            cells += [f"{rate / 1e9:.0f}" if r.work else "", f"{rate / peak:.2f}" if r.work and peak else ""]
        for p in others:
            if p in r.seconds:
                middle, low, high = r.ratio(p)
                cells.append(f"{seconds_text(r.median(p))}, {middle:.2g}x ({low:.2g}-{high:.2g})")
            else:
                cells.append("" if "no such case" in r.errors.get(p, "no such case") else "failed")
        rows.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def failures(results: list[Result]) -> list[str]:
    return [
        f"{r.case}: {peer}: {error}"
        for r in results
        for peer, error in r.errors.items()
        if "no such case" not in error
    ]


def write_json(path: Path, machine: dict[str, Any], results: list[Result]) -> None:
    content = {
        "machine": machine,
        "results": [
            {
                "suite": r.suite,
                "case": r.case,
                "title": r.title,
                "seconds": r.seconds,
                "peak_rss": r.rss,
                "flop": r.work,
                "ratios": {p: r.ratio(p) for p in r.seconds if p != OURS and OURS in r.seconds},
                "errors": r.errors,
            }
            for r in results
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def plot(path: Path, machine: dict[str, Any], results: list[Result], peers: list[str]) -> None:
    """How many times our time each peer takes, as bars."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    results = [r for r in results if OURS in r.seconds]
    others = [p for p in peers if p != OURS and any(p in r.seconds for r in results)]
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.28 * len(results) * (len(others) + 1)))
    height = 0.8 / max(len(others), 1)
    colors = ["#e07b1f", "#8a5fbf", "#3a9e5c", "#c04b4b", "#8a8a8a", "#b59a2a", "#4aa3b5", "#444444"]
    rows = np.arange(len(results))
    for k, peer in enumerate(others):
        values = [r.ratio(peer) if peer in r.seconds else (np.nan,) * 3 for r in results]
        middle = np.array([v[0] for v in values])
        errors = np.array([[v[0] - v[1], v[2] - v[0]] for v in values]).T
        places = rows + (k - (len(others) - 1) / 2) * height
        axes.barh(places, middle, height * 0.9, xerr=errors, color=colors[k % len(colors)], label=peer,
                  error_kw={"lw": 0.8, "ecolor": "#555555"})  # fmt: skip
        for y, (v, _, high) in zip(places, values):
            if np.isfinite(v):
                axes.text(high, y, f"  {v:.1f}x", va="center", fontsize=7)
    axes.axvline(1, color="#1f6fb4", lw=1.5)
    axes.text(1.03, len(results) - 0.52, "autograd_lite", color="#1f6fb4", fontsize=8)
    axes.set_yticks(rows, [r.title for r in results], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("time of the peer / time of autograd_lite (longer bar: peer is slower)")
    axes.set_title(f"{machine['cpu']}, {machine['threads']} threads, float32", fontsize=9, pad=28)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=len(others), loc="lower center", bbox_to_anchor=(0.5, 1.01))
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
