"""Adam and its relatives AdamW and AMSGrad."""

from __future__ import annotations

from typing import Any

from ..kernels import optimizer as kernels
from ..tensor import Tensor
from .optimizer import Optimizer, Params, check_nonnegative, check_options, step_count, zeros_like


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

    With ``d = g + weight_decay * p`` (``-g`` if `maximize`), at step ``t``::

        m = beta1 * m + (1 - beta1) * d
        v = beta2 * v + (1 - beta2) * d**2
        p = p - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)

    (Kingma and Ba, Adam, ICLR 2015, algorithm 1.) With `amsgrad` the largest ``v`` so far takes the
    place of ``v`` in the last line (Reddi et al., On the convergence of Adam and beyond, ICLR 2018).
    With `decoupled_weight_decay` the gradient is left alone, and ``p`` is multiplied by
    ``1 - lr * weight_decay`` first (see `AdamW`).

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor of one element
    betas : (float, float)
        Decay rates of the two averages, in [0, 1).
    eps : float
        Added to the denominator.
    weight_decay : float
    amsgrad, maximize, decoupled_weight_decay : bool
    foreach, fused, capturable : bool, optional
        Accepted for PyTorch's sake: the update is always one fused pass over all parameters.

    Raises
    ------
    ValueError
        If `lr`, `eps` or `weight_decay` is negative, or a beta is outside [0, 1).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = ag.optim.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000, 1.5000], requires_grad=True)
    """

    _buffers = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_nonnegative(lr=lr, eps=eps)
        betas = (float(betas[0]), float(betas[1]))
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        check_nonnegative(weight_decay=weight_decay)
        check_options(self, foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _update(self, index: int, group: dict[str, Any]) -> None:
        amsgrad = group["amsgrad"]
        used: list[Tensor] = []
        arrays: list[Any] = []
        for p in group["params"]:
            grad = p._grad
            if grad is None:
                continue
            state = self.state[p]
            if not state:
                state["step"] = step_count()
                state["exp_avg"] = zeros_like(p)
                state["exp_avg_sq"] = zeros_like(p)
                if amsgrad:
                    state["max_exp_avg_sq"] = zeros_like(p)
            arrays += (p._data, grad._data, state["exp_avg"]._data, state["exp_avg_sq"]._data)
            if amsgrad:
                arrays.append(state["max_exp_avg_sq"]._data)
            arrays.append(state["step"]._data)
            used.append(p)
        if used:
            beta1, beta2 = group["betas"]
            values = (
                float(group["lr"]),
                beta1,
                beta2,
                group["eps"],
                group["weight_decay"],
                group["decoupled_weight_decay"],
                -1.0 if group["maximize"] else 1.0,
                amsgrad,
            )
            kernels.adam(arrays, self._hyperparameters(index, values))
            for p in used:
                p._bump()


class AdamW(Adam):
    """Adam with decoupled weight decay.

    As `Adam`, except that weight decay does not pass through the averages: ``p`` is multiplied by
    ``1 - lr * weight_decay`` before the step (Loshchilov and Hutter, Decoupled weight decay
    regularization, ICLR 2019, algorithm 2).

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, amsgrad, maximize, foreach, capturable, fused
        As for `Adam`, but `weight_decay` is 0.01 by default.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> w = ag.tensor([2.0], requires_grad=True)
    >>> optimizer = ag.optim.AdamW([w], lr=0.5, weight_decay=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([1.], requires_grad=True)
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
