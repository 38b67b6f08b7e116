"""NumPy twins of the vector code of Winograd's and of depthwise convolution.

Without the compiler these ways are not taken, since their kernels call functions that exist as machine code only.
With the twins in place of those the kernels run as plain Python, which notices what machine code does not: an index
outside of its array.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest

from autograd_lite.kernels import (
    conv,
    conv_depthwise,
    conv_interleaved,
    conv_winograd,
    simd_winograd,
    simd_winograd_wide,
)
from autograd_lite.kernels.simd import lanes
from autograd_lite.kernels.simd_winograd import LARGE, SMALL, _both_ways

Array = np.ndarray


def lines(pointer: Array, count: int, step: int, length: int) -> Array:
    """What lies `step` elements apart from where `pointer` points, which may be before it."""
    return np.lib.stride_tricks.as_strided(pointer, (count, length), (step * pointer.itemsize, pointer.itemsize))


def put(block: list[Array], out: Array, step: int) -> None:
    lines(out, len(block), step, len(block[0]))[...] = block


def patch(m: int) -> Callable[[Any], None]:
    def function(args: Any) -> None:
        tiles, vectors, image, pitch, table, out, out_tile, out_point = args
        size, count = vectors * lanes(image), (m + 2) ** 2
        for tile, places in enumerate(table[: tiles * count].reshape(tiles, count)):
            block = [image[place * pitch :][:size] for place in places]
            put(_both_ways(simd_winograd._patch, block), out[tile * out_tile :], out_point)

    return function


def gradient(m: int) -> Callable[[Any], None]:
    def function(args: Any) -> None:
        tiles, vectors, image, pitch, table, out, out_tile, out_point, sums = args
        size, count = vectors * lanes(image), m * m
        for tile, places in enumerate(table[: tiles * count].reshape(tiles, count)):
            block = [image[place * pitch :][:size] for place in places]
            put(_both_ways(simd_winograd._gradient, block), out[tile * out_tile :], out_point)
            sums[:size] += sum(block)

    return function


def output(m: int) -> Callable[[Any], None]:
    def function(args: Any) -> None:
        tiles, vectors, points, tile_step, point_step, image, pitch, table, start, check, relu = args
        width = lanes(points)
        size, count = vectors * width, m * m
        for tile, places in enumerate(table[: tiles * count].reshape(tiles, count)):
            pixels = _both_ways(simd_winograd._output, list(lines(points[tile * tile_step :], (m + 2) ** 2, point_step, size)))
            check[:width] += 0 * sum(pixels).reshape(vectors, width).sum(0)
            for place, pixel in zip(places, pixels, strict=True):
                value = pixel + start[:size]
                image[place * pitch :][:size] = np.where(relu & (value <= 0), 0, value)

    return function


def points(line: Callable[[Any], Any], count: int) -> Callable[[Any], None]:
    def function(args: Any) -> None:
        vectors, a, a_point, out, out_point = args
        put(_both_ways(line, list(lines(a, count, a_point, vectors * lanes(a)))), out, out_point)

    return function


def wide_patch(args: Any) -> None:
    tiles, image, image_row, _, out, out_tile, out_point = args
    width = lanes(image)
    for tile in range(tiles):
        rows = [image[i * image_row + 2 * tile * width :] for i in range(6)]
        block = [pixel for row in rows for pixel in lines(row, 6, width, width)]
        put(_both_ways(simd_winograd._patch, block), out[tile * out_tile :], out_point)


def wide_gradient(args: Any) -> None:
    tiles, image, image_row, out, out_tile, out_point, sums = args
    width = lanes(image)
    for tile in range(tiles):
        rows = [image[i * image_row + 2 * tile * width :] for i in range(2)]
        block = [pixel for row in rows for pixel in lines(row, 2, width, width)]
        put(_both_ways(simd_winograd_wide._wide_gradient, block), out[tile * out_tile :], out_point)
        sums[:width] += sum(block)


def wide_output(args: Any) -> None:
    tiles, points, tile_step, point_step, image, image_row, start, check, relu = args
    width = lanes(points)
    for tile in range(tiles):
        block = list(lines(points[tile * tile_step :], 36, point_step, width))
        pixels = _both_ways(simd_winograd_wide._wide_output, block)
        check[:width] += 0 * sum(pixels)
        for i in range(2):
            values = np.array(pixels[2 * i : 2 * i + 2]) + start[0]
            put(list(np.where(relu & (values <= 0), 0, values)), image[i * image_row + 2 * tile * width :], width)


def wide_patch_gradient(args: Any) -> None:
    tiles, points, tile_step, point_step, _, image, image_row, check = args
    width = lanes(points)
    for tile in range(tiles):
        block = list(lines(points[tile * tile_step :], 36, point_step, width))
        pixels = _both_ways(simd_winograd_wide._patch_gradient, block)
        check[:width] += 0 * sum(pixels)
        for i in range(6):
            row = lines(image[i * image_row + 2 * tile * width :], 6, width, width)
            row += np.array(pixels[6 * i : 6 * i + 6])


def windows(x: Array, size: int, pads: tuple[int, int], outs: tuple[int, int]) -> list[Array]:
    """What each tap of a window sees of the plane `x`: zeros around it; a negative padding cuts."""
    seen = []
    for i, j in np.ndindex(size, size):
        row, column = np.arange(outs[0])[:, None] + i - pads[0], np.arange(outs[1]) + j - pads[1]
        inside = (row >= 0) & (row < x.shape[0]) & (column >= 0) & (column < x.shape[1])
        seen.append(np.where(inside, x[row.clip(0, x.shape[0] - 1), column.clip(0, x.shape[1] - 1)], 0))
    return seen


def depthwise(size: int) -> Callable[[Any], None]:
    def function(args: Any) -> None:
        count, x, x_step, height, width, out, out_step, *outs, weight, weight_step, tap_step, start, start_step, pad_h, pad_w, relu = args
        for c in range(count):
            plane = x[c * x_step :][: height * width].reshape(height, width)
            taps = lines(weight[c * weight_step :], size * size, tap_step, 1)
            seen = windows(plane, size, (pad_h, pad_w), tuple(outs))
            value = start[c * start_step] + sum(tap * part for tap, part in zip(taps, seen, strict=True))
            out[c * out_step :][: prod(outs)] = np.where(relu & (value <= 0), 0, value).ravel()

    return function


def depthwise_gradients(args: Any) -> None:
    count, x, x_step, height, width, grad, grad_step, *outs, pad_h, pad_w, sums, sums_step = args
    for c in range(count):
        plane = x[c * x_step :][: height * width].reshape(height, width)
        g = grad[c * grad_step :][: prod(outs)].reshape(outs)
        for n, part in enumerate([*windows(plane, 3, (pad_h, pad_w), tuple(outs)), np.ones_like(g)]):
            sums[c * sums_step + n * lanes(x)] += np.sum(part * g)


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> Any:
    """All three ways are taken, as on a CPU with vectors of 256 bits, and call the functions above."""
    for m, name in ((SMALL, "small"), (LARGE, "large")):
        for kind, function in {
            "patch": patch(m), "gradient": gradient(m), "output": output(m),
            "weight": points(lambda g, m=m: simd_winograd._weight(g, m), 9),
            "weight_gradient": points(simd_winograd._weight_gradient, (m + 2) ** 2),
        }.items():  # fmt: skip
            monkeypatch.setattr(simd_winograd, f"_{kind}_{name}", function)
    for function in (wide_patch, wide_gradient, wide_output, wide_patch_gradient):
        monkeypatch.setattr(conv_interleaved, function.__name__, function)
    for name, line, count in (("", simd_winograd_wide._wide_weight, 25), ("_gradient", simd_winograd_wide._wide_weight_gradient, 36)):
        monkeypatch.setattr(conv_interleaved, f"wide_weight{name}", points(line, count))
    for name, function in {"_lines": depthwise(3), "_lines_5": depthwise(5), "_gradients": depthwise_gradients}.items():
        monkeypatch.setattr(conv_depthwise, name, function)
    for module in (conv_winograd, conv_interleaved, conv_depthwise):
        monkeypatch.setattr(module, "VECTOR_BITS", 256)
    for name in ("POINT_BYTES", "WEIGHT_POINT_BYTES"):
        monkeypatch.setattr(conv, name, 1 << 14)  # several strips of an image
    monkeypatch.setattr(conv_interleaved, "LEAST_TILES", 1)
    conv._case.cache_clear()
    yield
    conv._case.cache_clear()
