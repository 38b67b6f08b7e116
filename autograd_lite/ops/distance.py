"""Distances and similarities of vectors, and the losses made of them."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor, method
from .arithmetic import clamp, where
from .loss import chosen_reduction, reduced
from .pointwise import minimum

__all__ = ["cdist", "cosine_similarity", "dist", "pairwise_distance"]


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """``input / max(norm(input, p), eps)`` along `dim`.

    Parameters
    ----------
    p : float
        The order of the norm.
    dim : int or tuple of int
        The dimensions of the vectors.
    eps : float
        The smallest divisor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.normalize(ag.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / clamp(input.norm(p, dim, keepdim=True), min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between two vectors, ``x1 . x2 / (max(|x1|, eps) * max(|x2|, eps))``.

    Parameters
    ----------
    x1, x2 : Tensor
        Of shapes that broadcast together.
    dim : int
        The dimension of the vectors.
    eps : float
        The smallest divisors.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.cosine_similarity(ag.tensor([[3.0, 4.0]]), ag.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """
    lengths = [clamp(x.norm(2, dim, keepdim=True), min=eps) for x in (x1, x2)]
    return (x1 / lengths[0] * (x2 / lengths[1])).sum(dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The norm of ``x1 - x2 + eps`` along the last dimension.

    Parameters
    ----------
    x1, x2 : Tensor
        Of shapes that broadcast together.
    p : float
        The order of the norm.
    eps : float
        Keeps the derivative finite where the vectors are equal.
    keepdim : bool
        Keep the last dimension, with extent 1.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.pairwise_distance(ag.tensor([[3.0, 0.0]]), ag.tensor([[0.0, 4.0]]))
    tensor([5.])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    """The distance of each row of `x1` from each row of `x2`.

    Parameters
    ----------
    x1 : Tensor, (..., P, M)
    x2 : Tensor, (..., R, M)
    p : float
        The order of the norm.
    compute_mode : str, optional
        Accepted for PyTorch's sake: differences are always taken, never the expanded square, which cancels.

    Returns
    -------
    Tensor, (..., P, R)

    Raises
    ------
    RuntimeError
        If one is not at least two-dimensional, or the rows differ in length.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cdist(ag.tensor([[0.0, 0.0], [3.0, 0.0]]), ag.tensor([[0.0, 4.0]]))
    tensor([[4.],
            [5.]])
    """
    shapes = x1._data.shape, x2._data.shape
    if min(map(len, shapes)) < 2 or shapes[0][-1] != shapes[1][-1]:
        raise RuntimeError(f"cdist: expected shapes (..., P, M) and (..., R, M), got {shapes[0]} and {shapes[1]}")
    return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1)


@method
def dist(input: Tensor, other: Tensor, p: float = 2.0) -> Tensor:
    """The norm of ``input - other``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.dist(ag.tensor([1.0, 2.0]), ag.tensor([4.0, 6.0]))
    tensor(5.)
    """
    return (input - other).norm(p)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, margin + d(anchor, positive) - d(anchor, negative))`` with the distance `pairwise_distance`.

    Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural networks"
    (2016).

    Parameters
    ----------
    anchor, positive, negative : Tensor, (N, D) or (D,)
    margin, p, eps : float
        The margin; the order of the norm; see `pairwise_distance`.
    swap : bool
        Take the negative's distance to the positive, if it is smaller than that to the anchor.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    RuntimeError
        If the tensors have different numbers of dimensions.
    ValueError
        If `margin` is not positive, or `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> a, b, c = ag.tensor([[0.0, 0.0]]), ag.tensor([[3.0, 4.0]]), ag.tensor([[0.0, 2.0]])
    >>> ag.nn.functional.triplet_margin_loss(a, b, c)
    tensor(4.0000)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = [t._data.ndim for t in (anchor, positive, negative)]
    if len(set(dims)) != 1:
        raise RuntimeError(
            f"triplet_margin_loss: The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(clamp(margin + near - far, min=0), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos`` where `target` is 1, ``max(0, cos - margin)`` where it is -1, with the `cosine_similarity`.

    Parameters
    ----------
    input1, input2 : Tensor, (N, D) or (D,)
    target : Tensor, (N,) or ()
        1 or -1.
    margin : float
        From -1 to 1.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    RuntimeError
        If the shapes do not fit each other.
    ValueError
        If `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x, y = ag.tensor([[3.0, 4.0]]), ag.tensor([[4.0, 3.0]])
    >>> ag.nn.functional.cosine_embedding_loss(x, y, ag.tensor([-1]), margin=0.5)
    tensor(0.4600)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    ndim = target._data.ndim
    if ndim > 1 or input1._data.ndim != ndim + 1 or input2._data.ndim != ndim + 1:
        raise RuntimeError(
            f"cosine_embedding_loss: expected inputs (N, D) and a target (N,), or (D,) and (), but got shapes "
            f"{input1._data.shape}, {input2._data.shape} and {target._data.shape}"
        )
    cosine = _cosine_of_embeddings(input1, input2, ndim)
    apart = clamp(cosine - margin, min=0)
    each = where(target == 1, 1 - cosine, 0.0) + where(target == -1, apart, 0.0)
    return reduced(each, reduction)


def _cosine_of_embeddings(x1: Tensor, x2: Tensor, dim: int) -> Tensor:
    """The cosine as PyTorch's loss has it: a small constant under the root instead of a smallest divisor."""
    squares = [(x * x).sum(dim) + 1e-12 for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (squares[0] * squares[1]).sqrt()


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, margin - target * (input1 - input2))``: `input1` should be larger where `target` is 1, smaller for -1.

    Raises
    ------
    RuntimeError
        If the tensors have different numbers of dimensions.
    ValueError
        If `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> a, b = ag.tensor([1.0, 3.0]), ag.tensor([2.0, 1.0])
    >>> ag.nn.functional.margin_ranking_loss(a, b, ag.tensor([1, 1]))
    tensor(0.5000)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if len({t._data.ndim for t in (input1, input2, target)}) != 1:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: {tuple(target.shape)} "
        )
    return reduced(clamp(margin - target * (input1 - input2), min=0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where `target` is 1, ``max(0, margin - input)`` where it is -1.

    Raises
    ------
    ValueError
        If `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.hinge_embedding_loss(ag.tensor([0.5, 0.25]), ag.tensor([1, -1]))
    tensor(0.6250)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    # PyTorch adds the two branches where the target is neither 1 nor -1.
    each = where(target != 1, clamp(margin - input, min=0), 0.0) + where(target != -1, input, 0.0)
    return reduced(each, reduction)
