"""The image data sets of the examples, by the names that ``--dataset`` takes."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import autograd_lite as ag


@dataclass
class Split:
    """Images (N, C, H, W) in [0, 1] and labels (N,)."""

    images: ag.Tensor
    labels: ag.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int) -> Split:
        return Split(self.images[:n], self.labels[:n])


@dataclass
class Images:
    """A data set in memory."""

    name: str
    train: Split
    valid: Split
    test: Split
    classes: list[str]


def load(options: argparse.Namespace) -> Images:
    """The data set that the options ask for; ends the program with a message if its files are missing."""
    name = options.dataset
    if name != "glyphs" and not options.data:
        sys.exit(f"--dataset {name} needs --data DIR, the folder with its files (or set AUTOGRAD_LITE_DATA)")
    try:
        if name == "glyphs":
            parts = {s: ag.datasets.Glyphs(s) for s in ("train", "valid", "test")}
        elif name == "nist36":
            parts = {s: ag.datasets.NIST36(options.data, s) for s in ("train", "valid", "test")}
        else:
            raise ValueError(f"unknown data set {name!r}")
    except (FileNotFoundError, ImportError) as error:
        sys.exit(str(error))
    splits = {s: Split(*part.tensors()) for s, part in parts.items()}
    if options.quick:  # the files are in random order
        splits = {s: split.first(2000) for s, split in splits.items()}
    return Images(name, splits["train"], splits["valid"], splits["test"], parts["train"].classes)
