"""Sine, cosine, tangent and their inverses, of one float; parts of `special`.

An angle x is q*pi/2 + r with |r| <= pi/4; the sine and the cosine of r are polynomials, and q tells which of
them is which, with which sign. Inverse functions are polynomials on a short interval, elsewhere formulas
such as atan(x) = pi/2 - atan(1/x) lead there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .jit import kernel
from .scalar import by_type, constants, copysign, horner, like, magnitude, quarter_turns, round_half_even, sqrt, where

Poly = tuple[float, ...]


class SinCos(NamedTuple):
    """sin(r) = r + r**3 * sine(r**2), cos(r) = 1 - r**2/2 + r**4 * cosine(r**2) on |r| <= pi/4."""

    sine: Poly
    cosine: Poly


SINCOS = constants(
    SinCos(
        (-0.16666655242443085, 0.008332189172506332, -0.00019518285989761353),
        (0.0416666679084301, -0.0013888980029150844, 2.4822020350256935e-05, -2.888088772579067e-07),
    ),
    SinCos(
        (-0.1666666666666663, 0.008333333333321914, -0.00019841269829453214, 2.7557313580365086e-06,
         -2.5050742032397016e-08, 1.5895927873008832e-10),
        (0.041666666666666595, -0.0013888888888873344, 2.4801587289003614e-05, -2.7557314217397325e-07,
         2.0875705425488586e-09, -1.1358749613712219e-11),
    ),
)  # fmt: skip
ASIN = constants(  # (asin(x) / x - 1) / x**2 in x**2, |x| <= 1/2
    (0.16666659712791443, 0.0750051736831665, 0.04451485350728035, 0.0318228155374527,
     0.014388136565685272, 0.037580423057079315),
    (0.16666666666665403, 0.07500000000338536, 0.04464285682700862, 0.030381959193738598,
     0.022371756638581024, 0.017359726741619366, 0.013885012217883633, 0.012170714569797738,
     0.006521325854458147, 0.019546847049047876, -0.016253984735942494, 0.03193302526650252),
)  # fmt: skip
ATAN = constants(  # (atan(x) / x - 1) / x**2 in x**2, |x| <= 1
    (-0.33333298563957214, 0.1999853104352951, -0.14264053106307983, 0.10951192677021027,
     -0.08400556445121765, 0.05790838226675987, -0.031129218637943268, 0.010888728313148022,
     -0.0017878866055980325),
    (-0.33333333333331855, 0.19999999999754497, -0.14285714271309183, 0.11111110678092664,
     -0.09090901225171791, 0.07692212824921121, -0.06665859598131166, 0.058773037406430716,
     -0.05239217159316722, 0.046739023725533874, -0.040925303188343115, 0.0340659152774752,
     -0.025824241581093133, 0.016975417625856123, -0.009182557104993364, 0.003854868866650705,
     -0.001163654893358267, 0.0002229265069067278, -2.024839869284851e-05),
)  # fmt: skip


class Pi(NamedTuple):
    half: float
    half_rest: float  # pi/2 = half + half_rest


PI = constants(
    Pi(1.57079637050628662109375, -4.37113900018624283e-8),
    Pi(1.57079632679489661923, 6.12323399573676603587e-17),
)


@kernel(inline=True)
def _sin_cos(r: Any, q: Any) -> Any:
    """Sine and cosine of q*pi/2 + r for |r| <= pi/4 and q one of 0, 1, 2, 3, 4."""
    c = SINCOS(r)
    one, half = like(r, 1), like(r, 0.5)
    z = r * r
    s = r + r * z * horner(z, c.sine)
    t = one - half * z + z * z * horner(z, c.cosine)
    odd = (q == one) | (q == like(r, 3))
    sine, cosine = where(odd, t, s), where(odd, s, t)
    upper = q < like(r, 2)
    right = (q == like(r, 0)) | (q > like(r, 2.5))
    return where(upper | (q > like(r, 3.5)), sine, -sine), where(right, cosine, -cosine)


@kernel(inline=True)
def sincos_turns(u: Any) -> Any:
    """Sine and cosine of u turns (2*pi*u), 0 <= u <= 1."""
    q = round_half_even(like(u, 4) * u)
    return _sin_cos((u - q * like(u, 0.25)) * like(u, 2 * np.pi), q)


def _sincos_single(x: Any) -> Any:
    r, q = quarter_turns(x)
    a = magnitude(x)
    small = a < like(x, np.pi / 4)
    s, c = _sin_cos(where(small, a, r), where(small, like(x, 0), q))
    finite, nan = a < like(x, np.inf), like(x, np.nan)
    return where(finite, where(x < like(x, 0), -s, s), nan), where(finite, c, nan)


def _sincos_double(x: Any) -> Any:
    return np.sin(x), np.cos(x)


_sincos = by_type(_sincos_single, _sincos_double)


@kernel(inline=True)
def sin(x: Any) -> Any:
    """Sine, to 2 ulp however large x is (float64: by the C library)."""
    return where(x == like(x, 0), x, _sincos(x)[0])


@kernel(inline=True)
def cos(x: Any) -> Any:
    """Cosine, to 2 ulp however large x is (float64: by the C library)."""
    return _sincos(x)[1]


@kernel(inline=True)
def tan(x: Any) -> Any:
    """Tangent, to 4 ulp however large x is."""
    s, c = _sincos(x)
    return where(x == like(x, 0), x, s / c)


@kernel(inline=True)
def _acos_of_magnitude(x: Any) -> Any:
    """asin(|x|) for |x| < 1/2, else 2*asin(sqrt((1 - |x|) / 2)), which is acos(|x|)."""
    a = magnitude(x)
    half = like(x, 0.5)
    z = where(a < half, a * a, half * (like(x, 1) - a))
    y = where(a < half, a, sqrt(z))
    return y + y * z * horner(z, ASIN(x))


@kernel(inline=True)
def asin(x: Any) -> Any:
    """Inverse sine, to 3 ulp; NaN beyond 1 in magnitude."""
    c = PI(x)
    y = _acos_of_magnitude(x)
    far = magnitude(x) >= like(x, 0.5)
    return copysign(where(far, c.half - (y + y - c.half_rest), y), x)


@kernel(inline=True)
def acos(x: Any) -> Any:
    """Inverse cosine, to 3 ulp; NaN beyond 1 in magnitude."""
    c = PI(x)
    y = _acos_of_magnitude(x)
    far = magnitude(x) >= like(x, 0.5)
    left = x < like(x, 0)
    y = where(far, y + y, where(left, -y, y))
    near = c.half - (y - c.half_rest)
    return where(far, where(left, (c.half - (y - c.half_rest)) + c.half + c.half_rest, y), near)


@kernel(inline=True)
def atan(x: Any) -> Any:
    """Inverse tangent, to 3 ulp."""
    c = PI(x)
    one, a = like(x, 1), magnitude(x)
    far = a > one
    y = where(far, one / a, a)
    z = y * y
    y = y + y * z * horner(z, ATAN(x))
    return copysign(where(far, c.half - (y - c.half_rest), y), x)


@kernel(inline=True)
def atan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), from -pi to pi, by the C library."""
    return np.arctan2(y, x)
