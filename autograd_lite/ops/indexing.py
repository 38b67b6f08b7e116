"""Indexing with brackets: ``x[index]`` and ``x[index] = value``.

An index is split in two. Its basic part (integers, slices, None, Ellipsis) selects a view; its advanced part
(tensors, arrays, lists, masks) then picks elements of that view. So an integer never moves dimensions about as it
does in NumPy beside an index array; otherwise the rules are NumPy's, and PyTorch's, which agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import INT64
from ..kernels import discrete, indexing, memory
from ..tensor import Tensor, method
from .elementwise import cast, check_broadcast, constant, is_number
from .inplace import check_inplace, copy_slices, inplace, put_positions, snapshot, write
from .primitive import expand_to, primitive
from .shape import Ints, data_of, positions_of, take_slice, view_of

__all__ = ["index_put", "index_select", "masked_select"]

WHOLE = slice(None)


@primitive(name="index_select")
def take_along(x: np.ndarray, *, dim: int, index: np.ndarray) -> np.ndarray:
    """The slices of `x` along `dim` at `index`, whose dimensions take the place of `dim`."""
    if x.flags.c_contiguous:
        return indexing.take_along(x, dim, index)
    return x.take(index, dim)


@primitive(name="index_add")
def put_along(x: np.ndarray, *, dim: int, index: np.ndarray, shape: Ints) -> np.ndarray:
    """Zeros of `shape` with the slices of `x` added along `dim` at `index`."""
    out = memory.zeros(shape, x.dtype)
    indexing.add_along(out, dim, index, np.ascontiguousarray(x))
    return out


@take_along.derivative("x")
def _(g: Tensor, x_shape: Ints, *, dim: int, index: np.ndarray) -> Tensor:
    return put_along(g, dim=dim, index=index, shape=x_shape)


@put_along.derivative("x")
def _(g: Tensor, *, dim: int, index: np.ndarray) -> Tensor:
    return take_along(g, dim=dim, index=index)


@primitive(name="index")
def take_index(x: np.ndarray, *, index: tuple[Any, ...]) -> np.ndarray:
    """The elements of `x` at a NumPy index of slices and arrays."""
    return x[index]


@take_index.derivative("x")
def _(g: Tensor, x_shape: Ints, *, index: tuple[Any, ...]) -> Tensor:
    return put_positions(g, positions=positions_of(x_shape)[index], shape=x_shape)


# Reading an index


def _as_array(item: Any) -> np.ndarray:
    """An index array of int64 or bool."""
    if isinstance(item, Tensor):
        array = item._data
        if array.dtype.name not in ("int64", "int32", "uint8", "bool"):
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, got {item.dtype!r}")
    else:
        array = np.asarray(_plain(item))
        if array.size == 0 and not isinstance(item, np.ndarray):
            array = array.astype(np.int64)
        if array.dtype.kind not in "iub":
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None, masks and sequences of integers are valid "
                "indices "
                f"(got {type(item).__name__} of {array.dtype})"
            )
    if array.dtype.name == "uint8" and isinstance(item, Tensor):
        return array.astype(bool)
    return array if array.dtype.kind == "b" else array.astype(np.int64, copy=False)


def _plain(item: Any) -> Any:
    if isinstance(item, Tensor):
        return item._data
    return [_plain(i) for i in item] if isinstance(item, (list, tuple)) else item


def within(array: np.ndarray, dim: int, extent: int, kind: type[Exception] = IndexError, op: str = "") -> np.ndarray:
    """An index array counted from 0; `kind` is raised if an index lies outside."""
    if array.size == 0:
        return array
    lowest, highest = int(array.min()), int(array.max())
    if lowest < -extent or highest >= extent:
        wrong = highest if highest >= extent else lowest
        raise kind(f"{op}index {wrong} is out of bounds for dimension {dim} with size {extent}")
    return np.where(array < 0, array + extent, array) if lowest < 0 else array


def _is_integer(item: Any) -> bool:
    if isinstance(item, Tensor):
        return item._data.ndim == 0 and item._data.dtype.kind == "i"
    if isinstance(item, np.ndarray):
        return item.ndim == 0 and item.dtype.kind in "iu"
    return isinstance(item, (int, np.integer)) and not isinstance(item, bool)


def parse(x: Tensor, index: Any) -> tuple[tuple[Any, ...] | None, dict[int, np.ndarray]]:
    """Split an index into a basic index of `x` and index arrays for dimensions of the view that this makes.

    Returns None for a basic index that takes everything. Raises IndexError (ValueError, TypeError) for an
    index that does not fit, before anything is done.
    """
    items = index if isinstance(index, tuple) else (index,)
    shape = x._data.shape
    arrays: list[np.ndarray | None] = []
    consumed = 0
    for item in items:
        array = None
        if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
            pass
        elif isinstance(item, slice) or _is_integer(item):
            consumed += 1
        elif isinstance(item, (Tensor, np.ndarray, Sequence)) and not isinstance(item, str):
            array = _as_array(item)
            consumed += array.ndim if array.dtype.kind == "b" else 1
        else:
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                f"(got {type(item).__name__})"
            )
        arrays.append(array)
    if consumed > len(shape):
        if not shape:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}: got {consumed}")

    basic: list[Any] = []
    advanced: dict[int, np.ndarray] = {}
    dim = place = 0  # in the tensor, and in the view
    trivial, filled = True, False
    for item, array in zip(items, arrays, strict=True):
        if array is not None and array.dtype.kind == "b" and array.ndim:
            if array.shape != shape[dim : dim + array.ndim]:
                at = next(i for i in range(array.ndim) if array.shape[i] != shape[dim + i])
                raise IndexError(
                    f"The shape of the mask {list(array.shape)} at index {at} does not match the shape of the indexed "
                    f"tensor {list(shape)} at index {dim + at}"
                )
            for found in np.nonzero(array):
                basic.append(WHOLE)
                advanced[place] = found
                place += 1
            dim += array.ndim
        elif item is None or isinstance(item, (bool, np.bool_)) or (array is not None and array.dtype.kind == "b"):
            basic.append(None)
            trivial = False
            if item is not None:
                advanced[place] = np.zeros(int(bool(item)), np.int64)
            place += 1
        elif array is not None:
            basic.append(WHOLE)
            advanced[place] = within(array, dim, shape[dim])
            place += 1
            dim += 1
        elif item is Ellipsis:
            skipped = 0 if filled else len(shape) - consumed
            filled = True
            basic += [WHOLE] * skipped
            place += skipped
            dim += skipped
        elif isinstance(item, slice):
            if item.step is not None and item.step <= 0:
                raise ValueError("step must be greater than zero" if item.step < 0 else "slice step cannot be zero")
            basic.append(item)
            trivial = trivial and item == WHOLE
            place += 1
            dim += 1
        else:
            i = int(item)
            if not -shape[dim] <= i < shape[dim]:
                raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {shape[dim]}")
            basic.append(i)
            trivial = False
            dim += 1
    if len(advanced) > 1:
        try:
            np.broadcast_shapes(*[a.shape for a in advanced.values()])
        except ValueError:
            shapes = ", ".join(str(list(a.shape)) for a in advanced.values())
            raise IndexError(
                f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
            ) from None
    return (None if trivial else (*basic, ...)), advanced


def _numpy_index(advanced: dict[int, np.ndarray]) -> tuple[Any, ...]:
    return tuple([advanced.get(place, WHOLE) for place in range(max(advanced) + 1)])


def _getitem(self: Tensor, index: Any) -> Tensor:
    """The elements at an index.

    Parameters
    ----------
    index : int, slice, None, Ellipsis, Tensor, array, sequence, mask, or a tuple of them
        Slices have positive steps. A mask has the shape of the dimensions that it selects from.

    Returns
    -------
    Tensor
        A view for integers, slices, None and Ellipsis alone; else a copy.

    Raises
    ------
    IndexError
        If an index is out of bounds, of the wrong type, too long, or does not broadcast with the others.
    ValueError
        For a slice step that is not positive.

    Notes
    -----
    Gradient: ``g`` added into zeros at the index.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.arange(6).view(2, 3)
    >>> x[1, ::2]
    tensor([3, 5])
    >>> x[:, ag.tensor([0, 0])]
    tensor([[0, 0],
            [3, 3]])
    >>> x[x > 3]
    tensor([4, 5])
    """
    kind = type(index)
    if kind is int:
        shape = self._data.shape
        if shape and -shape[0] <= index < shape[0]:
            return take_slice(self, index=(index, ...))
    elif kind is slice and self._data.ndim and index.step is None:
        return take_slice(self, index=(index, ...))
    elif kind is Tensor and index._data.dtype is INT64 and index._data.ndim and self._data.ndim:
        return take_along(self, dim=0, index=within(index._data, 0, self._data.shape[0]))
    basic, advanced = parse(self, index)
    x = self if basic is None and advanced else take_slice(self, index=basic or (...,))
    if not advanced:
        return x
    if len(advanced) == 1:
        ((dim, array),) = advanced.items()
        return take_along(x, dim=dim, index=array)
    return take_index(x, index=_numpy_index(advanced))


def _value_for(x: Tensor, value: Any, shape: Ints, op: str) -> Tensor:
    """`value` as a tensor that broadcasts to `shape`, checked."""
    if not isinstance(value, Tensor):
        if not is_number(value):
            raise TypeError(f"{op}: can't assign a {type(value).__name__} to a tensor of {x.dtype!r}; use ag.as_tensor")
        return constant(value.item() if isinstance(value, np.generic) else value, x._data.dtype)
    given = value._data.shape
    lead = 0
    while len(given) - lead > len(shape) and given[lead] == 1:
        lead += 1
    if lead:
        value = view_of(value, shape=given[lead:])
    kept = given[lead:]
    if len(kept) > len(shape) or any(n not in (1, m) for n, m in zip(kept[::-1], shape[::-1], strict=False)):
        raise RuntimeError(
            f"{op}: shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing result of "
            "shape "
            f"{list(shape)}"
        )
    return value


def _setitem(self: Tensor, index: Any, value: Any) -> None:
    """Write `value` (a number, or a tensor that broadcasts) at an index; see `Tensor.__getitem__`.

    Raises
    ------
    RuntimeError
        If the value does not broadcast, or if the change cannot be differentiated (see `check_inplace`).

    Notes
    -----
    Gradient: ``g`` at the index goes to `value`; the old contents get ``g`` with zeros there.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.zeros(2, 3)
    >>> x[:, 1] = ag.tensor([5.0, 6.0])
    >>> x
    tensor([[0., 5., 0.],
            [0., 6., 0.]])
    """
    basic, advanced = parse(self, index)
    if not isinstance(value, Tensor):
        value = _value_for(self, value, (), "setitem")
    if not advanced and 0 not in self._data.strides and not check_inplace("setitem", self, (value,)):
        part = self._data if basic is None else self._data[basic]
        value = _value_for(self, value, part.shape, "setitem")
        np.copyto(part, value._data if value._data.dtype is part.dtype else discrete.cast(value._data, part.dtype))
        self._bump()
        return
    view = self if basic is None else take_slice(self, index=basic)
    if not advanced:
        view.copy_(_value_for(view, value, view._data.shape, "setitem"))
        return
    if value._data.dtype != self._data.dtype and not (value._data.ndim == 0 and _masks_only(index)):
        raise RuntimeError(
            "setitem: Index put requires the source and destination dtypes match, got "
            f"{self.dtype!r} for the destination and {value.dtype!r} for the source."
        )
    _put(view, advanced, value, False, "setitem")


def _masks_only(index: Any) -> bool:
    return isinstance(index, Tensor) and index._data.dtype.kind == "b"


def _put(x: Tensor, advanced: dict[int, np.ndarray], value: Tensor, accumulate: bool, op: str) -> None:
    """Write `value` into `x` at index arrays, in place."""
    recorded = check_inplace(op, x, (value,))
    index = _numpy_index(advanced)
    if not recorded and not accumulate:
        value = _value_for(x, value, _indexed_shape(x._data.shape, index), op)
        x._data[index] = value._data
        x._bump()
        return
    source = snapshot(x) if recorded else x
    if value._counter is x._counter:
        value = snapshot(value)
    write(x, _with_values(source, index, value, accumulate, op), recorded)


def _indexed_shape(shape: Ints, index: tuple[Any, ...]) -> Ints:
    return np.broadcast_to(np.False_, shape)[index].shape


def _with_values(x: Tensor, index: tuple[Any, ...], value: Tensor, accumulate: bool, op: str) -> Tensor:
    shape = _indexed_shape(x._data.shape, index)
    value = _value_for(x, value, shape, op)
    if value._data.dtype != x._data.dtype:
        value = cast(value, dtype=x._data.dtype)
    value = expand_to(value, shape=shape)
    positions = positions_of(x._data.shape)[index]
    if accumulate:
        return x + put_positions(value, positions=positions, shape=x._data.shape)
    return copy_slices(x, value, positions=positions)


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `values` at ``input[indices]``; `Tensor.index_put_` changes it in place.

    Parameters
    ----------
    indices : sequence of Tensor
        Integer index tensors or masks for the leading dimensions.
    values : Tensor
        Broadcasts to the shape of ``input[indices]``.
    accumulate : bool
        Add to what is there; elements that are named twice then count twice.

    Raises
    ------
    RuntimeError
        If the dtypes differ, or the values do not broadcast.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.index_put(ag.zeros(3), (ag.tensor([0, 0]),), ag.tensor(1.0), accumulate=True)
    tensor([2., 0., 0.])
    """
    data_of("index_put", input)
    if data_of("index_put", values, "values").dtype != input._data.dtype:
        raise RuntimeError(
            f"index_put: Index put requires the source and destination dtypes match, got {input.dtype!r} for the "
            f"destination and {values.dtype!r} for the source."
        )
    for i, one in enumerate(indices):
        if not isinstance(one, Tensor):
            raise TypeError(
                f"index_put: expected Tensor as element {i} in argument 'indices', but got {type(one).__name__}"
            )
    _, advanced = parse(input, tuple([view_of(i, shape=(1,)) if i._data.ndim == 0 else i for i in indices]))
    if not advanced:
        raise RuntimeError("index_put: expected at least one index")
    return _with_values(input, _numpy_index(advanced), values, accumulate, "index_put")


