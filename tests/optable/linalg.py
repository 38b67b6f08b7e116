"""Rows of the matrix products and linear algebra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .opinfo import Bad, F, I, OpInfo, S

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
row("cdist", lambda x, y, p=2.0: np.sqrt(np.sum((x[..., :, None, :] - y[..., None, :, :]) ** 2, -1)), [S(F(2, 3), F(4, 3))])


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
row("linalg.cholesky", cholesky, SQUARE, op=lambda p, x: p.linalg.cholesky(positive(p, x)), **LOOSE)
