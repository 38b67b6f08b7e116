"""Readers of data files, with whole, truncated, corrupt and wrong ones; Glyphs; image transforms."""

import gzip
import hashlib
import io
import os
import pathlib
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.datasets import transforms
from autograd_lite.utils.data import DataLoader

DATA = os.environ.get("AUTOGRAD_LITE_DATA")


def real(folder):
    """The folder with real files, or a skipped test."""
    if not DATA:
        pytest.skip("set AUTOGRAD_LITE_DATA to a folder with the data sets' files")
    path = pathlib.Path(DATA, folder)
    if not path.exists():
        pytest.skip(f"AUTOGRAD_LITE_DATA has no {folder}")
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder for decoded and generated images, shared by the tests."""
    return tmp_path_factory.mktemp("cache")


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


# CIFAR-10


def cifar_batches():
    """The six files of the binary version, with four images each: name to (content, images, labels)."""
    rng = np.random.default_rng(2)
    files = {}
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        images, labels = (
            rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
            rng.integers(0, 10, 4, dtype=np.uint8),
        )
        records = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(4, -1)], 1)
        files[name] = records.tobytes(), images, labels
    return files


def write_cifar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, (content, *_) in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10(tmp_path, packed):
    files = cifar_batches()
    if packed:
        (tmp_path / "cifar10").mkdir()
        write_cifar(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", files)
    else:
        folder = tmp_path / "cifar-10-batches-bin"
        folder.mkdir()
        for name, (content, *_) in files.items():
            (folder / name).write_bytes(content)
    train, test = ag.datasets.CIFAR10(tmp_path), ag.datasets.CIFAR10(tmp_path, train=False)
    images = np.concatenate([f[1] for f in list(files.values())[:5]])
    labels = np.concatenate([f[2] for f in list(files.values())[:5]])
    np.testing.assert_array_equal(train.data, images)
    assert train.targets == labels.tolist() and len(test) == 4
    floats = train.arrays()[0]
    assert floats.shape == (20, 3, 32, 32) and floats.flags.c_contiguous
    np.testing.assert_array_equal(floats, (images / np.float32(255)).transpose(0, 3, 1, 2))
    pixels, targets = next(iter(DataLoader(test, 3)))
    assert pixels.shape == (3, 32, 32, 3) and targets.tolist() == test.targets[:3]
    assert train[2][0].shape == (32, 32, 3) and type(train[2][1]) is int


def test_cifar10_damaged(tmp_path):
    files = cifar_batches()
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_cifar(path, files)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RuntimeError, match="truncated, corrupt"):
        ag.datasets.CIFAR10(tmp_path)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(RuntimeError, match="truncated, corrupt"):
        ag.datasets.CIFAR10(tmp_path)
    for change, message in [
        (files["data_batch_2.bin"][0][:-1], "multiple of 3073"),
        (b"", "multiple of 3073"),
        (b"\x0b" + files["data_batch_2.bin"][0][1:], "a label is 11"),
    ]:
        write_cifar(path, {**files, "data_batch_2.bin": (change,)})
        with pytest.raises(RuntimeError, match=message):
            ag.datasets.CIFAR10(tmp_path)
    write_cifar(path, {k: v for k, v in files.items() if k != "data_batch_3.bin"})
    with pytest.raises(RuntimeError, match="has no cifar-10-batches-bin/data_batch_3.bin"):
        ag.datasets.CIFAR10(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="download=True"):
        ag.datasets.CIFAR10(tmp_path)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(RuntimeError, match=r"data_batch_1.bin is missing"):
        ag.datasets.CIFAR10(tmp_path)


def test_cifar10_from_jpeg(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "cifar10_jpg.tar.xz", "w:xz") as archive:
        for label, name in enumerate(ag.datasets.CIFAR10.classes):
            file = io.BytesIO()
            image.new("RGB", (32, 32), (20 * label, 0, 100)).save(file, "JPEG")
            member = tarfile.TarInfo(f"test/{name}/0000.jpg")
            member.size = file.tell()
            file.seek(0)
            archive.addfile(member, file)
    first = ag.datasets.CIFAR10(tmp_path, train=False)
    assert first.targets == list(range(10)) and first.data.shape == (10, 32, 32, 3)
    assert abs(int(first.data[7, 16, 16, 0]) - 140) < 4
    (stored,) = (tmp_path / "cache" / "data").iterdir()
    monkeypatch.setitem(sys.modules, "PIL", None)  # from now on, from the cache
    np.testing.assert_array_equal(ag.datasets.CIFAR10(tmp_path, train=False).data, first.data)
    stored.write_bytes(stored.read_bytes()[:-100])
    with pytest.raises(ImportError, match="Pillow"):
        ag.datasets.CIFAR10(tmp_path, train=False)
    with pytest.raises(FileNotFoundError, match="no folder train"):
        ag.datasets.CIFAR10(tmp_path)


# Folders of pictures


def write_pictures(folder, names, size=(6, 4)):
    image = pytest.importorskip("PIL.Image")
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", size, (i, 10, 20)).save(path)


def pack(folder, path):
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tgz", "gz").replace("tar", "")) as archive:
        archive.add(folder, ".")


PICTURES = ["dog/1.png", "cat/2.png", "cat/1.PNG", "dog/deep/3.png"]


@pytest.mark.parametrize("kind", ["folder", "x.tar", "x.tgz", "x.tar.xz"])
def test_image_folder(tmp_path, kind):
    write_pictures(tmp_path / "all" / "train", PICTURES)
    (tmp_path / "all" / "train" / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "all" / "train" / "readme.png").write_text("not in a class")
    root = tmp_path / "all"
    if kind != "folder":
        root = tmp_path / kind
        pack(tmp_path / "all", root)
    pictures = ag.datasets.ImageFolder(root / "train")
    assert pictures.classes == ["cat", "dog"] and pictures.class_to_idx == {"cat": 0, "dog": 1}
    assert pictures.samples == [("cat/1.PNG", 0), ("cat/2.png", 0), ("dog/1.png", 1), ("dog/deep/3.png", 1)]
    assert pictures.targets == [0, 0, 1, 1] and len(pictures) == 4
    image, label = pictures[2]
    assert image.shape == (4, 6, 3) and image.dtype == np.uint8 and label == 1
    assert image[0, 0].tolist() == [0, 10, 20]
    images, labels = pictures.arrays()
    assert images.shape == (4, 3, 4, 6) and labels.tolist() == [0, 0, 1, 1]
    other = ag.datasets.ImageFolder(
        root / "train",
        transforms.ToTensor(),
        lambda label: label + 5,
        loader=lambda file: ag.datasets.read_image(file, "L"),
        is_valid_file=lambda name: name.lower().endswith("1.png"),
    )
    assert len(other) == 2 and other[1][0].shape == (1, 4, 6) and other[1][1] == 6
    with pytest.raises(FileNotFoundError, match="other"):
        ag.datasets.ImageFolder(root / "other")
    with pytest.raises(RuntimeError, match="sizes"):
        write_pictures(tmp_path / "mixed" / "a", ["1.png"])
        write_pictures(tmp_path / "mixed" / "a", ["2.png"], (3, 3))
        ag.datasets.ImageFolder(tmp_path / "mixed").arrays()


def test_image_folder_without_pictures(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError, match="no picture for the classes a"):
        ag.datasets.ImageFolder(tmp_path)
    assert len(ag.datasets.ImageFolder(tmp_path, allow_empty=True)) == 0
    with pytest.raises(FileNotFoundError, match="no folders"):
        ag.datasets.ImageFolder(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="not found"):
        ag.datasets.ImageFolder(tmp_path / "b")


def test_damaged_pictures_and_archives(tmp_path):
    write_pictures(tmp_path / "all", ["a/1.png", "a/2.jpg"], (64, 64))
    for name in ("a/1.png", "a/2.jpg"):
        content = (tmp_path / "all" / name).read_bytes()
        for damaged in (content[: len(content) // 2], b"", b"no picture"):
            (tmp_path / "all" / name).write_bytes(damaged)
            with pytest.raises(RuntimeError, match="truncated, corrupt, or not a picture"):
                pictures = ag.datasets.ImageFolder(tmp_path / "all")
                pictures[int(name[2]) - 1]
        (tmp_path / "all" / name).write_bytes(content)
    for suffix in ("tar", "tgz", "tar.xz"):
        path = tmp_path / f"x.{suffix}"
        pack(tmp_path / "all", path)
        content = path.read_bytes()
        for keep in (0.1, 0.5, 0.95):
            path.write_bytes(content[: int(len(content) * (keep if suffix != "tar" else keep * 0.15))])
            with pytest.raises(RuntimeError, match="truncated, corrupt, or not a tar archive"):
                ag.datasets.ImageFolder(path)


def test_flowers17(tmp_path):
    write_pictures(tmp_path / "jpg", ["image_0001.jpg"], (2, 2))
    content = (tmp_path / "jpg" / "image_0001.jpg").read_bytes()
    for number in range(1, 1361):
        (tmp_path / "jpg" / f"image_{number:04}.jpg").write_bytes(content)
    (tmp_path / "jpg" / "files.txt").write_text("image_0001.jpg")
    splits = {s: ag.datasets.Flowers17(tmp_path, s) for s in ("train", "valid", "test")}
    assert [len(s) for s in splits.values()] == [680, 340, 340]
    assert all(np.bincount(s.targets).tolist() == [len(s) // 17] * 17 for s in splits.values())
    names = [name for s in splits.values() for name, _ in s.samples]
    assert len(set(names)) == 1360
    assert splits["train"].samples[40] == ("image_0081.jpg", 1)
    assert len(ag.datasets.Flowers17(tmp_path / "jpg")) == 680
    pack(tmp_path, tmp_path.with_suffix(".tgz"))
    packed = ag.datasets.Flowers17(tmp_path.with_suffix(".tgz"), transform=transforms.ToTensor())
    assert packed[0][0].shape == (3, 2, 2) and "Transform" in repr(packed)
    with pytest.raises(ValueError, match="unknown split"):
        ag.datasets.Flowers17(tmp_path, "all")
    (tmp_path / "jpg" / "image_0700.jpg").unlink()
    with pytest.raises(RuntimeError, match="1 of the pictures"):
        ag.datasets.Flowers17(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"robots\.ox\.ac\.uk"):
        ag.datasets.Flowers17(tmp_path / "nowhere")


# Glyphs


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


# Transforms


def picture(shape=(12, 17, 3), dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape).astype(np.uint8) if dtype == np.uint8 else rng.random(shape).astype(dtype)


EVERY = [
    transforms.Resize((5, 7)),
    transforms.Resize(6),
    transforms.Resize((30, 20)),
    transforms.Resize((5, 7), antialias=False),
    transforms.CenterCrop((4, 7)),
    transforms.CenterCrop(20),
    transforms.Pad((1, 2, 3, 4), fill=1),
    transforms.Pad(2, padding_mode="reflect"),
    transforms.RandomCrop(8, padding=2),
    transforms.RandomCrop((14, 20), pad_if_needed=True, padding_mode="edge"),
    transforms.RandomHorizontalFlip(),
    transforms.RandomVerticalFlip(),
    transforms.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), 10),
    transforms.Grayscale(),
    transforms.Grayscale(3),
    transforms.ColorJitter(0.4, 0.4, 0.4),
    transforms.Compose([transforms.RandomCrop(9), transforms.RandomHorizontalFlip(1.0)]),
    transforms.Lambda(lambda image: image),
]


@pytest.mark.parametrize("transform", EVERY, ids=repr)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_arrays_and_tensors_are_treated_alike(transform, dtype):
    image = picture(dtype=dtype)
    before = image.copy()
    tensor = ag.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    results = []
    for given_image in (image, tensor):
        ag.manual_seed(4)
        results.append(transform(given_image))
    assert isinstance(results[1], ag.Tensor) and isinstance(results[0], np.ndarray)
    assert results[0].dtype == dtype and results[0].flags.c_contiguous
    np.testing.assert_array_equal(results[0].transpose(2, 0, 1), results[1].numpy())
    np.testing.assert_array_equal(image, before)
    ag.manual_seed(4)
    np.testing.assert_array_equal(transform(image), results[0])


@pytest.mark.parametrize("transform", [t for t in EVERY if not isinstance(t, transforms.ColorJitter)], ids=repr)
def test_grey_images(transform):
    ag.manual_seed(4)
    flat = transform(picture((12, 17)))
    ag.manual_seed(4)
    deep = transform(picture((12, 17, 1)))
    np.testing.assert_array_equal(flat.reshape(deep.shape), deep)


def test_to_tensor():
    image = picture()
    tensor = transforms.ToTensor()(image)
    assert tensor.dtype is ag.float32
    np.testing.assert_array_equal(tensor.numpy(), image.transpose(2, 0, 1) / np.float32(255))
    assert transforms.ToTensor()(picture((3, 4))).shape == (1, 3, 4)
    assert transforms.ToTensor()(picture((3, 4), np.float64)).dtype is ag.float64
    assert transforms.ToTensor()(np.ones((2, 2), bool)).tolist() == [[[1.0, 1.0], [1.0, 1.0]]]
    for wrong in (ag.zeros(3, 4), np.zeros(3), "image", 5):
        with pytest.raises(TypeError):
            transforms.ToTensor()(wrong)


def test_pillow_images():
    image = pytest.importorskip("PIL.Image")
    array = picture()
    np.testing.assert_array_equal(
        transforms.ToTensor()(image.fromarray(array)).numpy(), transforms.ToTensor()(array).numpy()
    )
    np.testing.assert_array_equal(transforms.Resize(6)(image.fromarray(array)), transforms.Resize(6)(array))


@pytest.mark.parametrize("size", [(5, 7), (12, 9), (6, 17), (24, 40), (13, 3), (1, 1)])
@pytest.mark.parametrize("shape", [(12, 17, 3), (12, 17)])
def test_resize_is_pillows(size, shape):
    image = pytest.importorskip("PIL.Image")
    array = picture(shape)
    theirs = np.asarray(image.fromarray(array).resize(size[::-1], image.Resampling.BILINEAR))
    assert np.abs(transforms.Resize(size)(array).astype(int) - theirs).max() <= 1


def test_grayscale_is_pillows():
    image = pytest.importorskip("PIL.Image")
    array = picture()
    theirs = np.asarray(image.fromarray(array).convert("L"))
    assert np.abs(transforms.Grayscale()(array)[..., 0].astype(int) - theirs).max() <= 1
    with pytest.raises(TypeError, match="1 or 3 channels"):
        transforms.Grayscale()(picture((4, 4, 2)))


def test_normalize():
    x = ag.from_numpy(picture((2, 3, 4, 5), np.float32))
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    y = transforms.Normalize(mean, std)(x)
    np.testing.assert_allclose(
        y.numpy(), (x.numpy() - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1)), rtol=2e-6
    )
    assert y.dtype is ag.float32 and y is not x
    assert transforms.Normalize(0.5, 2.0, inplace=True)(x) is x
    with pytest.raises(ValueError, match="zero"):
        transforms.Normalize((0.5,), (0.0,))
    with pytest.raises(ValueError, match="2 channels"):
        transforms.Normalize((0.5, 0.5), (1, 1))(x)
    for wrong in (np.zeros((3, 4, 4)), ag.zeros(3, 4, 4, dtype=ag.uint8)):
        with pytest.raises(TypeError, match="floating-point"):
            transforms.Normalize(mean, std)(wrong)


def test_crops_and_flips():
    image = np.arange(30).reshape(5, 6)
    np.testing.assert_array_equal(transforms.CenterCrop((3, 2))(image), image[1:4, 2:4])
    np.testing.assert_array_equal(transforms.RandomHorizontalFlip(1)(image), image[:, ::-1])
    np.testing.assert_array_equal(transforms.RandomVerticalFlip(1)(image), image[::-1])
    assert transforms.RandomHorizontalFlip(0)(image) is image
    places = set()
    for _ in range(200):
        crop = transforms.RandomCrop((4, 4))(image)
        top, left = divmod(crop[0, 0], 6)
        np.testing.assert_array_equal(crop, image[top : top + 4, left : left + 4])
        places.add((top, left))
    assert len(places) == 6
    flipped = sum(transforms.RandomHorizontalFlip(0.3)(image) is not image for _ in range(1000))
    assert abs(flipped - 300) < 5 * np.sqrt(210)
    with pytest.raises(ValueError, match=r"crop size \(6, 6\) is larger than input image size \(5, 6\)"):
        transforms.RandomCrop(6)(image)


def test_affine():
    image = picture((16, 16), np.float32)
    identity = transforms.RandomAffine(0)
    np.testing.assert_allclose(identity(image), image, atol=1e-6)
    np.testing.assert_allclose(transforms.RandomAffine((90, 90))(image), np.rot90(image, -1), atol=1e-5)
    np.testing.assert_allclose(transforms.RandomAffine((180, 180))(image), image[::-1, ::-1], atol=1e-5)
    moved = transforms.RandomAffine(0, translate=(0.5, 0), fill=7)
    values = [float((moved(np.zeros((8, 8), np.float32)) == 7).mean()) for _ in range(50)]
    assert min(values) < 0.2 < max(values) <= 0.5
    doubled = transforms.RandomAffine(0, scale=(2, 2))(image)
    assert doubled.shape == (16, 16) and abs(doubled[7:9, 7:9].mean() - image[7:9, 7:9].mean()) < 1e-5


def test_color_jitter():
    image = picture(dtype=np.float32)
    brighter = transforms.ColorJitter(brightness=(2.0, 2.0))(image)
    np.testing.assert_allclose(brighter, np.minimum(2 * image, 1), rtol=1e-6)
    grey = transforms.ColorJitter(saturation=(0, 0))(image)
    np.testing.assert_allclose(grey, transforms.Grayscale(3)(image), atol=1e-6)
    flat = transforms.ColorJitter(contrast=(0, 0))(image)
    np.testing.assert_allclose(flat, transforms.Grayscale()(image).mean(), atol=1e-5)
    np.testing.assert_array_equal(transforms.ColorJitter()(picture()), picture())
    with pytest.raises(TypeError, match="3 channels"):
        transforms.ColorJitter(0.5)(picture((4, 4)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: transforms.Resize(0),
        lambda: transforms.Resize((1, 2, 3)),
        lambda: transforms.CenterCrop(-1),
        lambda: transforms.Pad((1, 2, 3)),
        lambda: transforms.Pad(1, padding_mode="wrap"),
        lambda: transforms.RandomHorizontalFlip(1.5),
        lambda: transforms.RandomAffine(0, translate=(2, 0)),
        lambda: transforms.RandomAffine(0, scale=(0, 1)),
        lambda: transforms.Grayscale(2),
        lambda: transforms.ColorJitter(brightness=(2, 1)),
    ],
)
def test_bad_transforms(make):
    with pytest.raises(ValueError):
        make()


def test_transforms_show_their_arguments():
    both = transforms.Compose([transforms.Resize(8), transforms.RandomCrop(4, padding=1)])
    assert repr(both).startswith("Compose(Resize(size=8, antialias=True), RandomCrop(size=(4, 4), padding=1")
    with pytest.raises(TypeError):
        transforms.Lambda(5)


# Real files


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
