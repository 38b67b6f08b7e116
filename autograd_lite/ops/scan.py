"""Running sums, products and extremes along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import memory, scan
from ..tensor import Tensor, method
from .elementwise import cast
from .inplace import inplace
from .joining import cat
from .primitive import primitive
from .scatter import picked
from .shape import data_of, numpy_names, result_type
from .views import narrow

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff"]


@primitive(name="cumsum")
def _cumsum(x: np.ndarray, *, dim: int, reverse: bool) -> np.ndarray:
    return scan.cumsum(x, dim, reverse)


@_cumsum.derivative("x")
def _(g: Tensor, *, dim: int, reverse: bool) -> Tensor:
    return _cumsum(g, dim=dim, reverse=not reverse)


@primitive(name="cumprod")
def _cumprod(x: np.ndarray, *, dim: int, reverse: bool) -> np.ndarray:
    return scan.cumprod(x, dim, reverse)


# With P the running products: dx[i] = P[i - 1] * (g[i] + x[i + 1] * (g[i + 1] + x[i + 2] * ...)). The bracket is a
# linear recurrence from the end, so that nothing is ever divided and zeros are exact, in every order.


@_cumprod.derivative("x")
def _(g: Tensor, x: Tensor, out: Tensor, *, dim: int, reverse: bool) -> Tensor:
    tail = _recurrence(_shifted(x, dim, not reverse, 0.0), g, dim=dim, reverse=not reverse)
    return tail * _shifted(out, dim, reverse, 1.0)


@primitive(name="recurrence")
def _recurrence(a: np.ndarray, b: np.ndarray, *, dim: int, reverse: bool) -> np.ndarray:
    return scan.recurrence(a, b, dim, reverse)


@_recurrence.derivative("a", "b")
def _(g: Tensor, a: Tensor, out: Tensor, *, dim: int, reverse: bool) -> tuple[Tensor, Tensor]:
    tail = _recurrence(_shifted(a, dim, not reverse, 0.0), g, dim=dim, reverse=not reverse)
    return tail * _shifted(out, dim, reverse, 0.0), tail


@primitive(name="shift")
def _shift(x: np.ndarray, *, dim: int, back: bool, fill: float) -> np.ndarray:
    out = memory.empty(x.shape, x.dtype)
    lead = (slice(None),) * dim
    first, last, ahead, behind = (slice(None, 1), slice(-1, None), slice(1, None), slice(None, -1))
    out[(*lead, last) if back else (*lead, first)] = fill
    out[(*lead, behind) if back else (*lead, ahead)] = x[(*lead, ahead) if back else (*lead, behind)]
    return out


@_shift.derivative("x")
def _(g: Tensor, *, dim: int, back: bool) -> Tensor:
    return _shift(g, dim=dim, back=not back, fill=0.0)


def _shifted(x: Tensor, dim: int, back: bool, fill: float) -> Tensor:
    """One step on along `dim` (or `back`), with `fill` at the free end."""
    if x._data.ndim == 0:
        return Tensor(np.full((), fill, x._data.dtype))
    return _shift(x, dim=dim, back=back, fill=fill)


def others(x: Tensor) -> Tensor:
    """For each element, the product of all others along the last dimension."""
    dim = max(x._data.ndim - 1, 0)
    before = _shifted(_cumprod(x, dim=dim, reverse=False), dim, False, 1.0)
    return before * _shifted(_cumprod(x, dim=dim, reverse=True), dim, True, 1.0)


def _scanned(op: str, made: Any, input: Tensor, dim: int, dtype: Any) -> Tensor:
    data = data_of(op, input)
    dim = input._dim(dim)
    if dtype is not None and dtypes.to_numpy(dtype) != data.dtype:
        input = cast(input, dtype=dtypes.to_numpy(dtype))
    result = made(input, dim=dim, reverse=False)
    return result if dtype is None else result.to(dtype)


@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running sum along `dim`.

    Parameters
    ----------
    dtype : dtype, optional
        To convert to first. Without it integers and booleans sum to int64.

    Notes
    -----
    Gradient: the running sum of ``g`` from the end.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cumsum(ag.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    return _scanned("cumsum", _cumsum, input, dim, dtype)


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running product along `dim`. Parameters as in `cumsum`.

    Notes
    -----
    Gradient: by a linear recurrence from the end, without divisions, so that it is exact at zeros.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cumprod(ag.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    return _scanned("cumprod", _cumprod, input, dim, dtype)


def _running(name: str, smallest: bool, doc: str, example: tuple[str, str, str]) -> Any:
    kind = result_type(name, "values", "indices")

    @numpy_names
    def op(input: Tensor, dim: int) -> Any:
        data = data_of(name, input)
        dim = input._dim(dim)
        values, indices = scan.running_extreme(data, dim, smallest)
        return kind(picked(input, dim, indices, values), Tensor(indices))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""The {doc} element so far along `dim`, and its index (the last, of equals).

    Returns
    -------
    namedtuple (values, indices)
        Both of the shape of `input`; indices int64.

    Notes
    -----
    Gradient: ``g`` goes to the elements at `indices`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.tensor([{example[0]}]), 0)
    {name}(values=tensor([{example[1]}]), indices=tensor([{example[2]}]))
    """
    return op


cummax = _running("cummax", False, "largest", ("1.0, 3.0, 2.0", "1., 3., 3.", "0, 1, 1"))
cummin = _running("cummin", True, "smallest", ("2.0, 1.0, 3.0", "2., 1., 1.", "0, 1, 1"))


@numpy_names
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The differences of neighbours along `dim`, taken `n` times.

    Parameters
    ----------
    prepend, append : Tensor, optional
        Joined to `input` along `dim` first.

    Raises
    ------
    RuntimeError
        If `input` has no dimensions, or `n` is negative.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.diff(ag.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    if data_of("diff", input).ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"diff: order must be non-negative but got {n}")
    dim = input._dim(dim)
    parts = [t for t in (prepend, input, append) if t is not None]
    result = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, result._data.shape[dim])):
        length = result._data.shape[dim] - 1
        after, before = narrow(result, dim, 1, length), narrow(result, dim, 0, length)
        result = after ^ before if result._data.dtype.kind == "b" else after - before
    return result if n else result.clone()


for _function in (cummax, cummin, cumprod, cumsum, diff):
    method(_function)
method(inplace(cumprod), name="cumprod_")
method(inplace(cumsum), name="cumsum_")
