"""Who is it? Six people from 420 small pictures: first from pixels, then from what a trained network sees.

From 64x64 grey pixels one hidden layer gets as far as a grid search over its size, batch, activation and rate takes
it (scikit-learn's `GridSearchCV` over a small estimator). A two-layer head on the outputs of an inner layer of a
network trained on ImageNet gets further: SqueezeNet's `features.10`, or AlexNet's fourth convolution.

    python -m examples.faces --data DIR
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import datasets, nn

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import GridSearchCV, ParameterGrid, PredefinedSplit
except ImportError as error:
    raise SystemExit("the grid search needs scikit-learn: pip install 'autograd_lite[examples]'") from error

from .common import figures, images, options
from .common.figures import BLUE, GREY, plt
from .common.networks import AlexNet, SqueezeNet, load_features, outputs_of, read_features, squeezenet_weights

SIDE = 64
GRID = {
    "hidden": [30, 100, 300],
    "batch_size": [20, 60],
    "activation": ["tanh", "relu"],
    "lr": [3e-4, 1e-3],
}
QUICK_GRID = {"hidden": [30], "batch_size": [60], "activation": ["tanh", "relu"], "lr": [1e-3]}
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
FEATURES = {"squeezenet": (SqueezeNet, 10), "alexnet": (AlexNet, 8)}  # up to this layer; 8 is conv4


class TwoLayerClassifier(ClassifierMixin, BaseEstimator):
    """Inputs, one hidden layer, classes, as an estimator of scikit-learn; trained by Adam."""

    def __init__(
        self,
        hidden: int = 100,
        batch_size: int = 60,
        activation: str = "tanh",
        lr: float = 1e-3,
        epochs: int = 60,
        weight_decay: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.hidden, self.batch_size, self.activation, self.lr = hidden, batch_size, activation, lr
        self.epochs, self.weight_decay, self.seed = epochs, weight_decay, seed

    def fit(self, x: np.ndarray, y: np.ndarray) -> TwoLayerClassifier:
        """`x` (N, D) float32, `y` (N,) labels."""
        ag.manual_seed(self.seed)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.mean_, self.scale_ = x.mean(0), x.std() + np.float32(1e-6)
        self.network_ = nn.Sequential(
            nn.Linear(x.shape[1], self.hidden),
            ACTIVATIONS[self.activation](),
            nn.Linear(self.hidden, len(self.classes_)),
        )
        self.first_weights_ = self.network_[0].weight.detach().clone()
        optimizer = ag.optim.Adam(self.network_.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        data = ag.utils.data.TensorDataset(self._scaled(x), ag.from_numpy(labels))
        loader = ag.utils.data.DataLoader(data, batch_size=self.batch_size, shuffle=True)
        for _ in range(self.epochs):
            for inputs, targets in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.network_(inputs), targets).backward()
                optimizer.step()
        return self

    def _scaled(self, x: np.ndarray) -> ag.Tensor:
        return ag.from_numpy((x - self.mean_) / self.scale_)

    @ag.no_grad()
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.classes_[self.network_(self._scaled(x)).argmax(1).numpy()]


def load(given: argparse.Namespace) -> images.Images:
    """The faces as 227x227 uint8 images in colour."""
    root = images.folder(given, "the data set of faces")
    places = (root / "faces" / "faces.tgz", root / "faces", root / "faces.tgz")
    place = next((path for path in places if path.exists()), root)
    try:
        parts = {split: datasets.ImageFolder(place / split) for split in ("train", "valid", "test")}
        splits = [images.gather(part, name, every=4 if given.quick else 1) for name, part in parts.items()]
    except (ImportError, OSError, RuntimeError) as error:
        sys.exit(str(error))
    return images.Images("faces", *splits, parts["train"].classes)


def grey_pixels(split: images.Split) -> np.ndarray:
    """The images as grey 64x64 pixels in [0, 1], one a row."""
    change = datasets.transforms.Compose([datasets.transforms.Resize(SIDE), datasets.transforms.Grayscale()])
    small = np.stack([change(np.moveaxis(picture, 0, 2)).reshape(-1) for picture in split.images.numpy()])
    return small.astype(np.float32) / np.float32(255)


def with_mirrored(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mirrored = x.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(x.shape)
    return np.concatenate([x, mirrored]), np.concatenate([y, y])


def grid_search(given: argparse.Namespace, data: images.Images) -> tuple[GridSearchCV, float]:
    """Search on the training images, judged on the validation images; the accuracy is of the test images."""
    x, y = with_mirrored(grey_pixels(data.train), data.train.labels.numpy())
    x_valid, y_valid = grey_pixels(data.valid), data.valid.labels.numpy()
    fold = np.concatenate([np.full(len(y), -1), np.zeros(len(y_valid), int)])  # -1: never for judging
    grid = QUICK_GRID if given.quick else GRID
    with options.progress(None, unit="network", total=len(ParameterGrid(grid)), desc="grid search") as bar:

        def accuracy(estimator: TwoLayerClassifier, x: np.ndarray, y: np.ndarray) -> float:
            bar.update()
            return estimator.score(x, y)

        estimator = TwoLayerClassifier(epochs=given.epochs, seed=given.seed)
        search = GridSearchCV(estimator, grid, scoring=accuracy, cv=PredefinedSplit(fold), refit=False)
        search.fit(np.concatenate([x, x_valid]), np.concatenate([y, y_valid]))
    chosen = TwoLayerClassifier(**search.best_params_, epochs=given.epochs, seed=given.seed).fit(x, y)
    search.best_estimator_ = chosen
    return search, chosen.score(grey_pixels(data.test), data.test.labels.numpy())


def trained_layers(network: str, weights: dict[str, ag.Tensor]) -> nn.Sequential:
    """The layers of a trained network up to the one whose outputs serve as features."""
    kind, last = FEATURES[network]
    model = kind()
    load_features(model, weights)
    return nn.Sequential(*list(model.features)[: last + 1]).eval()


def features(layers: nn.Module, split: images.Split, name: str) -> np.ndarray:
    """What the layers make of the images and, as a second half, of their mirror images."""
    both = ag.cat([split.images, split.images.flip(3)])
    return outputs_of(layers, both, description=f"features: {name}").flatten(1).numpy()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=("faces",), epochs=60, batch_size=60, lr=3e-4)
    parser.add_argument("--network", choices=FEATURES, default="squeezenet", help="for the deep features")
    parser.add_argument(
        "--weights", type=pathlib.Path, metavar="FILE", help="the network's; SqueezeNet's are in --data"
    )
    given = parser.parse_args(arguments)
    if given.quick:
        given.epochs = min(given.epochs, 5)
    return given


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    path = given.weights
    if path is None and given.network == "squeezenet":
        path = squeezenet_weights(given)
    layers = trained_layers(given.network, read_features(path)) if path else None
    data = load(given)
    print(f"data      {data}")
    metrics: dict[str, Any] = {"example": "faces", "seed": given.seed, "epochs": given.epochs}

    search, reached = grid_search(given, data)
    print(f"pixels    best {search.best_params_}: valid {search.best_score_:.3f}   test {reached:.3f}")
    metrics["grid"] = {"best": search.best_params_, "valid_accuracy": search.best_score_, "test_accuracy": reached}
    results = search.cv_results_
    tried = [
        {**params, "valid_accuracy": float(score)}
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    ]
    metrics["grid"]["tried"] = tried
    draw_grid(tried, out / "faces_grid.png", f"Grid search: best on validation {search.best_score_:.1%}")
    chosen = search.best_estimator_
    before, after = chosen.first_weights_.numpy(), chosen.network_[0].weight.detach().numpy()
    figures.weight_images(before, after, SIDE, out / "faces_weights.png", "The hidden units' weights")

    if layers is None:
        print("features  none: AlexNet's need --weights FILE")
        return options.report(given, metrics)
    train, valid, test = (
        features(layers, split, name)
        for split, name in ((data.train, "train"), (data.valid, "valid"), (data.test, "test"))
    )
    head = TwoLayerClassifier(100, given.batch_size, "relu", given.lr, given.epochs // 2 or 1, seed=given.seed)
    head.fit(train, np.tile(data.train.labels.numpy(), 2))
    labels = data.test.labels.numpy()
    on_valid = head.score(valid[: len(data.valid)], data.valid.labels.numpy())
    predicted = head.predict(test[: len(labels)])
    reached = float((predicted == labels).mean())
    print(f"features  {given.network}: valid {on_valid:.3f}   test {reached:.3f}")
    metrics["features"] = {"network": given.network, "valid_accuracy": on_valid, "test_accuracy": reached}
    matrix = figures.confusion_matrix(predicted, labels, len(data.classes))
    title = f"Six people by {given.network}'s features: test accuracy {reached:.1%}"
    figures.confusion(matrix, data.classes, out / "faces_confusion.png", title)
    return options.report(given, metrics)


def draw_grid(tried: list[dict[str, Any]], path: pathlib.Path, title: str) -> None:
    """Validation accuracy by each of the settings, all others varying."""
    names = [name for name in tried[0] if name != "valid_accuracy"]
    figure, panels = plt.subplots(1, len(names), figsize=(3 * len(names), 3.4), sharey=True)
    for axes, name in zip(panels, names, strict=True):
        values = sorted({one[name] for one in tried})
        for place, value in enumerate(values):
            scores = [100 * one["valid_accuracy"] for one in tried if one[name] == value]
            axes.plot([place] * len(scores), scores, "o", color=GREY, ms=4, alpha=0.6)
            axes.plot(place, np.mean(scores), "_", color=BLUE, ms=24, mew=3)
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.set_title(name.replace("_", " "))
    panels[0].set_ylabel("validation accuracy (%)")
    figure.suptitle(title)
    figure.tight_layout()
    figures.save(figure, path)


if __name__ == "__main__":
    main()
