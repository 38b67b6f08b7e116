"""Transforms of images, after ``torchvision.transforms``.

They take, and give back, NumPy arrays of shape (H, W) or (H, W, C), or tensors of shape (..., H, W); Pillow
images are taken as arrays. The random ones draw from `autograd_lite.utils.data.rng`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..data import rng
from ..tensor import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue in grey: ITU-R BT.601."""


def _unwrap(image: Any, name: str) -> tuple[np.ndarray, bool]:
    """The image as an array (..., H, W), and whether it was a tensor."""
    if isinstance(image, Tensor):
        if image.dim() < 2:
            raise TypeError(f"{name}: expected a tensor of shape (..., H, W), got {tuple(image.shape)}")
        return image._data, True
    array = np.asarray(image)
    if array.dtype == object or array.ndim not in (2, 3):
        raise TypeError(
            f"{name}: expected an image, as a tensor (..., H, W), an array (H, W) or (H, W, C), or a "
            "Pillow image; "
            f"got {type(image).__name__}" + (f" of shape {array.shape}" if array.ndim else "")
        )
    return (array if array.ndim == 2 else np.moveaxis(array, 2, 0)), False


def _wrap(array: np.ndarray, tensor: bool) -> Any:
    if tensor:
        return Tensor(np.ascontiguousarray(array))
    return np.ascontiguousarray(array if array.ndim == 2 else np.moveaxis(array, 0, 2))


def _pair(size: int | Sequence[int], name: str) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) == 1:
        pair *= 2
    if len(pair) != 2 or any(n < 1 for n in pair):
        raise ValueError(f"{name}: expected a size or (height, width), positive, got {size!r}")
    return pair


