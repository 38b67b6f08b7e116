"""Factorizations with several results: eigenvalues, singular values, QR.

Derivatives: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008), sections 3.1 and 3.2; J. Townsend, "Differentiating the singular value decomposition"
(2016); H.-J. Liao et al., "Differentiable programming tensor networks", Phys. Rev. X 9 (2019), section III.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.grad_mode import state
from ..autograd.graph import RELEASED, Node, OutputNode, edge
from ..kernels import lapack
from ..tensor import Tensor
from .arithmetic import where
from .matmul import matmul
from .primitive import primitive
from .shape import adjoint, data_of, result_type, unsqueeze

__all__: list[str] = []

Formula = Callable[..., Tensor]


class DecompositionBackward0(Node):
    """The node of a factorization: `formula` makes one gradient of those of all results."""

    __slots__ = ("formula", "outputs", "results")

    def __init__(self, source: Tensor, formula: Formula, results: Sequence[np.ndarray]) -> None:
        super().__init__((edge(source),))
        self.formula, self.results, self.outputs = formula, tuple(results), len(results)

    def release(self) -> None:
        self.results = RELEASED

    def propagate(self, gradient: Any, wanted: Sequence[bool] | None) -> list[Any]:
        if self.results is RELEASED:
            raise RuntimeError(
                f"{self.name()}: Trying to backward through the graph a second time after the saved tensors have been "
                "freed. Specify retain_graph=True if you need to backward through the graph a second time."
            )
        return [self.formula(*gradient, *_outputs(self, [r.copy() for r in self.results]))]


def _outputs(node: Node, arrays: Sequence[np.ndarray]) -> list[Tensor]:
    made = []
    for slot, array in enumerate(arrays):
        out = Tensor(array)
        out._node, out._requires_grad = OutputNode(node, slot), True
        made.append(out)
    return made


def _record(source: Tensor, formula: Formula, arrays: Sequence[np.ndarray]) -> list[Tensor]:
    source._refresh()
    if state.enabled and source._requires_grad:
        return _outputs(DecompositionBackward0(source, formula, [a.copy() for a in arrays]), arrays)
    made = [Tensor(a) for a in arrays]
    for out in made:
        out._inference = state.inference
    return made


def _matrices(op: str, x: Any) -> Tensor:
    data = data_of(op, x, "A")
    if data.ndim < 2:
        raise RuntimeError(f"{op}: The input tensor A must have at least 2 dimensions.")
    if data.dtype.kind != "f":
        raise RuntimeError(f"{op}: Expected a floating point or complex tensor as input. Got {x.dtype!r}")
    return x


def _inverse_differences(values: Tensor) -> Tensor:
    """1 / (values[j] - values[i]) at (i, j), and 0 on the diagonal."""
    apart = unsqueeze(values, -2) - unsqueeze(values, -1)
    diagonal = Tensor(np.eye(values._data.shape[-1], dtype=bool))
    return where(diagonal, 0.0, 1.0 / where(diagonal, 1.0, apart))


def _scaled(matrix: Tensor, by: Tensor) -> Tensor:
    """The columns of `matrix` times the numbers `by`."""
    return matrix * unsqueeze(by, -2)


def _eigh_gradient(g_values: Any, g_vectors: Any, values: Tensor, vectors: Tensor) -> Tensor:
    middle: Any = None
    if g_vectors is not None:
        middle = matmul(adjoint(vectors), g_vectors) * _inverse_differences(values)
    if g_values is not None:
        along = g_values.diag_embed()
        middle = along if middle is None else middle + along
    return matmul(matmul(vectors, middle), adjoint(vectors))


@primitive(name="linalg_inv")
def inverse(a: np.ndarray) -> np.ndarray:
    return lapack.inverse(a)


@inverse.derivative("a")
def _(g: Tensor, out: Tensor) -> Tensor:
    return -matmul(matmul(adjoint(out), g), adjoint(out))


_Eigh = result_type("eigh", "eigenvalues", "eigenvectors")
_Svd = result_type("svd", "U", "S", "Vh")
_Qr = result_type("qr", "Q", "R")


def eigh(A: Tensor) -> Any:
    """The eigenvalues (ascending) and eigenvectors of symmetric matrices, of which the lower triangles are read.

    Parameters
    ----------
    A : Tensor of shape (..., n, n)
        The matrices.

    Returns
    -------
    namedtuple (eigenvalues, eigenvectors)
        Of shapes (..., n) and (..., n, n); the eigenvectors are the columns, each up to its sign.

    Notes
    -----
    Gradient: ``V @ (diag(gw) + (V.mT @ gV) / (w[j] - w[i])) @ V.mT``. That of the eigenvectors is not finite where
    eigenvalues are equal.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.eigh(ag.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    shape = _matrices("linalg.eigh", A)._data.shape
    if shape[-1] != shape[-2]:
        raise RuntimeError(
            f"linalg.eigh: A must be batches of square matrices, but they are {shape[-2]} by {shape[-1]} matrices"
        )
    return _Eigh(*_record(A, _eigh_gradient, lapack.symmetric_eigen(A._data)))


def eigvalsh(A: Tensor) -> Tensor:
    """The eigenvalues (ascending) of symmetric matrices; see `eigh`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.eigvalsh(ag.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return eigh(A).eigenvalues


def _svd_gradient(gu: Any, gs: Any, gvh: Any, u: Tensor, s: Tensor, vh: Tensor) -> Tensor:
    ut, v = adjoint(u), adjoint(vh)
    middle: Any = None if gs is None else gs.diag_embed()
    outside: Any = None
    if gu is not None or gvh is not None:
        differences = _inverse_differences(s * s)
        terms = []
        if gu is not None:
            turned = matmul(ut, gu)
            terms.append(_scaled((turned - adjoint(turned)) * differences, s))
            beyond = _scaled(gu - matmul(u, turned), 1.0 / s)
            outside = matmul(beyond, vh)
        if gvh is not None:
            turned = matmul(gvh, v)
            terms.append(unsqueeze(s, -1) * ((adjoint(turned) - turned) * differences))
            beyond = unsqueeze(1.0 / s, -1) * (gvh - matmul(turned, vh))
            part = matmul(u, beyond)
            outside = part if outside is None else outside + part
        for term in terms:
            middle = term if middle is None else middle + term
    inside = matmul(matmul(u, middle), vh)
    return inside if outside is None else inside + outside


def svd(A: Tensor, full_matrices: bool = True) -> Any:
    """The singular value decomposition, ``A = U @ diag(S) @ Vh``, with S descending.

    Parameters
    ----------
    A : Tensor of shape (..., m, n)
        The matrices.
    full_matrices : bool
        Whether U and Vh are square, or have only min(m, n) columns and rows. A gradient asks for
        False, or for square matrices.

    Returns
    -------
    namedtuple (U, S, Vh)
        Each column of U is determined, with its row of Vh, up to a sign; so what is computed from them must not
        depend on it.

    Notes
    -----
    Gradient: as in Townsend (2016). That of U and Vh is not finite where singular values are equal, or zero in a
    matrix that is not square; that of S always is.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.svd(ag.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    shape = _matrices("linalg.svd", A)._data.shape
    if full_matrices and shape[-1] != shape[-2]:
        if state.enabled and A.requires_grad:
            raise RuntimeError(
                "linalg.svd: only full_matrices=False has a gradient for matrices that are not square (shape "
                f"{list(shape)})"
            )
        return _Svd(*[Tensor(a) for a in lapack.singular_values(A._data, True)])
    return _Svd(*_record(A, _svd_gradient, lapack.singular_values(A._data, False)))


def svdvals(A: Tensor) -> Tensor:
    """The singular values, descending; see `svd`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.svdvals(ag.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return svd(A, full_matrices=False).S


def _qr_gradient(gq: Any, gr: Any, q: Tensor, r: Tensor) -> Tensor:
    middle: Any = None
    if gr is not None:
        middle = matmul(r, adjoint(gr))
    if gq is not None:
        part = -matmul(adjoint(gq), q)
        middle = part if middle is None else middle + part
    low = middle.tril()
    both = matmul(q, low + adjoint(middle.tril(-1)))
    total = both if gq is None else both + gq
    return matmul(total, adjoint(inverse(r)))


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """The QR decomposition, ``A = Q @ R``: Q with orthonormal columns, R upper triangular.

    Parameters
    ----------
    A : Tensor of shape (..., m, n)
        The matrices; with at least as many rows as columns, and of full rank, where a gradient is asked for.
    mode : "reduced"
        Q has min(m, n) columns.

    Returns
    -------
    namedtuple (Q, R)

    Notes
    -----
    Gradient: Liao et al. (2019), equation 8.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.qr(ag.eye(2)).R.abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    if mode != "reduced":
        raise RuntimeError(f"linalg.qr: only mode='reduced' is supported, got {mode!r}")
    shape = _matrices("linalg.qr", A)._data.shape
    if shape[-2] < shape[-1] and state.enabled and A.requires_grad:
        raise RuntimeError(
            f"linalg.qr: has a gradient only for at least as many rows as columns, got shape {list(shape)}"
        )
    return _Qr(*_record(A, _qr_gradient, lapack.orthogonal(A._data)))
