"""Matrix products: C = A B, C += A B, C = activation(A B + bias), one by one or batched.

Three ways lead to a product; the sizes and strides alone decide which is taken, never the thread count:

- *direct*: rows of B are contiguous, and B is small enough to be read where it lies;
- *dot*: rows of A and columns of B are contiguous and the result is small: nothing is copied either;
- *packed*: blocks of B are copied (and transposed if need be) into panels one tile wide that stay in the
  second-level cache (Goto and van de Geijn, ACM TOMS 34(3), 2008).

C is cut into a grid of parts, which threads take one by one. The sum over K is never split between threads,
and its order does not depend on the cut, so neither do the bits of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from . import memory, special
from .jit import JIT, kernel
from .simd import DOT_COLUMNS, DOT_ROWS, TILE_ROWS, TILE_VECTORS, at, block_product, dot_product, lanes, transpose
from .threading import parallel_for

SERIAL_WORK = 1 << 17
"""Up to so many multiplications a product stays on one thread: waking another takes about 1 us."""
PART_WORK = 1 << 18
"""A part of C takes at least so many, if there are not too few parts then."""
MOST_PARTS = 32
M_BLOCK, N_BLOCK, K_BLOCK = 1024, 256, 1024
"""Copied blocks: 4 MB of A where it is stored by columns, 1 MB of B."""
ROW_CHUNK = 72
"""So many rows of A are used on every panel of B in turn, from the second-level cache."""
PACK_ROWS, PACK_BYTES = 192, 1 << 20
"""From so many rows of A and bytes of B on, copying B into panels pays."""


@kernel
def _grid(m, n, k, tile_rows, tile_columns, least_columns):
    """How many parts along M and along N: nearly square ones, whole tiles, none too small to be worth it."""
    if m * n * (k + 8) < SERIAL_WORK:
        return 1, 1
    row_tiles = (m + tile_rows - 1) // tile_rows
    column_tiles = (n + tile_columns - 1) // tile_columns
    parts = min(max(m * n * (k + 8) // PART_WORK, 2), MOST_PARTS)
    rows = 1
    while rows * rows * n < parts * m:
        rows += 1
    rows = min(rows, row_tiles)
    columns = min((parts + rows - 1) // rows, column_tiles)
    rows = min((parts + columns - 1) // columns, row_tiles)
    if rows * columns == 1:
        columns = min(2, (n + least_columns - 1) // least_columns)
    return rows, columns


@kernel
def _even(extent, most, unit):
    """The size of the fewest blocks that are at most `most` long, nearly equal, and multiples of `unit`."""
    blocks = max((extent + most - 1) // most, 1)
    return ((extent + blocks - 1) // blocks + unit - 1) // unit * unit


@kernel
def _plan(m, n, k, a_row, a_col, b_row, b_col, width):
    """Which way to take, and the sizes of the blocks: (dot, pack_a, pack_b, m_block, n_block, k_block).

    Costs are counted in vector instructions; copying a vector transposed takes 14, adding up its lanes 4.
    """
    n_vectors, k_vectors = (n + width - 1) // width, (k + width - 1) // width
    pack_a, pack_b = a_col != 1, b_row != 1
    dot_cost = m * n * (k_vectors + k_vectors // 16 + 4) + 14 * k_vectors * (m * pack_a + n * pack_b)
    if dot_cost < k * n_vectors * (m + 14 * (b_col != 1)) and (a_row == 1 or not pack_a):
        return True, pack_a, pack_b, m, n, max(k, 1)
    # Rows at multiples of 1 kB share few cache sets.
    bytes_per_number = 64 // width
    colliding = pack_a and k >= 64 and a_col * bytes_per_number % 1024 == 0
    big = m >= PACK_ROWS and (k * n * bytes_per_number >= PACK_BYTES or colliding)
    if b_col == 1 and not big:
        return False, False, False, m, n, max(k, 1)
    pack_a = big and a_col != 1 and a_row == 1
    m_block = _even(m, M_BLOCK, 1) if pack_a else m
    return False, pack_a, True, m_block, _even(n, N_BLOCK, TILE_VECTORS * width), max(_even(k, K_BLOCK, 1), 1)


@kernel
def _finish(c, c_row, bias, biased, rows, columns, activation):
    """Add the bias and apply the activation to a block of C while it is in cache."""
    for i in range(rows):
        row = at(c, i * c_row)
        if biased:
            for j in range(columns):
                row[j] += bias[j]
        if activation == 1:
            for j in range(columns):
                row[j] = special.where(row[j] <= special.like(row[j], 0), special.like(row[j], 0), row[j])
        elif activation == 2:
            for j in range(columns):
                row[j] = special.sigmoid(row[j])
        elif activation == 3:
            for j in range(columns):
                row[j] = special.tanh(row[j])


@kernel
def _copy_part(part, a_parts, b_chunks, dot, a, a_col, a_copy, a_copy_row, b, b_row, b_col, b_copy, m, n, k):
    """Copy a part of A into rows, or a part of B into panels (into rows of its transpose for dot products)."""
    if part < a_parts:
        top, bottom = part * m // a_parts, (part + 1) * m // a_parts
        transpose(at(a, top), a_col, at(a_copy, top * a_copy_row), a_copy_row, k, bottom - top)
        return
    panel = TILE_VECTORS * lanes(b)
    j, chunk = (part - a_parts) // b_chunks * panel, (part - a_parts) % b_chunks
    top, bottom = chunk * k // b_chunks, (chunk + 1) * k // b_chunks
    columns = min(panel, n - j)
    source = at(b, top * b_row + j * b_col)
    if dot:
        transpose(source, b_row, at(b_copy, j * k + top), k, bottom - top, columns)
    elif b_col != 1:
        transpose(source, b_col, at(b_copy, j * k + top * panel), panel, columns, bottom - top)
    else:
        target = at(b_copy, j * k + top * panel)
        for p in range(bottom - top):
            for i in range(columns):
                target[p * panel + i] = source[p * b_row + i]


@kernel
def _block_part(
    part, grid_rows, grid_columns, unit, dot, a, a_row, a_col, b, b_row, b_panel, c, c_row, bias, biased, m, n, k,
    row_chunk, depth_chunk, accumulate, finish, activation,
):  # fmt: skip
    """One part of C, over one block of K. Columns of B come in panels that lie `b_panel` apart."""
    j, i = part // grid_rows, part % grid_rows
    top, bottom = i * m // grid_rows, (i + 1) * m // grid_rows
    units = (n + unit - 1) // unit
    left, right = j * units // grid_columns * unit, min((j + 1) * units // grid_columns * unit, n)
    if dot:
        source, place = at(b, left * b_row), at(c, top * c_row + left)
        dot_product(at(a, top * a_row), a_row, source, b_row, place, c_row, bottom - top, right - left, k, accumulate)
    else:
        panel = TILE_VECTORS * lanes(c)
        for p in range(0, max(k, 1), depth_chunk):
            for r in range(top, bottom, row_chunk):
                rows, depth = min(row_chunk, bottom - r), min(depth_chunk, k - p)
                for s in range(left, right, panel):
                    source, place = at(b, s // panel * b_panel + s % panel + p * b_row), at(c, r * c_row + s)
                    block_product(
                        at(a, r * a_row + p * a_col), a_row, a_col, source, b_row, place, c_row,
                        rows, min(panel, right - s), depth, accumulate or p > 0,
                    )  # fmt: skip
    if finish and (biased or activation > 0):
        place = at(c, top * c_row + left)
        _finish(place, c_row, at(bias, left), biased, bottom - top, right - left, activation)


@kernel
def _multiply(
    plan, a, a_row, a_col, b, b_row, b_col, c, bias, biased, m, n, k, accumulate, activation, buffer, parallel
):
    """`buffer` has room for the copies that `plan` asks for."""
    dot, pack_a, pack_b, m_block, n_block, k_block = plan
    width = lanes(c)
    panel = TILE_VECTORS * width
    a_copy_row = k_block + 16
    a_copy, b_copy = at(buffer, 0), at(buffer, m_block * a_copy_row if pack_a else 0)
    if dot:
        tile_rows, tile_columns, least = DOT_ROWS, DOT_COLUMNS, DOT_COLUMNS
    elif k <= 4:
        tile_rows, tile_columns, least = TILE_ROWS, n, width
    else:
        tile_rows, tile_columns, least = TILE_ROWS, panel, panel if pack_b else width
    # Few multiplications per element of C: write it line by line. Few per element of B: read it so.
    row_chunk = TILE_ROWS if k <= 4 else ROW_CHUNK
    depth_chunk = 8 if m == 1 and k * n > 1 << 17 and not pack_b else K_BLOCK
    for i in range(0, m, m_block):
        rows = min(m_block, m - i)
        for p in range(0, max(k, 1), k_block):
            depth = min(k_block, k - p)
            for j in range(0, n, n_block):
                columns = min(n_block, n - j)
                a_parts = b_chunks = 0
                if pack_a and j == 0:
                    a_parts = (rows * depth) // 16384 + 1 if parallel else 1
                if pack_b:
                    b_chunks = depth // 256 + 1 if parallel else 1
                if pack_a or pack_b:
                    parts = a_parts + b_chunks * ((columns + panel - 1) // panel)
                    source, other = at(a, i * a_row + p * a_col), at(b, p * b_row + j * b_col)
                    parallel_for(_copy_part, parts, (
                        a_parts, b_chunks, dot, source, a_col, a_copy, a_copy_row, other, b_row, b_col, b_copy,
                        rows, columns, depth,
                    ))  # fmt: skip
                left, left_row, left_col = at(a, i * a_row + p * a_col), a_row, a_col
                if pack_a:
                    left, left_row, left_col = a_copy, a_copy_row, 1
                right, right_row, right_panel = at(b, p * b_row + j * b_col), b_col if dot else b_row, panel
                if pack_b:
                    right, right_row, right_panel = b_copy, depth if dot else panel, panel * depth
                grid_rows, grid_columns = 1, 1
                if parallel:
                    grid_rows, grid_columns = _grid(rows, columns, depth, tile_rows, tile_columns, least)
                unit = least
                if not dot and columns >= 4 * panel * grid_columns:
                    unit = panel
                parallel_for(_block_part, grid_rows * grid_columns, (
                    grid_rows, grid_columns, unit, dot, left, left_row, left_col, right, right_row, right_panel,
                    at(c, i * n + j), n, at(bias, j), biased, rows, columns, depth, row_chunk, depth_chunk,
                    accumulate or p > 0, p + k_block >= k, activation,
                ))  # fmt: skip


@kernel
def _buffer_size(plan, panel):
    _, pack_a, pack_b, m_block, n_block, k_block = plan
    return m_block * (k_block + 16) * pack_a + (n_block + panel) * k_block * pack_b


OK, MISMATCH, UNSUITABLE = 0, 1, 2


@kernel
def _strides(a, b, m, n, k, size):
    """Strides in elements, made regular where an extent of 0 or 1 leaves them open; the last is whether they do."""
    a_row, a_col = a.strides[a.ndim - 2] // size, a.strides[a.ndim - 1] // size
    b_row, b_col = b.strides[b.ndim - 2] // size, b.strides[b.ndim - 1] // size
    if k <= 1:
        a_col = b_row = 1
    if n <= 1 or k == 0:
        b_col = 1
    if m <= 1:
        a_row = max(k, 1)
    return a_row, a_col, b_row, b_col, min(a_row, a_col, b_row, b_col) >= 0 and (b_row == 1 or b_col == 1)


@kernel
def _gemm(a, b, c, bias, accumulate, activation):
    m, k = a.shape
    n = b.shape[1]
    if b.shape[0] != k or c.shape[0] != m or c.shape[1] != n or (bias.size != 0 and bias.size != n):
        return MISMATCH
    a_row, a_col, b_row, b_col, regular = _strides(a, b, m, n, k, c.itemsize)
    if not regular:
        return UNSUITABLE
    left, right, out, add, biased = at(a, 0), at(b, 0), at(c, 0), at(bias, 0), bias.size > 0
    if n == 1 and a_col != 1:
        # C is its own transpose in memory, and the transpose of A is stored by rows.
        plan = _plan(1, m, k, k, b_row, a_col, a_row, lanes(c))
        buffer = np.empty(_buffer_size(plan, TILE_VECTORS * lanes(c)), c.dtype)
        _multiply(plan, right, k, b_row, left, a_col, a_row, out, add, False, 1, m, k, accumulate, 0, buffer, True)
        _finish(out, 1, add, biased, m, 1, activation)
    else:
        plan = _plan(m, n, k, a_row, a_col, b_row, b_col, lanes(c))
        buffer = np.empty(_buffer_size(plan, TILE_VECTORS * lanes(c)), c.dtype)
        _multiply(
            plan, left, a_row, a_col, right, b_row, b_col, out, add, biased, m, n, k, accumulate, activation, buffer,
            True,
        )  # fmt: skip
    return OK


@kernel
def _batch_part(
    part, parts, parallel, plan, a, a_item, a_row, a_col, b, b_item, b_row, b_col, c, bias, biased, m, n, k, accumulate,
    activation,
):  # fmt: skip
    batch = c.shape[0]
    buffer = np.empty(_buffer_size(plan, TILE_VECTORS * lanes(c)), c.dtype)
    for i in range(part * batch // parts, (part + 1) * batch // parts):
        out = at(c, i * m * n)
        _multiply(
            plan, at(a, i * a_item), a_row, a_col, at(b, i * b_item), b_row, b_col, out, bias, biased, m, n, k,
            accumulate, activation, buffer, parallel,
        )  # fmt: skip


@kernel
def _gemm_batched(a, b, c, bias, accumulate, activation):
    batch, m, k = a.shape
    n = b.shape[2]
    if b.shape[0] != batch or b.shape[1] != k or c.shape[0] != batch or c.shape[1] != m or c.shape[2] != n:
        return MISMATCH
    if bias.size != 0 and bias.size != n:
        return MISMATCH
    size = c.itemsize
    a_row, a_col, b_row, b_col, regular = _strides(a, b, m, n, k, size)
    a_item, b_item = a.strides[0] // size, b.strides[0] // size
    if not regular or a_item < 0 or b_item < 0:
        return UNSUITABLE
    plan = _plan(m, n, k, a_row, a_col, b_row, b_col, lanes(c))
    work = m * n * (k + 8)
    parts = min(batch, MOST_PARTS, batch * work // PART_WORK + 1)
    if work >= 8 * PART_WORK or batch * work < SERIAL_WORK:
        parts = 1
    left, right, add, biased = at(a, 0), at(b, 0), at(bias, 0), bias.size > 0
    if parts == 1:
        _batch_part(
            0, 1, True, plan, left, a_item, a_row, a_col, right, b_item, b_row, b_col, c, add, biased, m, n, k,
            accumulate, activation,
        )  # fmt: skip
    else:
        parallel_for(_batch_part, parts, (
            parts, False, plan, left, a_item, a_row, a_col, right, b_item, b_row, b_col, c, add, biased, m, n, k,
            accumulate, activation,
        ))  # fmt: skip
    return OK


ACTIVATIONS = {None: 0, "relu": 1, "sigmoid": 2, "tanh": 3}
_no_bias: dict[int, np.ndarray] = {}
_no_bias_batched: dict[int, np.ndarray] = {}
"""By element size, for the dtypes that are compiled."""


def _compile(function: Any, dtype: np.dtype, ndim: int) -> None:
    """Compile for one dtype: one signature, which arrays of any layout are converted to at no cost."""
    if not JIT:
        return
    number = types.float32 if dtype == np.float32 else types.float64
    matrix = types.Array(number, ndim, "A", readonly=True)
    vector = types.Array(number, 1, "C", readonly=True)
    function.disable_compile(False)
    function.compile((matrix, matrix, types.Array(number, ndim, "C"), vector, types.boolean, types.int64))
    function.disable_compile()


def _check(name: str, a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: np.ndarray | None, ndim: int) -> None:
    given = f"{a.dtype}{list(a.shape)} @ {b.dtype}{list(b.shape)} -> {out.dtype}{list(out.shape)}"
    if bias is not None:
        given += f" + {bias.dtype}{list(bias.shape)}"
    arrays = [a, b, out] if bias is None else [a, b, out, bias]
    if a.dtype not in (np.float32, np.float64) or any(array.dtype != a.dtype for array in arrays):
        raise TypeError(f"{name} expects arrays of one dtype, float32 or float64, got {given}")
    if a.ndim != ndim or b.ndim != ndim or out.ndim != ndim or (bias is not None and bias.ndim != 1):
        raise ValueError(f"{name} expects matrices of {ndim} dimensions, got {given}")
    right = a.shape[:-2] + b.shape[-2:-1] == b.shape[:-1] == a.shape[:-2] + a.shape[-1:]
    if not right or out.shape != (*a.shape[:-1], b.shape[-1]) or (bias is not None and bias.shape != b.shape[-1:]):
        raise ValueError(f"{name}: shapes do not fit: {given}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(f"{name} expects a writeable C-contiguous out")


def _first_or_odd(
    name: str, a: np.ndarray, b: np.ndarray, out: np.ndarray, accumulate: bool, bias: np.ndarray | None, activation: Any
) -> None:
    """What the quick way could not do: explain what is wrong, compile, or copy."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"{name} expects an activation of {list(ACTIVATIONS)}, got {activation!r}")
    function, ready, ndim = (_gemm, _no_bias, 2) if name == "gemm" else (_gemm_batched, _no_bias_batched, 3)
    _check(name, a, b, out, bias, ndim)
    if a.itemsize not in ready:
        _compile(function, a.dtype, ndim)
        ready[a.itemsize] = np.empty(0, a.dtype)
    add = ready[a.itemsize] if bias is None else np.ascontiguousarray(bias)
    status = function(a, b, out, add, accumulate, ACTIVATIONS[activation])
    if status != OK:
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        function(a, b, out, add, accumulate, ACTIVATIONS[activation])


