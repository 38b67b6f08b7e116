"""Transforms of images: arrays and tensors alike, as Pillow does them where it has them."""

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.datasets import transforms


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


def shown(transform):
    """A name for the test: a function is shown with its address, which differs from process to process."""
    return repr(transform).split(" at 0x")[0]


@pytest.mark.parametrize("transform", EVERY, ids=shown)
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


@pytest.mark.parametrize("transform", [t for t in EVERY if not isinstance(t, transforms.ColorJitter)], ids=shown)
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


def test_short_forms_of_sizes():
    image = picture((4, 6))
    np.testing.assert_array_equal(transforms.CenterCrop([3])(image), transforms.CenterCrop((3, 3))(image))
    same = transforms.Resize((4, 6))(image)
    np.testing.assert_array_equal(same, image)
    with pytest.raises(TypeError, match=r"CenterCrop: expected a tensor of shape \(..., H, W\), got \(3,\)"):
        transforms.CenterCrop(2)(ag.ones(3))
