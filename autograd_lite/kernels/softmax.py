"""softmax and log_softmax, forward and backward.

An array is seen as (outer, n, inner) with the n classes in the middle. Where inner is 1 a line of n numbers
lies in one piece ("lines"); otherwise `inner` softmaxes run side by side in the lanes of the vectors
("patches": as many columns at a time as keep n of them in the cache).

Every exponential is taken of x minus the largest x of its line, so nothing overflows.

A gradient of exactly 0 gives 0, also through a line whose softmax is NaN (one of nothing but -inf, say).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import memory
from .jit import kernel
from .reduce import block_sum
from .special import exp, like, log, maximum, times
from .threading import parallel_for

SPAN = 8192
"""Elements, about, that one thread takes at a time."""
SERIAL_BELOW = 16384
"""Below so many elements a second thread costs more than it brings."""
PATCH = 4096
"""Elements, about, that are worked on side by side."""
BATCH = 1024
"""Elements, about, whose exponentials are taken in one loop."""


def _folded(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """n and inner."""
    return (shape[axis], math.prod(shape[axis + 1 :])) if shape else (1, 1)


@kernel(inline=True)
def lines_per_part(x: Any, n: int) -> int:
    return max(1, x.size // n if x.size < SERIAL_BELOW else SPAN // n)


@kernel(inline=True)
def columns_per_patch(n: int, inner: int) -> int:
    return min(inner, max(64, PATCH // n // 16 * 16))


@kernel(reassociate=True, inline=True)
def largest(line: Any) -> Any:
    m = line[0]
    for i in range(line.size):
        m = maximum(m, line[i])
    return m


@kernel(reassociate=True, inline=True)
def _dot(a: Any, b: Any) -> Any:
    s = a.dtype.type(0)
    for i in range(a.size):
        s += times(a[i], b[i])
    return s


@kernel(reassociate=True, inline=True)
def sum_of_exponentials(line: Any, m: Any) -> Any:
    s = line.dtype.type(0)
    for i in range(line.size):
        s += exp(line[i] - m)
    return s


@kernel(internal=True)
def exponentials(x: Any, first: int, last: int, n: int, m: Any, out: Any) -> None:
    """exp(x - m) of the lines from `first` to `last`, side by side in `out`: no line leaves a vector half full."""
    for k in range(first, last):
        line, difference, shift = x[k * n : (k + 1) * n], out[(k - first) * n : (k - first + 1) * n], m[k]
        for i in range(n):
            difference[i] = line[i] - shift
    flat = out[: (last - first) * n]
    for i in range(flat.size):
        flat[i] = exp(flat[i])


# --- softmax -----------------------------------------------------------------------------------------


@kernel(internal=True)
def _subtract_in_turn(line: Any, m: Any, s: Any, out: Any) -> None:
    """The difference from the peak first, which is exact near it; reassociated, m + s would round `s` away."""
    for i in range(line.size):
        out[i] = (line[i] - m) - s


# A loop that writes must not sum as well: LLVM goes through it one by one where two arrays lie close together, and
# the order of the sum, and its last bit, would depend on the addresses.


@kernel(internal=True)
def _softmax_lines(part: int, x: Any, y: Any, n: int, count: int, logarithm: bool) -> None:
    one = x.dtype.type(1)
    for k in range(part * count, min(x.size // n, (part + 1) * count)):
        line, out = x[k * n : (k + 1) * n], y[k * n : (k + 1) * n]
        m = largest(line)
        if logarithm:
            _subtract_in_turn(line, m, log(sum_of_exponentials(line, m)), out)
        else:
            for i in range(n):
                out[i] = exp(line[i] - m)
            s = one / block_sum(out)
            for i in range(n):
                out[i] *= s


@kernel
def _softmax_along(x: Any, y: Any, n: int, logarithm: bool) -> None:
    count = lines_per_part(x, n)
    lines = x.size // n
    parallel_for(_softmax_lines, (lines + count - 1) // count, (x, y, n, count, logarithm))


@kernel(internal=True)
def largest_in_columns(x: Any, m: Any, start: int, n: int, inner: int) -> None:
    first = x[start : start + m.size]
    for j in range(m.size):
        m[j] = first[j]
    for at in range(start + inner, start + n * inner, inner):
        row = x[at : at + m.size]
        for j in range(m.size):
            m[j] = maximum(m[j], row[j])


@kernel(internal=True)
def sum_exponentials_in_columns(x: Any, m: Any, s: Any, start: int, n: int, inner: int) -> None:
    for j in range(m.size):
        s[j] = like(s[j], 0)
    for at in range(start, start + n * inner, inner):
        row = x[at : at + m.size]
        for j in range(m.size):
            s[j] += exp(row[j] - m[j])


@kernel(internal=True)
def _softmax_patches(part: int, x: Any, y: Any, scratch: Any, n: int, inner: int, width: int, logarithm: bool) -> None:
    patches = (inner + width - 1) // width
    o = part // patches
    lo = (part - o * patches) * width
    width = min(width, inner - lo)
    first, start = o * inner + lo, o * n * inner + lo
    m, s = scratch[first : first + width], scratch[x.size // n + first : x.size // n + first + width]
    largest_in_columns(x, m, start, n, inner)
    if logarithm:
        sum_exponentials_in_columns(x, m, s, start, n, inner)
        for j in range(width):
            s[j] = log(s[j])
        for at in range(start, start + n * inner, inner):
            row, out = x[at : at + width], y[at : at + width]
            for j in range(width):
                out[j] = row[j] - m[j] - s[j]
    else:
        for j in range(width):
            s[j] = like(s[j], 0)
        for at in range(start, start + n * inner, inner):
            row, out = x[at : at + width], y[at : at + width]
            for j in range(width):
                e = exp(row[j] - m[j])
                out[j] = e
                s[j] += e
        for j in range(width):
            s[j] = like(s[j], 1) / s[j]
        for at in range(start, start + n * inner, inner):
            out = y[at : at + width]
            for j in range(width):
                out[j] *= s[j]


@kernel
def _softmax_across(x: Any, y: Any, scratch: Any, n: int, inner: int, logarithm: bool) -> None:
    width = columns_per_patch(n, inner)
    parts = x.size // (n * inner) * ((inner + width - 1) // width)
    if x.size < SERIAL_BELOW:
        for part in range(parts):
            _softmax_patches(part, x, y, scratch, n, inner, width, logarithm)
    else:
        parallel_for(_softmax_patches, parts, (x, y, scratch, n, inner, width, logarithm))


@kernel(internal=True)
def _backward_lines(part: int, g: Any, y: Any, dx: Any, n: int, count: int, logarithm: bool) -> None:
    for k in range(part * count, min(y.size // n, (part + 1) * count)):
        gk, yk, out = g[k * n : (k + 1) * n], y[k * n : (k + 1) * n], dx[k * n : (k + 1) * n]
        if logarithm:
            total = block_sum(gk)
            for i in range(n):
                out[i] = gk[i] - times(total, exp(yk[i]))
        else:
            total = _dot(gk, yk)
            for i in range(n):
                out[i] = times(gk[i] - total, yk[i])


@kernel
def _backward_along(g: Any, y: Any, dx: Any, n: int, logarithm: bool) -> None:
    count = lines_per_part(y, n)
    lines = y.size // n
    parallel_for(_backward_lines, (lines + count - 1) // count, (g, y, dx, n, count, logarithm))


@kernel(internal=True)
def _backward_patches(
    part: int, g: Any, y: Any, dx: Any, sums: Any, n: int, inner: int, width: int, logarithm: bool
) -> None:
    patches = (inner + width - 1) // width
    o = part // patches
    lo = (part - o * patches) * width
    width = min(width, inner - lo)
    total = sums[o * inner + lo : o * inner + lo + width]
    for j in range(width):
        total[j] = like(total[j], 0)
    start = o * n * inner + lo
    for at in range(start, start + n * inner, inner):
        gi, yi = g[at : at + width], y[at : at + width]
        for j in range(width):
            total[j] += gi[j] if logarithm else times(gi[j], yi[j])
    for at in range(start, start + n * inner, inner):
        gi, yi, out = g[at : at + width], y[at : at + width], dx[at : at + width]
        if logarithm:
            for j in range(width):
                out[j] = gi[j] - times(total[j], exp(yi[j]))
        else:
            for j in range(width):
                out[j] = times(gi[j] - total[j], yi[j])


@kernel
def _backward_across(g: Any, y: Any, dx: Any, sums: Any, n: int, inner: int, logarithm: bool) -> None:
    width = columns_per_patch(n, inner)
    parts = y.size // (n * inner) * ((inner + width - 1) // width)
    if y.size < SERIAL_BELOW:
        for part in range(parts):
            _backward_patches(part, g, y, dx, sums, n, inner, width, logarithm)
    else:
        parallel_for(_backward_patches, parts, (g, y, dx, sums, n, inner, width, logarithm))


def _forward(x: np.ndarray, axis: int, logarithm: bool) -> np.ndarray:
    y = memory.empty(x.shape, x.dtype)
    if x.size:
        n, inner = _folded(x.shape, axis)
        if inner == 1:
            _softmax_along(x.ravel(), y.ravel(), n, logarithm)
        else:
            scratch = memory.empty((2 * x.size // n,), x.dtype)
            _softmax_across(x.ravel(), y.ravel(), scratch, n, inner, logarithm)
    return y


def _backward(g: np.ndarray, y: np.ndarray, axis: int, logarithm: bool) -> np.ndarray:
    dx = memory.empty(y.shape, y.dtype)
    if y.size:
        n, inner = _folded(y.shape, axis)
        if inner == 1:
            _backward_along(g.ravel(), y.ravel(), dx.ravel(), n, logarithm)
        else:
            sums = memory.empty((y.size // n,), y.dtype)
            _backward_across(g.ravel(), y.ravel(), dx.ravel(), sums, n, inner, logarithm)
    return dx


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """exp(x) / sum(exp(x)) along `axis`."""
    return _forward(x, axis, False)


def softmax_backward(g: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """y * (g - sum(g * y)), for the result y of `softmax`."""
    return _backward(g, y, axis, False)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """x - log(sum(exp(x))) along `axis`."""
    return _forward(x, axis, True)


def log_softmax_backward(g: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """g - exp(y) * sum(g), for the result y of `log_softmax`."""
    return _backward(g, y, axis, True)
