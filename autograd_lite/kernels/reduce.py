"""Reductions over any dimensions of an array.

An array is seen as (outer, n, inner), and n is reduced: `inner` is 1 where the last dimensions are reduced,
and the loop runs along memory; otherwise it runs across, `inner` sums at a time. Dimensions that do not lie
side by side are reduced in stages.

Sums are pairwise: blocks of at most 4096 elements (of at most 256 rows, across) are added up in the lanes of
vector registers, and block sums two by two (N. J. Higham, The accuracy of floating point summation, SIAM
J. Sci. Comput. 14(4), 1993): the error grows with log(n). How an array is cut depends on its shape alone,
so results are the same to the bit with any number of threads. Integers and booleans are left to NumPy.
"""

from __future__ import annotations

import builtins
import math
import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import memory, special
from .jit import kernel, kernels_from_source
from .threading import parallel_for

BLOCK = 4096
"""Elements that are reduced without pairing."""
SPAN = 16384
"""Elements, about, that one thread takes at a time."""
SERIAL_BELOW = 32768
"""Below so many elements a second thread costs more than it brings."""
ROWS = 256
"""Rows that are reduced without pairing, across."""
TOGETHER = 8
"""Rows that are added to the sums at a time, across."""
COLUMNS = 1024
"""Columns that one thread takes at a time, across."""
SMALL = 4096
"""Results of fewer elements are not worth a pooled buffer."""

Axes = tuple[int, ...]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Fold(NamedTuple):
    """A reduction as text: `s` is the result so far, `x` an element, `p` a parameter, `T` the type.

    The parameter is ``"p0"``, one number, or ``"p"``, one for each result.
    """

    start: str
    step: str
    join: str = "s + x"


FOLDS = {
    "sum": Fold("T(0)", "s + x"),
    "absolute": Fold("T(0)", "s + magnitude(x)"),
    "square": Fold("T(0)", "s + x * x"),
    "power": Fold("T(0)", "s + pow(magnitude(x), p0)"),
    "nonzero": Fold("T(0)", "s + where(x != T(0), T(1), T(0))"),
    "deviation": Fold("T(0)", "s + (x - p) * (x - p)"),
    "exponential": Fold("T(0)", "s + exp(x - p)"),
    "prod": Fold("T(1)", "s * x", "s * x"),
    "max": Fold("T(-np.inf)", "maximum(s, x)", "maximum(s, x)"),
    "min": Fold("T(np.inf)", "minimum(s, x)", "minimum(s, x)"),
    "peak": Fold("T(0)", "maximum(s, magnitude(x))", "maximum(s, x)"),
    "pit": Fold("T(np.inf)", "minimum(s, magnitude(x))", "minimum(s, x)"),
}

_JOINED = {"absolute": "sum", "square": "sum", "power": "sum", "nonzero": "sum", "deviation": "sum",
           "exponential": "sum", "peak": "max", "pit": "min"}  # fmt: skip
"""The fold that continues another one in its next stage."""


@kernel(reassociate=True, inline=True)
def block_sum(x):
    """Inside a kernel: the sum of a block or a line, in the lanes of vector registers."""
    s = x.dtype.type(0)
    for i in range(x.size):
        s += x[i]
    return s


_ALONG = f"""
def lines(part, x{{ps}}, out, n, chunks, count, divisor):
    T = x.dtype.type
    for slot in range(part * count, min(out.size, (part + 1) * count)):
        o = slot // chunks
        end = (o + 1) * n
        at = o * n + (slot - o * chunks) * {SPAN}
        if chunks > 1:
            end = min(end, at + {SPAN})
        {{p_line}}
        total = {{start}}
        while at < end:
            block = x[at : min(end, at + {BLOCK})]
            s = {{start}}
            for i in range(block.size):
                s = {{step_i}}
            total = {{join_s}}
            at += {BLOCK}
        out[slot] = total / T(divisor)

def along(x{{ps}}, out, n, chunks, divisor):
    count = out.size
    if x.size >= {SERIAL_BELOW}:
        count = max(1, {SPAN} // n)
    parallel_for(lines, (out.size + count - 1) // count, (x{{ps}}, out, n, chunks, count, divisor))
"""

