"""Runs the experiments and writes one HTML page: pictures, metrics beside the published figures, seconds, commands.

python -m examples.report --quick                       # all, on little data that needs no download
python -m examples.report --data DIR --only mlp,pca     # some, on the real files
python -m examples.report --data DIR --compare --keep   # PyTorch beside them; what was run before is not run again
"""

from __future__ import annotations

import argparse
import ast
import base64
import html
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import compare_torch
from .common import options

Metrics = dict[str, Any]


@dataclass
class Experiment:
    """One run of an example, and how its result reads beside others'."""

    name: str
    title: str
    command: list[str]
    """``{weights}`` in it stands for a folder that the runs share."""
    measure: Callable[[Metrics], str]
    target: str
    elsewhere: str
    real: list[str] = field(default_factory=list)
    """Options for the real files."""
    needs_data: bool = False

    @property
    def comparable(self) -> bool:
        return self.command[0] in compare_torch.EXAMPLES


def percent(*keys: str) -> Callable[[Metrics], str]:
    """The value at the end of `keys` as an accuracy."""

    def measure(metrics: Metrics) -> str:
        value: Any = metrics
        for key in keys:
            value = value[key]
        return f"test {value:.3f}"

    return measure


def _pages(metrics: Metrics) -> str:
    return "; ".join(
        f"{name}: {one['found']}/{one['written']} found, CNN {one['right']['cnn']:.3f}, MLP {one['right']['mlp']:.3f}"
        for name, one in metrics["pages"].items()
    )


def _sweep(metrics: Metrics) -> str:
    return "; ".join(f"{rate}: {reached:.3f}" for rate, reached in metrics.get("sweep", {}).items())


