"""Looking up rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import indexing, memory
from ..tensor import Tensor
from .primitive import primitive

contiguous = np.ascontiguousarray

# The gradient goes back to the rows of the table, each share of it times its `factors`, unless these are None.


@primitive
def _embedding(weight: Any, *, index: Any, factors: Any) -> Any:
    return indexing.take_along(contiguous(weight), 0, index, "embedding")


@primitive(name="embedding_backward")
def _put_rows(x: Any, *, index: Any, factors: Any, rows: int) -> Any:
    out = memory.zeros((rows, x.shape[-1]), x.dtype)
    indexing.add_along(out, 0, index, contiguous(x if factors is None else x * factors))
    return out


@_embedding.derivative("weight")
def _(g: Tensor, weight_shape: tuple[int, ...], *, index: Any, factors: Any) -> Tensor:
    return _put_rows(g, index=index, factors=factors, rows=weight_shape[0])


@_embedding.fused("weight")
def _(g: Any, weight_shape: tuple[int, ...], *, index: Any, factors: Any) -> Any:
    return _put_rows.forward(g, index=index, factors=factors, rows=weight_shape[0])


@_put_rows.derivative("x")
def _(g: Tensor, *, index: Any, factors: Any) -> Tensor:
    taken = _embedding(g, index=index, factors=None)
    return taken if factors is None else taken * Tensor(factors)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` that `input` names.

    Parameters
    ----------
    input : Tensor of int64 or int32, any shape
    weight : Tensor, (rows, features)
    padding_idx : int, optional
        A row that gets no gradient.
    max_norm : float, optional
        Rows that are looked up are first scaled down, in `weight` itself, to at most this norm.
    norm_type : float
        Which norm that is.
    scale_grad_by_freq : bool
        Divide the gradient of a row by how often it was looked up.

    Returns
    -------
    Tensor, (*input.shape, features)

    Raises
    ------
    IndexError
        If an index is not the number of a row.
    RuntimeError
        If `input` does not hold integers, or `weight` is not a matrix.
    AssertionError
        If `padding_idx` is out of range.

    Notes
    -----
    Gradient: each row of `weight` gets the sum of ``g`` over its occurrences.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> table = ag.tensor([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]])
    >>> ag.nn.functional.embedding(ag.tensor([2, 0]), table)
    tensor([[2.0000, 2.1000],
            [0.0000, 0.1000]])
    """
    for name, value in (("input", input), ("weight", weight)):
        if not isinstance(value, Tensor):
            raise TypeError(f"embedding(): argument {name!r} must be Tensor, not {type(value).__name__}")
    if input._data.dtype.kind != "i" or input._data.itemsize < 4:
        raise RuntimeError(f"embedding: Expected indices of int64 or int32, but got {input.dtype!r} instead")
    if weight._data.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, got shape {weight._data.shape}")
    if sparse:
        raise RuntimeError("embedding: sparse gradients are not supported; leave sparse=False")
    rows = weight._data.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"embedding: padding_idx must be within num_embeddings ({rows}), got {padding_idx}")
        padding_idx %= rows
    index = np.asarray(input._data, dtypes.INT64, order="C")  # `ascontiguousarray` would make a scalar a vector
    if max_norm is not None:
        indexing.check_bounds("embedding", index, rows)
        _limit_norms(weight, index, max_norm, norm_type)
    factors = None
    if padding_idx is not None or scale_grad_by_freq:
        indexing.check_bounds("embedding", index, rows)
        factors = np.ones((*index.shape, 1), weight._data.dtype)
        if scale_grad_by_freq:
            factors /= np.bincount(index.reshape(-1), minlength=rows)[index][..., None]
        if padding_idx is not None:
            factors[index == padding_idx] = 0
    return _embedding(weight, index=index, factors=factors)


def _limit_norms(weight: Tensor, index: np.ndarray, limit: float, order: float) -> None:
    data = weight._data
    used = np.unique(index)
    norms = np.linalg.norm(data[used], order, axis=1)
    large = norms > limit
    if large.any():
        scale = (limit / (norms[large] + 1e-7)).astype(data.dtype)
        data[used[large]] *= scale[:, None]
        weight._bump()
