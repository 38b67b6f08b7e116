"""What the kernels refuse when they are called by themselves; the public operations check most of it before."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from autograd_lite.kernels import batch_norm, conv, lapack, pool, resample
from autograd_lite.kernels.indexing import scatter_add_flat

X = np.ones((1, 2, 4, 4), np.float32)
ONE, TWO, ZERO = (1, 1), (2, 2), (0, 0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: batch_norm._run(X[:, :, :3], None, None, None, None, 0.1, 1e-5, True, False, True), "even extents"),
        (lambda: conv._case("conv", (1, 2, 0, 4), (1, 2, 2, 2), ONE, ZERO, ONE, 1), "only the batch may be empty"),
        (lambda: pool.max_pool(X[:, :, :0], TWO, TWO, ZERO, ONE), "none but the first empty"),
        (lambda: pool.avg_pool(X, TWO, TWO, ZERO, divisor_override=0), "must not be zero"),
        (lambda: pool.adaptive_avg_pool(X[0, 0], (1, 2)), "one more axis than output_size"),
        (lambda: pool.adaptive_max_pool(X, (-1, 2)), "must not be negative"),
        (lambda: resample.nearest(X, (0, 2), (None, None)), "a positive size"),
        (lambda: resample.unfold(X[0], TWO, ONE, ZERO, ONE), r"expected images \(N, C, H, W\)"),
        (lambda: resample.unfold(X, TWO, ZERO, ZERO, ONE), "must be positive and padding not negative"),
        (lambda: resample.unfold(X, (5, 5), ONE, ZERO, ONE), "does not fit into the padded input"),
        (lambda: resample.fold(X[0], X.shape, TWO, ONE, ZERO, ONE), "expected columns of shape"),
    ],
)
def test_refused(call: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        call()


def test_integers_are_added_at_positions() -> None:
    out, before = np.zeros(3, np.int64), np.ones(3, np.int64)
    scatter_add_flat(out, np.array([2, 0, 2]), np.array([1, 5, 3]))
    np.testing.assert_array_equal(out, [5, 0, 4])
    with pytest.raises(IndexError, match="scatter_add_flat"):
        scatter_add_flat(before, np.array([0, 3]), np.array([1, 1]))
    np.testing.assert_array_equal(before, [1, 1, 1])


def test_the_matrix_that_failed_is_named() -> None:
    singular = np.stack([np.eye(2), np.ones((2, 2))])
    assert lapack._first_failure(np.linalg.inv, singular).batch == 1
    assert lapack._first_failure(np.linalg.inv, singular[:1]).batch == 0


def test_only_sizes_of_vectors_that_there_are() -> None:
    wanted = os.environ | {"AUTOGRAD_LITE_SIMD": "300", "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", "import autograd_lite.kernels.simd_library"]
    run = subprocess.run(command, env=wanted, capture_output=True, text=True)
    assert run.returncode and "AUTOGRAD_LITE_SIMD must be 0, 128, 256 or 512, got '300'" in run.stderr
