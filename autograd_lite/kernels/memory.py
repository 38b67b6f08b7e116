"""Buffers that are used again from step to step.

A fresh large array costs more than the arithmetic on it: the kernel of the operating system maps it page
by page at first touch. `empty` therefore keeps the memory of dead large arrays and hands it out again,
aligned to a cache line so that no vector load straddles two. An array goes back by itself when the last
view of it dies; nothing has to be freed by hand.
"""

from __future__ import annotations

import ctypes
from functools import cache
from itertools import count
from math import prod
from typing import Any

import numpy as np

POOLED_FROM = 1 << 17
"""Arrays of at least so many bytes are pooled; below, the C library gives back what was just freed, 1 us faster."""
ALIGNMENT = 64
PAGE = 4096
STAGGER = 13 * ALIGNMENT
"""Buffers start at different places within a page: loads that follow a store at the same place of another page
would wait for it (4 KiB aliasing)."""
LIMIT = 1 << 29
"""At most so many bytes wait in the pool; memory that would exceed it goes back to the system."""

_stagger = count()
_free: dict[int, list[np.ndarray]] = {}
_waiting = 0


def _size_class(nbytes: int) -> int:
    """The smallest of 2^k * (8, 9, ..., 15) / 8 that holds `nbytes`: at most an eighth is wasted."""
    step = 1 << max(nbytes.bit_length() - 4, 0)
    return -(-nbytes // step) * step


@cache
def _block_type(size: int) -> Any:
    waiting = _free.setdefault(size, [])

    class Block(ctypes.c_char * size):  # type: ignore[misc]
        """Owner of one pooled buffer; it outlives every view, then returns the memory."""

        def __del__(self) -> None:
            global _waiting
            if _waiting + size <= LIMIT:
                _waiting += size
                waiting.append(self.memory)

    return Block


@cache
def _pool(nbytes: int) -> tuple[int, list[np.ndarray], Any]:
    """For arrays of `nbytes`: the size of the buffer, the buffers that wait, and what makes an owner of one."""
    size = _size_class(nbytes)
    block_type = _block_type(size)
    return size, _free[size], block_type.from_buffer


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised C-contiguous array, from the pool if it is large."""
    nbytes = dtype.itemsize * prod(shape)
    if nbytes < POOLED_FROM:
        return np.empty(shape, dtype)
    global _waiting
    size, waiting, own = _pool(nbytes)
    try:
        memory = waiting.pop()
    except IndexError:
        whole = np.empty(size + PAGE + ALIGNMENT, np.uint8)
        start = -whole.ctypes.data % ALIGNMENT + next(_stagger) * STAGGER % PAGE
        memory = whole[start : start + size]
    else:
        _waiting -= size
    block = own(memory)
    block.memory = memory
    return np.ndarray(shape, dtype, block)


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A C-contiguous array of zeros, from the pool if it is large."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def waiting_bytes() -> int:
    """Bytes that wait in the pool for their next use."""
    return _waiting


def release() -> None:
    """Give the waiting memory back to the system."""
    global _waiting
    for buffers in _free.values():
        buffers.clear()
    _waiting = 0
