"""Views that broadcast, and views of a part: slices, diagonals, sliding windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tensor import Size, Tensor, method
from .elementwise import check_broadcast
from .primitive import expand_to
from .shape import Ints, data_of, ints, strided, take_slice, view_of

__all__ = [
    "as_strided", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors", "broadcast_to",
    "diagonal", "narrow", "select",
]  # fmt: skip


# Broadcasting


def _expanded(op: str, x: Tensor, size: Ints) -> Tensor:
    shape = x._data.shape
    lead = len(size) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"{op}(tensor of shape {list(shape)}, size={list(size)}): the number of sizes provided ({len(size)}) "
            "must be "
            f"greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    wanted = []
    for i, n in enumerate(size):
        have = shape[i - lead] if i >= lead else 1
        if n == -1 and i < lead:
            raise RuntimeError(
                f"{op}: The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}"
            )
        if n == -1:
            n = have
        elif n < 0 or n != have != 1:
            raise RuntimeError(
                f"{op}: The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton "
                f"dimension {i}.  Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
        wanted.append(n)
    return expand_to(x, shape=tuple(wanted))


@method
def expand(self: Tensor, *size: Any) -> Tensor:
    """Dimensions of extent 1 repeated without a copy, and new ones added in front; a view.

    Parameters
    ----------
    *size : ints
        The new extents; -1 keeps the old one.

    Raises
    ------
    RuntimeError
        If another extent than 1 would change.

    Notes
    -----
    Gradient: ``g`` summed over what was repeated.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return _expanded("expand", self, ints("expand", size))