def _round_like(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


class Compose:
    """Transforms one after another.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> to_input = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    >>> to_input(np.full((2, 2), 255, np.uint8))
    tensor([[[1., 1.],
             [1., 1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"


class _Transform:
    """Gives a transform its `repr`: the arguments, as they were stored under their names."""

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({given})"


class ToTensor(_Transform):
    """An image (H, W) or (H, W, C) to a tensor (C, H, W); uint8 becomes float32 in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.ToTensor()(np.zeros((4, 6, 3), np.uint8)).shape
    autograd_lite.Size([3, 4, 6])
    """

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor):
            raise TypeError("ToTensor: expected an array or a Pillow image, got a tensor")
        array, _ = _unwrap(image, "ToTensor")
        if array.ndim == 2:
            array = array[None]
        if array.dtype == np.uint8:
            return Tensor(np.divide(array, np.float32(255), out=np.empty(array.shape, np.float32)))
        if array.dtype == np.bool_:
            return Tensor(array.astype(np.float32))
        return Tensor(np.array(array, order="C"))


class Normalize(_Transform):
    """Subtract a mean from, and divide by a standard deviation, each channel of a tensor (..., C, H, W).

    Raises
    ------
    TypeError
        If the image is not a floating-point tensor.
    ValueError
        If a standard deviation is zero, or if the number of channels does not fit.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.datasets.transforms.Normalize([0.5], [0.25])(ag.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float, inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace
        self._mean, self._std = (np.atleast_1d(np.asarray(v, np.float64))[:, None, None] for v in (mean, std))
        if not self._std.all():
            raise ValueError(f"Normalize: a standard deviation is zero: {std}")

    def __call__(self, image: Tensor) -> Tensor:
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = str(image.dtype) if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(f"Normalize: expected a floating-point tensor (..., C, H, W), got {kind}")
        data = image._data
        for values in (self._mean, self._std):
            if data.ndim < 3 or len(values) not in (1, data.shape[-3]):
                raise ValueError(
                    f"Normalize: {len(values)} channels given, the tensor has shape {tuple(data.shape)} (..., C, H, W)"
                )
        mean, std = self._mean.astype(data.dtype), self._std.astype(data.dtype)
        if self.inplace:
            data -= mean
            data /= std
            image._bump()
            return image
        return Tensor((data - mean) / std)


@cache
def _resampling(source: int, target: int, antialias: bool) -> np.ndarray:
    """The (target, source) matrix of linear interpolation, with a wider triangle where it shrinks."""
    scale = source / target
    width = max(scale, 1.0) if antialias else 1.0
    centre = (np.arange(target) + 0.5) * scale
    if not antialias:
        centre = np.clip(centre, 0.5, source - 0.5)
    weights = np.maximum(1 - np.abs(np.arange(source) + 0.5 - centre[:, None]) / width, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


class Resize(_Transform):
    """Bilinear resampling.

    Parameters
    ----------
    size : int or (int, int)
        (height, width); an int gives the shorter side, and the proportions are kept.
    antialias : bool
        Average over all source pixels where the image shrinks, as Pillow does.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.Resize(8)(np.zeros((16, 32, 3), np.uint8)).shape
    (8, 16, 3)
    """

    def __init__(self, size: int | Sequence[int], antialias: bool = True) -> None:
        self.size, self.antialias = size, antialias
        _pair(size, "Resize")

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "Resize")
        height, width = array.shape[-2:]
        if isinstance(self.size, int) or len(self.size) == 1:
            short, (new, _) = min(height, width), _pair(self.size, "Resize")
            size = (new * height // short, new * width // short)
        else:
            size = _pair(self.size, "Resize")
        if size == (height, width):
            return _wrap(array, tensor)
        rows, columns = (
            _resampling(height, size[0], self.antialias),
            _resampling(width, size[1], self.antialias),
        )
        values = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
        return _wrap(_round_like(rows @ (values @ columns.T), array.dtype), tensor)


def _crop(array: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    return array[..., top : top + height, left : left + width]


def _pad(array: np.ndarray, sides: tuple[int, int, int, int], fill: float, mode: str) -> np.ndarray:
    left, top, right, bottom = sides
    widths = [(0, 0)] * (array.ndim - 2) + [(top, bottom), (left, right)]
    if mode == "constant":
        return np.pad(array, widths, constant_values=fill)
    return np.pad(array, widths, mode={"edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}[mode])  # type: ignore[call-overload]


def _sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """PyTorch's paddings (all; left and right, top and bottom; left, top, right, bottom) as the last."""
    given = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(given) not in (1, 2, 4):
        raise ValueError(f"padding must be 1, 2 or 4 numbers, got {padding!r}")
    left, top, right, bottom = given * (4 // len(given))
    return left, top, right, bottom


class Pad(_Transform):
    """Add a border.

    Parameters
    ----------
    padding : int or 2 or 4 of them
        On all sides; left and right, top and bottom; or left, top, right, bottom.
    fill : float
    padding_mode : {"constant", "edge", "reflect", "symmetric"}

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.Pad((1, 2))(np.zeros((4, 4))).shape
    (8, 6)
    """

    def __init__(self, padding: int | Sequence[int], fill: float = 0, padding_mode: str = "constant") -> None:
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(f"Pad: padding_mode must be constant, edge, reflect or symmetric, got {padding_mode!r}")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode
        self._around = _sides(padding)

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "Pad")
        return _wrap(_pad(array, self._around, self.fill, self.padding_mode), tensor)


class CenterCrop(_Transform):
    """Cut out the middle; what lies outside the image is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.CenterCrop(2)(np.arange(16.0).reshape(4, 4))
    array([[ 5.,  6.],
           [ 9., 10.]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = _pair(size, "CenterCrop")

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "CenterCrop")
        height, width = self.size
        over_y, over_x = max(height - array.shape[-2], 0), max(width - array.shape[-1], 0)
        if over_y or over_x:
            sides = (over_x // 2, over_y // 2, (over_x + 1) // 2, (over_y + 1) // 2)
            array = _pad(array, sides, 0, "constant")
        top = round((array.shape[-2] - height) / 2)
        left = round((array.shape[-1] - width) / 2)
        return _wrap(_crop(array, top, left, height, width), tensor)


class RandomCrop(_Transform):
    """Cut out a random place, after padding.

    Parameters
    ----------
    size : int or (int, int)
    padding : int or sequence, optional
        As for `Pad`.
    pad_if_needed : bool
        Pad images that are smaller than `size`.
    fill : float
    padding_mode : {"constant", "edge", "reflect", "symmetric"}

    Raises
    ------
    ValueError
        If the image, padded, is smaller than `size`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.RandomCrop(32, padding=4)(np.zeros((32, 32, 3), np.uint8)).shape
    (32, 32, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size = _pair(size, "RandomCrop")
        self.padding, self.pad_if_needed, self.fill, self.padding_mode = (
            padding,
            pad_if_needed,
            fill,
            padding_mode,
        )
        self._around = Pad(padding or 0, fill, padding_mode)._around

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "RandomCrop")
        if self.padding is not None:
            array = _pad(array, self._around, self.fill, self.padding_mode)
        height, width = self.size
        if self.pad_if_needed:
            over_y, over_x = max(height - array.shape[-2], 0), max(width - array.shape[-1], 0)
            if over_y or over_x:
                array = _pad(array, (over_x, over_y, over_x, over_y), self.fill, self.padding_mode)
        room_y, room_x = array.shape[-2] - height, array.shape[-1] - width
        if room_y < 0 or room_x < 0:
            raise ValueError(
                f"Required crop size {self.size} is larger than input image size {tuple(array.shape[-2:])}"
            )
        draw = rng()
        top, left = draw.randint(0, room_y), draw.randint(0, room_x)
        return _wrap(_crop(array, top, left, height, width), tensor)


class RandomHorizontalFlip(_Transform):
    """Mirror left and right with probability `p`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.RandomHorizontalFlip(p=1.0)(np.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """

    _axis = -1

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must lie in [0, 1], got {p}")
        self.p = p

    def __call__(self, image: Any) -> Any:
        if rng().random() >= self.p:
            return image
        array, tensor = _unwrap(image, type(self).__name__)
        return _wrap(np.flip(array, self._axis), tensor)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Mirror top and bottom with probability `p`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.RandomVerticalFlip(p=1.0)(np.array([[1], [2]]))
    array([[2],
           [1]])
    """

    _axis = -2


class RandomAffine(_Transform):
    """Rotate, shift, scale and shear at random about the centre, with bilinear interpolation.

    Parameters
    ----------
    degrees : float or (float, float)
        The range of the rotation; a single number means plus or minus that.
    translate : (float, float), optional
        The largest shift in x and y, as fractions of width and height.
    scale : (float, float), optional
        The range of the factor.
    shear : float or (float, float), optional
        The range of the shear along x, degrees.
    fill : float
        The value outside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.RandomAffine(10, translate=(0.1, 0.1), fill=255)(np.zeros((32, 32), np.uint8)).shape
    (32, 32)
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        fill: float = 0,
    ) -> None:
        if translate is not None and not all(0 <= t <= 1 for t in translate):
            raise ValueError(f"RandomAffine: translate must lie in [0, 1], got {translate}")
        if scale is not None and min(scale) <= 0:
            raise ValueError(f"RandomAffine: scale must be positive, got {scale}")
        self.degrees, self.translate, self.scale, self.shear, self.fill = (
            degrees,
            translate,
            scale,
            shear,
            fill,
        )

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "RandomAffine")
        height, width = array.shape[-2:]
        draw = rng()
        angle = math.radians(draw.uniform(*_range(self.degrees)))
        shift_x, shift_y = (t * n for t, n in zip(self.translate or (0, 0), (width, height), strict=True))
        shift_x, shift_y = draw.uniform(-shift_x, shift_x), draw.uniform(-shift_y, shift_y)
        factor = draw.uniform(*(self.scale or (1, 1)))
        shear = math.tan(math.radians(draw.uniform(*_range(self.shear or 0))))
        cos, sin = math.cos(angle), math.sin(angle)
        # Forward: scale * rotation @ shear, then the shift. The image is looked up through its inverse.
        inverse = np.array([[cos + shear * sin, sin - shear * cos], [-sin, cos]]) / factor
        y, x = np.mgrid[:height, :width] + 0.5
        dx, dy = x - width / 2 - shift_x, y - height / 2 - shift_y
        from_x = inverse[0, 0] * dx + inverse[0, 1] * dy + width / 2 - 0.5
        from_y = inverse[1, 0] * dx + inverse[1, 1] * dy + height / 2 - 0.5
        return _wrap(_round_like(_bilinear(array, from_y, from_x, self.fill), array.dtype), tensor)


def _range(given: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(given, (int, float)):
        return -given, given
    low, high = given
    return low, high


def _bilinear(array: np.ndarray, y: np.ndarray, x: np.ndarray, fill: float) -> np.ndarray:
    """(..., H, W) `array` at fractional positions; `fill` all around it."""
    height, width = array.shape[-2:]
    framed = _pad(array.astype(np.float32 if array.dtype != np.float64 else np.float64), (1, 1, 1, 1), fill, "constant")
    y = np.clip(y, -1, height) + 1
    x = np.clip(x, -1, width) + 1
    top, left = np.minimum(y.astype(np.int64), height), np.minimum(x.astype(np.int64), width)
    down, right = (y - top).astype(framed.dtype), (x - left).astype(framed.dtype)
    upper = framed[..., top, left] * (1 - right) + framed[..., top, left + 1] * right
    lower = framed[..., top + 1, left] * (1 - right) + framed[..., top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def _grey(array: np.ndarray) -> np.ndarray:
    """The brightness of a (3, H, W) or (..., 3, H, W) image, with one channel, in floating point."""
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    red, green, blue = (array[..., i : i + 1, :, :] * dtype(weight) for i, weight in enumerate(LUMA))
    return np.ascontiguousarray(red + green + blue)


def _check_rgb(array: np.ndarray, name: str) -> None:
    if array.ndim < 3 or array.shape[-3] != 3:
        raise TypeError(f"{name}: expected an image with 3 channels, got (channels first) shape {tuple(array.shape)}")


class Grayscale(_Transform):
    """Colour to grey, by the weights of ITU-R BT.601.

    Parameters
    ----------
    num_output_channels : {1, 3}

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.Grayscale()(np.full((1, 1, 3), 200, np.uint8))
    array([[[200]]], dtype=uint8)
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: num_output_channels must be 1 or 3, got {num_output_channels}")
        self.num_output_channels = num_output_channels

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "Grayscale")
        if array.ndim >= 3 and array.shape[-3] == 3:
            array = _round_like(_grey(array), array.dtype)
        elif array.ndim == 2:
            array = array[None]
        elif array.shape[-3] != 1:
            raise TypeError(f"Grayscale: expected 1 or 3 channels, got (channels first) shape {tuple(array.shape)}")
        return _wrap(np.repeat(array, self.num_output_channels, axis=-3), tensor)


class ColorJitter(_Transform):
    """Change brightness, contrast and saturation of an RGB image by random factors, in random order.

    Parameters
    ----------
    brightness, contrast, saturation : float or (float, float)
        The range of the factor; a single number `v` means from max(0, 1 - v) to 1 + v.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd_lite.datasets import transforms
    >>> transforms.ColorJitter(brightness=0.5)(np.zeros((2, 2, 3), np.uint8)).max()
    np.uint8(0)
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
    ) -> None:
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self._factors = [self._limits(n, v) for n, v in vars(self).items()]

    @staticmethod
    def _limits(name: str, value: float | Sequence[float]) -> tuple[str, float, float]:
        low, high = (max(0.0, 1 - value), 1 + value) if isinstance(value, (int, float)) else value
        if not 0 <= low <= high:
            raise ValueError(f"ColorJitter: {name} must not be negative and in order, got {value!r}")
        return name, low, high

    def __call__(self, image: Any) -> Any:
        array, tensor = _unwrap(image, "ColorJitter")
        _check_rgb(array, "ColorJitter")
        draw = rng()
        top = 255.0 if array.dtype.kind != "f" else 1.0
        values = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
        for name, low, high in draw.sample(self._factors, 3):
            factor = draw.uniform(low, high)
            if low == high == 1:
                continue
            if name == "brightness":
                other: Any = 0.0
            elif name == "contrast":
                other = _grey(values).mean(axis=(-3, -2, -1), keepdims=True)
            else:
                other = _grey(values)
            values = np.clip(other + values.dtype.type(factor) * (values - other), 0, top)
        return _wrap(_round_like(values, array.dtype), tensor)


class Lambda(_Transform):
    """Any function as a transform.

    Examples
    --------
    >>> from autograd_lite.datasets import transforms
    >>> transforms.Lambda(lambda image: 1 - image)(0.25)
    0.75
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)
