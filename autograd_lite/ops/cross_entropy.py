"""Losses for classification: the cross-entropy of softmax, and the negative log-likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import state
from ..kernels import cross_entropy as kernels
from ..tensor import Tensor
from .arithmetic import where
from .creation import full_like, zeros_like
from .loss import chosen_reduction, reduced
from .primitive import PrimitiveNode, primitive, refuse_inference

INT64 = dtypes.INT64
REDUCTIONS = ("mean", "sum", "none")


@primitive
def _cross_entropy(x: Any, target: Any, weight: Any, *, ignored: int, smoothing: float, reduction: str) -> Any:
    out, saved = kernels.cross_entropy(x, target, weight, ignored, smoothing, reduction)
    return out, {"lines": saved.lines, "divisor": saved.divisor}


@_cross_entropy.derivative("x")
def _(
    g: Tensor, x: Tensor, target: Tensor, weight: Tensor | None, divisor: Tensor, *, ignored: int, smoothing: float
) -> Tensor:
    dim = 1 if x._data.ndim > 1 else 0
    shares = _shares(x, target, weight, dim, ignored, smoothing)
    each = x.softmax(dim) * shares.sum(dim, keepdim=True) - shares
    return each * _upstream(g, divisor, dim)


@_cross_entropy.fused("x")
def _(g: Any, x: Any, target: Any, weight: Any, lines: Any, divisor: Any, *, ignored: int, smoothing: float) -> Any:
    saved = kernels.Saved(lines, divisor)
    return kernels.cross_entropy_backward(g, x, target, saved, weight, ignored, smoothing)


@_cross_entropy.derivative("target")
def _(g: Tensor, x: Tensor, weight: Tensor | None, divisor: Tensor, *, smoothing: float) -> Tensor:
    dim = 1 if x._data.ndim > 1 else 0
    each = x.log_softmax(dim) * _upstream(g, divisor, dim) * (smoothing - 1)
    return each if weight is None else each * _over_classes(weight, x, dim)


class CrossEntropyNode(PrimitiveNode):
    """A recorded cross-entropy with class numbers; its first-order backward runs the kernel straight away."""

    __slots__ = ()

    def propagate(self, gradient: Tensor, wanted: Sequence[bool] | None) -> Sequence[Any]:
        if state.enabled or wanted is not None:
            return PrimitiveNode.propagate(self, gradient, wanted)
        x, target, _, divisor, lines = self._unpack()  # as the rule for x names them
        saved = kernels.Saved(lines._data, divisor._data)
        given: Any = self.parameters
        return (
            Tensor(
                kernels.cross_entropy_backward(
                    gradient._data, x._data, target._data, saved, None, given["ignored"], given["smoothing"]
                )
            ),
            None,
            None,
        )


def _plain_cross_entropy(x: Tensor, target: Tensor, ignored: int, reduction: str) -> Tensor:
    """The commonest case, recorded without detours: class numbers, no weights, no smoothing."""
    result, saved = kernels.cross_entropy(x._data, target._data, None, ignored, 0.0, reduction)
    out = Tensor(result)
    if state.enabled:
        if x._base is not None:
            x._refresh()
        if x._requires_grad:
            if x._inference or target._inference:
                refuse_inference("cross_entropy")
            plan = _cross_entropy.plan((True, False, False))
            kept = (x, target, None, Tensor(saved.divisor), Tensor(saved.lines))
            parameters = {"ignored": ignored, "smoothing": 0.0}
            out._node = CrossEntropyNode(_cross_entropy, plan, (x._node or x, None, None), kept, None, parameters)
            out._requires_grad = True
    elif state.inference:
        out._inference = True
    return out


def _upstream(g: Tensor, divisor: Tensor, dim: int) -> Tensor:
    """The gradient of each line's loss, with a dimension for the classes."""
    g = g / divisor.reshape(())
    return g.unsqueeze(dim) if g._data.ndim else g


def _over_classes(weight: Tensor, x: Tensor, dim: int) -> Tensor:
    return weight.reshape((-1,) + (1,) * (x._data.ndim - dim - 1))


