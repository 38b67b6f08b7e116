"""Integers, booleans and comparisons: bookkeeping beside the gradients, which NumPy's own loops do well."""

from __future__ import annotations

import numpy as np


def compare(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Elementwise comparison; `name` is one of equal, not_equal, less, less_equal, greater, greater_equal."""
    return np.asarray(getattr(np, name)(x, y))


def apply(name: str, *arrays: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """NumPy's function `name` on integers or booleans, without warnings, in the dtype given."""
    with np.errstate(all="ignore"):
        result = np.asarray(getattr(np, name)(*arrays))
    return result if dtype is None or result.dtype == dtype else result.astype(dtype)


def test(name: str, x: np.ndarray) -> np.ndarray:
    """isnan, isinf, isfinite, signbit, ... of floating-point or integer arrays."""
    return np.asarray(getattr(np, name)(x))


def any_zero(x: np.ndarray) -> bool:
    return not bool(np.all(x))


def floor_divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind in "iu" and any_zero(y):
        raise RuntimeError("floor_divide: integer division by zero")
    with np.errstate(all="ignore"):
        return np.asarray(np.floor_divide(x, y))


def cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy of `x` in another dtype; a float that does not fit an integer wraps as in C."""
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def where(condition: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(condition, x, y)