def gemm(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray | None = None,
    *,
    accumulate: bool = False,
    bias: np.ndarray | None = None,
    activation: str | None = None,
) -> np.ndarray:
    """``activation(a @ b + bias)``, or ``activation(out + a @ b + bias)`` with `accumulate`.

    Parameters
    ----------
    a, b : array, (M, K) and (K, N), float32 or float64
        Of any strides; copied first if b has neither unit stride, or if a stride is negative.
    out : C-contiguous array, (M, N), optional
        Must not overlap the others.
    bias : array, (N,), optional
    activation : "relu", "sigmoid" or "tanh", optional

    Returns
    -------
    array, (M, N)
        `out`, if given.

    Raises
    ------
    TypeError
        If the arrays are not all float32 or all float64.
    ValueError
        If shapes do not fit, or `out` is not C-contiguous.
    """
    if out is None:
        out = memory.empty((a.shape[0], b.shape[1]), a.dtype)
    try:
        nothing = _no_bias[a.itemsize]
        status = _gemm(a, b, out, nothing if bias is None else bias, accumulate, ACTIVATIONS[activation])
    except (KeyError, TypeError):
        status = UNSUITABLE
    if status != OK:
        _first_or_odd("gemm", a, b, out, accumulate, bias, activation)
    return out


def gemm_batched(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray | None = None,
    *,
    accumulate: bool = False,
    bias: np.ndarray | None = None,
    activation: str | None = None,
) -> np.ndarray:
    """`gemm` for each of a batch of matrices.

    Parameters
    ----------
    a, b : array, (B, M, K) and (B, K, N), float32 or float64
        Of any strides as for `gemm`, 0 along B included: a matrix that all items share is not copied.
    out : C-contiguous array, (B, M, N), optional
        Must not overlap the others.
    bias : array, (N,), optional
    activation : "relu", "sigmoid" or "tanh", optional

    Returns
    -------
    array, (B, M, N)
        `out`, if given.

    Raises
    ------
    TypeError, ValueError
        As `gemm`.
    """
    if out is None:
        out = memory.empty((a.shape[0], a.shape[1], b.shape[2]), a.dtype)
    try:
        nothing = _no_bias_batched[a.itemsize]
        status = _gemm_batched(a, b, out, nothing if bias is None else bias, accumulate, ACTIVATIONS[activation])
    except (KeyError, TypeError):
        status = UNSUITABLE
    if status != OK:
        _first_or_odd("gemm_batched", a, b, out, accumulate, bias, activation)
    return out
