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
from functools import cache, lru_cache
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
COLUMNS = 4096
"""Columns that one thread takes at a time, across."""

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

_ALONG = f"""
def block(x{{p}}):
    T = x.dtype.type
    s = {{start}}
    for i in range(x.size):
        s = {{step_i}}
    return s

def pairs(slots, count):
    while count > 1:
        half = count // 2
        for i in range(half):
            slots[i] = {{join_i}}
        if count > 2 * half:
            slots[half] = slots[count - 1]
        count -= half
    return slots[0]

def line(x{{p}}):
    n = x.size
    if n <= {BLOCK}:
        return block(x{{p}})
    count = (n + {BLOCK - 1}) // {BLOCK}
    slots = np.empty(count, x.dtype)
    for b in range(count):
        slots[b] = block(x[b * {BLOCK} : min(n, (b + 1) * {BLOCK})]{{p}})
    return pairs(slots, count)

def lines(part, x{{ps}}, out, n, count, divisor):
    T = x.dtype.type
    for o in range(part * count, min(out.size, (part + 1) * count)):
        out[o] = line(x[o * n : (o + 1) * n]{{p_o}}) / T(divisor)

def segments(part, x{{ps}}, slots, n, count):
    o = part // count
    lo = (part - o * count) * {SPAN}
    slots[part] = line(x[o * n + lo : o * n + min(n, lo + {SPAN})]{{p_o}})

def along(x{{ps}}, out, n, divisor):
    T = x.dtype.type
    outer = out.size
    if x.size < {SERIAL_BELOW}:
        lines(0, x{{ps}}, out, n, outer, divisor)
    elif n <= {SPAN}:
        count = {SPAN} // n
        parallel_for(lines, (outer + count - 1) // count, (x{{ps}}, out, n, count, divisor))
    else:
        count = (n + {SPAN - 1}) // {SPAN}
        slots = np.empty(outer * count, x.dtype)
        parallel_for(segments, outer * count, (x{{ps}}, slots, n, count))
        for o in range(outer):
            out[o] = pairs(slots[o * count : (o + 1) * count], count) / T(divisor)
"""

_ACROSS = f"""
def patch(part, x{{ps}}, out, n, inner, rows, divisor):
    T = x.dtype.type
    columns = (inner + {COLUMNS - 1}) // {COLUMNS}
    chunks = max(1, (n + rows - 1) // rows)
    slot = part // columns
    lo = (part - slot * columns) * {COLUMNS}
    width = min({COLUMNS}, inner - lo)
    o = slot // chunks
    i = (slot - o * chunks) * rows
    end = min(n, i + rows)
    s = out[slot * inner + lo : slot * inner + lo + width]
    {{p_cut}}
    for j in range(width):
        s[j] = {{start}}
    at = (o * n + i) * inner + lo
    while i + 4 <= end:
        x0 = x[at : at + width]
        x1 = x[at + inner : at + inner + width]
        x2 = x[at + 2 * inner : at + 2 * inner + width]
        x3 = x[at + 3 * inner : at + 3 * inner + width]
        for j in range(width):
            s[j] = {{step_4}}
        i += 4
        at += 4 * inner
    while i < end:
        x0 = x[at : at + width]
        for j in range(width):
            s[j] = {{step_0}}
        i += 1
        at += inner
    if divisor != 1.0:
        for j in range(width):
            s[j] = s[j] / T(divisor)

def across(x{{ps}}, out, outer, n, inner, rows, divisor):
    parts = outer * max(1, (n + rows - 1) // rows) * ((inner + {COLUMNS - 1}) // {COLUMNS})
    if x.size < {SERIAL_BELOW}:
        for part in range(parts):
            patch(part, x{{ps}}, out, n, inner, rows, divisor)
    else:
        parallel_for(patch, parts, (x{{ps}}, out, n, inner, rows, divisor))
"""


def _with(formula: str, **names: str) -> str:
    """The formula with some of its one-letter names replaced."""
    return re.sub(r"\b[sxp]\b", lambda word: names.get(word[0], word[0]), formula)


