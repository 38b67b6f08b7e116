"""The elementwise functions: one entry each, with the value, the derivative and an example.

``times(g, d)`` is ``g * d``, but zero wherever `g` is zero: derivatives that are infinite somewhere use it, so
that a branch not taken (``where(x > 0, sqrt(x), 0)``) does not send back NaN. ``"0"`` is a derivative that
vanishes. Where the derivative does not exist, the value chosen is PyTorch's (see docs/numerics.md).
"""

from __future__ import annotations

from .elementwise import binary, unary

__all__ = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos",
    "cosh", "erf", "erfc", "exp", "exp2", "expm1", "floor", "fmax", "fmin", "fmod", "frac", "hypot",
    "log", "log10", "log1p", "log2", "logaddexp", "maximum", "minimum", "neg", "reciprocal",
    "remainder", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh",
    "true_divide", "trunc", "xlogy",
]  # fmt: skip

times = binary(
    "times", "times(x, y)", "times(g, y)", "times(x, g)",
    doc="The product, but zero wherever `input` is zero, even if `other` is infinite or NaN.",
    example=("ag.times(ag.tensor([0.0, 2.0]), ag.tensor([float('inf'), 3.0]))", "tensor([0., 6.])"),
)  # fmt: skip

# Arithmetic
# fmt: off

add = binary(
    "add", "x + y", "g", "g", integer="add",
    doc="The sum.",
    example=("ag.add(ag.tensor([1.0, 2.0]), 10)", "tensor([11., 12.])"))
sub = binary(
    "sub", "x - y", "g", "-g", integer="subtract",
    doc="The difference.",
    example=("ag.sub(ag.tensor([1.0, 2.0]), 10)", "tensor([-9., -8.])"))
mul = binary(
    "mul", "x * y", "g * y", "g * x", integer="multiply",
    doc="The product.",
    example=("ag.mul(ag.tensor([1.0, 2.0]), 10)", "tensor([10., 20.])"))
true_divide = binary(
    "div", "x / y", "times(g, 1 / y)", "times(g, -(x / y) / y)",  # not `out`, which users go on to change in place
    doc="The quotient; of integers too, in floating point.",
    example=("ag.div(ag.tensor([1.0, 2.0]), 4)", "tensor([0.2500, 0.5000])"))
tensor_pow = binary(
    "pow", "pow(x, y)",
    "where(y == 0, 0, times(g, y * pow(x, y - 1)))",
    "times(g, where((x == 0) & (y >= 0), 0, out * log(x)))",
    integer="power",
    doc="`input` to the power `other`.",
    example=("ag.pow(ag.tensor([2.0, 3.0]), ag.tensor([3.0, 0.5]))", "tensor([8.0000, 1.7321])"))
fmod = binary(
    "fmod", "fmod(x, y)", "g", "-g * trunc(x / y)", integer="fmod",
    doc="The remainder of the division, with the sign of `input` (C's fmod).",
    example=("ag.fmod(ag.tensor([-3.0, 3.0]), 2)", "tensor([-1.,  1.])"))
remainder = binary(
    "remainder", "remainder(x, y)", "g", "-g * floor(x / y)", integer="remainder",
    doc="The remainder of the division, with the sign of `other` (Python's %).",
    example=("ag.remainder(ag.tensor([-3.0, 3.0]), 2)", "tensor([1., 1.])"))
floor_quotient = binary(  # not floor(x / y): 1 / 0.1 rounds up to 10, but 0.1 fits into 1 only nine times
    "floor_quotient",
    "where(y == 0, x / y, round_half_even((x - fmod(x, y)) / y)"
    " - where((fmod(x, y) != 0) & ((fmod(x, y) < 0) != (y < 0)), 1, 0))",
    "0", "0",
    doc="The quotient rounded down; Python's //.",
    example=("ag.tensor([7.0, -7.0]) // 2", "tensor([ 3., -4.])"))
neg = unary(
    "neg", "-x", "-g", integer="negative",
    doc="The negative; a RuntimeError for booleans.",
    example=("ag.neg(ag.tensor([1.0, -2.0]))", "tensor([-1.,  2.])"))
