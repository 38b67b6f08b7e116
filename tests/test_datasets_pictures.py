"""CIFAR-10, folders of pictures and flowers, with whole, damaged and missing files."""

import io
import sys
import tarfile

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.datasets import transforms
from autograd_lite.datasets.folder import Tree, read_image
from autograd_lite.utils.data import DataLoader

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
    place = f"    Root location: {tmp_path}"
    assert repr(test).splitlines() == ["Dataset CIFAR10", "    Number of datapoints: 4", place, "    Split: Test"]


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


@pytest.mark.parametrize(
    ("size", "skipped", "message"),
    [
        (32, "airplane", "expected the folders airplane, automobile"),
        (31, None, "some pictures are not of 32x32 pixels"),
    ],
)
def test_cifar10_from_other_jpegs(tmp_path, monkeypatch, size, skipped, message):
    monkeypatch.setenv("AUTOGRAD_LITE_CACHE", str(tmp_path / "cache"))
    names = [f"test/{name}/0.jpg" for name in ag.datasets.CIFAR10.classes if name != skipped]
    write_pictures(tmp_path / "all", names, (size, size))
    pack(tmp_path / "all", tmp_path / "cifar10_jpg.tar.xz")
    with pytest.raises(RuntimeError, match=message):
        ag.datasets.CIFAR10(tmp_path, train=False)


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


def write_flowers102(folder, count: int = 12) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    write_pictures(folder / "jpg", [f"image_{number:05}.jpg" for number in range(1, count + 1)], (2, 2))
    savemat(folder / "imagelabels.mat", {"labels": np.arange(count, dtype=np.uint8) % 3 + 1})
    ids = np.arange(1, count + 1, dtype=np.uint16)
    savemat(folder / "setid.mat", {"trnid": ids[:3], "valid": ids[3:6], "tstid": ids[:5:-1]})


def test_flowers102(tmp_path):
    folder = tmp_path / "flowers102"
    write_flowers102(folder)
    splits = {s: ag.datasets.Flowers102(tmp_path, s) for s in ag.datasets.Flowers102.splits}
    assert [len(s) for s in splits.values()] == [3, 3, 6]
    assert splits["train"].classes == ["1", "2", "3"]
    assert splits["test"].samples[:2] == [("image_00012.jpg", 2), ("image_00011.jpg", 1)]
    assert splits["val"][2][0].shape == (2, 2, 3) and splits["val"].targets == [0, 1, 2]
    (folder / "files").mkdir()
    (folder / "jpg").rename(folder / "files" / "jpg")
    pack(folder / "files", folder / "102flowers.tgz")
    packed = ag.datasets.Flowers102(folder, "test", transforms.ToTensor())
    assert packed.samples == splits["test"].samples and packed[0][0].shape == (3, 2, 2)


def test_flowers102_wrong_files(tmp_path):
    with pytest.raises(ValueError, match="unknown split 'valid'"):
        ag.datasets.Flowers102(tmp_path, "valid")
    with pytest.raises(FileNotFoundError, match=r"robots\.ox\.ac\.uk"):
        ag.datasets.Flowers102(tmp_path)
    write_flowers102(tmp_path)
    savemat = pytest.importorskip("scipy.io").savemat
    whole = (tmp_path / "setid.mat").read_bytes()
    for content, message in (
        ({"trnid": np.array([1, 13])}, "does not fit imagelabels.mat, which has 12 labels"),
        ({"other": np.array([1])}, "holds no trnid"),
    ):
        savemat(tmp_path / "setid.mat", content)
        with pytest.raises(RuntimeError, match=message):
            ag.datasets.Flowers102(tmp_path)
    (tmp_path / "setid.mat").write_bytes(whole[:60])
    with pytest.raises(RuntimeError, match="truncated"):
        ag.datasets.Flowers102(tmp_path)
    (tmp_path / "setid.mat").write_bytes(whole)
    (tmp_path / "jpg" / "image_00007.jpg").unlink()
    with pytest.raises(RuntimeError, match="1 of the pictures image_00001.jpg to image_00012.jpg are missing"):
        ag.datasets.Flowers102(tmp_path)
    savemat(tmp_path / "imagelabels.mat", {"labels": np.arange(12)})
    with pytest.raises(RuntimeError, match="expected labels from 1 on"):
        ag.datasets.Flowers102(tmp_path)


def test_pictures_by_other_names(tmp_path):
    write_pictures(tmp_path, ["a/1.png", "b/2.png"], (3, 2))
    folder = ag.datasets.ImageFolder(tmp_path)
    assert folder.imgs == folder.samples == [("a/1.png", 0), ("b/2.png", 1)]
    images, labels = folder.tensors()
    assert images.shape == (2, 3, 2, 3) and images.dtype is ag.float32 and labels.tolist() == [0, 1]
    np.testing.assert_array_equal(images.numpy(), folder.arrays()[0])
    assert Tree(tmp_path).read("a/1.png") == (tmp_path / "a" / "1.png").read_bytes()
    pack(tmp_path, tmp_path.with_suffix(".tar"))
    assert Tree(tmp_path.with_suffix(".tar")).read("a/1.png") == (tmp_path / "a" / "1.png").read_bytes()
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "a" / "3.png")


def test_an_archive_without_its_end_is_refused(tmp_path):
    write_pictures(tmp_path / "all", ["a/1.png"])
    path = tmp_path / "x.tar"
    pack(tmp_path / "all", path)
    with tarfile.open(path) as archive:
        end = max(member.offset_data + -(-member.size // 512) * 512 for member in archive)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(RuntimeError, match="truncated, corrupt, or not a tar archive"):
        ag.datasets.ImageFolder(path)
