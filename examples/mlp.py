"""A two-layer network learns handwritten letters and digits.

The network of the course: 1024 pixels, 64 sigmoid units, 36 classes; weights drawn by Xavier's rule, biases
zero; softmax cross-entropy summed over the batch; plain stochastic gradient descent.
"""

from __future__ import annotations

import argparse
import time

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, images, options, training


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


def loss_function(scores: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, labels, reduction="sum")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, epochs=50, batch_size=64, lr=2e-3)
    parser.add_argument("--hidden", type=int, default=64, help="hidden units")
    given = parser.parse_args(arguments)
    if given.quick:
        given.epochs = min(given.epochs, 5)
    return given


def main(arguments: list[str] | None = None) -> dict[str, object]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given)
    side = data.train.images.shape[-1]
    print(f"data      {data.name}: {len(data.train)} / {len(data.valid)} / {len(data.test)} images of {side}x{side}")

    model = TwoLayerNetwork(side * side, given.hidden, len(data.classes))
    optimizer = ag.optim.SGD(model.parameters(), lr=given.lr)
    before = model.layer1.weight.detach().clone()
    started = time.perf_counter()
    history = training.fit(
        model,
        data.train,
        data.valid,
        optimizer,
        epochs=given.epochs,
        batch_size=given.batch_size,
        loss_function=loss_function,
        seed=given.seed,
    )
    seconds = time.perf_counter() - started

    test_loss, test_accuracy = training.evaluate(model, data.test)
    predicted = training.predict(model, data.test.images).argmax(1).numpy()
    matrix = figures.confusion_matrix(predicted, data.test.labels.numpy(), len(data.classes))
    print(f"network   {side * side}-{given.hidden}-{len(data.classes)}, {given.epochs} epochs in {seconds:.1f} s")
    print(f"accuracy  train {history['train_accuracy'][-1]:.3f}   valid {history['valid_accuracy'][-1]:.3f}"
          f"   test {test_accuracy:.3f}")  # fmt: skip
    pairs = figures.most_confused(matrix, data.classes, 5)
    print("confused  " + ", ".join(f"{a}/{b} ({n})" for a, b, n in pairs))

    title = f"{side * side}-{given.hidden}-{len(data.classes)} network on {data.name}"
    figures.learning_curves(history, out / "mlp_curves.png", f"{title}: test accuracy {100 * test_accuracy:.1f} %")
    figures.weight_images(
        before.numpy(), model.layer1.weight.detach().numpy(), side, out / "mlp_weights.png",
        "First-layer weights, one image a hidden unit",
    )  # fmt: skip
    figures.confusion(matrix, data.classes, out / "mlp_confusion.png", f"{title}: confusion on the test set")
    metrics = {
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "valid_accuracy": history["valid_accuracy"][-1],
        "train_seconds": history["train_seconds"],
        "epochs": given.epochs,
        "seed": given.seed,
        "dataset": data.name,
        "history": history,
    }
    options.report(given, metrics)
    return metrics


if __name__ == "__main__":
    main()
