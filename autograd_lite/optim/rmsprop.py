"""RMSprop."""

from __future__ import annotations

from typing import Any

from ..kernels import optimizer as kernels
from ..tensor import Tensor
from .optimizer import Optimizer, Params, check_nonnegative, check_options, step_count, zeros_like


class RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of the running average of its square.

    With ``d = g + weight_decay * p`` (``-g`` if `maximize`)::

        v = alpha * v + (1 - alpha) * d**2
        u = d / (sqrt(v) + eps)
        p = p - lr * u

    (Hinton, Neural networks for machine learning, lecture 6e, 2012.) If `centered`,
    ``a = alpha * a + (1 - alpha) * d`` and ``v - a**2``, an estimate of the variance, takes the place of
    ``v`` under the root (Graves, Generating sequences with recurrent neural networks, 2013, equations 38
    to 45). With momentum, ``b = momentum * b + u`` takes the place of ``u`` in the last line.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor of one element
    alpha, eps, weight_decay, momentum : float
    centered, maximize : bool
    foreach, capturable : bool, optional
        Accepted for PyTorch's sake: the update is always one fused pass over all parameters.

    Raises
    ------
    ValueError
        If `lr`, `alpha`, `eps`, `weight_decay` or `momentum` is negative.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = ag.optim.RMSprop([w], lr=0.05)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000, 1.5000], requires_grad=True)
    """

    _buffers = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        check_options(self, foreach=foreach, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _update(self, index: int, group: dict[str, Any]) -> None:
        momentum, centered = group["momentum"], group["centered"]
        used: list[Tensor] = []
        arrays: list[Any] = []
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            state = self.state[p]
            if not state:
                state["step"] = step_count()
                state["square_avg"] = zeros_like(p)
                if momentum != 0:
                    state["momentum_buffer"] = zeros_like(p)
                if centered:
                    state["grad_avg"] = zeros_like(p)
            arrays += (p._data, grad._data, state["square_avg"]._data)
            if momentum != 0:
                arrays.append(state["momentum_buffer"]._data)
            if centered:
                arrays.append(state["grad_avg"]._data)
            arrays.append(state["step"]._data)
            used.append(p)
        if used:
            values = (
                float(group["lr"]),
                group["alpha"],
                group["eps"],
                group["weight_decay"],
                momentum,
                centered,
                -1.0 if group["maximize"] else 1.0,
            )
            kernels.rmsprop(arrays, self._hyperparameters(index, values))
            for p in used:
                p._bump()
