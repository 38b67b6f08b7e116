"""Facts about activations and initial weights that decide whether a deep network learns.

1. Sigmoid and tanh and their derivatives, drawn, and computed by reverse mode.
2. The gradient that reaches the first of 1 to 20 layers: the sigmoid's derivative is at most 1/4, so it shrinks at
   least fourfold a layer; ReLU's with suitable weights does not shrink.
3. Softmax does not change when all scores are shifted by the same number; written without that shift it overflows.
4. A network that starts at zero does not learn: all its hidden units stay the same. Xavier's rule (Glorot and
   Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010) keeps the
   variance from layer to layer.

    python -m examples.activations
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, options
from .common.figures import BLUE, GREY, ORANGE, plt

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": ag.sigmoid, "tanh": ag.tanh, "ReLU": ag.relu}
WIDTH = 64


def derivative(function: Callable[[Tensor], Tensor], x: np.ndarray) -> np.ndarray:
    """The derivative of an elementwise function at each of the points `x`."""
    points = ag.tensor(x, requires_grad=True)
    function(points).sum().backward()
    return points.grad.numpy()


def draw_activations(path: pathlib.Path) -> dict[str, float]:
    x = np.linspace(-6, 6, 601)
    largest = {}
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), sharex=True)
    for axes, (name, function) in zip(panels, ACTIVATIONS.items(), strict=True):
        slope = derivative(function, x)
        largest[name] = float(slope.max())
        axes.plot(x, function(ag.tensor(x)).numpy(), color=BLUE, label="value")
        axes.plot(x, slope, color=ORANGE, label="derivative")
        axes.set_title(f"{name}: slope at most {largest[name]:g}")
        axes.set_ylim(-1.1, 2.1 if name == "ReLU" else 1.1)
        axes.set_xlabel("x")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    figures.save(figure, path)
    return largest


def gradient_sizes(activation: Callable[[Tensor], Tensor], gain: float, depths: range) -> list[float]:
    """The mean size of the gradient of the first layer's weights in networks of different depth.

    Each is relative to that of the last layer.
    """
    sizes = []
    for depth in depths:
        ag.manual_seed(depth)
        weights = [ag.randn(WIDTH, WIDTH) * (gain / WIDTH**0.5) for _ in range(depth)]
        for weight in weights:
            weight.requires_grad_()
        x = ag.randn(256, WIDTH)
        for weight in weights:
            x = activation(x @ weight)
        (x * ag.randn(256, WIDTH)).sum().backward()
        first, last = weights[0].grad.norm().item(), weights[-1].grad.norm().item()
        sizes.append(first / last)
    return sizes


def draw_vanishing(path: pathlib.Path) -> dict[str, list[float]]:
    depths = range(1, 21)
    gains = {"sigmoid": 1.0, "tanh": 1.0, "ReLU": 2**0.5}  # Xavier's; He's for ReLU
    sizes = {name: gradient_sizes(function, gains[name], depths) for name, function in ACTIVATIONS.items()}
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for (name, values), color in zip(sizes.items(), (ORANGE, BLUE, "#3a9b57"), strict=True):
        axes.semilogy(depths, values, marker="o", ms=4, color=color, label=name)
    axes.semilogy(depths, 0.25 ** (np.array(depths) - 1.0), ":", color=GREY, label="a quarter a layer")
    axes.set_xticks(range(1, 21, 2))
    axes.set_ylim(bottom=min(sizes["sigmoid"]) / 10)
    axes.set_xlabel("layers")
    axes.set_ylabel("first layer's gradient / last layer's")
    axes.set_title("How much of the gradient reaches the first layer")
    axes.legend(frameon=False)
    figures.save(figure, path)
    return sizes


def naive_softmax(x: Tensor) -> Tensor:
    """The formula as it is written: exp overflows from 88.7 on in float32."""
    powers = ag.exp(x)
    return powers / powers.sum(-1, keepdim=True)


def check_softmax() -> dict[str, Any]:
    scores = ag.tensor([1.0, 2.0, 3.0])
    shifted = {shift: ag.softmax(scores + shift, -1) for shift in (0.0, -100.0, 100.0, 1000.0)}
    naive = naive_softmax(scores + 100.0)
    differences = {str(shift): (p - shifted[0.0]).abs().max().item() for shift, p in shifted.items()}
    assert max(differences.values()) < 1e-6, "softmax must not change when all scores are shifted"
    assert bool(ag.isnan(naive).all()), "inf / inf"
    assert bool(ag.isfinite(ag.log_softmax(scores * 1e30, -1)).all())
    return {"shift_changes_softmax_by": differences, "naive_softmax_of_scores_plus_100": str(naive.tolist())}


def check_zero_start(steps: int = 200) -> dict[str, Any]:
    """Train from zero weights and from Xavier's on a problem that needs hidden units: which quadrant?"""
    ag.manual_seed(0)
    points = ag.rand(400, 2) * 2 - 1
    labels = (points[:, 0] * points[:, 1] > 0).long()
    reached: dict[str, Any] = {}
    for start in ("zeros", "xavier"):
        model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        for parameter in model.parameters():
            if start == "xavier" and parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)
        optimizer = ag.optim.SGD(model.parameters(), lr=1.0)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(points), labels).backward()
            optimizer.step()
        hidden = model[0].weight.detach()
        reached[start] = {
            "accuracy": (model(points).argmax(1) == labels).float().mean().item(),
            "hidden_units_differ_by": (hidden - hidden[0]).abs().max().item(),
        }
    assert reached["zeros"]["hidden_units_differ_by"] == 0, "units that start equal get equal gradients"
    assert reached["zeros"]["accuracy"] < 0.6 and reached["xavier"]["accuracy"] > 0.9
    return reached


