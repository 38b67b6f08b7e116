"""A two-layer network learns handwritten letters and digits.

The network of the course: 1024 pixels, 64 sigmoid units, 36 classes; weights drawn by Xavier's rule, biases
zero; softmax cross-entropy summed over the batch; plain stochastic gradient descent.

    python -m examples.mlp --dataset nist36 --data DIR --sweep
    python -m examples.mlp --dataset nist36 --data DIR --hidden 256 --optimizer adam
"""

from __future__ import annotations

import argparse
from typing import Any

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, images, options, training

# Adam's steps do not grow with the gradient, so its loss is the mean; its rate is halved every 100 epochs.
RECIPES = {
    "sgd": {"lr": 2e-3, "epochs": 100, "batch_size": 64, "reduction": "sum", "halve_every": 0},
    "adam": {"lr": 1e-3, "epochs": 200, "batch_size": 32, "reduction": "mean", "halve_every": 100},
}


class TwoLayerNetwork(nn.Module):
    """Pixels -> sigmoid units -> one score a class."""

    def __init__(self, pixels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.layer1 = nn.Linear(pixels, hidden)
        self.layer2 = nn.Linear(hidden, classes)
        for layer in (self.layer1, self.layer2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(ag.sigmoid(self.layer1(x.flatten(1))))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=images.NAMES[:-1])  # all that are grey
    parser.add_argument("--hidden", type=options.positive_int, default=64, help="hidden units")
    parser.add_argument("--optimizer", choices=RECIPES, default="sgd", help="and its recipe")
    parser.add_argument("--halve-every", type=int, metavar="EPOCHS", help="halve the rate so often; 0 for never")
    parser.add_argument("--sweep", action="store_true", help="train with 10 times and 1/10 of the rate, too")
    options.add_checkpoint(parser)
    given = parser.parse_args(arguments)
    return options.complete(given, RECIPES[given.optimizer], quick_epochs=5)


def train(
    given: argparse.Namespace, data: images.Images, lr: float, checkpoint: Any = None
) -> tuple[TwoLayerNetwork, Tensor, training.History]:
    """The trained network, its first layer's weights before training, and the history."""
    ag.manual_seed(given.seed)
    _, height, width = data.shape
    model = TwoLayerNetwork(height * width, given.hidden, len(data.classes))
    before = model.layer1.weight.detach().clone()
    if given.optimizer == "sgd":
        optimizer = ag.optim.SGD(model.parameters(), lr=lr)
    else:
        optimizer = ag.optim.Adam(model.parameters(), lr=lr)
    scheduler = None
    if given.halve_every:
        scheduler = ag.optim.lr_scheduler.StepLR(optimizer, given.halve_every, gamma=0.5)
    history = training.fit(
        model,
        data.train,
        data.valid,
        optimizer,
        epochs=given.epochs,
        batch_size=given.batch_size,
        reduction=given.reduction,
        scheduler=scheduler,
        checkpoint=checkpoint,
        seed=given.seed,
        description=f"lr {lr:g}",
    )
    return model, before, history


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given)
    side = data.shape[-1]
    print(f"data      {data}")

    model, before, history = train(given, data, given.lr, given.checkpoint)
    test_loss, test_accuracy = training.evaluate(model, data.test)
    predicted = training.predict(model, data.test.images).argmax(1).numpy()
    matrix = figures.confusion_matrix(predicted, data.test.labels.numpy(), len(data.classes))
    name = f"{side * side}-{given.hidden}-{len(data.classes)} network"
    print(f"network   {name}, {given.optimizer}, {given.epochs} epochs in {history.seconds:.1f} s")
    print(
        f"accuracy  train {history.last('train_accuracy'):.3f}   valid {history.last('valid_accuracy'):.3f}"
        f"   test {test_accuracy:.3f}"
    )
    pairs = figures.most_confused(matrix, data.classes)
    print("confused  " + ", ".join(f"{a}/{b} ({n})" for a, b, n in pairs[:5]))

    title = f"{name} on {data.name}"
    stem = "mlp" if given.optimizer == "sgd" else f"mlp_{given.optimizer}"
    figures.learning_curves(history, out / f"{stem}_curves.png", f"{title}: test accuracy {test_accuracy:.1%}")
    figures.weight_images(
        before.numpy(),
        model.layer1.weight.detach().numpy(),
        side,
        out / f"{stem}_weights.png",
        "First-layer weights, one image a hidden unit",
    )
    figures.confusion(matrix, data.classes, out / f"{stem}_confusion.png", f"{title}: confusion on the test set")
    metrics: dict[str, Any] = {
        "example": "mlp",
        "dataset": data.name,
        "hidden": given.hidden,
        "optimizer": given.optimizer,
        "lr": given.lr,
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "valid_accuracy": history.last("valid_accuracy"),
        "train_seconds": history.seconds,
        "epochs": given.epochs,
        "seed": given.seed,
        "most_confused": pairs,
        "history": history,
    }

    if given.sweep:
        histories = {f"lr {given.lr:g}: test {test_accuracy:.1%}": history}
        metrics["sweep"] = {f"{given.lr:g}": test_accuracy}
        for lr in (10 * given.lr, given.lr / 10):
            other, _, its_history = train(given, data, lr)
            reached = training.evaluate(other, data.test)[1]
            print(f"rate      {lr:g}: valid {its_history.last('valid_accuracy'):.3f}   test {reached:.3f}")
            histories[f"lr {lr:g}: test {reached:.1%}"] = its_history
            metrics["sweep"][f"{lr:g}"] = reached
        figures.compared_curves(histories, out / f"{stem}_sweep.png", f"{title}: learning rates")
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
