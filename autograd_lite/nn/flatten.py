"""Layers that change the shape."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .module import Module


class Flatten(Module):
    """Fold dimensions into one; all but the first by default.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last of them.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Flatten()(ag.ones(32, 1, 5, 5)).shape
    autograd_lite.Size([32, 25])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Unfold a dimension into several.

    Parameters
    ----------
    dim : int
        Which.
    unflattened_size : sequence of int
        Their extents; one may be -1.

    Raises
    ------
    TypeError
        If `unflattened_size` is not a sequence of ints.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Unflatten(1, (2, 5, 5))(ag.ones(2, 50)).shape
    autograd_lite.Size([2, 2, 5, 5])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)) or not all(isinstance(n, int) for n in unflattened_size):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
