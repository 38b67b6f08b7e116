"""The cross-entropy of softmax, forward and backward in one pass each.

For a line of n scores x, with q[c] the weight of class c times its share of the target,

    loss = sum_c q[c] * (log(sum_i exp(x[i])) - x[c]),    dloss/dx[c] = softmax(x)[c] * sum(q) - q[c].

A target is the number of a class, smoothed or not (C. Szegedy et al., Rethinking the Inception
architecture, CVPR 2016, section 7), or a probability for each class. Of each line the forward keeps its
largest score, the sum of the exponentials relative to that, and the weight of its target; the backward
computes the probabilities again, which is cheaper than to write them and read them back. The scores are
seen as (outer, n, inner), as in `softmax`.

A line whose upstream gradient is 0, or whose target is to be ignored, gets gradient 0 whatever its scores.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from . import memory
from .jit import kernel
from .reduce import block_sum
from .softmax import (
    BATCH,
    SERIAL_BELOW,
    columns_per_patch,
    exponentials,
    largest,
    largest_in_columns,
    lines_per_part,
    sum_exponentials_in_columns,
    sum_of_exponentials,
)
from .special import exp, like, log, times
from .threading import parallel_for

NONE, MEAN, SUM = 0, 1, 2
_REDUCTIONS = {"none": NONE, "mean": MEAN, "sum": SUM}
_BLOCK = 4096


class Saved(NamedTuple):
    """What backward needs: (largest score, sum of exponentials, weight) of each line, and the divisor."""

    lines: np.ndarray
    divisor: np.ndarray


@kernel(internal=True)
def _total(values: Any) -> Any:
    """Sum, in blocks."""
    total = values.dtype.type(0)
    for start in range(0, values.size, _BLOCK):
        total += block_sum(values[start : start + _BLOCK])
    return total


@kernel(internal=True)
def _finish(losses: Any, kept: Any, result: Any, divisor: Any, reduction: int, weighted: bool) -> bool:
    """Reduce the losses and note what their gradient is divided by; tell whether there is a NaN."""
    size = losses.size
    total = _total(losses)
    divisor[0] = like(total, 1)
    if reduction == MEAN:
        divisor[0] = _total(kept[2 * size :]) if weighted else like(total, size)
    if reduction != NONE:
        result[0] = total / divisor[0]
    return total != total


@kernel(inline=True)
def _upstream(g: Any, divisor: Any, k: int) -> Any:
    value = g[k] if g.size > 1 else g[0]
    return times(value, like(value, 1) / divisor[0])


# --- targets that are classes ------------------------------------------------------------------------


@kernel(internal=True)
def _add_logarithms(loss: Any, s: Any, w: Any, own: Any, shared: Any) -> None:
    for k in range(loss.size):
        loss[k] += log(s[k]) * (own * w[k] + shared)


@kernel(reassociate=True, internal=True)
def _class_lines(
    part: int, x: Any, target: Any, weight: Any, losses: Any, kept: Any, n: int, count: int, ignored: int,
    smoothing: float, weights: float,
) -> None:  # fmt: skip
    """The loss is kept in two pieces, so that the logarithms of many lines are taken at once."""
    T = x.dtype.type
    size = target.size
    first, last = part * count, min(size, (part + 1) * count)
    together = BATCH // n if n < BATCH // 2 else 1
    work = np.empty(together * n, x.dtype)
    for start in range(first, last, together):
        stop = min(last, start + together)
        for k in range(start, stop):
            kept[k] = largest(x[k * n : (k + 1) * n])
        if n >= BATCH // 2:
            kept[size + start] = sum_of_exponentials(x[start * n : stop * n], kept[start])
            continue
        exponentials(x, start, stop, n, kept, work)
        for k in range(start, stop):
            terms = work[(k - start) * n : (k - start + 1) * n]
            s = T(0)
            for i in range(n):
                s += terms[i]
            kept[size + k] = s
    for k in range(first, last):
        t = target[k]
        if t == ignored or t < 0 or t >= n:
            losses[k] = T(0) if t == ignored else T(np.nan)
            kept[k], kept[size + k], kept[2 * size + k] = T(0), T(1), T(0)
            continue
        line = x[k * n : (k + 1) * n]
        m = kept[k]
        w = weight[t] if weight.size else T(1)
        kept[2 * size + k] = w
        loss = T(1 - smoothing) * w * (m - line[t])
        if smoothing != 0:
            rest = T(0)
            if weight.size:
                for i in range(n):
                    rest += weight[i] * (m - line[i])
            else:
                for i in range(n):
                    rest += m - line[i]
            loss += T(smoothing / n) * rest
        losses[k] = loss
    s, w, loss = kept[size + first : size + last], kept[2 * size + first : 2 * size + last], losses[first:last]
    _add_logarithms(loss, s, w, T(1 - smoothing), T(smoothing / n * weights))


@kernel
def _class_along(
    x: Any, target: Any, weight: Any, losses: Any, kept: Any, result: Any, divisor: Any, n: int, ignored: int,
    smoothing: float, weights: float, reduction: int,
) -> bool:  # fmt: skip
    count = lines_per_part(x, n)
    parts = (target.size + count - 1) // count
    parallel_for(_class_lines, parts, (x, target, weight, losses, kept, n, count, ignored, smoothing, weights))
    return _finish(losses, kept, result, divisor, reduction, True)


@kernel(internal=True)
def _class_patches(
    part: int, x: Any, target: Any, weight: Any, losses: Any, kept: Any, n: int, inner: int, width: int,
    ignored: int, smoothing: float, weights: float,
) -> None:  # fmt: skip
    T = x.dtype.type
    size = target.size
    patches = (inner + width - 1) // width
    o = part // patches
    lo = (part - o * patches) * width
    width = min(width, inner - lo)
    first, start = o * inner + lo, o * n * inner + lo
    m, s = kept[first : first + width], kept[size + first : size + first + width]
    largest_in_columns(x, m, start, n, inner)
    sum_exponentials_in_columns(x, m, s, start, n, inner)
    loss, own = losses[first : first + width], kept[2 * size + first : 2 * size + first + width]
    for j in range(width):
        loss[j] = T(smoothing / n * weights) * log(s[j])
        own[j] = log(s[j])
    if smoothing != 0:
        for i in range(n):
            w = T(smoothing / n) * (weight[i] if weight.size else T(1))
            row = x[start + i * inner : start + i * inner + width]
            for j in range(width):
                loss[j] += w * (m[j] - row[j])
    for j in range(width):
        t = target[first + j]
        w = T(0)
        if t == ignored:
            loss[j] = T(0)
        elif t < 0 or t >= n:
            loss[j] = T(np.nan)
        else:
            w = weight[t] if weight.size else T(1)
            loss[j] += T(1 - smoothing) * w * (m[j] - x[start + t * inner + j] + own[j])
        own[j] = w


@kernel
def _class_across(
    x: Any, target: Any, weight: Any, losses: Any, kept: Any, result: Any, divisor: Any, n: int, inner: int,
    ignored: int, smoothing: float, weights: float, reduction: int,
) -> bool:  # fmt: skip
    width = columns_per_patch(n, inner)
    parts = target.size // inner * ((inner + width - 1) // width)
    if x.size < SERIAL_BELOW:
        for part in range(parts):
            _class_patches(part, x, target, weight, losses, kept, n, inner, width, ignored, smoothing, weights)
    else:
        parallel_for(
            _class_patches,
            parts,
            (x, target, weight, losses, kept, n, inner, width, ignored, smoothing, weights),
        )
    return _finish(losses, kept, result, divisor, reduction, True)


@kernel(internal=True)
def _class_backward_lines(
    part: int, g: Any, x: Any, target: Any, weight: Any, kept: Any, divisor: Any, dx: Any, n: int, count: int,
    ignored: int, smoothing: float, weights: float,
) -> None:  # fmt: skip
    T = x.dtype.type
    size = target.size
    first, last = part * count, min(size, (part + 1) * count)
    together = max(1, BATCH // n)
    for start in range(first, last, together):
        stop = min(last, start + together)
        exponentials(x, start, stop, n, kept, dx[start * n : stop * n])
        for k in range(start, stop):
            out = dx[k * n : (k + 1) * n]
            t = target[k]
            r = _upstream(g, divisor, k)
            if t == ignored or r == T(0):
                for i in range(n):
                    out[i] = T(0)
                continue
            own = r * T(1 - smoothing) * kept[2 * size + k]
            every = r * T(smoothing / n)
            scale = (own + every * T(weights)) / kept[size + k]
            if smoothing == 0:
                for i in range(n):
                    out[i] *= scale
            elif weight.size:
                for i in range(n):
                    out[i] = scale * out[i] - every * weight[i]
            else:
                for i in range(n):
                    out[i] = scale * out[i] - every
            out[t] -= own


@kernel
def _class_backward_along(
    g: Any, x: Any, target: Any, weight: Any, kept: Any, divisor: Any, dx: Any, n: int, ignored: int, smoothing: float,
    weights: float,
) -> None:  # fmt: skip
    count = lines_per_part(x, n)
    parallel_for(
        _class_backward_lines,
        (target.size + count - 1) // count,
        (g, x, target, weight, kept, divisor, dx, n, count, ignored, smoothing, weights),
    )


@kernel(internal=True)
def _class_backward_patches(
    part: int, g: Any, x: Any, target: Any, weight: Any, kept: Any, divisor: Any, dx: Any, scratch: Any, n: int,
    inner: int, width: int, ignored: int, smoothing: float, weights: float,
) -> None:  # fmt: skip
    T = x.dtype.type
    size = target.size
    patches = (inner + width - 1) // width
    o = part // patches
    lo = (part - o * patches) * width
    width = min(width, inner - lo)
    first, start = o * inner + lo, o * n * inner + lo
    m, s = kept[first : first + width], kept[size + first : size + first + width]
    scale, upstream = scratch[first : first + width], scratch[size + first : size + first + width]
    for j in range(width):
        r = T(0) if target[first + j] == ignored else _upstream(g, divisor, first + j)
        own = T(1 - smoothing) * kept[2 * size + first + j]
        upstream[j] = r
        scale[j] = times(r, (own + T(smoothing / n * weights)) / s[j])
    for i in range(n):
        w = T(smoothing / n) * (weight[i] if weight.size else T(1))
        row = x[start + i * inner : start + i * inner + width]
        out = dx[start + i * inner : start + i * inner + width]
        for j in range(width):
            out[j] = times(scale[j], exp(row[j] - m[j])) - upstream[j] * w
    for j in range(width):
        if upstream[j] != T(0):
            own = T(1 - smoothing) * kept[2 * size + first + j]
            dx[start + target[first + j] * inner + j] -= upstream[j] * own


@kernel
def _class_backward_across(
    g: Any, x: Any, target: Any, weight: Any, kept: Any, divisor: Any, dx: Any, scratch: Any, n: int, inner: int,
    ignored: int, smoothing: float, weights: float,
) -> None:  # fmt: skip
    width = columns_per_patch(n, inner)
    parts = target.size // inner * ((inner + width - 1) // width)
    if x.size < SERIAL_BELOW:
        for part in range(parts):
            _class_backward_patches(
                part, g, x, target, weight, kept, divisor, dx, scratch, n, inner, width, ignored, smoothing, weights
            )
    else:
        parallel_for(
            _class_backward_patches,
            parts,
            (g, x, target, weight, kept, divisor, dx, scratch, n, inner, width, ignored, smoothing, weights),
        )


# --- targets that are probabilities ------------------------------------------------------------------


@kernel(reassociate=True, internal=True)
def _share_lines(
    part: int, x: Any, target: Any, weight: Any, losses: Any, kept: Any, n: int, count: int, smoothing: float
) -> None:
    T = x.dtype.type
    size = losses.size
    for k in range(part * count, min(size, (part + 1) * count)):
        line, share = x[k * n : (k + 1) * n], target[k * n : (k + 1) * n]
        m = largest(line)
        s = sum_of_exponentials(line, m)
        kept[k], kept[size + k] = m, s
        s = log(s)
        loss, total = T(0), T(0)
        for i in range(n):
            q = share[i] * T(1 - smoothing) + T(smoothing / n)
            if weight.size:
                q *= weight[i]
            total += q
            loss += q * ((m - line[i]) + s)
        losses[k], kept[2 * size + k] = loss, total


@kernel
def _share_along(
    x: Any, target: Any, weight: Any, losses: Any, kept: Any, result: Any, divisor: Any, n: int, smoothing: float,
    reduction: int,
) -> bool:  # fmt: skip
    count = lines_per_part(x, n)
    parts = (losses.size + count - 1) // count
    parallel_for(_share_lines, parts, (x, target, weight, losses, kept, n, count, smoothing))
    return _finish(losses, kept, result, divisor, reduction, False)


@kernel(internal=True)
def _share_backward_lines(
    part: int, g: Any, x: Any, target: Any, weight: Any, kept: Any, divisor: Any, dx: Any, n: int, count: int,
    smoothing: float,
) -> None:  # fmt: skip
    T = x.dtype.type
    size = x.size // n
    for k in range(part * count, min(size, (part + 1) * count)):
        line, share, out = x[k * n : (k + 1) * n], target[k * n : (k + 1) * n], dx[k * n : (k + 1) * n]
        r = _upstream(g, divisor, k)
        m = kept[k]
        scale = times(r, kept[2 * size + k] / kept[size + k])
        for i in range(n):
            q = share[i] * T(1 - smoothing) + T(smoothing / n)
            if weight.size:
                q *= weight[i]
            out[i] = times(scale, exp(line[i] - m)) - times(r, q)


@kernel
def _share_backward_along(
    g: Any, x: Any, target: Any, weight: Any, kept: Any, divisor: Any, dx: Any, n: int, smoothing: float
) -> None:
    count = lines_per_part(x, n)
    parts = (x.size // n + count - 1) // count
    parallel_for(_share_backward_lines, parts, (g, x, target, weight, kept, divisor, dx, n, count, smoothing))


# --- the two functions -------------------------------------------------------------------------------

_unweighted = {np.dtype(t): np.empty(0, t) for t in (np.float32, np.float64)}


def _classes(x: np.ndarray) -> tuple[int, int]:
    """n and inner of scores (n,), (N, n) or (N, n, ...)."""
    if x.ndim <= 2:
        return x.shape[-1], 1
    return x.shape[1], math.prod(x.shape[2:])


def _classes_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x


def cross_entropy(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[np.ndarray, Saved]:
    """Cross-entropy of softmax along dimension 1 (0 of a vector), and what the backward needs.

    An int64 `target` has the shape of `x` without the classes; a `target` of the dtype of `x` has its
    shape. The mean is over the weights of the targets, or over the lines for probabilities, as in PyTorch.

    Raises
    ------
    IndexError
        If a target is neither a class nor `ignore_index`.
    """
    n, inner = _classes(x)
    size = x.size // n if n else 0
    losses = memory.empty((size,), x.dtype)
    kept = memory.empty((3 * size,), x.dtype)
    result, divisor = np.empty((), x.dtype), np.empty(1, x.dtype)
    kind = _REDUCTIONS[reduction]
    w = _unweighted[x.dtype] if weight is None else weight.ravel()
    arrays = w, losses, kept, result.ravel(), divisor
    if target.dtype == x.dtype:
        scores, shares = _classes_last(x).ravel(), _classes_last(target).ravel()
        _share_along(scores, shares, *arrays, n, label_smoothing, kind)
    else:
        classes = target.ravel()
        weights = float(n if weight is None else weight.sum())
        options = ignore_index, label_smoothing, weights, kind
        if inner == 1 or size == 0:
            has_nan = _class_along(x.ravel(), classes, *arrays, n, *options)
        else:
            has_nan = _class_across(x.ravel(), classes, *arrays, n, inner, *options)
        if has_nan:
            wrong = classes[(classes != ignore_index) & ((classes < 0) | (classes >= n))]
            if wrong.size:
                raise IndexError(f"cross_entropy: target {wrong[0]} is out of bounds for {n} classes")
    if kind == NONE:
        result = losses.reshape(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())
    return result, Saved(kept, divisor)


def cross_entropy_backward(
    g: np.ndarray,
    x: np.ndarray,
    target: np.ndarray,
    saved: Saved,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> np.ndarray:
    """Gradient of `cross_entropy` in x; `g` is that of the loss, one number or one for each line."""
    n, inner = _classes(x)
    w = _unweighted[x.dtype] if weight is None else weight.ravel()
    if target.dtype == x.dtype:
        scores, shares = _classes_last(x), _classes_last(target)
        dx = memory.empty(scores.shape, x.dtype)
        arrays = g.ravel(), scores.ravel(), shares.ravel(), w, *saved, dx.ravel()
        _share_backward_along(*arrays, n, label_smoothing)
        return np.ascontiguousarray(np.moveaxis(dx, -1, 1)) if x.ndim > 2 else dx
    dx = memory.empty(x.shape, x.dtype)
    weights = float(n if weight is None else weight.sum())
    arrays = g.ravel(), x.ravel(), target.ravel(), w, *saved, dx.ravel()
    if inner == 1 or dx.size == 0:
        _class_backward_along(*arrays, n, ignore_index, label_smoothing, weights)
    else:
        scratch = memory.empty((2 * target.size,), x.dtype)
        _class_backward_across(*arrays, scratch, n, inner, ignore_index, label_smoothing, weights)
    return dx
