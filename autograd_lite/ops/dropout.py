"""Dropout: elements, or whole channels, set to zero at random.

Which ones is decided by a counter-based generator from its seed and the number of a block, so nothing but these two
numbers is kept: the gradient is the same operation, with the same two numbers, on the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import random
from ..random import default_generator
from ..tensor import Tensor
from .inplace import inplace as changing
from .primitive import primitive
from .shape import view_of

__all__ = ["dropout"]


@primitive
def _dropout(x: Any, *, p: float, seed: int, block: int) -> Any:
    return random.dropout(x, p, seed, block)


@_dropout.derivative("x")
def _(g: Tensor, *, p: float, seed: int, block: int) -> Tensor:
    return _dropout(g, p=p, seed=seed, block=block)


def _take(array: np.ndarray) -> tuple[int, int]:
    return default_generator.take(random.blocks("dropout", array.size, array.dtype))


def _dropped(input: Tensor, p: float) -> Tensor:
    seed, block = _take(input._data)
    return _dropout(input, p=p, seed=seed, block=block)


def _check(op: str, input: Any, p: float) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if input._data.dtype.kind != "f":
        raise RuntimeError(f"{op}: result type float can't be cast to {input.dtype!r}; expected a floating dtype")


_dropped_ = changing(_dropped, "dropout_")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set elements to zero with probability `p`, and divide the others by ``1 - p``.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).

    Parameters
    ----------
    p : float
        The probability of zero.
    training : bool
        If not, `input` is given back as it is.
    inplace : bool
        Change `input` itself.

    Raises
    ------
    ValueError
        If `p` is not a probability.

    Notes
    -----
    Gradient: ``g`` with the same elements set to zero and the others divided by ``1 - p``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> sorted(set(ag.nn.functional.dropout(ag.ones(100)).tolist()))
    [0.0, 2.0]
    """
    _check("dropout", input, p)
    if not training or p == 0.0:
        return input
    return _dropped_(input, p) if inplace else _dropped(input, p)


def _drop_channels(input: Tensor, p: float) -> Tensor:
    shape = input._data.shape
    lead = shape[: 2 if len(shape) > 1 else len(shape)]
    ones = np.ones(lead, input._data.dtype)
    mask = random.dropout(ones, p, *_take(ones)).reshape(lead + (1,) * (len(shape) - len(lead)))
    return input * Tensor(mask)


_drop_channels_ = changing(_drop_channels, "feature_dropout_")


def _channel_function(axes: int) -> Callable[..., Tensor]:
    op = f"dropout{axes}d"

    def channel_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        _check(op, input, p)
        ndim = input._data.ndim
        if ndim not in (axes + 1, axes + 2):
            raise RuntimeError(f"{op}: Expected {axes + 1}D or {axes + 2}D input, but received a {ndim}D input")
        if not training or p == 0.0:
            return input
        x = input if ndim == axes + 2 else view_of(input, shape=(1, *input._data.shape))
        out = _drop_channels_(x, p) if inplace else _drop_channels(x, p)
        if inplace:
            return input
        return out if ndim == axes + 2 else view_of(out, shape=input._data.shape)

    names = ", ".join(["D", "H", "W"][3 - axes :]) if axes > 1 else "L"
    channel_dropout.__name__ = channel_dropout.__qualname__ = op
    channel_dropout.__doc__ = f"""Set whole channels to zero with probability `p`, and divide the others by ``1 - p``.

    Tompson et al., "Efficient object localization using convolutional networks" (2015), section 3.2.

    Parameters
    ----------
    input : Tensor, ([N,] C, {names})
    p, training, inplace
        As in `dropout`.

    Raises
    ------
    ValueError
        If `p` is not a probability.
    RuntimeError
        If the input has another number of dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> y = ag.nn.functional.{op}(ag.ones({", ".join(["8", "8"] + ["2"] * axes)}))
    >>> bool((y.flatten(2).amax(2) == y.flatten(2).amin(2)).all())
    True
    """
    return channel_dropout


dropout1d, dropout2d, dropout3d = map(_channel_function, (1, 2, 3))

ALPHA = -1.7580993408473766
"""What `selu` tends to at minus infinity."""


def _alpha_dropped(input: Tensor, p: float) -> Tensor:
    if p == 1.0:
        return input * 0
    ones = np.ones(input._data.shape, input._data.dtype)
    kept = Tensor(random.dropout(ones, p, *_take(ones)) != 0).to(input.dtype)
    a = ((1 - p) * (1 + p * ALPHA**2)) ** -0.5
    return (input * kept + (1 - kept) * ALPHA) * a - a * p * ALPHA


_alpha_dropped_ = changing(_alpha_dropped, "alpha_dropout_")


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Set elements to the lower limit of `selu` with probability `p`; keeps mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks" (2017), section 3. Parameters are those of `dropout`.

    Raises
    ------
    ValueError
        If `p` is not a probability.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.alpha_dropout(ag.ones(2))
    tensor([1., 1.])
    """
    _check("alpha_dropout", input, p)
    if not training or p == 0.0:
        return input
    return _alpha_dropped_(input, p) if inplace else _alpha_dropped(input, p)
