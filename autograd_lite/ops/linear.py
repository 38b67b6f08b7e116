"""Affine maps: `linear`, `bilinear`, and attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.grad_mode import state
from ..kernels.gemm import gemm
from ..kernels.linear import linear_backward
from ..tensor import Tensor
from .dropout import dropout
from .elementwise import FUNCTIONS
from .primitive import Plan, PrimitiveNode, alias, primitive, refuse_inference

__all__ = ["bilinear"]


@primitive
def _linear(x: Any, weight: Any, bias: Any) -> Any:
    if x.ndim == 2:
        return gemm(x, weight.T, bias=bias)
    return gemm(_flat(x), weight.T, bias=bias).reshape((*x.shape[:-1], weight.shape[0]))


def _flat(x: Any) -> Any:
    """The array as a matrix; the number of rows is spelt out, for ``-1`` has no meaning beside an extent of 0."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@_linear.derivative("x", "weight", "bias")
def _(g: Tensor, x: Tensor, weight: Tensor, *, needs: Sequence[bool]) -> Any:
    return (
        _linear(g, weight.t(), None) if needs[0] else None,
        _linear(_rows(g).t(), _rows(x).t(), None) if needs[1] else None,
        _rows(g).sum(0) if needs[2] else None,
    )


@_linear.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, *, needs: Any) -> Any:
    dx, dw, db = linear_backward(_flat(g), _flat(x), weight, needs)
    return None if dx is None else dx.reshape(x.shape), dw, db


@primitive
def _linear_activation(x: Any, weight: Any, bias: Any, *, activation: str) -> Any:
    return gemm(x, weight.T, bias=bias, activation=activation)


@_linear_activation.derivative("x", "weight", "bias")
def _(g: Tensor, x: Tensor, weight: Tensor, out: Tensor, *, activation: str, needs: Sequence[bool]) -> Any:
    g = _slope(activation).formula(g, out)
    return (
        _linear(g, weight.t(), None) if needs[0] else None,
        _linear(g.t(), x.t(), None) if needs[1] else None,
        g.sum(0) if needs[2] else None,
    )


@_linear_activation.fused("x", "weight", "bias")
def _(g: Any, x: Any, weight: Any, out: Any, *, activation: str, needs: Any) -> Any:
    return linear_backward(_slope(activation).fused.pair(g, out), x, weight, needs)


def _slope(activation: str) -> Any:
    """The rule of the activation, in terms of the gradient and of its output."""
    return FUNCTIONS[activation].primitive.rules[0]  # type: ignore[attr-defined]


def _rows(x: Tensor) -> Tensor:
    shape = x._data.shape
    return x if len(shape) == 2 else x.reshape((math.prod(shape[:-1]), shape[-1]))


class LinearNode(PrimitiveNode):
    """A recorded `linear`; its first-order backward is a single call of a kernel."""

    __slots__ = ()

    def propagate(self, gradient: Tensor, wanted: Sequence[bool] | None) -> Sequence[Any]:
        if state.enabled or wanted is not None:
            return PrimitiveNode.propagate(self, gradient, wanted)
        x, weight = self._unpack()
        g, inputs, w = gradient._data, x._data, weight._data
        shape = inputs.shape
        if len(shape) != 2:
            g, inputs = _flat(g), _flat(inputs)
        dx, dw, db = linear_backward(g, inputs, w, self.plan.needs)  # type: ignore[arg-type]
        return (
            None if dx is None else Tensor(dx if len(shape) == 2 else dx.reshape(shape)),
            None if dw is None else Tensor(dw),
            None if db is None else Tensor(db),
        )


class LinearActivationNode(PrimitiveNode):
    """A recorded `linear_activation`; likewise."""

    __slots__ = ()

    def propagate(self, gradient: Tensor, wanted: Sequence[bool] | None) -> Sequence[Any]:
        if state.enabled or wanted is not None:
            return PrimitiveNode.propagate(self, gradient, wanted)
        x, weight, out = self._unpack()
        g = _slope(self.parameters["activation"]).fused.pair(gradient._data, out._data)  # type: ignore[index]
        dx, dw, db = linear_backward(g, x._data, weight._data, self.plan.needs)  # type: ignore[arg-type]
        return (
            None if dx is None else Tensor(dx),
            None if dw is None else Tensor(dw),
            None if db is None else Tensor(db),
        )


