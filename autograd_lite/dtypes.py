"""The dtypes and PyTorch's rules for mixing them."""

from __future__ import annotations

from typing import Any

import numpy as np


class dtype:
    """The type of a tensor's elements; ``ag.float32`` and its siblings are the only instances.

    NumPy accepts it wherever it accepts a dtype, through the attribute ``dtype``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.float32.is_floating_point, ag.int64.itemsize
    (True, 8)
    >>> ag.zeros(2, dtype=ag.float64).dtype
    autograd_lite.float64
    """

    __slots__ = ("dtype", "is_floating_point", "itemsize", "name")
    is_complex = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.dtype = np.dtype(name)
        self.itemsize = self.dtype.itemsize
        self.is_floating_point = self.dtype.kind == "f"

    @property
    def is_signed(self) -> bool:
        return self.dtype.kind in "if"

    def __repr__(self) -> str:
        return f"autograd_lite.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (as_dtype, (self.name,))


float32, float64 = dtype("float32"), dtype("float64")
int64, int32, int16, int8 = dtype("int64"), dtype("int32"), dtype("int16"), dtype("int8")
uint8, bool_ = dtype("uint8"), dtype("bool")
ALL = (float32, float64, int64, int32, int16, int8, uint8, bool_)

FLOAT32, FLOAT64, INT64, BOOL = float32.dtype, float64.dtype, int64.dtype, bool_.dtype
FLOATS = (FLOAT32, FLOAT64)
SUPPORTED = frozenset(d.dtype for d in ALL)
_by_numpy = {d.dtype: d for d in ALL}
_by_name = {d.name: d for d in ALL} | {
    "float": float32,
    "double": float64,
    "long": int64,
    "int": int32,
    "short": int16,
    "FloatTensor": float32,
    "DoubleTensor": float64,
    "LongTensor": int64,
    "IntTensor": int32,
    "BoolTensor": bool_,
    "ByteTensor": uint8,
}
_by_python: dict[type, dtype] = {bool: bool_, int: int64, float: float32}

_default = float32


def get_default_dtype() -> dtype:
    """The dtype of floating-point tensors made from Python numbers: float32 until changed.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.get_default_dtype()
    autograd_lite.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the default floating-point dtype (float32 or float64).

    Raises
    ------
    TypeError
        If `d` is not a floating-point dtype.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.set_default_dtype(ag.float64)
    >>> ag.tensor(1.5).dtype
    autograd_lite.float64
    >>> ag.set_default_dtype(ag.float32)
    """
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"set_default_dtype: only floating-point dtypes can be the default, got {d!r}")
    _default = d
    _by_python[float] = d


def as_dtype(given: Any) -> dtype:
    """The `dtype` that `given` means: one of ours, a NumPy dtype, a Python type, or a name."""
    if isinstance(given, dtype):
        return given
    if given is float:
        return float64  # as in PyTorch and NumPy, though Python's floats in data become the default dtype
    if isinstance(given, type) and given in _by_python:
        return _by_python[given]
    if isinstance(given, str):
        found = _by_name.get(given.rsplit(".", 1)[-1])
        if found is not None:
            return found
    else:
        try:
            found = _by_numpy.get(np.dtype(given))
        except TypeError:
            found = None
        if found is not None:
            return found
    raise TypeError(f"unknown dtype {given!r}: expected one of {', '.join(map(repr, ALL))}")


def to_numpy(given: Any) -> np.dtype:
    return as_dtype(given).dtype


def from_numpy_dtype(given: np.dtype) -> dtype:
    found = _by_numpy.get(given)
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type {given}. The only supported types are: "
            + ", ".join(d.name for d in ALL)
        )
    return found


def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """The dtype in which tensors of dtypes `a` and `b` meet."""
    if a is b:
        return a
    if a.kind == "f" or b.kind == "f":
        if a.kind != "f":
            return b
        if b.kind != "f":
            return a
    return np.promote_types(a, b)


def _category(d: np.dtype) -> int:
    return {"b": 0, "i": 1, "u": 1, "f": 2}[d.kind]


def result_dtype(operands: list[tuple[np.dtype, int]], scalars: list[type]) -> np.dtype:
    """PyTorch's promotion over tensors given as (dtype, ndim) and over Python numbers given as types.

    Tensors with dimensions rule; zero-dimensional ones, then Python numbers, matter only when they are
    of a higher category (bool < integer < float).
    """
    groups: list[list[np.dtype]] = [
        [d for d, ndim in operands if ndim > 0],
        [d for d, ndim in operands if ndim == 0],
        [_by_python[t].dtype for t in scalars],
    ]
    result: np.dtype | None = None
    for group in groups:
        merged: np.dtype | None = None
        for d in group:
            merged = d if merged is None else promote(merged, d)
        if merged is None:
            continue
        if result is None or _category(merged) > _category(result):
            result = merged
    assert result is not None
    return result


def can_cast(source: np.dtype, target: np.dtype) -> bool:
    """Whether an in-place result of dtype `source` may be stored as `target` (never down a category)."""
    return _category(source) <= _category(target)
