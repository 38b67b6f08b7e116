"""Factorizations of small dense matrices, by the LAPACK that NumPy brings. All take batches, (..., n, n)."""

from __future__ import annotations

import numpy as np


class Singular(Exception):
    """A factorization failed; `batch` is the number of the first matrix that it failed for."""

    def __init__(self, batch: int) -> None:
        super().__init__(batch)
        self.batch = batch


def _first_failure(function: object, *arrays: np.ndarray) -> Singular:
    for batch, matrices in enumerate(zip(*[a.reshape(-1, *a.shape[-2:]) for a in arrays], strict=True)):
        try:
            function(*matrices)  # type: ignore[operator]
        except np.linalg.LinAlgError:
            return Singular(batch)
    return Singular(0)


def inverse(a: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        raise _first_failure(np.linalg.inv, a) from None


def solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """X of A X = B, for B of shape (..., n, k)."""
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise _first_failure(np.linalg.inv, a) from None


def determinant(a: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.det(a))


def log_determinant(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sign, and logarithm of the absolute value."""
    sign, logarithm = np.linalg.slogdet(a)
    return np.asarray(sign), np.asarray(logarithm)


def determinant_slope(g: np.ndarray, a: np.ndarray) -> np.ndarray:
    """`g` times the cofactors det(A) A^-T, from the SVD, so that singular matrices have theirs too."""
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    products = np.ones_like(s)
    for i in range(n):
        products[..., i] = np.prod(np.delete(s, i, -1), -1)
    orientation = g * np.linalg.det(u) * np.linalg.det(vh)
    return np.asarray((u * (products * orientation[..., None])[..., None, :]) @ vh)


def cholesky(a: np.ndarray) -> np.ndarray:
    """The lower triangle L of A = L L^T."""
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        raise _first_failure(np.linalg.cholesky, a) from None


def singular_values(a: np.ndarray, full: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, S, V^T of A = U S V^T; in the reduced form, unless `full`."""
    return np.linalg.svd(a, full_matrices=full)


def symmetric_eigen(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices (their lower triangles)."""
    return np.linalg.eigh(a)


def pseudoinverse(a: np.ndarray, rtol: float) -> np.ndarray:
    """The Moore-Penrose inverse; singular values below `rtol` times the largest count as zero."""
    return np.linalg.pinv(a, rtol)


def rank(a: np.ndarray, rtol: float) -> np.ndarray:
    """How many singular values are above `rtol` times the largest."""
    s = np.linalg.svd(a, compute_uv=False)
    return np.asarray((s > rtol * s.max(-1, initial=0, keepdims=True)).sum(-1))


def orthogonal(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q and R of A = Q R, in the reduced form."""
    return np.linalg.qr(a)
