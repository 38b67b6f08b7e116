"""Clipping of gradients, and all parameters as one vector."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable

import numpy as np

from ...kernels import optimizer as kernels
from ...ops.joining import cat
from ...tensor import Tensor


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all `tensors` as if they were one vector.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
    norm_type : float
        The order p of the norm; ``inf`` for the largest absolute value.
    error_if_nonfinite : bool
    foreach : bool, optional
        Accepted for PyTorch's sake: the norms are always computed together.

    Returns
    -------
    Tensor
        Zero-dimensional; not recorded.

    Raises
    ------
    RuntimeError
        If the norm is infinite or NaN, and `error_if_nonfinite` is set.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.utils.get_total_norm([ag.tensor([3.0]), ag.tensor([[4.0]])])
    tensor(5.)
    """
    order = float(norm_type)
    norms = kernels.norms([t._data for t in _listed(tensors)], order)
    if norms.size == 0:
        return Tensor(np.zeros((), norms.dtype))
    total = kernels.norms([norms], order).reshape(())
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite ({total}), so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )
    return Tensor(total)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Multiply all gradients, in place, by ``min(1, max_norm / (total_norm + 1e-6))``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are skipped.
    max_norm : float
    total_norm : Tensor
        As `get_total_norm` returned it.
    foreach : bool, optional
        Accepted for PyTorch's sake.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> ag.nn.utils.clip_grads_with_norm_(w, 5.0, ag.nn.utils.get_total_norm(w.grad))
    >>> w.grad
    tensor([3.0000, 4.0000])
    """
    factor = float(max_norm) / (float(total_norm) + 1e-6)
    if not factor >= 1:
        _rescale(parameters, factor, math.inf)


def _rescale(parameters: Tensor | Iterable[Tensor], factor: float, limit: float) -> None:
    grads = [p._grad for p in _listed(parameters) if p._grad is not None]
    kernels.rescale([g._data for g in grads], factor, limit)
    for g in grads:
        g._bump()


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients down, in place, so that their norm as one vector is at most `max_norm`.

    (Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, ICML 2013,
    algorithm 1.)

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are skipped.
    max_norm : float
    norm_type : float
        The order p of the norm; ``inf`` for the largest absolute value.
    error_if_nonfinite : bool
    foreach : bool, optional
        Accepted for PyTorch's sake.

    Returns
    -------
    Tensor
        The norm before clipping, zero-dimensional.

    Raises
    ------
    RuntimeError
        If the norm is infinite or NaN, and `error_if_nonfinite` is set; nothing has been changed then.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> ag.nn.utils.clip_grad_norm_([w], max_norm=1.0)
    tensor(10.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    listed = _listed(parameters)
    if not listed and isinstance(parameters, types.GeneratorType):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    grads = [p._grad for p in listed if p._grad is not None]
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(listed, max_norm, total, foreach)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clamp all gradients to ``[-clip_value, clip_value]``, in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are skipped.
    clip_value : float
    foreach : bool, optional
        Accepted for PyTorch's sake.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([3.0, 0.25], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> ag.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([1.0000, 0.5000])
    """
    _rescale(parameters, 1.0, float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flat, one after the other; differentiable.

    Parameters
    ----------
    parameters : iterable of Tensor

    Returns
    -------
    Tensor
        One-dimensional.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.utils.parameters_to_vector([ag.zeros(1, 2), ag.ones(2)])
    tensor([0., 0., 1., 1.])
    """
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make consecutive pieces of `vec` the data of the parameters; they share its memory.

    Parameters
    ----------
    vec : Tensor
        One-dimensional, with as many elements as all parameters have.
    parameters : iterable of Tensor

    Raises
    ------
    TypeError
        If `vec` is not a Tensor.
    RuntimeError
        If the number of elements is wrong. Then nothing has been changed.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w, b = ag.zeros(1, 2), ag.zeros(1)
    >>> ag.nn.utils.vector_to_parameters(ag.tensor([1.0, 2.0, 3.0]), [w, b])
    >>> w, b
    (tensor([[1., 2.]]), tensor([3.]))
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got: {type(vec).__name__}")
    listed = list(parameters)
    data = vec._data
    total = sum(p.numel() for p in listed)
    if data.shape != (total,):
        raise RuntimeError(f"the vector has {data.size} elements, but the parameters have {total}")
    start = 0
    for p in listed:
        stop = start + p.numel()
        p.data = Tensor(data[start:stop].reshape(p._data.shape))
        start = stop
