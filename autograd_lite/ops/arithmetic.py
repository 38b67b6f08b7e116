"""The public arithmetic: what the elementwise table needs on top (options, integers, booleans), selection, and the
arithmetic operators of `Tensor`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import state
from ..kernels import discrete
from ..tensor import Tensor, method
from . import pointwise
from .comparison import attach_operators
from .elementwise import FUNCTIONS, ElementwisePrimitive, cast, check_broadcast, common, constant, is_number
from .inplace import inplace, into

__all__ = [
    "absolute", "add", "addcdiv", "addcmul", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "clamp", "clip", "div", "divide", "fill", "floor_divide", "lerp", "logit", "mul", "multiply",
    "nan_to_num", "negative", "pow", "round", "rsub", "sub", "subtract", "where",
]  # fmt: skip


def add(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``input + alpha * other``.

    Parameters
    ----------
    input, other : Tensor or number
        Of shapes that broadcast together.
    alpha : number
        The factor of `other`.
    out : Tensor, optional
        Where the result is written; not differentiable.

    Returns
    -------
    Tensor
        Of the broadcast shape and the promoted dtype.

    Raises
    ------
    RuntimeError
        If the shapes do not broadcast.

    Notes
    -----
    Gradient: ``g`` for `input`, ``alpha * g`` for `other`, each summed over what was broadcast.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.add(ag.tensor([1.0, 2.0]), ag.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    if out is not None:
        return into("add", out, lambda x, y: add(x, y, alpha=alpha), input, other)
    return pointwise.add(input, other if alpha == 1 else pointwise.mul(other, alpha))


def mul(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """The product.

    Parameters
    ----------
    input, other : Tensor or number
        Of shapes that broadcast together.
    out : Tensor, optional
        Where the result is written; not differentiable.

    Raises
    ------
    RuntimeError
        If the shapes do not broadcast.

    Notes
    -----
    Gradient: ``g * other`` and ``g * input``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.mul(ag.tensor([1.0, 2.0]), 10)
    tensor([10., 20.])
    """
    return pointwise.mul(input, other) if out is None else into("mul", out, pointwise.mul, input, other)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``input - alpha * other``; see `add`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.sub(ag.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    if any(isinstance(t, bool) or (isinstance(t, Tensor) and t._data.dtype.kind == "b") for t in (input, other)):
        raise RuntimeError(
            "sub: Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a "
            "mask, use the `~` or `logical_not()` operator instead."
        )
    if out is not None:
        return into("sub", out, lambda x, y: sub(x, y, alpha=alpha), input, other)
    return pointwise.sub(input, other if alpha == 1 else pointwise.mul(other, alpha))


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.rsub(ag.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    return sub(other, input, alpha=alpha)


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """The quotient.

    Parameters
    ----------
    input, other : Tensor or number
        Of shapes that broadcast together.
    rounding_mode : None, "trunc" or "floor"
        None: true division (integers are lifted to floating point). Else the quotient is rounded towards
        zero, or down, and integers stay integers.

    Raises
    ------
    RuntimeError
        If the shapes do not broadcast, if `rounding_mode` is none of the three, or at an integer division by zero.

    Notes
    -----
    Gradient: ``g / other`` and ``-g * out / other``; zero for a rounded quotient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.div(ag.tensor([7.0, -7.0]), 2)
    tensor([ 3.5000, -3.5000])
    >>> ag.div(ag.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if out is not None:
        return into("div", out, lambda x, y: div(x, y, rounding_mode=rounding_mode), input, other)
    if rounding_mode is None:
        return pointwise.true_divide(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}"
        )
    input, other = common("div", input, other)
    if input._data.dtype.kind == "f":
        if rounding_mode == "floor":
            return pointwise.floor_quotient(input, other)
        return pointwise.trunc(pointwise.true_divide(input, other))
    floored = discrete.floor_divide(input._data, other._data)
    if rounding_mode == "trunc":
        inexact = discrete.apply("multiply", floored, other._data) != input._data
        floored = floored + (inexact & (floored < 0))
    return Tensor(np.asarray(floored))


