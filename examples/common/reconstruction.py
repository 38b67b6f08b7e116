"""What the autoencoder and PCA share: images as their own targets, and how good a reconstruction is."""

from __future__ import annotations

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor

from . import images


def psnr(outputs: Tensor, targets: Tensor) -> float:
    """Mean over the images of the peak signal-to-noise ratio in decibels, for values in [0, 1]."""
    errors = ((outputs - targets) ** 2).mean(1)
    return (-10 * ag.log10(errors)).mean().item()


def as_targets(split: images.Split) -> images.Split:
    """The images, flattened, as their own targets."""
    flat = images.to_float(split.images).flatten(1)
    return images.Split(flat, flat)


def examples_of_classes(labels: np.ndarray, classes: int, each: int = 2) -> np.ndarray:
    """The places of two images of each of five classes, as the course shows them."""
    chosen = np.unique(labels)[:: max(len(np.unique(labels)) // classes, 1)][:classes]
    return np.concatenate([np.flatnonzero(labels == label)[:each] for label in chosen])
