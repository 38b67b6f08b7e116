"""The command-line options that every example takes, and the progress bar."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import autograd_lite as ag


class Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The example's text as it is written, and the defaults that there are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None or action.default is False else super()._get_help_string(action)


def parser(
    description: str | None,
    *,
    datasets: tuple[str, ...],
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
) -> argparse.ArgumentParser:
    """An argument parser with the common options; an example adds its own.

    What has no default here is the recipe's: see `complete`. An example without data sets takes their options, as
    all do, but has no use for them and does not show them.
    """

    def shown(text: str, where: bool = bool(datasets)) -> str:
        return text if where else argparse.SUPPRESS

    made = argparse.ArgumentParser(description=description, formatter_class=Help)
    names = datasets or ("none",)
    made.add_argument("--dataset", choices=names, default=names[0], help=shown("what to train on"))
    made.add_argument("--data", metavar="DIR", default=os.environ.get("AUTOGRAD_LITE_DATA"), help=shown(
        "folder with the data sets' files (or set AUTOGRAD_LITE_DATA)" + "; glyphs needs none" * ("glyphs" in names)
    ))  # fmt: skip
    made.add_argument(
        "--epochs", type=positive_int, metavar="N", default=epochs, help=shown("passes over the training set")
    )
    made.add_argument(
        "--batch-size",
        type=positive_int,
        metavar="N",
        default=batch_size,
        help=shown("examples in a step", bool(datasets or batch_size)),
    )
    made.add_argument("--lr", type=positive, default=lr, help=shown("learning rate"))
    made.add_argument(
        "--seed", type=int, metavar="N", default=0, help="of the initial weights and the order of examples"
    )
    made.add_argument(
        "--out", type=pathlib.Path, metavar="DIR", default=pathlib.Path("out"), help="folder for the figures"
    )
    made.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the metrics to this file")
    made.add_argument("--quick", action="store_true", help="a run of seconds on little data, to see it work")
    return made


def complete(given: argparse.Namespace, recipe: dict[str, Any], quick_epochs: int) -> argparse.Namespace:
    """Take what was not given on the command line from a recipe, and fewer epochs for a quick run."""
    for name, value in recipe.items():
        if getattr(given, name, None) is None:
            setattr(given, name, value)
    if given.quick:
        given.epochs = min(given.epochs, quick_epochs)
    return given


def add_checkpoint(made: argparse.ArgumentParser) -> None:
    """The option to stop a training run and go on with it later."""
    made.add_argument(
        "--checkpoint",
        type=pathlib.Path,
        metavar="FILE",
        help="keep the state of the run in this file after every epoch, and go on from it if it is there",
    )


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def start(options: argparse.Namespace) -> pathlib.Path:
    """Seed the generator and make the folder for the figures; returns it."""
    ag.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    return options.out


def progress(items: Iterable[Any], unit: str = "epoch", **options: Any) -> Any:
    """The items, with a progress bar where somebody looks at it."""
    try:
        from tqdm import tqdm
    except ImportError:
        sys.exit("the examples need tqdm: pip install 'autograd_lite[examples]'")
    return tqdm(items, unit=unit, file=sys.stderr, dynamic_ncols=True, disable=None, **options)


def report(options: argparse.Namespace, metrics: dict[str, Any]) -> dict[str, Any]:
    """Write the metrics as JSON, if a file was asked for; returns them."""
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        print(f"metrics   {options.json}")
    return metrics
