"""Elementary and special functions of one float, written so that a loop over them vectorises.

There is no branch and no call in the functions of the hot list (exp, log, tanh, sigmoid, erf, ...): an
argument is reduced to a small interval, a polynomial is evaluated there, and `where` mends the special
values. LLVM then runs 16, 8 or 4 elements at a time, whatever the host has. float32 in, float32
throughout, float32 out; float64 likewise.

The recipe for exp is the classical one (W. J. Cody and W. Waite, *Software Manual for the Elementary
Functions*, 1980, ch. 6): x = n*ln2 + r with |r| <= ln2/2, so exp(x) = 2^n * exp(r); n*ln2 is subtracted in
two pieces, the first of which has so few bits that the product is exact. log undoes it: x = 2^n * (1 + f),
sqrt(1/2) <= 1 + f < sqrt(2). Polynomial coefficients are Chebyshev fits made with mpmath at 60 digits
(rational ones: least squares weighted by Lawson iteration); the error of each fit is below the rounding
error of its type.

Error bounds are in units in the last place (ulp) of the result, measured against mpmath or float64 over
the whole range, and hold in the tests.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .jit import kernel
from .scalar import by_type, ceil, constants, copysign, exponent, floor, fma, fmax, fmin, horner, like
from .scalar import magnitude, mantissa, maximum, minimum, power_of_two, round_half_even, sqrt, trunc, where

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh", "erf",
    "erfc", "exp", "exp2", "expm1", "floor", "fma", "fmax", "fmin", "fmod", "hypot", "isfinite", "isinf",
    "isnan", "like", "log", "log10", "log1p", "log2", "log_sigmoid", "logaddexp", "magnitude", "maximum",
    "minimum", "pow", "remainder", "round_half_even", "rsqrt", "sigmoid", "sign", "sin", "sinh", "softplus",
    "sqrt", "tan", "tanh", "times", "trunc", "where", "xlogy",
]  # fmt: skip

Poly = tuple[float, ...]


class Exp(NamedTuple):
    """Constants of the exponential; `poly` is (exp(r) - 1 - r) / r**2 on |r| <= ln2 / 2."""

    low: float  # exp(low) rounds to 0
    high: float  # exp(high) overflows, exp(high) / 2 may not
    overflow: float  # exp(overflow) overflows
    low_two: float  # exp2(low_two) rounds to 0
    high_two: float  # exp2(high_two) overflows
    low_minus_one: float  # expm1(low_minus_one) rounds to -1
    small: float  # expm1(x) rounds to x below
    log2_e: float
    ln2: float
    ln2_high: float
    ln2_low: float
    poly: Poly


EXP = constants(
    Exp(
        -104.0, 90.0, 89.0, -151.0, 129.0, -25.0, 2.0**-25, 1.4426950408889634, 0.6931471805599453,
        0.693145751953125, 1.4286068203094172e-06,
        (0.5, 0.1666666716337204, 0.041666463017463684, 0.00833331048488617, 0.001393391052260995,
         0.0001989127922570333),
    ),
    Exp(
        -746.0, 711.0, 710.0, -1076.0, 1025.0, -50.0, 2.0**-54, 1.4426950408889634, 0.6931471805599453,
        0.6931471803691238, 1.9082149292705877e-10,
        (0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333325966, 0.0013888888888883629,
         0.0001984126987540889, 2.4801587325967827e-05, 2.7557254656202336e-06, 2.7557273111810967e-07,
         2.5105525761140995e-08, 2.091490745304636e-09),
    ),
)  # fmt: skip


class Log(NamedTuple):
    """Constants of the logarithm; `poly` is (log(1+f) - f) / f**2 in f, or 2(atanh(s)/s - 1)/s**2 in s**2."""

    least_normal: float
    lift: float  # takes subnormal numbers to normal ones
    lift_bits: float
    ln2_high: float
    ln2_low: float
    log10_2_high: float
    log10_2_low: float
    log10_e: float
    huge: float  # from here on, asinh(x) = log(2x)
    poly: Poly


LOG = constants(
    Log(
        2.0**-126, 2.0**25, 25.0, 0.693145751953125, 1.4286068203094172e-06,
        0.301025390625, 4.6050389811952137e-06, 0.4342944819032518, 1e10,
        (-0.5, 0.33333322405815125, -0.25000011920928955, 0.20001447200775146, -0.1666753739118576,
         0.14232318103313446, -0.12420814484357834, 0.11812136322259903, -0.11557287722826004,
         0.06769023835659027),
    ),
    Log(
        2.0**-1022, 2.0**54, 54.0, 0.6931471803691238, 1.9082149292705877e-10,
        0.30102999566406652, -8.5323443170571066e-14, 0.4342944819032518, 1e100,
        (0.666666666666667, 0.39999999999899505, 0.28571428625975487, 0.2222221113479508,
         0.18182889125261723, 0.15331721600556042, 0.14616449685043406),
    ),
)  # fmt: skip

TANH_TOP: Poly = (1.0, 0.13379637897014618, 0.0034939413890242577, 2.0581994249369018e-05,
                  1.3317115410416136e-08)  # fmt: skip
TANH_BOTTOM: Poly = (1.0, 0.46712952852249146, 0.02587071619927883, 0.0003282942343503237,
                     7.761195774946827e-07)  # fmt: skip
ERF_TOP: Poly = (1.1283791065216064, 0.19058610498905182, 0.0527682825922966, 0.0037722247652709484,
                 0.0002848367439582944, 2.046090457952232e-06)  # fmt: skip
ERF_BOTTOM: Poly = (1.0, 0.5022352933883667, 0.11417955905199051, 0.014982540160417557,
                    0.0011637802235782146, 3.804807784035802e-05)  # fmt: skip


class Rational(NamedTuple):
    """x * top(x**2) / bottom(x**2) for |x| up to `limit`, from where on the function is 1 to the bit."""

    limit: float
    top: Poly
    bottom: Poly


TANH = constants(Rational(9.02, TANH_TOP, TANH_BOTTOM), Rational(9.02, TANH_TOP, TANH_BOTTOM))
ERF = constants(Rational(3.925, ERF_TOP, ERF_BOTTOM), Rational(3.925, ERF_TOP, ERF_BOTTOM))
SINH = constants(
    (0.1666666716337204, 0.008333339355885983, 0.00019838102161884308, 2.806280235745362e-06),
    (0.16666666666666666, 0.008333333333333299, 0.00019841269841324198, 2.7557319191381816e-06,
     2.5052117695907823e-08, 1.6057679623801638e-10, 7.746178593018827e-13),
)  # fmt: skip


class SinCos(NamedTuple):
    """sin(r) = r + r**3 * sine(r**2), cos(r) = 1 - r**2/2 + r**4 * cosine(r**2) on |r| <= pi/4."""

    two_over_pi: float
    half_pi: Poly  # in pieces
    sine: Poly
    cosine: Poly


# --- exponential and logarithm -----------------------------------------------------------------------


@kernel(inline=True)
def _exp_reduced(x: Any) -> Any:
    """n and exp(r) - 1 for x = n*ln2 + r."""
    c = EXP(x)
    n = round_half_even(x * c.log2_e)
    r = (x - n * c.ln2_high) - n * c.ln2_low
    return n, r + r * r * horner(r, c.poly)


@kernel(inline=True)
def _exp_scaled(x: Any, by: Any) -> Any:
    """exp(x) * 2**by, overflowing only where the product does; x <= 90 (711 in float64) or inf."""
    c = EXP(x)
    x = where(x < c.low, c.low, where(x > c.high, c.high, x))
    n, e = _exp_reduced(x)
    n = n + by
    half = floor(n * like(x, 0.5))  # 2**n itself may be subnormal, or overflow too early
    return (like(x, 1) + e) * power_of_two(half) * power_of_two(n - half)


@kernel(inline=True)
def exp(x: Any) -> Any:
    """e**x, to 1 ulp."""
    return _exp_scaled(x, like(x, 0))


@kernel(inline=True)
def exp2(x: Any) -> Any:
    """2**x, to 1 ulp; exact for whole x."""
    c = EXP(x)
    x = where(x < c.low_two, c.low_two, where(x > c.high_two, c.high_two, x))
    n = round_half_even(x)
    r = (x - n) * c.ln2
    half = floor(n * like(x, 0.5))
    e = r + r * r * horner(r, c.poly)
    return (like(x, 1) + e) * power_of_two(half) * power_of_two(n - half)


@kernel(inline=True)
def expm1(x: Any) -> Any:
    """e**x - 1 without cancellation, to 2 ulp."""
    c = EXP(x)
    half = like(x, 0.5)
    y = where(x < c.low_minus_one, c.low_minus_one, where(x > c.overflow, c.overflow, x))
    n, e = _exp_reduced(y)
    scale = power_of_two(n - like(x, 1))
    y = scale * e + (scale - half)
    return where(magnitude(x) < c.small, x, y + y)


def _log_reduced_single(x: Any) -> Any:
    return x + x * x * horner(x, LOG(x).poly)


def _log_reduced_double(x: Any) -> Any:
    s = x / (like(x, 2) + x)
    z = s * s
    h = like(x, 0.5) * x * x
    return x - (h - s * (h + z * horner(z, LOG(x).poly)))


_log_reduced = by_type(_log_reduced_single, _log_reduced_double)
"""log(1 + x) for sqrt(1/2) <= 1 + x < sqrt(2)."""


@kernel(inline=True)
def _log_parts(x: Any) -> Any:
    """n and log(1 + f) for x = 2**n * (1 + f), x > 0 and finite."""
    c = LOG(x)
    tiny = x < c.least_normal
    y = where(tiny, x * c.lift, x)
    n = exponent(y) - where(tiny, c.lift_bits, like(x, 0))
    return n, _log_reduced(mantissa(y) - like(x, 1))


@kernel(inline=True)
def _log_mended(x: Any, result: Any) -> Any:
    """`result`, but the right special value where x is not positive and finite."""
    inf = like(x, np.inf)
    return where(x > like(x, 0), where(x < inf, result, x), where(x == like(x, 0), -inf, like(x, np.nan)))


@kernel(inline=True)
def log(x: Any) -> Any:
    """Natural logarithm, to 1 ulp."""
    c = LOG(x)
    n, p = _log_parts(x)
    return _log_mended(x, n * c.ln2_high + (n * c.ln2_low + p))


@kernel(inline=True)
def log2(x: Any) -> Any:
    """Logarithm to base 2, to 2 ulp; exact for powers of 2."""
    n, p = _log_parts(x)
    return _log_mended(x, n + p * EXP(x).log2_e)


@kernel(inline=True)
def log10(x: Any) -> Any:
    """Logarithm to base 10, to 2 ulp."""
    c = LOG(x)
    n, p = _log_parts(x)
    return _log_mended(x, n * c.log10_2_high + (n * c.log10_2_low + p * c.log10_e))


@kernel(inline=True)
def log1p(x: Any) -> Any:
    """log(1 + x) without cancellation, to 2 ulp.

    The part of x that rounding takes from u = 1 + x is added back to first order, as in the HP-15C
    handbook.
    """
    zero = like(x, 0)
    u = like(x, 1) + x
    lost = x - (u - like(x, 1))
    y = log(u)
    return where(x == zero, x, where(u > zero, where(u < like(x, np.inf), y + lost / u, y), y))


# --- hyperbolic --------------------------------------------------------------------------------------


def _tanh_single(x: Any) -> Any:
    c = TANH(x)
    a = where(x > c.limit, c.limit, where(x < -c.limit, -c.limit, x))
    z = a * a
    y = a * horner(z, c.top) / horner(z, c.bottom)
    one = like(x, 1)
    return where(magnitude(x) < like(x, 2.0**-12), x, where(y > one, one, where(y < -one, -one, y)))


def _tanh_double(x: Any) -> Any:
    e = expm1(like(x, -2) * magnitude(x))
    return copysign(e / (like(x, 2) + e), x)


_tanh = by_type(_tanh_single, _tanh_double)


@kernel(inline=True)
def tanh(x: Any) -> Any:
    """Hyperbolic tangent, to 3 ulp."""
    return _tanh(x)


@kernel(inline=True)
def sinh(x: Any) -> Any:
    """Hyperbolic sine, to 2 ulp."""
    a = magnitude(x)
    z = x * x
    e = _exp_scaled(a, like(x, -1))
    far = copysign(e - like(x, 0.25) / e, x)
    return where(a < like(x, 1), x + x * z * horner(z, SINH(x)), far)


@kernel(inline=True)
def cosh(x: Any) -> Any:
    """Hyperbolic cosine, to 2 ulp."""
    e = _exp_scaled(magnitude(x), like(x, -1))
    return e + like(x, 0.25) / e


@kernel(inline=True)
def asinh(x: Any) -> Any:
    """Inverse hyperbolic sine, to 3 ulp."""
    c = LOG(x)
    one, a = like(x, 1), magnitude(x)
    huge = a > c.huge
    small = where(huge, one, a)
    y = where(huge, a, small + small * small / (one + sqrt(one + small * small)))
    return copysign(log1p(y) + where(huge, EXP(x).ln2, like(x, 0)), x)


@kernel(inline=True)
def acosh(x: Any) -> Any:
    """Inverse hyperbolic cosine, to 3 ulp; NaN below 1."""
    one = like(x, 1)
    huge = x > LOG(x).huge
    t = where(x >= one, where(huge, one, x - one), like(x, np.nan))
    y = log1p(where(huge, x, t + sqrt(t + t + t * t)))
    return y + where(huge, EXP(x).ln2, like(x, 0))


@kernel(inline=True)
def atanh(x: Any) -> Any:
    """Inverse hyperbolic tangent, to 3 ulp; NaN beyond 1 in magnitude."""
    a = magnitude(x)
    return copysign(like(x, 0.5) * log1p((a + a) / (like(x, 1) - a)), x)


# --- activations -------------------------------------------------------------------------------------


@kernel(inline=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), to 3 ulp, on both tails."""
    one = like(x, 1)
    z = exp(-magnitude(x))
    return where(x < like(x, 0), z, one) / (one + z)


