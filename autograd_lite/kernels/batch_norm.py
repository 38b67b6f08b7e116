"""Batch norm, alone or together with the ReLU and the 2x2 max pooling that follow it, forward and backward.

Means and variances are taken in two passes, the second about a guess by the first and corrected by what is left
of it, ``var = (sum d^2 - (sum d)^2 / n) / n`` with ``d = x - guess`` (Chan, Golub and LeVeque, "Algorithms for
computing the sample variance", 1983, section 3). A channel is worked on by one thread from its sums to its results,
while it lies in the cache; no sum is split between threads.

In the kernels x is (count, channels, span). Sums run over the count first, element by element of a tile: a row of
whole channels, or a piece of one channel. So vectors are full whatever the span. Then each channel's elements are
added up. Pooling takes pairs of lines from a tile that has just been normalised, and gives its gradient back to such
a tile; what lies between the three operations is never stored.
"""

from __future__ import annotations

import math

import numpy as np

from . import memory
from .jit import kernel
from .norm import Ints, check_channels, filled, parts_of
from .scratch import release, scratch
from .simd import at, lanes
from .simd_norm import (
    TILE,
    TOGETHER,
    add_gradients,
    add_moments,
    add_pooled,
    gradient_rows,
    line_vectors,
    pool_rows,
    pooled_rows,
    scale_rows,
)
from .simd_pool import max_2x2_backward_row, max_2x2_relu_row
from .threading import parallel_for

PART = 1 << 15
"""Elements that are worth a part of their own: more than of rows, as threads that take channels share every row."""
START = np.int64(0)
NOWHERE = np.empty(0, np.uint8)
"""Codes of maxima where nothing is pooled."""


