"""Rows of the reductions, scans and softmaxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .opinfo import B, Bad, F, I, OpInfo, S, absolute, pick

ROWS: list[OpInfo] = []


def row(name: str, ref: Callable[..., Any], samples: list[S], **more: Any) -> None:
    ROWS.append(OpInfo(name, ref, samples, **more))


def axes(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def over_dims(call: Callable[..., S], whole: bool = True, empty: bool = False) -> list[S]:
    """Samples over the ways of naming dimensions."""
    samples = [
        call(F(4, 3), 0), call(F(4, 3), 1, True), call(F(2, 3, 2), -2), call(F(2, 3, 2), (0, 2)),
        call(F(2, 3, 2), (0, 1), True), call(F(2, 1, 3), 1), call(F(5), 0), call(F(), 0), call(F(2, 3, 2), (-1, 0)),
    ]  # fmt: skip
    if whole:
        samples += [S(F(2, 3)), S(F()), S(F(7))]
    if empty:
        samples += [call(F(0, 3), 0), call(F(2, 0), 0), call(F(1, 0, 3), (1,), True)]
    return samples


def dimmed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy reduction called as PyTorch calls it."""
    return lambda x, dim=None, keepdim=False, **more: function(x, axis=axes(dim), keepdims=keepdim, **more) if (
        np.ndim(x)
    ) else function(np.reshape(x, 1), axis=0, **more)


BAD_DIM = Bad(IndexError, S(F(2, 3), 2), "range")
BAD_DIM_2 = Bad(IndexError, S(F(2, 3), -3), "range")

plain = lambda x, *a: S(x, *a)

row("sum", dimmed(np.sum), over_dims(plain, empty=True) + [S(F(0)), S(F(2, 3), dim=1, keepdim=True), S(F(2, 3, 4), 1)],
    errors=[BAD_DIM, BAD_DIM_2, Bad(RuntimeError, S(F(2, 3), (0, 0)), "dim")])  # fmt: skip
row("sum", dimmed(np.sum), [S(I(2, 3, lo=-5, hi=9)), S(I(4, hi=9), 0), S(B(5))], variant="integers", differentiable=False)
row("mean", dimmed(np.mean), over_dims(plain) + [S(F(2, 0, 3), 0), S(F(2, 3), dim=(0, 1))], errors=[
    BAD_DIM, Bad(RuntimeError, S(I(3, hi=4)), "mean"),
])  # fmt: skip


