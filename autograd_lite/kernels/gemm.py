"""Matrix products: C = A B, C += A B, C = activation(A B + bias), one by one or batched.

Three ways lead to a product; the sizes and strides alone decide which is taken, never the thread count:

- *direct*: rows of B are contiguous, and B is small enough to be read where it lies;
- *dot*: rows of A and columns of B are contiguous and the result is small: nothing is copied either;
- *packed*: blocks of B are copied (and transposed if need be) into panels one tile wide that stay in the
  second-level cache (Goto and van de Geijn, ACM TOMS 34(3), 2008). Where no two parts of C, or few, need the
  same panel, each part copies its own, one after the other, into the first-level cache.

C is cut into a grid of parts, which threads take one by one. The sum over K is never split between threads,
and its order does not depend on the cut, so neither do the bits of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from . import memory, special
from .jit import JIT, kernel
from .scratch import release
from .simd import (
    DOT_COLUMNS,
    DOT_ROWS,
    TILE_ROWS,
    TILE_VECTORS,
    VECTOR_BYTES,
    at,
    block_product,
    copy,
    dot_product,
    lanes,
    transpose,
)
from .threading import parallel_for

SERIAL_WORK = 1 << 17
"""Up to so many multiplications a product stays on one thread: waking another takes about 1 us."""
PART_WORK = 1 << 17
"""A part of C takes at least so many, if there are not too few parts then."""
MOST_PARTS = 32
CACHE_LINE = 64
M_BLOCK, N_BLOCK, K_BLOCK = 1024, 256, 1024
"""Copied blocks: 4 MB of A where it is stored by columns, 1 MB of B."""
ROW_CHUNK = 72
"""So many rows of A are used on every panel of B in turn, from the second-level cache."""
PACK_ROWS, PACK_BYTES = 192, 1 << 20
"""From so many rows of A and bytes of B on, copying B into panels pays."""


PRODUCT, DOT, NO_WAY = 0, 1, 2
NONE, SHARED, OWN = 0, 1, 2
"""Who copies B: nobody, all threads before the product, or each part its own panels."""
OK, MISMATCH, UNSUITABLE = 0, 1, 2


@kernel(internal=True, separate=True)
def _plan(m, n, k, a_row, a_col, b_row, b_col, width, most_parts):
    """Which way to take, the strides, the sizes of the blocks, and the grid that cuts a block of C into parts:
    (way, pack_a, pack_b, a_row, a_col, b_row, b_col, m_block, n_block, k_block, grid_rows, grid_columns, unit of
    columns, size of the buffer for the copies).

    Costs are counted in vector instructions: to copy a vector transposed takes 14, to add up its lanes 2.
    """
    # A stride along an extent of 0 or 1 may be anything.
    a_row = max(k, 1) if m <= 1 else a_row
    a_col, b_row = (1, 1) if k <= 1 else (a_col, b_row)
    b_col = 1 if n <= 1 or k == 0 else b_col
    way = PRODUCT if min(min(a_row, a_col), min(b_row, b_col)) >= 0 and (b_row == 1 or b_col == 1) else NO_WAY
    n_vectors, k_vectors, panel = (n + width - 1) // width, (k + width - 1) // width, TILE_VECTORS * width
    pack_a, pack_b = a_col != 1, int(b_row != 1)
    dot_cost = m * n * (k_vectors + k_vectors // 16 + 2) + 14 * k_vectors * (m * pack_a + n * pack_b)
    m_block, n_block, k_block = max(m, 1), max(n, 1), max(k, 1)
    work, parts = m * n * (k + 8), 1
    if work >= SERIAL_WORK and most_parts > 1:
        parts = 2
        while parts < most_parts and 2 * parts * PART_WORK <= work:
            parts *= 2
    if dot_cost < k * n_vectors * (m + 14 * (b_col != 1)) and (a_row == 1 or not pack_a):
        way = DOT if way == PRODUCT else way
        tile_rows, tile_columns, unit, columns_first = DOT_ROWS, width, DOT_COLUMNS, 2 * n >= m
        parts = parts // 2 if parts > 2 else parts
    else:
        # Rows at multiples of 1 kB share few cache sets.
        size = VECTOR_BYTES // width
        big = m >= PACK_ROWS and (k * n * size >= PACK_BYTES or (pack_a and k >= 64 and a_col * size % 1024 == 0))
        crowded = m >= 128 and k * min(4096, b_row * size & -(b_row * size)) >= 16384
        tile_rows, tile_columns, unit, columns_first = TILE_ROWS, panel, width, big or b_col != 1 or n >= m
        pack_a = big and pack_a and a_row == 1
        pack_b = SHARED if big else NONE
        if pack_a:
            blocks = (m + M_BLOCK - 1) // M_BLOCK
            m_block = (m + blocks - 1) // blocks
        if not big and (b_col != 1 or crowded) and work * k > 0:
            # Parts that lie one below the other copy the same.
            panels = (n + panel - 1) // panel
            parts = min(parts, panels * (m // 128 + 1)) if panels >= 8 else parts
            pack_b = OWN if b_col == 1 or (parts - 1) // panels * 14 * k * n_vectors < 4096 else SHARED
        if pack_b == SHARED:
            blocks = (n + N_BLOCK - 1) // N_BLOCK * panel
            n_block = (n + blocks - 1) // blocks * panel
            blocks = (k + K_BLOCK - 1) // K_BLOCK
            k_block = (k + blocks - 1) // blocks
        elif k <= 4 and b_col == 1:
            tile_columns = n_block
    row_tiles, column_tiles = (m_block + tile_rows - 1) // tile_rows, (n_block + tile_columns - 1) // tile_columns
    columns = min(parts, column_tiles) if columns_first else 1
    rows = min((parts + columns - 1) // columns, row_tiles)
    columns = min((parts + rows - 1) // rows, column_tiles)
    # An even number of parts, so that two threads do the same.
    odd = rows * columns % 2
    rows, columns = (rows - odd, columns) if rows > 1 else (rows, columns - odd * (columns > 1))
    if way == PRODUCT and (n_block % panel == 0 or n_block >= 4 * panel * columns):
        unit = panel
    if rows * columns == 1 and parts > 1:
        unit = min(unit, width)
        columns = min(2, (n_block + unit - 1) // unit)
    room = m_block * (k_block + 16) * pack_a + (n_block + panel) * k_block * (pack_b == SHARED) + CACHE_LINE
    return (
        way, int(pack_a), pack_b, a_row, a_col, b_row, b_col, m_block, n_block, k_block, rows, columns, unit, room
    )  # fmt: skip


@kernel(internal=True)
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


@kernel(internal=True)
def _aligned(block):
    """The first element on a cache line: loads and stores across two lines take twice as long."""
    return at(block, -block.ctypes.data % CACHE_LINE // block.itemsize)


@kernel(internal=True)
def _copy_panel(b, b_row, b_col, target, panel, rows, columns):
    """Copy rows of B, or parts of its columns, into lines of `panel` elements."""
    if b_col == 1:
        copy(b, b_row, target, panel, rows, columns)
    else:
        transpose(b, b_col, target, panel, columns, rows)


@kernel(internal=True)
def _copy_part(part, a_parts, b_chunks, way, a, a_col, a_copy, a_copy_row, b, b_row, b_col, b_copy, m, n, k):
    """Copy a part of A into rows, or a part of B into panels (into rows of its transpose for dot products)."""
    panel = TILE_VECTORS * lanes(b)
    if part < a_parts:
        top = part * m // a_parts
        rows = (part + 1) * m // a_parts - top
        transpose(at(a, top), a_col, at(a_copy, top * a_copy_row), a_copy_row, k, rows)
        return
    j, chunk = (part - a_parts) // b_chunks * panel, (part - a_parts) % b_chunks
    top, columns = chunk * k // b_chunks, min(panel, n - j)
    rows = (chunk + 1) * k // b_chunks - top
    source = at(b, top * b_row + j * b_col)
    if way == DOT:
        transpose(source, b_row, at(b_copy, j * k + top), k, rows, columns)
    else:
        _copy_panel(source, b_row, b_col, at(b_copy, j * k + top * panel), panel, rows, columns)


@kernel(internal=True)
def _copied_product(a, a_row, a_col, b, b_row, b_col, c, c_row, m, n, k, depth_chunk, accumulate, like):
    """The product of a part, which copies one panel of B after the other."""
    panel = TILE_VECTORS * lanes(c)
    room = np.empty(panel * min(depth_chunk, k) + CACHE_LINE, like.dtype)
    target = _aligned(room)
    for p in range(0, k, depth_chunk):
        depth = min(depth_chunk, k - p)
        for s in range(0, n, panel):
            columns, left = min(panel, n - s), at(a, p * a_col)
            _copy_panel(at(b, p * b_row + s * b_col), b_row, b_col, target, panel, depth, columns)
            add = accumulate or p > 0
            block_product(left, a_row, a_col, target, panel, at(c, s), c_row, m, columns, depth, add)
    release(room)


@kernel(internal=True)
def _block_part(
    part, grid_rows, grid_columns, unit, way, own, a, a_row, a_col, b, b_row, b_col, b_panel, c, c_row, bias, biased,
    m, n, k, row_chunk, depth_chunk, accumulate, finish, activation, like,
):  # fmt: skip
    """One part of C, over one block of K. Columns of B come in panels that lie `b_panel` apart."""
    j, i = part // grid_rows, part % grid_rows
    top, bottom = i * m // grid_rows, (i + 1) * m // grid_rows
    units = (n + unit - 1) // unit
    left, right = j * units // grid_columns * unit, min((j + 1) * units // grid_columns * unit, n)
    rows, columns = bottom - top, right - left
    first, place = at(a, top * a_row), at(c, top * c_row + left)
    if way == DOT:
        dot_product(first, a_row, at(b, left * b_row), b_row, place, c_row, rows, columns, k, accumulate)
    elif own:
        source = at(b, left * b_col)
        _copied_product(
            first, a_row, a_col, source, b_row, b_col, place, c_row, rows, columns, k, depth_chunk, accumulate, like
        )
    else:
        panel = TILE_VECTORS * lanes(c)
        for p in range(0, max(k, 1), depth_chunk):
            for r in range(top, bottom, row_chunk):
                for s in range(left, right, panel):
                    block_product(
                        at(a, r * a_row + p * a_col), a_row, a_col,
                        at(b, s // panel * b_panel + s % panel + p * b_row), b_row, at(c, r * c_row + s), c_row,
                        min(row_chunk, bottom - r), min(panel, right - s), min(depth_chunk, k - p), accumulate or p > 0,
                    )  # fmt: skip
    if finish and (biased or activation > 0):
        _finish(place, c_row, at(bias, left), biased, rows, columns, activation)


@kernel(internal=True, separate=True)
def _multiply(plan, a, b, c, bias, biased, m, n, k, accumulate, activation, buffer):
    (
        way, pack_a, pack_b, a_row, a_col, b_row, b_col, m_block, n_block, k_block, grid_rows, grid_columns, unit, _
    ) = plan  # fmt: skip
    panel, shared = TILE_VECTORS * lanes(c), pack_b == SHARED
    a_copy_row, b_copy = k_block + 16, _aligned(buffer)
    a_copy = at(b_copy, (n_block + panel) * k_block * shared)
    # Few multiplications per element of C: write it line by line. Few per element of B: read it so.
    row_chunk = TILE_ROWS if k <= 4 else ROW_CHUNK
    depth_chunk = 8 if m == 1 and k * n > 1 << 17 and pack_b == NONE else K_BLOCK
    parts = grid_rows * grid_columns
    for i in range(0, m, m_block):
        for p in range(0, max(k, 1), k_block):
            for j in range(0, n, n_block):
                rows, columns, depth = min(m_block, m - i), min(n_block, n - j), min(k_block, k - p)
                left, left_row, left_col = at(a, i * a_row + p * a_col), a_row, a_col
                right, right_row, right_panel = at(b, p * b_row + j * b_col), b_row, panel
                if way == DOT:
                    right_row = b_col
                if pack_a or shared:
                    a_parts = min(parts, rows * depth // 16384 + 1) * pack_a * (j == 0)
                    b_chunks = min(parts, depth // 256 + 1) * shared
                    parallel_for(_copy_part, a_parts + b_chunks * ((columns + panel - 1) // panel), (
                        a_parts, b_chunks, way, left, a_col, a_copy, a_copy_row, right, b_row, b_col, b_copy,
                        rows, columns, depth,
                    ))  # fmt: skip
                if pack_a:
                    left, left_row, left_col = a_copy, a_copy_row, 1
                if shared:
                    right, right_row, right_panel = b_copy, depth if way == DOT else panel, panel * depth
                parallel_for(_block_part, parts, (
                    grid_rows, grid_columns, unit, way, pack_b == OWN, left, left_row, left_col, right, right_row,
                    b_col, right_panel, at(c, i * n + j), n, at(bias, j), biased, rows, columns, depth, row_chunk,
                    depth_chunk, accumulate or p > 0, p + k_block >= k, activation, buffer,
                ))  # fmt: skip


@kernel(separate=True)
def _gemm(a, b, c, bias, accumulate, activation):
    m, k = a.shape
    n = b.shape[1]
    if b.shape[0] != k or c.shape[0] != m or c.shape[1] != n or (bias.size != 0 and bias.size != n):
        return MISMATCH
    size = c.itemsize
    a_row, a_col, b_row, b_col = a.strides[0] // size, a.strides[1] // size, b.strides[0] // size, b.strides[1] // size
    left, right, out, add, biased = at(a, 0), at(b, 0), at(c, 0), at(bias, 0), bias.size > 0
    rows, columns, now = m, n, activation
    swapped = n == 1 and a_col != 1  # C is its own transpose in memory, and the transpose of A is stored by rows
    # Both operands are stored by columns: the transpose of C is a product of rows with rows.
    turned = n > 1 and a_row == 1 and a_col > 1 and b_row == 1 and b_col > 1 and 2 * m <= k and not accumulate
    if swapped or turned:
        left, right, rows, columns, now = right, left, n, m, activation * 0
        a_row, a_col, b_row, b_col = k if swapped else b_col, b_row, a_col, a_row
    plan = _plan(rows, columns, k, a_row, a_col, b_row, b_col, lanes(c), MOST_PARTS)
    if plan[0] == NO_WAY:
        return UNSUITABLE
    buffer = np.empty(plan[13] + m * n * turned, c.dtype)
    product = at(buffer, plan[13]) if turned else out
    plain = not (swapped or turned)
    _multiply(plan, left, right, product, add, biased and plain, rows, columns, k, accumulate, now, buffer)
    if turned:
        transpose(product, m, out, n, n, m)
    if not plain and (biased or activation > 0):
        _finish(out, n, add, biased, m, n, activation)
    release(buffer)
    return OK


@kernel(internal=True)
def _batch_part(part, shares, plan, a, a_item, b, b_item, c, bias, biased, m, n, k, accumulate, activation):
    """One share of the items."""
    batch = c.shape[0]
    buffer = np.empty(plan[13], c.dtype)
    for i in range(part * batch // shares, (part + 1) * batch // shares):
        left, right, out = at(a, i * a_item), at(b, i * b_item), at(c, i * m * n)
        _multiply(plan, left, right, out, bias, biased, m, n, k, accumulate, activation, buffer)


@kernel
def _gemm_batched(a, b, c, bias, accumulate, activation):
    batch, m, k = a.shape
    n = b.shape[2]
    if b.shape[0] != batch or b.shape[1] != k or c.shape[0] != batch or c.shape[1] != m or c.shape[2] != n:
        return MISMATCH
    if bias.size != 0 and bias.size != n:
        return MISMATCH
    size = c.itemsize
    a_row, a_col, b_row, b_col = a.strides[1] // size, a.strides[2] // size, b.strides[1] // size, b.strides[2] // size
    a_item, b_item = a.strides[0] // size, b.strides[0] // size
    # Large items are cut into parts, one item after the other; small ones are shared out whole.
    work = m * n * (k + 8)
    shares = min(batch, min(MOST_PARTS, batch * work // (2 * PART_WORK) + 1)) if work < 16 * PART_WORK else 1
    most_parts = MOST_PARTS if shares <= 1 else 1
    plan = _plan(m, n, k, a_row, a_col, b_row, b_col, lanes(c), most_parts)
    if plan[0] == NO_WAY or a_item < 0 or b_item < 0:
        return UNSUITABLE
    left, right, add, biased = at(a, 0), at(b, 0), at(bias, 0), bias.size > 0
    parallel_for(_batch_part, shares, (
        shares, plan, left, a_item, right, b_item, c, add, biased, m, n, k, accumulate, activation
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


def prepare(dtype: np.dtype, ndim: int = 2) -> np.ndarray:
    """Compile the product for one dtype, if that has not been done; returns the array that stands for no bias."""
    function, ready = (_gemm, _no_bias) if ndim == 2 else (_gemm_batched, _no_bias_batched)
    if dtype.itemsize not in ready:
        _compile(function, dtype, ndim)
        ready[dtype.itemsize] = np.empty(0, dtype)
    return ready[dtype.itemsize]


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
    function, ndim = (_gemm, 2) if name == "gemm" else (_gemm_batched, 3)
    _check(name, a, b, out, bias, ndim)
    nothing = prepare(a.dtype, ndim)
    add = nothing if bias is None else np.ascontiguousarray(bias)
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
