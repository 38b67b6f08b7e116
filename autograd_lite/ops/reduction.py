"""Reductions: sums, products, moments, truth, over any dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import state
from ..kernels import discrete, memory, reduce
from ..kernels.elementwise import Elementwise
from ..tensor import Tensor, method
from .elementwise import ElementwisePrimitive, cast, constant
from .primitive import expand_to, primitive, sum_to
from .scan import others
from .shape import Ints, data_of, dims_of, ints, numpy_names, view_of

__all__ = [
    "all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "std", "std_mean", "sum", "var",
    "var_mean",
]  # fmt: skip

Dim = int | Sequence[int] | None
EVERY = [tuple(range(n)) for n in range(65)]
"""For each number of dimensions, all of them."""


def axes_of(x: Tensor, dim: Dim) -> Ints:
    """The dimensions to reduce: all for None or an empty sequence."""
    if dim is None or dim == () or dim == []:
        return EVERY[x._data.ndim]
    axes = dims_of(x, dim)
    return axes if x._data.ndim else ()


def kept_shape(shape: Ints, axes: Ints) -> Ints:
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def keep(g: Tensor, shape: Ints, axes: Ints, keepdims: bool) -> Tensor:
    """A reduced tensor with the dimensions that were reduced put back, of extent 1."""
    return g if keepdims else view_of(g, shape=kept_shape(shape, axes))


def spread(g: np.ndarray, shape: Ints, axes: Ints) -> np.ndarray:
    """A reduced array repeated over the dimensions that were reduced."""
    out = memory.empty(shape, g.dtype)
    out[...] = g.reshape(kept_shape(shape, axes))
    return out


def _floating(op: str, x: Tensor, dtype: Any) -> Tensor:
    """`x` in the dtype asked for; RuntimeError unless that is a floating-point one."""
    x = _in_dtype(op, x, dtype)
    if x._data.dtype.kind != "f":
        raise RuntimeError(
            f"{op}(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {x.dtype!r}"
        )
    return x


def _in_dtype(op: str, x: Tensor, dtype: Any) -> Tensor:
    data = data_of(op, x)
    return x if dtype is None or dtypes.to_numpy(dtype) == data.dtype else cast(x, dtype=dtypes.to_numpy(dtype))


# Sums and means


@primitive(name="sum")
def _sum(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.sum(x, axes, keepdims)


@_sum.derivative("x")
def _(g: Tensor, x_shape: Ints, *, axes: Ints, keepdims: bool) -> Tensor:
    return expand_to(keep(g, x_shape, axes, keepdims), shape=x_shape)


@_sum.fused("x")
def _(g: np.ndarray, x_shape: Ints, *, axes: Ints) -> np.ndarray:
    return spread(g, x_shape, axes)


@primitive(name="mean")
def _mean(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.mean(x, axes, keepdims)


def _count(shape: Ints, axes: Ints) -> int:
    n = 1
    for axis in axes:
        n *= shape[axis]
    return n


@_mean.derivative("x")
def _(g: Tensor, x_shape: Ints, *, axes: Ints, keepdims: bool) -> Tensor:
    return expand_to(keep(g / _count(x_shape, axes), x_shape, axes, keepdims), shape=x_shape)


_quotient = Elementwise("quotient", ("x", "y"), "x / y")


@_mean.fused("x")
def _(g: np.ndarray, x_shape: Ints, *, axes: Ints) -> np.ndarray:
    return spread(_quotient(g, constant(_count(x_shape, axes), g.dtype)._data), x_shape, axes)


@numpy_names
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dimensions.

    Parameters
    ----------
    dim : int or sequence of int, optional
        The dimensions (``axis`` is accepted too); default: all.
    keepdim : bool
        Keep them in the result, with extent 1 (``keepdims`` is accepted too).
    dtype : dtype, optional
        To convert to first. Without it integers and booleans sum to int64.

    Raises
    ------
    IndexError
        If a dimension is out of range.
    RuntimeError
        If a dimension is named twice.

    Notes
    -----
    Gradient: ``g``, repeated over the dimensions. Blocks are summed pairwise, so that the rounding error grows
    with the logarithm of the count (Higham, The accuracy of floating point summation, 1993).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ag.sum(x)
    tensor(10.)
    >>> ag.sum(x, dim=0, keepdim=True)
    tensor([[4., 6.]])
    """
    if dtype is not None or type(input) is not Tensor:
        input = _in_dtype("sum", input, dtype)
    result = _sum(input, axes=EVERY[input._data.ndim] if dim is None else axes_of(input, dim), keepdims=keepdim)
    return result if dtype is None else result.to(dtype)