def layer_outputs(rule: Callable[[Tensor], Any], layers: int = 10, width: int = 256) -> list[np.ndarray]:
    """The outputs of each of `layers` tanh layers whose weights are drawn by `rule`."""
    ag.manual_seed(0)
    x = ag.randn(500, width)
    outputs = []
    for _ in range(layers):
        weight = ag.empty(width, width)
        rule(weight)
        x = ag.tanh(x @ weight.T)
        outputs.append(x.numpy().ravel())
    return outputs


def draw_initialisations(path: pathlib.Path) -> dict[str, list[float]]:
    rules: dict[str, Callable[[Tensor], Any]] = {
        "too small: normal, std 0.01": lambda w: nn.init.normal_(w, std=0.01),
        "too large: normal, std 1": lambda w: nn.init.normal_(w, std=1.0),
        "Xavier": nn.init.xavier_uniform_,
    }
    deviations = {}
    figure, grid = plt.subplots(3, 5, figsize=(11, 5.6), sharex=True)
    for line, (name, rule) in zip(grid, rules.items(), strict=True):
        outputs = layer_outputs(rule)
        deviations[name] = [float(layer.std()) for layer in outputs]
        for axes, number in zip(line, (1, 2, 4, 7, 10), strict=True):
            axes.hist(outputs[number - 1], bins=61, range=(-1, 1), color=BLUE)
            axes.set_yticks([])
            axes.set_title(f"layer {number}: std {deviations[name][number - 1]:.2g}", fontsize=9, fontweight="normal")
        line[0].set_ylabel(name.replace(": ", ":\n"), fontsize=9)
    figure.suptitle("Outputs of tanh layers")
    figure.tight_layout()
    figures.save(figure, path)

    # Without the activation Xavier's rule keeps the variance exactly, on average.
    ag.manual_seed(1)
    x = ag.randn(2000, 256)
    weight = ag.empty(256, 256)
    nn.init.xavier_uniform_(weight)
    ratio = ((x @ weight.T).var() / x.var()).item()
    assert abs(ratio - 1) < 0.05, f"Xavier's rule keeps the variance, got a ratio of {ratio}"
    deviations["variance ratio of a linear layer by Xavier's rule"] = [ratio]
    return deviations


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    slopes = draw_activations(out / "activations.png")
    assert slopes["sigmoid"] <= 0.25 and slopes["tanh"] <= 1
    sizes = draw_vanishing(out / "activations_gradients.png")
    assert sizes["sigmoid"][-1] < 1e-9 < 0.1 < sizes["ReLU"][-1]
    print("gradient  through 20 layers: " + ", ".join(f"{name} {v[-1]:.1e}" for name, v in sizes.items()))
    softmax = check_softmax()
    print(f"softmax   shifted by 1000: changes by {softmax['shift_changes_softmax_by']['1000.0']:.1e}; "
          f"written naively, scores + 100 give {softmax['naive_softmax_of_scores_plus_100']}")  # fmt: skip
    starts = check_zero_start()
    print("start     " + ", ".join(f"{name}: accuracy {v['accuracy']:.1%}" for name, v in starts.items()))
    deviations = draw_initialisations(out / "activations_initialisation.png")
    metrics = {"example": "activations", "largest_slopes": slopes, "gradient_sizes": sizes, "softmax": softmax}
    return options.report(given, {**metrics, "starts": starts, "standard_deviations": deviations})


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    return options.parser(__doc__, datasets=()).parse_args(arguments)


if __name__ == "__main__":
    main()