_plans: dict[tuple[int, Any], Plan] = {}


def _record(out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, activation: str | None = None) -> None:
    """What `Primitive.run` does after the forward, for this hottest of the primitives."""
    if input._base is not None:
        input._refresh()
    if weight._base is not None:
        weight._refresh()
    x = (input._node or input) if input._requires_grad else None
    w = (weight._node or weight) if weight._requires_grad else None
    b = None
    if bias is not None:
        if bias._base is not None:
            bias._refresh()
        b = (bias._node or bias) if bias._requires_grad else None
    needs = (x is not None) + 2 * (w is not None) + 4 * (b is not None)
    if not needs:
        return
    made = _linear if activation is None else _linear_activation
    plan = _plans.get((needs, made))
    if plan is None:
        plan = _plans[needs, made] = made.plan((x is not None, w is not None, b is not None))
    if input._inference or weight._inference:
        refuse_inference("linear")
    if activation is None:
        out._node = LinearNode(made, plan, (x, w, b), (input, weight), None, None)
    else:
        saved = (input, weight, alias(out))
        out._node = LinearActivationNode(made, plan, (x, w, b), saved, None, {"activation": activation})
    out._requires_grad = True


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor, (..., in_features)
    weight : Tensor, (out_features, in_features) or (in_features,)
    bias : Tensor, (out_features,) or (), optional

    Returns
    -------
    Tensor, (..., out_features), or (...) for a weight of one dimension

    Raises
    ------
    RuntimeError
        If shapes or dtypes do not fit each other.

    Notes
    -----
    Gradient: ``g @ weight``, ``g.T @ input`` and the sum of ``g`` over the leading dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.linear(ag.tensor([[1.0, 2.0]]), ag.tensor([[3.0, 4.0]]), ag.tensor([0.5]))
    tensor([[11.5000]])
    """
    try:
        x, w = input._data, weight._data
        fits = w.ndim == 2 and x.dtype is w.dtype and x.dtype.kind == "f" and x.shape[-1] == w.shape[1]
        if bias is not None:
            b = bias._data
            fits = fits and b.shape == w.shape[:1] and b.dtype is w.dtype and b.flags.c_contiguous
    except (AttributeError, IndexError):
        fits = False
    if not fits:
        return _unusual_linear(input, weight, bias)
    out = Tensor(_linear.forward(x, w, None if bias is None else b))
    if state.enabled:
        _record(out, input, weight, bias)
    elif state.inference:
        out._inference = True
    return out


def linear_activation(input: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor:
    """`linear` and then "relu", "sigmoid" or "tanh", in one operation; the same to the bit."""
    try:
        x, w = input._data, weight._data
        fits = x.ndim == w.ndim == 2 and x.dtype is w.dtype and x.dtype.kind == "f" and x.shape[1] == w.shape[1]
        if bias is not None:
            fits = fits and bias._data.shape == w.shape[:1] and bias._data.dtype is w.dtype
    except AttributeError:
        fits = False
    if not fits:
        return FUNCTIONS[activation](linear(input, weight, bias))
    out = Tensor(_linear_activation.forward(x, w, None if bias is None else bias._data, activation=activation))
    if state.enabled:
        _record(out, input, weight, bias, activation)
    elif state.inference:
        out._inference = True
    return out


def _unusual_linear(input: Any, weight: Any, bias: Any) -> Tensor:
    """Everything that the plain call does not take: it is converted, or refused."""
    for name, value in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(value, Tensor) and (name != "bias" or value is not None):
            raise TypeError(f"linear(): argument {name!r} must be Tensor, not {type(value).__name__}")
        if value is not None and value.dtype is not input.dtype:
            raise RuntimeError(
                f"linear: expected input, weight and bias to have the same dtype, but got: {input.dtype!r} and "
                f"{value.dtype!r} ({name})"
            )
    x, w = input._data, weight._data
    if x.dtype.kind != "f":
        raise NotImplementedError(f"linear: not implemented for {input.dtype!r}; expected a floating dtype")
    if w.ndim not in (1, 2) or x.ndim == 0 or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"linear: input and weight shapes cannot be multiplied ({'x'.join(map(str, x.shape))} and "
            f"{'x'.join(map(str, w.shape[::-1]))}): expected (..., in_features) and (out_features, in_features), got "
            f"{x.shape} and {w.shape}"
        )
    out = _linear(input, weight, None) if w.ndim == 2 else _linear(input, weight.reshape((1, -1)), None).squeeze(-1)
    return out if bias is None else out + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input1^T @ weight[k] @ input2 + bias[k]`` for every k.

    Parameters
    ----------
    input1 : Tensor, (..., in1_features)
    input2 : Tensor, (..., in2_features)
    weight : Tensor, (out_features, in1_features, in2_features)
    bias : Tensor, (out_features,), optional

    Raises
    ------
    RuntimeError
        If the shapes do not fit each other.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.bilinear(ag.tensor([[1.0, 2.0]]), ag.tensor([[3.0]]), ag.ones(1, 2, 1))
    tensor([[9.]])
    """
    first, second, shape = input1._data.shape, input2._data.shape, weight._data.shape
    if len(shape) != 3 or first[:-1] != second[:-1] or first[-1:] != shape[1:2] or second[-1:] != shape[2:]:
        raise RuntimeError(
            f"bilinear: expected (..., in1), (..., in2) and weight (out, in1, in2), got {first}, {second} and {shape}"
        )
    outputs, _, last = shape
    folded = weight.transpose(1, 2).reshape((outputs * last, first[-1]))
    along = linear(input1, folded).reshape((*first[:-1], outputs, last))
    out = (along * input2.unsqueeze(-2)).sum(-1)
    return out if bias is None else out + bias