_ACROSS = f"""
def patches(part, x{{ps}}, out, n, inner, rows, chunks, columns, count, divisor):
    T = x.dtype.type
    slots = out.size // inner
    for patch in range(part * count, min(slots * columns, (part + 1) * count)):
        slot = patch // columns
        lo = (patch - slot * columns) * {COLUMNS}
        width = min({COLUMNS}, inner - lo)
        o = slot // chunks
        i = (slot - o * chunks) * rows
        end = min(n, i + rows)
        s = out[slot * inner + lo : slot * inner + lo + width]
        {{p_patch}}
        for j in range(width):
            s[j] = {{start}}
        at = (o * n + i) * inner + lo
        while i + {TOGETHER} <= end:
            {{rows}}
            for j in range(width):
                s[j] = {{step_rows}}
            i += {TOGETHER}
            at += {TOGETHER} * inner
        while i < end:
            x0 = x[at : at + width]
            for j in range(width):
                s[j] = {{step_0}}
            i += 1
            at += inner
        if divisor != 1.0:
            for j in range(width):
                s[j] = s[j] / T(divisor)

def across(x{{ps}}, out, n, inner, rows, chunks, divisor):
    columns = (inner + {COLUMNS - 1}) // {COLUMNS}
    parts = (out.size // inner) * columns
    count = parts
    if x.size >= {SERIAL_BELOW}:
        count = max(1, {SPAN} // (min(n, rows) * min(inner, {COLUMNS})))
    parts = (parts + count - 1) // count
    parallel_for(patches, parts, (x{{ps}}, out, n, inner, rows, chunks, columns, count, divisor))
"""


def _with(formula: str, **names: str) -> str:
    """The formula with some of its one-letter names replaced."""
    return re.sub(r"\b[sxp]\b", lambda word: names.get(word[0], word[0]), formula)


def _compile(name: str, across: bool) -> Any:
    """The kernel of a fold, along memory or across."""
    fold = FOLDS[name]
    each = re.search(r"\bp\b", fold.step) is not None
    one = re.search(r"\bp0\b", fold.step) is not None
    step_rows = "s[j]"
    for k in range(TOGETHER):
        step_rows = _with(fold.step, s=step_rows, x=f"x{k}[j]", p="p[j]")
    text = (_ACROSS if across else _ALONG).format(
        start=fold.start,
        step_i=_with(fold.step, x="block[i]"),
        join_s=_with(fold.join, s="total", x="s"),
        step_0=_with(fold.step, s="s[j]", x="x0[j]", p="p[j]"),
        step_rows=step_rows,
        rows="; ".join(f"x{k} = x[at + {k} * inner : at + {k} * inner + width]" for k in range(TOGETHER)),
        ps=", ps" if each or one else "",
        p_line="p = ps[o]" if each else "p0 = ps[0]" if one else "",
        p_patch="p = ps[o * inner + lo :]" if each else "p0 = ps[0]" if one else "",
    )
    namespace = {**vars(special), "np": np, "parallel_for": parallel_for}
    made = kernels_from_source(text, namespace, reassociate=not across)  # across, every lane has a sum of its own
    return made["across" if across else "along"]


class _Kernels(dict[str, Any]):
    """The kernels of the folds, each written when it is first asked for."""

    def __init__(self, across: bool) -> None:
        self.across = across

    def __missing__(self, name: str) -> Any:
        self[name] = made = _compile(name, self.across)
        return made


_along_kernels, _across_kernels = _Kernels(False), _Kernels(True)


class Plan(NamedTuple):
    """How to reduce: the shape of the result, its size, and (outer, n, inner) for each stage, last first."""

    shape: Axes
    size: int
    stages: tuple[tuple[int, int, int], ...]


@lru_cache(4096)
def _plan(shape: Axes, axes: Axes, keepdims: bool) -> Plan:
    stages = []
    done, kept_after = list(shape), 1
    axis = len(shape) - 1
    while axis >= 0:
        if axis not in axes or shape[axis] == 1:
            kept_after *= shape[axis]
            axis -= 1
            continue
        n = 1
        while axis >= 0 and (axis in axes or shape[axis] == 1):
            n *= shape[axis]
            done[axis] = 1
            axis -= 1
        stages.append((math.prod(done[: axis + 1]), n, kept_after))
    stages = stages or [(math.prod(shape), 1, 1)]
    if keepdims:
        reduced = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    else:
        reduced = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    return Plan(reduced, math.prod(reduced), tuple(stages))