@cache
def _compiled(name: str, across: bool) -> Any:
    """The kernel of a fold, along memory or across, written when it is first asked for."""
    fold = FOLDS[name]
    each = re.search(r"\bp\b", fold.step) is not None
    one = re.search(r"\bp0\b", fold.step) is not None
    step_4 = "s[j]"
    for k in range(4):
        step_4 = _with(fold.step, s=step_4, x=f"x{k}[j]", p="p[j]")
    text = (_ACROSS if across else _ALONG).format(
        start=fold.start,
        step_i=_with(fold.step, x="x[i]"),
        join_i=_with(fold.join, s="slots[2 * i]", x="slots[2 * i + 1]"),
        step_0=_with(fold.step, s="s[j]", x="x0[j]", p="p[j]"),
        step_4=step_4,
        p=", p" if each else ", p0" if one else "",
        ps=", p" if each or one else "",
        p_o=", p[o]" if each else ", p[0]" if one else "",
        p_cut="p = p[o * inner + lo :]" if each else "p0 = p[0]" if one else "",
    )
    namespace = {**vars(special), "np": np, "parallel_for": parallel_for}
    return kernels_from_source(text, namespace, reassociate=True)["across" if across else "along"]


@lru_cache(4096)
def _stages(shape: Axes, axes: Axes) -> tuple[tuple[int, int, int], ...]:
    """The stages of a reduction as (outer, n, inner), last dimensions first."""
    stages = []
    outer, n, inner = 1, 1, 1
    kept_after = 1
    done: list[int] = list(shape)
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
        outer, inner = math.prod(done[: axis + 1]), kept_after
        stages.append((outer, n, inner))
    return tuple(stages) or ((math.prod(shape), 1, 1),)


@lru_cache(4096)
def _reduced_shape(shape: Axes, axes: Axes, keepdims: bool) -> Axes:
    if keepdims:
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