@kernel(inline=True)
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), to 3 ulp."""
    zero = like(x, 0)
    return where(x < zero, zero, x) + log1p(exp(-magnitude(x)))


@kernel(inline=True)
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)), to 3 ulp."""
    return -softplus(-x)


# --- error function ----------------------------------------------------------------------------------


def _erf_single(x: Any) -> Any:
    c = ERF(x)
    a = where(x > c.limit, c.limit, where(x < -c.limit, -c.limit, x))
    z = a * a
    y = a * horner(z, c.top) / horner(z, c.bottom)
    one = like(x, 1)
    return where(y > one, one, where(y < -one, -one, y))


def _erf_double(x: Any) -> Any:
    return like(x, math.erf(x))


_erf = by_type(_erf_single, _erf_double)


@kernel(inline=True)
def erf(x: Any) -> Any:
    """Error function, to 3 ulp."""
    return _erf(x)


@kernel(inline=True)
def erfc(x: Any) -> Any:
    """1 - erf(x) without cancellation."""
    return like(x, math.erfc(x))


# --- trigonometric -----------------------------------------------------------------------------------


@kernel(inline=True)
def sin(x: Any) -> Any:
    """Sine."""
    return like(x, np.sin(x))


@kernel(inline=True)
def cos(x: Any) -> Any:
    """Cosine."""
    return like(x, np.cos(x))


