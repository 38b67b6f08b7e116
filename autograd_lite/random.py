"""Random numbers: generators, their state, and the seed."""

from __future__ import annotations

import os
import struct
import threading
from typing import Any

import numpy as np

from .tensor import CPU, Tensor

_STATE = struct.Struct("<QQ")
_MASK = (1 << 64) - 1


class Generator:
    """A stream of random numbers: a seed, and how many blocks of the stream have been used.

    The numbers come from the counter-based generator Philox 4x32-10 (Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011): block `n` of seed `s` is a function of `n` and `s` alone, so the
    numbers do not depend on the number of threads, and the state is two integers.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> generator = ag.Generator().manual_seed(1)
    >>> a = ag.rand(2, generator=generator)
    >>> b = ag.rand(2, generator=generator.manual_seed(1))
    >>> bool((a == b).all())
    True
    """

    device = CPU

    def __init__(self, device: Any = "cpu") -> None:
        type(CPU)(device)
        self._seed = 67280421310721
        self._offset = 0
        self._lock = threading.Lock()

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` from its beginning."""
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"manual_seed expected an int, got {type(seed).__name__}")
        if not -(1 << 63) <= seed < 1 << 64:
            raise RuntimeError(f"manual_seed expected a 64-bit integer, got {seed}")
        with self._lock:
            self._seed, self._offset = int(seed) & _MASK, 0
        return self

    def seed(self) -> int:
        """Start a stream with a seed from the operating system; returns it."""
        seed = int.from_bytes(os.urandom(8), "little") >> 1
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        return self._seed

    def take(self, blocks: int) -> tuple[int, int]:
        """Reserve `blocks` blocks (of four 32-bit numbers each): the seed, and the number of the first."""
        with self._lock:
            first = self._offset
            self._offset = (first + blocks) & _MASK
            return self._seed, first

    def get_state(self) -> Tensor:
        """The state, as 16 bytes: seed and offset."""
        return Tensor(np.frombuffer(_STATE.pack(self._seed, self._offset), np.uint8).copy())

    def set_state(self, state: Tensor) -> Generator:
        """Continue from a state that `get_state` returned."""
        if not isinstance(state, Tensor) or state._data.dtype != np.uint8 or state._data.size != _STATE.size:
            raise TypeError(f"expected a uint8 tensor of {_STATE.size} elements, as get_state returns")
        with self._lock:
            self._seed, self._offset = _STATE.unpack(state._data.tobytes())
        return self

    def __getstate__(self) -> dict[str, int]:
        return {"seed": self._seed, "offset": self._offset}

    def __setstate__(self, state: dict[str, int]) -> None:
        self._lock = threading.Lock()
        self._seed, self._offset = state["seed"], state["offset"]

    def __repr__(self) -> str:
        return f"<autograd_lite.Generator seed={self._seed} offset={self._offset}>"


default_generator = Generator()
"""The generator that is used where none is given."""


def manual_seed(seed: int) -> Generator:
    """Seed the default generator.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> _ = ag.manual_seed(0)
    >>> a = ag.rand(3)
    >>> _ = ag.manual_seed(0)
    >>> ag.equal(a, ag.rand(3))
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system; returns the seed.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.manual_seed(ag.seed()) is ag.default_generator
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> _ = ag.manual_seed(5)
    >>> ag.initial_seed()
    5
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> state = ag.get_rng_state()
    >>> a = ag.rand(3)
    >>> ag.set_rng_state(state)
    >>> ag.equal(a, ag.rand(3))
    True
    """
    return default_generator.get_state()


def set_rng_state(state: Tensor) -> None:
    """Put the default generator into a state that `get_rng_state` returned.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.set_rng_state(ag.get_rng_state())
    """
    default_generator.set_state(state)
