"""Linear algebra, by PyTorch's names: norms, products, inverses, factorizations (``ag.linalg``)."""

from .ops.decomposition import eigh, eigvalsh, qr, svd, svdvals
from .ops.linalg import (
    LinAlgError,
    cholesky,
    det,
    inv,
    lstsq,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
    slogdet,
    solve,
    vecdot,
)
from .ops.matmul import cross, matmul
from .ops.norms import linalg_norm as norm
from .ops.norms import matrix_norm, vector_norm

__all__ = [
    "LinAlgError",
    "cholesky",
    "cross",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]