abs = unary(
    "abs", "abs(x)", "g * sign(x)", integer="abs",
    doc="The absolute value; the derivative at 0 is 0.",
    example=("ag.abs(ag.tensor([1.0, -2.0]))", "tensor([1., 2.])"))
sign = unary(
    "sign", "sign(x)", "0", integer="sign",
    doc="-1, 0 or 1 by the sign.",
    example=("ag.sign(ag.tensor([3.0, 0.0, -2.0]))", "tensor([ 1.,  0., -1.])"))
reciprocal = unary(
    "reciprocal", "1 / x", "-times(times(g, out), out)",
    doc="One divided by the input.",
    example=("ag.reciprocal(ag.tensor([2.0, 4.0]))", "tensor([0.5000, 0.2500])"))
square = unary(
    "square", "x * x", "2 * g * x", integer="square",
    doc="The square.",
    example=("ag.square(ag.tensor([2.0, 4.0]))", "tensor([ 4., 16.])"))
cube = unary(
    "cube", "x * x * x", "3 * g * x * x", integer="cube",
    doc="The third power.",
    example=("ag.tensor([2.0, 4.0]) ** 3", "tensor([ 8., 64.])"))
sqrt = unary(
    "sqrt", "sqrt(x)", "times(g, 0.5 / out)",
    doc="The square root.",
    example=("ag.sqrt(ag.tensor([4.0, 9.0]))", "tensor([2., 3.])"))
rsqrt = unary(
    "rsqrt", "1 / sqrt(x)", "-0.5 * times(times(times(g, out), out), out)",
    doc="One divided by the square root.",
    example=("ag.rsqrt(ag.tensor([4.0, 16.0]))", "tensor([0.5000, 0.2500])"))
# The same as powers: they keep their input, so that `std = var ** 0.5; std += eps` may change the output.
power_half = unary(
    "power_half", "sqrt(x)", "times(g, 0.5 / sqrt(x))",
    doc="The input to the power 0.5.",
    example=("ag.tensor([4.0, 9.0]) ** 0.5", "tensor([2., 3.])"))
power_minus_half = unary(
    "power_minus_half", "1 / sqrt(x)", "times(g, -0.5 / (x * sqrt(x)))",
    doc="The input to the power -0.5.",
    example=("ag.tensor([4.0, 16.0]) ** -0.5", "tensor([0.5000, 0.2500])"))
power_minus_one = unary(
    "power_minus_one", "1 / x", "times(g, -1 / (x * x))",
    doc="The input to the power -1.",
    example=("ag.tensor([2.0, 4.0]) ** -1", "tensor([0.5000, 0.2500])"))

# Exponentials and logarithms

exp = unary(
    "exp", "exp(x)", "g * out",
    doc="The exponential.",
    example=("ag.exp(ag.tensor([0.0, 1.0]))", "tensor([1.0000, 2.7183])"))
exp2 = unary(
    "exp2", "exp2(x)", "g * out * 0.6931471805599453",
    doc="Two to the power of the input.",
    example=("ag.exp2(ag.tensor([0.0, 3.0]))", "tensor([1., 8.])"))
expm1 = unary(
    "expm1", "expm1(x)", "g * (out + 1)",
    doc="exp(x) - 1, accurate near 0.",
    example=("ag.expm1(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 1.7183])"))
log = unary(
    "log", "log(x)", "times(g, 1 / x)",
    doc="The natural logarithm.",
    example=("ag.log(ag.tensor([1.0, 10.0]))", "tensor([0.0000, 2.3026])"))
log2 = unary(
    "log2", "log2(x)", "times(g, 1 / (x * 0.6931471805599453))",
    doc="The logarithm to base 2.",
    example=("ag.log2(ag.tensor([1.0, 8.0]))", "tensor([0., 3.])"))
log10 = unary(
    "log10", "log10(x)", "times(g, 1 / (x * 2.302585092994046))",
    doc="The logarithm to base 10.",
    example=("ag.log10(ag.tensor([1.0, 1000.0])).round()", "tensor([0., 3.])"))
log1p = unary(
    "log1p", "log1p(x)", "times(g, 1 / (x + 1))",
    doc="log(1 + x), accurate near 0.",
    example=("ag.log1p(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 0.6931])"))
