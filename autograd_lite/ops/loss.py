"""Losses that compare two tensors element by element."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..kernels.elementwise import Elementwise
from ..tensor import Tensor
from . import pointwise
from .activation import logsigmoid
from .arithmetic import clamp, where
from .elementwise import ElementwisePrimitive, common, constant
from .primitive import primitive
from .views import broadcast_tensors


def chosen_reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction that is meant, also by PyTorch's two older arguments.

    Raises
    ------
    ValueError
        If it is none of "none", "mean" and "sum".
    """
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")
    return reduction


def reduced(each: Tensor, reduction: str) -> Tensor:
    """The losses of the elements, their mean, or their sum."""
    return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each


class PointwiseLoss:
    """A loss ``f(x, y)`` of each element, and its mean and sum as primitives of their own.

    Given by formulas, of the loss and of its derivatives by `x` and `y`. The gradient of a mean is one pass over
    `x` and `y`, for what comes in is a single number.
    """

    def __init__(self, name: str, formula: str, dx: str, dy: str, options: tuple[str, ...] = ()) -> None:
        slopes = {"x": dx, "y": dy}
        self.name = name
        self.each = each = ElementwisePrimitive(
            name, ("x", "y"), formula, {of: f"g * ({slope})" for of, slope in slopes.items()}, options
        )
        kernels = [
            Elementwise(f"{name}_total_d{of}", ("x", "y"), f"g * share * ({slope})", ("g", "share", *options))
            for of, slope in slopes.items()
        ]

        @primitive(name=name)
        def total(x: Any, y: Any, *, constants: tuple[Any, ...], share: Any) -> Any:
            return each.kernel.total(x, y, *constants, divisor=1.0 if share is None else float(x.size))

        @total.derivative("x", "y")
        def _(g: Tensor, x: Tensor, y: Tensor, *, constants: tuple[Any, ...], share: Any, needs: Any) -> Any:
            if share is not None:
                g = g * Tensor(share)
            known = {"g": g, "x": x, "y": y, **{n: Tensor(c) for n, c in zip(options, constants, strict=True)}}
            return tuple(
                rule.formula(*[known[n] for n in rule.formula_names]) if need else None  # type: ignore[misc]
                for rule, need in zip(each.rules, needs, strict=True)
            )

        @total.fused("x", "y")
        def _(g: Any, x: Any, y: Any, *, constants: tuple[Any, ...], share: Any, needs: Any) -> Any:
            share = constant(1, x.dtype)._data if share is None else share
            return tuple(
                kernel.with_scalars(x, y, g, share, *constants) if need else None
                for kernel, need in zip(kernels, needs, strict=True)
            )

        self.total = total

    def __call__(self, input: Tensor, target: Tensor, reduction: str, *options: float) -> Tensor:
        if input._data.dtype is not target._data.dtype:
            input, target = common(self.name, input, target)
        if input._data.shape != target._data.shape:
            input, target = broadcast_tensors(input, target)
        dtype = input._data.dtype
        if dtype.kind != "f":
            raise NotImplementedError(f"{self.name}: not implemented for {input.dtype!r}; expected a floating dtype")
        constants = [constant(value, dtype) for value in options]
        if reduction == "none":
            return self.each(input, target, *constants)
        share = None
        if reduction == "mean":
            share = constant(1 / input._data.size if input._data.size else math.nan, dtype)._data
        return self.total(input, target, constants=tuple([c._data for c in constants]), share=share)


