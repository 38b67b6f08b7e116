"""``python -m benchmarks``: time this project beside its peers.

Each framework runs in a process of its own, and the processes take turns; results are compared before anything
is timed; a figure is the median over turns and fresh processes, with the quartiles beside it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import machine, report, suites
from .runner import OURS, installed


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", choices=sorted(suites.SUITES),
                        help=f"one of {', '.join(suites.SUITES)}; may be repeated (default: all)")  # fmt: skip
    parser.add_argument("--case", action="append", metavar="TEXT", help="only cases whose name contains TEXT")
    parser.add_argument("--peers", metavar="A,B", help="which peers (default: all that are installed)")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="threads for every framework")
    parser.add_argument("--quick", action="store_true", help="short runs: a look, not a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the ratios")
    given = parser.parse_args(arguments)

    present = installed()
    if given.peers:
        wanted = [p.strip() for p in given.peers.split(",")]
        missing = [p for p in wanted if p not in present]
        if missing:
            sys.exit(f"not installed or unknown: {', '.join(missing)}; installed: {', '.join(present)}")
        peers = [OURS, *(p for p in wanted if p != OURS)]
    else:
        peers = present
    about = machine.describe(given.threads)
    print(machine.text(about))
    everything = []
    for name in given.only or list(suites.SUITES):
        print(f"\n## {name}\n", flush=True)
        results = suites.SUITES[name](peers, given.threads, given.quick, given.case)
        print(report.table(results, peers, about["peak_flops"]))
        for line in report.failures(results):
            print(f"not compared: {line}")
        everything += results
    if given.json:
        report.write_json(given.json, about, everything)
    if given.plot:
        report.plot(given.plot, about, everything, peers)


if __name__ == "__main__":
    main()
