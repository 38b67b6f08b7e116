"""Norms of vectors and of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import reduce
from ..tensor import Tensor, method
from .arithmetic import pow, where
from .comparison import eq, logical_or
from .decomposition import svdvals
from .elementwise import ElementwisePrimitive, cast
from .extremes import amax, amin
from .pointwise import abs, sign
from .primitive import primitive
from .reduction import Dim, axes_of, keep, root, sum
from .shape import Ints, data_of, numpy_names

__all__ = ["norm"]


@primitive(name="sum_of_squares")
def _squares(x: np.ndarray, *, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.sum_of_squares(x, axes, keepdims)


@_squares.derivative("x")
def _(g: Tensor, x: Tensor, *, axes: Ints, keepdims: bool) -> Tensor:
    return keep(g * 2, x._data.shape, axes, keepdims) * x


@primitive(name="p_norm")
def _p_norm(x: np.ndarray, *, p: float, axes: Ints, keepdims: bool) -> np.ndarray:
    return reduce.norm(x, p, axes, keepdims)


@_p_norm.derivative("x")
def _(g: Tensor, x: Tensor, out: Tensor, *, p: float, axes: Ints, keepdims: bool) -> Tensor:
    shape = x._data.shape
    length = keep(out, shape, axes, keepdims)
    share = abs(x) / where(eq(length, 0), 1.0, length)
    slope = where(logical_or(eq(x, 0), eq(length, 0)), 0.0, sign(x) * pow(share, p - 1))
    return keep(g, shape, axes, keepdims) * slope


_is_nonzero = ElementwisePrimitive("count", ("x",), "where(x != 0, 1, 0)", {"x": "0"})


def float_input(op: str, x: Any, dtype: Any = None) -> Tensor:
    data_of(op, x)
    if dtype is not None:
        x = cast(x, dtype=dtypes.to_numpy(dtype))
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{op}: Expected a floating point or complex tensor as input. Got {x.dtype!r}")
    return x


@numpy_names
def vector_norm(x: Tensor, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of vectors: ``sum(abs(x) ** ord) ** (1 / ord)``.

    Parameters
    ----------
    ord : number
        The order; infinity: the largest element, -infinity: the smallest, 0: how many are not zero.
    dim : int or sequence of int, optional
        The dimensions of a vector; default: all.
    keepdim : bool
        Keep them in the result, with extent 1.
    dtype : dtype, optional
        To convert to first.

    Raises
    ------
    RuntimeError
        For integers, or of nothing where that has no norm.

    Notes
    -----
    Gradient: ``g * sign(x) * (abs(x) / out) ** (ord - 1)``, and 0 where the norm is 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.vector_norm(ag.tensor([3.0, -4.0]))
    tensor(5.)
    """
    x = float_input("linalg.vector_norm", x, dtype)
    axes, order = axes_of(x, dim), float(ord)
    if (order < 0 or order == math.inf) and 0 in [x._data.shape[a] for a in axes]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not "
            "have an "
            "identity"
        )
    if order == 2:
        return root(_squares(x, axes=axes, keepdims=keepdim))
    if order == 1:
        return sum(abs(x), axes or None, keepdim)
    if order == 0:
        return sum(_is_nonzero(x), axes or None, keepdim)
    if math.isinf(order):
        return (amax if order > 0 else amin)(abs(x), axes or None, keepdim)
    return _p_norm(x, p=order, axes=axes, keepdims=keepdim)


@numpy_names
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of matrices.

    Parameters
    ----------
    ord : "fro", "nuc", 1, -1, 2, -2, infinity or -infinity
        The root of the sum of squares; the sum of the singular values; the largest (smallest) column sum of
        absolute values; the largest (smallest) singular value; the largest (smallest) row sum.
    dim : pair of int
        The dimensions of a matrix.
    keepdim : bool
        Keep them in the result, with extent 1.

    Raises
    ------
    RuntimeError
        For integers, fewer than two dimensions, or another order.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[1.0, -2.0], [3.0, 4.0]])
    >>> ag.linalg.matrix_norm(x, 1), ag.linalg.matrix_norm(x, float("inf"))
    (tensor(6.), tensor(7.))
    """
    A = float_input("linalg.matrix_norm", A, dtype)
    if A._data.ndim < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    rows, columns = (A._dim(d) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got {tuple(dim)}")
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        first, second = (rows, columns) if ord in (1, -1) else (columns, rows)
        sums = sum(abs(A), first, True)
        result = (amax if ord > 0 else amin)(sums, second, True)
    elif ord in ("nuc", 2, -2):
        values = svdvals(A.movedim((rows, columns), (-2, -1)))
        pick = sum if ord == "nuc" else amax if ord == 2 else amin
        result = pick(values, -1)
        return result.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else result
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    return result if keepdim else result.squeeze((rows, columns))


@numpy_names
def linalg_norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of vectors or of matrices.

    Parameters
    ----------
    ord : number or str, optional
        The order, see `vector_norm` and `matrix_norm`; default: the root of the sum of squares.
    dim : int or pair of int, optional
        Of a vector or of a matrix. Default: all; with an order, a 1-D tensor is a vector, a 2-D one a matrix.
    keepdim : bool
        Keep them in the result, with extent 1.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.norm(ag.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    ndim = data_of("linalg.norm", A).ndim
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {ndim}D."
            )
        dims: tuple[int, ...] = tuple(range(ndim))
    else:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) == 2 or isinstance(ord, str):
        return matrix_norm(A, ord, dims, keepdim, dtype=dtype)
    return vector_norm(A, ord, dims, keepdim, dtype=dtype)


@numpy_names
def norm(input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The norm over dimensions, of all elements by default.

    Parameters
    ----------
    p : number, "fro" or "nuc"
        The order; "fro" is 2, "nuc" the sum of the singular values of matrices.
    dim : int or sequence of int, optional
        The dimensions; default: all.
    keepdim : bool
        Keep them in the result, with extent 1.

    Notes
    -----
    Gradient: as of `linalg.vector_norm`; 0 where the norm is 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.norm(ag.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    data_of("norm", input)
    if p == "nuc":
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)  # type: ignore[arg-type]
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: only 'fro', 'nuc' and numbers are orders, got {p!r}")
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


method(norm)
