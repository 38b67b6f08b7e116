"""Backpropagation beside central differences, for every weight and bias of the two-layer network.

As in the course: each number w of the network is moved by eps to both sides, and (L(w + eps) - L(w - eps)) / (2 eps)
is compared with what backward() says. In float64 the two agree to better than one in a million.

    python -m examples.gradient_check
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, options
from .common.figures import BLUE, GREY, ORANGE, plt
from .mlp import TwoLayerNetwork

EPS = 3e-5


@ag.no_grad()
def numerical_gradient(
    model: nn.Module, parameter: Tensor, x: Tensor, labels: Tensor, eps: float, bar: Any
) -> np.ndarray:
    """Central differences of the loss in every number of `parameter`."""
    numbers = parameter.detach().numpy().reshape(-1)  # shares memory with the parameter
    slopes = np.empty_like(numbers)
    for k in range(len(numbers)):
        kept = numbers[k]
        numbers[k] = kept + eps
        above = loss(model, x, labels).item()
        numbers[k] = kept - eps
        below = loss(model, x, labels).item()
        numbers[k] = kept
        slopes[k] = (above - below) / (2 * eps)
        bar.update()
    return slopes.reshape(tuple(parameter.shape))


def loss(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(model(x), labels, reduction="sum")


def relative_errors(computed: np.ndarray, numerical: np.ndarray) -> np.ndarray:
    """|a - b| / max(|a|, |b|), for gradients below a thousandth of the largest relative to that."""
    size = np.maximum(np.abs(computed), np.abs(numerical))
    return np.abs(computed - numerical) / np.maximum(size, 1e-3 * size.max())


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=("none",), batch_size=10)
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
    loss(model, x, labels).backward()

    count = sum(p.numel() for p in model.parameters())
    worst, compared = {}, {}
    with options.progress(None, unit="weight", total=count) as bar:
        for name, parameter in model.named_parameters():
            numerical = numerical_gradient(model, parameter, x, labels, EPS, bar)
            computed = parameter.grad.numpy()
            worst[name] = float(relative_errors(computed, numerical).max())
            compared[name] = (computed.ravel(), numerical.ravel())
    for name, error in worst.items():
        print(f"{name:14} {model.get_parameter(name).numel():6} numbers, largest relative error {error:.1e}")
    largest = max(worst.values())
    assert largest < 1e-6, f"backprop and central differences differ by {largest}"

    some = min(given.pixels * given.hidden, 400)
    name = next(iter(compared))
    parameter = model.get_parameter(name)
    sizes = 10.0 ** np.arange(-11, 0)
    by_size = error_by_step(model, parameter, x, labels, sizes, some)
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


def error_by_step(
    model: nn.Module, parameter: Tensor, x: Tensor, labels: Tensor, sizes: np.ndarray, count: int
) -> list[float]:
    """The largest error of central differences in `count` numbers, for each size of step."""
    computed = parameter.grad.numpy().ravel()[:count]
    numbers = parameter.detach().numpy().reshape(-1)
    errors = []
    with ag.no_grad():
        for eps in sizes:
            slopes = []
            for k in range(count):
                kept, values = numbers[k], []
                for moved in (kept + eps, kept - eps):
                    numbers[k] = moved
                    values.append(loss(model, x, labels).item())
                numbers[k] = kept
                slopes.append((values[0] - values[1]) / (2 * eps))
            errors.append(float(relative_errors(computed, np.array(slopes)).max()))
    return errors


if __name__ == "__main__":
    main()