def _check_tensors(op: str, input: Any, target: Any) -> None:
    for name, value in (("input", input), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{op}(): argument {name!r} must be Tensor, not {type(value).__name__}")


def _warn_of_sizes(op: str, input: Any, target: Any) -> None:
    _check_tensors(op, input, target)
    if input._data.shape != target._data.shape:
        warnings.warn(
            f"{op}: Using a target size ({tuple(target.shape)}) that is different to the input size "
            f"({tuple(input.shape)}). This will likely lead to incorrect results due to broadcasting. Please ensure "
            "they have the same size.",
            stacklevel=3,
        )


def _weighted(
    loss: PointwiseLoss, input: Tensor, target: Tensor, weight: Any, reduction: str, *options: float
) -> Tensor:
    """The mean is then divided by the sum of the weights."""
    if weight is None:
        return loss(input, target, reduction, *options)
    if weight._data.shape != input._data.shape:
        raise ValueError("Inputs and weights must have the same size.")
    each = loss(input, target, "none", *options) * weight
    return each.sum() / weight.sum() if reduction == "mean" else reduced(each, reduction)


_mse = PointwiseLoss("mse_loss", "(x - y) * (x - y)", "2 * (x - y)", "2 * (y - x)")
_l1 = PointwiseLoss("l1_loss", "abs(x - y)", "sign(x - y)", "sign(y - x)")
_smooth_l1 = PointwiseLoss(
    "smooth_l1_loss",
    "where(abs(x - y) < beta, 0.5 * (x - y) * (x - y) / beta, abs(x - y) - 0.5 * beta)",
    "where(abs(x - y) < beta, (x - y) / beta, sign(x - y))",
    "where(abs(x - y) < beta, (y - x) / beta, sign(y - x))",
    ("beta",),
)
_huber = PointwiseLoss(
    "huber_loss",
    "where(abs(x - y) < delta, 0.5 * (x - y) * (x - y), delta * (abs(x - y) - 0.5 * delta))",
    "where(abs(x - y) < delta, x - y, delta * sign(x - y))",
    "where(abs(x - y) < delta, y - x, delta * sign(y - x))",
    ("delta",),
)
_bce = PointwiseLoss(
    "binary_cross_entropy",
    "-(y * maximum(log(x), -100) + (1 - y) * maximum(log1p(-x), -100))",
    "(x - y) / maximum((1 - x) * x, 1e-12)",
    "maximum(log1p(-x), -100) - maximum(log(x), -100)",
)
_bce_with_logits = PointwiseLoss(
    "binary_cross_entropy_with_logits", "(1 - y) * x + softplus(-x)", "sigmoid(x) - y", "-x"
)
_kl_div = PointwiseLoss("kl_div", "xlogy(y, y) - y * x", "-y", "where(y > 0, log(where(y > 0, y, 1)) + 1, 0) - x")
_kl_div_log = PointwiseLoss("kl_div", "exp(y) * (y - x)", "-exp(y)", "exp(y) * (y - x + 1)")
_poisson_log = PointwiseLoss("poisson_nll_loss", "exp(x) - y * x", "exp(x) - y", "-x")
_poisson = PointwiseLoss("poisson_nll_loss", "x - y * log(x + eps)", "1 - y / (x + eps)", "-log(x + eps)", ("eps",))


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target)^2``: its mean, its sum, or for each element.

    Parameters
    ----------
    input, target : Tensor
        Of the same shape.
    reduction : "mean", "sum" or "none"
    weight : Tensor, optional
        A weight for each element; the mean is then a weighted one.

    Raises
    ------
    ValueError
        If `reduction` is none of the three.

    Notes
    -----
    Gradient: ``2 * (input - target) * g`` (divided by the number of elements for the mean), negated for `target`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.mse_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    _warn_of_sizes("mse_loss", input, target)
    return _weighted(_mse, input, target, weight, chosen_reduction(reduction, size_average, reduce))


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``; see `mse_loss`.

    Notes
    -----
    Gradient: ``sign(input - target) * g``, 0 where they are equal.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.l1_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 4.0]))
    tensor(1.5000)
    """
    _warn_of_sizes("l1_loss", input, target)
    return _weighted(_l1, input, target, weight, chosen_reduction(reduction, size_average, reduce))


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d^2 / (2 beta)`` where ``d = |input - target|`` is below `beta`, else ``d - beta / 2``.

    Girshick, "Fast R-CNN" (2015), equation 3.

    Raises
    ------
    RuntimeError
        If `beta` is negative (0 gives `l1_loss`).
    ValueError
        If `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.smooth_l1_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.5, 4.0]), reduction="none")
    tensor([0.1250, 1.5000])
    """
    _warn_of_sizes("smooth_l1_loss", input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    return _l1(input, target, reduction) if beta == 0 else _smooth_l1(input, target, reduction, beta)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``d^2 / 2`` where ``d = |input - target|`` is below `delta`, else ``delta * (d - delta / 2)``.

    Huber, "Robust estimation of a location parameter" (1964).

    Raises
    ------
    RuntimeError
        If `delta` is not positive.
    ValueError
        If `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.huber_loss(ag.tensor([1.0, 2.0]), ag.tensor([0.5, 4.0]), delta=0.5, reduction="none")
    tensor([0.1250, 0.8750])
    """
    _warn_of_sizes("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return _weighted(_huber, input, target, weight, chosen_reduction(reduction), delta)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(target * log(input) + (1 - target) * log(1 - input))``, of probabilities.

    The logarithms are not let below -100.

    Parameters
    ----------
    input, target : Tensor
        Of the same shape, from 0 to 1.
    weight : Tensor, optional
        A factor for each element, broadcast.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    ValueError
        If the shapes differ, or `reduction` is unknown.
    RuntimeError
        If an input is not between 0 and 1.

    Notes
    -----
    Gradient: ``g * (input - target) / max((1 - input) * input, 1e-12)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.binary_cross_entropy(ag.tensor([0.8, 0.1]), ag.tensor([1.0, 0.0]))
    tensor(0.1643)
    """
    _check_tensors("binary_cross_entropy", input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    if input._data.shape != target._data.shape:
        raise ValueError(
            f"Using a target size ({tuple(target.shape)}) that is different to the input size "
            f"({tuple(input.shape)}) is "
            "deprecated. Please ensure they have the same size."
        )
    data = input._data
    if data.size and not (data.min() >= 0 and data.max() <= 1):
        raise RuntimeError("binary_cross_entropy: all elements of input should be between 0 and 1")
    if weight is None:
        return _bce(input, target, reduction)
    return reduced(_bce(input, target, "none") * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow.

    Parameters
    ----------
    input, target : Tensor
        Of the same shape.
    weight : Tensor, optional
        A factor for each element, broadcast.
    reduction : "mean", "sum" or "none"
    pos_weight : Tensor, optional
        A factor for the positive part, broadcast (one for each class, say).

    Raises
    ------
    ValueError
        If the shapes differ, or `reduction` is unknown.

    Notes
    -----
    ``(1 - target) * input + softplus(-input)``; gradient: ``g * (sigmoid(input) - target)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.binary_cross_entropy_with_logits(ag.tensor([1000.0, 0.0]), ag.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    _check_tensors("binary_cross_entropy_with_logits", input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    if input._data.shape != target._data.shape:
        raise ValueError(f"Target size ({tuple(target.shape)}) must be the same as input size ({tuple(input.shape)})")
    if weight is None and pos_weight is None:
        return _bce_with_logits(input, target, reduction)
    if pos_weight is None:
        each = _bce_with_logits(input, target, "none")
    else:
        balance = 1 + (pos_weight - 1) * target
        each = (1 - target) * input - balance * logsigmoid(input)
    return reduced(each if weight is None else each * weight, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence ``target * (log(target) - input)``.

    Parameters
    ----------
    input : Tensor
        Log-probabilities.
    target : Tensor
        Probabilities; log-probabilities with `log_target`.
    reduction : "mean", "batchmean", "sum" or "none"
        "batchmean", the sum divided by the first extent, is what the mathematics calls the divergence.

    Raises
    ------
    ValueError
        If `reduction` is none of the four.

    Notes
    -----
    Gradient for `input`: ``-target * g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> p, q = ag.tensor([[0.5, 0.5]]), ag.tensor([[0.25, 0.75]])
    >>> ag.nn.functional.kl_div(q.log(), p, reduction="batchmean")
    tensor(0.1438)
    """
    _check_tensors("kl_div", input, target)
    loss = _kl_div_log if log_target else _kl_div
    if reduction == "batchmean" and size_average is None and reduce is None:
        return loss(input, target, "sum") / input._data.shape[0]
    return loss(input, target, chosen_reduction(reduction, size_average, reduce))


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of counts `target` with the expected values ``exp(input)``.

    Parameters
    ----------
    log_input : bool
        If not, the expected values are `input`.
    full : bool
        Add Stirling's approximation of ``log(target!)``.
    eps : float
        Keeps ``log(input)`` finite, without `log_input`.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    ValueError
        If `reduction` is none of the three.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.poisson_nll_loss(ag.tensor([0.0, 1.0]), ag.tensor([1.0, 2.0]))
    tensor(0.8591)
    """
    _check_tensors("poisson_nll_loss", input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    loss, options = (_poisson_log, ()) if log_input else (_poisson, (eps,))
    if not full:
        return loss(input, target, reduction, *options)
    large = where(target > 1, target, 1.0)
    stirling = large * pointwise.log(large) - large + 0.5 * pointwise.log(2 * math.pi * large)
    return reduced(loss(input, target, "none", *options) + where(target > 1, stirling, 0.0), reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """The negative log-likelihood of `target` under normal distributions with means `input` and variances `var`.

    Nix and Weigend, "Estimating the mean and variance of the target probability distribution" (1994).

    Parameters
    ----------
    var : Tensor or float
        Of the shape of `input`, or with a last dimension of extent 1, or without it.
    full : bool
        Add the constant ``log(2 pi) / 2``.
    eps : float
        The smallest variance.

    Raises
    ------
    ValueError
        If `var` has a wrong shape or a negative element, or `reduction` is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.gaussian_nll_loss(ag.tensor([1.0]), ag.tensor([2.0]), ag.tensor([1.0]))
    tensor(0.5000)
    """
    _check_tensors("gaussian_nll_loss", input, target)
    reduction = chosen_reduction(reduction)
    if not isinstance(var, Tensor):
        var = Tensor(np.full(input._data.shape, var, input._data.dtype))
    if var._data.shape != input._data.shape:
        if var._data.shape == input._data.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var._data.shape != (*input._data.shape[:-1], 1):
            raise ValueError(f"var is of incorrect size: {tuple(var.shape)} for an input of {tuple(input.shape)}")
    if (var._data < 0).any():
        raise ValueError("var has negative entry/entries")
    var = var + (clamp(var.detach(), min=eps) - var.detach())  # the gradient passes the limit
    each = 0.5 * (pointwise.log(var) + (input - target) ** 2 / var)
    return reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)
