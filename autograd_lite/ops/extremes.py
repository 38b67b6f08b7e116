"""The largest and the smallest, and what lies between: extremes, medians, quantiles, modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import discrete, reduce
from ..tensor import Tensor, method
from .arithmetic import where
from .elementwise import constant
from .pointwise import maximum, minimum
from .primitive import expand_to, primitive
from .reduction import Dim, axes_of, keep
from .scatter import picked
from .shape import Ints, data_of, flatten, numpy_names, reshape, result_type

__all__ = [
    "amax", "amin", "aminmax", "argmax", "argmin", "max", "median", "min", "mode", "nanmedian", "quantile",
]  # fmt: skip

SUMMARY = """

    Parameters
    ----------
    dim : int or sequence of int, optional
        The dimensions (``axis`` is accepted too); default: all.
    keepdim : bool
        Keep them in the result, with extent 1 (``keepdims`` is accepted too).

    Raises
    ------
    RuntimeError, IndexError
        If there are no elements."""


def _need_elements(op: str, x: Tensor, dim: Any, kind: type[Exception] = RuntimeError) -> None:
    """Refuse to look for an extreme among no elements."""
    shape = x._data.shape
    if x._data.size:
        return
    if dim is None or dim == ():
        raise kind(
            f"{op}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the "
            "'dim' argument."
        )
    for d in axes_of(x, dim):
        if shape[d] == 0:
            raise IndexError(f"{op}(): Expected reduction dim {d} to have non-zero size.")


# Extremes over any dimensions, whose gradient is shared among ties


def _shared(g: Tensor, x: Tensor, out: Tensor, axes: Ints, keepdims: bool) -> Tensor:
    shape = x._data.shape
    chosen = Tensor(discrete.compare("equal", x._data, keep(out, shape, axes, keepdims)._data))
    if x._data.size and np.isnan(out._data).any():
        chosen = Tensor(chosen._data | np.isnan(x._data))
    count = Tensor(discrete.cast(reduce.count_nonzero(chosen._data, axes, True), x._data.dtype))
    return where(chosen, expand_to(keep(g, shape, axes, keepdims) / count, shape=shape), 0.0)


@primitive(name="amax")
def _amax(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.max(x, axes, keepdims)


@_amax.derivative("x")
def _(g: Tensor, x: Tensor, out: Tensor, *, axes: Ints, keepdims: bool) -> Tensor:
    return _shared(g, x, out, axes, keepdims)


@primitive(name="amin")
def _amin(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.min(x, axes, keepdims)


@_amin.derivative("x")
def _(g: Tensor, x: Tensor, out: Tensor, *, axes: Ints, keepdims: bool) -> Tensor:
    return _shared(g, x, out, axes, keepdims)


@numpy_names
def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest element over dimensions, NaN if there is one.{summary}

    Notes
    -----
    Gradient: ``g``, shared evenly among equal largest elements.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.amax(ag.tensor([[1.0, 2.0], [4.0, 3.0]]), dim=1)
    tensor([2., 4.])
    """
    data_of("amax", input)
    _need_elements("amax", input, dim)
    return _amax(input, axes=axes_of(input, dim), keepdims=keepdim)


@numpy_names
def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest element over dimensions, NaN if there is one.{summary}

    Notes
    -----
    Gradient: ``g``, shared evenly among equal smallest elements.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.amin(ag.tensor([[1.0, 2.0], [4.0, 3.0]]), dim=1)
    tensor([1., 3.])
    """
    data_of("amin", input)
    _need_elements("amin", input, dim)
    return _amin(input, axes=axes_of(input, dim), keepdims=keepdim)


_MinMax = result_type("aminmax", "min", "max")


@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, as a named tuple (min, max); see `amin` and `amax`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.aminmax(ag.tensor([1.0, 3.0, 2.0]))
    aminmax(min=tensor(1.), max=tensor(3.))
    """
    return _MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


# With an index, which the gradient goes to


def _chosen(kind: Any, x: Tensor, dim: int, keepdim: bool, index: np.ndarray, values: np.ndarray | None = None) -> Any:
    """The elements of `x` at `index` along `dim` (which `index` lacks), as a named tuple (values, indices)."""
    shape = x._data.shape
    if not shape:
        return kind(x.clone(), Tensor(index))
    kept = (*shape[:dim], 1, *shape[dim + 1 :])
    at = index.reshape(kept)
    if values is None:
        values = np.take_along_axis(x._data, at, dim)
    reached = kept if keepdim else index.shape
    return kind(picked(x, dim, at, values.reshape(reached)), Tensor(index.reshape(reached)))


