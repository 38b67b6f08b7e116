"""Depthwise convolution by 3x3 windows of stride 1, forward and backward.

Each channel is a convolution of its own, so there is no matrix product in it. A strip of one vector's columns goes
down the image; a line that is loaded, three times and shifted by a column, is used for all three lines of outputs
(or of gradients) that see it. Nothing is copied or padded: masks keep loads inside the image.
"""

from __future__ import annotations

from llvmlite import ir

from .jit import kernel
from .simd import at, lanes
from .simd_library import VECTOR_BITS, Emitter, Values, VectorLibrary, Vectors, loop, word
from .threading import parallel_for

LINES, GRADIENTS = "depthwise_lines", "depthwise_gradients"


class _Depthwise(Emitter):
    signatures = {LINES: "wpwwwpwwwpwwpwwwb", GRADIENTS: "wpwwwpwwwwwpw"}

    def emit(self) -> None:
        self.lines()
        self.gradients()

    def strip(
        self, builder: ir.IRBuilder, vector: Vectors, i: ir.Value, width: ir.Value, out_width: ir.Value, pad: ir.Value
    ) -> tuple[ir.Value, list[ir.Value], ir.Value]:
        """Where a strip begins, the columns of the image that exist for each of three taps, and of outputs."""
        begin = builder.mul(i, word(vector.width))
        first = builder.sub(begin, pad)
        masks = []
        for tap in range(3):
            start = builder.add(first, word(tap))
            inside = vector.first_lanes(builder.sub(width, start))
            masks.append(builder.and_(inside, builder.not_(vector.first_lanes(builder.neg(start)))))
        return begin, masks, vector.first_lanes(builder.sub(out_width, begin))

    def within(self, builder: ir.IRBuilder, line: ir.Value, lines: ir.Value) -> ir.Value:
        return builder.icmp_unsigned("<", line, lines)

    def lines(self) -> None:
        """name(count, x, x_step, height, width, out, out_step, out_height, out_width, weight, weight_step, tap_step,
        start, start_step, pad_h, pad_w, relu)"""
        function, builder, vector = self.function(LINES, self.signatures[LINES])
        count, x, x_step, height, width, out, out_step, out_height, out_width, *rest = function.args
        weight, weight_step, tap_step, start, start_step, pad_h, pad_w, relu = rest
        strips = builder.udiv(builder.add(out_width, word(vector.width - 1)), word(vector.width))
        relu_mask = vector.splat(relu)

        def channel(_: ir.Value, carried: Values) -> Values:
            x, out, weight, start = carried
            taps = [
                vector.splat(builder.load(builder.gep(weight, [builder.mul(tap_step, word(n))]))) for n in range(9)
            ]
            first = vector.splat(builder.load(start))

            def strip(i: ir.Value, _: Values) -> Values:
                begin, masks, kept = self.strip(builder, vector, i, width, out_width, pad_w)

                def line(y: ir.Value, sums: Values) -> Values:
                    row = builder.sub(y, pad_h)
                    inside = vector.splat(self.within(builder, row, height))
                    column = builder.add(builder.mul(row, width), builder.sub(begin, pad_w))
                    parts = [
                        vector.load(builder.gep(x, [builder.add(column, word(n))]), builder.and_(mask, inside))
                        for n, mask in enumerate(masks)
                    ]
                    sums = [first, *sums]
                    for n in range(9):
                        sums[n // 3] = vector.fma(taps[n], parts[n % 3], sums[n // 3])
                    done = sums.pop()
                    low = builder.and_(relu_mask, builder.fcmp_ordered("<=", done, vector.zero))
                    done = builder.select(low, vector.zero, done)
                    target = builder.sub(y, word(2))
                    place = builder.gep(out, [builder.add(builder.mul(target, out_width), begin)])
                    with builder.if_then(builder.icmp_signed(">=", target, word(0))):
                        vector.store(done, place, kept)
                    return sums

                loop(builder, builder.add(out_height, word(2)), [vector.zero, vector.zero], line)
                return []

            loop(builder, strips, [], strip)
            steps = x_step, out_step, weight_step, start_step
            return [builder.gep(now, [step]) for now, step in zip(carried, steps, strict=True)]

        loop(builder, count, [x, out, weight, start], channel)
        builder.ret_void()

    def gradients(self) -> None:
        """name(count, x, x_step, height, width, grad, grad_step, out_height, out_width, pad_h, pad_w, sums, sums_step):
        adds to ten vectors of sums for each channel, nine for the taps and one for the bias."""
        function, builder, vector = self.function(GRADIENTS, self.signatures[GRADIENTS])
        count, x, x_step, height, width, grad, grad_step, out_height, out_width, *rest = function.args
        pad_h, pad_w, sums, sums_step = rest
        strips = builder.udiv(builder.add(out_width, word(vector.width - 1)), word(vector.width))

        def channel(_: ir.Value, carried: Values) -> Values:
            x, grad, sums = carried
            places = [builder.gep(sums, [word(n * vector.width)]) for n in range(10)]

            def strip(i: ir.Value, totals: Values) -> Values:
                begin, masks, kept = self.strip(builder, vector, i, width, out_width, pad_w)

                def line(y: ir.Value, carried: Values) -> Values:
                    before, two_before, *totals = carried
                    row = builder.sub(y, pad_h)
                    inside = vector.splat(self.within(builder, row, height))
                    column = builder.add(builder.mul(row, width), builder.sub(begin, pad_w))
                    parts = [
                        vector.load(builder.gep(x, [builder.add(column, word(n))]), builder.and_(mask, inside))
                        for n, mask in enumerate(masks)
                    ]
                    exists = builder.and_(kept, vector.splat(self.within(builder, y, out_height)))
                    now = vector.load(builder.gep(grad, [builder.add(builder.mul(y, out_width), begin)]), exists)
                    seen = [now, before, two_before]
                    totals = [vector.fma(parts[n % 3], seen[n // 3], totals[n]) for n in range(9)] + totals[9:]
                    totals[9] = builder.fadd(totals[9], now)
                    return [now, before, *totals]

                rows = builder.add(out_height, word(2))
                return loop(builder, rows, [vector.zero, vector.zero, *totals], line)[2:]

            totals = loop(builder, strips, [vector.load(place) for place in places], strip)
            for place, total in zip(places, totals, strict=True):
                vector.store(total, place)
            steps = x_step, grad_step, sums_step
            return [builder.gep(now, [step]) for now, step in zip(carried, steps, strict=True)]

        loop(builder, count, [x, grad, sums], channel)
        builder.ret_void()


_library = VectorLibrary(_Depthwise, __file__)
_lines, _gradients = (_library[name] for name in _Depthwise.signatures)


def suits_depthwise(groups: int, channels: int, out_channels: int) -> bool:
    """Whether these kernels do it, for 3x3 windows of stride 1; channels are those of a group."""
    # Loads are masked, which smaller vectors have no instructions for.
    return VECTOR_BITS >= 256 and groups > 1 and channels == out_channels == 1


@kernel(internal=True)
def _depthwise_part(
    part, parts, images, channels, height, width, out_height, out_width, pad_h, pad_w, turned, weight, x,
    start, start_step, relu, out,
):  # fmt: skip
    plane, end = images * channels * part // parts, images * channels * (part + 1) // parts
    tap_step, first = (-1, 8) if turned else (1, 0)
    size, out_size = height * width, out_height * out_width
    while plane < end:
        channel = plane % channels
        count = min(channels - channel, end - plane)
        _lines((
            count, at(x, plane * size), size, height, width, at(out, plane * out_size), out_size, out_height, out_width,
            at(weight, 9 * channel + first), 9, tap_step, at(start, channel * start_step), start_step,
            pad_h, pad_w, relu,
        ))  # fmt: skip
        plane += count


@kernel
def depthwise(
    parts, images, channels, height, width, out_height, out_width, pad_h, pad_w, turned, weight, x,
    start, start_step, relu, out,
):  # fmt: skip
    """Convolve each channel by its own window; with `turned`, by the window rotated by half a turn."""
    args = (
        parts, images, channels, height, width, out_height, out_width, pad_h, pad_w, turned, weight, x,
        start, start_step, relu, out,
    )  # fmt: skip
    parallel_for(_depthwise_part, parts, args)


@kernel(internal=True)
def _depthwise_weight_part(
    part, parts, image_parts, images, channels, height, width, out_height, out_width, pad_h, pad_w, x, grad, sums
):
    size, out_size, step = height * width, out_height * out_width, 10 * lanes(x)
    item, end = image_parts * channels * part // parts, image_parts * channels * (part + 1) // parts
    while item < end:
        channel, image_part = item % channels, item // channels
        count = min(channels - channel, end - item)
        mine = at(sums, item * step)
        for j in range(count * step):
            mine[j] = 0
        for image in range(images * image_part // image_parts, images * (image_part + 1) // image_parts):
            plane = image * channels + channel
            _gradients((
                count, at(x, plane * size), size, height, width, at(grad, plane * out_size), out_size,
                out_height, out_width, pad_h, pad_w, mine, step,
            ))  # fmt: skip
        item += count


@kernel
def depthwise_weight(
    parts, image_parts, images, channels, height, width, out_height, out_width, pad_h, pad_w, x, grad, sums,
    dweight, dbias,
):  # fmt: skip
    args = (
        parts, image_parts, images, channels, height, width, out_height, out_width, pad_h, pad_w, x, grad, sums,
    )  # fmt: skip
    parallel_for(_depthwise_weight_part, parts, args)
    for c in range(channels):
        for n in range(10 if dbias.size else 9):
            total = x.dtype.type(0)
            for image_part in range(image_parts):
                vector = at(sums, ((image_part * channels + c) * 10 + n) * lanes(x))
                for j in range(lanes(x)):
                    total += vector[j]
            if n < 9:
                dweight[9 * c + n] = total
            else:
                dbias[c] = total
