"""Readers of MNIST and its relatives and of NIST36, with whole, truncated, corrupt and wrong files."""

import gzip
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.datasets import _cache, transforms
from autograd_lite.datasets._base import Arrays
from autograd_lite.utils.data import DataLoader

# IDX


def idx(array, code=8):
    header = bytes([0, 0, code, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (12, 5, 4), dtype=np.uint8), rng.integers(0, 10, 12, dtype=np.uint8)


def write_mnist(folder, digits, part="train", suffix="", stem="{part}-{what}"):
    folder.mkdir(parents=True, exist_ok=True)
    for array, what in zip(digits, ("images-idx3-ubyte", "labels-idx1-ubyte"), strict=True):
        content = idx(array)
        name = stem.format(part=part, what=what) + suffix
        (folder / name).write_bytes(gzip.compress(content) if suffix else content)


@pytest.mark.parametrize(("code", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 2), (2, 1, 3)])
def test_read_idx(tmp_path, code, dtype, shape):
    array = (np.arange(np.prod(shape)) * 3 + 1).astype(dtype).reshape(shape)
    for content in (idx(array, code), gzip.compress(idx(array, code))):
        (tmp_path / "file").write_bytes(content)
        read = ag.datasets.read_idx(tmp_path / "file")
        assert read.dtype == np.dtype(dtype) and read.flags.writeable
        np.testing.assert_array_equal(read, array)


@settings(max_examples=60)
@given(cut=st.integers(0, 10_000), zipped=st.booleans())
def test_truncated_idx(tmp_path_factory, digits, cut, zipped):
    content = idx(digits[0])
    content = gzip.compress(content) if zipped else content
    path = tmp_path_factory.getbasetemp() / "truncated-idx"
    path.write_bytes(content[: cut % len(content)])
    with pytest.raises(RuntimeError, match=r"truncated|corrupt|not an IDX file") as caught:
        ag.datasets.read_idx(path)
    assert str(path) in str(caught.value)


@settings(max_examples=60)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_corrupt_gzip_is_noticed(tmp_path_factory, digits, position, flip):
    """Every changed byte of the compressed file, except in gzip's uninteresting header fields."""
    good = gzip.compress(idx(digits[0]), mtime=0)
    position = 10 + position % (len(good) - 10)
    content = bytearray(good)
    content[position] ^= flip
    path = tmp_path_factory.getbasetemp() / "corrupt-idx"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"corrupt|not an IDX"):
        ag.datasets.read_idx(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"\0\0\7\1\0\0\0\0", b"\0\0\x08\0", b"\0\0\x08\3\xff\xff\xff\xff" * 2],
)
def test_not_idx(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(RuntimeError, match=r"not an IDX file|truncated"):
        ag.datasets.read_idx(tmp_path / "file")


@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw", "MNIST"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist(tmp_path, digits, place, suffix):
    write_mnist(tmp_path / place, digits, suffix=suffix)
    train = ag.datasets.MNIST(tmp_path)
    assert len(train) == 12 and len(train.classes) == 10
    image, label = train[3]
    assert type(label) is int and label == digits[1][3]
    np.testing.assert_array_equal(image, digits[0][3])
    assert train.data.dtype is ag.uint8 and train.targets.dtype is ag.int64
    np.testing.assert_array_equal(train.data.numpy(), digits[0])
    images, labels = train.arrays()
    assert images.shape == (12, 1, 5, 4) and images.dtype == np.float32 and labels.dtype == np.int64
    np.testing.assert_array_equal(images[:, 0], digits[0].astype(np.float32) / np.float32(255))
    tensors = train.tensors()
    assert isinstance(tensors[0], ag.Tensor) and tensors[1].tolist() == digits[1].tolist()
    assert "12" in repr(train) and train.class_to_idx["0 - zero"] == 0
    with pytest.raises(FileNotFoundError, match=r"t10k-images.*download=True"):
        ag.datasets.MNIST(tmp_path, train=False)


def test_mnist_transforms_and_loader(tmp_path, digits):
    write_mnist(tmp_path, digits, "t10k")
    plain = ag.datasets.MNIST(tmp_path, train=False)
    pixels, labels = next(iter(DataLoader(plain, 5)))
    assert pixels.dtype is ag.uint8 and pixels.shape == (5, 5, 4) and labels.dtype is ag.int64
    changed = ag.datasets.MNIST(tmp_path, False, transforms.ToTensor(), lambda y: -y)
    pixels, labels = next(iter(DataLoader(changed, 5, num_workers=2)))
    assert pixels.shape == (5, 1, 5, 4) and pixels.dtype is ag.float32
    assert labels.tolist() == (-digits[1][:5].astype(int)).tolist()
    plain[0][0][:] = 0  # a sample is a copy
    np.testing.assert_array_equal(plain.data.numpy(), digits[0])
    plain.data, plain.targets = plain.data[:4], plain.targets[:4]  # as people do with torchvision's
    assert len(plain) == 4 and len(plain.arrays()[0]) == 4


def test_missing_folder_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="is not a folder") as caught:  # torchvision's type as well
        ag.datasets.MNIST(tmp_path / "nowhere")
    assert isinstance(caught.value, ag.datasets.DatasetNotFoundError)
    assert isinstance(caught.value, FileNotFoundError)