@method
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return _expanded("expand_as", self, data_of("expand_as", other, "other").shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`input` broadcast to the shape `size`; a view.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.broadcast_to(ag.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    data_of("broadcast_to", input)
    return _expanded("broadcast_to", input, ints("broadcast_to", (size,)))


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape to which `shapes` broadcast.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.broadcast_shapes((3, 1), (2,))
    autograd_lite.Size([3, 2])
    """
    from_ints = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    return Size(check_broadcast("broadcast_shapes", from_ints))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, all broadcast to their common shape; views.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> a, b = ag.broadcast_tensors(ag.zeros(3, 1), ag.zeros(2))
    >>> a.shape, b.shape
    (autograd_lite.Size([3, 2]), autograd_lite.Size([3, 2]))
    """
    shape = check_broadcast("broadcast_tensors", [data_of("broadcast_tensors", x, "tensors").shape for x in tensors])
    return tuple([expand_to(x, shape=shape) for x in tensors])


def _at_least(n: int, pad: Callable[[Ints], Ints]) -> Callable[..., Any]:
    def op(*tensors: Any) -> Any:
        if len(tensors) == 1:
            if isinstance(tensors[0], (list, tuple)):
                return tuple([op(x) for x in tensors[0]])
            shape = data_of(op.__name__, tensors[0], "tensors").shape
            return tensors[0] if len(shape) >= n else view_of(tensors[0], shape=pad(shape))
        return tuple([op(x) for x in tensors])

    op.__name__ = op.__qualname__ = f"atleast_{n}d"
    example = {1: "[1]", 2: "[1, 1]", 3: "[1, 1, 1]"}[n]
    op.__doc__ = f"""A view with at least {n} dimension{"s" if n > 1 else ""}; a tuple of them for several tensors.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.atleast_{n}d(ag.tensor(1.0)).shape
    autograd_lite.Size({example})
    """
    return op


atleast_1d = _at_least(1, lambda s: (1,))
atleast_2d = _at_least(2, lambda s: (1, *s) if s else (1, 1))
atleast_3d = _at_least(3, lambda s: (1, *s, 1) if len(s) < 2 and s else (*s, 1) if s else (1, 1, 1))


# Parts


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` slices along `dim`, from `start` on; a view.

    Raises
    ------
    IndexError
        If `start` lies outside.
    RuntimeError
        If `length` is negative or too long.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.narrow(ag.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    data = data_of("narrow", input)
    if data.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    dim, start = input._dim(dim), int(start)
    extent = data.shape[dim]
    if not -extent <= start <= extent:
        raise IndexError(
            f"narrow: start out of range (expected to be in range of [{-extent}, {extent}], but got {start})"
        )
    start += extent if start < 0 else 0
    if start + length > extent:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({extent}).")
    return take_slice(input, index=(slice(None),) * dim + (slice(start, start + length), ...))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice number `index` along `dim`, without that dimension; a view.

    Raises
    ------
    IndexError
        If `index` lies outside.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.select(ag.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    data = data_of("select", input)
    if data.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, index = input._dim(dim), int(index)
    extent = data.shape[dim]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(data.shape)} at dimension {dim}"
        )
    return take_slice(input, index=(slice(None),) * dim + (index, ...))


def _strided_array(x: np.ndarray, shape: Ints, strides: Ints) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def diagonal_view(offset: int, dim1: int, dim2: int) -> Callable[[np.ndarray], np.ndarray]:
    """How to see the diagonal of an array, as its last dimension."""

    def view(x: np.ndarray) -> np.ndarray:
        rows, columns = x.shape[dim1], x.shape[dim2]
        n = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
        start: list[Any] = [slice(None)] * x.ndim
        if n:
            start[dim1], start[dim2] = slice(max(-offset, 0), None), slice(max(offset, 0), None)
        rest = [i for i in range(x.ndim) if i not in (dim1, dim2)]
        shape = (*[x.shape[i] for i in rest], n)
        strides = (*[x.strides[i] for i in rest], x.strides[dim1] + x.strides[dim2])
        return _strided_array(x[tuple(start)], shape, strides)

    return view


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal over two dimensions, as the last dimension; a view.

    Parameters
    ----------
    offset : int
        0: the main diagonal; above it if positive, below it if negative.
    dim1, dim2 : int
        The dimensions of the rows and of the columns.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.diagonal(ag.arange(6).view(2, 3), 1)
    tensor([1, 5])
    """
    data_of("diagonal", input)
    first, second = input._dim(dim1), input._dim(dim2)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return strided(input, view=diagonal_view(offset, first, second))


@method
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` slices along a dimension, `step` apart, as a new last dimension; a view.

    Raises
    ------
    RuntimeError
        If `size` is negative or more than there is, or `step` is not positive.

    Notes
    -----
    Gradient: each element gets the sum over the windows that it is in.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    x = self if self._data.ndim else view_of(self, shape=(1,))
    dim, extent = x._dim(dimension), x._data.shape[x._dim(dimension)]
    if size < 0:
        raise RuntimeError(f"unfold: size is {size} but must be >= 0")
    if size > extent:
        raise RuntimeError(f"unfold: maximum size for tensor at dimension {dim} is {extent} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"unfold: step is {step} but must be > 0")
    if self._data.ndim == 0:
        return x if size else take_slice(x, index=(slice(0, 0), ...))

    def view(array: np.ndarray) -> np.ndarray:
        shape, strides = list(array.shape), list(array.strides)
        shape[dim] = (shape[dim] - size) // step + 1
        strides[dim] *= step
        return _strided_array(array, (*shape, size), (*strides, array.strides[dim]))

    return strided(x, view=view)


def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int = 0) -> Tensor:
    """A view with strides of one's own choice, in elements, of a contiguous tensor.

    Raises
    ------
    RuntimeError
        If the view would leave the tensor's memory, or if `input` is not contiguous.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.as_strided(ag.arange(6), (2, 2), (1, 3), 1)
    tensor([[1, 4],
            [2, 5]])
    """
    data = data_of("as_strided", input)
    shape, steps = ints("as_strided", (size,)), ints("as_strided", (stride,), "stride")
    if len(shape) != len(steps):
        raise RuntimeError(f"as_strided: mismatch in length of strides {list(steps)} and shape {list(shape)}")
    if min((*shape, *steps, storage_offset), default=0) < 0:
        raise RuntimeError(
            f"as_strided: negative size, stride or offset: {list(shape)}, {list(steps)}, {storage_offset}"
        )
    if not data.flags.c_contiguous:
        raise RuntimeError("as_strided: expects a contiguous tensor; call .contiguous() first")
    last = storage_offset + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))
    if 0 not in shape and last >= data.size:
        raise RuntimeError(
            f"as_strided: size {list(shape)}, stride {list(steps)} and offset {storage_offset} need {last + 1} "
            "elements, "
            f"the tensor has {data.size}"
        )

    def view(array: np.ndarray) -> np.ndarray:
        start = array.reshape(-1)[min(storage_offset, array.size) :]
        return _strided_array(start, shape, tuple([s * array.itemsize for s in steps]))

    return strided(input, view=view)


for _function in (as_strided, broadcast_to, diagonal, narrow, select):
    method(_function)
