"""Depthwise convolution by 3x3 and 5x5 windows of stride 1, and the way back of any stride.

Each channel is a convolution of its own, so there is no matrix product in it. A strip of one vector's columns goes
down the image; a line that is loaded, once for each tap and shifted by a column, is used for all lines of outputs
(or of gradients) that see it. Nothing is copied or padded: masks keep loads inside the image. The gradient to the
input under a stride is that of stride 1 for a gradient with zeros between its numbers, one plane of which is made at a
time. The gradient to the weight is here for 3x3 windows only: 25 sums for 5x5 windows would leave no registers.
"""

from __future__ import annotations

from llvmlite import ir

from .jit import kernel
from .scratch import release, scratch
from .simd import at, lanes
from .simd_library import VECTOR_BITS, Emitter, Values, VectorLibrary, Vectors, loop, word
from .threading import parallel_for

Ints = tuple[int, ...]

LINES, LINES_5, GRADIENTS = "depthwise_lines", "depthwise_lines_5", "depthwise_gradients"


class _Depthwise(Emitter):
    signatures = {LINES: "wpwwwpwwwpwwpwwwb", LINES_5: "wpwwwpwwwpwwpwwwb", GRADIENTS: "wpwwwpwwwwwpw"}

    def emit(self) -> None:
        self.lines(LINES, 3)
        self.lines(LINES_5, 5)
        self.gradients()

    def strip(
        self, builder: ir.IRBuilder, vector: Vectors, i: ir.Value, width: ir.Value, out_width: ir.Value, pad: ir.Value,
        taps: int = 3,
    ) -> tuple[ir.Value, list[ir.Value], ir.Value]:  # fmt: skip
        """Where a strip begins, the columns of the image that exist for each of the taps, and of outputs."""
        begin = builder.mul(i, word(vector.width))
        first = builder.sub(begin, pad)
        masks = []
        for tap in range(taps):
            start = builder.add(first, word(tap))
            inside = vector.first_lanes(builder.sub(width, start))
            masks.append(builder.and_(inside, builder.not_(vector.first_lanes(builder.neg(start)))))
        return begin, masks, vector.first_lanes(builder.sub(out_width, begin))

    def within(self, builder: ir.IRBuilder, line: ir.Value, lines: ir.Value) -> ir.Value:
        return builder.icmp_unsigned("<", line, lines)

    def lines(self, name: str, size: int) -> None:
        """name(count, x, x_step, height, width, out, out_step, out_height, out_width, weight, weight_step, tap_step,
        start, start_step, pad_h, pad_w, relu)"""
        function, builder, vector = self.function(name, self.signatures[name])
        count, x, x_step, height, width, out, out_step, out_height, out_width, *rest = function.args
        weight, weight_step, tap_step, start, start_step, pad_h, pad_w, relu = rest
        strips = builder.udiv(builder.add(out_width, word(vector.width - 1)), word(vector.width))
        relu_mask = vector.splat(relu)

        def channel(_: ir.Value, carried: Values) -> Values:
            x, out, weight, start = carried
            taps = [
                vector.splat(builder.load(builder.gep(weight, [builder.mul(tap_step, word(n))])))
                for n in range(size * size)
            ]
            first = vector.splat(builder.load(start))

            def strip(i: ir.Value, _: Values) -> Values:
                begin, masks, kept = self.strip(builder, vector, i, width, out_width, pad_w, size)

                def line(y: ir.Value, sums: Values) -> Values:
                    row = builder.sub(y, pad_h)
                    inside = vector.splat(self.within(builder, row, height))
                    column = builder.add(builder.mul(row, width), builder.sub(begin, pad_w))
                    parts = [
                        vector.load(builder.gep(x, [builder.add(column, word(n))]), builder.and_(mask, inside))
                        for n, mask in enumerate(masks)
                    ]
                    sums = [first, *sums]
                    for n in range(size * size):
                        sums[n // size] = vector.fma(taps[n], parts[n % size], sums[n // size])
                    done = sums.pop()
                    low = builder.and_(relu_mask, builder.fcmp_ordered("<=", done, vector.zero))
                    done = builder.select(low, vector.zero, done)
                    target = builder.sub(y, word(size - 1))
                    place = builder.gep(out, [builder.add(builder.mul(target, out_width), begin)])
                    with builder.if_then(builder.icmp_signed(">=", target, word(0))):
                        vector.store(done, place, kept)
                    return sums

                loop(builder, builder.add(out_height, word(size - 1)), [vector.zero] * (size - 1), line)
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
_lines, _lines_5, _gradients = (_library[name] for name in _Depthwise.signatures)


def suits_depthwise(groups: int, channels: int, out_channels: int, window: Ints, dilation: Ints) -> bool:
    """Whether these kernels do it, if the stride allows it; channels are those of a group."""
    # Loads are masked, which smaller vectors have no instructions for.
    single = VECTOR_BITS >= 256 and groups > 1 and channels == out_channels == 1
    return single and window in ((1, 3, 3), (1, 5, 5)) and set(dilation) == {1}


@kernel(internal=True)
def _part_with_zeros(source, height, width, stride_h, stride_w, out):
    """A plane with zeros between its numbers; those between its lines are there already."""
    pitch = (width - 1) * stride_w + 1
    for h in range(height):
        row, target = at(source, h * width), at(out, h * stride_h * pitch)
        if stride_w == 1:
            for j in range(width):
                target[j] = row[j]
        else:
            for j in range(width):
                target[j * stride_w] = row[j]


@kernel(internal=True)
def _depthwise_part(
    part, parts, window, images, channels, height, width, stride_h, stride_w, out_height, out_width, pad_h, pad_w,
    turned, weight, x, start, start_step, relu, out,
):  # fmt: skip
    plane, end = images * channels * part // parts, images * channels * (part + 1) // parts
    taps = window * window
    tap_step, first = (-1, taps - 1) if turned else (1, 0)
    size, out_size, apart = height * width, out_height * out_width, stride_h > 1 or stride_w > 1
    far_height, far_width = (height - 1) * stride_h + 1, (width - 1) * stride_w + 1
    own = scratch(far_height * far_width * apart + 1, x)
    for j in range(own.size):
        own[j] = 0
    while plane < end:
        channel = plane % channels
        count = min(channels - channel, end - plane)
        source = at(x, plane * size)
        if apart:
            count = 1
            _part_with_zeros(source, height, width, stride_h, stride_w, at(own, 0))
            source = at(own, 0)
        args = (
            count, source, size, far_height, far_width, at(out, plane * out_size), out_size, out_height, out_width,
            at(weight, taps * channel + first), taps, tap_step, at(start, channel * start_step), start_step,
            pad_h, pad_w, relu,
        )  # fmt: skip
        if window == 3:
            _lines(args)
        else:
            _lines_5(args)
        plane += count
    release(own)


@kernel
def depthwise(
    parts, window, images, channels, height, width, stride_h, stride_w, out_height, out_width, pad_h, pad_w, turned,
    weight, x, start, start_step, relu, out,
):  # fmt: skip
    """Convolve each channel by its own window; with `turned`, by the window rotated by half a turn, and with strides
    after zeros have been put between the numbers."""
    args = (
        parts, window, images, channels, height, width, stride_h, stride_w, out_height, out_width, pad_h, pad_w,
        turned, weight, x, start, start_step, relu, out,
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
