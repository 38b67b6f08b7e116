"""Views: the same storage under another shape, or in another order of dimensions.

Few primitives make all views: `view`, `permute` and `t`, `slice`, `expand_to` (of `primitive`), and `strided` for
the rest (diagonals, sliding windows; see `views`). A view shares storage and version counter with the tensor
that it was taken from.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from .. import dtypes
from ..kernels import memory
from ..tensor import Tensor, method
from .creation import clone
from .inplace import check_inplace, put_positions
from .primitive import primitive

__all__ = [
    "adjoint", "flatten", "moveaxis", "movedim", "permute", "ravel", "reshape", "squeeze", "swapaxes", "swapdims",
    "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip

Ints = tuple[int, ...]
F = TypeVar("F", bound=Callable[..., Any])


def data_of(op: str, x: Any, name: str = "input") -> np.ndarray:
    """The array of the tensor `x`; TypeError for anything else."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}(): argument {name!r} must be Tensor, not {type(x).__name__}")
    return x._data


def ints(op: str, given: Any, name: str = "size") -> Ints:
    """Ints given as ``f(2, 3)`` or as ``f((2, 3))``."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    try:
        return tuple([n if type(n) is int else n.__index__() for n in given])
    except AttributeError:
        raise TypeError(f"{op}(): argument {name!r} must be tuple of ints, got {tuple(given)!r}") from None


def dims_of(x: Tensor, dims: Any) -> Ints:
    """`dims` (an int or several) counted from the front and checked, each at most once."""
    if isinstance(dims, int):
        return (x._dim(dims),)
    result = tuple([x._dim(d) for d in dims])
    if len(set(result)) < len(result):
        twice = next(d for d in result if result.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return result


def numpy_names(function: F) -> F:
    """Let `function` take ``axis`` for ``dim`` and ``keepdims`` for ``keepdim``, as PyTorch does."""

    @wraps(function)
    def op(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for given, meant in (("axis", "dim"), ("keepdims", "keepdim")):
                if given in kwargs:
                    kwargs[meant] = kwargs.pop(given)
        return function(*args, **kwargs)

    return op  # type: ignore[return-value]


def result_type(name: str, *fields: str) -> Any:
    """The named tuple that an operation with several results returns."""
    return namedtuple(name, fields)


# The primitives


@primitive(view=True, name="view")
def view_of(x: np.ndarray, *, shape: Ints) -> np.ndarray:
    return x.reshape(shape)


@view_of.derivative("x")
def _(g: Tensor, x_shape: Ints) -> Tensor:
    return view_of(g, shape=x_shape)


@primitive(view=True, name="permute")
def _permute(x: np.ndarray, *, dims: Ints) -> np.ndarray:
    return x.transpose(dims)


@_permute.derivative("x")
def _(g: Tensor, *, dims: Ints) -> Tensor:
    return _permute(g, dims=tuple(sorted(range(len(dims)), key=dims.__getitem__)))


@primitive(view=True, name="t")
def _t(x: np.ndarray) -> np.ndarray:
    return x.T


@_t.derivative("x")
def _(g: Tensor) -> Tensor:
    return _t(g)


@primitive(view=True, name="slice")
def take_slice(x: np.ndarray, *, index: tuple[Any, ...]) -> np.ndarray:
    """``x[index]`` for a basic index, which holds an Ellipsis so that the result is an array always."""
    return x[index]


@primitive
def put_slice(x: np.ndarray, *, index: tuple[Any, ...], shape: Ints) -> np.ndarray:
    """Zeros of `shape` with `x` at the basic `index`."""
    out = memory.zeros(shape, x.dtype)
    out[index] = x
    return out


@take_slice.derivative("x")
def _(g: Tensor, x_shape: Ints, *, index: tuple[Any, ...]) -> Tensor:
    return put_slice(g, index=index, shape=x_shape)


@put_slice.derivative("x")
def _(g: Tensor, *, index: tuple[Any, ...]) -> Tensor:
    return take_slice(g, index=index)


@primitive(view=True)
def strided(x: np.ndarray, *, view: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Any other view; elements may occur in it more than once."""
    return view(x)


