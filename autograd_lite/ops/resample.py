"""Images in other sizes: interpolation, patches as columns and back, and channels spread over pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..kernels import resample as kernels
from ..tensor import Tensor
from . import pooling
from .indexing import take_along
from .pooling import extents
from .primitive import primitive

Ints = tuple[int, ...]
Scales = tuple["float | None", ...]

__all__ = ["pixel_shuffle", "pixel_unshuffle"]

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
NEAREST = {"nearest": 0.0, "nearest-exact": 0.5}
CUBIC = -0.75
"""The coefficient of Keys' kernel that PyTorch takes."""


# Nearest and linear: a kernel each, and its adjoint


@primitive
def _nearest(x: np.ndarray, *, size: Ints, scales: Scales, shift: float) -> np.ndarray:
    return kernels.nearest(x, size, scales, shift)


@primitive
def _nearest_adjoint(g: np.ndarray, *, shape: Ints, size: Ints, scales: Scales, shift: float) -> np.ndarray:
    return kernels.nearest_backward(g, shape, size, scales, shift)


@_nearest.derivative("x")
def _(g: Tensor, x_shape: Ints, *, size: Ints, scales: Scales, shift: float) -> Tensor:
    return _nearest_adjoint(g, shape=x_shape, size=size, scales=scales, shift=shift)


@_nearest_adjoint.derivative("g")
def _(g: Tensor, *, size: Ints, scales: Scales, shift: float) -> Tensor:
    return _nearest(g, size=size, scales=scales, shift=shift)


@primitive
def _linear(x: np.ndarray, *, size: Ints, align: bool, scales: Scales) -> np.ndarray:
    return kernels.linear(x, size, align, scales)


@primitive
def _linear_adjoint(g: np.ndarray, *, shape: Ints, size: Ints, align: bool, scales: Scales) -> np.ndarray:
    return kernels.linear_backward(g, shape, size, align, scales)


@_linear.derivative("x")
def _(g: Tensor, x_shape: Ints, *, size: Ints, align: bool, scales: Scales) -> Tensor:
    return _linear_adjoint(g, shape=x_shape, size=size, align=align, scales=scales)


@_linear_adjoint.derivative("g")
def _(g: Tensor, *, size: Ints, align: bool, scales: Scales) -> Tensor:
    return _linear(g, size=size, align=align, scales=scales)


# Cubic: a weighted sum of four neighbours along one axis after the other


