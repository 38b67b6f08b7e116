"""Sorting, selecting by rank, and finding distinct elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor, method
from .scatter import take_at
from .shape import data_of, numpy_names, result_type

__all__ = ["argsort", "kthvalue", "msort", "sort", "topk", "unique", "unique_consecutive"]

_Sorted = result_type("sort", "values", "indices")
_Top = result_type("topk", "values", "indices")
_Kth = result_type("kthvalue", "values", "indices")


def _order(data: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The stable order along `dim`; NaN counts as the largest."""
    if data.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(data, axis=dim, kind="stable")
    flipped = np.argsort(np.flip(data, dim), axis=dim, kind="stable")
    return np.ascontiguousarray(data.shape[dim] - 1 - np.flip(flipped, dim))


def _at(x: Tensor, dim: int, index: np.ndarray) -> Tensor:
    return take_at(x, dim=dim, index=index) if x._data.ndim else x.clone()


@numpy_names
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The elements along `dim` in order, and where they came from.

    Parameters
    ----------
    descending : bool
        The largest first.
    stable : bool
        Equal elements always keep their order; accepted for compatibility.

    Returns
    -------
    namedtuple (values, indices)
        Indices are int64. NaN counts as the largest.

    Notes
    -----
    Gradient: ``g`` goes back to the places that the elements came from.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.sort(ag.tensor([3.0, 1.0, 2.0]))
    sort(values=tensor([1., 2., 3.]), indices=tensor([1, 2, 0]))
    """
    data = data_of("sort", input)
    dim = input._dim(dim)
    order = _order(data, dim, descending)
    return _Sorted(_at(input, dim, order), Tensor(order))


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort along `dim`, as int64; see `sort`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.argsort(ag.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    data = data_of("argsort", input)
    return Tensor(_order(data, input._dim(dim), descending))


def msort(input: Tensor) -> Tensor:
    """The elements along the first dimension in ascending order.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.msort(ag.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    return sort(input, 0).values


@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (or smallest) elements along `dim`, and where they are.

    Parameters
    ----------
    largest : bool
        False: the smallest.
    sorted : bool
        In order; they always are.

    Returns
    -------
    namedtuple (values, indices)

    Raises
    ------
    RuntimeError
        If there are fewer than `k`.

    Notes
    -----
    Gradient: ``g`` goes back to the places of the elements.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.topk(ag.tensor([1.0, 3.0, 2.0]), 2)
    topk(values=tensor([3., 2.]), indices=tensor([1, 2]))
    """
    data = data_of("topk", input)
    dim = input._dim(dim)
    extent = data.shape[dim] if data.ndim else 1
    if not 0 <= k <= extent:
        raise RuntimeError(f"topk: selected index k out of range: k={k}, dimension {dim} has size {extent}")
    if not data.ndim:
        return _Top(input.clone(), Tensor(np.zeros((), np.int64)))
    chosen = np.ascontiguousarray(_order(data, dim, largest)[(slice(None),) * dim + (slice(k),)])
    return _Top(_at(input, dim, chosen), Tensor(chosen))


@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The `k`-th smallest element along `dim` (counted from 1), and where it is.

    Returns
    -------
    namedtuple (values, indices)

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.kthvalue(ag.tensor([3.0, 1.0, 2.0]), 2)
    kthvalue(values=tensor(2.), indices=tensor(2))
    """
    data = data_of("kthvalue", input)
    dim = input._dim(dim)
    extent = data.shape[dim] if data.ndim else 1
    if extent == 0:
        raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
    if not 1 <= k <= extent:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}: k={k}, size {extent}")
    if not data.ndim:
        return _Kth(input.clone(), Tensor(np.zeros((), np.int64)))
    index = np.ascontiguousarray(_order(data, dim, False).take([k - 1], axis=dim))
    values = _at(input, dim, index)
    if keepdim:
        return _Kth(values, Tensor(index))
    return _Kth(values.squeeze(dim), Tensor(index.squeeze(dim)))


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements (or, with `dim`, the distinct slices), in ascending order; no gradient.

    Parameters
    ----------
    return_inverse : bool
        Also return, for each element, its place in the result.
    return_counts : bool
        Also return how often each occurs.

    Returns
    -------
    Tensor, or a tuple of Tensor
        The elements; the inverse; the counts.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.unique(ag.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    data = data_of("unique", input)
    axis = None if dim is None else input._dim(dim)
    values, inverse, counts = np.unique(data, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    shape = data.shape if axis is None else (data.shape[axis],)
    results = [values]
    results += [inverse.reshape(shape).astype(np.int64, copy=False)] if return_inverse else []
    results += [counts.astype(np.int64, copy=False)] if return_counts else []
    tensors = tuple([Tensor(r) for r in results])
    return tensors if len(tensors) > 1 else tensors[0]


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (or slices along `dim`) without repetitions that follow each other; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.unique_consecutive(ag.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    data = data_of("unique_consecutive", input)
    axis = 0 if dim is None else input._dim(dim)
    lines = data.reshape(-1) if dim is None else np.moveaxis(data, axis, 0)
    flat = lines.reshape(lines.shape[0], -1) if lines.shape[0] else lines.reshape(0, 1)
    new = np.concatenate([np.ones(min(1, len(flat)), bool), (flat[1:] != flat[:-1]).any(1)])
    inverse = np.cumsum(new) - 1
    values = np.moveaxis(lines[new], 0, axis)
    results = [np.ascontiguousarray(values)]
    results += [inverse.reshape(data.shape if dim is None else -1)] if return_inverse else []
    results += [np.bincount(inverse, minlength=int(new.sum()))] if return_counts else []
    tensors = tuple([Tensor(r) for r in results])
    return tensors if len(tensors) > 1 else tensors[0]


for _function in (argsort, kthvalue, msort, sort, topk, unique, unique_consecutive):
    method(_function)
