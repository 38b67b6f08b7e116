"""Convolutional networks on handwritten letters, digits and small photographs.

For each data set the network and the recipe of the course that used it:

* letters (glyphs, nist36, emnist): three times convolution 3x3, batch normalisation, ReLU and pooling, 32, 64 and
  128 channels, then 256 hidden units with dropout; Adam, its rate halved every 10 epochs;
* mnist: two convolutions 5x5 (LeCun et al., 1998, made smaller), SGD with momentum;
* cifar10: the network for letters on 3 channels, with random flips and crops.

    python -m examples.cnn --dataset nist36 --data DIR
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, images, options, training

RECIPES: dict[str, dict[str, Any]] = {
    "glyphs": {"epochs": 10, "batch_size": 32, "lr": 1e-3, "halve_every": 10},
    "nist36": {"epochs": 20, "batch_size": 32, "lr": 1e-3, "halve_every": 10},
    "emnist": {"epochs": 10, "batch_size": 32, "lr": 1e-3, "halve_every": 5},
    "mnist": {"epochs": 5, "batch_size": 64, "lr": 1e-2, "halve_every": 0},
    "cifar10": {"epochs": 20, "batch_size": 64, "lr": 1e-3, "halve_every": 5},
}


class ConvNet(nn.Module):
    """Three convolutional blocks, each halving the side, and two fully connected layers."""

    def __init__(self, channels: int, side: int, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(block(channels, 32), block(32, 64), block(64, 128))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * (side // 8) ** 2, 256),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(256, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def block(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class SmallConvNet(nn.Sequential):
    """Two 5x5 convolutions of 10 and 20 channels, each with pooling and ReLU, then 50 hidden units."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(1, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20 * 4 * 4, 50),
            nn.ReLU(),
            nn.Linear(50, classes),
        )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=images.NAMES)
    parser.add_argument("--save", type=pathlib.Path, metavar="DIR", help="write the trained weights into this folder")
    options.add_checkpoint(parser)
    given = parser.parse_args(arguments)
    return options.complete(given, RECIPES[given.dataset], quick_epochs=2)


def build(data: images.Images) -> nn.Module:
    """The network for a data set."""
    channels, side, _ = data.shape
    return SmallConvNet() if data.name == "mnist" else ConvNet(channels, side, len(data.classes))


def train(given: argparse.Namespace, data: images.Images) -> tuple[nn.Module, training.History]:
    """The network of the epoch that was best on the validation set, and the history of the run."""
    model = build(data)
    if data.name == "mnist":
        optimizer: Any = ag.optim.SGD(model.parameters(), lr=given.lr, momentum=0.9)
    else:
        optimizer = ag.optim.Adam(model.parameters(), lr=given.lr)
    scheduler = None
    if given.halve_every:
        scheduler = ag.optim.lr_scheduler.StepLR(optimizer, given.halve_every, gamma=0.5)
    best = training.BestWeights("valid_accuracy")
    history = training.fit(
        model,
        data.train,
        data.valid,
        optimizer,
        epochs=given.epochs,
        batch_size=given.batch_size,
        scheduler=scheduler,
        augment=images.Augment(seed=given.seed) if data.name == "cifar10" else None,
        callbacks=[best],
        checkpoint=given.checkpoint,
        seed=given.seed,
        description=f"cnn {data.name}",
    )
    best.restore(model)
    return model, history


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given, quick=1000)
    print(f"data      {data}")
    model, history = train(given, data)

    test_loss, test_accuracy = training.evaluate(model, data.test)
    predicted = training.predict(model, data.test.images).argmax(1).numpy()
    matrix = figures.confusion_matrix(predicted, data.test.labels.numpy(), len(data.classes))
    weights = sum(p.numel() for p in model.parameters())
    print(f"network   {weights:,} weights, {given.epochs} epochs in {history.seconds:.1f} s")
    print(f"accuracy  valid {max(history['valid_accuracy']):.3f}   test {test_accuracy:.3f}")
    pairs = figures.most_confused(matrix, data.classes)
    print("confused  " + ", ".join(f"{a}/{b} ({n})" for a, b, n in pairs[:5]))

    title = f"Convolutional network on {data.name}"
    figures.learning_curves(history, out / f"cnn_{data.name}_curves.png", f"{title}: test accuracy {test_accuracy:.1%}")
    figures.confusion(
        matrix, data.classes, out / f"cnn_{data.name}_confusion.png", f"{title}: confusion on the test set"
    )
    figures.mistakes(data.test, predicted, data.classes, out / f"cnn_{data.name}_mistakes.png", f"{title}: mistakes")
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    figures.filters(first.weight.detach().numpy(), out / f"cnn_{data.name}_filters.png", f"{title}: the first filters")
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
        file = given.save / f"cnn_{data.name}.safetensors"
        ag.save(dict(model.state_dict()), file)
        print(f"weights   {file}")
    return options.report(
        given,
        {
            "example": "cnn",
            "dataset": data.name,
            "weights": weights,
            "test_accuracy": test_accuracy,
            "test_loss": test_loss,
            "valid_accuracy": max(history["valid_accuracy"]),
            "train_seconds": history.seconds,
            "epochs": given.epochs,
            "seed": given.seed,
            "most_confused": pairs,
            "history": history,
        },
    )


if __name__ == "__main__":
    main()
