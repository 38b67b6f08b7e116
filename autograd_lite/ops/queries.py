"""Questions about tensors and dtypes, and the indices of triangles: what has no derivative and needs no kernel."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .elementwise import is_number

__all__ = [
    "can_cast", "finfo", "iinfo", "is_floating_point", "is_nonzero", "is_tensor", "numel", "promote_types",
    "result_type",
]  # fmt: skip


def _refuse(op: str, given: Any) -> NoReturn:
    raise TypeError(f"{op}(): argument 'input' must be Tensor, not {type(given).__name__}")


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a `Tensor`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.is_tensor(ag.ones(1)), ag.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """How many elements there are.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.numel(ag.ones(2, 3))
    6
    """
    return input.numel() if isinstance(input, Tensor) else _refuse("numel", input)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is float32 or float64.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.is_floating_point(ag.ones(1)), ag.is_floating_point(ag.tensor(1))
    (True, False)
    """
    return input.is_floating_point() if isinstance(input, Tensor) else _refuse("is_floating_point", input)


def is_nonzero(input: Tensor) -> bool:
    """Whether the single element is not zero.

    Raises
    ------
    RuntimeError
        If there is not exactly one element.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.is_nonzero(ag.tensor([-0.5]))
    True
    """
    if not isinstance(input, Tensor):
        _refuse("is_nonzero", input)
    if input.numel() != 1:
        count = "no values" if input.numel() == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
    return bool(input)


def promote_types(type1: Any, type2: Any) -> dtypes.dtype:
    """The dtype in which tensors of the two dtypes meet.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.promote_types(ag.int64, ag.float32)
    autograd_lite.float32
    """
    return dtypes.from_numpy_dtype(dtypes.promote(dtypes.to_numpy(type1), dtypes.to_numpy(type2)))


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The dtype of an arithmetic operation on two tensors or numbers.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.result_type(ag.tensor([1, 2]), 1.0)
    autograd_lite.float32
    """
    given = (tensor1, tensor2)
    for value in given:
        if not isinstance(value, Tensor) and not is_number(value):
            raise TypeError(f"result_type(): expected Tensor or number, got {type(value).__name__}")
    tensors = [(t._data.dtype, t._data.ndim) for t in given if isinstance(t, Tensor)]
    numbers = [type(n) for n in given if not isinstance(n, Tensor)]
    return dtypes.from_numpy_dtype(dtypes.result_dtype(tensors, numbers))


def can_cast(from_: Any, to: Any) -> bool:
    """Whether values of one dtype may be stored in another: from floats not in integers, nor from numbers in booleans.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.can_cast(ag.float64, ag.float32), ag.can_cast(ag.float32, ag.int64)
    (True, False)
    """
    ranks = {"b": 0, "u": 1, "i": 1, "f": 2}
    return ranks[dtypes.to_numpy(from_).kind] <= ranks[dtypes.to_numpy(to).kind]


class FloatLimits(NamedTuple):
    """What `finfo` gives: Python numbers, which leave the dtype of what they are added to alone."""

    resolution: float
    min: float
    max: float
    eps: float
    smallest_normal: float
    tiny: float
    bits: int
    dtype: str


def finfo(type: Any = None) -> FloatLimits:
    """The limits of a floating-point dtype: ``eps``, ``max``, ``min``, ``tiny``, ``bits``, ...

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.finfo(ag.float32).eps
    1.1920928955078125e-07
    """
    chosen = dtypes.as_dtype(dtypes.get_default_dtype() if type is None else type)
    if not chosen.is_floating_point:
        raise TypeError(f"finfo() requires a floating point input type, got {chosen!r}; use iinfo for integer types")
    found = np.finfo(chosen.dtype)
    numbers = {field: float(getattr(found, field)) for field in FloatLimits._fields[:6]}
    return FloatLimits(**numbers, bits=int(found.bits), dtype=chosen.name)  # type: ignore[arg-type]


def iinfo(type: Any) -> np.iinfo[Any]:
    """The limits of an integer dtype: ``max``, ``min``, ``bits``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.iinfo(ag.int8).max
    127
    """
    chosen = dtypes.as_dtype(type)
    if chosen.dtype.kind not in "iu":
        raise TypeError(f"iinfo() requires an integer input type, got {chosen!r}; use finfo for floating-point types")
    return np.iinfo(chosen.dtype)
