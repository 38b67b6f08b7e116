"""Drawn letters: the same every time, kept in a cache, different from split to split, learnable."""

import hashlib
import io

import numpy as np
import pytest

import autograd_lite as ag


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder for decoded and generated images, shared by the tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def glyphs(cache):
    pytest.importorskip("matplotlib")
    return {split: ag.datasets.Glyphs(split, cache_dir=cache) for split in ("train", "valid", "test")}


def test_glyphs(glyphs):
    for (split, letters), count in zip(glyphs.items(), (10_800, 3_600, 1_800), strict=True):
        assert len(letters) == count and letters.split == split
        assert np.bincount(letters.targets.numpy()).tolist() == [count // 36] * 36
        images, labels = letters.arrays()
        assert images.shape == (count, 1, 32, 32) and labels.shape == (count,)
        corners = images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners > 0.9).mean() > 0.99, "ink is dark on white paper"
        assert 0.08 < 1 - images.mean() < 0.2
        darkest = images.min(axis=(1, 2, 3))
        assert (darkest < 0.5).all(), "no image is empty"
    assert glyphs["train"].classes == ag.datasets.NIST36.classes
    assert glyphs["train"][0][0].shape == (32, 32)


def test_glyphs_of_the_splits_differ(glyphs):
    seen = set()
    for letters in glyphs.values():
        seen |= {image.tobytes() for image in letters.data.numpy()}
    assert len(seen) == 10_800 + 3_600 + 1_800


def test_glyphs_are_the_same_every_time(glyphs, cache, tmp_path):
    ag.datasets.Glyphs("test", cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256((cache / file.name).read_bytes()).digest()


def test_glyphs_cache(cache, glyphs, tmp_path, monkeypatch):
    (source,) = cache.glob("glyphs-*-0.npz")
    content = source.read_bytes()
    with np.load(source) as file:
        arrays = dict(file)
    made = []

    def generate(seed):
        made.append(seed)
        return arrays

    monkeypatch.setattr("autograd_lite.datasets.glyphs.generate", generate)
    file = tmp_path / source.name
    ag.datasets.Glyphs("train", cache_dir=tmp_path)
    assert made == [0] and file.read_bytes() == content
    ag.datasets.Glyphs("valid", cache_dir=tmp_path)
    assert made == [0]
    # Damaged in any way, the file is made anew.
    middle = len(content) // 2
    other = io.BytesIO()
    np.savez(other, **{key: value[:-1] for key, value in arrays.items()})
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for damaged in (content[:-500], changed, b"", b"text", other.getvalue()):
        file.write_bytes(damaged)
        healed = ag.datasets.Glyphs("test", cache_dir=tmp_path)
        np.testing.assert_array_equal(healed.data.numpy(), glyphs["test"].data.numpy())
        assert file.read_bytes() == content
    assert made == [0] * 6
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    # A folder that cannot be written; another seed; the default place.
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="could not be written"):
        ag.datasets.Glyphs("test", cache_dir=tmp_path / "file")
    ag.datasets.Glyphs("test", seed=1, cache_dir=tmp_path)
    assert made == [0] * 7 + [1] and len(list(tmp_path.glob("*.npz"))) == 2
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "cache"))
    ag.datasets.Glyphs("test")
    assert [p.name for p in (tmp_path / "cache" / "data").iterdir()] == [file.name]


def test_glyphs_options():
    with pytest.raises(ValueError, match="unknown split"):
        ag.datasets.Glyphs("training")
    with pytest.raises(ValueError, match="seed"):
        ag.datasets.Glyphs(seed=-1)


def test_glyphs_can_be_learnt(glyphs):
    """The nearest class mean is right far more often than chance, and far from always."""
    x, y = glyphs["train"].arrays()
    means = np.stack([x[y == c].mean(0).ravel() for c in range(36)])
    v, labels = glyphs["test"].arrays()
    distances = (means**2).sum(1) - 2 * v.reshape(-1, 1024) @ means.T
    assert 0.4 < (distances.argmin(1) == labels).mean() < 0.75


def test_strokes():
    from autograd_lite.datasets import _strokes

    masks = np.zeros((2, 20, 20), bool)
    masks[0, 4:9, 2:18] = True
    masks[1, 3:17, 3:17] = True
    masks[1, 7:13, 7:13] = False
    thin = _strokes.skeletonize(masks)
    assert (thin <= masks).all() and thin[0].sum() <= 16 and thin[0].any(0)[6:14].all()
    assert thin[1].any() and not thin[1, 7:13, 7:13].any()
    distances = _strokes.distances(thin, 6)
    rows, columns = np.mgrid[:20, :20]
    for mask, distance in zip(thin, distances, strict=True):
        py, px = np.nonzero(mask)
        exact = np.sqrt(((rows[..., None] - py) ** 2 + (columns[..., None] - px) ** 2).min(-1))
        np.testing.assert_allclose(distance, np.minimum(exact, 6), rtol=1e-6)


def test_glyphs_say_what_they_are(glyphs):
    split = "    Split: test\n    Seed: 0\n"
    assert repr(glyphs["test"]) + "\n" == "Dataset Glyphs\n    Number of datapoints: 1800\n" + split
