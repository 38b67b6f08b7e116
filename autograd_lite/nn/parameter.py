"""`Parameter`: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that a `Module` lists among its parameters when it is assigned to an attribute.

    Parameters
    ----------
    data : Tensor, optional
        Its value; the memory is shared. Default: an empty tensor.
    requires_grad : bool
        Whether it is trained.

    Raises
    ------
    TypeError
        If `data` is not a tensor.
    RuntimeError
        If it should require a gradient but is not of a floating-point dtype.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Parameter(ag.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is not None and not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be Tensor, not {type(data).__name__}")
        super().__init__(np.empty(0, get_default_dtype().dtype) if data is None else data._data)
        if data is not None:
            self._counter = data._counter
        if requires_grad:
            self.requires_grad_()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        copied = super().__deepcopy__(memo)
        copied.grad = None  # as in PyTorch: a copied network begins without gradients
        return copied  # type: ignore[return-value]
