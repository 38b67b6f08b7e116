"""Layers for images of one to three axes: convolution, pooling, padding, normalisation, resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.optable import nn as table

from .trial import BOOLEANS, Draw, Ints, Strategy, Trial, each, generator, one_or_each, some, wide

LAYERS: dict[str, Strategy] = {}
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
MOST = (9, 6, 4)
"""The largest extent of an image of one, two and three axes: the references are loops."""


def fits(mode: str, extents: Ints, sides: list[tuple[int, int]]) -> bool:
    """Whether there is enough to reflect, or to begin again with."""
    room = {"reflect": -1, "circular": 0}.get(mode)
    return room is None or all(max(side) <= n + room for n, side in zip(extents, sides, strict=True))


@st.composite
def convolution(draw: Draw, axes: int) -> Trial:
    rng = generator(draw)
    groups, inner, outer = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = one_or_each(draw, axes, 1, 3)
    options: dict[str, Any] = {"in_channels": groups * inner, "out_channels": groups * outer, "kernel_size": kernel}
    options |= some(draw, bias=BOOLEANS, dilation=st.integers(1, 2), padding_mode=st.sampled_from(list(MODES)))
    options |= {"groups": groups} if groups > 1 or draw(BOOLEANS) else {}
    if draw(BOOLEANS):
        options["padding"] = draw(st.sampled_from(["same", "valid"])) if draw(BOOLEANS) else one_or_each(draw, axes, 0, 2)
    if options.get("padding") != "same" and draw(BOOLEANS):
        options["stride"] = one_or_each(draw, axes, 1, 3)
    k, d = wide(kernel, axes), wide(options.get("dilation", 1), axes)
    padding = options.get("padding", 0)
    if padding == "same":
        sides = [(dd * (n - 1) // 2, dd * (n - 1) - dd * (n - 1) // 2) for dd, n in zip(d, k)]
    else:
        sides = [(p, p) for p in wide(0 if padding == "valid" else padding, axes)]
    extents = tuple(max(1, dd * (n - 1) + 1 - sum(s)) + more for dd, n, s, more in zip(d, k, sides, each(draw, axes, 0, MOST[axes - 1] - 2)))
    mode = options.get("padding_mode", "zeros")
    assume(fits(mode, extents, sides))
    lead = (draw(st.integers(1, 2)), groups * inner) if draw(st.integers(0, 3)) else (groups * inner,)

    def reference(x: Any, weight: Any, bias: Any = None) -> Any:
        margin = [(0, 0)] * (x.ndim - axes) + sides
        padded = np.pad(x, margin, mode=MODES[mode])
        return table.convolution(padded, weight, bias, options.get("stride", 1), 0, d, groups)

    return Trial(f"Conv{axes}d", options, [rng.standard_normal((*lead, *extents))], reference)


@st.composite
def transposed(draw: Draw, axes: int) -> Trial:
    rng = generator(draw)
    groups, inner, outer = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    options: dict[str, Any] = {"in_channels": groups * inner, "out_channels": groups * outer, "kernel_size": one_or_each(draw, axes, 1, 3), "groups": groups}
    options |= some(draw, bias=BOOLEANS, dilation=st.integers(1, 2), stride=st.integers(1, 3))
    k, d, s = (wide(options.get(name, 1), axes) for name in ("kernel_size", "dilation", "stride"))
    options["padding"] = tuple(draw(st.integers(0, min(2, dd * (n - 1)))) for dd, n in zip(d, k))
    options["output_padding"] = tuple(draw(st.integers(0, max(ss, dd) - 1)) for ss, dd in zip(s, d))
    extents = each(draw, axes, 1, MOST[axes - 1] - 1)
    least = [(n - 1) * ss - 2 * p + dd * (kk - 1) + o + 1 for n, ss, p, dd, kk, o in zip(extents, s, options["padding"], d, k, options["output_padding"])]
    assume(min(least) >= 1)
    lead = (draw(st.integers(1, 2)), groups * inner) if draw(BOOLEANS) else (groups * inner,)

    def reference(x: Any, weight: Any, bias: Any = None) -> Any:
        return table.transposed(x, weight, bias, s, options["padding"], options["output_padding"], groups, d)

    return Trial(f"ConvTranspose{axes}d", options, [rng.standard_normal((*lead, *extents))], reference)


@st.composite
def pooling(draw: Draw, kind: str, axes: int) -> Trial:
    rng = generator(draw)
    kernel = one_or_each(draw, axes, 1, 3)
    options: dict[str, Any] = {"kernel_size": kernel, **some(draw, stride=st.integers(1, 3), ceil_mode=BOOLEANS)}
    k = wide(kernel, axes)
    options["padding"] = tuple(draw(st.integers(0, n // 2)) for n in k)
    if kind == "Max":
        options |= some(draw, dilation=st.integers(1, 2))
    else:
        options |= some(draw, count_include_pad=BOOLEANS)
        if axes > 1:
            options |= some(draw, divisor_override=st.integers(1, 5))
    d = options.get("dilation", 1)
    extents = tuple(max(1, d * (n - 1) + 1 - 2 * p) + more for n, p, more in zip(k, options["padding"], each(draw, axes, 0, MOST[axes - 1] - 1)))
    if kind == "Avg" and axes == 3:  # PyTorch's refuses windows larger than the image, whatever the padding
        extents = tuple(map(max, extents, k))
    if d > 1:  # else a window could lie in the padding alone
        assume(all(n > d * (m - 1) for n, m in zip(extents, k)))
    lead = (draw(st.integers(1, 2)), 2) if draw(BOOLEANS) else (2,)
    more = {name: options.get(name, default) for name, default in (("stride", None), ("padding", 0), ("ceil_mode", False))}
    more |= {name: options[name] for name in ("dilation", "count_include_pad", "divisor_override") if name in options}
    return Trial(f"{kind}Pool{axes}d", options, [rng.standard_normal((*lead, *extents))], lambda x: table.pool(kind.lower(), axes)(x, kernel, **more))


@st.composite
def adaptive(draw: Draw, kind: str, axes: int) -> Trial:
    rng = generator(draw)
    size = draw(st.integers(1, 4)) if draw(BOOLEANS) else tuple(draw(st.lists(st.none() | st.integers(1, 4), min_size=axes, max_size=axes)))
    if axes == 1:
        size = draw(st.integers(1, 5))
    lead = (draw(st.integers(1, 2)), 2) if draw(BOOLEANS) else (2,)
    x = rng.standard_normal((*lead, *each(draw, axes, 1, MOST[axes - 1])))
    return Trial(f"Adaptive{kind}Pool{axes}d", {"output_size": size}, [x], lambda x: table.adaptive(kind.lower(), axes)(x, size))


@st.composite
def padding(draw: Draw, name: str, mode: str) -> Trial:
    rng = generator(draw)
    axes = int(name[-2])
    extents = each(draw, axes, 3, 5)
    amount = draw(st.integers(0, 2)) if draw(BOOLEANS) else each(draw, 2 * axes, 0, 2)
    sides = [(amount, amount)] * axes if isinstance(amount, int) else [amount[2 * i : 2 * i + 2] for i in reversed(range(axes))]
    options: dict[str, Any] = {"padding": amount}
    more = {}
    if name.startswith("Constant"):
        options["value"] = more["constant_values"] = draw(st.sampled_from([0.0, -1.5, 2.0]))
    lead = (draw(st.integers(1, 2)), 2) if draw(BOOLEANS) else (2,)
    return Trial(name, options, [rng.standard_normal((*lead, *extents))], lambda x: np.pad(x, [(0, 0)] * len(lead) + sides, mode=mode, **more))


def local_response(draw: Draw) -> Trial:
    rng = generator(draw)
    options = {"size": draw(st.integers(1, 4)), **some(draw, alpha=st.just(0.5), beta=st.just(0.6), k=st.just(2.0))}
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 5)), *each(draw, draw(st.integers(1, 2)), 1, 4))
    return Trial("LocalResponseNorm", options, [rng.standard_normal(shape)], lambda x: table.local_response_norm(x, **options))


def group_norm(draw: Draw) -> Trial:
    rng = generator(draw)
    groups, each_has = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    options = {"num_groups": groups, "num_channels": groups * each_has, **some(draw, eps=st.just(1e-2), affine=BOOLEANS)}
    shape = (draw(st.integers(1, 3)), groups * each_has, *each(draw, draw(st.integers(0, 2)), 2, 4))
    assume(math.prod(shape[2:]) * each_has > 1)
    return Trial("GroupNorm", options, [rng.standard_normal(shape)],
                 lambda x, weight=None, bias=None: table.group_norm(x, groups, weight, bias, options.get("eps", 1e-5)))  # fmt: skip


def instance_norm(axes: int) -> Any:
    def drawn(draw: Draw) -> Trial:
        rng = generator(draw)
        options = {"num_features": draw(st.integers(1, 3)), **some(draw, eps=st.just(1e-2), affine=BOOLEANS)}
        lead = (draw(st.integers(1, 3)), options["num_features"]) if draw(BOOLEANS) else (options["num_features"],)
        shape = (*lead, *each(draw, axes, 2, 4))

        def reference(x: Any, weight: Any = None, bias: Any = None) -> Any:
            return table.scaled(table.standardised(x, tuple(range(-axes, 0)), options.get("eps", 1e-5)), weight, bias, x.ndim - axes - 1)

        return Trial(f"InstanceNorm{axes}d", options, [rng.standard_normal(shape)], reference)

    return drawn


def batch_norm(axes: int) -> Any:
    def drawn(draw: Draw) -> Trial:
        rng = generator(draw)
        options = {"num_features": draw(st.integers(1, 3)), **some(draw, eps=st.just(1e-2), affine=BOOLEANS, track_running_stats=BOOLEANS, momentum=st.none() | st.just(0.3))}
        trailing = axes if axes > 1 or draw(BOOLEANS) else 0
        x = rng.standard_normal((draw(st.integers(2, 4)), options["num_features"], *each(draw, trailing, 1, 3)))

        def reference(x: Any, weight: Any = None, bias: Any = None) -> Any:
            return table.batch_norm(x, None, None, weight, bias, True, eps=options.get("eps", 1e-5))

        return Trial(f"BatchNorm{axes}d", options, [x], reference)

    return drawn


# Resizing, an axis at a time


def nearest_weights(m: int, o: int, scale: float | None, exact: bool) -> Any:
    weights = np.zeros((o, m))
    for i in range(o):
        at = math.floor((i + 0.5 * exact) * (1 / scale if scale else m / o))
        weights[i, min(at, m - 1)] = 1
    return weights


def resize(x: Any, size: Ints, scale: tuple[float | None, ...], mode: str, align: bool) -> Any:
    axes = len(size)
    for i, (o, factor) in enumerate(zip(size, scale, strict=True)):
        axis = x.ndim - axes + i
        m = x.shape[axis]
        weights = nearest_weights(m, o, factor, mode.endswith("exact")) if "nearest" in mode else table.bilinear_weights(m, o, align, factor)
        x = np.moveaxis(np.tensordot(weights, x, (1, axis)), 0, axis)
    return x


@st.composite
def upsampling(draw: Draw, name: str = "Upsample") -> Trial:
    rng = generator(draw)
    mode = {"UpsamplingNearest2d": "nearest", "UpsamplingBilinear2d": "bilinear"}.get(name) or draw(
        st.sampled_from(["nearest", "nearest-exact", "linear", "bilinear", "trilinear"])
    )
    axes = 2 if name != "Upsample" else {"linear": 1, "bilinear": 2, "trilinear": 3}.get(mode) or draw(st.integers(1, 3))
    extents = each(draw, axes, 1, 5)
    options: dict[str, Any] = {} if name != "Upsample" else {"mode": mode}
    if "linear" in mode and name == "Upsample" and draw(BOOLEANS):
        options["align_corners"] = draw(BOOLEANS)
    align = options.get("align_corners", name == "UpsamplingBilinear2d")
    scale: tuple[float | None, ...] = (None,) * axes
    if draw(BOOLEANS):
        options["size"] = one_or_each(draw, axes, 1, 6)
        size = wide(options["size"], axes)
    else:
        factors = st.sampled_from([1.0, 2.0, 3.0, 1.5])
        scale = (draw(factors),) * axes
        options["scale_factor"] = scale[0] if draw(BOOLEANS) else scale
        size = tuple(math.floor(n * f) for n, f in zip(extents, scale))
    x = rng.standard_normal((draw(st.integers(1, 2)), draw(st.integers(1, 2)), *extents))
    return Trial(name, options, [x], lambda x: resize(x, size, scale, mode, align))


def shuffle(draw: Draw) -> Trial:
    rng, r = generator(draw), draw(st.integers(1, 3))
    channels, (h, w) = draw(st.integers(1, 2)), each(draw, 2, 1, 3)

    def reference(x: Any) -> Any:
        out = np.zeros((*x.shape[:-3], channels, h * r, w * r), x.dtype)
        for c, i, j in np.ndindex(*out.shape[-3:]):
            out[..., c, i, j] = x[..., c * r * r + i % r * r + j % r, i // r, j // r]
        return out

    return Trial("PixelShuffle", {"upscale_factor": r}, [rng.standard_normal((2, channels * r * r, h, w))], reference)


def unshuffle(draw: Draw) -> Trial:
    rng, r = generator(draw), draw(st.integers(1, 3))
    h, w = each(draw, 2, 1, 3)

    def reference(x: Any) -> Any:
        out = np.zeros((*x.shape[:-3], x.shape[-3] * r * r, h, w), x.dtype)
        for c, i, j in np.ndindex(*x.shape[-3:]):
            out[..., c * r * r + i % r * r + j % r, i // r, j // r] = x[..., c, i, j]
        return out

    return Trial("PixelUnshuffle", {"downscale_factor": r}, [rng.standard_normal((2, 2, h * r, w * r))], reference)


def columns_of(h: int, w: int, kh: int, kw: int, stride: int, padding: int) -> list[tuple[int, int]]:
    """The upper left corners of the windows."""
    rows, columns = (range(-padding, n + padding - k + 1, stride) for n, k in ((h, kh), (w, kw)))
    return [(i, j) for i in rows for j in columns]


def _windows(draw: Draw) -> tuple[Any, ...]:
    (kh, kw), stride, padding = each(draw, 2, 1, 3), draw(st.integers(1, 2)), draw(st.integers(0, 1))
    h, w = (k + draw(st.integers(0, 3)) for k in (kh, kw))
    return h, w, kh, kw, stride, padding


def unfolded(draw: Draw) -> Trial:
    rng, (h, w, kh, kw, stride, padding) = generator(draw), _windows(draw)

    def reference(x: Any) -> Any:
        x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        corners = columns_of(h, w, kh, kw, stride, padding)
        parts = [x[:, :, i + padding : i + padding + kh, j + padding : j + padding + kw] for i, j in corners]
        return np.stack([p.reshape(len(x), -1) for p in parts], -1)

    options = {"kernel_size": (kh, kw), "stride": stride, "padding": padding}
    return Trial("Unfold", options, [rng.standard_normal((2, 2, h, w))], reference)


def folded(draw: Draw) -> Trial:
    rng, (h, w, kh, kw, stride, padding) = generator(draw), _windows(draw)
    corners = columns_of(h, w, kh, kw, stride, padding)

    def reference(x: Any) -> Any:
        out = np.zeros((len(x), 2, h + 2 * padding, w + 2 * padding), x.dtype)
        for k, (i, j) in enumerate(corners):
            out[:, :, i + padding : i + padding + kh, j + padding : j + padding + kw] += x[..., k].reshape(-1, 2, kh, kw)
        return out[:, :, padding : padding + h, padding : padding + w]

    options = {"output_size": (h, w), "kernel_size": (kh, kw), "stride": stride, "padding": padding}
    return Trial("Fold", options, [rng.standard_normal((2, 2 * kh * kw, len(corners)))], reference)


def unpooling(axes: int) -> Any:
    def trial(draw: Draw) -> Trial:
        rng, window, extents = generator(draw), draw(st.integers(1, 2)), each(draw, axes, 1, 3)
        size = tuple(n * window for n in extents)
        count = math.prod(extents)
        places = np.stack([rng.permutation(math.prod(size))[:count] for _ in range(2)]).reshape(1, 2, *extents)

        def reference(x: Any, places: Any) -> Any:
            out = np.zeros((1, 2, math.prod(size)), x.dtype)
            np.put_along_axis(out, places.reshape(1, 2, -1), x.reshape(1, 2, -1), -1)
            return out.reshape(1, 2, *size)

        return Trial(f"MaxUnpool{axes}d", {"kernel_size": window}, [rng.standard_normal(places.shape), places], reference)

    return trial


for axes in (1, 2, 3):
    LAYERS[f"Conv{axes}d"] = convolution(axes)
    LAYERS[f"ConvTranspose{axes}d"] = transposed(axes)
    for kind in ("Max", "Avg"):
        LAYERS[f"{kind}Pool{axes}d"] = pooling(kind, axes)
        LAYERS[f"Adaptive{kind}Pool{axes}d"] = adaptive(kind, axes)
    LAYERS[f"InstanceNorm{axes}d"] = st.composite(instance_norm(axes))()
    LAYERS[f"BatchNorm{axes}d"] = st.composite(batch_norm(axes))()
    LAYERS[f"ZeroPad{axes}d"] = padding(f"ZeroPad{axes}d", "constant")
    LAYERS[f"ConstantPad{axes}d"] = padding(f"ConstantPad{axes}d", "constant")
    if axes < 3:
        for name, mode in (("Reflection", "reflect"), ("Replication", "edge"), ("Circular", "wrap")):
            LAYERS[f"{name}Pad{axes}d"] = padding(f"{name}Pad{axes}d", mode)
for name in ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"):
    LAYERS[name] = upsampling(name)
LAYERS["LocalResponseNorm"] = st.composite(local_response)()
LAYERS["GroupNorm"] = st.composite(group_norm)()
LAYERS["PixelUnshuffle"] = st.composite(unshuffle)()
LAYERS["Unfold"] = st.composite(unfolded)()
LAYERS["Fold"] = st.composite(folded)()
for axes in (1, 2, 3):
    LAYERS[f"MaxUnpool{axes}d"] = st.composite(unpooling(axes))()
LAYERS["PixelShuffle"] = st.composite(shuffle)()
