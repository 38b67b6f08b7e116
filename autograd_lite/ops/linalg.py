"""The linear algebra of small dense matrices: inverses, determinants, factorizations.

Derivatives: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008); for the Cholesky factor also I. Murray, arXiv:1602.07527.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.grad_mode import state
from ..kernels import lapack
from ..tensor import Tensor, method
from .arithmetic import copied, where
from .creation import eye
from .decomposition import inverse as inverse_matrix
from .elementwise import check_broadcast
from .matmul import matmul
from .norms import float_input, norm
from .primitive import expand_to, primitive
from .reduction import sum
from .shape import adjoint, data_of, numpy_names, result_type, unsqueeze

__all__ = ["LinAlgError", "inverse", "logdet", "norm"]


class LinAlgError(RuntimeError):
    """A matrix has no inverse, or no Cholesky factor."""


# Square matrices


def _square(op: str, x: Any) -> Tensor:
    shape = data_of(op, x, "A").shape
    if len(shape) < 2:
        raise RuntimeError(f"{op}: The input tensor A must have at least 2 dimensions.")
    if shape[-1] != shape[-2]:
        raise RuntimeError(
            f"{op}: A must be batches of square matrices, but they are {shape[-2]} by {shape[-1]} matrices"
        )
    return float_input(op, x)


def _batch(x: Tensor, failure: lapack.Singular) -> str:
    return f"(Batch element {failure.batch}): " if x._data.ndim > 2 else ""


def _times(*matrices: Tensor) -> Tensor:
    product = matrices[0]
    for m in matrices[1:]:
        product = matmul(product, m)
    return product


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices.

    Parameters
    ----------
    A : Tensor of shape (..., n, n)
        The matrices.

    Raises
    ------
    LinAlgError
        If a matrix is singular.
    RuntimeError
        If they are not square, or not of floating point.

    Notes
    -----
    Gradient: ``-out.mT @ g @ out.mT``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.inv(ag.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    A = _square("linalg.inv", A)
    try:
        return inverse_matrix(A)
    except lapack.Singular as failure:
        raise LinAlgError(
            f"linalg.inv: {_batch(A, failure)}The inversion could not be completed because the input matrix is "
            "singular."
        ) from None


def inverse(input: Tensor) -> Tensor:
    """The inverse of square matrices; see `linalg.inv`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.inverse(ag.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    return inv(input)


@primitive(name="linalg_solve")
def _solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return lapack.solve(a, b)


@_solve.derivative("a", "b")
def _(g: Tensor, a: Tensor, out: Tensor, *, needs: tuple[bool, ...]) -> tuple[Tensor | None, Tensor]:
    for_b = _solve(adjoint(a), g)
    return -matmul(for_b, adjoint(out)) if needs[0] else None, for_b


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The solution X of ``A @ X = B``.

    Parameters
    ----------
    A : Tensor of shape (..., n, n)
        The matrices.
    B : Tensor of shape (..., n, k), or (n,) or (..., n)
        The right-hand sides; vectors if `B` is 1-D or has the batch dimensions of `A` and one more.
    left : bool
        False: solve ``X @ A = B``.

    Raises
    ------
    LinAlgError
        If a matrix is singular.
    RuntimeError
        If the shapes do not match.

    Notes
    -----
    Gradient: ``solve(A.mT, g)`` for `B`, and minus that times ``X.mT`` for `A`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.solve(ag.tensor([[2.0, 0.0], [0.0, 4.0]]), ag.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    A = _square("linalg.solve", A)
    a, b = A._data.shape, data_of("linalg.solve", B, "B").shape
    if B._data.dtype != A._data.dtype:
        raise RuntimeError(
            f"linalg.solve: Expected A and B to have the same dtype, but found {A.dtype!r} and {B.dtype!r}"
        )
    vector = len(b) == 1 or (len(b) == len(a) - 1 and b == a[:-1])
    if vector:
        B, b = unsqueeze(B, -1), (*b, 1)
    if not b or a[-1] != b[-2 if left else -1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B "
            f"({a[-2]}x{a[-1]} and {'x'.join(map(str, b[-2:]))})"
        )
    if not left:
        return adjoint(solve(adjoint(A), adjoint(B)))
    batch = check_broadcast("linalg.solve", (a[:-2], b[:-2]))
    try:
        x = _solve(expand_to(A, shape=(*batch, *a[-2:])), expand_to(B, shape=(*batch, *b[-2:])))
    except lapack.Singular as failure:
        raise LinAlgError(
            f"linalg.solve: {_batch(A, failure)}The solver failed because the input matrix is singular."
        ) from None
    return x.squeeze(-1) if vector else x


@primitive(name="linalg_det")
def _det(a: np.ndarray) -> np.ndarray:
    return lapack.determinant(a)


@_det.derivative("a")
def _(g: Tensor, a: Tensor, out: Tensor) -> Tensor:
    return (g * out).unsqueeze(-1).unsqueeze(-1) * adjoint(inv(a))


@_det.fused("a")
def _(g: np.ndarray, a: np.ndarray) -> np.ndarray:
    return lapack.determinant_slope(g, a)


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices.

    Parameters
    ----------
    A : Tensor of shape (..., n, n)
        The matrices.

    Notes
    -----
    Gradient: ``g * out * inv(A).mT``; for singular matrices too, by the singular value decomposition. A second
    derivative asks for invertible matrices.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.det(ag.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return _det(_square("linalg.det", A))


@primitive(name="linalg_slogdet")
def _slogdet(a: np.ndarray) -> Any:
    sign_of, logarithm = lapack.log_determinant(a)
    return logarithm, {"sign": sign_of}


@_slogdet.derivative("a")
def _(g: Tensor, a: Tensor) -> Tensor:
    return g.unsqueeze(-1).unsqueeze(-1) * adjoint(inv(a))


_SLogDet = result_type("slogdet", "sign", "logabsdet")


def slogdet(A: Tensor) -> Any:
    """Sign and logarithm of the absolute value of the determinant, which does not overflow.

    Returns
    -------
    namedtuple (sign, logabsdet)
        The sign has no gradient.

    Notes
    -----
    Gradient of the logarithm: ``g * inv(A).mT``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.slogdet(ag.tensor([[-1.0, 0.0], [0.0, 1.0]]))
    slogdet(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    A = _square("linalg.slogdet", A)
    logarithm, extras = _slogdet.run(A)
    return _SLogDet(_without_gradient(extras["sign"]), logarithm)


def _without_gradient(array: np.ndarray) -> Tensor:
    made = Tensor(array)
    made._inference = state.inference
    return made


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: NaN if that is negative, -inf if it is zero.

    Notes
    -----
    Gradient: ``g * inv(input).mT``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.logdet(ag.eye(2))
    tensor(0.)
    """
    sign_of, logarithm = slogdet(input)
    return where(sign_of < 0, float("nan"), logarithm)


@primitive(name="linalg_cholesky")
def _cholesky(a: np.ndarray) -> np.ndarray:
    return lapack.cholesky(a)


@_cholesky.derivative("a")
def _(g: Tensor, out: Tensor) -> Tensor:
    inner = matmul(adjoint(out), g).tril()
    inner = inner - 0.5 * (inner - inner.tril(-1))
    back = inverse_matrix(out)
    both = _times(adjoint(back), inner, back)
    return 0.5 * (both + adjoint(both))


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L of ``A = L @ L.mT``, for symmetric positive definite matrices.

    Parameters
    ----------
    A : Tensor of shape (..., n, n)
        The matrices, of which the lower triangles are read.
    upper : bool
        Return ``L.mT`` instead.

    Raises
    ------
    LinAlgError
        If a matrix is not positive definite.

    Notes
    -----
    Gradient: symmetric; ``inv(L).mT @ phi(L.mT @ g) @ inv(L)``, where phi keeps the lower triangle and halves the
    diagonal (Murray, section 2).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.cholesky(ag.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    A = _square("linalg.cholesky", A)
    try:
        factor = _cholesky(A)
    except lapack.Singular as failure:
        raise LinAlgError(
            f"linalg.cholesky: {_batch(A, failure)}The factorization could not be completed because the input is not "
            "positive-definite."
        ) from None
    return adjoint(factor) if upper else factor


def matrix_power(A: Tensor, n: int) -> Tensor:
    """The `n`-th power of square matrices, by repeated squaring; of the inverse, for negative `n`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.matrix_power(ag.tensor([[1.0, 1.0], [0.0, 1.0]]), 10)
    tensor([[ 1., 10.],
            [ 0.,  1.]])
    """
    A = _square("linalg.matrix_power", A)
    if n < 0:
        A, n = inv(A), -n
    result = None
    while n:
        if n & 1:
            result = A if result is None else matmul(result, A)
        n >>= 1
        A = matmul(A, A) if n else A
    if result is None:
        return copied(A, expand_to(eye(A._data.shape[-1], dtype=A.dtype), shape=A._data.shape))
    return result


# Any matrices


def _matrices(op: str, x: Any) -> Tensor:
    if data_of(op, x, "A").ndim < 2:
        raise RuntimeError(f"{op}: The input tensor A must have at least 2 dimensions.")
    return float_input(op, x)


def _tolerance(x: Tensor, rtol: float | None) -> float:
    return max(x._data.shape[-2:]) * float(np.finfo(x._data.dtype).eps) if rtol is None else rtol


@primitive(name="linalg_pinv")
def _pinv(a: np.ndarray, *, rtol: float) -> np.ndarray:
    return lapack.pseudoinverse(a, rtol)


@_pinv.derivative("a")
def _(g: Tensor, a: Tensor, out: Tensor) -> Tensor:
    p, q, h = out, adjoint(out), adjoint(g)
    beside = h - _times(a, p, h)
    under = h - _times(h, p, a)
    return _times(beside, p, q) + _times(q, p, under) - _times(q, g, q)


def pinv(A: Tensor, *, rtol: float | None = None) -> Tensor:
    """The Moore-Penrose pseudoinverse.

    Parameters
    ----------
    A : Tensor of shape (..., m, n)
        The matrices, of constant rank near by where a gradient is asked for.
    rtol : float, optional
        Singular values below `rtol` times the largest count as zero; default: max(m, n) * eps.

    Notes
    -----
    Gradient: Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
    variables separate" (1973), equation 4.12.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.pinv(ag.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    A = _matrices("linalg.pinv", A)
    return _pinv(A, rtol=_tolerance(A, rtol))


def matrix_rank(A: Tensor, *, rtol: float | None = None) -> Tensor:
    """The rank: how many singular values are not (nearly) zero; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.matrix_rank(ag.ones(2, 2))
    tensor(1)
    """
    A = _matrices("linalg.matrix_rank", A)
    return Tensor(lapack.rank(A._data, _tolerance(A, rtol)))


class LeastSquares(NamedTuple):
    """What `lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The X that makes ``|A X - B|`` least, and among those the shortest.

    Parameters
    ----------
    A : Tensor of shape (..., m, n)
    B : Tensor of shape (..., m, k), or (m,) beside a single matrix
    rcond : float, optional
        Singular values below `rcond` times the largest count as zero; default: max(m, n) * eps.
    driver : str, optional
        Accepted for PyTorch's sake: it is always the pseudoinverse.

    Returns
    -------
    solution : Tensor of shape (..., n, k)
        ``pinv(A) @ B``, with its gradients.
    residuals : Tensor of shape (..., k)
        ``|A X - B|^2`` where m > n and the rank is full, else empty.
    rank, singular_values : Tensor
        Of A; no gradient.

    Raises
    ------
    RuntimeError
        If the rows of A and B differ in number.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> A = ag.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> ag.linalg.lstsq(A, ag.tensor([[1.0], [3.0], [5.0]])).solution
    tensor([[1.0000],
            [2.0000]])
    """
    A = _matrices("linalg.lstsq", A)
    rows, columns = A._data.shape[-2:]
    vector = B.dim() == 1 and A.dim() == 2
    if B.dim() < 1 or B._data.shape[-1 if vector else -2] != rows:
        shapes = f"{A._data.shape} and {B._data.shape}"
        raise RuntimeError(f"linalg.lstsq: A and B must have as many rows, got shapes {shapes}")
    right = B.unsqueeze(-1) if vector else B
    solution = _times(pinv(A, rtol=rcond), right)
    values = lapack.singular_values(A._data, False)[1]
    rank = matrix_rank(A, rtol=rcond)
    residuals = Tensor(np.empty(0, A._data.dtype))
    if rows > columns and (rank._data == columns).all():
        residuals = ((_times(A, solution) - right) ** 2).sum(-2)
    return LeastSquares(solution.squeeze(-1) if vector else solution, residuals, rank, Tensor(values))


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, from the left to the right.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.multi_dot([ag.ones(1, 2), ag.ones(2, 3), ag.ones(3, 1)])
    tensor([[6.]])
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    return _times(*tensors)


@numpy_names
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The dot products of vectors along `dim`, with broadcasting.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.vecdot(ag.ones(2, 3), ag.ones(3))
    tensor([3., 3.])
    """
    return sum(x * y, dim)


method(inverse)
method(logdet)
method(det)
method(slogdet)
method(matrix_power)
method(cholesky)
method(pinv, name="pinverse")