NIST36 = ["--dataset", "nist36"]
EXPERIMENTS = [
    Experiment(
        "activations", "Activations, vanishing gradients, initial weights", ["activations"],
        lambda m: f"through 20 layers: sigmoid {m['gradient_sizes']['sigmoid'][-1]:.0e}, "
                  f"ReLU {m['gradient_sizes']['ReLU'][-1]:.2f}",
        "asserted facts", "",
    ),
    Experiment(
        "gradient_check", "Backpropagation against central differences", ["gradient_check"],
        lambda m: f"largest relative error {m['largest_relative_error']:.1e}", "below 1e-6", "",
    ),
    Experiment(
        "convolution_as_matrix", "Convolution as a matrix product", ["convolution_as_matrix"],
        lambda m: "exactly equal" if m["equal"] else "differs", "exactly equal", "",
    ),
    Experiment(
        "backprop_cost", "What a gradient costs", ["backprop_cost"],
        lambda m: f"K^{m['fitted']['backward over width']:.2f} N^{m['fitted']['backward over depth']:.2f}; "
                  f"each weight apart K^{m['fitted']['paths over width']:.2f}",
        "K^2 N; K^5", "",
    ),
    Experiment(
        "mlp", "Two-layer network on letters, three rates", ["mlp", "--sweep"],
        lambda m: f"test {m['test_accuracy']:.3f} ({_sweep(m)})",
        "test 0.785", "published 0.76-0.78, PyTorch 0.793", NIST36,
    ),
    Experiment(
        "mlp_adam", "256 hidden units, Adam", ["mlp", "--hidden", "256", "--optimizer", "adam"],
        percent("test_accuracy"), "test 0.82", "published 0.797-0.833, PyTorch 0.826", NIST36,
    ),
    Experiment(
        "softmax_regression", "Softmax regression on digits", ["softmax_regression"],
        percent("test_accuracy"), "test 0.92", "PyTorch 0.924", ["--dataset", "mnist"],
    ),
    Experiment(
        "pca", "Principal components", ["pca"],
        lambda m: f"{m['uncentred']['valid_psnr']:.2f} dB uncentred, {m['centred']['valid_psnr']:.2f} dB centred",
        "18.4 dB, 18.6 dB", "published 16.35 dB", NIST36,
    ),
    Experiment(
        "autoencoder", "Autoencoder with 32 numbers", ["autoencoder"],
        lambda m: f"valid {m['valid_psnr']:.2f} dB", "17.0 dB", "published 15.2-16.1, PyTorch 17.1 dB", NIST36,
    ),
    Experiment(
        "autoencoder_deep", "A deep autoencoder beats PCA", ["autoencoder", "--deep"],
        lambda m: f"valid {m['valid_psnr']:.2f} dB, PCA {m['pca_valid_psnr']:.2f} dB", "1.5 dB above PCA", "", NIST36,
    ),
    Experiment(
        "cnn_letters", "Convolutional network on letters", ["cnn", "--save", "{weights}"],
        percent("test_accuracy"), "test 0.915", "published 0.856-0.936, PyTorch 0.922", NIST36,
    ),
    Experiment(
        "cnn_mnist", "Convolutional network on MNIST", ["cnn", "--dataset", "mnist"],
        percent("test_accuracy"), "test 0.985", "published 0.971, PyTorch 0.988", needs_data=True,
    ),
    Experiment(
        "cnn_emnist", "Convolutional network on EMNIST", ["cnn", "--dataset", "emnist", "--save", "{weights}"],
        percent("test_accuracy"), "test 0.84", "published 0.747, PyTorch 0.847", needs_data=True,
    ),
    Experiment(
        "cnn_cifar10", "Convolutional network on CIFAR-10", ["cnn", "--dataset", "cifar10"],
        percent("test_accuracy"), "within 1 point of PyTorch", "published 0.793 (lossless files)", needs_data=True,
    ),
    Experiment(
        "text_extraction", "Reading photographs of handwriting", ["text_extraction", "--weights", "{weights}"],
        _pages, "all letters boxed; CNN 0.90 each", "published 0.878, 0.833, 0.907, 0.854", NIST36,
    ),
    Experiment(
        "text_extraction_emnist", "The photographs read after EMNIST",
        ["text_extraction", "--dataset", "emnist", "--weights", "{weights}"],
        _pages, "reported", "", needs_data=True,
    ),
    Experiment(
        "faces", "Six people", ["faces"],
        lambda m: f"grid {m['grid']['test_accuracy']:.3f}, features {m['features']['test_accuracy']:.3f}",
        "grid 0.78, features 0.95", "published 0.776, 0.957", needs_data=True,
    ),
    Experiment(
        "finetune", "Flowers with a trained start", ["finetune"],
        lambda m: ", ".join(f"{name.replace('_', ' ')} {m[name]['test_accuracy']:.3f}"
                            for name in ("head_only", "all_layers", "small_network") if name in m),
        "head only 0.92", "published 0.871, PyTorch 0.93; small network 0.441", needs_data=True,
    ),
]  # fmt: skip

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
img { max-width: 100%; display: block; margin: 1rem 0 }
code { background: #f3f3f3; padding: .1rem .3rem; border-radius: 3px; overflow-wrap: anywhere }
section p { max-width: 46rem; white-space: pre-line }
section p.command { max-width: none }
.wide { overflow-x: auto }
section { margin-top: 3rem; border-top: 3px solid #1f6fb4 }
pre { background: #f7f7f7; padding: .8rem; overflow-x: auto; font-size: .8rem }
.failed { color: #b00020 }
@media (prefers-color-scheme: dark) {
  body { background: #181a1b; color: #ddd } code, pre { background: #26292b } th, td { border-color: #3a3d3f }
  img { background: #fff; border-radius: 4px }
}
"""


@dataclass
class Run:
    """What a run left behind."""

    command: str
    seconds: float
    metrics: Metrics | None
    log: str
    pictures: list[pathlib.Path]


@dataclass
class Result:
    """An experiment's run, and PyTorch's where there is one."""

    experiment: Experiment
    ours: Run
    torch: Run | None = None

    @property
    def measured(self) -> str:
        return self._reading(self.ours)

    @property
    def by_torch(self) -> str:
        return self._reading(self.torch) if self.torch else ""

    @property
    def training(self) -> str:
        """Seconds of training steps, of the processor's time."""
        times = [training_seconds(one.metrics) for one in (self.ours, self.torch) if one and one.metrics]
        return "; PyTorch ".join(f"{seconds:.1f}" for seconds in times if seconds)

    def _reading(self, one: Run) -> str:
        return self.experiment.measure(one.metrics) if one.metrics is not None else "failed"


def training_seconds(metrics: Any) -> float:
    """The processor's seconds in training steps, of all the histories in the metrics."""
    if not isinstance(metrics, dict):
        return 0.0
    own = metrics.get("processor_seconds_of_epoch", [])
    return sum(own) + sum(training_seconds(value) for value in metrics.values())


def run(experiment: Experiment, given: argparse.Namespace, torch: bool = False) -> Run:
    """Run an experiment in a process of its own; with `--keep`, take what an earlier run left."""
    folder = given.out / (f"{experiment.name}_torch" if torch else experiment.name)
    kind = f"{'torch' if torch else 'ours'}_seed{given.seed}{'_quick' if given.quick else ''}"
    arguments = [*experiment.command, *(experiment.real if given.data else []), "--seed", str(given.seed)]
    arguments = [one.format(weights=given.out / "weights" / kind) for one in arguments]
    if given.quick:
        arguments.append("--quick")
    if given.data:
        arguments += ["--data", str(given.data)]
    arguments = ["compare_torch", *arguments] if torch else arguments
    command = ["-m", f"examples.{arguments[0]}", *arguments[1:]]
    shown = shlex.join(["python", *command])
    files = {name: folder / name for name in ("metrics.json", "log.txt", "run.json")}
    if given.keep and files["metrics.json"].exists() and files["run.json"].exists():
        kept = json.loads(files["run.json"].read_text(encoding="utf-8"))
        if kept["command"] == shown:
            return _collected(folder, shown, kept["seconds"])

    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.png"), *files.values()):
        old.unlink(missing_ok=True)
    full = [sys.executable, *command, "--out", str(folder), "--json", str(files["metrics.json"])]
    started = time.perf_counter()
    with files["log.txt"].open("wb") as log:
        subprocess.run(full, stdout=log, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - started
    files["run.json"].write_text(json.dumps({"command": shown, "seconds": seconds}), encoding="utf-8")
    return _collected(folder, shown, seconds)


def _collected(folder: pathlib.Path, command: str, seconds: float) -> Run:
    file = folder / "metrics.json"  # the last that an example writes: if it is missing, the example failed
    metrics = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    log = (folder / "log.txt").read_text(encoding="utf-8")
    return Run(command, seconds, metrics, log, sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns))


def introduction(example: str) -> str:
    """What the example says of itself, without its commands, as HTML."""
    source = (pathlib.Path(__file__).parent / f"{example}.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    paragraphs = [one for one in text.split("\n\n") if not one.startswith("    ")]
    joined = (re.sub(r"\n(?!\* |\d\. )\s*", " ", html.escape(one)) for one in paragraphs)  # items of lists stay apart
    listed = (re.sub(r"^\* ", "\N{BULLET} ", one, flags=re.MULTILINE) for one in joined)
    marked = (re.sub(r"`+([^`]+)`+", r"<code>\1</code>", one) for one in listed)
    return "".join(f"<p>{one}</p>" for one in marked)


def table_row(result: Result) -> str:
    one, ours = result.experiment, result.ours
    state = ' class="failed"' if ours.metrics is None else ""
    cells = [f'<td><a href="#{one.name}">{html.escape(one.title)}</a></td>']
    cells += [f"<td{state}>{html.escape(result.measured)}</td>"]
    rest = [one.target, one.elsewhere, result.by_torch, f"{ours.seconds:.0f}", result.training]
    cells += [f"<td>{html.escape(text)}</td>" for text in rest]
    return f"<tr>{''.join(cells)}</tr>"


def section(result: Result, introduced: bool) -> str:
    """An experiment's part of the page; the pictures are inside it."""
    one, ours = result.experiment, result.ours
    compared = {"Reached": result.measured, "target": one.target, "elsewhere": one.elsewhere}
    compared["PyTorch, same file"] = result.by_torch
    figures = "; ".join(f"{name}: {text}" for name, text in compared.items() if text)
    pictures = "".join(
        f'<img alt="{html.escape(path.stem.replace("_", " "))}" '
        f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
        for path in ours.pictures
    )
    log = "\n".join(
        line
        for line in ours.log.splitlines()
        if not line.startswith(("figure", "metrics", "weights ", "autograd_lite:"))
    )
    return (
        f'<section id="{one.name}"><h2>{html.escape(one.title)}</h2>'
        f"{'' if introduced else introduction(one.command[0])}<p><strong>{html.escape(figures)}</strong></p>"
        f'<p class="command"><code>{html.escape(ours.command)}</code>, {ours.seconds:.0f} s</p>'
        f"<pre>{html.escape(log.strip())}</pre>{pictures}</section>"
    )


def page(results: list[Result], quick: bool) -> str:
    """The whole page."""
    titles = ["Experiment", "Reached", "Target", "Elsewhere", "PyTorch, same file", "Seconds", "Training (processor s)"]
    heads = "".join(f"<th>{title}</th>" for title in titles)
    rows = "".join(table_row(result) for result in results)
    examples = [result.experiment.command[0] for result in results]
    sections = "".join(section(one, examples[k] in examples[:k]) for k, one in enumerate(results))
    note = "<p>Quick runs on little data: the figures are not comparable with the targets.</p>" if quick else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>autograd_lite: the experiments</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<h1>autograd_lite: the experiments</h1>{note}<div class="wide"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{sections}</body></html>\n"
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("AUTOGRAD_LITE_DATA"),
        help="folder with the data sets' files (or set AUTOGRAD_LITE_DATA)",
    )
    parser.add_argument(
        "--only", metavar="NAMES", help=f"some, parted by commas, of {', '.join(one.name for one in EXPERIMENTS)}"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all runs")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/report"), help="folder for page and runs")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all metrics to this file")
    parser.add_argument("--quick", action="store_true", help="runs of seconds on little data")
    parser.add_argument("--compare", action="store_true", help="run PyTorch beside, where it can run the same example")
    parser.add_argument("--keep", action="store_true", help="take results that an earlier run left in --out")
    given = parser.parse_args(arguments)
    names = {one.name for one in EXPERIMENTS}
    given.only = given.only.split(",") if given.only else sorted(names)
    unknown = set(given.only) - names
    if unknown:
        parser.error(f"unknown experiments: {', '.join(sorted(unknown))}")
    return given


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    chosen = [one for one in EXPERIMENTS if one.name in given.only and (given.data or not one.needs_data)]
    for one in EXPERIMENTS:
        if one.name in given.only and one not in chosen:
            print(f"left out  {one.name}: needs --data DIR")
    results = []
    bar = options.progress(chosen, unit="experiment")
    for one in bar:
        bar.set_description(one.name)
        result = Result(one, run(one, given), run(one, given, torch=True) if given.compare and one.comparable else None)
        print(f"{one.name:22} {result.measured}   ({result.ours.seconds:.0f} s)", flush=True)
        if result.torch:
            print(f"{'  by PyTorch':22} {result.by_torch}   ({result.torch.seconds:.0f} s)", flush=True)
        results.append(result)
        path = given.out / "report.html"
        path.write_text(page(results, given.quick), encoding="utf-8")  # after each: a page is there if it is stopped
    print(f"page      {path}" if results else "nothing to run")
    metrics = {
        r.experiment.name: {
            "seconds": r.ours.seconds,
            "measured": r.measured,
            "by_torch": r.by_torch,
            "training_seconds": r.training,
            "metrics": r.ours.metrics,
        }
        for r in results
    }
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
