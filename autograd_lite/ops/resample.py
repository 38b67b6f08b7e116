"""Images in other sizes: interpolation, patches as columns and back, and channels spread over pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..tensor import Tensor
from . import pooling
from .indexing import take_along
from .inplace import put_positions
from .pooling import extents
from .rearrange import pad
from .shape import positions_of, strided, take_slice

Ints = tuple[int, ...]

__all__ = ["pixel_shuffle", "pixel_unshuffle"]

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
CUBIC = -0.75
"""The coefficient of Keys' kernel that PyTorch takes."""


@lru_cache(maxsize=256)
def _taps(
    mode: str, before: int, after: int, align: bool, scale: float | None
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """For each tap along one axis: which element each output takes, and with which weight (None: all of it)."""
    o = np.arange(after)
    if mode in ("nearest", "nearest-exact"):
        step = np.float32(before / after if scale is None else 1 / scale)
        at = (o + np.float32(0.5 if mode == "nearest-exact" else 0)).astype(np.float32) * step
        return [(np.minimum(np.floor(at).astype(np.int64), before - 1), None)]
    if align:
        at = o * ((before - 1) / (after - 1) if after > 1 else 0.0)
    else:
        at = (o + 0.5) * (before / after if scale is None else 1 / scale) - 0.5
    if mode == "bicubic":
        whole = np.floor(at)
        return [
            (np.clip(whole + k, 0, before - 1).astype(np.int64), _keys(np.abs(at - whole - k))) for k in (-1, 0, 1, 2)
        ]
    at = np.maximum(at, 0)
    low = np.minimum(np.floor(at).astype(np.int64), before - 1)
    share = at - low
    return [(low, 1 - share), (np.minimum(low + 1, before - 1), share)]


def _keys(t: np.ndarray) -> np.ndarray:
    """R. Keys, "Cubic convolution interpolation for digital image processing" (1981), equation 15."""
    near = ((CUBIC + 2) * t - (CUBIC + 3)) * t * t + 1
    far = ((CUBIC * t - 5 * CUBIC) * t + 8 * CUBIC) * t - 4 * CUBIC
    return np.where(t <= 1, near, far)


def _along(x: Tensor, dim: int, taps: list[tuple[np.ndarray, np.ndarray | None]]) -> Tensor:
    """Resample one axis."""
    total: Any = None
    for index, weight in taps:
        taken = take_along(x, dim=dim, index=index)
        if weight is not None:
            shape = (-1,) + (1,) * (x._data.ndim - dim - 1)
            taken = taken * Tensor(weight.astype(x._data.dtype).reshape(shape))
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
    for i in range(axes):
        before, after = shape[i + 2], sizes[i]
        if before != after or scales[i] not in (None, 1):
            input = _along(input, i + 2, _taps(mode, before, after, bool(align_corners), scales[i]))
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


# Patches as columns


def _windows(
    op: str, height: int, width: int, kernel: Ints, dilation: Ints, stride: Ints
) -> tuple[Ints, Callable[[np.ndarray], np.ndarray]]:
    """How many windows there are, and the view (N, C, H, W) -> (N, C, kh, kw, rows, columns) of them."""
    counts = tuple(
        [(n - d * (k - 1) - 1) // s + 1 for n, k, d, s in zip((height, width), kernel, dilation, stride, strict=True)]
    )
    if min(counts) < 1:
        raise RuntimeError(
            f"{op}: the array of windows has shape {counts}, which must be positive: a padded image of {height} x "
            f"{width}, kernel_size {kernel}, dilation {dilation}, stride {stride}"
        )

    def view(x: np.ndarray) -> np.ndarray:
        n, c, h, w = x.strides
        strides = (n, c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1])
        return np.lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *counts), strides)

    return counts, view


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
    kernel, dilation, padding, stride = (
        extents("unfold", name, value, 2)
        for name, value in (
            ("kernel_size", kernel_size),
            ("dilation", dilation),
            ("padding", padding),
            ("stride", stride),
        )
    )
    padded = pad(input, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else input
    samples, channels, height, width = padded._data.shape
    counts, view = _windows("unfold", height, width, kernel, dilation, stride)
    return strided(padded, view=view).reshape((samples, channels * math.prod(kernel), math.prod(counts)))


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
    size, kernel, dilation, padding, stride = (
        extents("fold", name, value, 2)
        for name, value in (
            ("output_size", output_size), ("kernel_size", kernel_size), ("dilation", dilation), ("padding", padding),
            ("stride", stride),
        )
    )  # fmt: skip
    samples, rows, columns = input._data.shape
    height, width = size[0] + 2 * padding[0], size[1] + 2 * padding[1]
    counts, view = _windows("fold", height, width, kernel, dilation, stride)
    if rows % math.prod(kernel) or columns != math.prod(counts):
        raise RuntimeError(
            f"fold: Expected input of shape (N, C * {math.prod(kernel)}, {math.prod(counts)}) for output_size {size}, "
            f"kernel_size {kernel}, dilation {dilation}, padding {padding}, stride {stride}, got {input._data.shape}"
        )
    shape = (samples, rows // math.prod(kernel), height, width)
    windows = input.reshape((*shape[:2], *kernel, *counts))
    summed = put_positions(windows, positions=view(positions_of(shape)), shape=shape)
    inner = [slice(p, n - p) for p, n in zip(padding, (height, width), strict=True)]
    return take_slice(summed, index=(..., *inner)) if any(padding) else summed


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
