"""One module a peer. Each runs in a process of its own and builds cases in its own idiom.

A peer module has ``version()`` and ``build(suite, name, threads)``, which returns the case as a `Case`, or None
where the peer has nothing like it. Nothing but the peer itself may be imported at the top of its module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Case:
    """One thing to time.

    Attributes
    ----------
    run : callable
        Does it once.
    result : callable
        The arrays by which the peers are compared, after `prepare` runs from a fresh build.
    """

    run: Callable[[], Any]
    result: Callable[[], list[Any]]


PEERS = {
    "autograd_lite": "autograd_lite_",
    "numpy": "numpy_",
    "torch": "torch_",
    "torch.compile": "torch_",
    "jax": "jax_",
    "mygrad": "mygrad_",
    "autograd": "hips_",
    "tinygrad": "tinygrad_",
    "sklearn": "sklearn_",
}
MODULES = {"torch.compile": "torch", "numpy": "numpy", "sklearn": "sklearn"}
