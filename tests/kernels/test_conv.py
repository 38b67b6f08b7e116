"""Convolution against loops over taps, its gradients as adjoints, and the promises about threads and memory."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.kernels import conv as kernels
from autograd_lite.kernels import conv_plan
from autograd_lite.kernels.jit import JIT
from tests.conftest import examples
from tests.kernels.twins import twins  # noqa: F401  (a fixture)

Ints = tuple[int, ...]
compiled = pytest.mark.skipif(not JIT, reason="too long without the compiler")


def reference(x: np.ndarray, w: np.ndarray, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> np.ndarray:
    """Tap by tap, in float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    window = w.shape[2:]
    out_extents = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], window, stride, dilation, strict=True)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *out_extents))
    m, c = w.shape[0] // groups, w.shape[1]
    for group in range(groups):
        for tap in np.ndindex(*window):
            place = tuple(
                slice(t * d, t * d + s * (n - 1) + 1, s)
                for t, d, s, n in zip(tap, dilation, stride, out_extents, strict=True)
            )
            some = x[:, group * c : (group + 1) * c][(slice(None), slice(None), *place)]
            weight = w[group * m : (group + 1) * m][(slice(None), slice(None), *tap)]
            out[:, group * m : (group + 1) * m] += np.einsum("mc,nc...->nm...", weight, some)
    return out


def close(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    assert found.shape == wanted.shape
    scale = max(float(np.abs(wanted).max(initial=0)), 1e-3)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)


VECTORS_ONLY = ("winograd", "interleaved", "depthwise")
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def check(
    rng: np.random.Generator, dtype: str, shape: Ints, w_shape: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: int,
) -> None:  # fmt: skip
    """Forward against loops; the gradients by <conv(x), g> = <x, conv_input(g)> = <w, conv_weight(g, x)>."""
    options = (stride, padding, dilation, groups)
    tolerance = TOLERANCE[dtype]
    x, w, bias = (rng.standard_normal(s).astype(dtype) for s in (shape, w_shape, w_shape[:1]))
    wanted = reference(x, w, *options)
    out = kernels.conv(x, w, None, *options)
    assert out.dtype == dtype
    close(out, wanted, tolerance)
    shift = bias.reshape(-1, *[1] * (x.ndim - 2))
    close(kernels.conv(x, w, bias, *options), wanted + shift, tolerance)
    close(kernels.conv(x, w, bias, *options, relu=True), np.maximum(wanted + shift, 0), tolerance)

    g = rng.standard_normal(wanted.shape).astype(dtype)
    dx = kernels.conv_input(g, w, x.shape, *options)
    dw, db = kernels.conv_weight(g, x, w.shape, *options, bias=True)
    assert dx.dtype == dw.dtype == db.dtype == dtype
    probes = (rng.standard_normal(x.shape), rng.standard_normal(w.shape))
    g64, size = g.astype(np.float64), math.sqrt(max(g.size, 1))
    for found, want in (
        (np.vdot(dx, probes[0]), np.vdot(g64, reference(probes[0], w, *options))),
        (np.vdot(dw, probes[1]), np.vdot(g64, reference(x, probes[1], *options))),
    ):
        assert found == pytest.approx(want, rel=0, abs=tolerance * size * math.sqrt(math.prod(w_shape[1:])) * 10)
    close(db, g64.sum((0, *range(2, x.ndim))), tolerance * 10)
    without, none = kernels.conv_weight(g, x, w.shape, *options)
    assert none is None
    np.testing.assert_array_equal(without, dw)
    transposed = kernels.conv_input(g, w, x.shape, *options, bias=np.ones(x.shape[1], dtype))
    close(transposed, dx.astype(np.float64) + 1, tolerance)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Ints, Ints, Ints, Ints, Ints, int]:
    axes = draw(st.integers(1, 3))
    groups, c, m = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 4, 5, 18]))

    def each(low: int, high: int) -> Ints:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    window, stride, padding, dilation = each(1, 4), each(1, 3), each(0, 3), each(1, 2)
    beyond = [30, 12, 5] if JIT else [9, 4, 2]
    extents = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + n
        for k, p, d, n in zip(window, padding, dilation, each(0, beyond[axes - 1]), strict=True)
    )
    n = draw(st.integers(1, 5))
    return (n, groups * c, *extents), (groups * m, c, *window), stride, padding, dilation, groups


