"""``python -m tests.mutation``: run every mutant; print, and with ``--write`` keep in docs/mutation.md, who kills it.

Each mutant is one replacement in a copy of the package, in a temporary directory. The tests that should
notice are named by the mutant; they pass on the unbroken copy, or the run is void.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from .mutants import MUTANTS, Mutant

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest(folder: pathlib.Path, tests: list[str], seconds: float) -> tuple[int, str]:
    environment = os.environ | {"PYTHONPATH": str(folder), "AUTOGRAD_LITE_QUIET": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return 1, "(did not end)"
    return done.returncode, done.stdout + done.stderr


def killer(report: str) -> str:
    found = re.search(r"^(?:FAILED|ERROR) tests/(\S+(?: [^-\s]\S*)*?)(?: - |$)", report, re.M)
    return found[1] if found else report.strip().splitlines()[-1][:80]


def run(mutant: Mutant, folder: pathlib.Path, seconds: float) -> tuple[str, str]:
    """The outcome (killed, survived, stale) and the test that noticed."""
    path = folder / "autograd_lite" / mutant.file
    source = path.read_text("utf-8")
    if source.count(mutant.old) != mutant.times:
        return "stale", f"the text occurs {source.count(mutant.old)} times"
    path.write_text(source.replace(mutant.old, mutant.new), "utf-8")
    try:
        code, report = pytest(folder, list(mutant.tests), seconds)
    finally:
        path.write_text(source, "utf-8")
    if code == 0:
        return "survived", ""
    if code not in (1, 2):  # no test was collected, or pytest itself failed
        return "stale", report.strip().splitlines()[-1][:80]
    return "killed", killer(report)


def table(results: list[tuple[Mutant, str, str]], seconds: float) -> str:
    killed = sum(outcome == "killed" for _, outcome, _ in results)
    lines = [
        "# Mutation run",
        "",
        "The package broken on purpose, one rule at a time, by `python -m tests.mutation --write`; each time the suite",
        f"must fail. {killed} of {len(results)} mutants killed, in {seconds / 60:.0f} minutes.",
        "",
        "| Family | Kind | What was broken | Outcome | First test that failed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for mutant, outcome, by in results:
        lines.append(f"| {mutant.family} | {mutant.kind} | {mutant.what} (`{mutant.file}`) | {outcome} | `{by}` |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the table in docs/mutation.md")
    parser.add_argument("--only", default="", help="only mutants whose family, kind or text contains this")
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for one mutant")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if options.only in f"{m.family} {m.kind} {m.what} {m.file}"]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = pathlib.Path(name)
        for part in ("autograd_lite", "tests", "docs"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        tests = list(dict.fromkeys(t for m in chosen for t in m.tests))
        code, report = pytest(folder, tests, 3600)
        if code:
            print(f"void: the tests fail on the unbroken package, first {killer(report)}")
            return 2
        results = []
        for number, mutant in enumerate(chosen, 1):
            outcome, by = run(mutant, folder, options.timeout)
            results.append((mutant, outcome, by))
            print(f"{number:3}/{len(chosen)} {outcome:8} {mutant.family}: {mutant.what}  [{by}]", flush=True)
    seconds = time.monotonic() - start
    if options.write:
        (ROOT / "docs" / "mutation.md").write_text(table(results, seconds), "utf-8")
    survivors = [m for m, outcome, _ in results if outcome != "killed"]
    print(f"{len(results) - len(survivors)} of {len(results)} killed in {seconds:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
