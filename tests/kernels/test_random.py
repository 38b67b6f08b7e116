"""The random kernels: the generator's known answers, the distributions, independence of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_lite.kernels import random, threading
from autograd_lite.kernels.jit import JIT

DTYPES = [np.float32, np.float64]
MANY = 400_000 if JIT else 2_000
MASK = (1 << 32) - 1


def philox(counter, key):
    """Philox 4x32-10 as in the paper, section 4.3."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q & MASK, (p >> 32) ^ d ^ m, p & MASK
        k, m = (k + 0x9E3779B9) & MASK, (m + 0xBB67AE85) & MASK
    return [a, b, c, d]


def test_known_answers():
    """From the tests of the authors' Random123 library."""
    assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox([MASK] * 4, [MASK] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    digits = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0]
    assert philox(*digits) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1 - random.TILE))
@settings(max_examples=10)
def test_blocks_are_philox(seed, block):
    words = np.empty(random.WORDS, np.uint32)
    random._make(words, random._signed(seed), random._signed(block))
    for i in (0, 1, random.TILE - 1):
        counter = [(block + i) & MASK, (block + i) >> 32, 0, 0]
        assert words[i :: random.TILE].tolist() == philox(counter, [seed & MASK, seed >> 32])


def within(statistic, wanted, deviation, n):
    """A mean of n independent draws is within five standard errors."""
    assert abs(statistic - wanted) < 5 * deviation / math.sqrt(n), (statistic, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform(dtype):
    u = np.empty(MANY, dtype)
    random.uniform(u, 11, 22)
    assert u.min() >= 0
    assert u.max() < 1
    bits = 24 if dtype == np.float32 else 53
    scaled = u.astype(np.float64) * 2.0**bits
    np.testing.assert_array_equal(scaled, np.floor(scaled))
    assert (scaled % 2).mean() == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(MANY))
    within(u.mean(dtype=np.float64), 0.5, math.sqrt(1 / 12), MANY)
    counts = np.bincount((u * 64).astype(int), minlength=64)
    chi2 = ((counts - MANY / 64) ** 2 / (MANY / 64)).sum()
    assert abs(chi2 - 63) < 5 * math.sqrt(2 * 63)
    for lag in (1, random.TILE, 2 * random.TILE, random.WORDS):
        within(np.mean((u[lag:] - 0.5) * (u[:-lag] - 0.5)) * 12, 0, 1, MANY)


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal(dtype):
    z = np.empty(MANY, dtype)
    random.normal(z, 3, 0)
    assert np.isfinite(z).all()
    z = z.astype(np.float64)
    for power, moment, deviation in ((1, 0, 1), (2, 1, math.sqrt(2)), (3, 0, math.sqrt(15)), (4, 3, math.sqrt(96))):
        within((z**power).mean(), moment, deviation, MANY)
    edges = np.linspace(-3, 3, 25)
    probability = np.diff([0, *[(1 + math.erf(e / math.sqrt(2))) / 2 for e in edges], 1])
    counts = np.bincount(np.searchsorted(edges, z), minlength=26)
    chi2 = ((counts - MANY * probability) ** 2 / (MANY * probability)).sum()
    assert abs(chi2 - 25) < 5 * math.sqrt(50)
    for lag in (1, random.TILE, random.WORDS // 2, random.WORDS):
        within(np.mean(z[lag:] * z[:-lag]), 0, 1, MANY)
        within(np.mean(z[lag:] ** 2 * z[:-lag] ** 2), 1, math.sqrt(8), MANY)


@pytest.mark.filterwarnings("ignore:overflow")  # on purpose, and plain Python sees it
@pytest.mark.parametrize("low, high", [(0, 1), (-3, 7), (0, 2**32), (-(2**31), 2**33), (-(2**63), 2**63 - 1)])
def test_integers(low, high):
    n = MANY // 4
    out = np.empty(n, np.int64)
    random.integers(out, low, high, 2**64 - 1, 5)
    assert out.min() >= low
    assert out.max() < high
    share = (out.astype(np.float64) - low) / (high - low)
    width = 1 / (high - low)
    within(share.mean(), (1 - width) / 2, math.sqrt(1 / 12), n)
    cells = min(high - low, 50)
    counts = np.bincount(np.minimum((share * cells + 1e-9).astype(int), cells - 1), minlength=cells)
    assert abs(((counts - n / cells) ** 2 / (n / cells)).sum() - (cells - 1)) <= 5 * math.sqrt(2 * (cells - 1))
    if high - low > 1000:
        within((out % 2).mean(), 0.5, 0.5, n)


@pytest.mark.parametrize("n", [0, 1, 2, 127, 128, 129, 1000])
def test_permutation(n):
    p = random.permutation(n, 5, 1)
    assert p.dtype == np.int64
    np.testing.assert_array_equal(np.sort(p), np.arange(n))


def test_permutations_are_equally_likely():
    draws = 2400
    counts = {}
    for seed in range(draws):
        key = tuple(random.permutation(4, seed, 0).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 24
    assert sum((c - 100) ** 2 / 100 for c in counts.values()) < 23 + 5 * math.sqrt(46)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.0, 0.3, 0.999, 1.0])
def test_dropout(p, dtype):
    x = np.full((10, MANY // 10), 2, dtype)
    y = random.dropout(x, p, 9, 4)
    assert y.shape == x.shape
    kept = y != 0
    within(kept.mean(), 1 - p, math.sqrt(p * (1 - p)) + 1e-9, MANY)
    if p < 1:
        np.testing.assert_allclose(y[kept], 2 / (1 - p), rtol=1e-6)
    np.testing.assert_array_equal(random.dropout(3 * x, p, 9, 4) != 0, kept)
    infinite = random.dropout(np.full_like(x, np.nan), p, 9, 4)
    np.testing.assert_array_equal(np.isnan(infinite), kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", [random.uniform, random.normal])
def test_the_stream_goes_on_after_its_blocks(fill, dtype):
    """Two halves of whole tiles are the whole: nothing is left out between calls, nothing comes twice."""
    each = random.WORDS * 4 // np.dtype(dtype).itemsize
    whole, first, second = np.empty(5 * each, dtype), np.empty(2 * each, dtype), np.empty(3 * each, dtype)
    fill(whole, 1, 10)
    fill(first, 1, 10)
    fill(second, 1, 10 + random.blocks(fill.__name__, first.size, first.dtype))
    np.testing.assert_array_equal(whole, np.concatenate([first, second]))
    start = np.empty(7, dtype)
    fill(start, 1, 10)
    np.testing.assert_array_equal(start, whole[:7])
    assert random.blocks(fill.__name__, 1, first.dtype) == random.TILE
    assert random.blocks(fill.__name__, 0, first.dtype) == 0


@pytest.mark.skipif(not threading.has_threads(), reason="one thread only")
def test_same_bits_with_any_number_of_threads():
    def everything():
        for dtype in DTYPES:
            for fill in (random.uniform, random.normal):
                out = np.empty(100_003, dtype)
                fill(out, 1, 2)
                yield out
            yield random.dropout(out, 0.5, 1, 2)
        out = np.empty(100_003, np.int64)
        random.integers(out, -5, 1000, 1, 2)
        yield out

    results = []
    for threads in (1, 2, 3):
        threading.set_num_threads(threads)
        results.append([r.tobytes() for r in everything()])
    assert results[0] == results[1] == results[2]
