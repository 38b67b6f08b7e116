"""Activations that cut: thresholds and shrinkage."""

from __future__ import annotations

from ..tensor import Tensor
from .activation import Activation

__all__ = ["hardshrink", "threshold"]

_threshold = Activation(
    "threshold", "where(x <= limit, value, x)", "where(x <= limit, 0, g)", ("limit", "value")
)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where it is above `threshold`, else `value`.

    Notes
    -----
    Gradient: ``g`` above the threshold, else 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.threshold(ag.tensor([0.1, 2.0]), 0.5, 9.0)
    tensor([9., 2.])
    """
    return _threshold.apply(input, inplace, threshold, value)


_tanhshrink = Activation("tanhshrink", "x - tanh(x)", "g * tanh(x) * tanh(x)")


def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``.

    Notes
    -----
    Gradient: ``g * tanh(x)^2``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.tanhshrink(ag.tensor([0.0, 2.0]))
    tensor([0.0000, 1.0360])
    """
    return _tanhshrink.apply(input, False)


_softshrink = Activation(
    "softshrink",
    "where(x > limit, x - limit, where(x < -limit, x + limit, x * 0))",
    "where((x >= -limit) & (x <= limit), 0, g)",
    ("limit",),
)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards 0 by `lambd`, and 0 where it would pass it.

    Raises
    ------
    RuntimeError
        If `lambd` is negative.

    Notes
    -----
    Gradient: ``g`` where ``|x| > lambd``, else 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.softshrink(ag.tensor([0.1, 2.0]))
    tensor([0.0000, 1.5000])
    """
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambda must be greater or equal to 0, but found to be {lambd}")
    return _softshrink.apply(input, False, lambd)


_hardshrink = Activation(
    "hardshrink",
    "where((x >= -limit) & (x <= limit), 0, x)",
    "where((x >= -limit) & (x <= limit), 0, g)",
    ("limit",),
)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x``, but 0 where ``|x| <= lambd``.

    Notes
    -----
    Gradient: ``g`` where ``|x| > lambd``, else 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.hardshrink(ag.tensor([0.1, 2.0]))
    tensor([0., 2.])
    """
    return _hardshrink.apply(input, False, lambd)