def _shares(x: Tensor, target: Tensor, weight: Tensor | None, dim: int, ignored: int, smoothing: float) -> Tensor:
    """What each class contributes to the loss: its share of the target, times its weight."""
    if target._data.dtype.kind == "f":
        shares = target
    else:
        counted = target != ignored
        index = where(counted, target, zeros_like(target)).unsqueeze(dim)
        shares = zeros_like(x).scatter(dim, index, counted.unsqueeze(dim).to(x.dtype))
    if smoothing:
        uniform = full_like(x, smoothing / x._data.shape[dim])
        if target._data.dtype.kind != "f":
            uniform = uniform * counted.unsqueeze(dim)
        shares = shares * (1 - smoothing) + uniform
    return shares if weight is None else shares * _over_classes(weight, x, dim)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of ``softmax(input)`` with `target`, without overflow.

    Parameters
    ----------
    input : Tensor, (C,), (N, C) or (N, C, d1, ...)
        Scores of the classes.
    target : Tensor, int64 of shape (), (N,) or (N, d1, ...); or of the shape and dtype of `input`
        The number of the class, or the probability of each class.
    weight : Tensor, (C,), optional
        A factor for each class.
    ignore_index : int
        Targets of this number do not count.
    reduction : "mean", "sum" or "none"
        The mean is over the weights of the targets (for probabilities: over the number of them).
    label_smoothing : float
        The share of the target that is spread evenly over all classes (Szegedy et al., "Rethinking the Inception
        architecture for computer vision", 2015, section 7).

    Raises
    ------
    ValueError
        If the number of targets is not N, or `reduction` is unknown.
    RuntimeError
        If shapes or dtypes do not fit each other otherwise.
    IndexError
        If a target is not the number of a class.

    Notes
    -----
    With the target's shares q: ``loss = -sum_c weight[c] q[c] log softmax(x)[c]``; gradient:
    ``g * (softmax(x) * sum(weight q) - weight q)``, divided as the loss is.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> scores = ag.tensor([[2.0, 0.0, 0.0], [0.0, 1000.0, 0.0]])
    >>> ag.nn.functional.cross_entropy(scores, ag.tensor([0, 1]))
    tensor(0.1198)
    >>> ag.nn.functional.cross_entropy(scores, ag.tensor([0, 1]), reduction="none")
    tensor([0.2395, 0.0000])
    """
    try:
        x, t = input._data, target._data
    except AttributeError:
        _check_tensors("cross_entropy", input, target)
        raise
    plain = (
        weight is None
        and t.dtype is INT64
        and x.ndim == 2
        and t.shape == x.shape[:1]
        and x.dtype.kind == "f"
        and label_smoothing == 0.0
    )
    if reduction not in REDUCTIONS or size_average is not None or reduce is not None:
        reduction = chosen_reduction(reduction, size_average, reduce)
    if plain:
        return _plain_cross_entropy(input, target, ignore_index, reduction)
    target = _checked_target("cross_entropy", input, target, weight, ignore_index)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    return _cross_entropy(input, target, weight, ignored=ignore_index, smoothing=label_smoothing, reduction=reduction)


def _check_tensors(op: str, input: Any, target: Any) -> None:
    for name, value in (("input", input), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{op}(): argument {name!r} must be Tensor, not {type(value).__name__}")


def _checked_target(op: str, input: Tensor, target: Tensor, weight: Any, ignored: int) -> Tensor:
    """The target in the dtype that the kernels take; every other fault is refused."""
    x, t = input._data, target._data
    if x.dtype.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {input.dtype!r}; expected a floating dtype")
    if x.ndim == 0:
        raise RuntimeError(f"{op}: expected input of shape (C,), (N, C) or (N, C, d1, ...), got ()")
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    if weight is not None:
        if weight._data.shape != (classes,):
            raise RuntimeError(
                f"{op}: weight tensor should be defined either for all {classes} classes or no classes but got weight "
                f"tensor of shape: {list(weight._data.shape)}"
            )
        if weight._data.dtype != x.dtype:
            raise RuntimeError(f"{op}: expected weight of {input.dtype!r} as the input, got {weight.dtype!r}")
    if op == "cross_entropy" and t.shape == x.shape:
        if t.dtype.kind != "f":
            raise RuntimeError(
                f"{op}: Expected floating point type for target with class probabilities, got {target.dtype!r}"
            )
        if ignored >= 0:
            raise RuntimeError(f"{op}: ignore_index is not supported for floating point target")
        return target if t.dtype == x.dtype else target.to(input.dtype)
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if t.shape != expected:
        if x.ndim > 1 and t.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"{op}: Expected input batch_size ({x.shape[0]}) to match target batch_size "
                f"({t.shape[0] if t.ndim else 0}); "
                f"input has shape {x.shape}, target {t.shape}"
            )
        raise RuntimeError(f"{op}: Expected target of shape {expected} for input of shape {x.shape}, got {t.shape}")
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"{op}: expected target of dtype int64 (class numbers), got {target.dtype!r}")
    return target if t.dtype == INT64 else target.long()


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-input[target]``, the negative log-likelihood: what `cross_entropy` is after `log_softmax`.

    Parameters and errors are those of `cross_entropy`; `input` holds log-probabilities, `target` class numbers.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> scores = ag.tensor([[2.0, 0.0, 0.0]])
    >>> ag.nn.functional.nll_loss(ag.log_softmax(scores, 1), ag.tensor([0]))
    tensor(0.2395)
    """
    _check_tensors("nll_loss", input, target)
    target = _checked_target("nll_loss", input, target, weight, ignore_index)
    reduction = chosen_reduction(reduction, size_average, reduce)
    dim = 1 if input._data.ndim > 1 else 0
    classes, t = input._data.shape[dim], target._data
    counted = t != ignore_index
    wrong = t[counted & ((t < 0) | (t >= classes))]
    if wrong.size:
        raise IndexError(f"nll_loss: Target {wrong.flat[0]} is out of bounds for {classes} classes.")
    complete = bool(counted.all())
    index = target if complete else Tensor(np.where(counted, t, 0))
    each = -input.gather(dim, index.unsqueeze(dim)).squeeze(dim)
    if complete and weight is None:
        return reduced(each, reduction)
    factors = Tensor(counted).to(input.dtype)
    if weight is not None:
        factors = factors * weight[index]
    each = where(Tensor(counted), each * factors, 0.0)
    return each.sum() / factors.sum() if reduction == "mean" else reduced(each, reduction)