def _extreme(name: str, whole: Any, of_two: Any, kernel: Any, word: str, results: tuple[str, str, str]) -> Any:
    kind = result_type(name, "values", "indices")

    @numpy_names
    def op(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        data = data_of(name, input)
        if isinstance(dim, Tensor):
            dim, other = None, dim
        if other is not None:
            return of_two(input, other)
        if dim is None:
            _need_elements(name, input, None)
            return whole(input)
        if not isinstance(dim, int):
            raise TypeError(f"{name}(): dim must be an int or a Tensor to compare with, not {type(dim).__name__}")
        dim = input._dim(dim)
        _need_elements(name, input, dim)
        if not data.ndim:
            return _chosen(kind, input, 0, keepdim, np.zeros((), np.int64))
        values, index = kernel(data, dim, False)
        return _chosen(kind, input, dim, keepdim, index, values)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""The {word} element; of all, along a dimension, or of two tensors elementwise.

    Parameters
    ----------
    dim : int or Tensor, optional
        Along which dimension; or the tensor to compare with (also as `other`), see `{of_two.__name__}`.
        Default: of all elements.
    keepdim : bool
        Keep the dimension in the result, with extent 1.

    Returns
    -------
    Tensor or namedtuple (values, indices)
        The second along a dimension; the index (int64) is that of the first of equals.

    Raises
    ------
    RuntimeError, IndexError
        If there are no elements.

    Notes
    -----
    Gradient: along a dimension ``g`` goes to the element at the index; of all elements, equal ones share it.
    NaN, if there is one, is the result.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> ag.{name}(x)
    tensor({results[0]})
    >>> ag.{name}(x, dim=1)
    {name}(values=tensor([{results[1]}]), indices=tensor([{results[2]}]))
    """
    return op


max = _extreme("max", amax, maximum, reduce.max_with_index, "largest", ("4.", "2., 4.", "1, 0"))
min = _extreme("min", amin, minimum, reduce.min_with_index, "smallest", ("1.", "1., 3.", "0, 1"))


def _argument(name: str, kernel: Any, word: str, results: tuple[str, str]) -> Any:
    @numpy_names
    def op(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        data = data_of(name, input)
        if data.dtype.kind == "b":
            raise RuntimeError(f"{name}(): does not support bool input")
        _need_elements(name, input, dim, IndexError)
        return Tensor(kernel(data, None if dim is None else input._dim(dim), keepdim))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""The index of the {word} element (the first of equals; of NaN, if there is one), as int64.

    Parameters
    ----------
    dim : int, optional
        Along which dimension; default: in the flattened tensor.
    keepdim : bool
        Keep the dimension in the result, with extent 1.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> ag.{name}(x), ag.{name}(x, dim=1)
    (tensor({results[0]}), tensor([{results[1]}]))
    """
    return op


argmax = _argument("argmax", reduce.argmax, "largest", ("2", "1, 0"))
argmin = _argument("argmin", reduce.argmin, "smallest", ("0", "0, 1"))


# Medians, modes and quantiles


def _middle(data: np.ndarray, axis: int, ignore_nan: bool) -> np.ndarray:
    """Where along `axis` the lower median lies; the first NaN, if there is one and it is not to be ignored."""
    order = np.argsort(data, axis=axis, kind="stable")
    n = data.shape[axis]
    if data.dtype.kind != "f":
        return order.take((n - 1) // 2, axis=axis)
    missing = np.isnan(data)
    count = n - missing.sum(axis=axis, keepdims=True)
    place = np.maximum(count - 1, 0) // 2
    if not ignore_nan:
        place = np.where(count < n, count, place)  # sorted last, in order
    return np.take_along_axis(order, place, axis).squeeze(axis)


@primitive(name="median")
def _median_of_all(x: np.ndarray, *, ignore_nan: bool) -> np.ndarray:
    return np.asarray(x[_middle(x, 0, ignore_nan)])


@_median_of_all.derivative("x")
def _(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    return _shared(g, x, out, (0,), False)


def _median(name: str, ignore_nan: bool, doc: str, example: str) -> Any:
    kind = result_type(name, "values", "indices")

    @numpy_names
    def op(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        data = data_of(name, input)
        if data.dtype.kind == "b":
            raise NotImplementedError(f"{name}: not implemented for {input.dtype!r}")
        if dim is None:
            flat = flatten(input)
            if not data.size:
                empty = constant(float("nan") if data.dtype.kind == "f" else np.iinfo(data.dtype).min, data.dtype)
                return empty.clone()
            return _median_of_all(flat, ignore_nan=ignore_nan)
        dim = input._dim(dim)
        _need_elements(name, input, dim)
        if not data.ndim:
            return _chosen(kind, input, 0, keepdim, np.zeros((), np.int64))
        return _chosen(kind, input, dim, keepdim, _middle(data, dim, ignore_nan))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""{doc}

    Parameters
    ----------
    dim : int, optional
        Along which dimension; default: of all elements.
    keepdim : bool
        Keep the dimension in the result, with extent 1.

    Returns
    -------
    Tensor or namedtuple (values, indices)
        The second along a dimension.

    Notes
    -----
    Gradient: ``g`` goes to the element that was chosen; for the median of all elements, which chooses none, it is
    shared evenly among those that equal the median.

    Examples
    --------
    >>> import autograd_lite as ag
    {example}
    """
    return op


median = _median(
    "median", False, "The median; of two middle elements the lower. NaN if there is one.",
    ">>> ag.median(ag.tensor([4.0, 1.0, 3.0, 2.0]))\n    tensor(2.)",
)  # fmt: skip
nanmedian = _median(
    "nanmedian", True, "The median of what is not NaN; of two middle elements the lower.",
    ">>> ag.nanmedian(ag.tensor([4.0, float('nan'), 3.0]))\n    tensor(3.)",
)  # fmt: skip
_Mode = result_type("mode", "values", "indices")


@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along `dim` (of equally frequent ones the smallest), and where it last occurs.

    Returns
    -------
    namedtuple (values, indices)

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.mode(ag.tensor([1, 3, 3, 2]))
    mode(values=tensor(3), indices=tensor(2))
    """
    data = data_of("mode", input)
    dim = input._dim(dim)
    _need_elements("mode", input, dim)
    if not data.ndim:
        return _chosen(_Mode, input, 0, keepdim, np.zeros((), np.int64))
    lines = np.moveaxis(data, dim, -1)
    index = np.empty(lines.shape[:-1], np.int64)
    for at in np.ndindex(index.shape):
        values, counts = np.unique(lines[at], return_counts=True)
        index[at] = np.flatnonzero(lines[at] == values[counts.argmax()])[-1]
    return _chosen(_Mode, input, dim, keepdim, index)


INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@numpy_names
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which a share `q` of the elements lies.

    Parameters
    ----------
    q : float or Tensor
        One share from 0 to 1, or several in a 1-D tensor, which then make the first dimension of the result.
    dim : int, optional
        Along which dimension; default: of all elements.
    interpolation : "linear", "lower", "higher", "midpoint" or "nearest"
        What to do between two elements.

    Raises
    ------
    RuntimeError
        For integers, a share out of range, an unknown interpolation.

    Notes
    -----
    Gradient: ``g`` goes to the two neighbours by their weights.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.quantile(ag.tensor([0.0, 10.0, 20.0]), 0.75)
    tensor(15.)
    """
    data = data_of("quantile", input)
    if data.dtype.kind != "f":
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(
            f"quantile() interpolation must be one of {', '.join(INTERPOLATIONS)}, but got {interpolation}"
        )
    shares = np.asarray(q._data if isinstance(q, Tensor) else q, np.float64)
    if shares.ndim > 1:
        raise RuntimeError(f"quantile() q must be a scalar or 1D tensor, got shape {list(shares.shape)}")
    if ((shares < 0) | (shares > 1)).any():
        raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {shares}")
    if not data.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    whole = dim is None
    x = flatten(input) if whole or not data.ndim else input
    axis = 0 if whole else x._dim(dim)  # type: ignore[arg-type]
    ordered = x.movedim(axis, -1).sort(-1)[0]
    n = ordered._data.shape[-1]
    at = np.atleast_1d(shares) * (n - 1)
    below = np.floor(at).astype(np.int64)
    weight = at - below
    if interpolation == "lower":
        weight = np.zeros_like(weight)
    elif interpolation == "higher":
        weight = np.ceil(weight)
    elif interpolation == "midpoint":
        weight = np.where(weight > 0, 0.5, 0.0)
    elif interpolation == "nearest":
        weight = np.round(at) - below
    above = np.minimum(below + 1, n - 1)
    low, high = ordered[..., Tensor(below)], ordered[..., Tensor(above)]
    between = low + (high - low) * Tensor(weight.astype(data.dtype))
    between = where(Tensor(weight == 0), low, between)
    has_nan = Tensor(np.isnan(ordered._data[..., -1:]))
    result = where(has_nan, float("nan"), between).movedim(-1, 0)
    if keepdim:
        result = reshape(result, (at.size, *([1] * data.ndim))) if whole else result.unsqueeze(axis + 1)
    return result if shares.ndim else result[0]


for _function in (amax, amin):
    _function.__doc__ = (_function.__doc__ or "").replace("{summary}", SUMMARY)
for _name in __all__:
    method(globals()[_name])
