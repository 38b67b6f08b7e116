"""What backpropagation saves: the cost of a gradient with and without keeping intermediate derivatives.

The derivative of the loss by a weight is a sum over all paths from the weight to the loss. A network of N layers of
K units has K^(N-l) paths from a unit of layer l, so taking each weight apart costs O(K^(N+1)) in all. Backpropagation
computes the derivative by each unit once and keeps it: O(N K^2) for a sample.

    python -m examples.backprop_cost
"""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor

from .common import figures, options
from .common.figures import BLUE, GREY, ORANGE, plt


def network(depth: int, width: int, dtype: Any = ag.float64) -> list[Tensor]:
    """The weights of `depth` layers of `width` units."""
    return [(ag.randn(width, width, dtype=dtype) / width**0.5).requires_grad_() for _ in range(depth)]


def forward(weights: list[Tensor], x: Tensor) -> list[Tensor]:
    """The outputs of all layers, the input first."""
    outputs = [x]
    for weight in weights:
        outputs.append(ag.tanh(outputs[-1] @ weight.T))
    return outputs


class PathSums:
    """The gradient of the sum of the last layer's outputs, each weight by itself: nothing is kept."""

    def __init__(self, weights: list[Tensor], x: Tensor) -> None:
        with ag.no_grad():
            outputs = [layer.tolist() for layer in forward(weights, x)]
        self.outputs = outputs
        self.weights = [weight.tolist() for weight in weights]
        self.slopes = [[1 - y * y for y in layer] for layer in outputs[1:]]
        self.products = 0

    def by_unit(self, layer: int, unit: int) -> float:
        """The derivative by one unit's output, from those of the next layer, computed anew every time."""
        if layer == len(self.weights) - 1:
            return 1.0
        total = 0.0
        for k, slope in enumerate(self.slopes[layer + 1]):
            total += self.by_unit(layer + 1, k) * slope * self.weights[layer + 1][k][unit]
            self.products += 1
        return total

    def gradient(self) -> list[np.ndarray]:
        gradients = []
        for layer, weight in enumerate(self.weights):
            size = range(len(weight))
            gradients.append(
                np.array(
                    [
                        [self.by_unit(layer, j) * self.slopes[layer][j] * self.outputs[layer][i] for i in size]
                        for j in size
                    ]
                )
            )
        return gradients


def time_paths(depth: int, width: int, repeats: int = 1) -> tuple[float, int]:
    """Processor seconds (the least of some repeats) and products for a gradient from path sums.

    The gradient is compared with that of `backward`.
    """
    ag.manual_seed(depth * 100 + width)
    weights, x = network(depth, width), ag.randn(width, dtype=ag.float64)
    forward(weights, x)[-1].sum().backward()
    best = float("inf")
    for _ in range(repeats):
        sums = PathSums(weights, x)
        started = time.process_time()
        gradients = sums.gradient()
        best = min(best, time.process_time() - started)
    for ours, weight in zip(gradients, weights, strict=True):
        assert np.allclose(ours, weight.grad.numpy(), rtol=1e-9, atol=1e-12)
    return best, sums.products


def time_backward(depth: int, width: int, samples: int, repeats: int) -> float:
    """Processor seconds for a sample's gradient by `backward`: the least of some repeats, forward not counted."""
    ag.manual_seed(0)
    weights, x = network(depth, width, ag.float32), ag.randn(samples, width)
    best = float("inf")
    for _ in range(repeats):
        loss = forward(weights, x)[-1].sum()
        started = time.process_time()
        loss.backward()
        best = min(best, time.process_time() - started)
        for weight in weights:
            weight.grad = None
    return best / samples