def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down; ``//``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.floor_divide(ag.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    return div(input, other, rounding_mode="floor")


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """``log(input / (1 - input))``, the inverse of `sigmoid`.

    Parameters
    ----------
    eps : float, optional
        Clamp the input to [eps, 1 - eps] first.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.logit(ag.tensor([0.5, 0.75]))
    tensor([0.0000, 1.0986])
    """
    x = input if eps is None else clamp(input, eps, 1 - eps)
    return pointwise.log(x / (1 - x))


_POWERS: dict[float, Callable[[Tensor], Tensor]] = {
    2.0: pointwise.square,
    3.0: pointwise.cube,
    0.5: pointwise.power_half,
    -0.5: pointwise.power_minus_half,
    -1.0: pointwise.power_minus_one,
}


def pow(input: Any, exponent: Any) -> Tensor:
    """`input` to the power `exponent`.

    Parameters
    ----------
    input, exponent : Tensor or number
        Of shapes that broadcast together; one of them a tensor.

    Raises
    ------
    RuntimeError
        For integers to negative integer powers.

    Notes
    -----
    Gradient: ``g * exponent * input ** (exponent - 1)`` (0 where the exponent is 0), and
    ``g * out * log(input)`` (0 where the base is 0 and the exponent is not negative). A negative base has a
    real value for whole exponents only, and NaN as its derivative with respect to the exponent.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.pow(ag.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(input, Tensor) and is_number(exponent):
        special = _POWERS.get(float(exponent))
        kind = input._data.dtype.kind
        if special is not None and (kind == "f" or (kind in "iu" and exponent == 2 and isinstance(exponent, int))):
            return special(input)
        if exponent == 0.5 or (input._data.dtype.kind in "iu" and exponent < 0 and exponent == int(exponent)):
            if not isinstance(exponent, (float, np.floating)):
                raise RuntimeError("pow: Integers to negative integer powers are not allowed.")
    logical = [isinstance(v, Tensor) and v._data.dtype.kind == "b" for v in (input, exponent)]
    if logical[1] and (logical[0] or isinstance(input, bool)):
        raise NotImplementedError("pow: not implemented for 'Bool'")
    return pointwise.tensor_pow(input, exponent)


_where = ElementwisePrimitive(
    "where", ("x", "y", "condition"), "where(condition, x, y)",
    {"x": "where(condition, g, 0)", "y": "where(condition, 0, g)"},
)  # fmt: skip


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, `other` elsewhere.

    Parameters
    ----------
    condition : Tensor of bool
        Which of the two.
    input, other : Tensor or number
        Of shapes that broadcast together with `condition`. If both are left out the result is
        ``condition.nonzero(as_tuple=True)``.

    Raises
    ------
    RuntimeError
        If `condition` is not boolean, or the shapes do not broadcast.

    Notes
    -----
    Gradient: ``g`` goes to the operand that was chosen, and zero to the other.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([-1.0, 2.0])
    >>> ag.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' must be Tensor, not {type(condition).__name__}")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition._data.dtype.kind not in "bu":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype!r}"
        )
    if isinstance(input, Tensor) or isinstance(other, Tensor):
        input, other = common("where", input, other)
    else:
        dtype = dtypes.result_dtype([], [type(input), type(other)])
        input, other = constant(input, dtype), constant(other, dtype)
    check_broadcast("where", (condition._data.shape, input._data.shape, other._data.shape))
    if condition._data.dtype.kind != "b":
        condition = cast(condition, dtype=dtypes.BOOL)
    if input._data.dtype.kind != "f":
        return Tensor(discrete.where(condition._data, input._data, other._data))
    return _where(input, other, condition)


FUNCTIONS["where"] = where

_clamp = ElementwisePrimitive(
    "clamp", ("x",), "minimum(maximum(x, lo), hi)", {"x": "where((x >= lo) & (x <= hi), g, 0)"}, ("lo", "hi")
)
_nan_to_num = ElementwisePrimitive(
    "nan_to_num", ("x",), "where(x != x, nan, where(x == inf, hi, where(x == -inf, lo, x)))",
    {"x": "where((x - x) == 0, g, 0)"}, ("nan", "hi", "lo", "inf"),
)  # fmt: skip


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`input`, limited to the range from `min` to `max`.

    Parameters
    ----------
    input : Tensor
        Of any shape.
    min, max : number or Tensor, optional
        The limits; tensors broadcast against `input`. At least one must be given. Where the lower limit
        is above the upper one, the upper one wins.

    Notes
    -----
    Gradient: ``g`` within the limits (these included), zero outside; limits given as tensors share in it as
    in `maximum` and `minimum`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.clamp(ag.tensor([-2.0, 0.5, 2.0]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        result = input if min is None else pointwise.maximum(input, min)
        return result if max is None else pointwise.minimum(result, max)
    numbers = [n for n in (min, max) if n is not None]
    (input, *_) = common("clamp", input, *numbers)
    dtype = input._data.dtype
    if dtype.kind != "f":
        result_data = input._data
        if min is not None:
            result_data = discrete.apply("maximum", result_data, np.array(min, dtype))
        if max is not None:
            result_data = discrete.apply("minimum", result_data, np.array(max, dtype))
        return Tensor(result_data if result_data is not input._data else result_data.copy())
    lo = constant(-math.inf if min is None else min, dtype)
    hi = constant(math.inf if max is None else max, dtype)
    return _clamp(input, lo, hi)


def nan_to_num(input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """Replace NaN and the infinities by finite numbers.

    Parameters
    ----------
    nan : float
        Stands in for NaN.
    posinf, neginf : float, optional
        Stand in for the infinities; default: the largest and the smallest finite numbers of the dtype.

    Notes
    -----
    Gradient: ``g`` where `input` is finite, else zero.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nan_to_num(ag.tensor([float("nan"), 1.0]))
    tensor([0., 1.])
    """
    dtype = input._data.dtype
    if dtype.kind != "f":
        return Tensor(input._data.copy())
    limits = np.finfo(dtype)
    hi = limits.max if posinf is None else posinf
    lo = limits.min if neginf is None else neginf
    return _nan_to_num(input, *(constant(v, dtype) for v in (nan, hi, lo, math.inf)))


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """The point between `input` and `end` at `weight` (0: `input`, 1: `end`).

    Notes
    -----
    Computed as ``input + weight * (end - input)``, whose gradient it has.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.lerp(ag.tensor([0.0, 10.0]), ag.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    return input + (end - input) * weight


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.addcmul(ag.tensor([1.0]), ag.tensor([2.0]), ag.tensor([3.0]), value=10)
    tensor([61.])
    """
    return add(input, tensor1 * tensor2, alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.addcdiv(ag.tensor([1.0]), ag.tensor([6.0]), ag.tensor([3.0]), value=10)
    tensor([21.])
    """
    return add(input, tensor1 / tensor2, alpha=value)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` decimal places; of two equally near, the even one.

    Notes
    -----
    Gradient: zero.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.round(ag.tensor([0.5, 1.5, 2.6]))
    tensor([0., 2., 3.])
    >>> ag.round(ag.tensor([0.126]), decimals=2)
    tensor([0.1300])
    """
    if decimals == 0:
        return pointwise.round_half_even(input)
    scale = 10.0**decimals
    return pointwise.round_half_even(input * scale) / scale



_fill = ElementwisePrimitive("fill", ("x", "value"), "value", {"x": "0", "value": "g"})


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with every element `value`.

    Notes
    -----
    Gradient: zero for `input`, the sum of ``g`` for `value`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.fill(ag.zeros(2), 3)
    tensor([3., 3.])
    """
    if isinstance(value, Tensor) and value._data.ndim:
        raise RuntimeError(f"fill: only supports a 0-dimensional value tensor, got {value._data.ndim} dimensions")
    dtype = input._data.dtype
    if dtype.kind != "f":
        return Tensor(np.full(input._data.shape, value.item() if isinstance(value, Tensor) else value, dtype))
    if not isinstance(value, Tensor):
        value = constant(value, dtype)
    return _fill(input, value if value._data.dtype == dtype else cast(value, dtype=dtype))


copied = ElementwisePrimitive("copy", ("x", "value"), "value", {"x": "0", "value": "g"})


def _copy(input: Tensor, other: Tensor) -> Tensor:
    shape = check_broadcast("copy_", (input._data.shape, other._data.shape))
    if shape != input._data.shape:
        raise RuntimeError(
            f"copy_: output with shape {list(input._data.shape)} doesn't match the broadcast shape {list(shape)}"
        )
    if other._data.dtype != input._data.dtype:
        other = cast(other, dtype=input._data.dtype)
    if state.enabled and input._data.dtype.kind == "f" and (input._requires_grad or other._requires_grad):
        return copied(input, other)
    return other.expand(shape)


# Methods and operators


_function: Any
_OPERATORS: dict[str, Any] = {
    "add": pointwise.add, "sub": sub, "mul": pointwise.mul, "truediv": pointwise.true_divide,
    "floordiv": floor_divide, "mod": pointwise.remainder, "pow": pow,
}  # fmt: skip
attach_operators(_OPERATORS)
method(pointwise.neg, name="__neg__")
method(pointwise.abs, name="__abs__")
method(lambda self: self, name="__pos__")

_METHODS = [
    add, sub, pointwise.mul, div, floor_divide, pow, pointwise.fmod, pointwise.remainder, pointwise.neg,
    pointwise.abs, pointwise.sign, pointwise.reciprocal, pointwise.square, pointwise.sqrt, pointwise.rsqrt,
    pointwise.exp, pointwise.exp2, pointwise.expm1, pointwise.log, pointwise.log2, pointwise.log10,
    pointwise.log1p, pointwise.logaddexp, pointwise.xlogy, pointwise.sin, pointwise.cos, pointwise.tan,
    pointwise.asin, pointwise.acos, pointwise.atan, pointwise.sinh, pointwise.cosh, pointwise.tanh,
    pointwise.asinh, pointwise.acosh, pointwise.atanh, pointwise.atan2, pointwise.hypot, pointwise.sigmoid,
    pointwise.erf, pointwise.erfc, pointwise.floor, pointwise.ceil, pointwise.trunc, pointwise.frac, round,
    pointwise.maximum, pointwise.minimum, pointwise.fmax, pointwise.fmin, pointwise.copysign, clamp,
    nan_to_num, lerp, addcmul, addcdiv, fill, logit,
]  # fmt: skip
for _function in _METHODS:
    method(_function)
    method(inplace(_function), name=f"{_function.__name__}_")


_add_kernel = pointwise.add.primitive.kernel  # type: ignore[attr-defined]


def _accumulate(self: Tensor, gradient: Tensor) -> None:
    """Add `gradient` to this buffer, which the engine owns, in place and unrecorded."""
    a, b = self._data, gradient._data
    if a.flags.c_contiguous and a.shape == b.shape and a.dtype == b.dtype:
        flat = a.ravel()
        _add_kernel.loop(flat, b.ravel(), flat)
        self._bump()
    else:
        self.add_(gradient)


method(_accumulate)
method(inplace(_copy, "copy_"), name="copy_")
method(inplace(lambda self: fill(self, 0), "zero_"), name="zero_")

subtract, multiply, divide, negative, absolute = sub, mul, div, pointwise.neg, pointwise.abs
arcsin, arccos, arctan, arctan2 = pointwise.asin, pointwise.acos, pointwise.atan, pointwise.atan2
arcsinh, arccosh, arctanh = pointwise.asinh, pointwise.acosh, pointwise.atanh
for _name, _function in {
    "true_divide": pointwise.true_divide, "subtract": sub, "multiply": pointwise.mul, "divide": div,
    "negative": pointwise.neg,
    "absolute": pointwise.abs, "clip": clamp, "arctan2": pointwise.atan2,
}.items():  # fmt: skip
    method(_function, name=_name)
clip = clamp
