"""The readers on the real files, where AUTOGRAD_LITE_DATA names a folder with them."""

import os
import pathlib

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.datasets import transforms

DATA = os.environ.get("AUTOGRAD_LITE_DATA")


def real(folder):
    """The folder with real files, or a skipped test."""
    if not DATA:
        pytest.skip("set AUTOGRAD_LITE_DATA to a folder with the data sets' files")
    path = pathlib.Path(DATA, folder)
    if not path.exists():
        pytest.skip(f"AUTOGRAD_LITE_DATA has no {folder}")
    return path


def test_real_mnist():
    real("mnist")
    train, test = ag.datasets.MNIST(DATA), ag.datasets.MNIST(DATA, train=False)
    assert len(train) == 60_000 and len(test) == 10_000 and train.data.shape == (60_000, 28, 28)
    assert train.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.targets.numpy()).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert abs(train.data.numpy().mean() / 255 - 0.1307) < 1e-4


def test_real_emnist():
    real("emnist")
    train, test = (ag.datasets.EMNIST(DATA, "balanced", train=t) for t in (True, False))
    assert (len(train), len(test)) == (24_594, 3_760)
    assert set(train.targets.tolist()) == set(range(47))
    # Upright: an L has its ink at the left and at the bottom, a T at the top.
    means = {c: train.data.numpy()[train.targets.numpy() == train.classes.index(c)].mean(0) for c in "LT"}
    assert means["L"][:, :14].sum() > means["L"][:, 14:].sum()
    assert means["L"][14:].sum() > means["L"][:14].sum()
    assert means["T"][:14].sum() > means["T"][14:].sum()


def test_real_nist36():
    real("nist36")
    pytest.importorskip("scipy.io", exc_type=ImportError)
    sizes = []
    for split in ag.datasets.NIST36.splits:
        letters = ag.datasets.NIST36(DATA, split)
        sizes.append(len(letters))
        assert letters.data.shape == (len(letters), 32, 32)
    assert sizes[0] in (10_674, 10_800) and sizes[1:] == [3_600, 1_800]
    mean = letters.data.numpy()[letters.targets.numpy() == letters.classes.index("L")].mean(0)
    assert mean[:, :14].mean() < mean[:, 18:].mean() and mean[18:].mean() < mean[:14].mean()


def test_real_pictures():
    pytest.importorskip("PIL")
    faces = real("faces") / "faces.tgz"
    counts = [len(ag.datasets.ImageFolder(faces / s)) for s in ("train", "valid", "test")]
    assert counts == [420, 120, 120]
    pictures = ag.datasets.ImageFolder(faces / "test")
    assert len(pictures.classes) == 6 and pictures[0][0].shape == (227, 227, 3)
    real("flowers17")
    flowers = ag.datasets.Flowers17(DATA, "valid", transforms.Resize((64, 64)))
    assert len(flowers) == 340 and flowers[339][0].shape == (64, 64, 3) and flowers[339][1] == 16


def test_real_cifar10(monkeypatch):
    real("cifar10")
    pytest.importorskip("PIL")
    test = ag.datasets.CIFAR10(DATA, train=False)
    assert test.data.shape == (10_000, 32, 32, 3)
    assert np.bincount(test.targets).tolist() == [1_000] * 10
