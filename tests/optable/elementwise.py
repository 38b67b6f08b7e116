"""Rows of the elementwise operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .opinfo import Arr, B, Bad, F, I, OpInfo, S, absolute, either, stepwise

UNARY_SHAPES: list[tuple[int, ...]] = [(), (7,), (2, 3), (1, 0, 3)]
BINARY_SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)), ((), (4,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((4, 1, 3), (2, 1)), ((0,), (1,)),
]  # fmt: skip
REAL = (-2.0, 2.0)
ROWS: list[OpInfo] = []


def unary(name: str, ref: Callable[..., Any], domain: tuple[float, float] = REAL, **more: Any) -> None:
    samples = [S(Arr(shape, *domain)) for shape in UNARY_SHAPES]
    errors = [Bad((TypeError, AttributeError), S("text"), "")]
    ROWS.append(OpInfo(name, ref, samples, operands=1, domain=(domain,), errors=errors, **more))


def binary(
    name: str,
    ref: Callable[..., Any],
    first: tuple[float, float] = REAL,
    second: tuple[float, float] = REAL,
    extra: list[S] | None = None,
    **more: Any,
) -> None:
    samples = [S(Arr(a, *first), Arr(b, *second)) for a, b in BINARY_SHAPES] + (extra or [])
    errors = [Bad(RuntimeError, S(F(2, 3), F(2)), "(2, 3)")]
    ROWS.append(OpInfo(name, ref, samples, operands=2, domain=(first, second), errors=errors, **more))


# Arithmetic

binary(
    "add", lambda x, y, alpha=1: x + alpha * y,
    extra=[S(F(3), 2.5), S(F(3), F(3), alpha=-2.5), S(F(2, 3), I(3, hi=9))],
)  # fmt: skip
binary(
    "sub", lambda x, y, alpha=1: x - alpha * y, extra=[S(F(3), 2), S(F(3), F(3), alpha=3)],
    aliases=("subtract",),
)  # fmt: skip
ROWS.append(OpInfo("rsub", lambda x, y, alpha=1: y - alpha * x, [S(F(3), F(2, 3)), S(F(3), 2, alpha=2)]))
binary("mul", lambda x, y: x * y, extra=[S(F(3), -2.5)], aliases=("multiply",))
binary("div", lambda x, y: x / y, second=(0.5, 2.0), extra=[S(F(3), 4)], aliases=("divide",))
binary("true_divide", lambda x, y: x / y, second=(-2.0, -0.5))
for mode, rounded in {"floor": np.floor, "trunc": np.trunc}.items():
    ROWS.append(
        OpInfo(
            "div",
            stepwise(lambda x, y, rounding_mode, rounded=rounded: rounded(x / y)),
            [S(F(5), F(5, lo=0.5), rounding_mode=mode), S(F(2, 3), -0.75, rounding_mode=mode)],
            variant=mode,
            second_order=False,
            errors=[Bad((ValueError, RuntimeError), S(F(2), F(2), rounding_mode="up"), "up")],
        )
    )
ROWS.append(
    OpInfo("floor_divide", np.floor_divide, [S(F(5), F(5, lo=0.5)), S(I(6, lo=-9, hi=9), 4)],
           differentiable=False)
)  # fmt: skip
binary("fmod", either(np.fmod, lambda x, y: x - y * np.trunc(x.real / y.real)), (-9.0, 9.0), (0.7, 2.0),
       extra=[S(F(4, lo=-9, hi=9), 1.5)], special=False)  # fmt: skip
binary("remainder", either(np.remainder, lambda x, y: x - y * np.floor(x.real / y.real)), (-9.0, 9.0),
       (-2.0, -0.7), extra=[S(F(4, lo=-9, hi=9), 1.5)], special=False)  # fmt: skip
unary("neg", lambda x: -x, aliases=("negative",))
unary("abs", absolute, aliases=("absolute",))
unary("sign", stepwise(lambda x: np.nan_to_num(np.sign(x), nan=0.0)))  # NaN has no sign: 0, as in PyTorch
unary("reciprocal", lambda x: 1 / x, (0.5, 2.0))
unary("square", lambda x: x * x)
unary("sqrt", np.sqrt, (0.25, 4.0))
unary("rsqrt", lambda x: 1 / np.sqrt(x), (0.25, 4.0))
binary("pow", lambda x, y: x**y, (0.5, 2.0), extra=[
    S(F(4), 2), S(F(4), 3), S(F(4), 4.0), S(F(4), 1), S(F(4), 0), S(F(4, lo=0.5), 0.5), S(F(4, lo=0.5), -0.5),
    S(F(4, lo=0.5), -1), S(F(4, lo=0.5), -2.5), S(F(4, lo=0.5), 1 / 3), S(2.5, F(4)),
    S(F(4), np.array([2.0, 3.0, 1.0, 0.0])),
], special=False)  # fmt: skip
ROWS.append(
    OpInfo("addcmul", lambda x, a, b, value=1: x + value * a * b,
           [S(F(3), F(3), F(3)), S(F(2, 3), F(3), F(2, 1), value=-2.5)])
)  # fmt: skip
ROWS.append(
    OpInfo("addcdiv", lambda x, a, b, value=1: x + value * a / b,
           [S(F(3), F(3), F(3, lo=0.5)), S(F(2, 3), F(3), F(2, 1, lo=0.5), value=3.0)])
)  # fmt: skip
ROWS.append(
    OpInfo("lerp", lambda x, y, w: x + w * (y - x), [S(F(3), F(3), 0.3), S(F(3), F(2, 3), F(3))])
)

# Exponentials, logarithms, trigonometry

unary("exp", np.exp)
unary("exp2", np.exp2)
unary("expm1", np.expm1)
unary("log", np.log, (0.2, 4.0))
unary("log2", np.log2, (0.2, 4.0))
unary("log10", np.log10, (0.2, 4.0))
ROWS.append(OpInfo("logit", lambda x, eps=None: np.log(x / (1 - x)), [S(F(4, lo=0.1, hi=0.9)), S(F(2, 3, lo=0.3, hi=0.7), eps=0.2), S(F(3, lo=0.2, hi=0.8), 1e-6)]))
unary("log1p", np.log1p, (-0.7, 3.0))
binary("logaddexp", either(np.logaddexp, lambda x, y: np.log(np.exp(x) + np.exp(y))))
binary("xlogy", either(lambda x, y: np.where((x == 0) & ~np.isnan(y), 0, x * np.log(y)), lambda x, y: x * np.log(y)),
       second=(0.2, 3.0), extra=[S(2.5, F(3, lo=0.2)), S(F(3), 2.5)])  # fmt: skip
unary("sin", np.sin, (-7.0, 7.0))
unary("cos", np.cos, (-7.0, 7.0))
unary("tan", np.tan, (-1.2, 1.2))
unary("asin", np.arcsin, (-0.9, 0.9), aliases=("arcsin",))
unary("acos", np.arccos, (-0.9, 0.9), aliases=("arccos",))
unary("atan", np.arctan, (-4.0, 4.0), aliases=("arctan",))
unary("sinh", np.sinh)
unary("cosh", np.cosh)
unary("tanh", np.tanh)
unary("asinh", np.arcsinh, (-3.0, 3.0), aliases=("arcsinh",))
unary("acosh", np.arccosh, (1.2, 4.0), aliases=("arccosh",))
unary("atanh", np.arctanh, (-0.9, 0.9), aliases=("arctanh",))
binary("atan2", either(np.arctan2, lambda x, y: 2 * np.arctan(x / (np.sqrt(x * x + y * y) + y))),
       (0.3, 2.0), aliases=("arctan2",))  # fmt: skip
binary("hypot", either(np.hypot, lambda x, y: np.sqrt(x * x + y * y)), (0.3, 2.0))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


unary("sigmoid", sigmoid, (-6.0, 6.0))
unary("erf", np.vectorize(math.erf, otypes=[float]), analytic=False)
unary("erfc", np.vectorize(math.erfc, otypes=[float]), analytic=False)

# Rounding; selection

unary("floor", stepwise(np.floor))
unary("ceil", stepwise(np.ceil))
unary("trunc", stepwise(np.trunc))
unary("frac", lambda x: x - np.trunc(np.real(x)), special=False)
unary("round", stepwise(np.round))
ROWS.append(
    OpInfo("round", stepwise(lambda x, decimals: np.round(x, decimals)),
           [S(F(7), decimals=1), S(F(2, 3, lo=-200, hi=200), decimals=-1)], variant="decimals")
)  # fmt: skip
binary("maximum", either(np.maximum, lambda x, y: np.where(x.real >= y.real, x, y)))
binary("minimum", either(np.minimum, lambda x, y: np.where(x.real <= y.real, x, y)))
binary("fmax", either(np.fmax, lambda x, y: np.where(x.real >= y.real, x, y)))
binary("fmin", either(np.fmin, lambda x, y: np.where(x.real <= y.real, x, y)))
binary("copysign", either(np.copysign, lambda x, y: absolute(x) * np.sign(np.real(y))),
       extra=[S(F(4), -1.0)], second_order=False)  # fmt: skip


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    if min is not None:
        x = np.where((np.real(x) < np.real(min)) | np.isnan(np.real(min)), min, x)
    if max is not None:
        x = np.where((np.real(x) > np.real(max)) | np.isnan(np.real(max)), max, x)
    return x


ROWS.append(
    OpInfo("clamp", clamp, [
        S(F(6), -0.5, 1.0), S(F(2, 3), min=0.25), S(F(6), max=0.25), S(F(5), 1.0, -1.0), S(F(), -1, 1),
        S(F(2, 3), F(3), F(3)), S(F(3), F(2, 3), None), S(F(0), 0.0, 1.0), S(F(2, 3), max=F(2, 1)),
    ], aliases=("clip",), errors=[Bad(RuntimeError, S(F(3)), "clamp")])
)  # fmt: skip
ROWS.append(
    OpInfo("where", lambda c, x, y: np.where(c, x, y), [
        S(B(3), F(3), F(3)), S(B(2, 3), F(3), F(2, 1)), S(B(3), F(3), 0.5), S(B(), F(2), F(1)), S(B(0), F(0), F(1)),
        S(B(3), -1.5, F(3)),
    ], errors=[Bad(RuntimeError, S(B(2), F(3), F(3)), "where")])
)  # fmt: skip
ROWS.append(
    OpInfo("nan_to_num", lambda x, **_: x + 0, [S(F(5)), S(F(2, 3), nan=2.0, posinf=1.0)], second_order=False)
)

# Without a gradient

BOOLEAN_PAIRS = [S(F(5), F(5)), S(F(2, 3), F(3)), S(I(6, hi=3), I(6, hi=3)), S(I(6, hi=3), 1), S(F(), 0.5)]
for name, ufunc, alias in [
    ("eq", np.equal, ()), ("ne", np.not_equal, ("not_equal",)), ("lt", np.less, ("less",)),
    ("le", np.less_equal, ("less_equal",)), ("gt", np.greater, ("greater",)), ("ge", np.greater_equal, ("greater_equal",)),
]:  # fmt: skip
    ROWS.append(
        OpInfo(name, ufunc, BOOLEAN_PAIRS, differentiable=False, aliases=alias,
               errors=[Bad(RuntimeError, S(F(2, 3), F(2)), name)])
    )  # fmt: skip
AWKWARD = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan])
for name, test in [
    ("isnan", np.isnan), ("isinf", np.isinf), ("isfinite", np.isfinite), ("isposinf", np.isposinf),
    ("isneginf", np.isneginf), ("signbit", np.signbit),
]:  # fmt: skip
    ROWS.append(OpInfo(name, test, [S(AWKWARD), S(F(2, 3)), S(F(0))], differentiable=False))
for name, ufunc in [("logical_and", np.logical_and), ("logical_or", np.logical_or), ("logical_xor", np.logical_xor)]:
    ROWS.append(
        OpInfo(name, ufunc, [S(B(5), B(5)), S(B(2, 3), B(3)), S(I(5, hi=2), I(5, hi=2)), S(F(3), B(3))],
               differentiable=False)
    )  # fmt: skip
ROWS.append(OpInfo("logical_not", np.logical_not, [S(B(5)), S(I(5, hi=2)), S(AWKWARD)], differentiable=False))
for name, ufunc in [
    ("bitwise_and", np.bitwise_and), ("bitwise_or", np.bitwise_or), ("bitwise_xor", np.bitwise_xor),
    ("bitwise_left_shift", np.left_shift), ("bitwise_right_shift", np.right_shift),
]:  # fmt: skip
    samples = [S(I(6, hi=16), I(6, hi=4)), S(I(2, 3, hi=16), I(3, hi=4)), S(I(4, hi=9), 2)]
    if "shift" not in name:
        samples.append(S(B(5), B(5)))
    ROWS.append(
        OpInfo(name, ufunc, samples, differentiable=False,
               errors=[Bad((RuntimeError, NotImplementedError), S(F(3), F(3)), "")])
    )  # fmt: skip
ROWS.append(
    OpInfo("bitwise_not", np.bitwise_not, [S(I(5, hi=9)), S(B(5))], differentiable=False,
           errors=[Bad((RuntimeError, TypeError), S(F(3)), "bitwise_not")])
)  # fmt: skip
ROWS.append(
    OpInfo("isclose", np.isclose, [
        S(F(5), F(5)), S(np.array([1.0, 1.0, np.inf]), np.array([1.0 + 1e-7, 1.1, np.inf])),
        S(F(4), F(4), rtol=0.5, atol=0.1), S(AWKWARD, AWKWARD), S(AWKWARD, AWKWARD, equal_nan=True),
    ], differentiable=False)
)  # fmt: skip
ROWS.append(
    OpInfo("allclose", np.allclose, [S(F(5), F(5)), S(AWKWARD, AWKWARD, equal_nan=True)], differentiable=False)
)
ROWS.append(
    OpInfo("equal", np.array_equal, [S(F(5), F(5)), S(I(1, hi=1), I(1, hi=1)), S(F(2), F(3))], differentiable=False)
)
