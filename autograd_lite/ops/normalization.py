"""Normalisation: batch, layer, group, instance, root-mean-square and local response norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels import batch_norm as batch
from ..kernels import norm
from ..tensor import Tensor
from . import pooling
from .arithmetic import where
from .primitive import Primitive, primitive
from .rearrange import pad

Ints = tuple[int, ...]
contiguous = np.ascontiguousarray

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]


# What is normalised is u = (x - mean) * rstd, the mean and rstd = 1 / sqrt(var + eps) being taken over `dims`.


def _unit(x: Tensor, dims: Ints, eps: float, centred: bool = True) -> tuple[Tensor, Tensor]:
    """`u` and `rstd`, in differentiable operations."""
    if centred:
        x = x - x.mean(dims, keepdim=True)
    rstd = ((x * x).mean(dims, keepdim=True) + eps).rsqrt()
    return x * rstd, rstd


def _unit_gradient(gu: Tensor, u: Tensor, rstd: Tensor, dims: Ints, centred: bool = True) -> Tensor:
    """The gradient of x, given that of `u`."""
    rest = gu - u * (gu * u).mean(dims, keepdim=True)
    return rstd * (rest - gu.mean(dims, keepdim=True) if centred else rest)


def _over_channels(shape: Ints) -> tuple[Ints, Ints]:
    """All dimensions but the second; and the shape of a vector of channels, for broadcasting."""
    return (0, *range(2, len(shape))), (1, -1) + (1,) * (len(shape) - 2)


Running = tuple[Any, Any]


@primitive
def _batch_norm(x: Any, weight: Any, bias: Any, *, running: Running, train: bool, momentum: float, eps: float) -> Any:
    out, stats = batch.batch_norm(contiguous(x), weight, bias, *running, momentum, eps, train)
    return out, {"stats": stats}


@primitive(name="batch_norm_relu")
def _rectified(x: Any, weight: Any, bias: Any, *, running: Running, train: bool, momentum: float, eps: float) -> Any:
    out, stats = batch.batch_norm(contiguous(x), weight, bias, *running, momentum, eps, train, True)
    return out, {"stats": stats}


@primitive(name="batch_norm_relu_max_pool")
def _pooled(x: Any, weight: Any, bias: Any, *, running: Running, train: bool, momentum: float, eps: float) -> Any:
    out, stats, where = batch.batch_norm_pool(contiguous(x), weight, bias, *running, momentum, eps, train)
    return out, {"stats": stats, "where": where}


@_batch_norm.derivative("x", "weight", "bias")
def _batch_rule(
    g: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, *, train: bool, eps: float, needs: Sequence[bool]
) -> Any:
    dims, across = _over_channels(x._data.shape)
    if train:
        u, rstd = _unit(x, dims, eps)
    else:
        mean, rstd = (Tensor(stats._data[i].reshape(across)) for i in (0, 1))
        u = (x - mean) * rstd
    gu = g if weight is None else g * weight.reshape(across)
    return (
        (_unit_gradient(gu, u, rstd, dims) if train else gu * rstd) if needs[0] else None,
        (g * u).sum(dims) if needs[1] else None,
        g.sum(dims) if needs[2] else None,
    )


@_rectified.derivative("x", "weight", "bias")
def _(
    g: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, stats: Tensor, *, train: bool, eps: float,
    needs: Sequence[bool],
) -> Any:  # fmt: skip
    mean, var = (None, None) if train else (stats._data[0], stats._data[2])
    w, b = (None if v is None else v._data for v in (weight, bias))
    out = Tensor(batch.batch_norm(contiguous(x._data), w, b, mean, var, 0.0, eps, train, True)[0])
    return _batch_rule(where(out <= 0, 0, g), x, weight, stats, train=train, eps=eps, needs=needs)


@_pooled.derivative("x", "weight", "bias")
def _(
    g: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, where: Tensor, *, train: bool, eps: float,
    needs: Sequence[bool],
) -> Any:  # fmt: skip
    g = pooling.to_maxima(g, where=where._data, shape=x._data.shape, axes=2)
    return _batch_rule(g, x, weight, stats, train=train, eps=eps, needs=needs)


@_batch_norm.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, bias: Any, stats: Any, *, train: bool) -> Any:
    return batch.batch_norm_backward(contiguous(g), contiguous(x), weight, bias, stats, train)


@_rectified.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, bias: Any, stats: Any, *, train: bool) -> Any:
    return batch.batch_norm_backward(contiguous(g), contiguous(x), weight, bias, stats, train, True)


@_pooled.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, stats: Any, where: Any, *, train: bool) -> Any:
    return batch.batch_norm_pool_backward(contiguous(g), where, contiguous(x), weight, stats, train)


def _check_input(op: str, input: Any, least: int) -> Ints:
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {input.dtype!r}; expected a floating dtype")
    if input._data.ndim < least:
        raise RuntimeError(f"{op}: expected at least {least}D input, got shape {input._data.shape}")
    return input._data.shape


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel over the batch: ``(x - mean) / sqrt(var + eps) * weight + bias``.

    Ioffe and Szegedy, "Batch normalization" (2015), algorithm 1.

    Parameters
    ----------
    input : Tensor, (N, C, ...)
    running_mean, running_var : Tensor, (C,), optional
        In training they move by `momentum` towards the batch's mean and unbiased variance, in place; else they
        are what `input` is normalised by.
    weight, bias : Tensor, (C,), optional
    training : bool
        Whether to use the statistics of this batch.

    Raises
    ------
    ValueError
        In training with a single value per channel.
    RuntimeError
        If a vector does not have C elements, or is missing.

    Notes
    -----
    With ``u = (x - mean) * rstd`` and means over a channel: ``dx = weight * rstd * (g - mean(g) - u * mean(g u))``
    (``weight * rstd * g`` outside training), ``dweight = sum(g u)``, ``dbias = sum(g)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.batch_norm(ag.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    return _normalise(_batch_norm, input, running_mean, running_var, weight, bias, training, momentum, eps)


def _normalise(
    op: Primitive, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None,
    bias: Tensor | None, training: bool, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    shape = _check_input("batch_norm", input, 2)
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("batch_norm: Expected running_mean and running_var to be defined when training=False")
    if training and math.prod(shape) == shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    mean = None if running_mean is None else running_mean._data
    var = None if running_var is None else running_var._data
    out = op(input, weight, bias, running=(mean, var), train=bool(training), momentum=momentum, eps=eps)
    if training:
        if running_mean is not None:
            running_mean._bump()
        if running_var is not None:
            running_var._bump()
    return out


def _batch_norm_relu(input: Tensor, *args: Any) -> Tensor:
    """``relu(batch_norm(input, *args))`` in one pass each way, to the bit; all of `batch_norm`'s arguments."""
    return _normalise(_rectified, input, *args)


