"""Layouts of the inputs, what is left untouched, what is shared, and ``f(x, x)``."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_lite as ag
from tests.optable import ROWS, checks, only
from tests.optable.opinfo import OpInfo

every = pytest.mark.parametrize("info", ROWS, ids=lambda info: info.ident)
differentiable = pytest.mark.parametrize("info", only(differentiable=True), ids=lambda info: info.ident)


@every
def test_layouts(info: OpInfo, rng: np.random.Generator) -> None:
    if info.name == "Tensor.view":
        pytest.skip("a view of a tensor that is not contiguous is an error")
    for sample in info.samples:
        checks.layout(info, sample.make(rng), rng)


@differentiable
def test_expanded(info: OpInfo, rng: np.random.Generator) -> None:
    if info.name in ("Tensor.view", "linalg.svd", "linalg.qr"):
        pytest.skip("a view of an expanded tensor is an error; its equal rows have no unique decomposition")
    for sample in info.samples:
        checks.expanded(info, sample.make(rng), rng)


@every
def test_untouched(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in info.samples:
        checks.untouched(info, sample.make(rng), rng)


ALIKE = {
    info: [s for s in info.samples if len(s.shapes()) > 1 and len(set(s.shapes())) == 1]
    for info in only(differentiable=True)
    if info.name != "nn.functional.gaussian_nll_loss"  # a variance must be positive, an input need not be
}


@pytest.mark.parametrize("info", [info for info in ALIKE if ALIKE[info]], ids=lambda info: info.ident)
def test_same_argument_twice(info: OpInfo, rng: np.random.Generator) -> None:
    for sample in ALIKE[info]:
        checks.same_argument_twice(info, sample.make(rng), rng)


@differentiable
def test_inference_mode(info: OpInfo, rng: np.random.Generator) -> None:
    """The same values, marked as such."""
    for sample in info.samples:
        case = sample.make(rng)
        plain = checks.run(info, case, checks.as_leaves(case, grad=False))
        with ag.inference_mode():
            leaves = checks.as_leaves(case)
            outs = checks.run(info, case, leaves)
        for out, wanted in zip(outs, plain, strict=True):
            np.testing.assert_array_equal(checks.array(out), checks.array(wanted))
            if isinstance(out, ag.Tensor) and out.is_floating_point() and not any(out is leaf for leaf in leaves):
                assert not out.requires_grad and out.is_inference(), f"{checks.label(info, sample)}"
