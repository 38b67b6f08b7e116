"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..kernels import optimizer as kernels
from ..tensor import Tensor
from .optimizer import Optimizer, Params, check_nonnegative, check_options, zeros_like


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov momentum.

    With ``d = g + weight_decay * p`` (``-g`` if `maximize`)::

        b = momentum * b + (1 - dampening) * d        (b = d at the first step)
        p = p - lr * (d + momentum * b  if nesterov else  b)

    and without momentum ``p = p - lr * d``. (Sutskever et al., On the importance of initialization and
    momentum in deep learning, ICML 2013, multiply by `lr` inside ``b``; here, as in PyTorch, outside.)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor of one element
    momentum, dampening, weight_decay : float
    nesterov, maximize : bool
    foreach, fused : bool, optional
        Accepted for PyTorch's sake: the update is always one fused pass over all parameters.

    Raises
    ------
    ValueError
        If `lr`, `momentum` or `weight_decay` is negative, or `nesterov` is asked for without momentum or
        with dampening.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = ag.optim.SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000, 1.0000], requires_grad=True)
    """

    _buffers = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_nonnegative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_options(self, foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _update(self, index: int, group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        common = (float(group["lr"]), -1.0 if group["maximize"] else 1.0, float(group["weight_decay"]))
        used: list[Tensor] = []
        arrays: list[Any] = []
        if momentum == 0:
            for p in group["params"]:
                grad = p._grad
                if grad is not None:
                    arrays += (p._data, grad._data)
                    used.append(p)
            if used:
                kernels.sgd(arrays, self._hyperparameters(index, common))
        else:
            started: list[tuple[Tensor, Tensor, Tensor]] = []
            for p in group["params"]:
                grad = p._grad
                if grad is not None:
                    buffer = self.state[p].get("momentum_buffer")
                    if buffer is None:
                        started.append((p, grad, zeros_like(p)))
                    else:
                        arrays += (p._data, grad._data, buffer._data)
                        used.append(p)
            nesterov = group["nesterov"]
            if used:
                h = self._hyperparameters((index, "momentum"), (*common, momentum, 1 - group["dampening"], nesterov))
                kernels.momentum(arrays, h)
            if started:  # the first step is not dampened
                h = self._hyperparameters((index, "start"), (*common, momentum, 1, nesterov))
                kernels.momentum([t._data for three in started for t in three], h)
                for p, _, buffer in started:
                    self.state[p]["momentum_buffer"] = buffer
                    used.append(p)
        for p in used:
            p._bump()
