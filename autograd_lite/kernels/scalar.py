"""The leaves that the scalar functions are made of: one LLVM instruction, or two or three, each.

Every one is generic over float32 and float64, gives its argument's type back, has no branch, and works on
NumPy scalars too when Numba is switched off. Types are never mixed silently: an operand of another type
is an error at compile time, so float64 cannot creep into float32 code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from .jit import JIT

_FLAGS = ("contract",)  # intrinsics set their own flags: Numba's apply to Python operators only
_MANTISSA = {32: 23, 64: 52}
_BIAS = {32: 127, 64: 1023}
_SCALES = JIT and llvm.get_host_cpu_features().get("avx512vl", False)
"""Whether one instruction multiplies by a power of two."""
_ROOT_HALF = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}  # bits of sqrt(1/2)


def _emitted(arity: int, emit: Callable[..., Any], plain: Callable[..., Any]) -> Any:
    """A function of `arity` equal floats that `emit` writes as LLVM; `plain` where Numba is off."""
    if not JIT:
        return plain

    def signature(operands: tuple[Any, ...]) -> Any:
        if operands[0] not in (types.float32, types.float64) or len(set(operands)) != 1:
            return None

        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
            return emit(builder, operands[0].bitwidth, *values)

        return operands[0](*operands), codegen

    if arity == 1:
        return intrinsic(lambda typingctx, x: signature((x,)))
    if arity == 2:
        return intrinsic(lambda typingctx, x, y: signature((x, y)))
    return intrinsic(lambda typingctx, x, y, z: signature((x, y, z)))


def _llvm(name: str, arity: int, plain: Callable[..., Any]) -> Any:
    def emit(builder: ir.IRBuilder, width: int, *values: Any) -> Any:
        wanted = ir.FunctionType(values[0].type, [values[0].type] * arity)
        return builder.call(cgutils.get_or_insert_function(builder.module, wanted, f"llvm.{name}.f{width}"), values)

    return _emitted(arity, emit, plain)


sqrt = _llvm("sqrt", 1, np.sqrt)
floor = _llvm("floor", 1, np.floor)
ceil = _llvm("ceil", 1, np.ceil)
trunc = _llvm("trunc", 1, np.trunc)
round_half_even = _llvm("roundeven", 1, np.round)
magnitude = _llvm("fabs", 1, np.abs)
copysign = _llvm("copysign", 2, np.copysign)
minimum = _llvm("minimum", 2, np.minimum)
maximum = _llvm("maximum", 2, np.maximum)
fmin = _llvm("minnum", 2, np.fmin)
fmax = _llvm("maxnum", 2, np.fmax)
fma = _llvm("fma", 3, lambda x, y, z: x * y + z)
"""x*y + z, rounded once (twice where Numba is off)."""


def _whole_magic(width: int) -> float:
    # Adding 1.5 * 2^mantissa to a float leaves its rounded value in the low bits of the sum. Twice the
    # bias on top makes those bits, halved, an exponent.
    return 1.5 * 2.0 ** _MANTISSA[width] + 2 * _BIAS[width]


def _emit_whole(builder: ir.IRBuilder, width: int, x: Any) -> Any:
    return builder.fadd(x, ir.Constant(x.type, _whole_magic(width)), _FLAGS)


def _emit_whole_value(builder: ir.IRBuilder, width: int, w: Any) -> Any:
    return builder.fsub(w, ir.Constant(w.type, _whole_magic(width)))


def _emit_power_of_two(builder: ir.IRBuilder, width: int, w: Any) -> Any:
    word = ir.IntType(width)
    bits = builder.sub(builder.bitcast(w, word), ir.Constant(word, _BIAS[width]))
    return builder.bitcast(builder.shl(bits, ir.Constant(word, _MANTISSA[width])), w.type)


def _emit_ldexp(builder: ir.IRBuilder, width: int, x: Any, w: Any) -> Any:
    word = ir.IntType(width)
    both = builder.bitcast(w, word)
    if _SCALES:
        n = builder.sub(both, builder.bitcast(ir.Constant(w.type, _whole_magic(width)), word))
        n = n if width == 32 else builder.trunc(n, ir.IntType(32))
        wanted = ir.FunctionType(x.type, [x.type, n.type])
        function = cgutils.get_or_insert_function(builder.module, wanted, f"llvm.ldexp.f{width}.i32")
        return builder.call(function, [x, n])
    half = builder.lshr(both, ir.Constant(word, 1))
    for part in (half, builder.sub(both, half)):  # 2**n itself may be subnormal, or overflow
        power = builder.shl(part, ir.Constant(word, _MANTISSA[width]))
        x = builder.fmul(x, builder.bitcast(power, x.type))
    return x


whole = _emitted(1, _emit_whole, np.round)
"""x rounded to a whole number n, |n| < 2**20, in the form that the next three take."""
whole_value = _emitted(1, _emit_whole_value, lambda w: w)
"""n as a float."""
power_of_two = _emitted(1, _emit_power_of_two, np.exp2)
"""2**n for n in the range of normal exponents."""
ldexp = _emitted(2, _emit_ldexp, lambda x, w: np.ldexp(x, 0 if np.isnan(w) else int(w)))
"""x * 2**n for n up to twice that range."""


def _exponent_bits(builder: ir.IRBuilder, width: int, x: Any) -> tuple[Any, Any]:
    word = ir.IntType(width)
    bits = builder.bitcast(x, word)
    above = builder.sub(bits, ir.Constant(word, _ROOT_HALF[width]))
    return bits, builder.ashr(above, ir.Constant(word, _MANTISSA[width]))


def _emit_exponent(builder: ir.IRBuilder, width: int, x: Any) -> Any:
    _, k = _exponent_bits(builder, width, x)
    if width == 32:
        return builder.sitofp(k, x.type)
    magic = 1.5 * 2.0**52  # AVX2 and NEON convert no 64-bit integers
    bits = int(np.float64(magic).view(np.int64))
    whole = builder.bitcast(builder.add(k, ir.Constant(k.type, bits)), x.type)
    return builder.fsub(whole, ir.Constant(x.type, magic))


def _emit_mantissa(builder: ir.IRBuilder, width: int, x: Any) -> Any:
    bits, k = _exponent_bits(builder, width, x)
    return builder.bitcast(builder.sub(bits, builder.shl(k, ir.Constant(k.type, _MANTISSA[width]))), x.type)


def _plain_exponent(x: Any) -> Any:
    m, e = np.frexp(x)
    return type(x)(e - (m < np.sqrt(type(x)(0.5))))


def _plain_mantissa(x: Any) -> Any:
    m, _ = np.frexp(x)
    return m + m if m < np.sqrt(type(x)(0.5)) else m


def _emit_lifted(builder: ir.IRBuilder, width: int, x: Any) -> Any:
    if width == 32:
        return builder.sitofp(builder.bitcast(x, ir.IntType(32)), x.type)
    return builder.fmul(x, ir.Constant(x.type, 2.0**54))


def _plain_lifted(x: Any) -> Any:
    return np.ldexp(x, 149 if isinstance(x, np.float32) else 54)


lifted = _emitted(1, _emit_lifted, _plain_lifted)
"""A subnormal x as a normal number: x * 2**149 in float32, x * 2**54 in float64."""
exponent = _emitted(1, _emit_exponent, _plain_exponent)
"""The whole number n, as a float, for which x = m * 2**n with sqrt(1/2) <= m < sqrt(2); x normal, > 0."""
mantissa = _emitted(1, _emit_mantissa, _plain_mantissa)
"""The m of `exponent`."""


# 32 zeros, then the bits of 2/pi
_TWO_OVER_PI = (
    0, 0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB,
)  # fmt: skip


@intrinsic
def _quarter_turns(typingctx: Any, x: Any) -> Any:
    if x != types.float32:
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        word, wide, real = ir.IntType(32), ir.IntType(64), ir.FloatType()

        def constant(value: int) -> ir.Constant:
            return ir.Constant(word, value)

        bits = builder.and_(builder.bitcast(values[0], word), constant(0x7FFFFFFF))
        m = builder.or_(builder.and_(bits, constant(0x7FFFFF)), constant(0x800000))
        # |x| = m * 2**(e - 23). Bits of 2/pi whose product with that is a multiple of 4 turns are skipped,
        # the next 96 are multiplied by m, and of the product the lowest 96 bits count.
        place = builder.sub(builder.lshr(bits, constant(23)), constant(120))
        chunk, shift = builder.ashr(place, constant(5)), builder.and_(place, constant(31))
        near = [builder.icmp_signed("==", chunk, constant(k)) for k in range(1, 5)]
        words = []
        for first in range(4):
            chosen = constant(_TWO_OVER_PI[first])
            for k in range(1, 5):
                chosen = builder.select(near[k - 1], constant(_TWO_OVER_PI[first + k]), chosen)
            words.append(chosen)
        funnel = cgutils.get_or_insert_function(builder.module, ir.FunctionType(word, [word] * 3), "llvm.fshl.i32")
        high, middle, low = (builder.call(funnel, [words[k], words[k + 1], shift]) for k in range(3))
        m_wide = builder.zext(m, wide)
        tail = builder.add(
            builder.mul(m_wide, builder.zext(middle, wide)),
            builder.lshr(builder.mul(m_wide, builder.zext(low, wide)), ir.Constant(wide, 32)),
        )
        top = builder.add(builder.mul(m, high), builder.trunc(builder.lshr(tail, ir.Constant(wide, 32)), word))
        # The two leading bits of the product count the quarters, rounded; the rest is a signed fraction.
        quarter = builder.lshr(builder.add(top, constant(1 << 29)), constant(30))
        fraction = builder.sub(top, builder.shl(quarter, constant(30)))
        head = builder.sitofp(fraction, real)
        lost = builder.sitofp(builder.sub(fraction, builder.fptosi(head, word)), real)
        below = builder.sitofp(builder.lshr(builder.trunc(tail, word), constant(1)), real)
        rest = builder.fadd(lost, builder.fmul(below, ir.Constant(real, 2.0**-31)))
        unit = np.pi / 2 * 2.0**-30
        unit_high = float(np.float32(unit))
        r = builder.fadd(
            builder.fmul(head, ir.Constant(real, unit_high), _FLAGS),
            builder.fadd(
                builder.fmul(head, ir.Constant(real, unit - unit_high), _FLAGS),
                builder.fmul(rest, ir.Constant(real, unit_high), _FLAGS),
                _FLAGS,
            ),
            _FLAGS,
        )
        return context.make_tuple(builder, sig.return_type, [r, builder.sitofp(quarter, real)])

    return types.UniTuple(x, 2)(x), codegen


def _plain_quarter_turns(x: Any) -> Any:
    if not np.isfinite(x):
        return x, x
    numerator, denominator = float(abs(x)).as_integer_ratio()
    turns = numerator * int.from_bytes(np.array(_TWO_OVER_PI[1:], ">u4").tobytes(), "big")
    scale = denominator << 224
    quarter, fraction = divmod(2 * turns + scale, 2 * scale)
    return type(x)((fraction / scale - 1) * np.pi / 4), type(x)(quarter % 4)


quarter_turns: Any = _quarter_turns if JIT else _plain_quarter_turns
"""r and q for float32 |x| = (4*k + q) * pi/2 + r, q one of 0, 1, 2, 3, |r| <= pi/4, |x| >= pi/4.