@kernel(inline=True)
def tan(x: Any) -> Any:
    """Tangent, by the C library."""
    return np.tan(x)


@kernel(inline=True)
def asin(x: Any) -> Any:
    """Inverse sine, by the C library."""
    return np.arcsin(x)


@kernel(inline=True)
def acos(x: Any) -> Any:
    """Inverse cosine, by the C library."""
    return np.arccos(x)


@kernel(inline=True)
def atan(x: Any) -> Any:
    """Inverse tangent, by the C library."""
    return np.arctan(x)


@kernel(inline=True)
def atan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), in (-pi, pi], by the C library."""
    return np.arctan2(y, x)


# --- powers, roots, remainders -----------------------------------------------------------------------


@kernel(inline=True)
def rsqrt(x: Any) -> Any:
    """1 / sqrt(x), to 1 ulp."""
    return like(x, 1) / sqrt(x)


@kernel(inline=True)
def pow(x: Any, y: Any) -> Any:
    """x**y with every special case of C's pow, by the C library."""
    return np.power(x, y)


@kernel(inline=True)
def hypot(x: Any, y: Any) -> Any:
    """sqrt(x*x + y*y) without overflow on the way, by the C library."""
    return np.hypot(x, y)


@kernel(inline=True)
def fmod(x: Any, y: Any) -> Any:
    """The remainder of x / y truncated: exact, with the sign of x; NaN for y = 0."""
    return np.fmod(x, y)


