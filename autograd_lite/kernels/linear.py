"""The gradients of ``x @ w.T + bias``, all in one call: in small layers the calls themselves cost the most."""

from __future__ import annotations

import numpy as np
from numba import types

from . import memory, reduce
from .gemm import _gemm as product
from .gemm import gemm, prepare
from .jit import JIT, kernel

MOST_ROWS = 1024
"""Up to so many rows the gradient of the bias is summed row by row, above that in pairs of blocks (see `reduce`)."""

_empty: dict[np.dtype, tuple[np.ndarray, np.ndarray]] = {}
"""A vector and a matrix of size 0, for the dtypes that are compiled."""


@kernel
def _backward(g, x, w, nothing, dx, dw, db):
    """An array of size 0 stands for a gradient that is not wanted."""
    if dx.size > 0:
        product(g, w, dx, nothing, False, 0)
    if dw.size > 0:
        product(g.T, x, dw, nothing, False, 0)
    if db.size > 0:
        db[:] = 0
        for i in range(g.shape[0]):
            for j in range(db.size):
                db[j] += g[i, j]


def _prepare(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Compile for one dtype: one signature, so that a call with other layouts raises instead of compiling."""
    nothing = prepare(dtype)
    if JIT:
        number = types.float32 if dtype == np.float32 else types.float64
        matrix, vector = types.Array(number, 2, "C"), types.Array(number, 1, "C")
        _backward.disable_compile(False)
        _backward.compile((matrix, matrix, matrix, vector, matrix, matrix, vector))
        _backward.disable_compile()
    _empty[dtype] = nothing, nothing.reshape(0, 0)
    return _empty[dtype]


def linear_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, needs: tuple[bool, bool, bool]
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Gradients of ``x @ w.T + bias`` to x, w and bias: ``g @ w``, ``g.T @ x`` and the column sums of g.

    Parameters
    ----------
    g, x, w : array, (N, out), (N, in) and (out, in), of one dtype
    needs : three bools
        Which of the gradients are wanted; the others are None.
    """
    rows, outputs = g.shape
    dtype = x.dtype
    if 0 < rows <= MOST_ROWS and (JIT or all(array.flags.c_contiguous for array in (g, x, w))):
        empty = _empty.get(dtype) or _prepare(dtype)
        dx = memory.empty(x.shape, dtype) if needs[0] else empty[1]
        dw = memory.empty(w.shape, dtype) if needs[1] else empty[1]
        db = np.empty(outputs, dtype) if needs[2] else empty[0]
        try:
            _backward(g, x, w, empty[0], dx, dw, db)
        except TypeError:  # not contiguous, or read-only
            pass
        else:
            return dx if needs[0] else None, dw if needs[1] else None, db if needs[2] else None
    return (
        gemm(g, w) if needs[0] else None,
        gemm(g.T, x) if needs[1] else None,
        reduce.sum(g, (0,)) if needs[2] else None,
    )