logaddexp = binary(
    "logaddexp", "logaddexp(x, y)", "g * sigmoid(x - y)", "g * sigmoid(y - x)",
    doc="log(exp(x) + exp(y)), without overflow.",
    example=("ag.logaddexp(ag.tensor([0.0, 1000.0]), ag.tensor([0.0, 1000.0]))", "tensor([6.9315e-01, 1.0007e+03])"))
xlogy = binary(
    "xlogy", "xlogy(x, y)", "times(g, where((x == 0) & (y <= 0), 0, log(y)))", "times(g, x / y)",
    doc="x * log(y), zero where `input` is zero.",
    example=("ag.xlogy(ag.tensor([0.0, 2.0]), ag.tensor([0.0, 1.0]))", "tensor([0., 0.])"))

# Trigonometric and hyperbolic functions

sin = unary(
    "sin", "sin(x)", "g * cos(x)",
    doc="The sine, of an angle in radians.",
    example=("ag.sin(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 0.8415])"))
cos = unary(
    "cos", "cos(x)", "-g * sin(x)",
    doc="The cosine, of an angle in radians.",
    example=("ag.cos(ag.tensor([0.0, 1.0]))", "tensor([1.0000, 0.5403])"))
tan = unary(
    "tan", "tan(x)", "g * (1 + out * out)",
    doc="The tangent, of an angle in radians.",
    example=("ag.tan(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 1.5574])"))
asin = unary(
    "asin", "asin(x)", "times(g, rsqrt(1 - x * x))",
    doc="The inverse sine, in radians.",
    example=("ag.asin(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 1.5708])"))
acos = unary(
    "acos", "acos(x)", "times(g, -rsqrt(1 - x * x))",
    doc="The inverse cosine, in radians.",
    example=("ag.acos(ag.tensor([0.0, 1.0]))", "tensor([1.5708, 0.0000])"))
atan = unary(
    "atan", "atan(x)", "g / (1 + x * x)",
    doc="The inverse tangent, in radians.",
    example=("ag.atan(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 0.7854])"))
sinh = unary(
    "sinh", "sinh(x)", "g * cosh(x)",
    doc="The hyperbolic sine.",
    example=("ag.sinh(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 1.1752])"))
cosh = unary(
    "cosh", "cosh(x)", "g * sinh(x)",
    doc="The hyperbolic cosine.",
    example=("ag.cosh(ag.tensor([0.0, 1.0]))", "tensor([1.0000, 1.5431])"))
tanh = unary(
    "tanh", "tanh(x)", "g * (1 - out * out)",
    doc="The hyperbolic tangent.",
    example=("ag.tanh(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 0.7616])"))
asinh = unary(
    "asinh", "asinh(x)", "g * rsqrt(x * x + 1)",
    doc="The inverse hyperbolic sine.",
    example=("ag.asinh(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 0.8814])"))
acosh = unary(
    "acosh", "acosh(x)", "times(g, rsqrt((x - 1) * (x + 1)))",
    doc="The inverse hyperbolic cosine.",
    example=("ag.acosh(ag.tensor([1.0, 2.0]))", "tensor([0.0000, 1.3170])"))
atanh = unary(
    "atanh", "atanh(x)", "times(g, 1 / ((1 - x) * (1 + x)))",
    doc="The inverse hyperbolic tangent.",
    example=("ag.atanh(ag.tensor([0.0, 0.5]))", "tensor([0.0000, 0.5493])"))
atan2 = binary(
    "atan2", "atan2(x, y)", "times(g, y / (x * x + y * y))", "times(g, -x / (x * x + y * y))",
    doc="The angle of the point (`other`, `input`), in radians, in (-pi, pi].",
    example=("ag.atan2(ag.tensor([1.0, -1.0]), ag.tensor([1.0, -1.0]))", "tensor([ 0.7854, -2.3562])"))
hypot = binary(
    "hypot", "hypot(x, y)", "times(g, x / out)", "times(g, y / out)",
    doc="The length of the hypotenuse, sqrt(x^2 + y^2), without overflow.",
    example=("ag.hypot(ag.tensor([3.0, 5.0]), ag.tensor([4.0, 12.0]))", "tensor([ 5., 13.])"))

# The error function and its relations

