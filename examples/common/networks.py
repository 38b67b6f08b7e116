"""SqueezeNet 1.1 and AlexNet with torchvision's layer names, so that its weights fit."""

from __future__ import annotations

import argparse
import pathlib
import sys
from pickle import UnpicklingError

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .images import folder
from .options import progress

# The mean and spread of ImageNet's images, with which the published weights were trained.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Fire(nn.Module):
    """Squeeze to few channels, then expand by 1x1 and 3x3 convolutions side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = ag.relu(self.squeeze(x))
        return ag.cat([ag.relu(self.expand1x1(x)), ag.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 (Iandola et al., arXiv:1602.07360): 224x224 images, 1.2 million weights."""

    def __init__(self, classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )
        last = nn.Conv2d(512, classes, 1)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


class AlexNet(nn.Module):
    """AlexNet (Krizhevsky, arXiv:1404.5997): 224x224 images, 61 million weights."""

    def __init__(self, classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def squeezenet_weights(given: argparse.Namespace) -> pathlib.Path:
    """Where SqueezeNet's weights are in the folder given by ``--data``."""
    return folder(given, "SqueezeNet") / "squeezenet" / "squeezenet1_1_features.safetensors"


def read_features(path: pathlib.Path) -> dict[str, Tensor]:
    """The weights of a network's ``features`` in a safetensors or torchvision ``.pth`` file, a head left aside.

    Ends the program with a message if the file cannot be read.
    """
    if not path.exists():
        sys.exit(f"{path} not found: weights in torchvision's layer names, as safetensors or .pth")
    try:
        read = ag.load(path)
    except (OSError, RuntimeError, UnpicklingError) as error:
        sys.exit(str(error))
    named = read.items() if isinstance(read, dict) else ()
    weights = {name: value for name, value in named if name.startswith("features.")}
    if not weights:
        sys.exit(f"{path} holds no weights named features...., as torchvision names them")
    return weights


def load_features(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a network's ``features`` their weights; ends the program with a message if they do not fit."""
    wanted = {name: value.shape for name, value in model.state_dict().items() if name.startswith("features.")}
    given = {name: value.shape for name, value in weights.items()}
    wrong = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if wrong:
        name = wrong[0]
        shapes = [tuple(shape[name]) if name in shape else "nothing" for shape in (given, wanted)]
        sys.exit(
            f"the weights do not fit {type(model).__name__}: {len(wrong)} of {len(wanted)} differ, "
            f"the first {name}: {shapes[0]} given, {shapes[1]} expected"
        )
    model.load_state_dict(weights, strict=False)


def normalised(images: Tensor) -> Tensor:
    """Images (N, 3, H, W), uint8 or in [0, 1], as the published weights expect them."""
    values = images.float() / 255 if images.dtype == ag.uint8 else images
    shape = (1, 3, 1, 1)
    return (values - ag.tensor(MEAN).reshape(shape)) / ag.tensor(STD).reshape(shape)


class Normalised(nn.Module):
    """A network for normalised images, made to take images in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(normalised(x))


@ag.no_grad()
def outputs_of(layers: nn.Module, images: Tensor, batch_size: int = 20, description: str = "features") -> Tensor:
    """What `layers` make of all images."""
    starts = progress(range(0, len(images), batch_size), unit="batch", desc=description)
    return ag.cat([layers(normalised(images[i : i + batch_size])) for i in starts])