def _along(name: str, x: np.ndarray, p: Any, out: np.ndarray, n: int, by: float, inner: int = 1) -> None:
    """Reduce along memory, in as many rounds as it takes to come down to a single span."""
    while n > 2 * SPAN:
        chunks = -(-n // SPAN)
        slots = memory.empty((out.size * chunks,), x.dtype)
        _along_kernels[name](x, *p, slots, n, chunks, 1.0)
        x, n, name, p = slots, chunks, _JOINED.get(name, name), ()
    _along_kernels[name](x, *p, out, n, 1, by)


def _across(name: str, x: np.ndarray, p: Any, out: np.ndarray, n: int, by: float, inner: int) -> None:
    """Reduce across, in as many rounds as it takes to come down to a single row."""
    rows = ROWS if inner <= 256 else builtins.max(32, 65536 // builtins.min(inner, COLUMNS))
    while n > rows:
        chunks = -(-n // rows)
        slots = memory.empty((out.size * chunks,), x.dtype)
        _across_kernels[name](x, *p, slots, n, inner, rows, chunks, 1.0)
        x, n, name, p = slots, chunks, _JOINED.get(name, name), ()
    _across_kernels[name](x, *p, out, n, inner, rows, 1, by)


def _reduce(
    name: str, x: np.ndarray, axes: Axes, keepdims: bool, by: float = 1.0, p: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Fold `x` over `axes`; divide the results `by`. With a `p` for each result, in a single stage only."""
    if len(axes) == x.ndim:
        out = np.empty((1,) * x.ndim if keepdims else (), x.dtype)
        n = x.size
        if p or n > 2 * SPAN:
            _along(name, x.ravel("K"), p, out.ravel(), n, by)
        else:
            _along_kernels[name](x.ravel("K"), out.ravel(), n, 1, by)
        return out
    shape, size, stages = _plan(x.shape, axes, keepdims)
    if not x.flags.c_contiguous:
        order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
        dense = x.transpose(order)
        if dense.flags.c_contiguous:
            moved = tuple(order.index(axis) for axis in axes)
            reduced = _reduce(name, dense, moved, True, by, p).transpose(np.argsort(order))
            return np.ascontiguousarray(reduced).reshape(shape)
    out = np.empty(shape, x.dtype) if size < SMALL else memory.empty(shape, x.dtype)
    if size == 0:
        return out
    flat = x.ravel()
    if len(stages) > 1:
        for outer, n, inner in stages[:-1]:
            partial = memory.empty((outer * inner,), x.dtype)
            (_along if inner == 1 else _across)(name, flat, p, partial, n, 1.0, inner)
            flat, name, p = partial, _JOINED.get(name, name), ()
    _, n, inner = stages[-1]
    (_along if inner == 1 else _across)(name, flat, p, out.ravel(), n, by, inner)
    return out


def _each(name: str, x: np.ndarray, axes: Axes, keepdims: bool, by: float, parameter: np.ndarray) -> np.ndarray:
    """Fold with a parameter for each result; `parameter` has the reduced dimensions kept, as 1."""
    shape, _, stages = _plan(x.shape, axes, keepdims)
    if len(stages) > 1:
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        x = x.transpose([*kept, *axes])
        axes = tuple(range(len(kept), x.ndim))
    x = np.ascontiguousarray(x)  # the kept dimensions stay in order, and so do the results
    return _reduce(name, x, axes, False, by, (parameter.ravel(),)).reshape(shape)


def _count(x: np.ndarray, axes: Axes) -> int:
    return math.prod([x.shape[axis] for axis in axes])


# --- sums, products, extremes ------------------------------------------------------------------------


def sum(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Sum over `axes`; integers and booleans give int64."""
    if x.dtype in FLOATS:
        return _reduce("sum", x, axes, keepdims)
    return np.asarray(np.sum(x, axis=axes, dtype=np.int64, keepdims=keepdims))


def mean(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Mean over `axes`; NaN of nothing."""
    return _reduce("sum", x, axes, keepdims, float(_count(x, axes)))


def prod(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Product over `axes`; integers and booleans give int64."""
    if x.dtype in FLOATS:
        return _reduce("prod", x, axes, keepdims)
    return np.asarray(np.prod(x, axis=axes, dtype=np.int64, keepdims=keepdims))


def max(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Largest element over `axes`, NaN if there is one."""
    if x.dtype in FLOATS:
        return _reduce("max", x, axes, keepdims)
    return np.asarray(np.max(x, axis=axes, keepdims=keepdims))


def min(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Smallest element over `axes`, NaN if there is one."""
    if x.dtype in FLOATS:
        return _reduce("min", x, axes, keepdims)
    return np.asarray(np.min(x, axis=axes, keepdims=keepdims))


def sum_of_squares(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Sum of x**2 over `axes`."""
    return _reduce("square", x, axes, keepdims)


def norm(x: np.ndarray, order: float, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """(sum of |x|**order) ** (1/order) over `axes`; of order 0 the count of nonzeros, of +-inf an extreme."""
    if order == 2:
        out = _reduce("square", x, axes, keepdims)
        return np.sqrt(out, out=out)
    simple = {1.0: "absolute", 0.0: "nonzero", math.inf: "peak", -math.inf: "pit"}.get(order)
    if simple:
        return _reduce(simple, x, axes, keepdims)
    out = _reduce("power", x, axes, keepdims, 1.0, (np.array([order], x.dtype),))
    return np.power(out, x.dtype.type(1 / order), out=out)


def var_mean(x: np.ndarray, axes: Axes, correction: float = 1, keepdims: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Variance and mean over `axes`: the mean first, then the squared deviations from it, over
    max(0, n - correction).
    """
    n = _count(x, axes)
    middle = _reduce("sum", x, axes, True, float(n))
    by = float(n - correction) if n > correction else 0.0
    variance = _each("deviation", x, axes, keepdims, by, middle)
    return variance, middle.reshape(variance.shape)


def logsumexp(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """log(sum(exp(x))) over `axes`, of the differences from the largest element."""
    peak = _reduce("max", x, axes, True)
    peak[~np.isfinite(peak)] = 0
    out = _each("exponential", x, axes, keepdims, 1.0, peak)
    with np.errstate(divide="ignore"):
        np.log(out, out=out)
    out += peak.reshape(out.shape)
    return out


def count_nonzero(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """How many elements over `axes` are not 0 (NaN is not), as int64."""
    return np.asarray(np.count_nonzero(x, axis=axes, keepdims=keepdims), np.int64)


def any(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Whether an element over `axes` is not 0."""
    return np.asarray(np.any(x, axis=axes, keepdims=keepdims))


def all(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:
    """Whether no element over `axes` is 0."""
    return np.asarray(np.all(x, axis=axes, keepdims=keepdims))


@lru_cache(4096)
def _broadcast_axes(large: Axes, small: Axes) -> tuple[Axes, bool]:
    lead = len(large) - len(small)
    stretched = [lead + a for a, n in enumerate(small) if n == 1 != large[lead + a]]
    return (*range(lead), *stretched), lead == 0


def sum_to(x: np.ndarray, shape: Axes) -> np.ndarray:
    """Sum the dimensions along which `shape` was broadcast to the shape of `x`: the gradient's way back."""
    if x.shape == shape:
        return x.copy()
    axes, keepdims = _broadcast_axes(x.shape, shape)
    reduced = _reduce("sum", x, axes, keepdims) if x.dtype in FLOATS else sum(x, axes, keepdims)
    return reduced if reduced.shape == shape else reduced.reshape(shape)


# --- indices -----------------------------------------------------------------------------------------

GROUP = 128
"""Elements among which the index of an extreme is looked for at the end."""


@kernel(reassociate=True, internal=True)
def _best_in_lines(part: int, x: Any, values: Any, indices: Any, n: int, count: int, flip: bool) -> None:
    for o in range(part * count, builtins.min(values.size, (part + 1) * count)):
        best = x[o * n]
        group = 0
        for start in range(0, n, GROUP):
            block = x[o * n + start : o * n + builtins.min(n, start + GROUP)]
            found = block[0]
            if flip:
                for i in range(block.size):
                    found = special.minimum(found, block[i])
                better = found < best
            else:
                for i in range(block.size):
                    found = special.maximum(found, block[i])
                better = found > best
            if better or (found != found and best == best):
                best = found
                group = start
        line = x[o * n : (o + 1) * n]
        at = group
        while line[at] != best and line[at] == line[at]:
            at += 1
        values[o] = line[at]
        indices[o] = at


@kernel(internal=True)
def _best_in_patches(
    part: int, x: Any, values: Any, indices: Any, n: int, inner: int, columns: int, count: int, flip: bool
) -> None:
    for patch in range(part * count, builtins.min(values.size // inner * columns, (part + 1) * count)):
        o = patch // columns
        lo = (patch - o * columns) * COLUMNS
        hi = builtins.min(inner, lo + COLUMNS)
        best = values[o * inner + lo : o * inner + hi]
        index = indices[o * inner + lo : o * inner + hi]
        for i in range(n):
            row = x[(o * n + i) * inner + lo : (o * n + i) * inner + hi]
            for j in range(hi - lo):
                found, so_far = row[j], best[j]
                better = (found < so_far) if flip else (found > so_far)
                better |= (found != found) & (so_far == so_far)
                better |= i == 0
                best[j] = special.where(better, found, so_far)
                index[j] = special.where(better, i, index[j])


@kernel
def _best_along(x: Any, values: Any, indices: Any, n: int, flip: bool) -> None:
    count = values.size if x.size < SERIAL_BELOW else builtins.max(1, SPAN // n)
    parts = (values.size + count - 1) // count
    parallel_for(_best_in_lines, parts, (x, values, indices, n, count, flip))


@kernel
def _best_across(x: Any, values: Any, indices: Any, n: int, inner: int, flip: bool) -> None:
    columns = (inner + COLUMNS - 1) // COLUMNS
    patches = values.size // inner * columns
    count = patches if x.size < SERIAL_BELOW else 1
    parts = (patches + count - 1) // count
    parallel_for(_best_in_patches, parts, (x, values, indices, n, inner, columns, count, flip))


def _with_index(x: np.ndarray, axis: int, keepdims: bool, flip: bool) -> tuple[np.ndarray, np.ndarray]:
    shape, size, stages = _plan(x.shape, (axis,), keepdims)
    if x.dtype not in FLOATS:
        pick = np.argmin if flip else np.argmax
        indices = np.expand_dims(pick(x, axis=axis), axis)
        return np.take_along_axis(x, indices, axis).reshape(shape), indices.reshape(shape)
    values = np.empty(shape, x.dtype) if size < SMALL else memory.empty(shape, x.dtype)
    indices = np.empty(shape, np.int64) if size < SMALL else memory.empty(shape, np.dtype(np.int64))
    if size:
        _, n, inner = stages[0]
        if inner == 1:
            _best_along(x.ravel(), values.ravel(), indices.ravel(), n, flip)
        else:
            _best_across(x.ravel(), values.ravel(), indices.ravel(), n, inner, flip)
    return values, indices


def max_with_index(x: np.ndarray, axis: int, keepdims: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Largest elements along `axis` and where each first occurs; the first NaN if there is one."""
    return _with_index(x, axis, keepdims, False)


def min_with_index(x: np.ndarray, axis: int, keepdims: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Smallest elements along `axis` and where each first occurs; the first NaN if there is one."""
    return _with_index(x, axis, keepdims, True)


def argmax(x: np.ndarray, axis: int | None, keepdims: bool = False) -> np.ndarray:
    """Index of the first largest element (or NaN) along `axis`, or in the flattened array."""
    return _argument(x, axis, keepdims, False)


def argmin(x: np.ndarray, axis: int | None, keepdims: bool = False) -> np.ndarray:
    """Index of the first smallest element (or NaN) along `axis`, or in the flattened array."""
    return _argument(x, axis, keepdims, True)


def _argument(x: np.ndarray, axis: int | None, keepdims: bool, flip: bool) -> np.ndarray:
    if axis is not None and x.ndim:
        return _with_index(x, axis, keepdims, flip)[1]
    return _with_index(x.reshape(-1), 0, False, flip)[1].reshape((1,) * x.ndim if keepdims else ())
