"""Backpropagation beside central differences, for every weight and bias of the two-layer network.

As in the course: each number w of the network is moved by eps to both sides, and (L(w + eps) - L(w - eps)) / (2 eps)
is compared with what backward() says. In float64 the two agree to better than one in a million.

    python -m examples.gradient_check
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, options
from .common.figures import BLUE, GREY, ORANGE, plt
from .mlp import TwoLayerNetwork

EPS = 3e-5


@ag.no_grad()
def central_differences(
    loss: Callable[[], Tensor], parameter: Tensor, places: Iterable[int], eps: float = EPS
) -> np.ndarray:
    """(L(w + eps) - L(w - eps)) / (2 eps) for the numbers w at `places` of a parameter, seen as a vector."""
    numbers = parameter.detach().numpy().reshape(-1)  # shares memory with the parameter
    slopes = []
    for k in places:
        kept = numbers[k]
        numbers[k] = kept + eps
        above = loss().item()
        numbers[k] = kept - eps
        below = loss().item()
        numbers[k] = kept
        slopes.append((above - below) / (2 * eps))
    return np.array(slopes)


def relative_errors(computed: np.ndarray, numerical: np.ndarray) -> np.ndarray:
    """|a - b| / max(|a|, |b|), for gradients below a thousandth of the largest relative to that."""
    size = np.maximum(np.abs(computed), np.abs(numerical))
    return np.abs(computed - numerical) / np.maximum(size, 1e-3 * size.max())


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=(), batch_size=10)
    parser.add_argument("--pixels", type=options.positive_int, default=64, help="inputs of the network")
    parser.add_argument("--hidden", type=options.positive_int, default=25, help="hidden units")
    parser.add_argument("--classes", type=options.positive_int, default=10)
    given = parser.parse_args(arguments)
    if given.quick:
        given.pixels, given.hidden = min(given.pixels, 16), min(given.hidden, 8)
    return given


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    model = TwoLayerNetwork(given.pixels, given.hidden, given.classes).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases too: at zero they would hide mistakes
    x = ag.randn(given.batch_size, given.pixels, dtype=ag.float64)
    labels = ag.randint(0, given.classes, (given.batch_size,))

    def loss() -> Tensor:
        return nn.functional.cross_entropy(model(x), labels, reduction="sum")

    loss().backward()
    count = sum(p.numel() for p in model.parameters())
    worst, compared = {}, {}
    with options.progress(None, unit="weight", total=count) as bar:
        for name, parameter in model.named_parameters():
            numerical = central_differences(loss, parameter, range(parameter.numel()))
            computed = parameter.grad.numpy().ravel()
            worst[name] = float(relative_errors(computed, numerical).max())
            compared[name] = (computed, numerical)
            bar.update(parameter.numel())
    for name, error in worst.items():
        print(f"{name:14} {len(compared[name][0]):6} numbers, largest relative error {error:.1e}")
    largest = max(worst.values())
    assert largest < 1e-6, f"backprop and central differences differ by {largest}"

    sizes = 10.0 ** np.arange(-11, 0)
    weight = model.layer1.weight
    some = range(min(weight.numel(), 400))
    computed = weight.grad.numpy().ravel()[: len(some)]
    by_size = [relative_errors(computed, central_differences(loss, weight, some, eps)).max() for eps in sizes]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for computed, numerical in compared.values():
        left.plot(numerical, computed, ".", ms=3, color=BLUE)
    limits = left.get_xlim()
    left.plot(limits, limits, color=GREY, lw=0.8, zorder=0)
    left.set_xlabel("central differences")
    left.set_ylabel("backprop")
    left.set_title(f"{count} gradients, largest relative error {largest:.0e}")
    right.loglog(sizes, by_size, "o-", color=ORANGE)
    right.axvline(EPS, color=GREY, ls=":")
    right.set_xlabel("eps")
    right.set_ylabel("largest relative error")
    right.set_title("Rounding to the left, curvature to the right")
    figure.tight_layout()
    figures.save(figure, out / "gradient_check.png")
    metrics = {"example": "gradient_check", "parameters": count, "largest_relative_error": largest, "by_name": worst}
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
