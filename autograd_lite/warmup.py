"""Compile the kernels ahead of time: ``python -m autograd_lite.warmup``.

Machine code is compiled when a kernel is first called, and kept. This command calls them all on small inputs: run it
when an image is built, or before a class. ``--float64`` does the same for float64; ``--only training`` restricts it
to what training steps of multilayer perceptrons and convolutional networks touch.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import autograd_lite as ag
from autograd_lite import nn
from autograd_lite.kernels.jit import cache_directory


def _train(model: nn.Module, inputs: ag.Tensor, optimizer: Any, loss: Callable[[ag.Tensor], ag.Tensor]) -> None:
    steps = optimizer(list(model.parameters()))
    for _ in range(2):
        value = loss(model(inputs))
        steps.zero_grad()
        value.backward()
        steps.step()


def training(dtype: ag.dtype) -> Iterator[tuple[str, Callable[[], object]]]:
    """The steps of perceptrons and convolutional networks, with the usual losses and optimizers."""
    optim = ag.optim
    optimizers: list[Callable[[Any], Any]] = [
        lambda p: optim.SGD(p, lr=0.01),
        lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
        lambda p: optim.Adam(p, lr=0.01),
        lambda p: optim.RMSprop(p, lr=0.01),
        lambda p: optim.Adagrad(p, lr=0.01),
    ]
    labels = ag.randint(0, 10, (64,))

    def classify(scores: ag.Tensor) -> ag.Tensor:
        return nn.functional.cross_entropy(scores, labels[: len(scores)])

    for batch in (4, 64):  # small products and large ones take different ways
        for k, optimizer in enumerate(optimizers):
            model = nn.Sequential(nn.Linear(256, 64), nn.Sigmoid(), nn.Linear(64, 10)).to(dtype)
            x = ag.rand(batch, 256, dtype=dtype)
            yield f"perceptron {batch} {k}", partial(_train, model, x, optimizer, classify)
    for channels in (1, 3):
        cnn = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout(0.1), nn.Flatten(), nn.Linear(512, 10),
        ).to(dtype)  # fmt: skip
        images = ag.rand(8, channels, 24, 24, dtype=dtype)
        yield f"convolutional {channels}", partial(_train, cnn, images, optimizers[2], classify)
    autoencoder = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 64), nn.Tanh()).to(dtype)
    x = ag.rand(32, 64, dtype=dtype)
    for loss in (nn.functional.mse_loss, nn.functional.l1_loss, nn.functional.smooth_l1_loss):
        yield loss.__name__, partial(_train, autoencoder, x, optimizers[1], partial(loss, target=x))
    binary = nn.Sequential(nn.Linear(64, 1)).to(dtype)
    target = (ag.rand(32, 1) > 0.5).to(dtype)
    bce = nn.functional.binary_cross_entropy_with_logits
    yield "binary", partial(_train, binary, x, optimizers[0], partial(bce, target=target))


def functions(dtype: ag.dtype) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every elementwise function and every layer, forward and backward."""
    from .ops import activation, pointwise

    def both(function: Callable[..., Any], *inputs: ag.Tensor) -> None:
        result = function(*[t.clone().requires_grad_() for t in inputs])
        if result.requires_grad:
            result.backward(ag.ones_like(result))

    x, y = (ag.rand(3, 5, dtype=dtype) * 0.5 + 0.25 for _ in range(2))
    for module in (pointwise, activation):
        for name in module.__all__:
            function = getattr(ag, name, None) or getattr(nn.functional, name, None)
            made = getattr(function, "primitive", None)
            if function is not None and made is not None:
                yield name, partial(both, function, *(x, y)[: len(made.inputs)])
    for name in ("relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign",
                 "hardtanh", "hardsigmoid", "hardswish", "relu6", "logsigmoid"):  # fmt: skip
        function = getattr(nn.functional, name)
        yield name, partial(both, function, x)
    for name in ("sum", "mean", "prod", "var", "std", "amax", "amin", "logsumexp", "cumsum", "softmax", "log_softmax"):
        function = getattr(ag, name, None) or getattr(nn.functional, name)
        yield name, partial(both, partial(function, dim=1), x)
    images = ag.rand(2, 4, 8, 8, dtype=dtype)
    layers: list[nn.Module] = [
        nn.LayerNorm(8), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.RMSNorm(8), nn.Upsample(scale_factor=2),
        nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d(2), nn.ConvTranspose2d(4, 3, 3, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
    ]  # fmt: skip
    for layer in layers:
        yield type(layer).__name__, partial(both, layer.to(dtype), images)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m autograd_lite.warmup", description=__doc__)
    parser.add_argument("--float64", action="store_true", help="compile for float64 as well")
    parser.add_argument("--only", choices=("training", "functions"), help="a part of it")
    given = parser.parse_args(arguments)
    kinds = {"training": training, "functions": functions}
    started = time.perf_counter()
    count = 0
    for dtype in (ag.float32, ag.float64) if given.float64 else (ag.float32,):
        for kind in [given.only] if given.only else list(kinds):
            for name, call in kinds[kind](dtype):
                if sys.stderr.isatty():
                    print(f"\r\x1b[K{dtype} {name}", end="", file=sys.stderr, flush=True)
                call()
                count += 1
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    print(f"{count} cases warm after {time.perf_counter() - started:.1f} s; machine code in {cache_directory()}")


if __name__ == "__main__":
    main()
