"""The gradients of ``x @ w.T + bias``, all in one call: in small layers the calls themselves cost the most."""

from __future__ import annotations

import numpy as np

from . import memory, reduce
from .gemm import _gemm as product
from .gemm import gemm
from .jit import kernel

MOST_ROWS = 1024
"""Up to so many rows the gradient of the bias is summed row by row, above that in pairs of blocks (see `reduce`)."""

_nothing: dict[int, np.ndarray] = {}
_no_matrix: dict[int, np.ndarray] = {}


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
    size, plain = x.itemsize, g.flags.c_contiguous and x.flags.c_contiguous and w.flags.c_contiguous
    if not plain or rows > MOST_ROWS or rows == 0 or size not in _nothing:
        result = (
            gemm(g, w) if needs[0] else None,
            gemm(g.T, x) if needs[1] else None,
            reduce.sum(g, (0,)) if needs[2] else None,
        )
        if needs[0] or needs[1]:  # `gemm` has then compiled what `_backward` calls
            _nothing[size], _no_matrix[size] = np.empty(0, x.dtype), np.empty((0, 0), x.dtype)
        return result
    nothing, no_matrix = _nothing[size], _no_matrix[size]
    dx = memory.empty(x.shape, x.dtype) if needs[0] else no_matrix
    dw = memory.empty(w.shape, x.dtype) if needs[1] else no_matrix
    db = np.empty(outputs, x.dtype) if needs[2] else nothing
    _backward(g, x, w, nothing, dx, dw, db)
    return dx if needs[0] else None, dw if needs[1] else None, db if needs[2] else None