@numpy_names
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over dimensions; NaN of nothing. Parameters as in `sum`.

    Raises
    ------
    RuntimeError
        For integers (give `dtype`).

    Notes
    -----
    Gradient: ``g / n``, repeated over the dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.mean(ag.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([1.5000, 3.5000])
    """
    input = _floating("mean", input, dtype)
    return _mean(input, axes=axes_of(input, dim), keepdims=keepdim)


@numpy_names
def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dimensions, NaN counting as zero. Parameters as in `sum`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nansum(ag.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    input = _in_dtype("nansum", input, dtype)
    if input._data.dtype.kind == "f":
        input = input.masked_fill(input.isnan(), 0)
    return sum(input, dim, keepdim)


@numpy_names
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over dimensions of what is not NaN. Parameters as in `sum`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nanmean(ag.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    input = _floating("nanmean", input, dtype)
    count = sum(input.isnan().logical_not(), dim, keepdim)
    return nansum(input, dim, keepdim) / count.to(input.dtype)


# Products


@primitive(name="prod")
def _prod(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.prod(x, axes, keepdims)


@_prod.derivative("x")
def _(g: Tensor, x: Tensor, *, axes: Ints, keepdims: bool) -> Tensor:
    shape = x._data.shape
    rest = tuple([i for i in range(len(shape)) if i not in axes])
    order = (*rest, *axes)
    moved = x.permute(order).reshape(*[shape[i] for i in rest], -1 if x._data.size else _count(shape, axes))
    product = others(moved).reshape([shape[i] for i in order]).permute(np.argsort(order).tolist())
    return keep(g, shape, axes, keepdims) * product


@numpy_names
def prod(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over dimensions. Parameters as in `sum`.

    Notes
    -----
    Gradient: ``g`` times the product of all other elements, computed as such: exact where elements are zero.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([2.0, 0.0, 5.0], requires_grad=True)
    >>> ag.prod(x).backward()
    >>> x.grad
    tensor([ 0., 10.,  0.])
    """
    input = _in_dtype("prod", input, dtype)
    result = _prod(input, axes=axes_of(input, dim), keepdims=keepdim)
    return result if dtype is None else result.to(dtype)


# Variance


@primitive(name="var")
def _var(x: np.ndarray, *, axes: Ints, correction: float, keepdims: bool) -> Any:
    variance, middle = reduce.var_mean(x, axes, correction, keepdims)
    return variance, {"middle": middle}


def _slope(shape: Ints, axes: Ints, correction: float) -> float:
    free = _count(shape, axes) - correction
    return 2 / free if free > 0 else float("inf")


@_var.derivative("x")
def _(g: Tensor, x: Tensor, *, axes: Ints, correction: float, keepdims: bool) -> Tensor:
    deviation = x - _mean(x, axes=axes, keepdims=True)
    return keep(g, x._data.shape, axes, keepdims) * deviation * _slope(x._data.shape, axes, correction)


_var_dx = Elementwise("var_dx", ("g", "x", "middle"), "g * (x - middle) * slope", ("slope",))


@_var.fused("x")
def _(g: np.ndarray, x: np.ndarray, middle: np.ndarray, *, axes: Ints, correction: float) -> np.ndarray:
    kept = kept_shape(x.shape, axes)
    slope = np.array([_slope(x.shape, axes, correction)], x.dtype)
    return _var_dx(g.reshape(kept), x, middle.reshape(kept), slope)


root = ElementwisePrimitive("sqrt", ("x",), "sqrt(x)", {"x": "where(out == 0, 0, 0.5 * g / out)"})
"""The square root with derivative 0 at 0, for lengths and deviations."""


def _moments(op: str, input: Tensor, dim: Any, unbiased: bool | None, correction: Any) -> tuple[Ints, float]:
    if data_of(op, input).dtype.kind != "f":
        raise RuntimeError(f"{op}: std and var only support floating point and complex dtypes, got {input.dtype!r}")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return axes_of(input, dim), float(correction)


@numpy_names
def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The variance over dimensions.

    Parameters
    ----------
    dim : int or sequence of int, optional
        The dimensions; default: all.
    unbiased : bool, optional
        Whether the correction is 1 (default) or 0.
    keepdim : bool
        Keep them in the result, with extent 1.
    correction : number, optional
        The sum of squares is divided by ``n - correction``.

    Raises
    ------
    RuntimeError
        For integers.

    Notes
    -----
    Gradient: ``g * 2 * (x - mean(x)) / (n - correction)``. Two passes: the mean, then the squares of the
    deviations from it.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.var(ag.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    axes, correction = _moments("var", input, dim, unbiased, correction)
    return _var(input, axes=axes, correction=correction, keepdims=keepdim)


@numpy_names
def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The standard deviation over dimensions. Parameters as in `var`.

    Notes
    -----
    Gradient: ``g * (x - mean(x)) / ((n - correction) * out)``, and 0 where all elements are equal.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.std(ag.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    axes, correction = _moments("std", input, dim, unbiased, correction)
    return root(_var(input, axes=axes, correction=correction, keepdims=keepdim))


@numpy_names
def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """The variance and the mean over dimensions, in two passes. Parameters as in `var`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.var_mean(ag.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    axes, correction = _moments("var_mean", input, dim, unbiased, correction)
    variance, extras = _var.run(input, axes=axes, correction=correction, keepdims=keepdim)
    middle = Tensor(extras["middle"].copy())
    if variance._requires_grad:
        _mean.record(middle, (input,), {}, {"axes": axes, "keepdims": keepdim})
    elif state.inference:
        middle._inference = True
    return variance, middle


@numpy_names
def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean over dimensions. Parameters as in `var`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.std_mean(ag.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    variance, middle = var_mean(input, dim, unbiased, keepdim, correction=correction)
    return root(variance), middle


# Exponentials


@primitive(name="logsumexp")
def _logsumexp(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.logsumexp(x, axes, keepdims)


_weight = ElementwisePrimitive(
    "softmax_weight", ("x", "y"), "where(y == -inf, 0, exp(x - y))", {"x": "g * out", "y": "-g * out"}, ("inf",)
)


@_logsumexp.derivative("x")
def _(g: Tensor, x: Tensor, out: Tensor, *, axes: Ints, keepdims: bool) -> Tensor:
    shape = x._data.shape
    weight = _weight(x, keep(out, shape, axes, keepdims), constant(float("inf"), x._data.dtype))
    return keep(g, shape, axes, keepdims) * weight


def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over dimensions, without overflow.

    Parameters
    ----------
    dim : int or sequence of int
        The dimensions.
    keepdim : bool
        Keep them in the result, with extent 1.

    Notes
    -----
    Gradient: ``g * exp(input - out)``, the softmax times ``g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.logsumexp(ag.tensor([0.0, 0.0]), 0)
    tensor(0.6931)
    """
    if data_of("logsumexp", input).dtype.kind != "f":
        input = cast(input, dtype=dtypes.get_default_dtype().dtype)
    return _logsumexp(input, axes=axes_of(input, dim), keepdims=keepdim)


# Truth and counts


def _truth(name: str, doc: str, outcome: str) -> Any:
    kernel = getattr(reduce, name)

    @numpy_names
    def op(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
        data = data_of(name, input)
        result = kernel(data, axes_of(input, dim), keepdim)
        return Tensor(discrete.cast(result, data.dtype) if data.dtype == np.uint8 else result)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""{doc} over dimensions, as bool (of uint8, as uint8); no gradient.

    Parameters
    ----------
    dim : int or sequence of int, optional
        The dimensions; default: all.
    keepdim : bool
        Keep them in the result, with extent 1.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.tensor([[True, False], [True, True]]), dim=1)
    tensor({outcome})
    """
    return op


all = _truth("all", "Whether every element is true (not zero)", "[False,  True]")
any = _truth("any", "Whether an element is true (not zero)", "[True, True]")


@numpy_names
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are not zero, over dimensions (default: all), as int64; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.count_nonzero(ag.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """
    return Tensor(reduce.count_nonzero(data_of("count_nonzero", input), axes_of(input, dim)))


@method
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions that broadcasting `size` to this tensor's shape would repeat."""
    shape = ints("sum_to_size", size)
    have = self._data.shape
    lead = len(have) - len(shape)
    for n, m in zip(shape[::-1], have[::-1], strict=False):
        if n not in (1, m):
            lead = -1
    if lead < 0:
        raise RuntimeError(f"sum_to_size: size {list(shape)} is not expandable to size {list(have)}.")
    return sum_to(self, shape=shape) if shape != have else self


for _function in (all, any, count_nonzero, logsumexp, mean, nanmean, nansum, prod, std, sum, var):
    method(_function)
