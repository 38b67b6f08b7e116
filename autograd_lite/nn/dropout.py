"""Dropout layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Dropout(Module):
    _function: Callable[..., Any]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, set elements to zero at random and scale the others up; see `nn.functional.dropout`.

    Parameters
    ----------
    p : float
        The probability of zero.
    inplace : bool
        Change the input itself.

    Raises
    ------
    ValueError
        If `p` is not a probability.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> sorted(set(ag.nn.Dropout(0.5)(ag.ones(100)).tolist()))
    [0.0, 2.0]
    >>> ag.nn.Dropout(0.5).eval()(ag.ones(3))
    tensor([1., 1., 1.])
    """

    _function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """In training, set whole channels of (N, C, L) to zero at random; see `nn.functional.dropout1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Dropout1d(1.0)(ag.ones(1, 1, 2))
    tensor([[[0., 0.]]])
    """

    _function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """In training, set whole channels of (N, C, H, W) to zero at random; see `nn.functional.dropout2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Dropout2d(1.0)(ag.ones(1, 1, 1, 2))
    tensor([[[[0., 0.]]]])
    """

    _function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """In training, set whole channels of (N, C, D, H, W) to zero at random; see `nn.functional.dropout3d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Dropout3d(1.0)(ag.ones(1, 1, 1, 1, 2))
    tensor([[[[[0., 0.]]]]])
    """

    _function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of `SELU`; see `nn.functional.alpha_dropout`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AlphaDropout(0.5).eval()(ag.ones(2))
    tensor([1., 1.])
    """

    _function = staticmethod(F.alpha_dropout)
