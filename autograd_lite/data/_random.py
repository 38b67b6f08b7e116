"""Seeds and draws for samplers and transforms.

Everything random in this package starts from one 63-bit seed per epoch, drawn from a `Generator` in the
thread that iterates; what is drawn from that seed uses NumPy's raw bit streams, which NumPy promises never
to change. Orders therefore depend on the seed alone: not on NumPy's version, not on the number of workers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..random import Generator, default_generator


def draw_seed(generator: Generator | None = None) -> int:
    """A fresh seed in [0, 2^63) from `generator`, by default the one that `ag.manual_seed` seeds."""
    seed, block = (default_generator if generator is None else generator).take(1)
    return int(np.random.SeedSequence((seed, block)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _raw(seed: int, n: int) -> np.ndarray:
    return np.random.PCG64(seed).random_raw(n)


def permutation(seed: int, n: int) -> np.ndarray:
    """The numbers 0 .. n-1 in random order, int64."""
    return np.argsort(_raw(seed, n)).astype(np.int64, copy=False)


def integers(seed: int, n: int, count: int) -> np.ndarray:
    """`count` numbers out of 0 .. n-1, with replacement, int64."""
    return (_raw(seed, count) % np.uint64(n)).astype(np.int64)


def uniform(seed: int, count: int) -> np.ndarray:
    """`count` numbers in [0, 1), float64."""
    return (_raw(seed, count) >> np.uint64(11)) * 2.0**-53


class _Local(threading.local):
    seed: tuple[int, int] | None = None
    rng: random.Random | None = None


_local = _Local()


@contextmanager
def fetching(seed: int, batch: int) -> Iterator[None]:
    """While batch number `batch` of an epoch is fetched: `rng` depends on `seed` and `batch` only."""
    before = _local.seed, _local.rng
    _local.seed, _local.rng = (seed, batch), None
    try:
        yield
    finally:
        _local.seed, _local.rng = before


def rng() -> random.Random:
    """The source of randomness for transforms and data sets.

    Inside a `DataLoader` it is seeded for each batch from the epoch's seed, so that augmented data are the
    same for any number of workers. Elsewhere each call draws a new seed from the default generator, so
    `ag.manual_seed` makes it repeatable.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> _ = ag.manual_seed(0)
    >>> 0 <= ag.utils.data.rng().random() < 1
    True
    """
    if _local.seed is None:
        return random.Random(draw_seed())
    if _local.rng is None:
        seed, batch = _local.seed
        _local.rng = random.Random((seed << 64) + batch)
    return _local.rng