def _batch_norm_relu_pool(input: Tensor, *args: Any) -> Tensor:
    """``max_pool2d(relu(batch_norm(input, *args)), 2)`` likewise; of an image of odd extents in two steps."""
    if isinstance(input, Tensor) and batch.suits_pooling(input._data.shape):
        return _normalise(_pooled, input, *args)
    return pooling.max_pool2d(_batch_norm_relu(input, *args), 2)


@primitive
def _layer_norm(x: Any, weight: Any, bias: Any, *, shape: Ints, eps: float) -> Any:
    out, stats = norm.layer_norm(contiguous(x), shape, weight, bias, eps)
    return out, {"stats": stats}


@_layer_norm.derivative("x", "weight", "bias")
def _(g: Tensor, x: Tensor, weight: Tensor | None, *, shape: Ints, eps: float, needs: Sequence[bool]) -> Any:
    rows = x._data.ndim - len(shape)
    dims, lead = tuple(range(rows, x._data.ndim)), tuple(range(rows))
    u, rstd = _unit(x, dims, eps)
    return (
        _unit_gradient(g if weight is None else g * weight, u, rstd, dims) if needs[0] else None,
        _summed(g * u, lead) if needs[1] else None,
        _summed(g, lead) if needs[2] else None,
    )


@_layer_norm.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, stats: Any, *, shape: Ints) -> Any:
    return norm.layer_norm_backward(contiguous(g), contiguous(x), shape, weight, stats)


