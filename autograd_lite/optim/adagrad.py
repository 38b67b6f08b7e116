"""Adagrad."""

from __future__ import annotations

from typing import Any

from ..kernels import optimizer as kernels
from ..tensor import Tensor
from .optimizer import Optimizer, Params, check_nonnegative, check_options, step_count, zeros_like


class Adagrad(Optimizer):
    """Adagrad: the gradient divided by the root of the sum of its squares so far.

    With ``d = g + weight_decay * p`` (``-g`` if `maximize`), at step ``t``::

        s = s + d**2
        p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(s) + eps)

    (Duchi, Hazan and Singer, Adaptive subgradient methods, JMLR 2011, the diagonal form.)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor of one element
    lr_decay, weight_decay, eps : float
    initial_accumulator_value : float
        What ``s`` begins with.
    maximize : bool
    foreach, fused : bool, optional
        Accepted for PyTorch's sake: the update is always one fused pass over all parameters.

    Raises
    ------
    ValueError
        If one of the numbers is negative.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = ag.optim.Adagrad([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000, 1.5000], requires_grad=True)
    """

    _buffers = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_nonnegative(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        check_options(self, foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self._start(p, self.state[p])

    def _start(self, p: Tensor, state: dict[str, Any]) -> None:
        state["step"] = step_count()
        state["sum"] = zeros_like(p)
        state["sum"]._data.fill(self.defaults["initial_accumulator_value"])

    def _update(self, index: int, group: dict[str, Any]) -> None:
        used: list[Tensor] = []
        arrays: list[Any] = []
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            state = self.state[p]
            if not state:
                self._start(p, state)
            arrays += (p._data, grad._data, state["sum"]._data, state["step"]._data)
            used.append(p)
        if used:
            values = (
                float(group["lr"]),
                group["lr_decay"],
                group["eps"],
                group["weight_decay"],
                -1.0 if group["maximize"] else 1.0,
            )
            kernels.adagrad(arrays, self._hyperparameters(index, values))
            for p in used:
                p._bump()
