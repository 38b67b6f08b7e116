"""The optimizer kernels: against the recurrences in float64, at all chunk boundaries and thread counts."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_lite.kernels import optimizer, threading
from autograd_lite.kernels.jit import JIT

CHUNK, TILE = optimizer.CHUNK, optimizer.TILE
SIZES = [(0,), (1,), (7, 5), (TILE + 1,), (2, CHUNK), (CHUNK + 17,)]
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-14}


def sgd(h, p, g):
    lr, sign, decay = h
    return [p - lr * (sign * g + decay * p)]


def momentum(h, p, g, b):
    lr, sign, decay, mu, fresh, nesterov = h
    d = sign * g + decay * p
    b = mu * b + fresh * d
    return [p - lr * (d + mu * b if nesterov else b), b]


def adam(h, p, g, m, v, *rest):
    lr, beta1, beta2, eps, decay, decoupled, sign, amsgrad = h
    t = rest[-1] + 1
    d = sign * g + (0 if decoupled else decay * p)
    p = p * (1 - lr * decay) if decoupled else p
    m = beta1 * m + (1 - beta1) * d
    v = beta2 * v + (1 - beta2) * d * d
    top = [np.maximum(rest[0], v)] if amsgrad else []
    root = np.sqrt((top or [v])[0] / (1 - beta2**t))
    return [p - lr * (m / (1 - beta1**t)) / (root + eps), m, v, *top, t]


def rmsprop(h, p, g, v, *rest):
    lr, alpha, eps, decay, mu, centered, sign = h
    fresh = 1 - alpha
    rest = list(rest)
    d = sign * g + decay * p
    v = alpha * v + fresh * d * d
    b = [rest.pop(0)] if mu else []
    a = [alpha * rest[0] + fresh * d] if centered else []
    u = d / (np.sqrt(v - a[0] ** 2 if centered else v) + eps)
    b = [mu * b[0] + u] if mu else []
    return [p - lr * (b[0] if mu else u), v, *b, *a, rest[-1] + 1]


def adagrad(h, p, g, total, step):
    lr, lr_decay, eps, decay, sign = h
    d = sign * g + decay * p
    total = total + d * d
    return [p - lr / (1 + step * lr_decay) * d / (np.sqrt(total) + eps), total, step + 1]


CASES = {
    "sgd": (sgd, [0.1, 1, 0]),
    "sgd-decay-maximize": (sgd, [0.1, -1, 0.3]),
    "momentum": (momentum, [0.1, 1, 0.2, 0.9, 0.7, 0]),
    "nesterov": (momentum, [0.1, -1, 0, 0.9, 1, 1]),
    "adam": (adam, [0.01, 0.9, 0.99, 1e-3, 0.1, 0, 1, 0]),
    "adamw": (adam, [0.01, 0.9, 0.99, 1e-3, 0.1, 1, -1, 0]),
    "amsgrad": (adam, [0.01, 0.8, 0.9, 1e-3, 0, 0, 1, 1]),
    "rmsprop": (rmsprop, [0.01, 0.9, 1e-3, 0.1, 0, 0, 1]),
    "rmsprop-momentum": (rmsprop, [0.01, 0.9, 1e-3, 0, 0.8, 0, -1]),
    "rmsprop-centered": (rmsprop, [0.01, 0.9, 1e-3, 0, 0, 1, 1]),
    "rmsprop-both": (rmsprop, [0.01, 0.9, 1e-3, 0.1, 0.8, 1, 1]),
    "adagrad": (adagrad, [0.1, 0.05, 1e-3, 0.1, 1]),
}


def make(name, dtype, shapes, seed=0):
    """Arrays for the kernel of the case `name`, hyperparameters, and arrays per parameter."""
    reference, h = CASES[name]
    rng = np.random.default_rng(seed)
    states = {
        "sgd": 0,
        "momentum": 1,
        "adam": 2 + int(name == "amsgrad"),
        "rmsprop": 1 + name.count("momentum") + name.count("centered") + 2 * name.count("both"),
        "adagrad": 1,
    }[reference.__name__]
    arrays = []
    for shape in shapes:
        entries = [rng.standard_normal(shape).astype(dtype) for _ in range(2 + states)]
        for state in entries[2:]:
            np.abs(state, out=state)
        if name in ("rmsprop-centered", "rmsprop-both"):
            entries[-1] *= dtype(0.1)
            entries[2] += dtype(1)
        if reference in (adam, rmsprop, adagrad):
            entries.append(np.array(3, np.float32))
        arrays += entries
    return arrays, np.array(h, np.float64), len(arrays) // len(shapes)


def run(name, arrays, h):
    getattr(optimizer, CASES[name][0].__name__)(tuple(arrays), h)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_step_matches_the_recurrence(name, dtype):
    arrays, h, width = make(name, dtype, SIZES)
    expected = []
    for i in range(0, len(arrays), width):
        p, *new = CASES[name][0](h, *(a.astype(np.float64) for a in arrays[i : i + width]))
        expected += [p, arrays[i + 1].copy(), *new]
    identities = [a.ctypes.data for a in arrays]
    run(name, arrays, h)
    assert identities == [a.ctypes.data for a in arrays]
    for position, (got, want) in enumerate(zip(arrays, expected, strict=True)):
        assert got.dtype in (dtype, np.float32)
        np.testing.assert_allclose(
            got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], err_msg=f"entry {position % width}"
        )


@pytest.mark.parametrize("name", CASES)
def test_thread_count_does_not_matter(name):
    results = []
    before = threading.get_num_threads()
    try:
        for threads in (1, 2, 3):
            threading.set_num_threads(threads)
            arrays, h, _ = make(name, np.float32, SIZES)
            run(name, arrays, h)
            results.append(np.concatenate([a.ravel() for a in arrays]))
    finally:
        threading.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3 * TILE), min_size=1, max_size=5), st.sampled_from(sorted(CASES)))
def test_any_sizes(sizes, name):
    arrays, h, width = make(name, np.float32, [(n,) for n in sizes], seed=len(sizes))
    together = [a.copy() for a in arrays]
    run(name, together, h)
    for i in range(0, len(arrays), width):
        run(name, arrays[i : i + width], h)
    for a, b in zip(arrays, together, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_arrays_that_the_kernels_cannot_take(name):
    """Transposed, strided and read-only gradients, transposed parameters, mixed dtypes."""
    plain, h, width = make(name, np.float32, [(6, 5), (6, 5), (6, 5)])
    double, _, _ = make(name, np.float64, [(6, 5)], seed=1)
    expected = [a.copy() for a in plain + double]
    run(name, expected[: len(plain)], h)
    run(name, expected[len(plain) :], h)

    plain[0] = np.asfortranarray(plain[0])
    wide = np.zeros((6, 10), np.float32)
    wide[:, ::2] = plain[width + 1]
    plain[width + 1] = wide[:, ::2]
    plain[2 * width + 1].flags.writeable = False
    mixed = plain[:width] + double + plain[width:]
    run(name, mixed, h)
    got = mixed[:width] + mixed[2 * width :] + mixed[width : 2 * width]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: a[1][:-1], RuntimeError, r"parameter 1 has shape \(4, 3\).* gradient has shape \(3, 3\)"),
        (lambda a: a[1].astype(np.float64), RuntimeError, "its gradient has .* dtype float64"),
    ],
)
def test_unfit_gradients_change_nothing(change, error, message):
    arrays, h, width = make("adam", np.float32, [(4, 3), (4, 3)])
    arrays[width + 1] = change(arrays[width:])
    before = [a.copy() for a in arrays]
    with pytest.raises(error, match=message):
        optimizer.adam(tuple(arrays), h)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_unfit_parameters_and_states_change_nothing():
    arrays, h, _ = make("adam", np.float32, [(4, 3)])
    with pytest.raises(TypeError, match="float32 and float64 parameters can be updated, got int64"):
        optimizer.adam((arrays[0].astype(np.int64), *arrays[1:]), h)
    with pytest.raises(RuntimeError, match="its optimizer state has shape"):
        optimizer.adam((*arrays[:2], arrays[2][:2], *arrays[3:]), h)
    with pytest.raises(RuntimeError, match="step count of parameter 0"):
        optimizer.adam((*arrays[:4], np.array(3.0)), h)
    arrays[0].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        optimizer.adam(tuple(arrays), h)
    assert arrays[-1] == 3


def test_dtypes_that_are_equal_but_not_the_same_object():
    """Unpickled arrays have them."""
    arrays = pickle.loads(pickle.dumps([np.zeros(3), np.ones(3), np.zeros(3), np.zeros(3), np.zeros((), np.float32)]))
    arrays[1] = np.ones(3)
    assert arrays[0].dtype is not arrays[1].dtype
    h = np.array([0.5, 0.9, 0.999, 0, 0, 0, 1, 0])
    optimizer.adam(arrays, h)
    np.testing.assert_allclose(arrays[0], -0.5)
    assert arrays[4] == 1
    swapped = np.zeros(3, np.dtype(float).newbyteorder())
    with pytest.raises(RuntimeError, match="its gradient has shape"):
        optimizer.adam([arrays[0], swapped, *arrays[2:]], h)


def test_what_is_not_an_array():
    """Scalars of NumPy and arrays of other classes have another layout: copied or refused, never misread."""
    p, h = np.zeros(()), np.array([0.5, 1, 0])
    optimizer.sgd((p, np.float64(2)), h)
    assert p == -1
    with pytest.raises(ValueError, match="read-only"):
        optimizer.sgd((np.float64(1), np.float64(2)), h)

    class Other(np.ndarray):
        pass

    q = np.zeros(3).view(Other)
    optimizer.sgd((q, np.ones(3).view(Other)), h)
    np.testing.assert_array_equal(q, -0.5)
    np.testing.assert_array_equal(optimizer.norms((np.float32(-2), q), 1.0), [2, 1.5])


def test_float32_scalars_are_rounded_once():
    """1 - beta2 is formed in float64: in float32 it would be off by 3e-5."""
    g = np.full(3, 1.0, np.float32)
    v = np.zeros(3, np.float32)
    arrays = (np.zeros(3, np.float32), g, np.zeros(3, np.float32), v, np.array(0, np.float32))
    optimizer.adam(arrays, np.array([1e-3, 0.9, 0.999, 1e-8, 0, 0, 1, 0]))
    np.testing.assert_array_equal(v, np.float32(1 - 0.999))


def test_amsgrad_and_centered_rmsprop_keep_nan():
    arrays, h, _ = make("amsgrad", np.float32, [(3,)])
    arrays[1][0] = arrays[4][1] = np.nan
    run("amsgrad", arrays, h)
    assert np.isnan(arrays[4]).tolist() == [True, True, False]
    assert np.isnan(arrays[0]).tolist() == [True, True, False]


def test_centered_rmsprop_survives_a_constant_gradient():
    """The variance E[g^2] - E[g]^2 is then zero up to rounding, below zero included."""
    shape = (50,)
    g = np.linspace(0.1, 3, 50, dtype=np.float32)
    arrays = [np.zeros(shape, np.float32), g, g * g, g * np.float32(1.0000002), np.array(0, np.float32)]
    h = np.array([0.01, 0.9, 1e-3, 0, 0, 1, 1])
    for _ in range(3):
        run("rmsprop-centered", arrays, h)
    assert np.isfinite(arrays[0]).all()


ORDERS = [2.0, 1.0, 0.0, 3.5, -1.0, math.inf, -math.inf]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms(order, dtype):
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal(n).astype(dtype) + dtype(3) for n in (1, 7, CHUNK + 3, 4 * CHUNK))
    arrays[1][3] = 0 if order >= 0 else 1
    got = optimizer.norms(arrays, order)
    want = [np.linalg.norm(a.astype(np.float64), order) for a in arrays]
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=2e-6 if dtype is np.float32 else 1e-13)
    mixed = optimizer.norms((arrays[1][::-1], arrays[2].astype(np.float64)), order)
    assert mixed.dtype == np.float64
    np.testing.assert_allclose(mixed, want[1:3], rtol=2e-6)


@pytest.mark.parametrize("order", [2.0, 1.0, 3.0, math.inf, -math.inf])
def test_norms_of_nan_and_of_nothing(order):
    a = np.ones(CHUNK + 5, np.float32)
    for position in (0, 9, CHUNK + 1):
        b = a.copy()
        b[position] = np.nan
        assert np.isnan(optimizer.norms((b,), order)).all()
    np.testing.assert_array_equal(optimizer.norms((a[:0],), order), [0])
    assert optimizer.norms((), order).shape == (0,)
    with pytest.raises(TypeError, match="int64"):
        optimizer.norms((np.arange(3),), order)


def test_norm_does_not_depend_on_threads():
    a = np.random.default_rng(0).standard_normal(9 * CHUNK).astype(np.float32)
    before = threading.get_num_threads()
    results = set()
    try:
        for threads in (1, 2, 3):
            threading.set_num_threads(threads)
            results.add(float(optimizer.norms((a,), 2.0)[0]))
    finally:
        threading.set_num_threads(before)
    assert len(results) == 1


def test_rescale():
    a = np.array([1, -8, np.nan, 3, np.inf], np.float32)
    b = np.arange(6, dtype=np.float64).reshape(2, 3)[:, ::2]
    optimizer.rescale((a, b), 0.5)
    np.testing.assert_array_equal(a, np.array([0.5, -4, np.nan, 1.5, np.inf], np.float32))
    np.testing.assert_array_equal(b, [[0, 1], [1.5, 2.5]])
    optimizer.rescale((a,), 1, 2)
    np.testing.assert_array_equal(a, np.array([0.5, -2, np.nan, 1.5, 2], np.float32))
    optimizer.rescale((), 0.5)


@pytest.mark.parametrize("name", ["momentum", "adam", "rmsprop-both", "adagrad"])
def test_no_float64_in_float32_loops(name):
    if not JIT:
        pytest.skip("kernels are not compiled")
    arrays, h, _ = make(name, np.float32, [(4,)])
    run(name, arrays, h)
    part = getattr(optimizer, f"_{CASES[name][0].__name__}_part")
    compiled = numba.jit(**part.targetoptions)(part.py_func)  # what comes from the disk cannot be looked at
    signatures = [signature for signature in part.signatures if "float32" in str(signature)]
    assert signatures
    for signature in signatures:
        compiled.compile(signature)
        assert "x double>" not in compiled.inspect_llvm(signature)


def test_without_compilation():
    """The same kernels as plain Python."""
    code = (
        "import numpy as np; from autograd_lite.kernels import optimizer as o\n"
        "a = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((3, 2), np.float32).T,"
        " *(np.zeros((2, 3), np.float32) for _ in range(2)), np.zeros((), np.float32)]\n"
        "o.adam(tuple(a), np.array([.1, .9, .999, 1e-8, 0, 0, 1, 0])); o.rescale((a[1],), 2.)\n"
        "assert abs(a[0] - np.arange(6).reshape(2, 3) + .1).max() < 1e-6 and a[4] == 1, a\n"
        "assert abs(o.norms((a[1],), 2.)[0] - 24**.5) < 1e-6"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