@kernel(internal=True)
def _spread(values, first, channels, work, place, size):
    """Give every element of a tile its channel's value."""
    span = np.uint64(size // channels)
    place = np.uint64(place)
    if span == 1:
        for c in range(np.uint64(channels)):
            work[place + c] = values[np.uint64(first) + c]
        return
    for c in range(channels):
        value = values[first + c]
        for _ in range(span):
            work[place] = value
            place += np.uint64(1)


@kernel(reassociate=True, internal=True)
def _fold(work, place, size, channels, sums, first):
    """Add every element of a tile to its channel's sum."""
    span = np.uint64(size // channels)
    if span == 1:
        for c in range(np.uint64(channels)):
            sums[np.uint64(first) + c] += work[np.uint64(place) + c]
        return
    for c in range(channels):
        start = np.uint64(place) + np.uint64(c) * span
        total = work.dtype.type(0)
        for j in range(span):
            total += work[start + j]
        sums[first + c] += total


@kernel(internal=True)
def _batch_part(
    part, parts, count, channels, span, tile, line, eps, relu, train, x, weight, bias, mean, rstd, var, out, where
):
    pitch = channels * span
    zero, one = x.dtype.type(0), x.dtype.type(1)
    work = scratch((3 + TOGETHER) * TILE, x)
    together = max(1, tile // span)
    last = channels * (part + 1) // parts
    for c in range(channels * part // parts, last, together):
        here = min(together, last - c)
        begin, stop = c * span, (c + here) * span
        width = min(stop - begin, tile)
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
                for j in range(TILE, 3 * TILE):
                    work[j] = zero
                add_moments(rows, size, at(x, start), pitch, at(work, 0))
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
            size = min(width, stop - start)
            if line == 0:
                scale_rows(count, size, at(x, start), pitch, at(work, 0), relu, at(out, start), pitch)
                continue
            vectors = line_vectors(line, lanes(x), size)
            if vectors >= 0:
                results, codes = at(out, start // 4), at(where, start // 4)
                pool_rows(count, size, vectors, at(x, start), pitch, at(work, 0), results, codes, pitch // 4)
            else:
                for n in range(0, count, TOGETHER):
                    some, place = min(TOGETHER, count - n), n * pitch + start
                    scale_rows(some, size, at(x, place), pitch, at(work, 0), False, at(work, 3 * TILE), TILE)
                    for i in range(some):
                        for j in range(0, size, 2 * line):
                            target = (place + i * pitch + j) // 4
                            max_2x2_relu_row(line // 2, line, work, (3 + i) * TILE + j, out, where, target)
    release(work)


@kernel
def _batch(
    parts, count, channels, span, tile, line, eps, relu, train, momentum, x, weight, bias, running_mean, running_var,
    stats, out, where,
):  # fmt: skip
    mean, rstd, var = stats[0], stats[1], stats[2]
    if not train:
        for c in range(channels):
            mean[c] = running_mean[c]
            var[c] = running_var[c]
    args = (
        parts, count, channels, span, tile, line, eps, relu, train, x, weight, bias, mean, rstd, var, out, where
    )  # fmt: skip
    parallel_for(_batch_part, parts, args)
    if train and running_mean.size:
        new = x.dtype.type(momentum)
        number = count * span
        unbiased = x.dtype.type(number) / x.dtype.type(number - 1)
        for c in range(channels):
            running_mean[c] += new * (mean[c] - running_mean[c])
            running_var[c] += new * (var[c] * unbiased - running_var[c])


@kernel(internal=True)
def _pooled_gradients(count, grad, where, place, pitch, size, line, work):
    """Give the gradients of pooled lines back to the rows of the tile that they come from, after the five arrays."""
    for n in range(count):
        for j in range(0, size, 2 * line):
            max_2x2_backward_row(line // 2, line, work, (5 + n) * TILE + j, grad, where, (place + n * pitch + j) // 4)


@kernel(internal=True)
def _batch_backward_part(
    part, parts, count, channels, span, tile, line, relu, train, grad, where, x, weight, bias, mean, rstd, dx,
    dweight, dbias,
):  # fmt: skip
    pitch = channels * span
    work = scratch((5 + TOGETHER) * TILE, x)
    together = max(1, tile // span)
    last = channels * (part + 1) // parts
    share = x.dtype.type(train) / x.dtype.type(count * span)
    for c in range(channels * part // parts, last, together):
        here = min(together, last - c)
        begin, stop = c * span, (c + here) * span
        width = min(stop - begin, tile)
        for i in range(here):
            work[i] = weight[c + i] * rstd[c + i]
            dweight[c + i] = 0
            dbias[c + i] = 0
        _spread(work, START, here, work, TILE, width)
        _spread(mean, c, here, work, START, width)
        _spread(bias, c, here, work, 2 * TILE, width)
        for start in range(begin, stop, width):
            size = min(width, stop - start)
            for j in range(3 * TILE, 5 * TILE):
                work[j] = 0
            vectors = line_vectors(line, lanes(x), size)
            if line == 0:
                add_gradients(count, size, at(grad, start), pitch, at(x, start), pitch, at(work, 0), relu)
            elif vectors >= 0:
                given, codes = at(grad, start // 4), at(where, start // 4)
                add_pooled(count, size, vectors, given, codes, pitch // 4, at(x, start), pitch, at(work, 0))
            else:
                for n in range(0, count, TOGETHER):
                    some, place = min(TOGETHER, count - n), n * pitch + start
                    _pooled_gradients(some, grad, where, place, pitch, size, line, work)
                    given = at(work, 5 * TILE)
                    add_gradients(some, size, given, TILE, at(x, place), pitch, at(work, 0), False)
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
            size = min(width, stop - start)
            vectors = line_vectors(line, lanes(x), size)
            if line == 0:
                given, target = at(grad, start), at(dx, start)
                gradient_rows(count, size, given, pitch, at(x, start), pitch, at(work, 0), relu, target)
            elif vectors >= 0:
                given, codes, target = at(grad, start // 4), at(where, start // 4), at(dx, start)
                pooled_rows(count, size, vectors, given, codes, pitch // 4, at(x, start), pitch, at(work, 0), target)
            else:
                for n in range(0, count, TOGETHER):
                    some, place = min(TOGETHER, count - n), n * pitch + start
                    _pooled_gradients(some, grad, where, place, pitch, size, line, work)
                    given, target = at(work, 5 * TILE), at(dx, place)
                    gradient_rows(some, size, given, TILE, at(x, place), pitch, at(work, 0), False, target)
    release(work)


@kernel
def _batch_backward(
    parts, count, channels, span, tile, line, relu, train, grad, where, x, weight, bias, stats, dx, dweight, dbias
):
    args = (
        parts, count, channels, span, tile, line, relu, train, grad, where, x, weight, bias, stats[0], stats[1], dx,
        dweight, dbias,
    )  # fmt: skip
    parallel_for(_batch_backward_part, parts, args)


def _tile(shape: Ints) -> int:
    """Numbers of a row to take at a time: whole pairs of lines of images that pooling could follow."""
    return int(TILE) // (2 * shape[3]) * 2 * shape[3] if suits_pooling(shape) else int(TILE)


def suits_pooling(shape: Ints) -> bool:
    """Whether `batch_norm_pool` takes inputs of such a shape: images of even extents, and not too wide."""
    return len(shape) == 4 and 0 not in shape and shape[2] % 2 == shape[3] % 2 == 0 and shape[3] <= TILE // 2


def _run(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, running_mean: np.ndarray | None,
    running_var: np.ndarray | None, momentum: float, eps: float, train: bool, relu: bool, pool: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    channels = x.shape[1] if x.ndim > 1 else -1
    check_channels(
        "batch_norm", x, channels, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    if not train and (running_mean is None or running_var is None):
        raise RuntimeError("batch_norm: running_mean and running_var must be given in evaluation mode")
    span = math.prod(x.shape[2:])
    if train and x.shape[0] * span == 1:
        raise ValueError(
            f"batch_norm: expected more than 1 value per channel when training, got input of shape {x.shape}"
        )
    line, shape = 0, x.shape
    if pool:
        if not suits_pooling(shape):
            raise RuntimeError(
                "batch_norm_pool: expected images (N, C, H, W) of even extents no wider than "
                f"{TILE // 2}, got shape {shape}"
            )
        line, shape = shape[3], (*shape[:2], shape[2] // 2, shape[3] // 2)
    out, stats = memory.empty(shape, x.dtype), np.empty((3, channels), x.dtype)
    where = memory.empty(shape, np.dtype(np.uint8)) if pool else NOWHERE
    _batch(
        parts_of(channels, x.size, PART), x.shape[0], channels, span, _tile(x.shape), line, eps, relu, train, momentum,
        x.ravel(), filled(weight, 1, channels, x), filled(bias, 0, channels, x),
        stats[0, :0] if running_mean is None else running_mean, stats[0, :0] if running_var is None else running_var,
        stats, out.ravel(), where.ravel(),
    )  # fmt: skip
    return out, stats, where


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
    return _run(x, weight, bias, running_mean, running_var, momentum, eps, train, relu, False)[:2]


def batch_norm_pool(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    train: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`batch_norm` with a ReLU, and the maxima of what comes out over windows of 2x2.

    To the bit what `pool.max_pool` makes of it. `x` must be such as `suits_pooling` says.

    Returns
    -------
    out : array (N, C, H / 2, W / 2)
    stats : array (3, C)
    where : array of the shape of `out`
        What `batch_norm_pool_backward` needs, and as `pool.max_pool` gives it; 4 where the ReLU was at zero.
    """
    return _run(x, weight, bias, running_mean, running_var, momentum, eps, train, False, True)


def _run_backward(
    grad: np.ndarray, where: np.ndarray, line: int, x: np.ndarray, weight: np.ndarray | None,
    bias: np.ndarray | None, stats: np.ndarray, train: bool, relu: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    channels, span = x.shape[1], math.prod(x.shape[2:])
    dx = memory.empty(x.shape, x.dtype)
    dweight, dbias = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    _batch_backward(
        parts_of(channels, x.size, PART), x.shape[0], channels, span, _tile(x.shape), line, relu, train, grad.ravel(),
        where.ravel(), x.ravel(), filled(weight, 1, channels, x), filled(bias, 0, channels, x), stats, dx.ravel(),
        dweight, dbias,
    )  # fmt: skip
    return dx, dweight, dbias


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
    return _run_backward(grad, NOWHERE, 0, x, weight, bias, stats, train, relu)


def batch_norm_pool_backward(
    grad: np.ndarray, where: np.ndarray, x: np.ndarray, weight: np.ndarray | None, stats: np.ndarray, train: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `batch_norm_pool` to input, weight and bias: those of `batch_norm` to what pooling gives back."""
    return _run_backward(grad, where, x.shape[3], x, weight, None, stats, train, False)
