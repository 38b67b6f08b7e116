"""Filling parameters with their first values, in place, unrecorded."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..autograd.grad_mode import no_grad
from ..random import Generator
from ..tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are scaled up to make up for what an activation takes away.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv1d" ... "conv_transpose3d", "sigmoid" (1), "tanh" (5/3), "relu" (sqrt 2), "leaky_relu"
        (sqrt(2 / (1 + slope^2))) or "selu" (3/4).
    param : float, optional
        The slope of "leaky_relu"; default 0.01.

    Raises
    ------
    ValueError
        If the name is none of these, or the slope is not a number.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    """
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    gains = {"sigmoid": 1, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4, "linear": 1}
    gains |= {f"conv{kind}{n}d": 1 for kind in ("", "_transpose") for n in (1, 2, 3)}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers drawn evenly from `a` to `b`; returns the tensor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.nn.init.uniform_(ag.empty(3, 5), -1, 1)
    >>> bool((w.abs() <= 1).all())
    True
    """
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers drawn from the normal distribution; returns the tensor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.normal_(ag.empty(3, 5), std=0.02).shape
    autograd_lite.Size([3, 5])
    """
    return tensor.normal_(mean, std, generator=generator)


def _erfinv(y: np.ndarray) -> np.ndarray:
    """The inverse error function, to 4e-7: M. Giles, "Approximating the erfinv function" (2012), listing 5."""
    w = -np.log((1 - y) * (1 + y))
    near = np.polynomial.polynomial.polyval(
        w - 2.5,
        (1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.000218580870, -4.39150654e-06, -3.5233877e-06,
         3.43273939e-07, 2.81022636e-08),
    )  # fmt: skip
    far = np.polynomial.polynomial.polyval(
        np.sqrt(np.maximum(w, 5)) - 3,
        (2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322,
         0.000100950558, -0.000200214257),
    )  # fmt: skip
    return np.where(w < 5, near, far) * y


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with numbers drawn from the normal distribution between `a` and `b`; returns the tensor.

    The inverse of the cumulative distribution is applied to even numbers.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.nn.init.trunc_normal_(ag.empty(3, 5), std=2.0)
    >>> bool((w.abs() <= 2).all())
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            stacklevel=3,
        )
    low, high = (math.erf((x - mean) / (std * math.sqrt(2))) for x in (a, b))
    tensor.uniform_(low, high, generator=generator)
    share = np.clip(tensor._data.astype(np.float64), -1 + 1e-15, 1 - 1e-15)
    np.copyto(tensor._data, np.clip(mean + std * math.sqrt(2) * _erfinv(share), a, b), casting="same_kind")
    return tensor


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with `val`; returns the tensor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.constant_(ag.empty(2), 0.3)
    tensor([0.3000, 0.3000])
    """
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones; returns the tensor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.ones_(ag.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros; returns the tensor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.zeros_(ag.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def _store(tensor: Tensor, values: np.ndarray) -> Tensor:
    np.copyto(tensor._data, values, casting="same_kind")
    tensor._bump()
    return tensor


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity; returns it.

    Raises
    ------
    ValueError
        If the tensor does not have 2 dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.eye_(ag.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _store(tensor, np.eye(*tensor._data.shape, dtype=tensor._data.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weights pass each channel through, as far as there are channels; returns them.

    Raises
    ------
    ValueError
        If the tensor does not have 3 to 5 dimensions, or `groups` does not divide the first.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.dirac_(ag.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])
    """
    shape = tensor._data.shape
    if not 3 <= len(shape) <= 5:
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    values = np.zeros(shape, tensor._data.dtype)
    middle = tuple(extent // 2 for extent in shape[2:])
    per_group = shape[0] // groups
    for group in range(groups):
        for d in range(min(per_group, shape[1])):
            index = (group * per_group + d, d, *middle)
            values[index] = 1
    return _store(tensor, values)


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output has, and how many outputs an input."""
    shape = tensor._data.shape
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill evenly up to ``gain * sqrt(6 / (fan_in + fan_out))`` either way; returns the tensor.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010),
    equation 16.

    Raises
    ------
    ValueError
        If the tensor has fewer than 2 dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.nn.init.xavier_uniform_(ag.empty(4, 2))
    >>> bool((w.abs() <= 1).all())
    True
    """
    fan_in, fan_out = _fans(tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out)) if fan_in + fan_out else 0.0
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill normally with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``; see `xavier_uniform_`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.xavier_normal_(ag.empty(4, 2)).shape
    autograd_lite.Size([4, 2])
    """
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(fan_in + fan_out, 1)), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor._data.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill evenly up to ``gain * sqrt(3 / fan)`` either way; returns the tensor.

    He et al., "Delving deep into rectifiers" (2015), section 2.2.

    Parameters
    ----------
    a : float
        The negative slope, for "leaky_relu".
    mode : "fan_in" or "fan_out"
        Keep the variance of the forward pass, or of the backward pass.
    nonlinearity : str
        The activation that follows; see `calculate_gain`.

    Raises
    ------
    ValueError
        If the tensor has fewer than 2 dimensions, or for an unknown mode or nonlinearity.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.nn.init.kaiming_uniform_(ag.empty(4, 6))
    >>> bool((w.abs() <= 1).all())
    True
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill normally with standard deviation ``gain / sqrt(fan)``; see `kaiming_uniform_`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.kaiming_normal_(ag.empty(4, 6), nonlinearity="relu").shape
    autograd_lite.Size([4, 6])
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Make the rows (or, if there are more of them, the columns) orthogonal; returns the tensor.

    Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks" (2013).
    Dimensions beyond the first count as columns.

    Raises
    ------
    ValueError
        If the tensor has fewer than 2 dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.nn.init.orthogonal_(ag.empty(2, 3))
    >>> ag.allclose(w @ w.T, ag.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor._data.size == 0:
        return tensor
    rows = tensor._data.shape[0]
    flat = normal_(Tensor(np.empty((rows, tensor._data.size // rows), np.float64)), generator=generator)._data
    wide = flat.shape[0] < flat.shape[1]
    q, r = np.linalg.qr(flat.T if wide else flat)
    q *= np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri, 2007)
    return _store(tensor, (gain * (q.T if wide else q)).reshape(tensor._data.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fill a matrix normally, but the share `sparsity` of every column with zeros; returns it.

    Martens, "Deep learning via Hessian-free optimization" (2010), section 5.

    Raises
    ------
    ValueError
        If the tensor does not have 2 dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.init.sparse_(ag.empty(10, 3), 0.5).count_nonzero(0)
    tensor([5, 5, 5])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    normal_(tensor, 0.0, std, generator)
    order = uniform_(Tensor(np.empty(tensor._data.shape, np.float64)), generator=generator)._data.argsort(axis=0)
    values: Any = tensor._data.copy()
    np.put_along_axis(values, order[: math.ceil(sparsity * values.shape[0])], 0, axis=0)
    return _store(tensor, values)
