"""Padding layers."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Pad(Module):
    axes: int
    mode = "constant"
    value = 0.0

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value if self.mode == "constant" else None)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A margin of `value` around the last dimension; see `ConstantPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ConstantPad1d((1, 0), 9.0)(ag.ones(1, 2))
    tensor([[9., 1., 1.]])
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A margin of `value` around the last two dimensions.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        Its width.
    value : float
        What to fill it with.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ConstantPad2d((1, 0, 0, 1), 9.0)(ag.ones(1, 1, 2))
    tensor([[[9., 1., 1.],
             [9., 9., 9.]]])
    """

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A margin of `value` around the last three dimensions; see `ConstantPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ConstantPad3d(1, 9.0)(ag.ones(1, 1, 2, 2)).shape
    autograd_lite.Size([1, 3, 4, 4])
    """

    axes = 3


class ZeroPad1d(_Pad):
    """A margin of zeros around the last dimension; see `ZeroPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ZeroPad1d(1)(ag.ones(1, 2))
    tensor([[0., 1., 1., 0.]])
    """

    axes = 1


class ZeroPad2d(_Pad):
    """A margin of zeros around the last two dimensions.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        Its width.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ZeroPad2d((1, 0, 0, 1))(ag.ones(1, 1, 2))
    tensor([[[0., 1., 1.],
             [0., 0., 0.]]])
    """

    axes = 2


class ZeroPad3d(_Pad):
    """A margin of zeros around the last three dimensions; see `ZeroPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ZeroPad3d(1)(ag.ones(1, 1, 2, 2)).shape
    autograd_lite.Size([1, 3, 4, 4])
    """

    axes = 3


class ReflectionPad1d(_Pad):
    """A margin that mirrors the last dimension about its edges; see `ReflectionPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ReflectionPad1d(2)(ag.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A margin that mirrors the last two dimensions about their edges, which are not repeated.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        Its width, less than the extents.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ReflectionPad2d((1, 1, 0, 0))(ag.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[2., 1., 2., 3., 2.]]])
    """

    axes = 2
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """A margin that repeats the edges of the last dimension; see `ReplicationPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ReplicationPad1d(2)(ag.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """A margin that repeats the edges of the last two dimensions.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        Its width.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ReplicationPad2d((1, 1, 0, 1))(ag.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]])
    """

    axes = 2
    mode = "replicate"


class CircularPad1d(_Pad):
    """A margin that continues the last dimension from its other end; see `CircularPad2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.CircularPad1d(1)(ag.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    axes = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """A margin that continues the last two dimensions from their other ends.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        Its width, at most the extents.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.CircularPad2d((1, 1, 0, 0))(ag.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 1., 2., 3., 1.]]])
    """

    axes = 2
    mode = "circular"
