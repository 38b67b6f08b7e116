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
from .scratch import scratch
from .threading import parallel_for

Ints = tuple[int, ...]

PART = 1 << 14
"""Elements that are worth a part of their own."""
TILE = np.int64(512)
"""Numbers of a row that batch norm takes at a time; its working arrays of this length stay in the L1 cache.
(A plain int would be a literal to Numba, which would compile the helpers once for each.)"""
START = np.int64(0)


def _parts(things: int, elements: int) -> int:
    return max(1, min(things, elements // PART))


# ---------------------------------------------------------------------------------------------------
# Batch norm: x is (count, channels, span)
#
# Sums run over the count first, element by element of a tile: a row of whole channels, or a piece of one
# channel. So vectors are full whatever the span. Then each channel's elements are added up.
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _spread(values, first, channels, work, at, size):
    """Give every element of a tile its channel's value."""
    span = np.uint64(size // channels)
    at = np.uint64(at)
    for c in range(channels):
        value = values[first + c]
        for _ in range(span):
            work[at] = value
            at += np.uint64(1)


@kernel(reassociate=True, internal=True)
def _fold(work, at, size, channels, sums, first):
    """Add every element of a tile to its channel's sum."""
    span = np.uint64(size // channels)
    for c in range(channels):
        start = np.uint64(at) + np.uint64(c) * span
        total = work.dtype.type(0)
        for j in range(span):
            total += work[start + j]
        sums[first + c] += total


@kernel(internal=True)
def _add_moments(x, start, pitch, count, work, size):
    """Sums over the count of ``d = x - mean`` and of its square; two rows at a time spare memory traffic."""
    size = np.uint64(size)
    first, second = np.uint64(TILE), np.uint64(2 * TILE)
    at = np.uint64(start)
    for j in range(size):
        d = x[at + j] - work[j] if count % 2 else work.dtype.type(0)
        work[first + j] = d
        work[second + j] = d * d
    for n in range(count % 2, count, 2):
        at = np.uint64(start + n * pitch)
        following = at + np.uint64(pitch)
        for j in range(size):
            d = x[at + j] - work[j]
            e = x[following + j] - work[j]
            work[first + j] += d + e
            work[second + j] += d * d + e * e


@kernel(internal=True)
def _scale_rows(x, start, pitch, count, work, size, relu, out):
    zero = x.dtype.type(0)
    scale, bias = np.uint64(TILE), np.uint64(2 * TILE)
    for n in range(count):
        at = np.uint64(start + n * pitch)
        for j in range(np.uint64(size)):
            y = (x[at + j] - work[j]) * work[scale + j] + work[bias + j]
            out[at + j] = zero if relu & (y < zero) else y


@kernel(internal=True)
def _batch_part(part, parts, count, channels, span, eps, relu, train, x, weight, bias, mean, rstd, var, out):
    pitch = channels * span
    zero, one = x.dtype.type(0), x.dtype.type(1)
    work = scratch(3 * TILE, x)
    together = max(1, TILE // span)
    last = channels * (part + 1) // parts
    for c in range(channels * part // parts, last, together):
        here = min(together, last - c)
        begin, stop = c * span, (c + here) * span
        width = min(stop - begin, TILE)
        for turn in range(2 * train):
            # The first turn takes the means of one row as a guess; the second, all moments about the guess.
            # A guess from the data itself is within sqrt(count) standard deviations of the mean.
            rows = count if turn else 1
            number = x.dtype.type(rows * span)
            for i in range(c, c + here):
                mean[i] = mean[i] if turn else zero
                rstd[i] = zero
                var[i] = zero
            _spread(mean, c, here, work, START, width)
            for start in range(begin, stop, width):
                size = min(width, stop - start)
                _add_moments(x, start, pitch, rows, work, size)
                _fold(work, TILE, size, here, rstd, c)
                _fold(work, 2 * TILE, size, here, var, c)
            for i in range(c, c + here):
                rest = rstd[i] / number
                mean[i] += rest
                var[i] = max(var[i] / number - rest * rest, zero)
        for i in range(c, c + here):
            rstd[i] = one / np.sqrt(var[i] + x.dtype.type(eps))
            work[i - c] = weight[i] * rstd[i]
        _spread(work, START, here, work, TILE, width)
        _spread(mean, c, here, work, START, width)
        _spread(bias, c, here, work, 2 * TILE, width)
        for start in range(begin, stop, width):
            _scale_rows(x, start, pitch, count, work, min(width, stop - start), relu, out)


@kernel
def _batch(
    parts, count, channels, span, eps, relu, train, momentum, x, weight, bias, running_mean, running_var,
    mean, rstd, var, out,
):  # fmt: skip
    if not train:
        for c in range(channels):
            mean[c] = running_mean[c]
            var[c] = running_var[c]
    args = (parts, count, channels, span, eps, relu, train, x, weight, bias, mean, rstd, var, out)
    parallel_for(_batch_part, parts, args)
    if train and running_mean.size:
        new = x.dtype.type(momentum)
        number = count * span
        unbiased = x.dtype.type(number) / x.dtype.type(number - 1)
        for c in range(channels):
            running_mean[c] += new * (mean[c] - running_mean[c])
            running_var[c] += new * (var[c] * unbiased - running_var[c])


@kernel(internal=True)
def _add_gradients(grad, x, start, pitch, count, work, size, relu):
    """Sums over the count of the gradient before the ReLU and of its product with ``x - mean``."""
    zero = x.dtype.type(0)
    size = np.uint64(size)
    scale, bias = np.uint64(TILE), np.uint64(2 * TILE)
    first, second = np.uint64(3 * TILE), np.uint64(4 * TILE)
    for j in range(size):
        work[first + j] = zero
        work[second + j] = zero
    for n in range(count):
        at = np.uint64(start + n * pitch)
        for j in range(size):
            d = x[at + j] - work[j]
            g = zero if relu & (d * work[scale + j] + work[bias + j] <= zero) else grad[at + j]
            work[first + j] += g
            work[second + j] += g * d


@kernel(internal=True)
def _gradient_rows(grad, x, start, pitch, count, work, size, relu, dx):
    zero = x.dtype.type(0)
    scale, bias = np.uint64(TILE), np.uint64(2 * TILE)
    level, slope = np.uint64(3 * TILE), np.uint64(4 * TILE)
    for n in range(count):
        at = np.uint64(start + n * pitch)
        for j in range(np.uint64(size)):
            d = x[at + j] - work[j]
            g = zero if relu & (d * work[scale + j] + work[bias + j] <= zero) else grad[at + j]
            dx[at + j] = work[scale + j] * g + (work[slope + j] * d + work[level + j])


@kernel(internal=True)
def _batch_backward_part(
    part, parts, count, channels, span, relu, train, grad, x, weight, bias, mean, rstd, dx, dweight, dbias
):
    pitch = channels * span
    work = scratch(5 * TILE, x)
    together = max(1, TILE // span)
    last = channels * (part + 1) // parts
    share = x.dtype.type(train) / x.dtype.type(count * span)
    for c in range(channels * part // parts, last, together):
        here = min(together, last - c)
        begin, stop = c * span, (c + here) * span
        width = min(stop - begin, TILE)
        for i in range(here):
            work[i] = weight[c + i] * rstd[c + i]
            dweight[c + i] = 0
            dbias[c + i] = 0
        _spread(work, START, here, work, TILE, width)
        _spread(mean, c, here, work, START, width)
        _spread(bias, c, here, work, 2 * TILE, width)
        for start in range(begin, stop, width):
            size = min(width, stop - start)
            _add_gradients(grad, x, start, pitch, count, work, size, relu)
            _fold(work, 3 * TILE, size, here, dbias, c)
            _fold(work, 4 * TILE, size, here, dweight, c)
        for i in range(here):
            dweight[c + i] *= rstd[c + i]
            work[3 * TILE + i] = -share * weight[c + i] * rstd[c + i] * rstd[c + i] * dweight[c + i]
        _spread(work, 3 * TILE, here, work, 4 * TILE, width)
        for i in range(here):
            work[i] = -share * weight[c + i] * rstd[c + i] * dbias[c + i]
        _spread(work, START, here, work, 3 * TILE, width)
        _spread(mean, c, here, work, START, width)
        for start in range(begin, stop, width):
            _gradient_rows(grad, x, start, pitch, count, work, min(width, stop - start), relu, dx)


@kernel
def _batch_backward(
    parts, count, channels, span, relu, train, grad, x, weight, bias, mean, rstd, dx, dweight, dbias
):
    args = (parts, count, channels, span, relu, train, grad, x, weight, bias, mean, rstd, dx, dweight, dbias)
    parallel_for(_batch_backward_part, parts, args)


# ---------------------------------------------------------------------------------------------------
# Rows: layer norm, root-mean-square norm, group norm
#
# A row is `channels` runs of `span` numbers each; weight and bias belong to a channel of one of `groups`
# kinds of rows. Layer norm has a span of one and one kind.
# ---------------------------------------------------------------------------------------------------


@kernel(reassociate=True, inline=True, internal=True)
def _row_moments(x, at, size, mean):
    first = x.dtype.type(0)
    second = x.dtype.type(0)
    for j in range(size):
        d = x[at + j] - mean
        first += d
        second += d * d
    return first, second


@kernel(internal=True)
def _rows_part(part, parts, rows, groups, channels, span, eps, centred, x, weight, bias, mean, rstd, out):
    begin, end = rows * part // parts, rows * (part + 1) // parts
    size = np.uint64(channels * span)
    at, kind, last = np.uint64(begin) * size, np.uint64(begin % groups * channels), np.uint64(weight.size)
    one, zero = x.dtype.type(1), x.dtype.type(0)
    share = one / x.dtype.type(channels * span)
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
def _rows(parts, rows, groups, channels, span, eps, centred, x, weight, bias, mean, rstd, out):
    args = (parts, rows, groups, channels, span, eps, centred, x, weight, bias, mean, rstd, out)
    parallel_for(_rows_part, parts, args)


@kernel(reassociate=True, inline=True, internal=True)
def _row_gradients(grad, x, at, size, weight, kind, mean):
    """Sums over a row of span one of ``g = grad * weight`` and of its product with ``x - mean``."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for j in range(size):
        g = grad[at + j] * weight[kind + j]
        first += g
        second += g * (x[at + j] - mean)
    return first, second


@kernel(reassociate=True, inline=True, internal=True)
def _run_gradients(grad, x, at, span, mean):
    """Sums over one run of the gradient and of its product with ``x - mean``."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for j in range(span):
        g = grad[at + j]
        first += g
        second += g * (x[at + j] - mean)
    return first, second


@kernel(internal=True)
def _rows_backward_part(
    part, parts, rows, groups, channels, span, centred, grad, x, weight, mean, rstd, dx, dweight, dbias
):
    begin, end = rows * part // parts, rows * (part + 1) // parts
    run, size, last = np.uint64(span), np.uint64(channels * span), np.uint64(weight.size)
    at, kind, own = np.uint64(begin) * size, np.uint64(begin % groups * channels), np.uint64(part) * last
    share = x.dtype.type(1) / x.dtype.type(channels * span)
    sums = scratch(2 * weight.size, x)
    for j in range(2 * last):
        sums[j] = 0
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
    for j in range(last):
        dweight[own + j] = sums[j]
        dbias[own + j] = sums[last + j]


@kernel
def _rows_backward(
    parts, rows, groups, channels, span, centred, grad, x, weight, mean, rstd, dx, dweight, dbias
):
    args = (parts, rows, groups, channels, span, centred, grad, x, weight, mean, rstd, dx, dweight, dbias)
    parallel_for(_rows_backward_part, parts, args)
    size = np.uint64(groups * channels)
    for part in range(1, parts):
        other = np.uint64(part) * size
        for j in range(size):
            dweight[j] += dweight[other + j]
            dbias[j] += dbias[other + j]


def _flat(array: np.ndarray | None, fill: float, size: int, like: np.ndarray) -> np.ndarray:
    return np.full(size, fill, like.dtype) if array is None else np.ascontiguousarray(array)


def _check_channels(name: str, x: np.ndarray, arrays: dict[str, np.ndarray | None], size: int) -> None:
    for key, array in arrays.items():
        if array is not None and (array.shape != (size,) or array.dtype != x.dtype):
            raise RuntimeError(
                f"{name}: {key} must be {x.dtype} of shape ({size},) for an input of shape {x.shape} and "
                f"dtype {x.dtype}, got {array.dtype} of shape {array.shape}"
            )


def batch_norm(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    train: bool = True,
    relu: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Normalise each channel over the batch: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Parameters
    ----------
    x : array (N, C, ...), float32 or float64, C-contiguous
    weight, bias : array (C,), or None for ones and zeros
    running_mean, running_var : array (C,) or None
        When training they move by `momentum` towards the batch's mean and unbiased variance, in place; in
        evaluation they are what `x` is normalised by.
    relu : bool
        Apply a ReLU as well.

    Returns
    -------
    out : array of the shape of `x`
    stats : array (3, C)
        Mean, 1 / sqrt(var + eps) and biased variance that were used; `batch_norm_backward` wants them.

    Raises
    ------
    RuntimeError
        If shapes or dtypes do not fit each other.
    ValueError
        If there is but one value per channel to train on.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization", ICML 2015, algorithm 1.
    """
    channels = x.shape[1] if x.ndim > 1 else -1
    arrays = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    _check_channels("batch_norm", x, arrays, channels)
    if not train and (running_mean is None or running_var is None):
        raise RuntimeError("batch_norm: running_mean and running_var must be given in evaluation mode")
    span = math.prod(x.shape[2:])
    if train and x.shape[0] * span == 1:
        raise ValueError(
            f"batch_norm: expected more than 1 value per channel when training, got input of shape {x.shape}"
        )
    out = memory.empty(x.shape, x.dtype)
    stats = np.empty((3, channels), x.dtype)
    nothing = stats[0, :0]
    _batch(
        _parts(channels, x.size), x.shape[0], channels, span, eps, relu, train, momentum, x.reshape(-1),
        _flat(weight, 1, channels, x), _flat(bias, 0, channels, x),
        nothing if running_mean is None else running_mean, nothing if running_var is None else running_var,
        *stats, out.reshape(-1),
    )  # fmt: skip
    return out, stats


def batch_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    stats: np.ndarray,
    train: bool = True,
    relu: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `batch_norm` to its input, weight and bias.

    With ``u = (x - mean) rstd``, sums over all values of a channel, n of them, and `grad` taken as zero where
    a fused ReLU was at zero,

        dbias = sum grad,   dweight = sum grad u,
        dx = weight rstd (grad - (dbias + u dweight) / n),

    and without the bracket's second term in evaluation mode, where the statistics are constants.
    """
    channels, span = x.shape[1], math.prod(x.shape[2:])
    dx = memory.empty(x.shape, x.dtype)
    dweight, dbias = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    _batch_backward(
        _parts(channels, x.size), x.shape[0], channels, span, relu, train, grad.reshape(-1), x.reshape(-1),
        _flat(weight, 1, channels, x), _flat(bias, 0, channels, x), stats[0], stats[1], dx.reshape(-1),
        dweight, dbias,
    )  # fmt: skip
    return dx, dweight, dbias


ROW_PARTS = 16
"""Most parts of a backward pass over rows; each keeps its own sums for weight and bias."""


def _normalise_rows(
    x: np.ndarray, groups: int, channels: int, span: int, eps: float, centred: bool,
    weight: np.ndarray | None, bias: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    rows = x.size // max(channels * span, 1)
    out = memory.empty(x.shape, x.dtype)
    mean, rstd = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    scale, shift = _flat(weight, 1, groups * channels, x), _flat(bias, 0, groups * channels, x)
    args = (x.reshape(-1), scale.reshape(-1), shift.reshape(-1), mean, rstd, out.reshape(-1))
    _rows(_parts(rows, x.size), rows, groups, channels, span, eps, centred, *args)
    return out, mean, rstd


def _rows_gradients(
    grad: np.ndarray, x: np.ndarray, groups: int, channels: int, span: int, centred: bool,
    weight: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    rows = x.size // max(channels * span, 1)
    parts = max(1, min(rows, x.size // PART, ROW_PARTS))
    dx = memory.empty(x.shape, x.dtype)
    dweight, dbias = np.empty((2, parts, groups * channels), x.dtype)
    scale = _flat(weight, 1, groups * channels, x).reshape(-1)
    args = (scale, mean, rstd, dx.reshape(-1), dweight.reshape(-1), dbias.reshape(-1))
    _rows_backward(parts, rows, groups, channels, span, centred, grad.reshape(-1), x.reshape(-1), *args)
    return dx, dweight[0], dbias[0]


def layer_norm(
    x: np.ndarray, shape: Ints, weight: np.ndarray | None, bias: np.ndarray | None, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    mean, rstd : array (rows,)
        Statistics of each row, for `layer_norm_backward`.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016, section 3.
    """
    return _normalise_rows(x, 1, math.prod(shape), 1, eps, True, weight, bias)


def layer_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    shape: Ints,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `layer_norm` to input, weight and bias.

    With ``u = (x - mean) rstd``, ``g = grad * weight`` and means over a row,

        dx = rstd (g - mean(g) - u mean(g u)),   dweight = sum grad u,   dbias = sum grad.
    """
    dx, dw, db = _rows_gradients(grad, x, 1, math.prod(shape), 1, True, weight, mean, rstd)
    return dx, dw.reshape(shape), db.reshape(shape)


def rms_norm(
    x: np.ndarray, shape: Ints, weight: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide by the root of the mean square over the last axes: ``y = x / sqrt(mean(x^2) + eps) * weight``.

    Returns the result and ``1 / sqrt(mean(x^2) + eps)`` of each row. Source: Zhang and Sennrich, "Root mean
    square layer normalization", NeurIPS 2019, equation 4.
    """
    out, _, rstd = _normalise_rows(x, 1, math.prod(shape), 1, eps, False, weight, None)
    return out, rstd


def rms_norm_backward(
    grad: np.ndarray, x: np.ndarray, shape: Ints, weight: np.ndarray | None, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of `rms_norm` to input and weight: those of `layer_norm` with a mean of zero."""
    mean = np.zeros_like(rstd)
    dx, dw, _ = _rows_gradients(grad, x, 1, math.prod(shape), 1, False, weight, mean, rstd)
    return dx, dw.reshape(shape)


def group_norm(
    x: np.ndarray, groups: int, weight: np.ndarray | None, bias: np.ndarray | None, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    _check_channels("group_norm", x, {"weight": weight, "bias": bias}, channels)
    span = math.prod(x.shape[2:])
    return _normalise_rows(x, groups, channels // groups, span, eps, True, weight, bias)


def group_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    groups: int,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `group_norm` to input, weight and bias; formulas as in `layer_norm_backward`."""
    channels, span = x.shape[1] // groups, math.prod(x.shape[2:])
    return _rows_gradients(grad, x, groups, channels, span, True, weight, mean, rstd)