sigmoid = unary(
    "sigmoid", "sigmoid(x)", "g * out * (1 - out)",
    doc="The logistic function, 1 / (1 + exp(-x)).",
    example=("ag.sigmoid(ag.tensor([0.0, 1.0]))", "tensor([0.5000, 0.7311])"))
erf = unary(
    "erf", "erf(x)", "g * 1.1283791670955126 * exp(-x * x)",
    doc="The error function.",
    example=("ag.erf(ag.tensor([0.0, 1.0]))", "tensor([0.0000, 0.8427])"))
erfc = unary(
    "erfc", "erfc(x)", "g * -1.1283791670955126 * exp(-x * x)",
    doc="The complementary error function, 1 - erf(x), accurate for large x.",
    example=("ag.erfc(ag.tensor([0.0, 1.0]))", "tensor([1.0000, 0.1573])"))

# Rounding

floor = unary(
    "floor", "floor(x)", "0", integer="positive",
    doc="The largest whole number not above the input.",
    example=("ag.floor(ag.tensor([1.5, -1.5]))", "tensor([ 1., -2.])"))
ceil = unary(
    "ceil", "ceil(x)", "0", integer="positive",
    doc="The smallest whole number not below the input.",
    example=("ag.ceil(ag.tensor([1.5, -1.5]))", "tensor([ 2., -1.])"))
trunc = unary(
    "trunc", "trunc(x)", "0", integer="positive",
    doc="The whole part.",
    example=("ag.trunc(ag.tensor([1.5, -1.5]))", "tensor([ 1., -1.])"))
frac = unary(
    "frac", "x - trunc(x)", "g",
    doc="The fractional part, with the sign of the input.",
    example=("ag.frac(ag.tensor([1.5, -1.5]))", "tensor([ 0.5000, -0.5000])"))
round_half_even = unary(
    "round", "round_half_even(x)", "0", integer="positive",
    doc="The nearest whole number; of two equally near, the even one.",
    example=("ag.round(ag.tensor([0.5, 1.5, 2.6]))", "tensor([0., 2., 3.])"))

# The larger and the smaller

maximum = binary(
    "maximum", "maximum(x, y)",
    "where(x < y, 0, where(x == y, 0.5 * g, g))", "where(y < x, 0, where(x == y, 0.5 * g, g))",
    integer="maximum",
    doc="The larger of the two; NaN if either is. Equal elements share the gradient.",
    example=("ag.maximum(ag.tensor([1.0, 5.0]), ag.tensor([2.0, 3.0]))", "tensor([2., 5.])"))
minimum = binary(
    "minimum", "minimum(x, y)",
    "where(x > y, 0, where(x == y, 0.5 * g, g))", "where(y > x, 0, where(x == y, 0.5 * g, g))",
    integer="minimum",
    doc="The smaller of the two; NaN if either is. Equal elements share the gradient.",
    example=("ag.minimum(ag.tensor([1.0, 5.0]), ag.tensor([2.0, 3.0]))", "tensor([1., 3.])"))
fmax = binary(
    "fmax", "fmax(x, y)",
    "where((x >= y) | (y != y), g, 0)", "where((x >= y) | (y != y), 0, g)",
    integer="fmax",
    doc="The larger of the two; the other one if one is NaN.",
    example=("ag.fmax(ag.tensor([1.0, float('nan')]), ag.tensor([2.0, 3.0]))", "tensor([2., 3.])"))
fmin = binary(
    "fmin", "fmin(x, y)",
    "where((x <= y) | (y != y), g, 0)", "where((x <= y) | (y != y), 0, g)",
    integer="fmin",
    doc="The smaller of the two; the other one if one is NaN.",
    example=("ag.fmin(ag.tensor([1.0, float('nan')]), ag.tensor([2.0, 3.0]))", "tensor([1., 3.])"))
copysign = binary(
    "copysign", "copysign(x, y)", "where(x == 0, 0, g * sign(out) * sign(x))", "0",
    doc="The magnitude of `input` with the sign of `other`.",
    example=("ag.copysign(ag.tensor([1.0, -2.0]), ag.tensor([-1.0, 1.0]))", "tensor([-1.,  2.])"))
# fmt: on