@kernel(inline=True)
def remainder(x: Any, y: Any) -> Any:
    """The remainder of x / y floored: with the sign of y; NaN for y = 0."""
    zero = like(x, 0)
    r = fmod(x, y)
    return where((r != zero) & ((r < zero) != (y < zero)), r + y, r)


# --- choices -----------------------------------------------------------------------------------------


@kernel(inline=True)
def isnan(x: Any) -> Any:
    """Whether x is not a number."""
    return x != x


@kernel(inline=True)
def isinf(x: Any) -> Any:
    """Whether x is infinite, of either sign."""
    return magnitude(x) == like(x, np.inf)


@kernel(inline=True)
def isfinite(x: Any) -> Any:
    """Whether x is neither infinite nor NaN."""
    return magnitude(x) < like(x, np.inf)


@kernel(inline=True)
def sign(x: Any) -> Any:
    """-1, 0 or 1; 0 for NaN, as PyTorch has it."""
    zero, one = like(x, 0), like(x, 1)
    return where(x > zero, one, where(x < zero, -one, zero))


@kernel(inline=True)
def times(g: Any, d: Any) -> Any:
    """g * d, but 0 where g is 0, whatever d: a zero upstream gradient gives a zero gradient."""
    zero = like(g, 0)
    return where(g == zero, zero, g * d)


@kernel(inline=True)
def logaddexp(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)), stable."""
    d = where(x == y, like(x, 0), -magnitude(x - y))  # equal infinities
    return maximum(x, y) + log1p(exp(d))


@kernel(inline=True)
def xlogy(x: Any, y: Any) -> Any:
    """x * log(y), and 0 where x is 0 and y is not NaN."""
    zero = like(x, 0)
    return where((x == zero) & (y == y), zero, x * log(y))
