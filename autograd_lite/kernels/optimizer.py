"""Optimizer steps: every parameter of a group is updated by one call, in one pass over its arrays.

A call is handed one flat tuple of arrays, ``(p, g, states...)`` of the first parameter, then of the
second, and so on, by its address (see `tuples`). Before anything is written the kernel checks that all
arrays are C-contiguous, writable, of one dtype, and of one size per parameter.

Hyperparameters come in a float64 array, are combined there, and are rounded once to the dtype of the
parameters. Parameters are cut into chunks of fixed size, which threads share; updates are
elementwise and norms are added up in chunk order, so results do not depend on the thread count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .jit import kernel
from .threading import parallel_for
from .tuples import count_steps, piece, size_of, steps_of, usable

CHUNK = 1 << 11
"""Elements that are not divided between threads."""
PARTS = 32
"""Parts of the work, each a share of every parameter."""
PARALLEL_FROM = 1 << 13
"""Calls with fewer elements in all stay on one thread. It is soon worth it to wake another: the gradients may lie in
its cache."""
TILE = 1024
"""Elements that stay in the first-level cache from one loop to the next."""

STEP = np.zeros(1, np.float32)
"""An array of the dtype of step counts."""
_LIKE = {np.dtype(t): np.empty(1, t) for t in (np.float32, np.float64)}


@kernel(internal=True, separate=True)
def _plan(arrays: int, count: int, width: int, full: int) -> tuple[int, int]:
    """How many chunks there are, and in how many parts to do them; -1 if an array is not fit.

    Of each parameter's `width` entries the first `full` must have its size and the dtype of the first
    parameter; a further one is its step count: a single element of the dtype of the tuple's last entry.
    """
    begin, last = np.int64(0), count * width  # (a literal 0 would have its callees compiled twice)
    chunks, total = 0, 0
    for i in range(count):
        first = i * width
        for entry in range(first, first + full):
            if not usable(arrays, entry, begin, last) or size_of(arrays, entry) != size_of(arrays, first):
                return -1, -1
        for entry in range(first + full, first + width):
            if not usable(arrays, entry, last, last) or size_of(arrays, entry) != 1:
                return -1, -1
        size = size_of(arrays, first)
        chunks += (size + CHUNK - 1) // CHUNK
        total += size
    return chunks, PARTS if total >= PARALLEL_FROM else min(chunks, 1)


@kernel(internal=True)
def _share(arrays: int, k: int, width: int, part: int, parts: int) -> tuple[int, int, int]:
    """The first entry of parameter `k`, and the start and size of what `part` does of it: whole chunks.

    A part does the same share of every parameter, so that a thread updates those rows of the weights whose
    gradient it has computed; what is left over starts at another part in each.
    """
    size = size_of(arrays, k * width)
    chunks = (size + CHUNK - 1) // CHUNK
    shift = 13 * k % parts
    start = min((chunks * part + shift) // parts * CHUNK, size)
    return k * width, start, min((chunks * (part + 1) + shift) // parts * CHUNK, size) - start


# Each update is a kernel that does one part, and one that checks and starts them.

# ---------------------------------------------------------------------------------------------- SGD


@kernel(internal=True)
def _sgd_part(part: int, parts: int, count: int, arrays: int, h: np.ndarray, like: np.ndarray) -> None:
    real = like.dtype.type
    lr, sign, decay = real(h[0]), real(h[1]), real(h[2])
    for k in range(count):
        i, start, size = _share(arrays, k, 2, part, parts)
        if size == 0:
            continue
        p = piece(arrays, i, start, size, like)
        g = piece(arrays, i + 1, start, size, like)
        for j in range(size):
            d = sign * g[j]
            if decay != 0:
                d += decay * p[j]
            p[j] -= lr * d


@kernel
def _sgd(arrays: int, count: int, h: np.ndarray, like: np.ndarray) -> int:
    chunks, parts = _plan(arrays, count, 2, 2)
    parallel_for(_sgd_part, parts, (parts, count, arrays, h, like))
    return chunks


@kernel(internal=True)
def _momentum_part(part: int, parts: int, count: int, arrays: int, h: np.ndarray, like: np.ndarray) -> None:
    real = like.dtype.type
    lr, sign, decay, momentum, fresh, nesterov = (
        real(h[0]), real(h[1]), real(h[2]), real(h[3]), real(h[4]), h[5] != 0,
    )  # fmt: skip
    for k in range(count):
        i, start, size = _share(arrays, k, 3, part, parts)
        if size == 0:
            continue
        p = piece(arrays, i, start, size, like)
        g = piece(arrays, i + 1, start, size, like)
        b = piece(arrays, i + 2, start, size, like)
        for j in range(size):
            d = sign * g[j]
            if decay != 0:
                d += decay * p[j]
            b[j] = momentum * b[j] + fresh * d
            if nesterov:
                d += momentum * b[j]
            else:
                d = b[j]
            p[j] -= lr * d


@kernel
def _momentum(arrays: int, count: int, h: np.ndarray, like: np.ndarray) -> int:
    chunks, parts = _plan(arrays, count, 3, 3)
    parallel_for(_momentum_part, parts, (parts, count, arrays, h, like))
    return chunks


# --------------------------------------------------------------------------------------------- Adam


@kernel(internal=True)
def _adam_part(part: int, parts: int, count: int, arrays: int, width: int, h: np.ndarray, like: np.ndarray) -> None:
    real = like.dtype.type
    beta2, eps, sign = real(h[2]), real(h[3]), real(h[6])
    fresh1, fresh2 = real(1 - h[1]), real(1 - h[2])
    decay = real(h[4] if h[5] == 0 else 0.0)
    shrink = real(1 - h[0] * h[4] if h[5] != 0 else 1.0)
    for k in range(count):
        i, start, size = _share(arrays, k, width, part, parts)
        if size == 0:
            continue
        t = steps_of(arrays, i + width - 1)
        rate, root = real(h[0] / (1 - h[1] ** t)), real(1 / math.sqrt(1 - h[2] ** t))
        tile = size if width == 5 else TILE  # one loop, or two
        for first in range(start, start + size, tile):
            n = min(start + size - first, tile)
            p = piece(arrays, i, first, n, like)
            g = piece(arrays, i + 1, first, n, like)
            m = piece(arrays, i + 2, first, n, like)
            v = piece(arrays, i + 3, first, n, like)
            if width == 5:
                for j in range(n):
                    d = sign * g[j]
                    if decay != 0:
                        d += decay * p[j]
                    m[j] += fresh1 * (d - m[j])
                    v[j] = beta2 * v[j] + fresh2 * (d * d)
                    p[j] = shrink * p[j] - rate * m[j] / (root * math.sqrt(v[j]) + eps)
                continue
            top = piece(arrays, i + 4, first, n, like)
            for j in range(n):
                d = sign * g[j]
                if decay != 0:
                    d += decay * p[j]
                m[j] += fresh1 * (d - m[j])
                v[j] = beta2 * v[j] + fresh2 * (d * d)
            for j in range(n):
                top[j] = v[j] if top[j] < v[j] or math.isnan(v[j]) else top[j]
                p[j] = shrink * p[j] - rate * m[j] / (root * math.sqrt(top[j]) + eps)


@kernel
def _adam(arrays: int, count: int, h: np.ndarray, like: np.ndarray) -> int:
    width = 6 if h[7] != 0 else 5
    chunks, parts = _plan(arrays, count, width, width - 1)
    if chunks >= 0:
        count_steps(arrays, count, width)
    parallel_for(_adam_part, parts, (parts, count, arrays, width, h, like))
    return chunks


# ------------------------------------------------------------------------------ RMSprop and Adagrad


@kernel(internal=True)
def _rmsprop_part(part: int, parts: int, count: int, arrays: int, width: int, h: np.ndarray, like: np.ndarray) -> None:
    real = like.dtype.type
    lr, alpha, fresh, eps, decay, momentum, centered, sign, zero = (
        real(h[0]), real(h[1]), real(1 - h[1]), real(h[2]), real(h[3]), real(h[4]), h[5] != 0, real(h[6]), real(0),
    )  # fmt: skip
    u = np.empty(TILE, like.dtype)
    for k in range(count):
        i, start, size = _share(arrays, k, width, part, parts)
        if size == 0:
            continue
        for first in range(start, start + size, TILE):
            n = min(start + size - first, TILE)
            p = piece(arrays, i, first, n, like)
            g = piece(arrays, i + 1, first, n, like)
            v = piece(arrays, i + 2, first, n, like)
            for j in range(n):
                d = sign * g[j]
                if decay != 0:
                    d += decay * p[j]
                v[j] = alpha * v[j] + fresh * (d * d)
                u[j] = d if centered else d / (math.sqrt(v[j]) + eps)
            if centered:
                a = piece(arrays, i + width - 2, first, n, like)
                for j in range(n):
                    a[j] += fresh * (u[j] - a[j])
                    variance = v[j] - a[j] * a[j]  # rounding may take it below zero
                    u[j] /= math.sqrt(zero if variance < 0 else variance) + eps
            if momentum != 0:
                b = piece(arrays, i + 3, first, n, like)
                for j in range(n):
                    b[j] = momentum * b[j] + u[j]
                    p[j] -= lr * b[j]
            else:
                for j in range(n):
                    p[j] -= lr * u[j]


@kernel
def _rmsprop(arrays: int, count: int, h: np.ndarray, like: np.ndarray) -> int:
    width = 4 + (h[4] != 0) + (h[5] != 0)
    chunks, parts = _plan(arrays, count, width, width - 1)
    if chunks >= 0:
        count_steps(arrays, count, width)
    parallel_for(_rmsprop_part, parts, (parts, count, arrays, width, h, like))
    return chunks


@kernel(internal=True)
def _adagrad_part(part: int, parts: int, count: int, arrays: int, h: np.ndarray, like: np.ndarray) -> None:
    real = like.dtype.type
    eps, decay, sign = real(h[2]), real(h[3]), real(h[4])
    for k in range(count):
        i, start, size = _share(arrays, k, 4, part, parts)
        if size == 0:
            continue
        rate = real(h[0] / (1 + (steps_of(arrays, i + 3) - 1) * h[1]))
        p = piece(arrays, i, start, size, like)
        g = piece(arrays, i + 1, start, size, like)
        s = piece(arrays, i + 2, start, size, like)
        for j in range(size):
            d = sign * g[j]
            if decay != 0:
                d += decay * p[j]
            s[j] += d * d
            p[j] -= rate * d / (math.sqrt(s[j]) + eps)


@kernel
def _adagrad(arrays: int, count: int, h: np.ndarray, like: np.ndarray) -> int:
    chunks, parts = _plan(arrays, count, 4, 3)
    if chunks >= 0:
        count_steps(arrays, count, 4)
    parallel_for(_adagrad_part, parts, (parts, count, arrays, h, like))
    return chunks


# ------------------------------------------------------------------------------- Norms and clipping


@kernel(reassociate=True, internal=True)
def _norm_part(part: int, parts: int, count: int, arrays: int, order: float, sums: np.ndarray) -> None:
    """For each chunk the sum of ``abs(g)**order``; for an infinite order the largest or smallest."""
    real = sums.dtype.type
    exponent = real(order)
    before = 0
    for k in range(count):
        i, first, todo = _share(arrays, k, 1, part, parts)
        for start in range(first, first + todo, CHUNK):
            g = piece(arrays, i, start, min(first + todo - start, CHUNK), sums)
            total = real(0)
            if order == 2:
                for j in range(g.size):
                    total += g[j] * g[j]
            elif order == 0:
                for j in range(g.size):
                    total += real(g[j] != 0)
            elif math.isinf(order):
                total = abs(g[0])
                for j in range(g.size):
                    x = abs(g[j])
                    if math.isnan(x) or (x > total if order > 0 else x < total):
                        total = x
            else:
                for j in range(g.size):
                    total += abs(g[j]) ** exponent
            sums[before + start // CHUNK] = total
        before += (size_of(arrays, k) + CHUNK - 1) // CHUNK


@kernel
def _norms(arrays: int, count: int, order: float, norms: np.ndarray) -> int:
    chunks, parts = _plan(arrays, count, 1, 1)
    sums = np.empty(max(chunks, 0), norms.dtype)
    parallel_for(_norm_part, parts, (parts, count, arrays, order, sums))
    chunk = 0
    for i in range(count if chunks >= 0 else 0):
        norm = 0.0
        for start in range(0, size_of(arrays, i), CHUNK):
            x = np.float64(sums[chunk])
            chunk += 1
            if not math.isinf(order):
                norm += x
            elif start == 0 or math.isnan(x) or (x > norm if order > 0 else x < norm):
                norm = x
        if order == 2:
            norm = math.sqrt(norm)
        elif order != 0 and not math.isinf(order):
            norm = norm ** (1 / order)
        norms[i] = norm
    return chunks


@kernel(internal=True)
def _rescale_part(part: int, parts: int, count: int, arrays: int, h: np.ndarray, like: np.ndarray) -> None:
    real = like.dtype.type
    factor, limit = real(h[0]), real(h[1])
    for k in range(count):
        i, start, size = _share(arrays, k, 1, part, parts)
        if size == 0:
            continue
        g = piece(arrays, i, start, size, like)
        for j in range(size):
            x = factor * g[j]
            g[j] = math.copysign(limit, x) if abs(x) > limit else x


@kernel
def _rescale(arrays: int, count: int, h: np.ndarray, like: np.ndarray) -> int:
    chunks, parts = _plan(arrays, count, 1, 1)
    parallel_for(_rescale_part, parts, (parts, count, arrays, h, like))
    return chunks


# ------------------------------------------------------------------------------------- From Python


def _update(update: Any, arrays: Sequence[np.ndarray], width: int, full: int, h: np.ndarray) -> None:
    """Run `update`; where an array is not fit for it, on copies that are then written back."""
    count = len(arrays) // width
    whole = (*arrays, STEP)
    like = _LIKE.get(whole[0].dtype)
    if like is None or update(id(whole), count, h, like) < 0:
        for group in _by_dtype(arrays, width, full):
            fit = (*map(_fit, group), STEP)
            if update(id(fit), len(group) // width, h, _LIKE[fit[0].dtype]) < 0:
                raise RuntimeError("optimizer kernels: copies of the arrays do not fit either")
            for position, (array, copy) in enumerate(zip(group, fit, strict=False)):
                if array is not copy and (position % width != 1 or width == 1):
                    array[...] = copy


def _by_dtype(arrays: Sequence[np.ndarray], width: int, full: int) -> list[list[np.ndarray]]:
    """Split `arrays` by the dtypes of the parameters; complain about parameters that cannot be updated."""
    groups: dict[np.dtype, list[np.ndarray]] = {}
    for first in range(0, len(arrays), width):
        entries = arrays[first : first + width]
        p = entries[0]
        if p.dtype not in _LIKE:
            raise TypeError(f"only float32 and float64 parameters can be updated, got {p.dtype}")
        for position, other in enumerate(entries[:full]):
            if other.shape != p.shape or other.dtype != p.dtype:
                kind = "gradient" if position == 1 else "optimizer state"
                raise RuntimeError(
                    f"parameter {first // width} has shape {p.shape} and dtype {p.dtype}, but its {kind} "
                    f"has shape {other.shape} and dtype {other.dtype}"
                )
            if not other.flags.writeable and (position != 1 or width == 1):
                raise ValueError(f"parameter {first // width} or its state is read-only")
        if full < width and (entries[full].size != 1 or entries[full].dtype != STEP.dtype):
            raise RuntimeError(
                f"the step count of parameter {first // width} must be a single float32, got shape "
                f"{entries[full].shape} and dtype {entries[full].dtype}"
            )
        groups.setdefault(p.dtype, []).extend(entries)
    return list(groups.values())


def sgd(arrays: Sequence[np.ndarray], h: np.ndarray) -> None:
    """Gradient descent without momentum, ``p -= lr * (sign * g + decay * p)``.

    Parameters
    ----------
    arrays : sequence of (p, g) for each parameter
    h : float64 array (lr, sign, decay)
    """
    _update(_sgd, arrays, 2, 2, h)


def momentum(arrays: Sequence[np.ndarray], h: np.ndarray) -> None:
    """Gradient descent with momentum.

    ``d = sign * g + decay * p; b = momentum * b + fresh * d; p -= lr * (d + momentum * b if nesterov else b)``

    Parameters
    ----------
    arrays : sequence of (p, g, b) for each parameter
    h : float64 array (lr, sign, decay, momentum, fresh = 1 - dampening, nesterov)
    """
    _update(_momentum, arrays, 3, 3, h)


def adam(arrays: Sequence[np.ndarray], h: np.ndarray) -> None:
    """Adam, AdamW and AMSGrad.

    Parameters
    ----------
    arrays : sequence of (p, g, m, v, step), or with AMSGrad (p, g, m, v, top, step), for each parameter
    h : float64 array (lr, beta1, beta2, eps, decay, decoupled, sign, amsgrad)
    """
    width = 6 if h[7] else 5
    _update(_adam, arrays, width, width - 1, h)


def rmsprop(arrays: Sequence[np.ndarray], h: np.ndarray) -> None:
    """RMSprop.

    Parameters
    ----------
    arrays : sequence of (p, g, v, [b with momentum], [a where centered], step) for each parameter
    h : float64 array (lr, alpha, eps, decay, momentum, centered, sign)
    """
    width = 4 + bool(h[4]) + bool(h[5])
    _update(_rmsprop, arrays, width, width - 1, h)


def adagrad(arrays: Sequence[np.ndarray], h: np.ndarray) -> None:
    """Adagrad.

    Parameters
    ----------
    arrays : sequence of (p, g, sum, step) for each parameter
    h : float64 array (lr, lr_decay, eps, decay, sign)
    """
    _update(_adagrad, arrays, 4, 3, h)


def rescale(arrays: Sequence[np.ndarray], factor: float, limit: float = math.inf) -> None:
    """Multiply all arrays by `factor`, then clamp them to ``[-limit, limit]``, in place; NaN stays."""
    if arrays:
        _update(_rescale, arrays, 1, 1, np.array([factor, limit]))


def norms(arrays: Sequence[np.ndarray], order: float) -> np.ndarray:
    """The vector norm of each array, float32 unless an array is float64."""
    count = len(arrays)
    whole = (*arrays, STEP)
    result = np.empty(count, whole[0].dtype)
    if result.dtype not in _LIKE or _norms(id(whole), count, order, result) < 0:
        if any(a.dtype not in _LIKE for a in arrays):
            raise TypeError(f"norms of float32 and float64 arrays only, got {[str(a.dtype) for a in arrays]}")
        result = np.empty(count, np.result_type(*arrays))
        whole = (*(_fit(a.astype(result.dtype, copy=False)) for a in arrays), STEP)
        _norms(id(whole), count, order, result)
    return result


def _fit(array: np.ndarray) -> np.ndarray:
    """`array`, or a copy of it that the kernels can take."""
    return np.require(np.asarray(array), requirements=["C", "A", "W"])