def test_mnist_wrong_files(tmp_path, digits):
    images, labels = digits
    for pair, message in [
        ((labels, labels), "does not hold images"),
        ((images, images), "does not hold labels"),
        ((images, labels[:-1]), "12 images.* 11 labels"),
        ((images, labels + 10), "expected 0 to 9"),
        ((images.astype(np.uint8)[:, 0], labels), "does not hold images"),
    ]:
        write_mnist(tmp_path, pair)
        with pytest.raises(RuntimeError, match=message):
            ag.datasets.MNIST(tmp_path)


@pytest.mark.parametrize("kind", ["FashionMNIST", "KMNIST"])
def test_relatives_of_mnist(tmp_path, digits, kind):
    write_mnist(tmp_path / kind / "raw", digits)
    assert len(getattr(ag.datasets, kind)(tmp_path)) == 12
    assert len(getattr(ag.datasets, kind).classes) == 10


def test_published_checksums_have_their_form():
    for kind in (ag.datasets.MNIST, ag.datasets.FashionMNIST, ag.datasets.KMNIST, ag.datasets.EMNIST):
        for _, md5 in kind.resources:
            assert len(md5) == 32 and int(md5, 16) >= 0


def test_download_gets_what_is_missing(tmp_path, digits, monkeypatch):
    """`download=True` asks for the two files of a split at the mirrors, and for none that is there."""
    from autograd_lite.datasets import mnist

    asked = []

    def fake(urls, path, *, md5):
        asked.append((urls[0].rsplit("/", 1)[1], md5))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(idx(digits["labels" in path.name])))
        return path

    monkeypatch.setattr(mnist, "download", fake)
    ag.datasets.MNIST(tmp_path, download=True)
    assert asked == list(ag.datasets.MNIST.resources[:2])
    assert (tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz").is_file()
    ag.datasets.MNIST(tmp_path, download=True)
    assert len(asked) == 2


# EMNIST

BALANCED = "emnist-balanced-{part}-{what}"


def test_emnist_stands_upright(tmp_path, digits):
    write_mnist(tmp_path / "emnist", digits, suffix=".gz", stem=BALANCED)
    letters = ag.datasets.EMNIST(tmp_path, "balanced")
    np.testing.assert_array_equal(letters.data.numpy(), digits[0].transpose(0, 2, 1))
    assert len(letters.classes) == 47 and letters.classes[36] == "a"
    assert repr(letters).endswith("    EMNIST split: balanced")
    told = repr(ag.datasets.EMNIST(tmp_path, "balanced", transform=transforms.ToTensor()))
    assert told.endswith("    Transform: ToTensor()")
    assert [len(ag.datasets.EMNIST.classes_split_dict[s]) for s in ag.datasets.EMNIST.splits] == [
        62,
        47,
        47,
        27,
        10,
        10,
    ]
    with pytest.raises(ValueError, match="unknown split 'other'"):
        ag.datasets.EMNIST(tmp_path, "other")
    with pytest.raises(FileNotFoundError, match="emnist-letters-train"):
        ag.datasets.EMNIST(tmp_path, "letters")


def test_emnist_mapping(tmp_path, digits):
    write_mnist(tmp_path, digits, stem=BALANCED)
    mapping = tmp_path / "emnist-balanced-mapping.txt"
    classes = ag.datasets.EMNIST.classes_split_dict["balanced"]
    mapping.write_text("".join(f"{i} {ord(c)}\n" for i, c in enumerate(classes)))
    ag.datasets.EMNIST(tmp_path)
    mapping.write_text("".join(f"{i} {ord(c)}\n" for i, c in enumerate(classes[:-1])))
    with pytest.raises(RuntimeError, match="does not belong"):
        ag.datasets.EMNIST(tmp_path)
    mapping.write_text("zero 48\n")
    with pytest.raises(RuntimeError, match="not an EMNIST mapping"):
        ag.datasets.EMNIST(tmp_path)


def test_emnist_zip(tmp_path, digits):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for array, what in zip(digits, ("images-idx3-ubyte", "labels-idx1-ubyte"), strict=True):
            archive.writestr(f"gzip/emnist-digits-train-{what}.gz", gzip.compress(idx(array)))
    assert len(ag.datasets.EMNIST(tmp_path, "digits", download=True)) == 12
    with pytest.raises(RuntimeError, match="cannot read gzip/emnist-mnist"):
        ag.datasets.EMNIST(tmp_path, "mnist")
    whole = (tmp_path / "gzip.zip").read_bytes()
    (tmp_path / "gzip.zip").write_bytes(whole[:200])
    with pytest.raises(RuntimeError, match=r"gzip.zip"):
        ag.datasets.EMNIST(tmp_path, "digits")


# NIST36


def write_nist36(path, split="train", n=40, **changes):
    scipy_io = pytest.importorskip("scipy.io", exc_type=ImportError)
    rng = np.random.default_rng(1)
    images = rng.random((n, 32, 32))
    labels = rng.integers(0, 36, n)
    content = {
        f"{split}_data": images.transpose(0, 2, 1).reshape(n, 1024),
        f"{split}_labels": np.eye(36, dtype=np.uint8)[labels],
    }
    content.update(changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, content, do_compression=True)
    return images, labels


def test_nist36(tmp_path):
    images, labels = write_nist36(tmp_path / "nist36" / "nist36_valid.mat", "valid")
    read = ag.datasets.NIST36(tmp_path, "valid")
    np.testing.assert_array_equal(read.data.numpy(), images.astype(np.float32))
    assert read.targets.tolist() == labels.tolist()
    arrays = read.arrays()
    assert arrays[0].shape == (40, 1, 32, 32) and arrays[0].dtype == np.float32
    assert "".join(read.classes) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    place = f"    Root location: {tmp_path}"
    assert repr(read).splitlines() == ["Dataset NIST36", "    Number of datapoints: 40", place, "    Split: valid"]
    with pytest.raises(ValueError, match="unknown split"):
        ag.datasets.NIST36(tmp_path, "training")
    with pytest.raises(FileNotFoundError, match=r"nist36_test.mat"):
        ag.datasets.NIST36(tmp_path, "test")


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_nist36_truncated(tmp_path, keep):
    path = tmp_path / "nist36_train.mat"
    write_nist36(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(RuntimeError, match=r"nist36_train.mat"):
        ag.datasets.NIST36(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_data": np.zeros((40, 1023))}, "expected train_data as floats of shape"),
        ({"train_data": np.zeros((40, 1024), np.uint8)}, "floats"),
        ({"train_data": np.full((40, 1024), 255.0)}, "outside"),
        ({"train_data": np.full((40, 1024), np.nan)}, "outside"),
        ({"train_labels": np.zeros((40, 36))}, "one-hot"),
        ({"train_labels": np.eye(36)}, "expected"),
    ],
)
def test_nist36_wrong(tmp_path, changes, message):
    write_nist36(tmp_path / "nist36_train.mat", **changes)
    with pytest.raises(RuntimeError, match=message):
        ag.datasets.NIST36(tmp_path)


def test_nist36_version_73(tmp_path):
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    (tmp_path / "nist36_train.mat").write_bytes(header + bytes(2000))
    with pytest.raises(RuntimeError, match="save it with -v7"):
        pytest.importorskip("scipy.io", exc_type=ImportError)
        ag.datasets.NIST36(tmp_path)


def test_nist36_other_file(tmp_path):
    write_nist36(tmp_path / "nist36_train.mat", "valid")
    with pytest.raises(RuntimeError, match="holds no train_data and no train_labels"):
        ag.datasets.NIST36(tmp_path)


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("scipy.io", lambda path: ag.datasets.NIST36(path)),
        ("PIL", lambda path: ag.datasets.read_image(path / "nist36_train.mat")),
        ("matplotlib", lambda path: ag.datasets.Glyphs(cache_dir=path)),
    ],
)
def test_missing_extra_is_told(tmp_path, monkeypatch, module, use):
    (tmp_path / "nist36_train.mat").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'autograd_lite\[examples\]'"):
        use(tmp_path)


# What the readers share


def test_where_made_data_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cache.data_cache() == tmp_path / "autograd_lite" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _cache.data_cache() == tmp_path / ".cache" / "autograd_lite" / "data"
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path))
    assert _cache.data_cache() == tmp_path / "data"


@pytest.mark.parametrize("other", [np.zeros(3, np.int32), np.zeros((3, 1)), np.zeros(2)])
def test_kept_arrays_of_another_kind_are_made_anew(tmp_path, other):
    np.savez(tmp_path / "x.npz", a=other)
    for _ in range(2):
        found = _cache.cached("x", {"a": ("float64", (3,))}, lambda: {"a": np.arange(3.0)}, tmp_path)
        np.testing.assert_array_equal(found["a"], np.arange(3.0))


def test_a_data_set_of_ones_own_is_described(digits):
    class Own(Arrays):
        classes = ("a", "b")

        def __init__(self):
            self.data, self.targets, self.transform, self.target_transform = (
                ag.tensor(digits[0]),
                ag.tensor(digits[1]),
                None,
                None,
            )

    assert repr(Own()) == "Dataset Own\n    Number of datapoints: 12"
