"""Three-dimensional convolution by windows of one plane: the two-dimensional one, plane by plane."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT

F = ag.nn.functional


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("window", [3, 5])
@pytest.mark.parametrize("channels, groups", [(4, 4), (2, 2), (16, 1), (32, 1)] if JIT else [(4, 4), (3, 1)])
def test_planes(channels: int, groups: int, window: int, padding: int) -> None:
    rng = np.random.default_rng(0)
    x = ag.from_numpy(rng.standard_normal((2, channels, 3, 8, 9) if JIT else (1, channels, 3, 5, 6))).float().requires_grad_()
    w = ag.from_numpy(rng.standard_normal((channels, channels // groups, 1, window, window))).float().requires_grad_()
    out = F.conv3d(x, w, padding=(0, padding, padding), groups=groups)
    g = ag.from_numpy(rng.standard_normal(out.shape)).float()
    planes = ag.stack([F.conv2d(x[:, :, i], w[:, :, 0], padding=padding, groups=groups) for i in range(3)], 2)
    found = [out, *ag.autograd.grad(out, [x, w], g, retain_graph=True)]
    expected = [planes, *ag.autograd.grad(planes, [x, w], g)]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-3, atol=1e-3)
