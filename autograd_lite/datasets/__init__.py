"""Data sets: readers for files that users have, and one, `Glyphs`, that needs none."""

from . import transforms
from ._base import DatasetNotFoundError
from ._download import download
from .cifar import CIFAR10
from .flowers import Flowers17, Flowers102
from .folder import ImageFolder, read_image
from .glyphs import Glyphs
from .mnist import EMNIST, KMNIST, MNIST, FashionMNIST, read_idx
from .nist36 import NIST36

__all__ = [
    "CIFAR10",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "NIST36",
    "DatasetNotFoundError",
    "FashionMNIST",
    "Flowers17",
    "Flowers102",
    "Glyphs",
    "ImageFolder",
    "download",
    "read_idx",
    "read_image",
    "transforms",
]
