"""Covariance and correlation of samples."""

from __future__ import annotations

from ..tensor import Tensor, method
from .arithmetic import clamp

__all__ = ["corrcoef", "cov"]


@method
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of variables, each a row whose columns are observations.

    Parameters
    ----------
    input : Tensor, (variables, observations) or (observations,)
    correction : int
        What is taken from the number of observations in the divisor.
    fweights : Tensor of integers, optional
        How often each observation occurred.
    aweights : Tensor, optional
        The weight of each observation.

    Returns
    -------
    Tensor, (variables, variables); without dimensions for one variable given as (observations,)

    Raises
    ------
    RuntimeError
        If `input` has more than two dimensions, or weights do not fit the observations.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cov(ag.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.dim() > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got {input.dim()}")
    x = input.reshape(1, -1) if input.dim() < 2 else input
    x = x if x.is_floating_point() else x.float()
    count = x.shape[1]
    for name, of_observations in (("fweights", fweights), ("aweights", aweights)):
        if of_observations is not None and tuple(of_observations.shape) != (count,):
            raise RuntimeError(f"cov(): expected {name} of shape ({count},), got {tuple(of_observations.shape)}")
    if fweights is None and aweights is None:
        centred = x - x.mean(1, keepdim=True)
        result = centred @ centred.t() / max(count - correction, 0)
    else:
        given = [w.to(x.dtype) for w in (fweights, aweights) if w is not None]
        weights = given[0] * given[1] if len(given) == 2 else given[0]
        total = weights.sum()
        centred = x - (x * weights).sum(1, keepdim=True) / total
        lost = correction if aweights is None else correction * (weights * aweights).sum() / total
        result = (centred * weights) @ centred.t() / clamp(total - lost, min=0)
    return result.reshape(()) if input.dim() < 2 else result


@method
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlations of variables, each a row whose columns are observations.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.corrcoef(ag.tensor([[0.0, 1.0, 2.0], [0.0, -2.0, -4.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    covariances = cov(input)
    if covariances.dim() == 0:
        return covariances / covariances
    deviations = covariances.diagonal().sqrt()
    return clamp(covariances / deviations.unsqueeze(1) / deviations, -1, 1)