def prod(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return np.prod(x, axis=dim, keepdims=keepdim) if np.ndim(x) else x + 0


row("prod", prod, [S(F(4)), S(F(2, 3), 1), S(F(2, 3), 0, True), S(F(2, 3, 2), -2), S(F()), S(F(0)), S(F(2, 0), 1), S(F(1, 3), 0)],
    errors=[BAD_DIM])  # fmt: skip


def var(x: Any, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> Any:
    x = np.asarray(x)
    dim = tuple(range(x.ndim)) if dim is None else axes(dim)
    mean = np.mean(x, axis=dim, keepdims=True)
    n = x.size // max(1, mean.size)
    square = (x - mean) * (x - mean)
    return np.sum(square, axis=dim, keepdims=keepdim) / max(n - correction, 0)


def std(x: Any, dim: Any = None, **more: Any) -> Any:
    return np.sqrt(var(x, dim, **more))


SPREAD = [
    S(F(5)), S(F(2, 3)), S(F(4, 3), 0), S(F(4, 3), 1, keepdim=True), S(F(2, 3, 2), (0, 2)), S(F(2, 3, 2), -2, correction=0),
    S(F(5), correction=2), S(F(3, 4), (0, 1), correction=0, keepdim=True),
]  # fmt: skip
row("var", var, SPREAD, errors=[BAD_DIM])
row("std", std, SPREAD, errors=[BAD_DIM])


def means(x: Any, dim: Any, keepdim: bool = False) -> Any:
    return np.mean(x, axis=axes(dim), keepdims=keepdim)


def var_mean(x: Any, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> Any:
    return var(x, dim, correction=correction, keepdim=keepdim), means(x, dim, keepdim)


def std_mean(x: Any, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> Any:
    return std(x, dim, correction=correction, keepdim=keepdim), means(x, dim, keepdim)


row("var_mean", var_mean, SPREAD)
row("std_mean", std_mean, SPREAD)


def extremum(arg: Callable[..., Any]) -> Callable[..., Any]:
    """max or min: of everything, or along `dim` with indices, or of two arrays."""

    def function(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        x = np.asarray(x)
        if dim is None:
            return x.reshape(-1)[arg(np.real(x))]
        if not isinstance(dim, int):
            return np.where((np.real(x) > np.real(dim)) == (arg is np.argmax), x, dim)
        if x.ndim == 0:
            return x + 0, np.array(0)
        index = np.expand_dims(arg(np.real(x), axis=dim), dim)
        found = pick(x, index, dim)
        return (found, index) if keepdim else (found.squeeze(dim), index.squeeze(dim))

    return function


ALONG = [S(F(4, 3), 0), S(F(4, 3), 1, True), S(F(2, 3, 2), -2), S(F(5), 0), S(F(), 0), S(F(3, 1), 1), S(F(2, 0, 3), 0)]
for name, arg in (("max", np.argmax), ("min", np.argmin)):
    row(name, extremum(arg), [*ALONG, S(F(2, 3)), S(F(7)), S(F()), S(F(2, 3), F(3))], errors=[
        BAD_DIM, Bad((IndexError, RuntimeError), S(F(0)), ""), Bad(IndexError, S(F(0, 3), 0), ""),
    ])  # fmt: skip


def amax(x: Any, dim: Any = (), keepdim: bool = False, sign: int = 1) -> Any:
    x = np.asarray(x)
    dims = tuple(range(x.ndim)) if dim in ((), None) else (dim,) if isinstance(dim, int) else tuple(dim)
    dims = tuple(d % max(x.ndim, 1) for d in dims)
    if x.ndim == 0:
        return x + 0
    rest = [d for d in range(x.ndim) if d not in dims]
    flat = np.transpose(x, (*rest, *dims)).reshape([x.shape[d] for d in rest] + [-1])
    index = np.expand_dims(np.argmax(sign * np.real(flat), axis=-1), -1)
    out = pick(flat, index, -1).squeeze(-1)
    return np.expand_dims(out, tuple(sorted(dims))) if keepdim else out


EMPTY_EXTREMUM = Bad((IndexError, RuntimeError), S(F(0, 3), 0), "")
row("amax", amax, over_dims(plain), errors=[BAD_DIM, EMPTY_EXTREMUM])
row("amin", lambda *a, **k: amax(*a, **k, sign=-1), over_dims(plain), errors=[BAD_DIM, EMPTY_EXTREMUM])
row("aminmax", lambda x, *, dim=(), keepdim=False: (amax(x, dim, keepdim, -1), amax(x, dim, keepdim)),
    [S(F(5)), S(F(2, 3), dim=1), S(F(2, 3), dim=0, keepdim=True)])  # fmt: skip


def arg_reduction(arg: Callable[..., Any]) -> Callable[..., Any]:
    def function(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        return np.asarray(arg(x, axis=dim, keepdims=keepdim)) if np.ndim(x) else np.array(0)

    return function


for name, arg in (("argmax", np.argmax), ("argmin", np.argmin)):
    row(name, arg_reduction(arg), [S(F(6)), S(F(2, 3)), S(F(2, 3), 1), S(F(2, 3, 2), -2, True), S(F()), S(I(2, 3, hi=99), 1)],
        differentiable=False, errors=[BAD_DIM])  # fmt: skip


def median(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    x = np.asarray(x)
    if dim is None:
        return x.reshape(-1)[np.argsort(np.real(x).reshape(-1))[(x.size - 1) // 2]]
    if x.ndim == 0:
        return x + 0, np.array(0)
    index = np.take(np.argsort(np.real(x), axis=dim), [(x.shape[dim] - 1) // 2], axis=dim)
    found = pick(x, index, dim)
    return (found, index) if keepdim else (found.squeeze(dim), index.squeeze(dim))


row("median", median, [S(F(5)), S(F(4)), S(F(2, 3)), S(F(4, 3), 0), S(F(4, 5), 1, True), S(F(2, 3, 4), -2), S(F())],
    errors=[BAD_DIM])  # fmt: skip

for name, function in (("all", np.all), ("any", np.any)):
    row(name, dimmed(function), [S(B(5)), S(B(2, 3), 1), S(B(2, 3), 0, True), S(B(0)), S(I(4, hi=2)), S(B()), S(F(3))],
        differentiable=False, errors=[Bad(IndexError, S(B(2), 1), "range")])  # fmt: skip
row("count_nonzero", lambda x, dim=None: np.asarray(np.count_nonzero(x, axis=axes(dim))),
    [S(I(7, hi=3)), S(I(3, 4, hi=2), 1), S(B(2, 3, 2), (0, 2)), S(F(0))], differentiable=False)  # fmt: skip


def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    x = np.asarray(x)
    if x.ndim == 0:
        return x + 0
    return np.log(np.sum(np.exp(x), axis=axes(dim), keepdims=keepdim))


row("logsumexp", logsumexp, list(over_dims(plain, whole=False)) + [S(F(2, 3), dim=1)], errors=[BAD_DIM])


def cumulative(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, dim: function(x, axis=dim) if np.ndim(x) else x + 0


SCANS = [S(F(5), 0), S(F(3, 4), 0), S(F(3, 4), 1), S(F(2, 3, 2), -2), S(F(), 0), S(F(0), 0), S(F(2, 0), 1), S(F(1, 3), 0)]
row("cumsum", cumulative(np.cumsum), SCANS, errors=[BAD_DIM])
row("cumprod", cumulative(np.cumprod), SCANS, errors=[BAD_DIM])


def softmax(x: Any, dim: int) -> Any:
    if np.ndim(x) == 0:
        return x * 0 + 1
    e = np.exp(x - np.max(np.real(x), axis=dim, keepdims=True, initial=-np.inf))
    return e / np.sum(e, axis=dim, keepdims=True)


def log_softmax(x: Any, dim: int) -> Any:
    return np.log(softmax(x, dim))


ROWWISE = [S(F(5), 0), S(F(3, 4), 1), S(F(3, 4), 0), S(F(2, 3, 2), 1), S(F(2, 3, 4), -1), S(F(), 0), S(F(3, 1), 1), S(F(0, 3), 1),
           S(F(2, 40), 1)]  # fmt: skip
row("softmax", softmax, ROWWISE, errors=[BAD_DIM])
row("log_softmax", log_softmax, ROWWISE, errors=[BAD_DIM])


def norm(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    x = np.asarray(x)
    p = 2 if p == "fro" else p
    a = absolute(x)
    dims = tuple(range(x.ndim)) if dim is None else axes(dim)
    if math.isinf(p):
        return amax(a, dims, keepdim, sign=1 if p > 0 else -1)
    if p == 0:
        return np.sum(np.real(x) != 0, axis=dims, keepdims=keepdim).astype(float) + 0 * np.sum(x, axis=dims, keepdims=keepdim)
    return np.sum(a**p, axis=dims, keepdims=keepdim) ** (1 / p)


NORMS = [
    S(F(5)), S(F(2, 3)), S(F(5), 1), S(F(5), 3.0), S(F(5), float("inf")), S(F(5), float("-inf")), S(F(2, 3), 2, 1),
    S(F(2, 3), 2.5, 0, True), S(F(5), 0), S(F(2, 3, 2), 2, (0, 2)), S(F(4), 0.5),
]  # fmt: skip
row("norm", norm, [*NORMS, S(F(2, 3), "fro")], analytic=True)
row("linalg.vector_norm", norm, NORMS, second_order=True)
row("linalg.norm", lambda x, ord=None, dim=None, keepdim=False: norm(x, 2 if ord is None else ord, dim, keepdim),
    [S(F(5)), S(F(2, 3)), S(F(5), 1), S(F(5), 3.0), S(F(5), float("inf")), S(F(2, 3), None, 1), S(F(2, 3), 2.5, 0, True), S(F(3, 4), "fro")])  # fmt: skip


def matrix_norm(x: Any, ord: Any, dim: Any = None, keepdim: bool = False) -> Any:
    a, axis = absolute(x), {1: -2, math.inf: -1}[ord]
    return amax(np.sum(a, axis=axis), -1, keepdim)


row("linalg.norm", matrix_norm, [S(F(3, 4), 1), S(F(3, 4), math.inf)], variant="matrix")


# Around NaN, quantiles, running extremes

HOLES = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 2.0], [0.5, -1.0, 4.0]])


def filled(x: Any) -> Any:
    return x + HOLES * 0  # NaN at fixed places


def nan_sum(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return np.sum(np.where(np.isnan(np.real(x)), 0, x), axis=axes(dim), keepdims=keepdim)


def with_holes(name: str) -> Callable[..., Any]:
    return lambda p, x, *a, **k: getattr(p, name)(x + p.from_numpy((HOLES * 0).astype(str(x.dtype).split(".")[1])), *a, **k)


HOLED = [S(F(3, 3)), S(F(3, 3), 1), S(F(3, 3), 0, True)]
row("nansum", lambda x, *a, **k: nan_sum(filled(x), *a, **k), HOLED, op=with_holes("nansum"))
row("nanmean", lambda x, *a, **k: nan_sum(filled(x), *a, **k) / nan_sum(np.isnan(HOLES) == 0, *a, **k), HOLED, op=with_holes("nanmean"))
row("nanmedian", lambda x: np.nanquantile(filled(x), 0.5, method="lower"), [S(F(3, 3))], op=with_holes("nanmedian"), analytic=False)
row("quantile", lambda x, q, dim=None, keepdim=False, *, interpolation="linear": np.quantile(x, q, axis=dim, keepdims=keepdim, method=interpolation),
    [S(F(5), 0.3), S(F(2, 4), 0.75, 1), S(F(4, 3), 0.1, dim=0, keepdim=True), S(F(6), 0.4, interpolation="lower"), S(F(6), 0.4, interpolation="higher")], analytic=False, second_order=False)  # fmt: skip


def running(choose: Callable[..., Any]) -> Callable[..., Any]:
    def function(x: Any, dim: int) -> Any:
        if np.ndim(x) == 0:
            return x + 0, np.array(0)
        best = choose.accumulate(np.real(x), axis=dim)
        place = np.expand_dims(np.arange(x.shape[dim]), tuple(d for d in range(x.ndim) if d != dim % x.ndim))
        index = np.maximum.accumulate(np.where(np.real(x) == best, place, 0), axis=dim)
        return pick(x, index, dim), index

    return function


row("cummax", running(np.maximum), [S(F(5), 0), S(F(2, 4), 1), S(F(3, 2), 0)])
row("cummin", running(np.minimum), [S(F(5), 0), S(F(2, 4), -1), S(F(3, 2), 0)])
row("diff", lambda x, n=1, dim=-1, prepend=None, append=None: np.diff(x, n, dim, **{k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}),
    [S(F(5)), S(F(2, 4), 2), S(F(3, 2), dim=0), S(F(3), 1, -1, F(2), F(1))])  # fmt: skip
row("mode", lambda x: np.array(sorted(x.tolist(), key=lambda v: (-x.tolist().count(v), v))[0]), [S(I(7, hi=3))], op=lambda p, x: p.mode(x)[0], differentiable=False)
row("histc", lambda x, bins, min, max: np.histogram(x, bins, (min, max))[0].astype(float), [S(F(20, grad=False), 5, -2.0, 2.0)], differentiable=False)
