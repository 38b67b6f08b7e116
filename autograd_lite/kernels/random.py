"""Random numbers from a counter: Philox 4x32-10.

J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011:
ten rounds of multiplication and exclusive or turn a counter (128 bits) and a key (64 bits) into four random
words of 32 bits. Block number `n` of seed `s` depends on nothing else, so any thread can make any part of
the stream; the caller holds the seed and the number of the next block, and `blocks` tells how many a call
uses up.

Blocks are made by the tile, 64 at a time: first the first word of each, then the second words, and so on,
which is the order in which vector registers hold them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import memory
from .jit import kernel, kernels_from_source
from .special import like, log, sincos_turns, sqrt, where
from .threading import parallel_for

TILE = 64
"""Blocks that are made together."""
WORDS = 4 * TILE
TILES = 16
"""Tiles that one thread takes at a time."""
SERIAL_BELOW = 16384
"""Below so many words a second thread costs more than it brings."""

_WORD, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLY_0, _MULTIPLY_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

WORDS_EACH = {
    ("uniform", 4): 1,
    ("uniform", 8): 2,
    ("normal", 4): 1,
    ("normal", 8): 2,
    ("integers", 8): 4,
    ("permutation", 8): 2,
    ("dropout", 4): 1,
    ("dropout", 8): 1,
}
"""Words that one number takes, by what is asked for and the size of its type."""


def blocks(kind: str, size: int, dtype: np.dtype) -> int:
    """How many blocks `size` numbers of a kind use up: whole tiles."""
    return -(-size * WORDS_EACH[kind, dtype.itemsize] // WORDS) * TILE


@kernel
def _make(words: Any, seed: int, block: int) -> None:
    """The words of `TILE` blocks from number `block` on."""
    zero, key = np.uint64(0), np.uint64(np.int64(seed))
    for i in range(TILE):
        counter = np.uint64(np.int64(block + i))
        a, b, c, d = counter & _WORD, counter >> _HALF, zero, zero
        key_0, key_1 = key & _WORD, key >> _HALF
        for _ in range(10):
            p, q = _MULTIPLY_0 * a, _MULTIPLY_1 * c
            a, b, c, d = (q >> _HALF) ^ b ^ key_0, q & _WORD, (p >> _HALF) ^ d ^ key_1, p & _WORD
            key_0, key_1 = (key_0 + _WEYL_0) & _WORD, (key_1 + _WEYL_1) & _WORD
        words[i], words[TILE + i], words[2 * TILE + i], words[3 * TILE + i] = a, b, c, d


@kernel(internal=True)
def _uniform(words: Any, numbers: Any) -> None:
    """A tile of numbers in [0, 1): 24 bits each in float32, 53 in float64."""
    if numbers.itemsize == 4:
        unit = np.float32(2.0**-24)
        for i in range(WORDS):
            numbers[i] = np.float32(np.int32(words[i] >> np.uint32(8))) * unit
    else:
        half = WORDS // 2
        for i in range(half):
            high, low = np.int32(words[i] >> np.uint32(5)), np.int32(words[half + i] >> np.uint32(6))
            numbers[i] = (np.float64(high) * 2.0**26 + np.float64(low)) * 2.0**-53


@kernel(internal=True)
def _normal(words: Any, numbers: Any) -> None:
    """A tile of normal numbers, in pairs (G. E. P. Box and M. E. Muller, A note on the generation of random
    normal deviates, Ann. Math. Stat. 29, 1958). The radius has 31 bits in float32 and 62 in float64.
    """
    one = np.uint32(1)
    if numbers.itemsize == 4:
        half = WORDS // 2
        for i in range(half):
            radius = np.float32(np.int32(words[i] >> one)) * np.float32(2.0**-31) + np.float32(2.0**-32)
            angle = np.float32(np.int32(words[half + i] >> np.uint32(8))) * np.float32(2.0**-24)
            sine, cosine = sincos_turns(angle)
            radius = sqrt(np.float32(-2) * log(radius))
            numbers[i], numbers[half + i] = radius * sine, radius * cosine
    else:
        for i in range(TILE):
            high, low = np.int32(words[i] >> one), np.int32(words[TILE + i] >> one)
            u = np.float64(high) * 2.0**-31 + (np.float64(low) * 2.0**-62 + 2.0**-63)
            high = np.int32(words[2 * TILE + i] >> np.uint32(5))
            low = np.int32(words[3 * TILE + i] >> np.uint32(6))
            sine, cosine = sincos_turns((np.float64(high) * 2.0**26 + np.float64(low)) * 2.0**-53)
            radius = sqrt(-2.0 * log(u))
            numbers[i], numbers[TILE + i] = radius * sine, radius * cosine


_FILL = """
def fill_part(part, out, seed, block, tiles):
    words = np.empty(WORDS, np.uint32)
    numbers = np.empty(WORDS, out.dtype)
    each = WORDS * 4 // out.itemsize
    for tile in range(part * tiles, min((out.size + each - 1) // each, (part + 1) * tiles)):
        make(words, seed, block + tile * TILE)
        convert(words, numbers)
        piece = out[tile * each : (tile + 1) * each]
        for i in range(piece.size):
            piece[i] = numbers[i]

def fill(out, seed, block):
    each = WORDS * 4 // out.itemsize
    tiles = (out.size + each - 1) // each
    together = tiles if out.size < SERIAL_BELOW else TILES
    parallel_for(fill_part, (tiles + together - 1) // together, (out, seed, block, together))
"""


def _filler(convert: Any) -> Any:
    scope = {"np": np, "make": _make, "convert": convert, "parallel_for": parallel_for}
    scope |= {"WORDS": WORDS, "TILE": TILE, "TILES": TILES, "SERIAL_BELOW": SERIAL_BELOW}
    return kernels_from_source(_FILL + f"# {convert.__name__}", scope)["fill"]


_fill_uniform, _fill_normal = _filler(_uniform), _filler(_normal)


@kernel(internal=True)
def _dropout_part(part: int, x: Any, out: Any, p: float, seed: int, block: int) -> None:
    words = np.empty(WORDS, np.uint32)
    threshold = np.uint32(p * 4294967296.0)
    zero, scale = like(x[0], 0), like(x[0], 1 / (1 - p))
    for tile in range(part * TILES, min((x.size + WORDS - 1) // WORDS, (part + 1) * TILES)):
        _make(words, seed, block + tile * TILE)
        piece, result = x[tile * WORDS : (tile + 1) * WORDS], out[tile * WORDS : (tile + 1) * WORDS]
        for i in range(piece.size):
            result[i] = where(words[i] >= threshold, piece[i] * scale, zero)


@kernel
def _dropout(x: Any, out: Any, p: float, seed: int, block: int) -> None:
    parts = (x.size + WORDS * TILES - 1) // (WORDS * TILES)
    if x.size < SERIAL_BELOW:
        for part in range(parts):
            _dropout_part(part, x, out, p, seed, block)
    else:
        parallel_for(_dropout_part, parts, (x, out, p, seed, block))


@kernel(inline=True)
def _share(high: Any, low: Any, span: Any) -> Any:
    """floor(span * r), where r in [0, 1) has the bits of the words high and low; span <= 2**32."""
    return (high * span + (low * span >> _HALF)) >> _HALF


@kernel(inline=True)
def _high_half(a: Any, b: Any) -> Any:
    """The upper 64 bits of the product of two 64-bit words."""
    a0, a1, b0, b1 = a & _WORD, a >> _HALF, b & _WORD, b >> _HALF
    middle = a1 * b0 + (a0 * b0 >> _HALF)
    return a1 * b1 + (middle >> _HALF) + ((a0 * b1 + (middle & _WORD)) >> _HALF)


@kernel(internal=True)
def _integers_part(part: int, out: Any, low: int, span: int, seed: int, block: int, tiles: int) -> None:
    words = np.empty(WORDS, np.uint32)
    wide = np.uint64(np.int64(span))
    for tile in range(part * tiles, min((out.size + TILE - 1) // TILE, (part + 1) * tiles)):
        _make(words, seed, block + tile * TILE)
        piece = out[tile * TILE : (tile + 1) * TILE]
        if 0 < span <= 4294967296:
            for i in range(piece.size):
                piece[i] = low + np.int64(_share(np.uint64(words[i]), np.uint64(words[TILE + i]), wide))
        else:
            for i in range(piece.size):
                first = np.uint64(words[i]) << _HALF | np.uint64(words[TILE + i])
                second = np.uint64(words[2 * TILE + i]) << _HALF | np.uint64(words[3 * TILE + i])
                product = first * wide
                carry = product + _high_half(second, wide) < product
                piece[i] = low + np.int64(_high_half(first, wide) + np.uint64(carry))


@kernel
def _integers(out: Any, low: int, span: int, seed: int, block: int) -> None:
    tiles = (out.size + TILE - 1) // TILE
    together = tiles if out.size < SERIAL_BELOW else 4 * TILES
    parts = (tiles + together - 1) // together
    parallel_for(_integers_part, parts, (out, low, span, seed, block, together))


@kernel
def _shuffle(out: Any, seed: int, block: int) -> None:
    """R. Durstenfeld, Algorithm 235: random permutation, Comm. ACM 7(7), 1964."""
    words = np.empty(WORDS, np.uint32)
    n = out.size
    half = WORDS // 2
    for i in range(n):
        out[i] = i
    for tile in range((n + half - 1) // half):
        _make(words, seed, block + tile * TILE)
        for k in range(min(half, n - tile * half)):
            last = n - 1 - (tile * half + k)
            other = np.int64(_share(np.uint64(words[k]), np.uint64(words[half + k]), np.uint64(last + 1)))
            out[last], out[other] = out[other], out[last]


def _signed(word: int) -> int:
    """A 64-bit word as the integer that kernels take."""
    return word - (1 << 64) if word >> 63 else word


def uniform(out: np.ndarray, seed: int, offset: int) -> None:
    """Fill float32 or float64 `out` with numbers in [0, 1): multiples of 2**-24 or 2**-53."""
    _fill_uniform(out.reshape(-1), _signed(seed), _signed(offset))


def normal(out: np.ndarray, seed: int, offset: int) -> None:
    """Fill float32 or float64 `out` with normal numbers of mean 0 and variance 1."""
    _fill_normal(out.reshape(-1), _signed(seed), _signed(offset))


def integers(out: np.ndarray, low: int, high: int, seed: int, offset: int) -> None:
    """Fill int64 `out` with integers in [low, high); no probability is off by more than 2**-64, which is
    less than one in 2**32 of it.
    """
    _integers(out.reshape(-1), low, _signed(high - low), _signed(seed), _signed(offset))


def permutation(n: int, seed: int, offset: int) -> np.ndarray:
    """The integers below n < 2**32, int64, in random order."""
    out = memory.empty((n,), np.dtype(np.int64))
    _shuffle(out, _signed(seed), _signed(offset))
    return out


def dropout(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """x / (1 - p), but 0 with probability p.

    Of the same seed and offset it is linear in x, hence its own derivative: nothing is kept for backward.
    """
    if p == 1:
        return memory.zeros(x.shape, x.dtype)
    out = memory.empty(x.shape, x.dtype)
    if x.size:
        _dropout(x.ravel(), out.ravel(), p, _signed(seed), _signed(offset))
    return out
