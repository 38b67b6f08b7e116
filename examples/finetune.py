"""A network trained on a million photographs learns to tell flowers apart from 680.

SqueezeNet 1.1 with ImageNet's weights, read from safetensors or a torchvision ``.pth`` without PyTorch. First only
a new head is trained, on what the frozen layers make of each photograph; then all layers, at a tenth of the rate, so
that what they know is not lost. Beside it a small convolutional network that starts from nothing.

    python -m examples.finetune --data DIR
    python -m examples.finetune --dataset flowers102 --data DIR
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, datasets, nn

from .cnn import ConvNet
from .common import figures, images, options, training
from .common.networks import Normalised, SqueezeNet, load_features, outputs_of, read_features, squeezenet_weights

SIDE, SMALL_SIDE = 224, 64


def load(given: argparse.Namespace) -> images.Images:
    """The flowers as 224x224 uint8 images."""
    root = images.folder(given, f"--dataset {given.dataset}")
    crop = datasets.transforms.Compose([datasets.transforms.Resize(256), datasets.transforms.CenterCrop(SIDE)])
    reader: Any = {"flowers17": datasets.Flowers17, "flowers102": datasets.Flowers102}[given.dataset]
    splits = []
    try:
        for name in reader.splits:  # training, validation, test
            part = reader(root, name)
            splits.append(images.gather(part, name, crop, every=6 if given.quick else 1))
    except (ImportError, OSError, RuntimeError) as error:
        sys.exit(str(error))
    return images.Images(given.dataset, *splits, list(part.classes))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=("flowers17", "flowers102"), epochs=40, batch_size=20, lr=1e-3)
    parser.add_argument("--weights", type=pathlib.Path, metavar="FILE", help="SqueezeNet 1.1's; by default in --data")
    parser.add_argument("--all-epochs", type=int, default=5, help="epochs of training all layers; 0 for none")
    parser.add_argument("--small-epochs", type=int, default=40, help="epochs of the small network; 0 for none")
    given = parser.parse_args(arguments)
    if given.quick:
        given.epochs, given.all_epochs, given.small_epochs = 10, min(given.all_epochs, 1), min(given.small_epochs, 2)
    return given


def train_head(given: argparse.Namespace, model: SqueezeNet, data: images.Images) -> training.History:
    """Train the classifier on the frozen layers' outputs for every image and its mirror image."""
    features = model.features.eval()
    train, mirrored, valid = (
        outputs_of(features, part, description=name)
        for part, name in (
            (data.train.images, "training images"),
            (data.train.images.flip(3), "their mirror images"),
            (data.valid.images, "validation images"),
        )
    )
    both = images.Split(ag.cat([train, mirrored]), ag.cat([data.train.labels, data.train.labels]))
    head = nn.Sequential(model.classifier, nn.Flatten())
    best = training.BestWeights("valid_accuracy")
    history = training.fit(
        head,
        both,
        images.Split(valid, data.valid.labels),
        ag.optim.Adam(head.parameters(), lr=given.lr),
        epochs=given.epochs,
        batch_size=given.batch_size,
        callbacks=[best],
        seed=given.seed,
        description="head",
    )
    best.restore(head)
    return history


def train_all(given: argparse.Namespace, model: nn.Module, data: images.Images) -> training.History:
    """Train all layers, starting from the trained head."""
    best = training.BestWeights("valid_accuracy")
    history = training.fit(
        model,
        data.train,
        data.valid,
        ag.optim.SGD(model.parameters(), lr=given.lr / 10, momentum=0.9),
        epochs=given.all_epochs,
        batch_size=given.batch_size,
        augment=images.Augment(padding=12, seed=given.seed),
        callbacks=[best],
        seed=given.seed,
        description="all layers",
    )
    best.restore(model)
    return history


def train_small(given: argparse.Namespace, model: nn.Module, data: images.Images) -> training.History:
    """Train a small network from nothing."""
    best = training.BestWeights("valid_accuracy")
    history = training.fit(
        model,
        data.train,
        data.valid,
        ag.optim.Adam(model.parameters(), lr=1e-3),
        epochs=given.small_epochs,
        batch_size=given.batch_size,
        augment=images.Augment(padding=6, seed=given.seed),
        callbacks=[best],
        seed=given.seed,
        description="small network",
    )
    best.restore(model)
    return history


def shrunk(data: images.Images) -> images.Images:
    """The images as 64x64, which is enough for the small network."""
    resize = datasets.transforms.Resize(SMALL_SIDE)
    splits = []
    for split in (data.train, data.valid, data.test):
        pictures = [np.moveaxis(resize(np.moveaxis(picture, 0, 2)), 2, 0) for picture in split.images.numpy()]
        splits.append(images.Split(ag.from_numpy(np.stack(pictures)), split.labels))
    return images.Images(data.name, *splits, data.classes)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    weights = read_features(given.weights or squeezenet_weights(given))
    data = load(given)
    print(f"data      {data}")
    network = SqueezeNet(len(data.classes))
    load_features(network, weights)
    model = Normalised(network)

    metrics: dict[str, Any] = {"example": "finetune", "dataset": data.name, "seed": given.seed}
    histories: dict[str, training.History] = {}

    def tested(name: str, history: training.History, scores: Tensor) -> None:
        reached = training.share_right(scores, data.test.labels)
        metrics[name.replace(" ", "_")] = {
            "test_accuracy": reached,
            "train_seconds": history.seconds,
            "history": history,
        }
        histories[f"{name}: test {reached:.1%}"] = history
        print(f"{name:14} test {reached:.3f}   in {history.seconds:.1f} s")

    history = train_head(given, network, data)
    scores = training.predict(model, data.test.images, 20)
    tested("head only", history, scores)
    if given.all_epochs:
        history = train_all(given, model, data)
        scores = training.predict(model, data.test.images, 20)
        tested("all layers", history, scores)
    if given.small_epochs:
        small, scratch = shrunk(data), ConvNet(3, SMALL_SIDE, len(data.classes))
        history = train_small(given, scratch, small)
        tested("small network", history, training.predict(scratch, small.test.images))

    figures.compared_curves(histories, out / "finetune_curves.png", f"{data.name}: what a trained start is worth")
    predicted = scores.argmax(1).numpy()  # SqueezeNet's
    matrix = figures.confusion_matrix(predicted, data.test.labels.numpy(), len(data.classes))
    figures.confusion(matrix, data.classes, out / "finetune_confusion.png", f"SqueezeNet on {data.name}")
    figures.mistakes(data.test, predicted, data.classes, out / "finetune_mistakes.png", "Flowers taken for others")
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