As M. H. Payne and R. N. Hanek, Radian reduction for trigonometric functions, SIGNUM Newsletter 18, 1983:
exact for every x, however large.
"""


@intrinsic
def _like(typingctx: Any, x: Any, value: Any) -> Any:
    if x not in (types.float32, types.float64):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        return context.cast(builder, values[1], value, x)

    return x(x, value), codegen


def _plain_like(x: Any, value: Any) -> Any:
    return type(x)(value)


like: Any = _like if JIT else _plain_like
"""like(x, value): the value in the type of x; a constant costs nothing at run time."""


@intrinsic
def _where(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    if a != b or condition != types.boolean:
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        return builder.select(*values)

    return a(condition, a, b), codegen


def _plain_where(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


where: Any = _where if JIT else _plain_where
"""where(condition, a, b) without a branch; both sides are computed, and only the chosen one counts."""


def _emit_polynomial(builder: ir.IRBuilder, at: Any, terms: list[Any], result: Any) -> Any:
    for term in reversed(terms):
        result = builder.fadd(builder.fmul(result, at, _FLAGS), term, _FLAGS)
    return result


@intrinsic
def _horner(typingctx: Any, x: Any, coefficients: Any) -> Any:
    if x not in (types.float32, types.float64) or getattr(coefficients, "dtype", None) != x:
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        at, table = values
        *terms, last = [builder.extract_value(table, i) for i in range(coefficients.count)]
        return _emit_polynomial(builder, at, terms, last)

    return x(x, coefficients), codegen


@intrinsic
def _monic(typingctx: Any, x: Any, coefficients: Any) -> Any:
    if x not in (types.float32, types.float64) or (coefficients.count and getattr(coefficients, "dtype", None) != x):
        return None

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
        at, table = values
        terms = [builder.extract_value(table, i) for i in range(coefficients.count)]
        if not terms:
            return ir.Constant(at.type, 1.0)
        return _emit_polynomial(builder, at, terms[:-1], builder.fadd(at, terms[-1], _FLAGS))

    return x(x, coefficients), codegen


def _plain_horner(x: Any, coefficients: Any) -> Any:
    result = coefficients[-1]
    for c in coefficients[-2::-1]:
        result = result * x + c
    return result


def _plain_monic(x: Any, coefficients: Any) -> Any:
    return _plain_horner(x, (*coefficients, type(x)(1)))


horner: Any = _horner if JIT else _plain_horner
"""horner(x, c) = c[0] + c[1]*x + c[2]*x**2 + ..., unrolled, one fused multiply-add per term."""
monic: Any = _monic if JIT else _plain_monic
"""monic(x, c) = horner(x, (*c, 1)), which begins with an addition."""


def constants(single: Any, double: Any) -> Any:
    """A function of x that gives `single` for float32 and `double` for float64, at compile time.

    A table is a tuple of floats, or a named tuple of floats and such tuples; the floats are rounded to their type here.
    """

    def rounded(value: Any, dtype: Any) -> Any:
        if not isinstance(value, tuple):
            return dtype(value)
        fields = [rounded(v, dtype) for v in value]
        return type(value)(*fields) if hasattr(value, "_fields") else tuple(fields)

    tables = {types.float32: rounded(single, np.float32), types.float64: rounded(double, np.float64)}
    if not JIT:
        return lambda x: tables[typeof(x)]

    def choose(typingctx: Any, x: Any) -> Any:
        table = tables.get(x)
        if table is None:
            return None
        table_type = typeof(table)

        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> Any:
            return context.get_constant_generic(builder, table_type, table)

        return table_type(x), codegen

    return intrinsic(choose)


def by_type(single: Callable[..., Any], double: Callable[..., Any]) -> Any:
    """A function of x, callable from kernels, that is `single` for float32 and `double` for float64."""

    def function(x: Any) -> Any:
        return single(x) if isinstance(x, np.float32) else double(x)

    if JIT:
        options: Any = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}
        choice = {types.float32: single, types.float64: double}
        overload(function, jit_options=options, strict=False)(lambda x: choice.get(x))
    return function