def softmax_or_nothing(scores: Tensor) -> Tensor:
    """The softmax over the last dimension; zeros, not NaN, where every score is -inf (nothing to attend to)."""
    nothing = np.asarray(np.isneginf(scores._data).all(-1, keepdims=True))
    if not nothing.any():
        return scores.softmax(-1)
    masked = Tensor(nothing)
    return scores.masked_fill(masked, 0.0).softmax(-1).masked_fill(masked, 0.0)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query @ key.T * scale + mask) @ value``.

    Vaswani et al., "Attention is all you need" (2017), equation 1.

    Parameters
    ----------
    query : Tensor, (..., L, E)
    key : Tensor, (..., S, E)
    value : Tensor, (..., S, V)
    attn_mask : Tensor, broadcast to (..., L, S), optional
        Boolean: which positions take part; floating: added to the scores.
    dropout_p : float
        The share of the weights that is dropped.
    is_causal : bool
        Position i sees only positions up to i.
    scale : float, optional
        Default: ``1 / sqrt(E)``.
    enable_gqa : bool
        Key and value may have fewer heads (dimension -3) than the query; each then serves several in a row.

    Raises
    ------
    RuntimeError
        If both a mask and `is_causal` are given.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> ag.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    length, features = query._data.shape[-2:]
    if enable_gqa:
        heads, served = query._data.shape[-3], key._data.shape[-3]
        if heads % served or value._data.shape[-3] != served:
            raise RuntimeError(
                "scaled_dot_product_attention: with enable_gqa the heads of the query must be a multiple of those of "
                f"key and value, got shapes {query._data.shape}, {key._data.shape} and {value._data.shape}"
            )
        key, value = key.repeat_interleave(heads // served, -3), value.repeat_interleave(heads // served, -3)
    scores = (query @ key.transpose(-2, -1)) * (1 / math.sqrt(features) if scale is None else scale)
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError("scaled_dot_product_attention: attn_mask must be None when is_causal=True")
        attn_mask = Tensor(np.tri(length, key._data.shape[-2], dtype=bool))
    if attn_mask is not None:
        if attn_mask._data.dtype.kind == "b":
            scores = scores.masked_fill(~attn_mask, -math.inf)
        else:
            scores = scores + attn_mask
    weights = scores.softmax(-1) if attn_mask is None or is_causal else softmax_or_nothing(scores)
    return (dropout(weights, dropout_p) if dropout_p > 0 else weights) @ value
