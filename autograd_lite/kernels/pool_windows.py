"""The kernels of pooling over windows; see `pool`. Arrays are flat; parts are groups of whole planes."""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .reduce import block_sum
from .scratch import release, scratch
from .simd import at
from .simd_conv import pad_low, pad_plane
from .simd_pool import max_2x2_backward_row, max_2x2_relu_row, max_2x2_row
from .threading import parallel_for

# ---------------------------------------------------------------------------------------------------
# Any window
#
# A plane is copied, padded and parted by its lines' and columns' place modulo the stride, into a buffer of
# depth x stride_h x stride_w x phase_height x phase_width. With the tap (kh, kw) fixed, the elements that the
# windows meet then lie one after the other, whatever the stride, and a tap is one long vector loop.
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _spread(geometry, phases, x, low, buffer):
    """Copy one plane into the buffer, with zeros around it or, for maxima, minus infinity."""
    depth, height, width = geometry[0]
    stride_h, stride_w = geometry[3, 1], geometry[3, 2]
    pad_h, pad_w = geometry[4, 1], geometry[4, 2]
    rows, columns = phases
    target = at(buffer, 0)
    for d in range(depth):
        for phase_h in range(stride_h):
            top = (pad_h - phase_h + stride_h - 1) // stride_h if pad_h > phase_h else 0
            first, last = min(top, rows), min(rows, (height + pad_h - phase_h + stride_h - 1) // stride_h)
            last = max(first, last)
            for phase_w in range(stride_w):
                left = (pad_w - phase_w + stride_w - 1) // stride_w if pad_w > phase_w else 0
                right = min(columns, (width + pad_w - phase_w + stride_w - 1) // stride_w)
                source = at(x, (d * height + top * stride_h + phase_h - pad_h) * width + phase_w - pad_w)
                if low:
                    pad_low(rows, columns, first, last, left, right, source, stride_h * width, stride_w, target)
                else:
                    pad_plane(rows, columns, first, last, left, right, source, stride_h * width, stride_w, target)
                target = at(target, rows * columns)


@kernel(internal=True)
def _collect(geometry, phases, buffer, x):
    """The way back: what the buffer holds for each element; zero where no window goes."""
    depth, height, width = geometry[0]
    stride_h, stride_w = geometry[3, 1], geometry[3, 2]
    pad_h, pad_w = geometry[4, 1], geometry[4, 2]
    for j in range(depth * height * width):
        x[j] = 0
    for d in range(depth):
        for phase_w in range(stride_w):
            left = (pad_w - phase_w + stride_w - 1) // stride_w if pad_w > phase_w else 0
            right = min(phases[1], (width + pad_w - phase_w + stride_w - 1) // stride_w)
            high, low = pad_h // stride_h, pad_h % stride_h
            for h in range(height):
                if high < phases[0]:
                    row = (((d * stride_h + low) * stride_w + phase_w) * phases[0] + high) * phases[1] + left
                    source = at(buffer, row)
                    target = at(x, (d * height + h) * width + left * stride_w + phase_w - pad_w)
                    if stride_w == 1:
                        for j in range(right - left):
                            target[j] = source[j]
                    elif stride_w == 2:
                        for j in range(right - left):
                            target[2 * j] = source[j]
                    else:
                        for j in range(right - left):
                            target[j * stride_w] = source[j]
                low += 1
                if low == stride_h:
                    low = 0
                    high += 1


@kernel(internal=True)
def _tap_offset(geometry, phases, kh, kw):
    """Where in a parted plane the elements of tap (kh, kw) begin."""
    h, w = kh * geometry[5, 1], kw * geometry[5, 2]
    stride_h, stride_w = geometry[3, 1], geometry[3, 2]
    phase = h % stride_h * stride_w + w % stride_w
    return (phase * phases[0] + h // stride_h) * phases[1] + w // stride_w


@kernel(internal=True)
def _max_tap(values, tap, best, found, span):
    for q in range(span):
        value = values[q]
        take = (value > best[q]) | np.isnan(value)
        best[q] = value if take else best[q]
        found[q] = tap if take else found[q]


@kernel(internal=True)
def _first_tap(geometry, d, h, w):
    """Number of the first tap inside the input, for a window that starts at (d, h, w); -1 if there is none."""
    for kd in range(geometry[2, 0]):
        for kh in range(geometry[2, 1]):
            for kw in range(geometry[2, 2]):
                in_depth = 0 <= d + kd * geometry[5, 0] < geometry[0, 0]
                in_height = 0 <= h + kh * geometry[5, 1] < geometry[0, 1]
                if in_depth and in_height and 0 <= w + kw * geometry[5, 2] < geometry[0, 2]:
                    return (kd * geometry[2, 1] + kh) * geometry[2, 2] + kw
    return -1


@kernel(internal=True)
def _max_part(part, parts, planes, geometry, phases, relu, x, out, where):
    depth, height, width = geometry[0]
    levels, rows, columns = geometry[1]
    window_d, window_h, window_w = geometry[2]
    stride_d, stride_h, stride_w = geometry[3]
    pad_d, pad_h, pad_w = geometry[4]
    step_d, step_h, step_w = geometry[5]
    size = stride_h * stride_w * phases[0] * phases[1]
    span = (rows - 1) * phases[1] + columns
    own, numbers = scratch(depth * size + span, x), scratch(span, where)
    buffer, best, found = at(own, 0), at(own, depth * size), at(numbers, 0)
    offsets = np.empty(window_d * window_h * window_w, np.int64)
    tap = 0
    for kd in range(window_d):
        for kh in range(window_h):
            for kw in range(window_w):
                offsets[tap] = (kd * step_d * height + kh * step_h) * width + kw * step_w
                tap += 1
    lowest, zero = x.dtype.type(-np.inf), x.dtype.type(0)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        _spread(geometry, phases, at(x, plane * depth * height * width), True, buffer)
        for level in range(levels):
            for q in range(span):
                best[q] = lowest
                found[q] = -1
            d = level * stride_d - pad_d
            for kd in range(window_d):
                if 0 <= d + kd * step_d < depth:
                    for kh in range(window_h):
                        for kw in range(window_w):
                            values = at(buffer, (d + kd * step_d) * size + _tap_offset(geometry, phases, kh, kw))
                            _max_tap(values, np.int32((kd * window_h + kh) * window_w + kw), best, found, span)
            for row in range(rows):
                target = ((plane * levels + level) * rows + row) * columns
                values, places = at(out, target), at(where, target)
                h, base = row * stride_h - pad_h, (d * height + row * stride_h - pad_h) * width - pad_w
                for column in range(columns):
                    q = row * phases[1] + column
                    tap = np.int64(found[q])
                    if tap < 0:
                        tap = _first_tap(geometry, d, h, column * stride_w - pad_w)
                    place = base + column * stride_w + offsets[tap] if tap >= 0 else -1
                    low = relu and best[q] <= zero
                    values[column] = zero if low else best[q]
                    places[column] = -1 if low else place
    release(own)
    release(numbers)


@kernel
def max_windows(parts, planes, geometry, phases, relu, x, out, where):
    parallel_for(_max_part, parts, (parts, planes, geometry, phases, relu, x, out, where))


@kernel(internal=True)
def _add(values, total, span):
    for q in range(span):
        total[q] += values[q]


@kernel(internal=True)
def _mean_part(part, parts, planes, geometry, phases, weights, x, out, backward):
    depth, height, width = geometry[0]
    levels, rows, columns = geometry[1]
    size = geometry[3, 1] * geometry[3, 2] * phases[0] * phases[1]
    span = (rows - 1) * phases[1] + columns
    own = scratch(depth * size + span, x)
    buffer, total = at(own, 0), at(own, depth * size)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        image = at(x, plane * depth * height * width)
        if backward:
            for j in range(depth * size):
                buffer[j] = 0
        else:
            _spread(geometry, phases, image, False, buffer)
        for level in range(levels):
            lines = at(out, (plane * levels + level) * rows * columns)
            for q in range(span):
                total[q] = 0
            if backward:
                for row in range(rows):
                    share, values = at(total, row * phases[1]), at(lines, row * columns)
                    weight = weights[0, level] * weights[1, row]
                    for j in range(columns):
                        share[j] = values[j] * (weight * weights[2, j])
            for kd in range(geometry[2, 0]):
                d = level * geometry[3, 0] - geometry[4, 0] + kd
                if 0 <= d < depth:
                    for kh in range(geometry[2, 1]):
                        for kw in range(geometry[2, 2]):
                            place = at(buffer, d * size + _tap_offset(geometry, phases, kh, kw))
                            if backward:
                                _add(total, place, span)
                            else:
                                _add(place, total, span)
            if not backward:
                for row in range(rows):
                    share, values = at(total, row * phases[1]), at(lines, row * columns)
                    weight = weights[0, level] * weights[1, row]
                    for j in range(columns):
                        values[j] = share[j] * (weight * weights[2, j])
        if backward:
            _collect(geometry, phases, buffer, image)
    release(own)


@kernel
def mean_windows(parts, planes, geometry, phases, weights, x, out, backward):
    """Means of windows, whose weights are products over the axes, one row of `weights` for each; or, backward,
    `out` spread over the windows into `x`."""
    parallel_for(_mean_part, parts, (parts, planes, geometry, phases, weights, x, out, backward))


@kernel(reassociate=True, internal=True)
def _total(values, size):
    total = values[0]
    for j in range(1, size):
        total += values[j]
    return total


@kernel(internal=True)
def _sum_blocks(lines, width, high, wide, columns, line, out, weight):
    """Means of blocks that lie side by side; their lines are added up first."""
    if wide == width:
        out[0] = _total(lines, high * width) * weight
        return
    if high == 1:
        line = lines
    else:
        second = at(lines, width)
        for j in range(columns * wide):
            line[j] = lines[j] + second[j]
    for h in range(2, high):
        more = at(lines, h * width)
        for j in range(columns * wide):
            line[j] += more[j]
    if wide == 2:
        for j in range(columns):
            out[j] = (line[2 * j] + line[2 * j + 1]) * weight
    else:
        for j in range(columns):
            out[j] = _total(at(line, j * wide), wide) * weight


@kernel(internal=True)
def _share_blocks(lines, width, high, wide, columns, line, out, weight):
    """The way back of `_sum_blocks`."""
    if wide == 2:
        for j in range(columns):
            share = out[j] * weight
            line[2 * j] = share
            line[2 * j + 1] = share
    else:
        for j in range(columns):
            share, block = out[j] * weight, at(line, j * wide)
            for t in range(wide):
                block[t] = share
    for h in range(high):
        target = at(lines, h * width)
        for j in range(width):
            target[j] = line[j]


@kernel(internal=True)
def _block_part(part, parts, planes, height, width, rows, columns, high, wide, weight, x, out, backward):
    own = scratch(width, x)
    line, scale = at(own, 0), x.dtype.type(weight)
    for j in range(width):
        line[j] = 0
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        for row in range(rows):
            lines, values = at(x, (plane * height + row * high) * width), at(out, (plane * rows + row) * columns)
            if backward:
                _share_blocks(lines, width, high, wide, columns, line, values, scale)
            else:
                _sum_blocks(lines, width, high, wide, columns, line, values, scale)
        if backward:
            rest = at(x, (plane * height + rows * high) * width)
            for j in range((height - rows * high) * width):
                rest[j] = 0
    release(own)


@kernel
def mean_blocks(parts, planes, height, width, rows, columns, high, wide, weight, x, out, backward):
    """`mean_windows` for windows side by side, all of one weight, that need no padding."""
    parallel_for(
        _block_part, parts, (parts, planes, height, width, rows, columns, high, wide, weight, x, out, backward)
    )


@kernel(internal=True)
def _max_backward_part(part, parts, planes, volume, count, grad, where, dx):
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        target = dx[plane * volume : (plane + 1) * volume]
        g = grad[plane * count : (plane + 1) * count]
        index = where[plane * count : (plane + 1) * count]
        target[:] = 0
        for i in range(count):
            if index[i] >= 0:
                target[index[i]] += g[i]


@kernel
def max_backward(parts, planes, volume, count, grad, where, dx):
    parallel_for(_max_backward_part, parts, (parts, planes, volume, count, grad, where, dx))


# ---------------------------------------------------------------------------------------------------
# Windows of 2x2 that do not overlap
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _max_2x2_part(part, parts, planes, height, width, relu, x, out, where):
    rows, columns = height // 2, width // 2
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        for row in range(rows):
            start, target = (plane * height + 2 * row) * width, (plane * rows + row) * columns
            if relu:
                max_2x2_relu_row(columns, width, x, start, out, where, target)
            else:
                max_2x2_row(columns, width, x, start, out, where, target)


@kernel
def max_2x2(parts, planes, height, width, relu, x, out, where):
    parallel_for(_max_2x2_part, parts, (parts, planes, height, width, relu, x, out, where))


@kernel(internal=True)
def _max_2x2_backward_part(part, parts, planes, height, width, grad, where, dx):
    rows, columns = height // 2, width // 2
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        start = plane * height * width
        for row in range(rows):
            max_2x2_backward_row(columns, width, dx, start, grad, where, (plane * rows + row) * columns)
            if width % 2:
                dx[start + width - 1] = 0
                dx[start + 2 * width - 1] = 0
            start += 2 * width
        if height % 2:
            dx[start : start + width] = 0


@kernel
def max_2x2_backward(parts, planes, height, width, grad, where, dx):
    parallel_for(_max_2x2_backward_part, parts, (parts, planes, height, width, grad, where, dx))


# ---------------------------------------------------------------------------------------------------
# Windows of uneven sizes
# ---------------------------------------------------------------------------------------------------


@kernel(internal=True)
def _adaptive_max_part(part, parts, planes, extents, starts, ends, x, out, where):
    depth, height, width = extents[0]
    levels, rows, columns = extents[1]
    volume = depth * height * width
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        values = x[plane * volume : (plane + 1) * volume]
        target = plane * levels * rows * columns
        for level in range(levels):
            for row in range(rows):
                for column in range(columns):
                    found = (starts[0, level] * height + starts[1, row]) * width + starts[2, column]
                    best = values[found]
                    for d in range(starts[0, level], ends[0, level]):
                        for h in range(starts[1, row], ends[1, row]):
                            base = (d * height + h) * width
                            for index in range(base + starts[2, column], base + ends[2, column]):
                                value = values[index]
                                if value > best or np.isnan(value):
                                    best = value
                                    found = index
                    out[target] = best
                    where[target] = found
                    target += 1


@kernel
def adaptive_max(parts, planes, extents, starts, ends, x, out, where):
    parallel_for(_adaptive_max_part, parts, (parts, planes, extents, starts, ends, x, out, where))


@kernel(internal=True)
def _adaptive_mean_part(part, parts, planes, extents, starts, ends, x, out, backward):
    depth, height, width = extents[0]
    levels, rows, columns = extents[1]
    volume = depth * height * width
    one = x.dtype.type(1)
    for plane in range(planes * part // parts, planes * (part + 1) // parts):
        values = x[plane * volume : (plane + 1) * volume]
        if backward:
            values[:] = 0
        target = plane * levels * rows * columns
        for level in range(levels):
            first_d, last_d = starts[0, level], ends[0, level]
            for row in range(rows):
                first_h, last_h = starts[1, row], ends[1, row]
                for column in range(columns):
                    first_w, last_w = starts[2, column], ends[2, column]
                    count = (last_d - first_d) * (last_h - first_h) * (last_w - first_w)
                    weight = one / x.dtype.type(count)
                    share = out[target] * weight
                    total = x.dtype.type(0)
                    for d in range(first_d, last_d):
                        for h in range(first_h, last_h):
                            line = values[(d * height + h) * width + first_w :]
                            if backward:
                                for w in range(last_w - first_w):
                                    line[w] += share
                            else:
                                total += block_sum(line[: last_w - first_w])
                    if not backward:
                        out[target] = total * weight
                    target += 1


@kernel
def adaptive_mean(parts, planes, extents, starts, ends, x, out, backward):
    parallel_for(_adaptive_mean_part, parts, (parts, planes, extents, starts, ends, x, out, backward))