def _summed(x: Tensor, dims: Ints) -> Tensor:
    return x.sum(dims) if dims else x + 0


def _check_normalized(op: str, input: Any, normalized_shape: Any, **given: Tensor | None) -> Ints:
    extents, dtype = _check_input(op, input, 0), input._data.dtype
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise RuntimeError(f"{op}: Expected normalized_shape to be at least 1-dimensional, got ()")
    if extents[-len(shape) :] != shape:
        raise RuntimeError(
            f"{op}: Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(extents)}"
        )
    for name, value in given.items():
        if value is None:
            continue
        if value._data.shape != shape:
            raise RuntimeError(
                f"{op}: Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(value._data.shape)} and normalized_shape = {list(shape)}"
            )
        if value._data.dtype != dtype:
            raise RuntimeError(f"{op}: expected {name} of {input.dtype!r} as the input, got {value.dtype!r}")
    return shape


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions: ``(x - mean) / sqrt(var + eps) * weight + bias``.

    Ba, Kiros and Hinton, "Layer normalization" (2016), section 3.

    Parameters
    ----------
    input : Tensor, (..., *normalized_shape)
    weight, bias : Tensor of shape `normalized_shape`, optional

    Raises
    ------
    RuntimeError
        If the shapes do not fit each other.

    Notes
    -----
    As for `batch_norm` in training, with the means over one row.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.layer_norm(ag.tensor([[1.0, 3.0], [5.0, 5.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [ 0.0000,  0.0000]])
    """
    shape = _check_normalized("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return _layer_norm(input, weight, bias, shape=shape, eps=eps)


@primitive
def _rms_norm(x: Any, weight: Any, *, shape: Ints, eps: float) -> Any:
    out, stats = norm.rms_norm(contiguous(x), shape, weight, eps)
    return out, {"stats": stats}


@_rms_norm.derivative("x", "weight")
def _(g: Tensor, x: Tensor, weight: Tensor | None, *, shape: Ints, eps: float, needs: Sequence[bool]) -> Any:
    rows = x._data.ndim - len(shape)
    dims = tuple(range(rows, x._data.ndim))
    u, rstd = _unit(x, dims, eps, centred=False)
    return (
        _unit_gradient(g if weight is None else g * weight, u, rstd, dims, centred=False) if needs[0] else None,
        _summed(g * u, tuple(range(rows))) if needs[1] else None,
    )


@_rms_norm.fused("x", "weight")
def _(g: Any, x: Any, weight: Any, stats: Any, *, shape: Ints) -> Any:
    return norm.rms_norm_backward(contiguous(g), contiguous(x), shape, weight, stats)


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root of the mean square over the last dimensions: ``x / sqrt(mean(x^2) + eps) * weight``.

    Zhang and Sennrich, "Root mean square layer normalization" (2019), equation 4.

    Parameters
    ----------
    input : Tensor, (..., *normalized_shape)
    weight : Tensor of shape `normalized_shape`, optional
    eps : float, optional
        Default: the machine epsilon of the dtype.

    Raises
    ------
    RuntimeError
        If the shapes do not fit each other.

    Notes
    -----
    With ``u = x * rstd``: ``dx = rstd * (g w - u * mean(g w u))``, ``dweight = sum(g u)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.rms_norm(ag.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    shape = _check_normalized("rms_norm", input, normalized_shape, weight=weight)
    eps = float(np.finfo(input._data.dtype).eps) if eps is None else eps
    return _rms_norm(input, weight, shape=shape, eps=eps)


@primitive
def _group_norm(x: Any, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    out, stats = norm.group_norm(contiguous(x), groups, weight, bias, eps)
    return out, {"stats": stats}


@_group_norm.derivative("x", "weight", "bias")
def _(g: Tensor, x: Tensor, weight: Tensor | None, *, groups: int, eps: float, needs: Sequence[bool]) -> Any:
    shape = x._data.shape
    dims, across = _over_channels(shape)
    rows = (shape[0], groups, math.prod(shape[1:]) // groups)
    u, rstd = _unit(x.reshape(rows), (2,), eps)
    gu = (g if weight is None else g * weight.reshape(across)).reshape(rows)
    return (
        _unit_gradient(gu, u, rstd, (2,)).reshape(shape) if needs[0] else None,
        (g * u.reshape(shape)).sum(dims) if needs[1] else None,
        g.sum(dims) if needs[2] else None,
    )


@_group_norm.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, stats: Any, *, groups: int) -> Any:
    return norm.group_norm_backward(contiguous(g), contiguous(x), groups, weight, stats)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each of `num_groups` groups of neighbouring channels of each sample.

    Wu and He, "Group normalization" (2018), section 3.

    Parameters
    ----------
    input : Tensor, (N, C, ...)
    num_groups : int
        A divisor of C.
    weight, bias : Tensor, (C,), optional

    Raises
    ------
    RuntimeError
        If `num_groups` does not divide C, or a vector does not have C elements.

    Notes
    -----
    As for `batch_norm` in training, with the means over one group of one sample.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.group_norm(ag.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    shape = _check_input("group_norm", input, 2)
    if num_groups <= 0:
        raise RuntimeError(f"group_norm: Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    return _group_norm(input, weight, bias, groups=num_groups, eps=eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel of every sample by itself.

    Ulyanov et al., "Instance normalization" (2016). Parameters are those of `batch_norm`; `use_input_stats` is its
    `training`.

    Raises
    ------
    ValueError
        If there is a single value per channel.
    RuntimeError
        If a vector does not have C elements, or is missing.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.instance_norm(ag.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    shape = _check_input("instance_norm", input, 3)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats=False")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    arrays = {name: None if vector is None else vector._data for name, vector in vectors.items()}
    norm.check_channels("instance_norm", input._data, shape[1], **arrays)
    if running_mean is not None or running_var is not None:
        _move_statistics(input, running_mean, running_var, momentum)
    return _group_norm(input, weight, bias, groups=shape[1], eps=eps)


def _move_statistics(input: Tensor, mean: Tensor | None, var: Tensor | None, momentum: float) -> None:
    """Move running statistics towards the averages, over the samples, of those of each sample."""
    count, channels = input._data.shape[:2]
    samples = contiguous(input._data).reshape(1, count * channels, -1)
    for which, kept in enumerate((mean, var)):
        if kept is not None:
            pair = np.tile(kept._data, (2, count))
            batch.batch_norm(samples, None, None, pair[0], pair[1], momentum, 0.0, True)
            np.copyto(kept._data, pair[which].reshape(count, channels).mean(0))
            kept._bump()


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by ``(k + alpha * m)^beta``, with the mean `m` of the squares of `size` neighbouring channels.

    Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (2012), section 3.3.

    Parameters
    ----------
    input : Tensor, (N, C, ...)
    size : int
        Over how many channels `m` is taken; those that do not exist count as zeros.

    Raises
    ------
    ValueError
        If the input has fewer than 3 dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.local_response_norm(ag.ones(1, 2, 1), 2, alpha=1.0, beta=1.0)
    tensor([[[0.6667],
             [0.5000]]])
    """
    shape = input._data.shape
    if len(shape) < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {len(shape)} dimensions)")
    squares = (input * input).reshape((shape[0], 1, shape[1], math.prod(shape[2:])))
    padded = pad(squares, (0, 0, size // 2, (size - 1) // 2))
    m = pooling.avg_pool2d(padded, (size, 1), stride=1).reshape(shape)
    return input / (m * alpha + k) ** beta
