"""Where elements are, how often they occur, and in which interval they lie: integers, without derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import discrete
from ..tensor import Tensor, method
from .shape import data_of

__all__ = ["argwhere", "bincount", "bucketize", "histc", "nonzero", "one_hot", "searchsorted"]


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not zero, one row each (or, `as_tuple`, one tensor per dimension).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nonzero(ag.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    >>> ag.nonzero(ag.tensor([0, 3, 4]), as_tuple=True)
    (tensor([1, 2]),)
    """
    data = data_of("nonzero", input)
    found = np.nonzero(data.reshape(1) if data.ndim == 0 else data)
    if as_tuple:
        return tuple([Tensor(i) for i in found])
    return Tensor(np.stack(found, 1) if data.ndim else np.empty((found[0].size, 0), np.int64))


def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not zero, one row each.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.argwhere(ag.tensor([0, 3, 4]))
    tensor([[1],
            [2]])
    """
    return nonzero(input)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """For each class number a row of zeros with a one in its place, as int64.

    Parameters
    ----------
    num_classes : int
        The length of the rows; -1: one more than the largest number.

    Raises
    ------
    RuntimeError
        If a number is negative or too large.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.one_hot(ag.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    data = data_of("one_hot", tensor, "tensor")
    if data.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, got {tensor.dtype!r}")
    if data.size == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor.")
    if data.size and data.min() < 0:
        raise RuntimeError(f"one_hot: Class values must be non-negative, got {data.min()}")
    classes = int(data.max()) + 1 if num_classes == -1 else num_classes
    if classes <= 0:
        raise RuntimeError(f"one_hot: num_classes should be positive, got {num_classes}")
    if data.size and data.max() >= classes:
        raise RuntimeError(f"one_hot: Class values must be smaller than num_classes ({data.max()} >= {classes})")
    return Tensor((data[..., None] == np.arange(classes)).astype(np.int64))


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number occurs (or the sum of its `weights`).

    Parameters
    ----------
    input : Tensor of non-negative integers, 1-D
        The numbers.
    minlength : int
        The least length of the result.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.bincount(ag.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    data = data_of("bincount", input)
    if data.dtype.kind not in "iu" or data.ndim != 1 or (data.size and data.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0, got {minlength}")
    if weights is None:
        return Tensor(np.bincount(data, minlength=minlength).astype(np.int64, copy=False))
    if data_of("bincount", weights, "weights").shape != data.shape:
        raise RuntimeError("bincount: weights should be 1-d and have the same length as input")
    kind = weights._data.dtype if weights._data.dtype == np.float32 else np.dtype(np.float64)
    return Tensor(np.bincount(data, weights._data, minlength).astype(kind, copy=False))


def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None
) -> Tensor:
    """Where each value would have to be inserted to keep the order of the innermost dimension.

    Parameters
    ----------
    sorted_sequence : Tensor
        One sorted sequence, or one for each row of `input`.
    right : bool
        After, not before, equal elements (also ``side="right"``).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.searchsorted(ag.tensor([1.0, 3.0, 5.0]), ag.tensor([3.0, 4.0]))
    tensor([1, 2])
    """
    data = data_of("searchsorted", sorted_sequence, "sorted_sequence")
    values = input._data if isinstance(input, Tensor) else np.asarray(input)
    where_equal: Any = "right" if right or side == "right" else "left"
    kind = np.int32 if out_int32 else np.int64
    if data.ndim == 1:
        return Tensor(np.asarray(np.searchsorted(data, values, where_equal)).astype(kind))
    if data.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
            "tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(data.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    rows = zip(data.reshape(-1, data.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
    found = [np.searchsorted(edges, row, where_equal) for edges, row in rows]
    return Tensor(np.array(found, kind).reshape(values.shape))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the interval between `boundaries` that each value lies in.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.bucketize(ag.tensor([0.5, 2.0]), ag.tensor([1.0, 2.0]))
    tensor([0, 1])
    """
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal intervals from `min` to `max` (both 0: the range of the data).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.histc(ag.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    data = data_of("histc", input)
    if bins <= 0:
        raise RuntimeError(f"histc: bins must be > 0, got {bins}")
    lo, hi = float(min), float(max)
    if lo == hi and data.size:
        lo, hi = float(data.min()), float(data.max())
    if lo == hi:
        lo, hi = lo - 1, hi + 1
    if not (np.isfinite(lo) and np.isfinite(hi) and lo < hi):
        raise RuntimeError(f"histc: range of [{lo}, {hi}] is not finite or not increasing")
    kept = data[(data >= lo) & (data <= hi)].astype(np.float64)
    places = np.minimum((kept - lo) * bins / (hi - lo), bins - 1).astype(np.int64)
    return Tensor(discrete.cast(np.bincount(places, minlength=bins), data.dtype))


for _function in (nonzero, argwhere, bincount, histc):
    method(_function)
