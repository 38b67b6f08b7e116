"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import memory
from ..kernels import softmax as kernels
from ..tensor import Tensor, method
from .arithmetic import clamp
from .creation import zeros_like
from .elementwise import cast
from .pointwise import exp, log
from .primitive import primitive
from .reduction import sum
from .shape import data_of, numpy_names

__all__ = ["log_softmax", "softmax"]


@primitive(name="softmax")
def _softmax(x: np.ndarray, *, dim: int) -> np.ndarray:
    return kernels.softmax(x, dim)


@_softmax.derivative("x")
def _(g: Tensor, out: Tensor, *, dim: int) -> Tensor:
    weighted = g * out
    return weighted - out * sum(weighted, dim, True)


@_softmax.fused("x")
def _(g: np.ndarray, out: np.ndarray, *, dim: int) -> np.ndarray:
    return kernels.softmax_backward(g, out, dim)


@primitive(name="log_softmax")
def _log_softmax(x: np.ndarray, *, dim: int) -> np.ndarray:
    return kernels.log_softmax(x, dim)


@_log_softmax.derivative("x")
def _(g: Tensor, out: Tensor, *, dim: int) -> Tensor:
    return g - exp(out) * sum(g, dim, True)


@_log_softmax.fused("x")
def _(g: np.ndarray, out: np.ndarray, *, dim: int) -> np.ndarray:
    return kernels.log_softmax_backward(g, out, dim)


def _prepared(op: str, input: Tensor, dim: int, dtype: Any) -> tuple[Tensor, int]:
    data = data_of(op, input)
    dim = input._dim(dim)
    if dtype is not None and dtypes.to_numpy(dtype) != data.dtype:
        input = cast(input, dtype=dtypes.to_numpy(dtype))
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {input.dtype!r}; give a floating-point dtype")
    return input, dim


@numpy_names
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input), divided by its sum along `dim`; without overflow.

    Parameters
    ----------
    dim : int
        Along which the result sums to 1.
    dtype : dtype, optional
        To convert to first.

    Raises
    ------
    NotImplementedError
        For integers, without `dtype`.

    Notes
    -----
    Gradient: ``out * (g - sum(g * out))``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.softmax(ag.tensor([1000.0, 1000.0]), 0)
    tensor([0.5000, 0.5000])
    """
    input, dim = _prepared("softmax", input, dim, dtype)
    return _softmax(input, dim=dim)


@numpy_names
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of the softmax, ``input - logsumexp(input)``; without overflow. Parameters as in `softmax`.

    Notes
    -----
    Gradient: ``g - exp(out) * sum(g)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.log_softmax(ag.tensor([1000.0, 1000.0]), 0)
    tensor([-0.6931, -0.6931])
    """
    input, dim = _prepared("log_softmax", input, dim, dtype)
    return _log_softmax(input, dim=dim)


method(softmax)
method(log_softmax)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """``softmax((logits + noise) / tau)``, the noise drawn from Gumbel's distribution: a soft draw of a category.

    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2017).

    Parameters
    ----------
    logits : Tensor
        Logarithms of the probabilities, up to a constant.
    tau : float
        The temperature.
    hard : bool
        Give ones and zeros, with the gradient of the soft draw.
    eps : float
        Accepted for PyTorch's sake, where it has no effect either.
    dim : int
        The dimension of the categories.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.gumbel_softmax(ag.zeros(3, 4), hard=True).sum(-1)
    tensor([1., 1., 1.])
    """
    waited = Tensor(memory.empty(logits._data.shape, logits._data.dtype)).exponential_()
    noise = -log(clamp(waited, min=float(np.finfo(logits._data.dtype).tiny)))
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    value = soft.detach()
    ones = zeros_like(value).scatter(dim, value.argmax(dim, keepdim=True), 1.0)
    return ones - value + soft
