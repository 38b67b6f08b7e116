"""What backpropagation saves: the cost of a gradient with and without keeping intermediate derivatives.

The derivative of the loss by a weight is a sum over all paths from the weight to the loss. A network of N layers of
K units has K^(N-l) paths from a unit of layer l, so taking each weight apart costs O(K^(N+1)) in all. Backpropagation
computes the derivative by each unit once and keeps it: O(N K^2) for a sample.

    python -m examples.backprop_cost
"""

from __future__ import annotations

import argparse
import time
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


def exponent(sizes: Any, seconds: Any) -> float:
    """The slope of a line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    return options.parser(__doc__, datasets=(), batch_size=256).parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    quick = given.quick
    widths, depths = ([32, 64, 128], [2, 4, 8]) if quick else ([64, 128, 256, 512, 1024], [2, 4, 8, 16, 32])
    fixed_depth, fixed_width = 4, 64 if quick else 256
    path_widths, path_depths = [2, 3, 4], [2, 3, 4]
    if not quick:
        path_widths, path_depths = [4, 6, 9, 13, 18], [2, 3, 4, 5, 6, 7]
    path_depth, path_width = 4, 4

    steps = len(widths) + len(depths) + len(path_widths) + len(path_depths)
    with options.progress(None, unit="network", total=steps, desc="timing") as bar:

        def timed(function: Any, *sizes: Any) -> Any:
            result = function(*sizes)
            bar.update()
            return result

        repeats = 3 if quick else 15
        by_width = [timed(time_backward, fixed_depth, k, given.batch_size, repeats) for k in widths]
        by_depth = [timed(time_backward, n, fixed_width, given.batch_size, repeats) for n in depths]
        paths_by_width = [timed(time_paths, path_depth, k, 3) for k in path_widths]
        paths_by_depth = [timed(time_paths, n, path_width, 3) for n in path_depths]

    fitted = {
        "backward over width": exponent(widths, by_width),
        "backward over depth": exponent(depths, by_depth),
        "paths over width": exponent(path_widths, [seconds for seconds, _ in paths_by_width]),
        "paths' factor a layer": float(
            np.exp(np.polyfit(path_depths, np.log([seconds for seconds, _ in paths_by_depth]), 1)[0])
        ),
    }
    predicted = {
        "backward over width": 2.0,
        "backward over depth": 1.0,
        "paths over width": float(path_depth + 1),
        "paths' factor a layer": float(path_width),
    }
    for name, value in fitted.items():
        print(f"{name:24} measured {value:.2f}, predicted {predicted[name]:g}")

    figure, grid = plt.subplots(2, 2, figsize=(10, 7.4))
    panels = (
        (grid[0, 0], widths, by_width, "units a layer", "backward over width", BLUE),
        (grid[0, 1], depths, by_depth, "layers", "backward over depth", BLUE),
        (grid[1, 0], path_widths, [s for s, _ in paths_by_width], "units a layer", "paths over width", ORANGE),
        (grid[1, 1], path_depths, [s for s, _ in paths_by_depth], "layers", "paths' factor a layer", ORANGE),
    )
    for axes, sizes, seconds, label, name, color in panels:
        sizes = np.array(sizes, float)
        axes.plot(sizes, seconds, "o-", color=color, label="measured")
        if name.startswith("paths' factor"):
            law = predicted[name] ** sizes
            title = f"Each weight apart: x{fitted[name]:.2f} a layer (predicted x{predicted[name]:g})"
        else:
            law = sizes ** predicted[name]
            kind = "Backpropagation" if name.startswith("backward") else "Each weight apart"
            variable = "N" if label == "layers" else "K"
            title = f"{kind}: {variable}^{fitted[name]:.2f} (predicted {variable}^{predicted[name]:g})"
        axes.plot(sizes, law / law[-1] * seconds[-1], "--", color=GREY, label="predicted")
        axes.set_yscale("log")
        if not name.startswith("paths' factor"):
            axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [f"{int(s)}" for s in sizes])
        axes.minorticks_off()
        axes.set_xlabel(label)
        axes.set_ylabel("seconds a sample")
        axes.set_title(title, fontsize=10)
        axes.legend(frameon=False)
    figure.suptitle("What the gradient of one sample costs")
    figure.tight_layout()
    figures.save(figure, out / "backprop_cost.png")
    metrics = {"example": "backprop_cost", "fitted": fitted, "predicted": predicted}
    metrics["seconds"] = {"widths": widths, "by_width": by_width, "depths": depths, "by_depth": by_depth}
    metrics["paths"] = {"widths": path_widths, "by_width": paths_by_width}
    metrics["paths"].update(depths=path_depths, by_depth=paths_by_depth)
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
