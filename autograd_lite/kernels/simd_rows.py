"""Vector code of layer and root-mean-square norm: rows that are normalised each for itself.

Forward, a row passes three times through the first-level cache: for its mean, for the moments about that, for the
result. Backward, four rows go together, share the loads of the weight, and add to the sums of its gradient at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .jit import kernel
from .simd_library import VECTOR_BITS, Emitter, Values, VectorLibrary, Vectors, loop, word

TOGETHER = 4
"""Vectors of a row, or rows, that are worked on together."""

FORWARD, BACKWARD = "rows_forward", "rows_backward"


class _Rows(Emitter):
    signatures = {FORWARD: "wwpppbpppp", BACKWARD: "wwpppppbpp"}

    def emit(self) -> None:
        self.forward()
        self.backward()

    def over(
        self, builder: ir.IRBuilder, vector: Vectors, size: ir.Value, together: int, carried: Values,
        body: Callable[[list[ir.Value], ir.Value | None, Values], Values],
    ) -> Values:  # fmt: skip
        """Emit ``carried = body(offsets, mask, carried)`` for all vectors of a row, some together, the last masked."""
        wide = together * vector.width
        groups = builder.udiv(size, word(wide))

        def some(i: ir.Value, carried: Values) -> Values:
            start = builder.mul(i, word(wide))
            return body([builder.add(start, word(n * vector.width)) for n in range(together)], None, carried)

        carried = loop(builder, groups, carried, some)
        done = builder.mul(groups, word(wide))
        if together > 1:
            rest = builder.udiv(builder.sub(size, done), word(vector.width))

            def one(i: ir.Value, carried: Values) -> Values:
                return body([builder.add(done, builder.mul(i, word(vector.width)))], None, carried)

            carried = loop(builder, rest, carried, one)
            done = builder.add(done, builder.mul(rest, word(vector.width)))
        left = builder.sub(size, done)
        tail = builder.select(builder.icmp_signed(">", left, word(0)), word(1), word(0))
        mask = vector.first_lanes(left)
        return loop(builder, tail, carried, lambda _, carried: body([done], mask, carried))

    def total(self, builder: ir.IRBuilder, vector: Vectors, parts: Values) -> ir.Value:
        """The sum of all lanes of some vectors."""
        while len(parts) > 1:
            parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return vector.sum(parts[0])

    def share(self, builder: ir.IRBuilder, vector: Vectors, size: ir.Value) -> ir.Value:
        return builder.fdiv(ir.Constant(vector.element, 1.0), builder.uitofp(size, vector.element))

    def forward(self) -> None:
        """name(count, size, x, weight, bias, centred, eps, mean, rstd, out): see below."""
        function, builder, vector = self.function(FORWARD, self.signatures[FORWARD])
        count, size, x, weight, bias, centred, eps, mean, rstd, out = function.args
        share, nothing = self.share(builder, vector, size), ir.Constant(vector.element, 0.0)
        one, eps = ir.Constant(vector.element, 1.0), builder.load(eps)
        zeros = [vector.zero] * TOGETHER

        def row(i: ir.Value, carried: Values) -> Values:
            x, out = carried

            def add(offsets: Values, mask: Any, sums: Values) -> Values:
                values = [vector.load(builder.gep(x, [offset]), mask) for offset in offsets]
                return [builder.fadd(a, b) for a, b in zip(sums, values)] + sums[len(values) :]

            sums = self.over(builder, vector, size, TOGETHER, zeros, add)
            guess = builder.fmul(self.total(builder, vector, sums), share)
            guess = builder.select(centred, guess, nothing)
            wide = vector.splat(guess)

            def moments(offsets: Values, mask: Any, sums: Values) -> Values:
                first, second = sums[:TOGETHER], sums[TOGETHER:]
                for n, offset in enumerate(offsets):
                    d = builder.fsub(vector.load(builder.gep(x, [offset]), mask), wide)
                    if mask is not None:
                        d = builder.select(mask, d, vector.zero)
                    first[n], second[n] = builder.fadd(first[n], d), vector.fma(d, d, second[n])
                return first + second

            sums = self.over(builder, vector, size, TOGETHER, zeros * 2, moments)
            first, second = (
                builder.fmul(self.total(builder, vector, part), share) for part in (sums[:TOGETHER], sums[TOGETHER:])
            )
            rest = builder.select(centred, first, nothing)
            middle = builder.fadd(guess, rest)
            var = builder.fsub(second, builder.fmul(rest, rest))
            var = builder.select(builder.fcmp_ordered("<", var, nothing), nothing, var)
            root = vector.root(builder.fadd(var, eps))
            scale = builder.fdiv(one, root)
            builder.store(middle, builder.gep(mean, [i]))
            builder.store(scale, builder.gep(rstd, [i]))
            m, r = vector.splat(middle), vector.splat(scale)

            def result(offsets: Values, mask: Any, _: Values) -> Values:
                for offset in offsets:
                    value, w, b = (vector.load(builder.gep(head, [offset]), mask) for head in (x, weight, bias))
                    u = builder.fmul(builder.fsub(value, m), r)
                    vector.store(vector.fma(u, w, b), builder.gep(out, [offset]), mask)
                return []

            self.over(builder, vector, size, TOGETHER, [], result)
            return [builder.gep(x, [size]), builder.gep(out, [size])]

        loop(builder, count, [x, out], row)
        builder.ret_void()

    def backward(self) -> None:
        """name(count, size, grad, x, weight, mean, rstd, centred, dx, sums): see below."""
        function, builder, vector = self.function(BACKWARD, self.signatures[BACKWARD])
        count, size, grad, x, weight, mean, rstd, centred, dx, sums = function.args
        share, nothing = self.share(builder, vector, size), ir.Constant(vector.element, 0.0)
        bias_sums = builder.gep(sums, [size])

        def rows(number: int, heads: Values) -> Values:
            grad, x, dx, mean, rstd = heads
            starts = [builder.mul(size, word(n)) for n in range(number)]
            means, scales = (
                [builder.load(builder.gep(head, [word(n)])) for n in range(number)] for head in (mean, rstd)
            )
            m, r = ([vector.splat(value) for value in values] for values in (means, scales))

            def load(offset: ir.Value, mask: Any, n: int) -> tuple[ir.Value, ir.Value, ir.Value]:
                place = builder.add(starts[n], offset)
                g, value = (vector.load(builder.gep(head, [place]), mask) for head in (grad, x))
                return g, builder.fsub(value, m[n]), place

            def products(offsets: Values, mask: Any, totals: Values) -> Values:
                w = vector.load(builder.gep(weight, offsets), mask)
                first, second = totals[:number], totals[number:]
                for n in range(number):
                    g, d, _ = load(offsets[0], mask, n)
                    g = builder.fmul(g, w)
                    first[n], second[n] = builder.fadd(first[n], g), vector.fma(g, d, second[n])
                return first + second

            totals = self.over(builder, vector, size, 1, [vector.zero] * 2 * number, products)
            level, slope = [], []
            for n in range(number):
                first, second = (vector.sum(totals[n + number * k]) for k in (0, 1))
                factor = builder.fmul(share, scales[n])
                first = builder.select(centred, builder.fneg(builder.fmul(first, factor)), nothing)
                level.append(vector.splat(first))
                slope.append(vector.splat(builder.fneg(builder.fmul(builder.fmul(second, scales[n]), factor))))

            def results(offsets: Values, mask: Any, _: Values) -> Values:
                w, total, bias_total = (
                    vector.load(builder.gep(head, offsets), mask) for head in (weight, sums, bias_sums)
                )
                for n in range(number):
                    g, d, place = load(offsets[0], mask, n)
                    u = builder.fmul(d, r[n])
                    rest = vector.fma(u, slope[n], level[n])
                    value = vector.fma(builder.fmul(g, w), r[n], rest)
                    vector.store(value, builder.gep(dx, [place]), mask)
                    total, bias_total = vector.fma(g, u, total), builder.fadd(bias_total, g)
                vector.store(total, builder.gep(sums, offsets), mask)
                vector.store(bias_total, builder.gep(bias_sums, offsets), mask)
                return []

            self.over(builder, vector, size, 1, [], results)
            far = builder.mul(size, word(number))
            return [
                *[builder.gep(head, [far]) for head in (grad, x, dx)],
                *[builder.gep(head, [word(number)]) for head in (mean, rstd)],
            ]

        heads = [grad, x, dx, mean, rstd]
        heads = loop(builder, builder.udiv(count, word(TOGETHER)), heads, lambda _, h: rows(TOGETHER, h))
        loop(builder, builder.urem(count, word(TOGETHER)), heads, lambda _, h: rows(1, h))
        builder.ret_void()


_library = VectorLibrary(_Rows, __file__)
_forward, _backward = (_library[name] for name in _Rows.signatures)


@kernel(internal=True)
def _vector_normalise_rows(count, size, x, weight, bias, centred, eps, mean, rstd, out):
    _forward((count, size, x, weight, bias, centred, eps, mean, rstd, out))


@kernel(internal=True)
def _vector_rows_gradients(count, size, grad, x, weight, mean, rstd, centred, dx, sums):
    _backward((count, size, grad, x, weight, mean, rstd, centred, dx, sums))


@kernel(internal=True)
def _no_normalise_rows(count, size, x, weight, bias, centred, eps, mean, rstd, out):
    return


@kernel(internal=True)
def _no_rows_gradients(count, size, grad, x, weight, mean, rstd, centred, dx, sums):
    return


VECTORS = VECTOR_BITS > 0
"""Whether there are such functions."""
normalise_rows = _vector_normalise_rows if VECTORS else _no_normalise_rows
"""
Inside a kernel: ``normalise_rows(count, size, x, weight, bias, centred, eps, mean, rstd, out)`` sets each row of `out`
to ``(x - mean) * rstd * weight + bias``, and mean and rstd for each row; without `centred` the mean is zero. `eps`
points to one number. Arrays are pointers made by `at`.
"""
rows_gradients = _vector_rows_gradients if VECTORS else _no_rows_gradients
"""
Inside a kernel: ``rows_gradients(count, size, grad, x, weight, mean, rstd, centred, dx, sums)`` sets `dx`, and adds the
gradient of the weight to the first `size` sums and that of the bias to the others.
"""