def vector_index(op: str, index: Any, dim: int, extent: int, kind: type[Exception] = IndexError) -> np.ndarray:
    """The int64 array of a 1-D index tensor whose elements lie between 0 and `extent`."""
    array = data_of(op, index, "index")
    if array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{op}(): Expected dtype int32 or int64 for index, got {index.dtype!r}")
    if array.ndim > 1:
        raise IndexError(f"{op}(): Index is supposed to be a vector, got shape {list(array.shape)}")
    if array.size and array.min() < 0:
        raise kind(f"{op}(): index {array.min()} is out of bounds for dimension {dim} with size {extent}")
    within(array, dim, extent, kind, f"{op}(): ")
    return array.reshape(-1).astype(np.int64, copy=False)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` that `index` names, in its order.

    Parameters
    ----------
    index : Tensor of int64 or int32, 1-D
        Counted from 0.

    Raises
    ------
    IndexError
        If an index is out of bounds.

    Notes
    -----
    Gradient: each slice gets the sum of ``g`` over its copies.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.index_select(ag.tensor([[1, 2], [3, 4]]), 1, ag.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    shape = data_of("index_select", input).shape
    dim = input._dim(dim)
    chosen = vector_index("index_select", index, dim, shape[dim] if shape else 1)
    if not shape:
        if chosen.size != 1:
            raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {chosen.size} value(s)")
        return input.clone()
    return take_along(input, dim=dim, index=chosen)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of `input` where `mask` holds, in one dimension.

    Parameters
    ----------
    mask : Tensor of bool
        Broadcasts with `input`.

    Notes
    -----
    Gradient: ``g`` at the places of the mask, zero elsewhere.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0, 3.0])
    >>> ag.masked_select(x, x > 1)
    tensor([2., 3.])
    """
    data_of("masked_select", input)
    if data_of("masked_select", mask, "mask").dtype.kind != "b":
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype!r}")
    x, where = input, mask
    if input._data.shape != mask._data.shape:
        from_both = check_broadcast("masked_select", (input._data.shape, mask._data.shape))
        x, where = expand_to(input, shape=from_both), expand_to(mask, shape=from_both)
    if not x._data.ndim:
        x, where = view_of(x, shape=(1,)), view_of(where, shape=(1,))
    return take_index(x, index=np.nonzero(where._data))


method(_getitem, name="__getitem__")
method(_setitem, name="__setitem__")
for _function in (index_put, index_select, masked_select):
    method(_function)
method(inplace(index_put), name="index_put_")