@settings(max_examples=examples(20) if JIT else 20)
@given(case=cases(), seed=st.integers(0, 2**31), dtype=st.sampled_from(["float32", "float64"]))
def test_any_convolution(case: tuple, seed: int, dtype: str) -> None:
    check(np.random.default_rng(seed), dtype, *case)


NAMED = {
    "few channels": ((5, 1, 28, 28), (10, 1, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "packed columns": ((3, 10, 12, 12), (20, 10, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "lines of vectors": ((2, 7, 16, 16), (9, 7, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "several chunks": ((1, 40, 70, 33), (6, 40, 3, 2), (1, 1), (1, 1), (1, 1), 1),
    "several blocks of channels": ((1, 40, 6, 6), (70, 40, 3, 2), (1, 1), (1, 1), (1, 1), 1),
    "stride two": ((3, 6, 21, 19), (20, 6, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "stride beyond the window": ((2, 4, 11, 13), (5, 4, 2, 2), (3, 4), (0, 1), (1, 1), 1),
    "one by one": ((2, 12, 9, 9), (17, 12, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "one by one, many channels": ((3, 20, 7, 9), (33, 20, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "padding beyond the window": ((2, 3, 4, 5), (4, 3, 2, 2), (1, 1), (3, 4), (1, 1), 1),
    "winograd": ((5, 20, 9, 11), (33, 20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "winograd, whole images together": ((21, 16, 6, 6), (16, 16, 3, 3), (1, 1), (0, 1), (1, 1), 1),
    "winograd, strips of an image": ((2, 16, 40, 38), (16, 16, 3, 3), (1, 1), (2, 0), (1, 1), 1),
    "winograd, small tiles": ((30, 16, 4, 8), (24, 16, 3, 3), (1, 1), (0, 0), (1, 1), 1),
    "winograd, groups": ((9, 32, 8, 8), (40, 16, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "interleaved": ((45, 5, 9, 10), (9, 5, 5, 5), (1, 1), (2, 1), (1, 1), 1),
    "interleaved, whole planes": ((32, 4, 12, 12), (18, 4, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "interleaved, rows of tiles": ((32, 20, 16, 15), (17, 20, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    "depthwise": ((3, 9, 17, 20), (9, 1, 3, 3), (1, 1), (1, 1), (1, 1), 9),
    "depthwise, any padding": ((2, 5, 7, 33), (5, 1, 3, 3), (1, 1), (3, 0), (1, 1), 5),
    "depthwise, stride two": ((3, 9, 17, 20), (9, 1, 3, 3), (2, 2), (1, 1), (1, 1), 9),
    "depthwise, odd strides": ((2, 5, 12, 15), (5, 1, 3, 3), (1, 2), (1, 0), (1, 1), 5),
    "depthwise, five by five": ((2, 7, 12, 21), (7, 1, 5, 5), (1, 1), (2, 1), (1, 1), 7),
    "depthwise, five by five, stride two": ((2, 3, 13, 18), (3, 1, 5, 5), (2, 2), (2, 2), (1, 1), 3),
    "depthwise, twice the channels": ((3, 9, 12, 12), (18, 1, 5, 5), (1, 1), (2, 2), (1, 1), 9),
    "one axis": ((4, 6, 50), (7, 6, 5), (1,), (2,), (2,), 1),
    "three axes": ((2, 3, 6, 7, 8), (5, 3, 3, 2, 3), (2, 1, 1), (1, 0, 1), (1, 2, 1), 1),
}


SMALLER = {
    "few channels": ((2, 1, 9, 9), (4, 1, 5, 5)),
    "packed columns": ((1, 10, 7, 7), (6, 10, 5, 5)),
    "lines of vectors": ((1, 7, 8, 8), (5, 7, 3, 3)),
    "several chunks": ((1, 4, 20, 9), (5, 4, 3, 2)),
    "several blocks of channels": ((1, 4, 6, 6), (70, 4, 3, 2)),
    "stride two": ((2, 4, 9, 7), (5, 4, 3, 3)),
    "interleaved, whole planes": ((12, 4, 12, 12), (13, 4, 5, 5)),
    "interleaved, rows of tiles": ((10, 6, 10, 11), (7, 6, 5, 5)),
}
"""Without the compiler; buffers and shares of work are then smaller, too, so that there are several of them."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in NAMED if JIT or not name.startswith(("winograd", "interleaved"))])
def test_every_way(name: str, dtype: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, options = NAMED[name][:2], NAMED[name][2:]
    plans = (kernels._direct_plan, kernels._turned_plan)
    if not JIT:
        shapes = SMALLER.get(name, shapes)
        monkeypatch.setattr(conv_plan, "BUFFER_BYTES", 1 << 11)
        for module in (conv_plan, kernels):
            monkeypatch.setattr(module, "PART_WORK", 1 << 10)
        for plan in plans:
            plan.cache_clear()
    case = kernels._case("conv", *shapes, *options)
    assert case.winograd == name.startswith("winograd")
    assert case.interleaved == name.startswith("interleaved")
    check(rng, dtype, *shapes, *options)
    if not JIT:
        for plan in plans:
            plan.cache_clear()


@pytest.mark.skipif(JIT, reason="with the compiler these are machine code, which the other tests look at")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n in NAMED if n.startswith(VECTORS_ONLY) and n != "depthwise, twice the channels"])
def test_kernels_around_vector_code(name: str, dtype: str, rng: np.random.Generator, twins: None) -> None:  # noqa: F811
    """The kernels of the ways that are taken with vectors only, as plain Python around NumPy twins of the vector code."""
    shapes, options = SMALLER.get(name, NAMED[name][:2]), NAMED[name][2:]
    case = kernels._case("conv", *shapes, *options)
    assert getattr(case, name.split(",")[0])
    check(rng, dtype, *shapes, *options)


@compiled
@pytest.mark.parametrize("name", NAMED)
def test_threads_change_no_bit(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "PART_WORK", 1)  # as many parts as there are pieces
    shape, w_shape, *options = NAMED[name]
    x, w = rng.standard_normal(shape).astype("float32"), rng.standard_normal(w_shape).astype("float32")
    results = []
    for threads in (1, 2, 3):
        ag.set_num_threads(threads)
        out = kernels.conv(x, w, None, *options)
        g = np.cos(np.arange(out.size, dtype="float32")).reshape(out.shape)
        dw, db = kernels.conv_weight(g, x, w_shape, *options, bias=True)
        results.append((out, kernels.conv_input(g, w, shape, *options), dw, db))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize(("way", "images", "channels", "window"), [("winograd", 4, 16, 3), ("interleaved", 32, 6, 5)])
def test_what_is_not_finite_stays_in_its_place(
    way: str, images: int, channels: int, window: int, value: float, request: pytest.FixtureRequest
) -> None:
    if not JIT:
        request.getfixturevalue("twins")
    x, w = np.ones((images, channels, 8, 8), "float32"), np.ones((channels, channels, window, window), "float32")
    options = ((1, 1), (window // 2, window // 2), (1, 1), 1)
    assert getattr(kernels._case("conv", x.shape, w.shape, *options), way)
    x[1, 3, 4, 4] = value
    wanted = reference(x, w, *options).astype("float32")
    np.testing.assert_array_equal(kernels.conv(x, w, None, *options), wanted)
    np.testing.assert_array_equal(kernels.conv_input(x, w, x.shape, *options), wanted)
    g = np.ones(wanted.shape, "float32")
    dw, _ = kernels.conv_weight(g, x, w.shape, *options)
    some = np.isfinite(dw).all((0, 2, 3))
    assert some[:3].all() and some[4:].all() and np.isfinite(value) == some[3]


@compiled
@pytest.mark.parametrize(
    ("way", "shape", "w_shape", "outputs"),
    [
        ("winograd", (32, 64, 12, 12), (48, 64, 3, 3), 4),
        ("winograd", (80, 64, 4, 4), (48, 64, 3, 3), 2),
        ("interleaved", (64, 10, 12, 12), (20, 10, 5, 5), 2),
        ("interleaved", (32, 24, 12, 12), (32, 24, 5, 5), 2),
    ],
)
def test_winograd_rounds_little_worse_than_the_direct_way(way: str, shape: Ints, w_shape: Ints, outputs: int) -> None:
    """Errors in proportion to the root mean square of the result; the direct way's are about 5e-7 and 5e-6."""
    rng = np.random.default_rng(5)
    options = ((1, 1), (0, 0), (1, 1), 1)
    if kernels.VECTOR_BYTES:
        assert getattr(kernels._case("conv", shape, w_shape, *options), way)
        if way == "winograd":
            assert kernels.tile_outputs((shape[2] - 2, shape[3] - 2)) == outputs
    x, w = rng.standard_normal(shape), rng.standard_normal(w_shape)
    g = rng.standard_normal(kernels.conv(x, w, None, *options).shape)
    wanted, found = (
        (
            kernels.conv(*(a.astype(dtype) for a in (x, w)), None, *options),
            kernels.conv_input(*(a.astype(dtype) for a in (g, w)), shape, *options),
            kernels.conv_weight(*(a.astype(dtype) for a in (g, x)), w_shape, *options)[0],
        )
        for dtype in ("float64", "float32")
    )
    for exact, result in zip(wanted, found, strict=True):
        errors = np.abs(result - exact) / np.sqrt(np.mean(exact**2))
        assert np.sqrt(np.mean(errors**2)) < 2e-6
        assert errors.max() < 2e-5


def test_empty_batch() -> None:
    x, w = np.ones((0, 2, 5, 5), "float32"), np.ones((3, 2, 3, 3), "float32")
    options = ((1, 1), (0, 0), (1, 1), 1)
    g = kernels.conv(x, w, None, *options)
    assert g.shape == (0, 3, 3, 3)
    assert kernels.conv_input(g, w, x.shape, *options).shape == x.shape
    dw, db = kernels.conv_weight(g, x, w.shape, *options, bias=True)
    assert not dw.any() and not db.any()


@pytest.mark.parametrize(
    ("shape", "w_shape", "options", "words"),
    [
        ((1, 3, 5, 5), (4, 2, 3, 3), ((1, 1), (0, 0), (1, 1), 1), "3, 5, 5.*2 channels"),
        ((1, 4, 5, 5), (3, 2, 3, 3), ((1, 1), (0, 0), (1, 1), 2), "multiple of groups"),
        ((1, 2, 5, 5), (3, 2, 6, 3), ((1, 1), (0, 0), (1, 1), 1), r"kernel of size \(6, 3\)"),
        ((1, 2, 5, 5), (3, 2, 3, 3), ((0, 1), (0, 0), (1, 1), 1), "stride"),
        ((1, 2, 5, 5), (3, 2, 3, 3), ((1, 1), (0, -1), (1, 1), 1), "padding"),
        ((1, 2, 5), (3, 2, 3, 3), ((1, 1), (0, 0), (1, 1), 1), "axes"),
        ((1, 2, 5, 5), (3, 2, 3, 3), ((1,), (0, 0), (1, 1), 1), "stride"),
    ],
)
def test_errors_name_the_shapes(shape: Ints, w_shape: Ints, options: tuple, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        kernels.conv(np.ones(shape), np.ones(w_shape), None, *options)


def test_errors_of_dtypes_bias_and_gradient() -> None:
    x, w = np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3))
    options = ((1, 1), (0, 0), (1, 1), 1)
    with pytest.raises(RuntimeError, match="float64.*float32"):
        kernels.conv(x, w.astype("float32"), None, *options)
    with pytest.raises(RuntimeError, match=r"bias.*\(3,\).*\(2,\)"):
        kernels.conv(x, w, np.ones(2), *options)
    with pytest.raises(RuntimeError, match="expected grad of shape"):
        kernels.conv_input(np.ones((1, 3, 5, 5)), w, x.shape, *options)
    with pytest.raises(RuntimeError, match="expected grad of shape"):
        kernels.conv_weight(np.ones((1, 3, 5, 5)), x, w.shape, *options)


def test_buffers_stay_small() -> None:
    """However large the image, a piece of it is no larger than the buffer allows."""
    case = kernels._case("conv", (2, 16, 1000, 200), (16, 16, 5, 5), (1, 1), (2, 2), (1, 1), 1)
    plan = kernels._direct_plan(case, 4)
    assert plan[conv_plan.BUFFER] * 4 <= conv_plan.BUFFER_BYTES
    assert plan[conv_plan.CHUNKS] > 1


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux")
@compiled
@pytest.mark.parametrize("k", [3, 5])
def test_peak_memory(k: int) -> None:
    """Three 24 MB results, and no matrix of columns (which would take 216 or 600 MB)."""
    env = dict(os.environ, OMP_NUM_THREADS="2")
    run = [sys.executable, "-c", PEAK.format(k=k, pad=k // 2)]
    grown = float(subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout)
    assert grown < 3 * 24 + 24


WIDTHS = """
import numpy as np
from autograd_lite.kernels import conv, simd
assert simd.VECTOR_BITS == {bits}
rng = np.random.default_rng(0)
for shape, w_shape, *options in {cases}:
    x, w = rng.standard_normal(shape).astype("float32"), rng.standard_normal(w_shape).astype("float32")
    out = conv.conv(x, w, np.ones(w_shape[0], "float32"), *options)
    dw, db = conv.conv_weight(out, x, w_shape, *options, bias=True)
    for result in (out, conv.conv_input(out, w, shape, *options), dw, db):
        print(float(np.abs(result).sum(dtype="float64")), float((result * np.cos(np.arange(result.size))
              .reshape(result.shape)).sum(dtype="float64")))
"""


PEAK = """
import resource, numpy as np
from autograd_lite.kernels import conv
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
options = ((1, 1), ({pad}, {pad}), (1, 1), 1)
small, w = np.ones((4, 24, 32, 32), "float32"), np.ones((24, 24, {k}, {k}), "float32")
def step(x):
    out = conv.conv(x, w, None, *options)
    conv.conv_input(out, w, x.shape, *options)
    conv.conv_weight(out, x, w.shape, *options)
step(small)
x = np.ones((1, 24, 512, 512), "float32")
before = peak()
step(x)
print(peak() - before)
"""


@compiled
def test_vector_sizes_agree() -> None:
    """Plain loops and every vector size that this CPU has give the same results."""
    from autograd_lite.kernels.simd import VECTOR_BITS

    names = ["packed columns", "winograd", "interleaved", "depthwise, stride two"]
    results = {}
    for bits in sorted({0, min(256, VECTOR_BITS), VECTOR_BITS}):
        env = os.environ | ({} if bits == VECTOR_BITS else {"AUTOGRAD_LITE_SIMD": str(bits)})
        code = WIDTHS.format(bits=bits, cases=[NAMED[name] for name in names])
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        results[bits] = np.array(run.stdout.split(), float).reshape(-1, 2)
    for other in results.values():
        np.testing.assert_allclose(other, results[0], rtol=1e-4, atol=1e-2)
