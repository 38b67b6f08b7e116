"""The training steps that are timed, described once; every peer builds them in its own idiom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Layer = tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """A network, its loss, its optimizer, and the batch that it is trained on.

    Layers are ("linear", n_in, n_out), ("conv", c_in, c_out, size, padding), ("batch_norm", channels),
    ("max_pool", size), ("relu",), ("sigmoid",), ("flatten",). Losses: "cross_entropy_sum",
    "cross_entropy_mean", "squared_error_sum" (against the input). Optimizers: ("sgd", lr),
    ("momentum", lr, factor), ("adam", lr).
    """

    name: str
    title: str
    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    loss: str
    optimizer: tuple[Any, ...]

    @property
    def batch_size(self) -> int:
        return self.input_shape[0]


def mlp(name: str, sizes: tuple[int, ...], batch: int, optimizer: tuple[Any, ...], activation: str = "sigmoid") -> Step:
    layers: list[Layer] = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(("linear", a, b))
        if i < len(sizes) - 2:
            layers.append((activation,))
    title = f"MLP {'-'.join(map(str, sizes))}, batch {batch}, {optimizer[0]}"
    return Step(name, title, tuple(layers), (batch, sizes[0]), "cross_entropy_sum", optimizer)


def small_cnn(batch: int) -> Step:
    layers: tuple[Layer, ...] = (
        ("conv", 1, 10, 5, 0), ("max_pool", 2), ("relu",),
        ("conv", 10, 20, 5, 0), ("max_pool", 2), ("relu",),
        ("flatten",), ("linear", 320, 50), ("relu",), ("linear", 50, 10),
    )  # fmt: skip
    title = f"CNN conv5(10) conv5(20) fc50, 28x28, batch {batch}, sgd"
    return Step(f"cnn-28-{batch}", title, layers, (batch, 1, 28, 28), "cross_entropy_mean", ("sgd", 0.01))


def cnn(channels: int, batch: int, widths: tuple[int, int, int] = (32, 64, 128)) -> Step:
    layers: list[Layer] = []
    before = channels
    for width in widths:
        layers += [("conv", before, width, 3, 1), ("batch_norm", width), ("relu",), ("max_pool", 2)]
        before = width
    layers += [("flatten",), ("linear", before * 16, 256), ("relu",), ("linear", 256, 36)]
    title = f"CNN 3 x (conv3, BatchNorm, ReLU, pool), 32x32x{channels}, batch {batch}, adam"
    name = f"cnn-32-{channels}-{batch}" if widths == (32, 64, 128) else f"cnn-32-{channels}-{batch}-{widths[0]}"
    return Step(name, title, tuple(layers), (batch, channels, 32, 32), "cross_entropy_mean", ("adam", 1e-3))


STEPS = [
    mlp("mlp-5", (1024, 64, 36), 5, ("sgd", 2e-3)),
    mlp("mlp-64", (1024, 64, 36), 64, ("sgd", 2e-3)),
    mlp("mlp-adam", (1024, 256, 36), 32, ("adam", 1e-3)),
    Step(
        "autoencoder",
        "autoencoder 1024-32-32-32-1024, batch 36, momentum",
        (
            ("linear", 1024, 32), ("relu",), ("linear", 32, 32), ("relu",), ("linear", 32, 32), ("relu",),
            ("linear", 32, 1024), ("sigmoid",),
        ),
        (36, 1024),
        "squared_error_sum",
        ("momentum", 3e-5, 0.9),
    ),
    Step(
        "softmax", "softmax regression 784-10, batch 1000, momentum", (("linear", 784, 10),), (1000, 784),
        "cross_entropy_mean", ("momentum", 0.1, 0.9),
    ),
    small_cnn(64),
    cnn(1, 32),
    cnn(3, 64),
]  # fmt: skip


SCALING = [
    *(mlp(f"batch-{b}", (1024, 64, 36), b, ("sgd", 2e-3)) for b in (1, 4, 16, 64, 256, 1024)),
    *(mlp(f"width-{w}", (1024, w, 36), 64, ("sgd", 2e-3)) for w in (16, 64, 256, 1024)),
    *(mlp(f"depth-{d}", (256,) * (d + 1) + (36,), 64, ("sgd", 2e-4), "relu") for d in (1, 2, 4, 8, 16)),
    *(cnn(3, 32, (c, 2 * c, 4 * c)) for c in (8, 16, 64)),
]
BY_NAME = {s.name: s for s in (*STEPS, *SCALING)}


def classes(step: Step) -> int:
    return next(layer[2] for layer in reversed(step.layers) if layer[0] == "linear")


def batch(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The inputs in [0, 1], float32, and the labels."""
    rng = np.random.default_rng(0)
    inputs = rng.random(step.input_shape, np.float32)
    return inputs, rng.integers(0, classes(step), step.batch_size)


def initial(step: Step) -> list[np.ndarray]:
    """The initial parameters: weight (out, in, ...) and bias of each layer that has them, in order."""
    rng = np.random.default_rng(1)
    parameters: list[np.ndarray] = []
    for layer in step.layers:
        if layer[0] == "linear":
            shape: tuple[int, ...] = (layer[2], layer[1])
        elif layer[0] == "conv":
            shape = (layer[2], layer[1], layer[3], layer[3])
        elif layer[0] == "batch_norm":
            parameters += [np.ones(layer[1], np.float32), np.zeros(layer[1], np.float32)]
            continue
        else:
            continue
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        parameters.append(rng.uniform(-bound, bound, shape).astype(np.float32))
        parameters.append(rng.uniform(-bound, bound, shape[0]).astype(np.float32))
    return parameters


def compared(step: Step, parameters: list[Any]) -> list[Any]:
    """What the peers are compared by: how far each parameter has moved from its initial value.

    Left out are the biases that a BatchNorm takes out again: their gradient is zero but for rounding, and Adam
    makes steps of full length from it, in either direction.
    """
    kept, moved = [], (np.asarray(p) - start for p, start in zip(parameters, initial(step)))
    for layer, following in zip(step.layers, (*step.layers[1:], ("end",))):
        if layer[0] in ("linear", "conv", "batch_norm"):
            weight, bias = next(moved), next(moved)
            kept += [weight] if following[0] == "batch_norm" else [weight, bias]
    return kept


def tolerance(step: Step) -> float:
    """How far the peers' results may differ, relative to their size in the root mean square.

    Adam divides a gradient by its own size, so a weight whose gradient is all but zero moves by a whole step in a
    direction that rounding decides.
    """
    return 0.1 if step.optimizer[0] == "adam" else 1e-3
