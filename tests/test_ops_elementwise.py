"""Elementwise operations on drawn shapes and values, awkward sizes, and awkward numbers."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT
from tests.optable import ROWS, checks
from tests.optable.opinfo import Arr, OpInfo, Sample

ELEMENTWISE = [row for row in ROWS if row.operands]
SMOOTH_ENOUGH = checks.redrawn(checks.gradient)
TAILS = [*range(1, 18), 23, 812]
ABOVE_THE_THREADING_GATE = 70_001 if JIT else 1_001
elementwise = pytest.mark.parametrize("info", ELEMENTWISE, ids=lambda info: info.ident)


def on_shapes(info: OpInfo, shapes: list[tuple[int, ...]]) -> Sample:
    return Sample(*[Arr(shape, *domain) for shape, domain in zip(shapes, info.domain, strict=True)])


@elementwise
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_drawn_shapes(info: OpInfo, data: Any, seed: int) -> None:
    """Any shapes that broadcast together: value and gradient."""
    shapes = data.draw(
        hnp.mutually_broadcastable_shapes(num_shapes=info.operands, min_side=0, max_side=4, max_dims=4)
    ).input_shapes
    sample = on_shapes(info, list(shapes))
    checks.value(info, sample.make(np.random.default_rng(seed)))
    SMOOTH_ENOUGH(info, sample, seed)


@elementwise
def test_vector_tails(info: OpInfo, rng: np.random.Generator) -> None:
    """Sizes that leave every remainder of a vector loop."""
    for n in TAILS:
        case = on_shapes(info, [(n,)] * info.operands).make(rng)
        checks.value(info, case)
        if n in (7, 17):
            SMOOTH_ENOUGH(info, case.sample, n)
    if info.operands == 2:
        for shapes in ([(17,), ()], [(3, 17), (17,)], [(17, 1), (1, 5)], [(2, 1, 9), (3, 1)]):
            checks.value(info, on_shapes(info, list(shapes)).make(rng))


@elementwise
def test_above_the_threading_gate(info: OpInfo, rng: np.random.Generator) -> None:
    shapes: list[list[tuple[int, ...]]] = [[(ABOVE_THE_THREADING_GATE,)] * info.operands]
    if info.operands == 2:
        rows, columns = (300, 250) if JIT else (30, 25)
        shapes += [[(rows, columns), (columns,)], [(rows, 1), (1, columns)]]
    for given_shapes in shapes:
        case = on_shapes(info, given_shapes).make(rng)
        checks.value(info, case)
        checks.same_bits(info, case, rng)
    SMOOTH_ENOUGH(OpInfo(info.name, info.ref, [], analytic=True) if info.analytic else info, case.sample, 1)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40, -1e-40, 3e38]


@pytest.mark.parametrize("info", [r for r in ELEMENTWISE if r.special], ids=lambda info: info.ident)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(info: OpInfo, dtype: str) -> None:
    """Zeros of both signs, infinities, NaN, subnormal and huge numbers, in all combinations."""
    values = np.array(SPECIAL, dtype)
    if dtype == "float64":
        values = np.append(values, [5e-324, 1e308, -1e308])
    grids = np.meshgrid(*[values] * info.operands)
    with np.errstate(all="ignore"):
        wanted = np.asarray(info.ref(*[g.ravel().astype("float64") for g in grids]))
    got = info.function(ag)(*[ag.Tensor(g.ravel().copy()) for g in grids])._data
    if dtype == "float32":
        with np.errstate(all="ignore"):
            wanted = wanted.astype("float32")
    for k, (a, b) in enumerate(zip(got, wanted, strict=True)):
        arguments = [float(g.ravel()[k]) for g in grids]
        where = f"{info.ident}{tuple(arguments)}"
        np.testing.assert_allclose(a, b, rtol=4e-6 if dtype == "float32" else 1e-12, atol=1e-37, err_msg=where)
        if a == 0 and b == 0 and info.operands == 1:
            assert np.signbit(a) == np.signbit(b), f"{where}: {a}, expected {b}"


@pytest.mark.parametrize("info", [r for r in ELEMENTWISE if r.special and r.operands == 1], ids=lambda info: info.ident)
@given(x=hnp.arrays(np.float32, 64, elements=st.floats(width=32)))
def test_any_float32(info: OpInfo, x: np.ndarray) -> None:
    """Whatever 32 bits are given, the value is that of the reference to float32 accuracy."""
    with np.errstate(all="ignore"):
        wanted = np.asarray(info.ref(x.astype("float64"))).astype("float32")
    got = info.function(ag)(ag.Tensor(x))._data
    np.testing.assert_allclose(got, wanted, rtol=4e-6, atol=1e-37, err_msg=info.ident)
