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
from autograd_lite import datasets, nn

from .cnn import ConvNet
from .common import figures, images, options, training
from .common.networks import Normalised, SqueezeNet, load_features, outputs_of, squeezenet_weights

SIDE, SMALL_SIDE = 224, 64


def load(given: argparse.Namespace) -> images.Images:
    """The flowers as 224x224 uint8 images."""
    root = images.folder(given, f"--dataset {given.dataset}")
    crop = datasets.transforms.Compose([datasets.transforms.Resize(256), datasets.transforms.CenterCrop(SIDE)])
    try:
        if given.dataset == "flowers17":
            parts: dict[str, Any] = {split: datasets.Flowers17(root, split) for split in ("train", "valid", "test")}
        else:
            parts = flowers102(root)
    except FileNotFoundError as error:
        sys.exit(str(error))
    splits = [images.gather(part, name, crop, 6 if given.quick else 1) for name, part in parts.items()]
    return images.Images(given.dataset, *splits, list(parts["train"].classes))


class Flowers102:
    """Oxford's 102 categories (Nilsback and Zisserman, ICVGIP 2008): ``102flowers.tgz`` or its folder ``jpg``,
    ``imagelabels.mat`` and ``setid.mat``."""

    def __init__(self, tree: Any, numbers: np.ndarray, labels: np.ndarray) -> None:
        self.tree, self.numbers, self.labels = tree, numbers, labels
        self.classes = [str(k) for k in range(1, 103)]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, k: int) -> tuple[np.ndarray, int]:
        number = int(self.numbers[k])
        return datasets.read_image(self.tree.open(f"image_{number:05}.jpg")), int(self.labels[number - 1]) - 1


def flowers102(root: pathlib.Path) -> dict[str, Flowers102]:
    from scipy.io import loadmat

    from autograd_lite.datasets.folder import Tree

    places = [folder for folder in (root, root / "flowers102") if (folder / "setid.mat").exists()]
    if not places:
        raise FileNotFoundError(f"flowers 102 not found: looked for setid.mat in {root} and {root / 'flowers102'}")
    place = places[0]
    tree = Tree(place / "jpg" if (place / "jpg").is_dir() else place / "102flowers.tgz" / "jpg")
    labels = loadmat(place / "imagelabels.mat")["labels"].ravel()
    sets = loadmat(place / "setid.mat")
    return {
        split: Flowers102(tree, sets[key].ravel(), labels)
        for split, key in (("train", "trnid"), ("valid", "valid"), ("test", "tstid"))
    }


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


def train_small(given: argparse.Namespace, data: images.Images) -> tuple[float, training.History]:
    """The small network from nothing, on 64x64 images: its test accuracy and history."""
    small = [shrunk(split) for split in (data.train, data.valid, data.test)]
    model = ConvNet(3, SMALL_SIDE, len(data.classes))
    best = training.BestWeights("valid_accuracy")
    history = training.fit(
        model,
        small[0],
        small[1],
        ag.optim.Adam(model.parameters(), lr=1e-3),
        epochs=given.small_epochs,
        batch_size=given.batch_size,
        augment=images.Augment(padding=6, seed=given.seed),
        callbacks=[best],
        seed=given.seed,
        description="small network",
    )
    best.restore(model)
    return training.evaluate(model, small[2])[1], history


def shrunk(split: images.Split) -> images.Split:
    resize = datasets.transforms.Resize(SMALL_SIDE)
    pictures = [np.moveaxis(resize(np.moveaxis(picture, 0, 2)), 2, 0) for picture in split.images.numpy()]
    return images.Split(ag.from_numpy(np.ascontiguousarray(np.stack(pictures))), split.labels)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    weights = given.weights or squeezenet_weights(given)
    data = load(given)
    print(f"data      {data}")
    network = SqueezeNet(len(data.classes))
    load_features(network, weights)
    model = Normalised(network)

    metrics: dict[str, Any] = {"example": "finetune", "dataset": data.name, "seed": given.seed}
    histories: dict[str, training.History] = {}
    head = train_head(given, network, data)
    predicted = training.predict(model, data.test.images, 20)
    reached = training.share_right(predicted, data.test.labels)
    histories[f"head only: test {reached:.1%}"] = head
    metrics["head_only"] = {"test_accuracy": reached, "train_seconds": head.seconds, "history": head}
    print(f"head only      test {reached:.3f}")

    if given.all_epochs:
        everything = train_all(given, model, data)
        predicted = training.predict(model, data.test.images, 20)
        reached = training.share_right(predicted, data.test.labels)
        histories[f"then all layers: test {reached:.1%}"] = everything
        metrics["all_layers"] = {"test_accuracy": reached, "train_seconds": everything.seconds, "history": everything}
        print(f"all layers     test {reached:.3f}")
    if given.small_epochs:
        reached, small = train_small(given, data)
        histories[f"small network: test {reached:.1%}"] = small
        metrics["small_network"] = {"test_accuracy": reached, "train_seconds": small.seconds, "history": small}
        print(f"small network  test {reached:.3f}")

    figures.compared_curves(histories, out / "finetune_curves.png", f"{data.name}: what a trained start is worth")
    classes = predicted.argmax(1).numpy()
    matrix = figures.confusion_matrix(classes, data.test.labels.numpy(), len(data.classes))
    figures.confusion(matrix, data.classes, out / "finetune_confusion.png", f"SqueezeNet on {data.name}")
    figures.mistakes(data.test, classes, data.classes, out / "finetune_mistakes.png", "Flowers taken for others")
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
