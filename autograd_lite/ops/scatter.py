"""Gathering and scattering by index tensors; filling and choosing by masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.grad_mode import state
from ..kernels import indexing, memory
from ..tensor import Tensor, method
from .arithmetic import where
from .elementwise import cast, check_broadcast, constant, is_number
from .indexing import vector_index, within
from .inplace import copy_slices, inplace, put_positions, take_positions
from .primitive import expand_to, primitive, sum_to
from .shape import Ints, data_of, positions_of, reshape, view_of

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "masked_fill", "masked_scatter", "scatter", "scatter_add",
    "take", "take_along_dim",
]  # fmt: skip


def positions_along(shape: Ints, dim: int, index: np.ndarray) -> np.ndarray:
    """Where ``x[i, ..., index[i, ..., k], ...]`` lies in an array of `shape`, counted in row-major order."""
    positions = np.zeros((1,) * index.ndim, np.int64)
    step = 1
    for d in range(len(shape) - 1, -1, -1):
        if d == dim:
            along = index % max(shape[d], 1)
        else:
            along = np.arange(index.shape[d]).reshape((-1,) + (1,) * (index.ndim - d - 1))
        positions = positions + along * step
        step *= shape[d]
    return np.broadcast_to(positions, index.shape)


@primitive(name="gather")
def take_at(x: np.ndarray, *, dim: int, index: np.ndarray) -> np.ndarray:
    """The elements of `x` along `dim` at `index`, which has the dimensions of `x`."""
    return indexing.gather(np.ascontiguousarray(x), dim, np.ascontiguousarray(index))


@primitive(name="scatter_add")
def put_at(x: np.ndarray, *, dim: int, index: np.ndarray, shape: Ints) -> np.ndarray:
    """Zeros of `shape` with the elements of `x` added along `dim` at `index`."""
    out = memory.zeros(shape, x.dtype)
    indexing.scatter_add(out, dim, np.ascontiguousarray(index), x)
    return out


@take_at.derivative("x")
def _(g: Tensor, x_shape: Ints, *, dim: int, index: np.ndarray) -> Tensor:
    return put_at(reshape(g, index.shape), dim=dim, index=index, shape=x_shape)


@put_at.derivative("x")
def _(g: Tensor, *, dim: int, index: np.ndarray) -> Tensor:
    return take_at(g, dim=dim, index=index)


def picked(x: Tensor, dim: int, index: np.ndarray, values: np.ndarray) -> Tensor:
    """`values`, which were found in `x` along `dim` at `index`, as a tensor with its place in the graph."""
    out = Tensor(values)
    if state.enabled:
        if x.requires_grad:
            take_at.record(out, (x,), {}, {"dim": dim, "index": index})
    else:
        out._inference = state.inference
    return out


def _index_for(op: str, x: Tensor, dim: int, index: Any, source: Ints | None = None) -> np.ndarray:
    """The checked index array of `gather` and its kin."""
    array = data_of(op, index, "index")
    shape = x._data.shape
    if array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{op}(): Expected dtype int32/int64 for index, got {index.dtype!r}")
    if array.size == 0:
        return array.astype(np.int64)
    if max(array.ndim, 1) != max(len(shape), 1):
        raise RuntimeError(
            f"{op}(): Index tensor must have the same number of dimensions as input tensor, got shapes "
            f"{list(array.shape)} and {list(shape)}"
        )
    for d, n in enumerate(array.shape):
        if (d != dim and n > shape[d]) or (source is not None and (d >= len(source) or n > source[d])):
            beside = "" if source is None else f" and to be no larger size than src {list(source)}"
            raise RuntimeError(
                f"{op}(): Expected index {list(array.shape)} to be no larger than self {list(shape)} apart from "
                "dimension "
                f"{dim}{beside}"
            )
    extent = shape[dim] if shape else 1
    kind = IndexError if op.startswith("index_") else RuntimeError  # as PyTorch has it
    if array.min() < 0:
        raise kind(f"{op}(): index {array.min()} is out of bounds for dimension {dim} with size {extent}")
    within(array, dim, extent, kind, f"{op}(): ")
    return array.astype(np.int64, copy=False)


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements along `dim` that `index` names: ``out[i][j] = input[i][index[i][j]]`` for ``dim=1``.

    Parameters
    ----------
    index : Tensor of int64 or int32
        Of as many dimensions as `input`, and no larger in any but `dim`; its shape is the result's.

    Raises
    ------
    RuntimeError
        If an index is out of bounds, or its shape or dtype is wrong.

    Notes
    -----
    Gradient: ``g`` added into zeros at the same places.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.gather(ag.tensor([[1, 2], [3, 4]]), 1, ag.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    data_of("gather", input)
    dim = input._dim(dim)
    array = _index_for("gather", input, dim, index)
    if array.size == 0 or not input._data.ndim:
        return take_positions(input, positions=array)
    return take_at(input, dim=dim, index=array)


def _corner(x: Tensor, shape: Ints) -> Tensor:
    """The part of `x` that starts at its first element and has `shape`."""
    return x if x._data.shape == shape else x[tuple([slice(n) for n in shape])]


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: Any = None
) -> Tensor:
    """A copy of `input` with elements of `src` written along `dim`: ``out[i][index[i][j]] = src[i][j]`` for ``dim=1``.

    Parameters
    ----------
    index : Tensor of int64 or int32
        Of as many dimensions as `input`, and no larger than `src`. Where it names a place twice, one of the
        elements is written.
    src : Tensor or number
        What to write (a number may be given as `value`).
    reduce : "add", optional
        Add instead, as `scatter_add` does.

    Raises
    ------
    RuntimeError
        If an index is out of bounds, or shapes or dtypes do not match.

    Notes
    -----
    Gradient: ``g`` at the places goes to `src`; `input` gets ``g`` with zeros there.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.scatter(ag.zeros(2, 3), 1, ag.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    data_of("scatter", input)
    src = value if src is None else src
    if is_number(src):
        array = data_of("scatter", index, "index")
        src = expand_to(constant(src, input._data.dtype), shape=array.shape)
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce is not None:
        raise RuntimeError(f"scatter: reduce argument must be None or 'add', got {reduce!r}")
    array, src = _scattered("scatter", input, dim, index, src)
    if array.size == 0:
        return input.clone()
    shape = input._data.shape
    positions = positions_along(shape, input._dim(dim), array) if shape else array
    return copy_slices(input, src, positions=positions)


def _scattered(op: str, x: Tensor, dim: int, index: Tensor, src: Tensor) -> tuple[np.ndarray, Tensor]:
    """The index array, checked, and the part of `src` that it takes."""
    dim = x._dim(dim)
    source = data_of(op, src, "src")
    if source.dtype != x._data.dtype:
        raise RuntimeError(f"{op}(): Expected self.dtype to be equal to src.dtype, got {x.dtype!r} and {src.dtype!r}")
    array = _index_for(op, x, dim, index, source.shape)
    return array, _corner(src, array.shape)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of `input` with elements of `src` added along `dim`; see `scatter`.

    Notes
    -----
    Gradient: ``g`` for `input`; ``g`` at the places for `src`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.scatter_add(ag.zeros(1, 3), 1, ag.tensor([[2, 2]]), ag.tensor([[1.0, 5.0]]))
    tensor([[0., 0., 6.]])
    """
    data_of("scatter_add", input)
    array, src = _scattered("scatter_add", input, dim, index, src)
    if array.size == 0:
        return input.clone()
    shape = input._data.shape
    if not shape:
        return input + sum_to(src, shape=())
    return input + put_at(src, dim=input._dim(dim), index=array, shape=shape)


def _rows(
    op: str, x: Tensor, dim: int, index: Tensor, source: Tensor, kind: type[Exception]
) -> tuple[Tensor, np.ndarray]:
    """The source of `index_add` and `index_copy`, checked, and the positions that it goes to."""
    shape, given = x._data.shape, data_of(op, source, "source").shape
    dim = x._dim(dim)
    chosen = vector_index(op, index, dim, shape[dim] if shape else 1, kind)
    if source._data.dtype != x._data.dtype:
        raise RuntimeError(f"{op}(): self ({x.dtype!r}) and source ({source.dtype!r}) must have the same scalar type")
    if not shape:
        shape = (1,)
    if not given:
        source, given = view_of(source, shape=(1,)), (1,)
    if (*given[:dim], *given[dim + 1 :]) != (*shape[:dim], *shape[dim + 1 :]) or len(given) != len(shape):
        raise RuntimeError(
            f"{op}(): source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(shape)} source.shape = {list(given)}"
        )
    if given[dim] != chosen.size:
        error = IndexError if op == "index_copy" else RuntimeError
        raise error(
            f"{op}(): Number of indices ({chosen.size}) should be equal to source.size(dim): ({given[dim]}), for "
            f"dim: {dim}"
        )
    return source, positions_of(shape)[(slice(None),) * dim + (chosen,)]


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of `input` with ``alpha * source`` added to the slices along `dim` that `index` names.

    Notes
    -----
    Gradient: ``g`` for `input`; ``alpha * g`` at the slices for `source`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.index_add(ag.zeros(3), 0, ag.tensor([2, 2]), ag.tensor([1.0, 5.0]))
    tensor([0., 0., 6.])
    """
    data_of("index_add", input)
    source, positions = _rows("index_add", input, dim, index, source, IndexError)
    added = put_positions(source, positions=positions, shape=input._data.shape)
    return input + (added if alpha == 1 else added * alpha)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with the slices of `source` in the places along `dim` that `index` names.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.index_copy(ag.zeros(3), 0, ag.tensor([2, 0]), ag.tensor([1.0, 5.0]))
    tensor([5., 0., 1.])
    """
    data_of("index_copy", input)
    source, positions = _rows("index_copy", input, dim, index, source, IndexError)
    return copy_slices(input, source, positions=positions)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of `input` with `value` in the slices along `dim` that `index` names.

    Parameters
    ----------
    value : number or Tensor without dimensions
        What to write.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.index_fill(ag.zeros(2, 2), 1, ag.tensor([0]), 7)
    tensor([[7., 0.],
            [7., 0.]])
    """
    shape = data_of("index_fill", input).shape or (1,)
    dim = input._dim(dim)
    array = data_of("index_fill", index, "index")
    if array.dtype.kind != "i":
        raise IndexError(f"index_fill(): Expected dtype int64 for index, got {index.dtype!r}")
    array = within(array, dim, shape[dim], IndexError, "index_fill(): ")
    value = _scalar("index_fill", value, input)
    positions = positions_of(shape)[(slice(None),) * dim + (array.reshape(-1),)]
    return copy_slices(input, expand_to(value, shape=positions.shape), positions=positions)


def _scalar(op: str, value: Any, like: Tensor) -> Tensor:
    """A number, or tensor without dimensions, in the dtype of `like`."""
    if is_number(value):
        return constant(value.item() if isinstance(value, np.generic) else value, like._data.dtype)
    if data_of(op, value, "value").ndim:
        raise RuntimeError(
            f"{op} only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} dimension(s)."
        )
    return value if value._data.dtype == like._data.dtype else cast(value, dtype=like._data.dtype)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where `mask` holds, `input` elsewhere.

    Parameters
    ----------
    mask : Tensor of bool
        Broadcasts with `input`.
    value : number or Tensor without dimensions
        What to fill in.

    Notes
    -----
    Gradient: ``g`` where the mask does not hold; its sum over the mask for `value`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0, 3.0])
    >>> ag.masked_fill(x, x > 1, 0.0)
    tensor([1., 0., 0.])
    """
    data_of("masked_fill", input)
    if data_of("masked_fill", mask, "mask").dtype.kind != "b":
        raise RuntimeError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype!r}")
    check_broadcast("masked_fill", (input._data.shape, mask._data.shape))
    return where(mask, _scalar("masked_fill", value, input), input)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with the elements of `source`, in order, where `mask` holds.

    Raises
    ------
    RuntimeError
        If `source` has too few elements, or another dtype.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0, 3.0])
    >>> ag.masked_scatter(x, x > 1, ag.tensor([8.0, 9.0]))
    tensor([1., 8., 9.])
    """
    data_of("masked_scatter", input)
    if data_of("masked_scatter", mask, "mask").dtype.kind != "b":
        raise RuntimeError(f"masked_scatter: only supports boolean masks, but got mask with dtype {mask.dtype!r}")
    if data_of("masked_scatter", source, "source").dtype != input._data.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype!r} and {source.dtype!r}"
        )
    shape = check_broadcast("masked_scatter", (input._data.shape, mask._data.shape))
    positions = np.flatnonzero(np.broadcast_to(mask._data, shape))
    if source._data.size < positions.size:
        raise RuntimeError(
            f"masked_scatter: Number of elements of source < number of ones in mask ({source._data.size} < "
            f"{positions.size})"
        )
    return copy_slices(expand_to(input, shape=shape), source.reshape(-1)[: positions.size], positions=positions)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened `input` that `index` names, in the shape of `index`.

    Raises
    ------
    IndexError
        If an index is out of bounds.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.take(ag.tensor([[1, 2], [3, 4]]), ag.tensor([0, -1]))
    tensor([1, 4])
    """
    size = data_of("take", input).size
    array = data_of("take", index, "index")
    if array.dtype != np.int64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {index.dtype!r}")
    if array.size and (array.max() >= size or array.min() < -size):
        wrong = array.max() if array.max() >= size else array.min()
        raise IndexError(f"take(): out of range: tried to access index {wrong} on a tensor of {size} elements.")
    return take_positions(input, positions=array % max(size, 1))


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """As `gather`, but `input` and `indices` broadcast in all dimensions but `dim`; without `dim`, as `take`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[3, 1], [2, 4]])
    >>> ag.take_along_dim(x, x.argsort(1), 1)
    tensor([[1, 3],
            [2, 4]])
    """
    data_of("take_along_dim", input)
    array = data_of("take_along_dim", indices, "indices")
    if array.dtype.kind != "i":
        raise RuntimeError(f"take_along_dim(): dtype of indices should be Long but got {indices.dtype!r}")
    if dim is None:
        return gather(view_of(input.contiguous(), shape=(-1,)), 0, view_of(indices.contiguous(), shape=(-1,)))
    if array.ndim != input._data.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._data.ndim} dimensions for input, and {array.ndim} dimensions for indices"
        )
    dim = input._dim(dim)
    a, b = list(input._data.shape), list(array.shape)
    a[dim] = b[dim] = 1
    common = list(check_broadcast("take_along_dim", (tuple(a), tuple(b))))
    a, b = common.copy(), common
    a[dim], b[dim] = input._data.shape[dim], array.shape[dim]
    extent = a[dim]
    wrapped = Tensor(np.broadcast_to(within(array, dim, extent, RuntimeError, "take_along_dim(): "), b))
    return gather(expand_to(input, shape=tuple(a)), dim, wrapped)


_IN_PLACE = (
    scatter, scatter_add, index_add, index_copy, index_fill, masked_fill, masked_scatter,
)  # fmt: skip
for _function in (*_IN_PLACE, gather, take, take_along_dim):
    method(_function)
for _function in _IN_PLACE:
    method(inplace(_function), name=f"{_function.__name__}_")
method(lambda self, condition, other: where(condition, self, other), name="where")