@strided.derivative("x")
def _(g: Tensor, x_shape: Ints, *, view: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    return put_positions(g, positions=view(positions_of(x_shape)), shape=x_shape)


def positions_of(shape: Ints) -> np.ndarray:
    """An array of `shape` that holds each element's own position in row-major order."""
    size = 1
    for extent in shape:
        size *= extent
    return np.arange(size).reshape(shape)


def _viewable(x: np.ndarray, shape: Ints) -> bool:
    """Whether `x` can be seen in `shape` without a copy: every run of evenly spaced elements holds whole dims."""
    if x.flags.c_contiguous or x.size == 0:
        return True
    runs: list[int] = []
    before = 0
    for extent, step in zip(x.shape, x.strides, strict=True):
        if extent == 1:
            continue
        if runs and before == extent * step:
            runs[-1] *= extent
        else:
            runs.append(extent)
        before = step
    extents = [n for n in shape if n != 1]
    for run in runs:
        n = 1
        while n < run:
            n *= extents.pop(0)
        if n != run:
            return False
    return True


def _infer_shape(shape: Ints, size: int) -> Ints:
    """`shape` with its -1, if any, worked out."""
    known, unknown = 1, -1
    for i, extent in enumerate(shape):
        if extent == -1:
            if unknown >= 0:
                raise RuntimeError("only one dimension can be inferred")
            unknown = i
        elif extent < 0:
            raise RuntimeError(f"invalid shape dimension {extent} at index {i} of shape {list(shape)}")
        else:
            known *= extent
    if unknown >= 0:
        if known == 0 and size == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension "
                "size -1 can be any value and is ambiguous"
            )
        if known and size % known == 0:
            return (*shape[:unknown], size // known, *shape[unknown + 1 :])
    elif known == size:
        return shape
    raise RuntimeError(f"shape {str(list(shape))!r} is invalid for input of size {size}")


def _reshaped(x: Tensor, shape: Ints) -> Tensor:
    return view_of(x if _viewable(x._data, shape) else clone(x), shape=shape)


# Another shape


def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The elements in row-major order under another shape: a view where the strides allow it, else a copy.

    Parameters
    ----------
    shape : ints
        The new extents, with the same product; one of them may be -1 and is then worked out.

    Raises
    ------
    RuntimeError
        If `shape` does not hold the elements exactly.

    Notes
    -----
    Gradient: ``g`` in the shape of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.reshape(ag.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    data = data_of("reshape", input)
    return _reshaped(input, _infer_shape(ints("reshape", (shape,), "shape"), data.size))


def _reshape_method(self: Tensor, *shape: Any) -> Tensor:
    """`reshape` as a method: ``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    if not shape:
        raise TypeError("reshape() missing 1 required positional arguments: 'shape'")
    return _reshaped(self, _infer_shape(ints("reshape", shape, "shape"), self._data.size))


@method
def view(self: Tensor, *shape: Any) -> Tensor:
    """The same storage under another shape (or, given a dtype, with its bytes read as that dtype).

    Raises
    ------
    RuntimeError
        If the shape does not fit, or if the strides would ask for a copy (then use `reshape`).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.zeros(2, 3)
    >>> x.view(-1)[0] = 7
    >>> x[0, 0]
    tensor(7.)
    """
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        return _view_dtype(self, shape[0])
    if not shape:
        raise TypeError("view() missing 1 required positional arguments: 'shape'")
    wanted = _infer_shape(ints("view", shape, "shape"), self._data.size)
    if not _viewable(self._data, wanted):
        raise RuntimeError(
            f"view: size {list(wanted)} is not compatible with input tensor's size {list(self._data.shape)} and stride "
            f"{self.stride()} (at least one dimension spans across two contiguous subspaces). Use .reshape(...) "
            "instead."
        )
    return view_of(self, shape=wanted)


def _view_dtype(x: Tensor, dtype: dtypes.dtype) -> Tensor:
    if x.requires_grad:
        raise RuntimeError(f"view: a tensor that requires grad cannot be viewed as {dtype!r}; use .to(dtype)")
    size = x._data.shape[-1] * x._data.itemsize if x._data.ndim else x._data.itemsize
    if size % dtype.itemsize or (not x._data.ndim and dtype.itemsize != x._data.itemsize):
        raise RuntimeError(
            f"view: self.size(-1) must be divisible by {dtype.itemsize // x._data.itemsize} to view {x.dtype!r} as "
            f"{dtype!r} (different element sizes), but got shape {tuple(x._data.shape)}"
        )
    result = Tensor(x._data.view(dtype.dtype))
    result._counter = x._counter
    return result


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` made one.

    Raises
    ------
    RuntimeError
        If `start_dim` comes after `end_dim`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.flatten(ag.zeros(2, 3, 4), 1).shape
    autograd_lite.Size([2, 12])
    """
    shape = data_of("flatten", input).shape
    start, end = input._dim(start_dim), input._dim(end_dim)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end and shape:
        return input
    n = 1
    for extent in shape[start : end + 1]:
        n *= extent
    return _reshaped(input, (*shape[:start], n, *shape[end + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.ravel(ag.zeros(2, 3)).shape
    autograd_lite.Size([6])
    """
    return flatten(input)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension split into several, of extents `sizes` (of which one may be -1).

    Raises
    ------
    RuntimeError
        If the product of `sizes` is not the extent of `dim`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.unflatten(ag.zeros(2, 12), 1, (3, -1)).shape
    autograd_lite.Size([2, 3, 4])
    """
    shape = data_of("unflatten", input).shape
    dim = input._dim(dim)
    wanted = ints("unflatten", (sizes,), "sizes")
    if not wanted:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        wanted = _infer_shape(wanted, shape[dim])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(wanted)} don't multiply up to the size of dim {dim} ({shape[dim]}) "
            "in the "
            "input tensor"
        ) from None
    return _reshaped(input, (*shape[:dim], *wanted, *shape[dim + 1 :]))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of extent 1: all of them, or those among `dim`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.squeeze(ag.zeros(1, 3, 1)).shape, ag.squeeze(ag.zeros(1, 3, 1), 0).shape
    (autograd_lite.Size([3]), autograd_lite.Size([3, 1]))
    """
    shape = data_of("squeeze", input).shape
    dims = range(len(shape)) if dim is None else dims_of(input, dim)
    return view_of(input, shape=tuple([n for i, n in enumerate(shape) if n != 1 or i not in dims]))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of extent 1 at `dim`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.unsqueeze(ag.zeros(3), 0).shape, ag.unsqueeze(ag.zeros(3), -1).shape
    (autograd_lite.Size([1, 3]), autograd_lite.Size([3, 1]))
    """
    shape = data_of("unsqueeze", input).shape
    span = len(shape) + 1
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})")
    dim %= span
    return view_of(input, shape=(*shape[:dim], 1, *shape[dim:]))


# Another order of dimensions


def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The dimensions in the order `dims`; a view.

    Raises
    ------
    RuntimeError
        If `dims` does not name every dimension once.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.permute(ag.zeros(2, 3, 4), (2, 0, 1)).shape
    autograd_lite.Size([4, 2, 3])
    """
    ndim = data_of("permute", input).ndim
    order = ints("permute", (dims,), "dims")
    if len(order) != ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(order)}"
        )
    order = tuple([input._dim(d) for d in order])
    if len(set(order)) != ndim:
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {order}")
    return _permute(input, dims=order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged; a view.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.transpose(ag.zeros(2, 3, 4), 0, 2).shape
    autograd_lite.Size([4, 3, 2])
    """
    ndim = data_of("transpose", input).ndim
    dim0, dim1 = input._dim(dim0), input._dim(dim1)
    if ndim == 2 and dim0 != dim1:
        return _t(input)
    order = list(range(ndim))
    if ndim:
        order[dim0], order[dim1] = dim1, dim0
    return _permute(input, dims=tuple(order))


swapaxes = swapdims = transpose


def t(input: Tensor) -> Tensor:
    """A matrix transposed (a vector or a number stays as it is); a view.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.t(ag.zeros(2, 3)).shape
    autograd_lite.Size([3, 2])
    """
    ndim = data_of("t", input).ndim
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return _t(input)


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged; a view.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.adjoint(ag.zeros(5, 2, 3)).shape
    autograd_lite.Size([5, 3, 2])
    """
    ndim = data_of("adjoint", input).ndim
    if ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {ndim}-D tensor.")
    return transpose(input, -2, -1)


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The dimensions `source` moved to the places `destination`, the others in their old order; a view.

    Raises
    ------
    RuntimeError
        If the two differ in length or name a dimension twice.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.movedim(ag.zeros(2, 3, 4), 0, -1).shape
    autograd_lite.Size([3, 4, 2])
    """
    data_of("movedim", input)
    given = [[s] if isinstance(s, int) else list(s) for s in (source, destination)]
    if len(given[0]) != len(given[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({given[0]} dims) should contain the same number of "
            f"dims as destination ({given[1]} dims)"
        )
    sources, targets = ([input._dim(d) for d in dims] for dims in given)
    for name, dims, shown in (("source", sources, given[0]), ("destination", targets, given[1])):
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({shown})")
    order = [d for d in range(input._data.ndim) if d not in sources]
    for target, s in sorted(zip(targets, sources, strict=True)):
        order.insert(target, s)
    return _permute(input, dims=tuple(order)) if order else input


moveaxis = movedim


# Methods


def _in_place(function: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """The twin of a view operation that changes the tensor's own shape or strides."""

    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        recorded = check_inplace(name, self)
        result = function(self, *args, **kwargs)
        self._data = result._data
        if recorded:
            self._node = result._node
        self._bump()
        return self

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"In-place version of `{function.__name__}`; returns the changed tensor."
    return changed


_METHODS: dict[str, Callable[..., Any]] = {
    "adjoint": adjoint, "flatten": flatten, "movedim": movedim, "moveaxis": movedim, "ravel": ravel, "squeeze": squeeze,
    "t": t, "transpose": transpose, "swapaxes": transpose, "swapdims": transpose, "unsqueeze": unsqueeze,
    "reshape": _reshape_method,
    "reshape_as": lambda self, other: _reshape_method(self, data_of("reshape_as", other, "other").shape),
    "view_as": lambda self, other: view(self, data_of("view_as", other, "other").shape),
    "permute": lambda self, *dims: permute(self, ints("permute", dims, "dims")),
    "unflatten": unflatten,
}  # fmt: skip
for _name, _method in _METHODS.items():
    method(_method, name=_name)
for _name in ("squeeze", "t", "transpose", "unsqueeze"):
    method(_in_place(_METHODS[_name], f"{_name}_"), name=f"{_name}_")
_PROPERTIES: dict[str, Callable[[Any], Tensor]] = {"T": lambda self: _t(self), "H": t, "mT": adjoint, "mH": adjoint}
for _name, _property in _PROPERTIES.items():
    setattr(Tensor, _name, property(_property))
