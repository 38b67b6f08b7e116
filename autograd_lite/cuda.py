"""The names by which device-aware scripts ask for a GPU; there is none here.

>>> import autograd_lite as ag
>>> ag.cuda.is_available()
False
"""

from __future__ import annotations


def is_available() -> bool:
    """Always False: autograd_lite computes on the CPU.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cuda.is_available()
    False
    """
    return False


def device_count() -> int:
    """Always 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cuda.device_count()
    0
    """
    return 0


def manual_seed_all(seed: int) -> None:
    """Does nothing: no device has a generator of its own.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cuda.manual_seed_all(0)
    """


manual_seed = manual_seed_all


def empty_cache() -> None:
    """Does nothing: there is no device that keeps memory.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cuda.empty_cache()
    """


synchronize = empty_cache
