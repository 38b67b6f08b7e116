"""Rows of the matrix products and linear algebra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .opinfo import Bad, F, I, OpInfo, S, absolute

ROWS: list[OpInfo] = []


def row(name: str, ref: Callable[..., Any], samples: list[S], **more: Any) -> None:
    ROWS.append(OpInfo(name, ref, samples, **more))


MISMATCH = Bad(RuntimeError, S(F(2, 3), F(2, 3)), "")
row("matmul", np.matmul, [
    S(F(2, 3), F(3, 4)), S(F(3), F(3)), S(F(2, 3), F(3)), S(F(3), F(3, 2)), S(F(2, 2, 3), F(2, 3, 2)), S(F(2, 2, 3), F(3, 2)),
    S(F(2, 3), F(2, 3, 2)), S(F(3), F(2, 3, 2)), S(F(2, 2, 3), F(3)), S(F(2, 1, 2, 3), F(3, 3, 1)), S(F(0, 3), F(3, 2)),
    S(F(2, 0), F(0, 3)), S(F(1, 3), F(3, 1)), S(F(5, 17), F(17, 9)), S(F(2, 3), F(3, 0)),
], errors=[
    Bad(RuntimeError, S(F(2, 3), F(2, 3)), "(2"), Bad(RuntimeError, S(F(), F(3)), ""), Bad(RuntimeError, S(F(3), F(2)), ""),
    Bad(RuntimeError, S(F(2, 2, 3), F(3, 3, 2)), ""), Bad(RuntimeError, S(F(2, 3), I(3, 2, hi=5)), ""),
], tolerance32=(2e-5, 1e-5))  # fmt: skip
row("matmul", np.matmul, [S(I(2, 3, hi=9), I(3, 2, hi=9))], variant="integers", differentiable=False)
row("mm", np.matmul, [S(F(2, 3), F(3, 4)), S(F(0, 3), F(3, 2))], errors=[MISMATCH, Bad(RuntimeError, S(F(3), F(3, 2)), "")])
row("mv", np.matmul, [S(F(2, 3), F(3))], errors=[Bad(RuntimeError, S(F(2, 3), F(2)), "")])
row("bmm", np.matmul, [S(F(2, 2, 3), F(2, 3, 4)), S(F(0, 2, 3), F(0, 3, 1))],
    errors=[Bad(RuntimeError, S(F(2, 2, 3), F(3, 3, 4)), ""), Bad(RuntimeError, S(F(2, 3), F(3, 4)), "")])  # fmt: skip
row("dot", lambda x, y: np.sum(x * y), [S(F(4), F(4)), S(F(0), F(0))], errors=[Bad(RuntimeError, S(F(3), F(2)), ""), Bad(RuntimeError, S(F(2, 2), F(2)), "")])
row("inner", lambda x, y: np.inner(x, y), [S(F(4), F(4)), S(F(2, 3), F(4, 3))])
row("outer", lambda x, y: x[:, None] * y[None], [S(F(3), F(4)), S(F(0), F(2))], errors=[Bad(RuntimeError, S(F(2, 2), F(2)), "")])
row("addmm", lambda b, x, y, *, beta=1, alpha=1: beta * b + alpha * (x @ y), [S(F(2, 4), F(2, 3), F(3, 4)), S(F(4), F(2, 3), F(3, 4), beta=0.5, alpha=-2.0)],
    errors=[Bad(RuntimeError, S(F(2, 4), F(2, 3), F(2, 4)), "")])  # fmt: skip
row("addmv", lambda b, x, y, *, beta=1, alpha=1: beta * b + alpha * (x @ y), [S(F(2), F(2, 3), F(3))])
row("baddbmm", lambda b, x, y, *, beta=1, alpha=1: beta * b + alpha * (x @ y), [S(F(2, 2, 2), F(2, 2, 3), F(2, 3, 2), beta=2.0)])
row("einsum", lambda formula, *xs: np.einsum(formula, *xs), [
    S("ij,jk->ik", F(2, 3), F(3, 2)), S("bij,bjk->bik", F(2, 2, 3), F(2, 3, 2)), S("i,i->", F(4), F(4)), S("ii->i", F(3, 3)), S("ii", F(3, 3)),
    S("ij->ji", F(2, 3)), S("ij->", F(2, 3)), S("i,j->ij", F(2), F(3)), S("...ij,...jk->...ik", F(2, 2, 3), F(3, 2)), S("ij,jk,kl->il", F(2, 2), F(2, 3), F(3, 2)),
    S("bi,oi->bo", F(2, 3), F(4, 3)), S("ijk,jk->i", F(2, 3, 2), F(3, 2)), S("bhqd,bhkd->bhqk", F(1, 2, 3, 2), F(1, 2, 2, 2)), S("ij,ij->i", F(2, 3), F(2, 3)),
], errors=[Bad(RuntimeError, S("ij,jk->ik", F(2, 3), F(2, 3)), ""), Bad(RuntimeError, S("ij->i", F(2)), "")])  # fmt: skip
row("tensordot", lambda x, y, dims=2: np.tensordot(x, y, dims), [S(F(2, 3), F(3, 2), 1), S(F(2, 3, 2), F(3, 2), 2), S(F(2, 3), F(2, 4), dims=([0], [0])), S(F(2), F(3), 0)])
row("kron", np.kron, [S(F(2, 2), F(2, 3)), S(F(2), F(3))])
row("trace", np.trace, [S(F(3, 3)), S(F(2, 4))], errors=[Bad(RuntimeError, S(F(3)), "trace")])
row("cross", lambda x, y, dim=-1: np.cross(x, y), [S(F(3), F(3), dim=0), S(F(2, 3), F(2, 3), dim=1)])


def well(package: Any, x: Any) -> Any:
    """A well-conditioned matrix made from any."""
    return x + 4 * package.eye(x.shape[-1], dtype=x.dtype)


def well_ref(x: Any) -> Any:
    return x + 4 * np.eye(x.shape[-1])


def positive(package: Any, x: Any) -> Any:
    return x @ x.mT + 2 * package.eye(x.shape[-1], dtype=x.dtype)


def cholesky(x: Any) -> Any:
    """By the textbook recurrence, without conjugates, so that the complex step is right."""
    a = x @ np.swapaxes(x, -1, -2) + 2 * np.eye(x.shape[-1])
    n = a.shape[-1]
    low = np.zeros_like(a)
    for i in range(n):
        for j in range(i + 1):
            rest = a[..., i, j] - np.sum(low[..., i, :j] * low[..., j, :j], -1)
            low[..., i, j] = np.sqrt(rest) if i == j else rest / low[..., j, j]
    return low


SQUARE = [S(F(3, 3)), S(F(1, 1)), S(F(2, 2, 2))]
LOOSE = {"tolerance32": (1e-4, 1e-5)}
row("linalg.inv", lambda x: np.linalg.inv(well_ref(x)), SQUARE, op=lambda p, x: p.linalg.inv(well(p, x)), **LOOSE)
row("linalg.solve", lambda a, b: np.linalg.solve(well_ref(a), b if b.ndim > 1 else b[:, None]).reshape(b.shape), [S(F(3, 3), F(3)), S(F(3, 3), F(3, 2)), S(F(2, 2, 2), F(2, 2, 1))],
    op=lambda p, a, b: p.linalg.solve(well(p, a), b), **LOOSE)  # fmt: skip
row("linalg.det", lambda x: np.linalg.det(well_ref(x)), SQUARE, op=lambda p, x: p.linalg.det(well(p, x)), **LOOSE)
row("linalg.slogdet", lambda x: (np.sign(np.linalg.det(well_ref(x)).real), np.log(np.linalg.det(well_ref(x)))), SQUARE, op=lambda p, x: tuple(p.linalg.slogdet(well(p, x))), **LOOSE)
row("inverse", lambda x: np.linalg.inv(well_ref(x)), SQUARE[:1], op=lambda p, x: p.inverse(well(p, x)), **LOOSE)
row("logdet", lambda x: np.log(np.linalg.det(well_ref(x))), SQUARE, op=lambda p, x: p.logdet(well(p, x)), **LOOSE)
row("linalg.matrix_power", lambda x, n: np.linalg.matrix_power(well_ref(x), n), [S(F(3, 3), n) for n in (0, 1, 2, 3, 5, -1, -2)],
    op=lambda p, x, n: p.linalg.matrix_power(well(p, x), n), **LOOSE)  # fmt: skip
row("linalg.multi_dot", lambda xs: np.linalg.multi_dot(xs), [S([F(2, 3), F(3, 4), F(4, 2)]), S([F(3), F(3, 2)]), S([F(2, 3), F(3, 2), F(2, 5), F(5)])])
row("linalg.vecdot", lambda x, y, dim=-1: np.sum(x * y, dim), [S(F(4), F(4)), S(F(2, 3), F(3)), S(F(2, 3), F(2, 3), dim=0)])
row("linalg.cross", lambda x, y, *, dim=-1: np.cross(x, y), [S(F(3), F(3)), S(F(2, 3), F(2, 3))])
row("linalg.lstsq", lambda x, y: np.linalg.inv(x.swapaxes(-1, -2) @ x) @ x.swapaxes(-1, -2) @ y, [S(F(4, 2, lo=0.5), F(4, 3)), S(F(4, 2, lo=0.5), F(4))],
    op=lambda p, x, y: p.linalg.lstsq(x, y).solution, **LOOSE)  # fmt: skip
row("linalg.pinv", lambda x: np.linalg.inv(x.swapaxes(-1, -2) @ x) @ x.swapaxes(-1, -2), [S(F(4, 2, lo=0.5))], **LOOSE)
row("linalg.matrix_norm", lambda x, ord="fro", dim=(-2, -1), keepdim=False: np.linalg.norm(x, ord, dim, keepdim),
    [S(F(3, 4)), S(F(3, 4), 1), S(F(3, 4), -1), S(F(3, 4), float("inf")), S(F(2, 3, 2), "fro", (0, 1), True), S(F(3, 4), 2), S(F(3, 4), "nuc"), S(F(3, 3), -2)],
    analytic=False, second_order=False, **LOOSE)  # fmt: skip


def symmetric(x: Any) -> Any:
    return x + x.swapaxes(-1, -2)


# Eigenvectors and singular vectors are determined up to a sign only, so their squares are compared.


def eigh(x: Any) -> Any:
    values, vectors = np.linalg.eigh(symmetric(x))
    return values, vectors**2


def svd(x: Any, full_matrices: bool = False) -> Any:
    u, values, vh = np.linalg.svd(x, full_matrices=full_matrices)
    return u**2, values, vh**2


def positive_diagonal(q: Any, r: Any) -> Any:
    """The one QR decomposition in which R has a positive diagonal."""
    signs = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    return q * signs[..., None, :], r * signs[..., :, None]


def qr(package: Any, x: Any) -> Any:
    q, r = package.linalg.qr(x)
    signs = r.diagonal(0, -2, -1).sign()
    return q * signs.unsqueeze(-2), r * signs.unsqueeze(-1)


row("linalg.eigh", eigh, SQUARE, op=lambda p, x: (lambda f: (f[0], f[1] ** 2))(p.linalg.eigh(x + x.mT)), analytic=False, second_order=False, **LOOSE)
row("linalg.eigvalsh", lambda x: eigh(x)[0], SQUARE, op=lambda p, x: p.linalg.eigvalsh(x + x.mT), analytic=False, second_order=False, **LOOSE)
row("linalg.svd", svd, [S(F(3, 3)), S(F(4, 2)), S(F(2, 3))], op=lambda p, x: (lambda f: (f[0] ** 2, f[1], f[2] ** 2))(p.linalg.svd(x, full_matrices=False)), analytic=False, second_order=False, **LOOSE)
row("linalg.svdvals", lambda x: svd(x)[1], [S(F(3, 3)), S(F(2, 4))], analytic=False, second_order=False, **LOOSE)
row("linalg.qr", lambda x: positive_diagonal(*np.linalg.qr(x)), [S(F(3, 3)), S(F(4, 2))], op=qr, analytic=False, second_order=False, **LOOSE)
row("linalg.matrix_rank", np.linalg.matrix_rank, [S(F(3, 3)), S(np.ones((3, 3)))], differentiable=False)
row("addr", lambda b, x, y, *, beta=1, alpha=1: beta * b + alpha * x[:, None] * y, [S(F(2, 3), F(2), F(3)), S(F(2, 3), F(2), F(3), beta=0.5, alpha=2.0)])
row("addbmm", lambda b, x, y, *, beta=1, alpha=1: beta * b + alpha * np.sum(x @ y, 0), [S(F(2, 4), F(3, 2, 3), F(3, 3, 4)), S(F(2, 4), F(3, 2, 3), F(3, 3, 4), alpha=-1.5)])
row("linalg.cholesky", cholesky, SQUARE, op=lambda p, x: p.linalg.cholesky(positive(p, x)), **LOOSE)

# Distances and statistics


def distances(x: Any, y: Any, p: float = 2.0) -> Any:
    gaps = x[..., :, None, :] - y[..., None, :, :]
    return np.sum(absolute(gaps) ** p, -1) ** (1 / p)


def covariance(x: Any, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    rows, w = np.atleast_2d(x), np.ones(x.shape[-1])
    w = w if fweights is None else w * fweights
    w = w if aweights is None else w * aweights
    gaps = rows - np.sum(rows * w, 1, keepdims=True) / np.sum(w)
    lost = correction * (1 if aweights is None else np.sum(w * aweights) / np.sum(w))
    result = (gaps * w) @ gaps.T / (np.sum(w) - lost)
    return result if x.ndim == 2 else result[0, 0]


def correlation(x: Any) -> Any:
    c = covariance(x)
    return c / np.sqrt(np.outer(np.diag(c), np.diag(c)))


row("cdist", distances, [S(F(3, 2), F(4, 2)), S(F(2, 3, 2), F(4, 2)), S(F(3, 2), F(2, 2), 1.0), S(F(2, 3), F(3, 3), p=3.0)],
    errors=[Bad(RuntimeError, S(F(3), F(2, 3)), ""), Bad(RuntimeError, S(F(2, 3), F(2, 2)), "")])  # fmt: skip
row("dist", lambda x, y, p=2.0: np.sum(absolute(x - y) ** p) ** (1 / p), [S(F(3), F(3)), S(F(2, 3), F(3)), S(F(3), F(3), 1.0)])
row("cov", covariance, [S(F(2, 5)), S(F(4)), S(F(3, 4), correction=0), S(F(2, 3), fweights=np.array([1, 2, 2])),
    S(F(2, 3), aweights=F(3, lo=0.5, grad=False)), S(F(2, 3), fweights=np.array([3, 1, 2]), aweights=F(3, lo=0.5, grad=False))],
    errors=[Bad(RuntimeError, S(F(2, 2, 2)), ""), Bad(RuntimeError, S(F(2, 3), fweights=np.array([1, 2])), "")])  # fmt: skip
row("corrcoef", correlation, [S(F(3, 5)), S(F(2, 4))], **LOOSE)
