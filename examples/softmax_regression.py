"""Softmax regression: the smallest network, one linear layer, on handwritten digits.

Its weights are images. Its loss is convex; over two of the weights, the others fixed, it is drawn as contours with
the paths of gradient descent with momentum 0, 0.25 and 0.8 (Polyak, Some methods of speeding up the convergence of
iteration methods, 1964).

    python -m examples.softmax_regression --dataset mnist --data DIR
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, images, options, training
from .common.figures import BLUE, plt
from .gradient_check import central_differences

MOMENTA = (0.0, 0.25, 0.8)


class SoftmaxRegression(nn.Module):
    """One score a class, linear in the pixels; zero at the start, which is fine where nothing is hidden."""

    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(pixels, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


class TwoWeights:
    """The loss on some images as a function of two weights of one class, all others as trained."""

    def __init__(self, model: SoftmaxRegression, split: images.Split, label: int, pixels: tuple[int, int]) -> None:
        self.label = label
        with ag.no_grad():
            x = images.to_float(split.images).flatten(1).double()
            self.x, self.labels = x[:, list(pixels)], split.labels
            self.trained = model.linear.weight[label, list(pixels)].detach().double()
            self.others = (x @ model.linear.weight.double().T + model.linear.bias.double()).detach()
        self.own = nn.functional.one_hot(ag.tensor(label), self.others.shape[1]).double()

    def __call__(self, weights: Tensor) -> Tensor:
        change = self.x @ (weights - self.trained)
        return nn.functional.cross_entropy(self.others + change[:, None] * self.own, self.labels)

    def descend(self, start: Tensor, lr: float, momentum: float, steps: int) -> np.ndarray:
        weights = start.clone().requires_grad_()
        optimizer = ag.optim.SGD([weights], lr=lr, momentum=momentum)
        path = [weights.detach().numpy().copy()]
        for _ in range(steps):
            optimizer.zero_grad()
            self(weights).backward()
            optimizer.step()
            path.append(weights.detach().numpy().copy())
        return np.array(path)


def two_pixels(split: images.Split, label: int) -> tuple[int, int]:
    """Two neighbouring pixels that are often written in, which makes a long valley: what one adds the other can."""
    x = images.to_float(split.images).flatten(1).numpy()
    side = split.images.shape[-1]
    spread = x[split.labels.numpy() == label].std(0).reshape(side, side)[:, :-1]
    row, column = divmod(int(spread.argmax()), side - 1)
    return row * side + column, row * side + column + 1


def draw_paths(
    model: SoftmaxRegression, split: images.Split, label: int, name: str, path: pathlib.Path
) -> dict[str, Any]:
    loss = TwoWeights(model, split.thinned(1000), label, two_pixels(split, label))
    curvature = ag.autograd.functional.hessian(loss, loss.trained).numpy()
    steepest = np.linalg.eigvalsh(curvature)[-1]
    start = loss.trained + ag.tensor([-3.0, 2.0], dtype=ag.float64)
    paths = {momentum: loss.descend(start, 0.6 / steepest, momentum, 40) for momentum in MOMENTA}

    lowest = loss.descend(start, 0.6 / steepest, 0.8, 400)[-1]
    every = np.concatenate([*paths.values(), lowest[None]])
    low, high = every.min(0) - 0.6, every.max(0) + 0.6
    across, up = (np.linspace(low[k], high[k], 50) for k in (0, 1))
    with ag.no_grad():
        surface = np.array([[loss(ag.tensor([a, b])).item() for a in across] for b in up])
    figure, axes = plt.subplots(figsize=(7.5, 5.5))
    levels = surface.min() + (surface.max() - surface.min()) * np.linspace(0, 1, 25) ** 2  # closer in the valley
    shown = axes.contourf(across, up, surface, levels, cmap="Blues", alpha=0.8)
    axes.contour(across, up, surface, levels, colors=BLUE, linewidths=0.5, alpha=0.5)
    for (momentum, points), color in zip(paths.items(), ("#d62728", "#f2a33c", "#111111"), strict=True):
        axes.plot(*points.T, "o-", ms=3, lw=1, zorder=3 - momentum, color=color, label=f"momentum {momentum:g}")
    axes.plot(*start.numpy(), "o", ms=8, mfc="white", mec="black", zorder=4, label="start")
    axes.plot(*lowest, "*", ms=14, mfc="white", mec="black", zorder=4, label="minimum")
    axes.set_xlabel(f"a weight of class {name}")
    axes.set_ylabel("the weight of the pixel to the right")
    axes.set_title("Forty steps of gradient descent on two weights")
    axes.grid(False)
    axes.legend(frameon=True, loc="best")
    figure.colorbar(shown, ax=axes, format="%.4f", ticks=levels[::4], label="cross-entropy")
    figures.save(figure, path)
    return {str(momentum): loss(ag.tensor(points[-1])).item() for momentum, points in paths.items()}


def check_gradient(model: SoftmaxRegression, split: images.Split) -> float:
    """The largest difference to central differences over 200 of the weights, relative to the largest gradient."""
    x, labels = images.to_float(split.thinned(100).images).flatten(1).double(), split.thinned(100).labels
    weight = model.linear.weight.detach().double().requires_grad_()
    bias = model.linear.bias.detach().double()

    def loss() -> Tensor:
        return nn.functional.cross_entropy(nn.functional.linear(x, weight, bias), labels)

    loss().backward()
    computed = weight.grad.numpy().ravel()
    places = np.linspace(0, len(computed) - 1, 200).astype(int)
    differences = central_differences(loss, weight, places, eps=1e-4) - computed[places]
    return float(np.abs(differences).max() / np.abs(computed).max())


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(
        __doc__, datasets=("glyphs", "mnist", "nist36", "emnist"), epochs=40, batch_size=1000, lr=0.2
    )
    parser.add_argument("--momentum", type=float, default=0.9)
    options.add_checkpoint(parser)
    given = parser.parse_args(arguments)
    if given.quick:
        given.epochs, given.batch_size = min(given.epochs, 5), min(given.batch_size, 100)
    return given


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given)
    print(f"data      {data}")
    side = data.shape[-1]
    model = SoftmaxRegression(side * side, len(data.classes))
    history = training.fit(
        model,
        data.train,
        data.valid,
        ag.optim.SGD(model.parameters(), lr=given.lr, momentum=given.momentum),
        epochs=given.epochs,
        batch_size=given.batch_size,
        checkpoint=given.checkpoint,
        seed=given.seed,
        description="softmax regression",
    )
    test_loss, test_accuracy = training.evaluate(model, data.test)
    error = check_gradient(model, data.test)
    print(
        f"accuracy  valid {history.last('valid_accuracy'):.3f}   test {test_accuracy:.3f}   in {history.seconds:.1f} s"
    )
    print(f"gradient  differs from central differences by {error:.1e} of the largest")
    assert error < 1e-6, f"the gradient differs from central differences by {error}"

    title = f"Softmax regression on {data.name}"
    figures.learning_curves(history, out / "softmax_curves.png", f"{title}: test accuracy {test_accuracy:.1%}")
    weights = model.linear.weight.detach().numpy().reshape(-1, side, side)
    draw_weights(weights, data.classes, out / "softmax_weights.png", f"{title}: the weights of each class")
    label = min(5, len(data.classes) - 1)
    ends = draw_paths(model, data.train, label, data.classes[label], out / "softmax_descent.png")
    metrics = {"example": "softmax_regression", "dataset": data.name, "test_accuracy": test_accuracy}
    metrics.update(test_loss=test_loss, gradient_error=error, loss_after_descent=ends, epochs=given.epochs)
    metrics.update(train_seconds=history.seconds, seed=given.seed, history=history)
    return options.report(given, metrics)


def draw_weights(weights: np.ndarray, names: list[str], path: pathlib.Path, title: str) -> None:
    """Blue speaks for the class, red against it."""
    columns = 5 if len(weights) <= 10 else 9
    rows = -(-len(weights) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.65 * rows + 0.4), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, name in zip(grid.flat, weights, names):
        limit = np.abs(image).max()
        axes.imshow(image, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_title(name)
    figure.suptitle(title)
    figures.save(figure, path)


if __name__ == "__main__":
    main()
