"""The elementary functions: error in units in the last place over the whole range, and special values."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd_lite.kernels import special
from autograd_lite.kernels.jit import JIT, kernels_from_source

LOOP = """
def loop(x, out):
    for i in range(x.size):
        out[i] = {name}(x[i])
"""
LOOP_2 = """
def loop(x, y, out):
    for i in range(x.size):
        out[i] = {name}(x[i], y[i])
"""
DTYPES = [np.float32, np.float64]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, 1e30, -1e30, 1e-45, -1e-45, np.inf, -np.inf, np.nan]


def by_math(function):
    return np.vectorize(lambda v: function(float(v)), otypes=[float])


def sigmoid(x):
    with np.errstate(over="ignore"):
        z = np.exp(-np.abs(x))
        return np.where(x < 0, z, 1) / (1 + z)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# name: the function in a wider type, and the bounds in ulp for float32 and float64. Where the reference is
# itself only good to a few ulp of float64 the bound has room for that.
UNARY = {
    "exp": (np.exp, 1, 1),
    "exp2": (np.exp2, 1, 1.1),
    "expm1": (np.expm1, 2, 2),
    "log": (np.log, 1, 1.5),
    "log2": (np.log2, 2, 2),
    "log10": (np.log10, 2, 2),
    "log1p": (np.log1p, 2, 2),
    "sin": (np.sin, 2, 2),
    "cos": (np.cos, 2, 2),
    "tan": (np.tan, 4, 4),
    "asin": (np.arcsin, 3, 3),
    "acos": (np.arccos, 3, 3),
    "atan": (np.arctan, 3, 3),
    "sinh": (np.sinh, 2, 2),
    "cosh": (np.cosh, 2, 2),
    "tanh": (np.tanh, 3, 3),
    "asinh": (np.arcsinh, 3, 3),
    "acosh": (np.arccosh, 3, 3),
    "atanh": (np.arctanh, 3, 3),
    "sigmoid": (sigmoid, 3, 3),
    "softplus": (softplus, 3, 3),
    "log_sigmoid": (lambda x: -softplus(-x), 3, 3),
    "erf": (by_math(math.erf), 6, 3),
    "erfc": (by_math(math.erfc), 5, 5),
    "sqrt": (np.sqrt, 0.5, 0.5),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, 1.5),
    "floor": (np.floor, 0, 0),
    "ceil": (np.ceil, 0, 0),
    "trunc": (np.trunc, 0, 0),
    "round_half_even": (np.round, 0, 0),
    "sign": (lambda x: np.nan_to_num(np.sign(x)), 0, 0),
}
BINARY = {
    "pow": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "fmod": np.fmod,
    "remainder": np.remainder,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "fmin": np.fmin,
    "fmax": np.fmax,
    "copysign": np.copysign,
    "logaddexp": np.logaddexp,
}


def loop(name, template=LOOP):
    return kernels_from_source(template.format(name=name), vars(special))["loop"]


def everywhere(dtype, rng, count=60000):
    """Numbers of every magnitude, numbers of common magnitude, special values."""
    word = np.uint32 if dtype == np.float32 else np.uint64
    bits = rng.integers(0, np.iinfo(word).max, count, word, endpoint=True).view(dtype)
    edge = 90 if dtype == np.float32 else 712
    common = [rng.uniform(-a, a, count // 4) for a in (1, 5, edge, 1.2 * edge)]
    near_one = 1 + rng.uniform(-1, 1, count // 4) * 10 ** rng.uniform(-8, 0, count // 4)
    with np.errstate(over="ignore"):
        return np.concatenate(
            [bits, *[c.astype(dtype) for c in common], near_one.astype(dtype), np.array(SPECIAL, dtype)]
        )


def errors_in_ulp(got, wanted):
    """The largest error, after checking that NaN, infinities and the sign of zeros are where they must be."""
    rounded = wanted.astype(got.dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(rounded))
    zero = (rounded == 0) & (got == 0)
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(rounded[zero]))
    finite = np.isfinite(rounded)
    unit = np.spacing(np.abs(rounded[finite])).astype(wanted.dtype)
    return float(np.max(np.abs(got[finite].astype(wanted.dtype) - wanted[finite]) / unit, initial=0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_error_bound(name, dtype, rng):
    reference, single, double = UNARY[name]
    x = everywhere(dtype, rng, 60000 if JIT else 2000)
    out = np.empty_like(x)
    loop(name)(x, out)
    wanted = reference(x.astype(np.float64 if dtype == np.float32 else np.longdouble))
    bound = single if dtype == np.float32 else double
    if not JIT:
        bound = max(3 * bound, 8) if bound > 0.5 else bound  # without fused multiply-adds
        if name.startswith("erf"):
            return
    assert errors_in_ulp(out, np.asarray(wanted)) <= bound


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_two_operands(name, dtype, rng):
    pairs = np.array(list(itertools.product([*SPECIAL, 5.5, -7.25, 100.0], repeat=2)), dtype)
    drawn = rng.uniform(-20, 20, (5000, 2)).astype(dtype)
    x, y = np.ascontiguousarray(np.concatenate([pairs, drawn]).T)
    out = np.empty_like(x)
    loop(name, LOOP_2)(x, y, out)
    wanted = BINARY[name](x.astype(np.float64), y.astype(np.float64)).astype(dtype)
    if name in ("fmod", "remainder"):  # exact in the type itself; some references lose the sign of zero
        wanted = BINARY[name](x, y)
        wanted = np.where((name == "remainder") & np.isinf(y) & np.isfinite(x) & (x * y < 0), y, wanted)
    if name == "pow":
        if not JIT:
            pytest.skip("NumPy's power of scalars misses some special cases")
        wanted = python_pow(x, y).astype(dtype)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    absolute = 10 * tolerance if name == "logaddexp" else 0  # it crosses 0
    np.testing.assert_allclose(out, wanted, rtol=tolerance, atol=absolute)


def python_pow(x, y):
    """C's pow, as Python has it."""

    def one(a, b):
        try:
            return math.pow(a, b)
        except OverflowError:
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        except ValueError:
            odd = b % 2 == 1
            return math.copysign(math.inf, a) if a == 0 and odd else math.inf if a == 0 else math.nan

    return np.array([one(float(a), float(b)) for a, b in zip(x, y)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_times_is_zero_where_the_upstream_gradient_is(dtype):
    g, d = np.array([0, -0.0, 0, 2, 0, np.nan], dtype), np.array([np.inf, np.nan, 3, 4, -np.inf, 0], dtype)
    out = np.empty_like(g)
    loop("times", LOOP_2)(g, d, out)
    np.testing.assert_array_equal(out, np.array([0, 0, 0, 8, 0, np.nan], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_xlogy(dtype):
    x, y = np.array([0, 0, 0, 2, 0, -1], dtype), np.array([0, np.inf, np.nan, 3, -1, -2], dtype)
    out = np.empty_like(x)
    with np.errstate(all="ignore"):
        loop("xlogy", LOOP_2)(x, y, out)
    np.testing.assert_allclose(out, np.array([0, 0, np.nan, 2 * math.log(3), 0, np.nan], dtype), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_questions(dtype):
    x = np.array([1, 0, np.inf, -np.inf, np.nan], dtype)
    for name, wanted in (("isnan", np.isnan), ("isinf", np.isinf), ("isfinite", np.isfinite)):
        out = np.empty(x.size, np.bool_)
        loop(name)(x, out)
        np.testing.assert_array_equal(out, wanted(x))


@given(st.floats(0, 1, width=32), st.sampled_from(DTYPES))
def test_sincos_turns(u, dtype):
    source = "def both(u, out):\n    out[0], out[1] = sincos_turns(u[0])\n"
    out = np.empty(2, dtype)
    kernels_from_source(source, vars(special))["both"](np.array([u], dtype), out)
    tolerance = 3e-7 if dtype == np.float32 else 1e-15
    np.testing.assert_allclose(out, [np.sin(2 * np.pi * u), np.cos(2 * np.pi * u)], rtol=0, atol=tolerance)


@pytest.mark.skipif(not JIT, reason="looks at machine code")
@pytest.mark.parametrize("name", [n for n in UNARY if n != "sign"])
def test_float32_code_holds_no_float64(name):
    kernel = loop(name)
    compiled = numba.jit(**kernel.targetoptions)(kernel.py_func)  # what comes from the disk cannot be looked at
    compiled.compile("void(float32[::1], float32[::1])")
    assert compiled.nopython_signatures
    for text in compiled.inspect_llvm().values():
        body = text.split("define", 2)[1]
        assert " double" not in body, name


@pytest.mark.skipif(not JIT, reason="this process is already without the compiler")
def test_same_functions_without_the_compiler():
    """The plain versions of the leaves: the same special values and small errors, in a process of its own."""
    source = f"""
import numpy as np
from autograd_lite.kernels import special
x = np.array({[v for v in SPECIAL if math.isfinite(v)]!r} + [np.inf, -np.inf, np.nan])
np.seterr(all="ignore")
names = ["exp", "expm1", "log", "tanh", "sin", "cos", "sinh", "log1p", "asin", "atan"]
wanted = [np.exp, np.expm1, np.log, np.tanh, np.sin, np.cos, np.sinh, np.log1p, np.arcsin, np.arctan]
for name, reference in zip(names, wanted):
    for dtype in (np.float32, np.float64):
        for v in x.astype(dtype):
            got = getattr(special, name)(v)
            assert type(got) is dtype, (name, v, type(got))
            tolerance = 2e-6 if dtype == np.float32 else 1e-14
            np.testing.assert_allclose(got, reference(np.float64(v)).astype(dtype), rtol=tolerance)
"""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", source], env=environment, check=True, timeout=120)