def _across(name: str, x: np.ndarray, p: Any, out: np.ndarray, stage: tuple[int, int, int], by: float) -> None:
    """Reduce across, in as many rounds as it takes to come down to a single row."""
    outer, n, inner = stage
    folded, joined = _compiled(name, True), _compiled(_JOINED.get(name, name), True)
    while True:
        rows = builtins.max(16, builtins.min(ROWS, SPAN // builtins.min(inner, COLUMNS)))
        if n <= rows:
            folded(x, *p, out, outer, n, inner, rows, by)
            return
        chunks = -(-n // rows)
        slots = memory.empty((outer * chunks * inner,), x.dtype)
        folded(x, *p, slots, outer, n, inner, rows, 1.0)
        x, n, p, folded = slots, chunks, (), joined


def _reduce(
    name: str, x: np.ndarray, axes: Axes, keepdims: bool, by: float = 1.0, p: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """Fold `x` over `axes`; divide the results `by`. A `p` for each result allows a single stage only."""
    if len(axes) == x.ndim:
        out = np.empty((1,) * x.ndim if keepdims else (), x.dtype)
        flat = x.ravel("K")
        _compiled(name, False)(flat, *p, out.ravel(), flat.size, by)
        return out
    if not x.flags.c_contiguous:
        order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
        dense = x.transpose(order)
        if dense.flags.c_contiguous:
            moved = tuple(order.index(axis) for axis in axes)
            p = tuple(m.transpose(order).ravel() if m.ndim > 1 else m for m in p)
            reduced = _reduce(name, dense, moved, True, by, p).transpose(np.argsort(order))
            return np.ascontiguousarray(reduced).reshape(_reduced_shape(x.shape, axes, keepdims))
    out = memory.empty(_reduced_shape(x.shape, axes, keepdims), x.dtype)
    if out.size == 0:
        return out
    flat = x.ravel()
    p = tuple(m.ravel() for m in p)
    stages = _stages(x.shape, axes)
    for k, stage in enumerate(stages):
        outer, n, inner = stage
        last = k == len(stages) - 1
        target = out.ravel() if last else memory.empty((outer * inner,), x.dtype)
        divisor = by if last else 1.0
        if inner == 1:
            _compiled(name, False)(flat, *p, target, n, divisor)
        else:
            _across(name, flat, p, target, stage, divisor)
        flat, name, p = target, _JOINED.get(name, name), ()
    return out


def _each(
    name: str, x: np.ndarray, axes: Axes, keepdims: bool, by: float, parameter: np.ndarray
) -> np.ndarray:
    """Fold with a parameter for each result; `parameter` has the reduced dimensions kept, as 1."""
    if len(_stages(x.shape, axes)) > 1:
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        order = [*kept, *axes]
        x, parameter = np.ascontiguousarray(x.transpose(order)), parameter.transpose(order)
        moved = tuple(range(len(kept), x.ndim))
        back = np.argsort(order)
        reduced = _reduce(name, x, moved, True, by, (parameter,)).transpose(back)
        reduced = np.ascontiguousarray(reduced)
    else:
        reduced = _reduce(name, x, axes, True, by, (parameter if len(axes) < x.ndim else parameter.ravel(),))
    return reduced if keepdims else reduced.reshape(_reduced_shape(reduced.shape, axes, False))


def _count(x: np.ndarray, axes: Axes) -> int:
    return math.prod([x.shape[axis] for axis in axes])


# --- sums, products, extremes ------------------------------------------------------------------------


def sum(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:  # noqa: A001 (PyTorch's name)
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


def max(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:  # noqa: A001
    """Largest element over `axes`, NaN if there is one."""
    if x.dtype in FLOATS:
        return _reduce("max", x, axes, keepdims)
    return np.asarray(np.max(x, axis=axes, keepdims=keepdims))


def min(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:  # noqa: A001
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


def var_mean(
    x: np.ndarray, axes: Axes, correction: float = 1, keepdims: bool = False
) -> tuple[np.ndarray, np.ndarray]:
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


def any(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:  # noqa: A001
    """Whether an element over `axes` is not 0."""
    return np.asarray(np.any(x, axis=axes, keepdims=keepdims))


def all(x: np.ndarray, axes: Axes, keepdims: bool = False) -> np.ndarray:  # noqa: A001
    """Whether no element over `axes` is 0."""
    return np.asarray(np.all(x, axis=axes, keepdims=keepdims))


@lru_cache(4096)
def _broadcast_axes(large: Axes, small: Axes) -> Axes:
    lead = len(large) - len(small)
    return (*range(lead), *(lead + a for a, n in enumerate(small) if n == 1 != large[lead + a]))


def sum_to(x: np.ndarray, shape: Axes) -> np.ndarray:
    """Sum the dimensions along which `shape` was broadcast to the shape of `x`: the gradient's way back."""
    if x.shape == shape:
        return x
    return sum(x, _broadcast_axes(x.shape, shape), True).reshape(shape)


# --- indices -----------------------------------------------------------------------------------------

GROUP = 256


@kernel
def _best_in_lines(part: int, x: Any, values: Any, indices: Any, n: int, count: int, flip: bool) -> None:
    zero = x.dtype.type(0)
    for o in range(part * count, builtins.min(values.size, (part + 1) * count)):
        line = x[o * n : (o + 1) * n]
        best = line[0]
        group = 0
        for start in range(0, n, GROUP):
            stop = builtins.min(n, start + GROUP)
            found = line[start]
            if flip:
                for i in range(start + 1, stop):
                    found = special.minimum(found, line[i])
            else:
                for i in range(start + 1, stop):
                    found = special.maximum(found, line[i])
            better = found < best if flip else found > best
            if better or (found != found and best == best):
                best = found
                group = start
        at = group
        while not (line[at] == best or line[at] != line[at]):
            at += 1
        values[o] = line[at] + zero
        indices[o] = at


@kernel
def _best_across(part: int, x: Any, values: Any, indices: Any, n: int, inner: int, flip: bool) -> None:
    columns = (inner + COLUMNS - 1) // COLUMNS
    o = part // columns
    lo = (part - o * columns) * COLUMNS
    hi = builtins.min(inner, lo + COLUMNS)
    best = values[o * inner + lo : o * inner + hi]
    index = indices[o * inner + lo : o * inner + hi]
    best[:] = x[o * n * inner + lo : o * n * inner + hi]
    index[:] = 0
    for i in range(1, n):
        row = x[(o * n + i) * inner + lo : (o * n + i) * inner + hi]
        for j in range(hi - lo):
            found, so_far = row[j], best[j]
            better = (found < so_far if flip else found > so_far) | ((found != found) & (so_far == so_far))
            best[j] = special.where(better, found, so_far)
            if better:
                index[j] = i


@kernel
def _best(x: Any, values: Any, indices: Any, outer: int, n: int, inner: int, flip: bool) -> None:
    if inner == 1:
        count = outer if x.size < SERIAL_BELOW else builtins.max(1, SPAN // n)
        parallel_for(
            _best_in_lines, (outer + count - 1) // count, (x, values, indices, n, count, flip)
        )
    else:
        parts = outer * ((inner + COLUMNS - 1) // COLUMNS)
        if x.size < SERIAL_BELOW:
            for part in range(parts):
                _best_across(part, x, values, indices, n, inner, flip)
        else:
            parallel_for(_best_across, parts, (x, values, indices, n, inner, flip))


def _with_index(x: np.ndarray, axis: int, keepdims: bool, flip: bool) -> tuple[np.ndarray, np.ndarray]:
    shape = _reduced_shape(x.shape, (axis,), keepdims)
    if x.dtype not in FLOATS:
        pick = np.argmin if flip else np.argmax
        indices = np.expand_dims(pick(x, axis=axis), axis)
        return np.take_along_axis(x, indices, axis).reshape(shape), indices.reshape(shape)
    values, indices = memory.empty(shape, x.dtype), np.empty(shape, np.int64)
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    if values.size:
        _best(x.ravel(), values.ravel(), indices.ravel(), outer, n, inner, flip)
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


# --- running sums and products -----------------------------------------------------------------------


@kernel
def _scan_part(
    part: int, x: Any, out: Any, n: int, inner: int, count: int, reverse: bool, product: bool
) -> None:
    """Lines part*count ...; sums restart every 128 elements on top of what came before."""
    T = x.dtype.type  # noqa: N806
    for line in range(part * count, builtins.min(x.size // n, (part + 1) * count)):
        o = line // inner
        at = o * n * inner + (line - o * inner)
        step = inner
        if reverse:
            at += (n - 1) * inner
            step = -inner
        base = T(0)
        s = T(1) if product else T(0)
        for i in range(n):
            if product:
                s = s * x[at]
                out[at] = s
            else:
                if i % 128 == 0:
                    base += s
                    s = T(0)
                s += x[at]
                out[at] = base + s
            at += step


@kernel
def _scan(x: Any, out: Any, n: int, inner: int, reverse: bool, product: bool) -> None:
    lines = x.size // n
    count = lines if x.size < SERIAL_BELOW else builtins.max(1, SPAN // n)
    parallel_for(_scan_part, (lines + count - 1) // count, (x, out, n, inner, count, reverse, product))


def _scanned(x: np.ndarray, axis: int, reverse: bool, product: bool) -> np.ndarray:
    if x.dtype not in FLOATS:
        flipped = np.flip(x, axis) if reverse else x
        out = (np.cumprod if product else np.cumsum)(flipped, axis=axis, dtype=np.int64)
        return np.ascontiguousarray(np.flip(out, axis)) if reverse else out
    out = memory.empty(x.shape, x.dtype)
    if x.size:
        n = x.shape[axis] if x.ndim else 1
        _scan(x.ravel(), out.ravel(), n, math.prod(x.shape[axis + 1 :]) if x.ndim else 1, reverse, product)
    return out


def cumsum(x: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
    """Running sum along `axis`, from the end if `reverse`."""
    return _scanned(x, axis, reverse, False)


def cumprod(x: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
    """Running product along `axis`, from the end if `reverse`."""
    return _scanned(x, axis, reverse, True)
