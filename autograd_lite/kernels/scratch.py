"""Working memory inside a kernel, aligned so that no vector straddles two cache lines."""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .memory import ALIGNMENT


@kernel(internal=True)
def scratch(size, like):
    """Inside a kernel: `size` uninitialised numbers of the dtype of the array `like`.

    Pointers into it do not keep it alive: end its use with `release`.
    """
    whole = np.empty(size + ALIGNMENT // like.itemsize, like.dtype)
    skip = -whole.ctypes.data % ALIGNMENT // like.itemsize
    return whole[skip : skip + size]


@kernel(internal=True)
def release(own):
    """Inside a kernel: the memory that `scratch` gave is in use up to here."""
    return own.size
