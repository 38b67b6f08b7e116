"""Normalisation: batch, layer, group and root-mean-square norm, forward and backward.

Means and variances are taken in two passes, the second about the mean of the first and corrected by what
is left of it, ``var = (sum d^2 - (sum d)^2 / n) / n`` with ``d = x - mean`` (Chan, Golub and LeVeque,
"Algorithms for computing the sample variance", 1983, section 3). What is normalised together (a channel of
a batch, a row) is worked on by one thread from its sums to its results, while it lies in the cache; no sum
is split between threads, or it is split into parts that depend on the size alone.
"""

from __future__ import annotations

import math

import numpy as np

from . import memory
from .jit import kernel
from .scratch import release, scratch
from .simd import at as pointer
from .simd_rows import VECTORS, normalise_rows, rows_gradients
from .threading import parallel_for

Ints = tuple[int, ...]

PART = 1 << 14
"""Elements that are worth a part of their own."""


def parts_of(things: int, elements: int, part: int = PART) -> int:
    return max(1, min(things, elements // part))


# ---------------------------------------------------------------------------------------------------
# Rows: layer norm, root-mean-square norm, group norm
#
# A row is `channels` runs of `span` numbers each; weight and bias belong to a channel of one of `groups`
# kinds of rows. Layer norm has a span of one and one kind.
# ---------------------------------------------------------------------------------------------------


@kernel(reassociate=True, inline=True)
def _row_moments(x, at, size, mean):
    first = x.dtype.type(0)
    second = x.dtype.type(0)
    for j in range(size):
        d = x[at + j] - mean
        first += d
        second += d * d
    return first, second


@kernel(internal=True)
def _rows_part(part, parts, rows, groups, channels, span, eps, centred, x, weight, bias, stats, out):
    mean, rstd = stats[0], stats[1]
    begin, end = rows * part // parts, rows * (part + 1) // parts
    size = np.uint64(channels * span)
    at, kind, last = np.uint64(begin) * size, np.uint64(begin % groups * channels), np.uint64(weight.size)
    one, zero = x.dtype.type(1), x.dtype.type(0)
    share = one / x.dtype.type(channels * span)
    if VECTORS and span == 1 and groups == 1:
        own = scratch(1, x)
        own[0] = x.dtype.type(eps)
        start = begin * channels
        normalise_rows(
            end - begin, channels, pointer(x, start), pointer(weight, 0), pointer(bias, 0), centred, pointer(own, 0),
            pointer(mean, begin), pointer(rstd, begin), pointer(out, start),
        )  # fmt: skip
        release(own)
        begin = end
    for row in range(begin, end):
        middle = zero
        if centred:
            middle = _row_moments(x, at, size, zero)[0] * share
        first, second = _row_moments(x, at, size, middle)
        rest = first * share if centred else zero
        middle += rest
        r = one / np.sqrt(max(second * share - rest * rest, zero) + x.dtype.type(eps))
        mean[row] = middle
        rstd[row] = r
        if span == 1:
            for j in range(size):
                out[at + j] = (x[at + j] - middle) * r * weight[kind + j] + bias[kind + j]
            at += size
            kind += size
        else:
            for _ in range(channels):
                scale, shift = r * weight[kind], bias[kind]
                for j in range(np.uint64(span)):
                    out[at + j] = (x[at + j] - middle) * scale + shift
                at += np.uint64(span)
                kind += np.uint64(1)
        if kind == last:
            kind = np.uint64(0)


@kernel
def _rows(parts, rows, groups, channels, span, eps, centred, x, weight, bias, stats, out):
    args = (parts, rows, groups, channels, span, eps, centred, x, weight, bias, stats, out)
    parallel_for(_rows_part, parts, args)


@kernel(reassociate=True, inline=True)
def _row_gradients(grad, x, at, size, weight, kind, mean):
    """Sums over a row of span one of ``g = grad * weight`` and of its product with ``x - mean``."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for j in range(size):
        g = grad[at + j] * weight[kind + j]
        first += g
        second += g * (x[at + j] - mean)
    return first, second


@kernel(reassociate=True, inline=True)
def _run_gradients(grad, x, at, span, mean):
    """Sums over one run of the gradient and of its product with ``x - mean``."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for j in range(span):
        g = grad[at + j]
        first += g
        second += g * (x[at + j] - mean)
    return first, second


@kernel(internal=True)
def _rows_backward_part(part, parts, rows, groups, channels, span, centred, grad, x, weight, stats, dx, given):
    mean, rstd = stats[0], stats[1]
    begin, end = rows * part // parts, rows * (part + 1) // parts
    run, size, last = np.uint64(span), np.uint64(channels * span), np.uint64(weight.size)
    at, kind = np.uint64(begin) * size, np.uint64(begin % groups * channels)
    share = x.dtype.type(1) / x.dtype.type(channels * span)
    sums = scratch(2 * weight.size, x)
    for j in range(2 * last):
        sums[j] = 0
    if VECTORS and span == 1 and groups == 1:
        start = begin * channels
        rows_gradients(
            end - begin, channels, pointer(grad, start), pointer(x, start), pointer(weight, 0), pointer(mean, begin),
            pointer(rstd, begin), centred, pointer(dx, start), pointer(sums, 0),
        )  # fmt: skip
        begin = end
    for row in range(begin, end):
        m, r = mean[row], rstd[row]
        first, second = x.dtype.type(0), x.dtype.type(0)
        if span == 1:
            first, second = _row_gradients(grad, x, at, size, weight, kind, m)
            second *= r
        else:
            for c in range(np.uint64(channels)):
                total, product = _run_gradients(grad, x, at + c * run, run, m)
                product *= r
                sums[kind + c] += product
                sums[last + kind + c] += total
                first += weight[kind + c] * total
                second += weight[kind + c] * product
        level = -first * share * r if centred else first * x.dtype.type(0)
        slope = -second * share * r
        if span == 1:
            for j in range(size):
                g, u = grad[at + j], (x[at + j] - m) * r
                dx[at + j] = g * weight[kind + j] * r + (u * slope + level)
                sums[kind + j] += g * u
                sums[last + kind + j] += g
            at += size
            kind += size
        else:
            for _ in range(channels):
                w = weight[kind] * r
                for j in range(run):
                    dx[at + j] = grad[at + j] * w + ((x[at + j] - m) * r * slope + level)
                at += run
                kind += np.uint64(1)
        if kind == last:
            kind = np.uint64(0)
    given[part] = sums
    release(sums)


@kernel
def _rows_backward(parts, rows, groups, channels, span, centred, grad, x, weight, stats, dx, given):
    """`given` has a row for each part: its sums for the weight, then those for the bias."""
    parallel_for(
        _rows_backward_part, parts, (parts, rows, groups, channels, span, centred, grad, x, weight, stats, dx, given)
    )
    for part in range(1, parts):
        for j in range(given.shape[1]):
            given[0, j] += given[part, j]


def filled(array: np.ndarray | None, fill: float, size: int, like: np.ndarray) -> np.ndarray:
    """The array, flat and contiguous; one of `size` times `fill` in place of None."""
    return np.full(size, fill, like.dtype) if array is None else array.ravel()


def check_channels(name: str, x: np.ndarray, size: int, **arrays: np.ndarray | None) -> None:
    """Each of `arrays` must have `size` elements of the dtype of `x`."""
    shape, dtype = (size,), x.dtype
    for key, array in arrays.items():
        if array is not None and (array.shape != shape or array.dtype != dtype):
            raise RuntimeError(
                f"{name}: {key} must be {dtype} of shape {shape} for an input of shape {x.shape} and "
                f"dtype {dtype}, got {array.dtype} of shape {array.shape}"
            )


ROW_PARTS = 16
"""Most parts of a backward pass over rows; each keeps its own sums for weight and bias."""


def _normalise_rows(
    x: np.ndarray, groups: int, channels: int, span: int, eps: float, centred: bool,
    weight: np.ndarray | None, bias: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    rows, size = x.size // max(channels * span, 1), groups * channels
    out, stats = memory.empty(x.shape, x.dtype), np.empty((2, rows), x.dtype)
    _rows(
        parts_of(rows, x.size), rows, groups, channels, span, eps, centred, x.ravel(), filled(weight, 1, size, x),
        filled(bias, 0, size, x), stats, out.ravel(),
    )  # fmt: skip
    return out, stats


def _rows_gradients(
    grad: np.ndarray, x: np.ndarray, groups: int, shape: Ints, span: int, centred: bool,
    weight: np.ndarray | None, stats: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients to input, weight and bias, the last two of the given shape."""
    size = math.prod(shape)
    channels = size // groups
    rows = x.size // max(channels * span, 1)
    parts = max(1, min(rows, x.size // PART, ROW_PARTS))
    dx, given = memory.empty(x.shape, x.dtype), np.empty((parts, 2, *shape), x.dtype)
    _rows_backward(
        parts, rows, groups, channels, span, centred, grad.ravel(), x.ravel(), filled(weight, 1, size, x), stats,
        dx.ravel(), given.reshape(parts, 2 * size),
    )  # fmt: skip
    return dx, given[0, 0], given[0, 1]


def layer_norm(
    x: np.ndarray, shape: Ints, weight: np.ndarray | None, bias: np.ndarray | None, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """Normalise over the last axes: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Parameters
    ----------
    x : array (..., *shape), float32 or float64, C-contiguous
    shape : tuple of int
        The axes that are normalised together.
    weight, bias : array of `shape`, or None for ones and zeros

    Returns
    -------
    out : array of the shape of `x`
    stats : array (2, rows)
        Mean and ``rstd = 1 / sqrt(var + eps)`` of each row, for `layer_norm_backward`.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016, section 3.
    """
    return _normalise_rows(x, 1, math.prod(shape), 1, eps, True, weight, bias)


def layer_norm_backward(
    grad: np.ndarray, x: np.ndarray, shape: Ints, weight: np.ndarray | None, stats: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `layer_norm` to input, weight and bias.

    With ``u = (x - mean) rstd``, ``g = grad * weight`` and means over a row,

        dx = rstd (g - mean(g) - u mean(g u)),   dweight = sum grad u,   dbias = sum grad.
    """
    return _rows_gradients(grad, x, 1, shape, 1, True, weight, stats)


def rms_norm(
    x: np.ndarray, shape: Ints, weight: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide by the root of the mean square over the last axes: ``y = x / sqrt(mean(x^2) + eps) * weight``.

    Returns the result and its `stats`, as `layer_norm` does, with means of zero. Source: Zhang and Sennrich, "Root mean
    square layer normalization", NeurIPS 2019, equation 4.
    """
    return _normalise_rows(x, 1, math.prod(shape), 1, eps, False, weight, None)


def rms_norm_backward(
    grad: np.ndarray, x: np.ndarray, shape: Ints, weight: np.ndarray | None, stats: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of `rms_norm` to input and weight: those of `layer_norm` with a mean of zero."""
    return _rows_gradients(grad, x, 1, shape, 1, False, weight, stats)[:2]


def group_norm(
    x: np.ndarray, groups: int, weight: np.ndarray | None, bias: np.ndarray | None, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """Normalise each of `groups` groups of neighbouring channels of each sample; see `layer_norm`.

    Parameters
    ----------
    x : array (N, C, ...), float32 or float64, C-contiguous
    groups : int
        A divisor of C. With C groups this is instance norm.
    weight, bias : array (C,), or None for ones and zeros

    Raises
    ------
    RuntimeError
        If `groups` does not divide C, or shapes or dtypes do not fit each other.

    References
    ----------
    Wu and He, "Group normalization", ECCV 2018, section 3.
    """
    channels = x.shape[1] if x.ndim > 1 else -1
    if groups < 1 or channels < 0 or channels % groups:
        raise RuntimeError(
            f"group_norm: expected the number of channels in the input to be divisible by num_groups, got "
            f"input of shape {x.shape} and num_groups={groups}"
        )
    check_channels("group_norm", x, channels, weight=weight, bias=bias)
    span = math.prod(x.shape[2:])
    return _normalise_rows(x, groups, channels // groups, span, eps, True, weight, bias)


def group_norm_backward(
    grad: np.ndarray, x: np.ndarray, groups: int, weight: np.ndarray | None, stats: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `group_norm` to input, weight and bias; formulas as in `layer_norm_backward`."""
    return _rows_gradients(grad, x, groups, x.shape[1:2], math.prod(x.shape[2:]), True, weight, stats)