@dataclass
class Growth:
    """Seconds measured over a size, and the law predicted for them: a power of the size, or a factor a step of it."""

    what: str
    label: str
    sizes: list[int]
    seconds: list[float]
    predicted: float
    factor: bool = False

    @property
    def fitted(self) -> float:
        """The exponent (or the factor) of the line through the logarithms."""
        across = self.sizes if self.factor else np.log(self.sizes)
        slope = float(np.polyfit(across, np.log(self.seconds), 1)[0])
        return float(np.exp(slope)) if self.factor else slope

    @property
    def law(self) -> np.ndarray:
        """The predicted seconds, through the last that was measured."""
        sizes = np.array(self.sizes, float)
        law = self.predicted**sizes if self.factor else sizes**self.predicted
        return law / law[-1] * self.seconds[-1]

    def __str__(self) -> str:
        if self.factor:
            return f"x{self.fitted:.2f} a layer (predicted x{self.predicted:g})"
        variable = "N" if self.label == "layers" else "K"
        return f"{variable}^{self.fitted:.2f} (predicted {variable}^{self.predicted:g})"


def measure(given: argparse.Namespace) -> list[Growth]:
    """Time backpropagation and path sums over the width and the depth of the network, the other fixed."""
    widths, depths, repeats = [64, 128, 256, 512, 1024], [2, 4, 8, 16, 32], 15
    path_widths, path_depths = [4, 6, 9, 13, 18], [2, 3, 4, 5, 6, 7]
    depth, width, path_depth, path_width = 4, 256, 4, 4
    if given.quick:
        widths, depths, repeats, width = [32, 64, 128], [2, 4, 8], 3, 64
        path_widths, path_depths = [2, 3, 4], [2, 3, 4]

    def backward(depth: int, width: int) -> float:
        return time_backward(depth, width, given.batch_size, repeats)

    def paths(depth: int, width: int) -> float:
        return time_paths(depth, width, repeats=3)[0]

    steps = len(widths) + len(depths) + len(path_widths) + len(path_depths)
    with options.progress(None, unit="network", total=steps, desc="timing") as bar:

        def timed(function: Callable[[int, int], float], sizes: Iterable[tuple[int, int]]) -> list[float]:
            seconds = []
            for size in sizes:
                seconds.append(function(*size))
                bar.update()
            return seconds

        units, layers = "units a layer", "layers"
        return [
            Growth("backward over width", units, widths, timed(backward, [(depth, k) for k in widths]), 2),
            Growth("backward over depth", layers, depths, timed(backward, [(n, width) for n in depths]), 1),
            Growth("paths over width", units, path_widths, timed(paths, [(path_depth, k) for k in path_widths]),
                   path_depth + 1),
            Growth("paths over depth", layers, path_depths, timed(paths, [(n, path_width) for n in path_depths]),
                   path_width, factor=True),
        ]  # fmt: skip


def draw(measured: list[Growth], path: pathlib.Path) -> None:
    figure, grid = plt.subplots(2, 2, figsize=(10, 7.4))
    for axes, growth in zip(grid.flat, measured, strict=True):
        whole = growth.what.startswith("backward")
        axes.plot(growth.sizes, growth.seconds, "o-", color=BLUE if whole else ORANGE, label="measured")
        axes.plot(growth.sizes, growth.law, "--", color=GREY, label="predicted")
        axes.set_yscale("log")
        if not growth.factor:
            axes.set_xscale("log", base=2)
        axes.set_xticks(growth.sizes, [str(size) for size in growth.sizes])
        axes.minorticks_off()
        axes.set_xlabel(growth.label)
        axes.set_ylabel("seconds a sample")
        axes.set_title(f"{'Backpropagation' if whole else 'Each weight apart'}: {growth}", fontsize=10)
        axes.legend(frameon=False)
    figure.suptitle("What the gradient of one sample costs")
    figure.tight_layout()
    figures.save(figure, path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    return options.parser(__doc__, datasets=(), batch_size=256).parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    measured = measure(given)
    for growth in measured:
        print(f"{growth.what:20} {growth}")
    draw(measured, out / "backprop_cost.png")
    metrics: dict[str, Any] = {
        "example": "backprop_cost",
        "fitted": {growth.what: growth.fitted for growth in measured},
        "predicted": {growth.what: growth.predicted for growth in measured},
        "seconds": {growth.what: dict(zip(growth.sizes, growth.seconds, strict=True)) for growth in measured},
    }
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