@lru_cache(maxsize=256)
def _cubic_taps(before: int, after: int, align: bool, scale: float | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each tap along one axis: which element each output takes, and with which weight."""
    o = np.arange(after)
    if align:
        at = o * ((before - 1) / (after - 1) if after > 1 else 0.0)
    else:
        at = (o + 0.5) * (before / after if scale is None else 1 / scale) - 0.5
    whole = np.floor(at)
    return [
        (np.clip(whole + k, 0, before - 1).astype(np.int64), _keys(np.abs(at - whole - k))) for k in (-1, 0, 1, 2)
    ]


def _keys(t: np.ndarray) -> np.ndarray:
    """R. Keys, "Cubic convolution interpolation for digital image processing" (1981), equation 15."""
    near = ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1
    far = ((CUBIC * t - 5 * CUBIC) * t + 8 * CUBIC) * t - 4 * CUBIC
    return np.where(t <= 1, near, far)


def _cubic_along(x: Tensor, dim: int, taps: list[tuple[np.ndarray, np.ndarray]]) -> Tensor:
    total: Any = None
    for index, weight in taps:
        shape = (-1,) + (1,) * (x._data.ndim - dim - 1)
        taken = take_along(x, dim=dim, index=index) * Tensor(weight.astype(x._data.dtype).reshape(shape))
        total = taken if total is None else total + taken
    return total


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize to `size`, or by `scale_factor`.

    Parameters
    ----------
    input : Tensor, (N, C, [D,] [H,] W)
    size : int or sequence of int, optional
        The new extents; one of the two must be given.
    scale_factor : float or sequence of float, optional
        The factors of the extents.
    mode : str
        "nearest", "nearest-exact", "area"; "linear" (3-D input), "bilinear" or "bicubic" (4-D), "trilinear" (5-D).
    align_corners : bool, optional
        Whether the centres of the corner pixels keep their place, in the modes that interpolate; else the outer
        edges do (default).
    recompute_scale_factor : bool, optional
        Take the factor from the rounded extents instead of `scale_factor`.

    Raises
    ------
    ValueError
        If not exactly one of `size` and `scale_factor` is given, or they do not fit the input.
    NotImplementedError
        If the mode does not fit the input, or `antialias` is asked for.

    Notes
    -----
    Gradient: each element gets the sum of ``g`` over the outputs that it contributes to, times its weights.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[[1.0, 2.0]]])
    >>> ag.nn.functional.interpolate(x, size=4)
    tensor([[[1., 1., 2., 2.]]])
    >>> ag.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    shape = input._data.shape
    axes = len(shape) - 2
    if axes not in (1, 2, 3):
        raise NotImplementedError(f"interpolate: expected 3D, 4D or 5D input, got shape {shape}")
    if antialias:
        raise NotImplementedError("interpolate: antialias is not supported")
    smooth = mode in LINEAR or mode == "bicubic"
    if mode not in ("nearest", "nearest-exact", "area") and not smooth:
        raise NotImplementedError(f"interpolate: unknown mode {mode!r}")
    if smooth and axes != LINEAR.get(mode, 2):
        raise NotImplementedError(
            f"interpolate: got {len(shape)}D input, but {mode} mode needs {LINEAR.get(mode, 2) + 2}D input"
        )
    if align_corners is not None and not smooth:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined" if size is None
            else "only one of size or scale_factor should be defined"
        )  # fmt: skip
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    given: Any = size if size is not None else scale_factor
    listed = tuple(given) if isinstance(given, (tuple, list)) else (given,) * axes
    if len(listed) != axes:
        raise ValueError(f"interpolate: input has {axes} spatial dimensions, but got {given!r} for them")
    if size is None:
        sizes = tuple([math.floor(n * factor) for n, factor in zip(shape[2:], listed, strict=True)])
    else:
        sizes = tuple([int(n) for n in listed])
    if min(sizes) <= 0 or min(shape[1:]) <= 0:
        raise RuntimeError(f"interpolate: Input and output sizes should be greater than 0, but got {shape} and {sizes}")
    if mode == "area":
        return getattr(pooling, f"adaptive_avg_pool{axes}d")(input, sizes)
    scales = (None,) * axes if size is not None or recompute_scale_factor else listed
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"interpolate: not implemented for {input.dtype!r}; expected a floating dtype")
    if mode in NEAREST:
        return _nearest(input, size=sizes, scales=scales, shift=NEAREST[mode])
    align = bool(align_corners)
    if mode in LINEAR:
        return _linear(input, size=sizes, align=align, scales=scales)
    for i in range(axes):
        before, after = shape[i + 2], sizes[i]
        if before != after or scales[i] not in (None, 1):
            input = _cubic_along(input, i + 2, _cubic_taps(before, after, align, scales[i]))
    return input if input._data.shape != shape else input + 0


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The former name of `interpolate`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.interpolate(ag.tensor([[[1.0, 2.0]]]), size=4)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


# Patches as columns: `unfold` and `fold` are each other's adjoints


@primitive
def _unfold(x: np.ndarray, *, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> np.ndarray:
    return kernels.unfold(x, kernel, stride, padding, dilation)


@primitive
def _fold(x: np.ndarray, *, shape: Ints, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> np.ndarray:
    return kernels.fold(x, shape, kernel, stride, padding, dilation)


@_unfold.derivative("x")
def _(g: Tensor, x_shape: Ints, *, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Tensor:
    return _fold(g, shape=x_shape, kernel=kernel, dilation=dilation, padding=padding, stride=stride)


@_fold.derivative("x")
def _(g: Tensor, *, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Tensor:
    return _unfold(g, kernel=kernel, dilation=dilation, padding=padding, stride=stride)


def _options(op: str, input: Tensor, **given: Any) -> dict[str, Ints]:
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {input.dtype!r}; expected a floating dtype")
    pairs = {name: extents(op, name, value, 2) for name, value in given.items()}
    return {"kernel" if name == "kernel_size" else name: value for name, value in pairs.items()}


def _count_windows(op: str, size: Ints, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints) -> int:
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    ]
    if min(counts) < 1:
        raise RuntimeError(
            f"{op}: the array of windows has shape {tuple(counts)}, which must be positive: an image of {size[0]} x "
            f"{size[1]}, kernel_size {kernel}, dilation {dilation}, padding {padding}, stride {stride}"
        )
    return math.prod(counts)


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of an image, as columns.

    Parameters
    ----------
    input : Tensor, ([N,] C, H, W)
    kernel_size, dilation, padding, stride : int or pair of int

    Returns
    -------
    Tensor, ([N,] C * kernel height * kernel width, number of windows)

    Raises
    ------
    RuntimeError
        If the input has another number of dimensions, or no window fits.

    Notes
    -----
    Gradient: `fold`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.unfold(ag.arange(6.0).reshape(1, 1, 2, 3), 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    if input._data.ndim == 3:
        return unfold(input.unsqueeze(0), kernel_size, dilation, padding, stride).squeeze(0)
    if input._data.ndim != 4:
        raise RuntimeError(f"unfold: Expected 3D or 4D (batch mode) tensor for input, but got: {input._data.shape}")
    options = _options("unfold", input, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    _count_windows("unfold", input._data.shape[2:], **options)
    return _unfold(input, **options)


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The sum of overlapping windows, given as columns: the adjoint of `unfold`.

    Parameters
    ----------
    input : Tensor, ([N,] C * kernel height * kernel width, number of windows)
    output_size : int or pair of int
        The extents H, W of the image.
    kernel_size, dilation, padding, stride : int or pair of int

    Returns
    -------
    Tensor, ([N,] C, H, W)

    Raises
    ------
    RuntimeError
        If the shape of the input does not fit the other arguments.

    Notes
    -----
    Gradient: `unfold`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.fold(ag.ones(1, 4, 2), (2, 3), 2)
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    if input._data.ndim == 2:
        return fold(input.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    if input._data.ndim != 3:
        raise RuntimeError(f"fold: Expected 2D or 3D (batch mode) tensor for input, but got: {input._data.shape}")
    options = _options("fold", input, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
    size = extents("fold", "output_size", output_size, 2)
    samples, rows, columns = input._data.shape
    taps, windows = math.prod(options["kernel"]), _count_windows("fold", size, **options)
    if rows % taps or columns != windows:
        raise RuntimeError(
            f"fold: Expected input of shape (N, C * {taps}, {windows}) for output_size {size}, kernel_size "
            f"{options['kernel']}, dilation {options['dilation']}, padding {options['padding']}, stride "
            f"{options['stride']}, got {input._data.shape}"
        )
    return _fold(input, shape=(samples, rows // taps, *size), **options)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Spread groups of ``r^2`` channels over blocks of r x r pixels: (..., C r^2, H, W) to (..., C, H r, W r).

    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network" (2016).

    Raises
    ------
    RuntimeError
        If the channels are not a multiple of ``r^2``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.pixel_shuffle(ag.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    shape, r = input._data.shape, upscale_factor
    if len(shape) < 3 or r < 1 or shape[-3] % (r * r):
        raise RuntimeError(
            f"pixel_shuffle: expects input (..., C * {r * r}, H, W) for upscale_factor {r}, got shape {shape}"
        )
    channels, height, width = shape[-3] // (r * r), *shape[-2:]
    x = input.reshape((-1, channels, r, r, height, width)).permute((0, 1, 4, 2, 5, 3))
    return x.reshape((*shape[:-3], channels, height * r, width * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Collect blocks of r x r pixels in channels: the inverse of `pixel_shuffle`.

    Raises
    ------
    RuntimeError
        If the extents are not multiples of r.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.pixel_unshuffle(ag.arange(4.0).reshape(1, 2, 2), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    shape, r = input._data.shape, downscale_factor
    if len(shape) < 3 or r < 1 or shape[-1] % r or shape[-2] % r:
        raise RuntimeError(
            f"pixel_unshuffle: expects input (..., C, H, W) with H and W multiples of {r}, got shape {shape}"
        )
    channels, height, width = shape[-3], shape[-2] // r, shape[-1] // r
    x = input.reshape((-1, channels, height, r, width, r)).permute((0, 1, 3, 5, 2, 4))
    return x.reshape((*shape[:-3], channels * r * r, height, width))
