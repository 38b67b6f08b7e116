"""Runs of modules that `Sequential` computes in one operation.

An activation applied while the output of the layer before it is still in cache costs next to nothing, forward and
backward. The modules must be of exactly the types in the table and without hooks: nobody can then see the values in
between, and the result is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .activation import ReLU, Sigmoid, Tanh
from .conv import Conv1d, Conv2d, Conv3d
from .linear import Linear
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .pooling import MaxPool1d, MaxPool2d, MaxPool3d

Maker = Callable[..., "Callable[[Any], Any] | None"]
Run = tuple[tuple[Module, ...], "Maker | None"]


def _with_relu(layer: Any, *_: Module) -> Callable[[Any], Any]:
    return layer._with_relu


def _pool_with_relu(pool: Any, *_: Module) -> Callable[[Any], Any] | None:
    return None if pool.return_indices else pool._with_relu


def _norm_with_relu_and_pool(norm: Any, _: Module, pool: Any) -> Callable[[Any], Any] | None:
    return norm._with_relu_pool if pool._halves() else None


TABLE: dict[tuple[type[Module], ...], Maker] = {
    (BatchNorm2d, ReLU, MaxPool2d): _norm_with_relu_and_pool,
    **{(layer, ReLU): _with_relu for layer in (Conv1d, Conv2d, Conv3d, BatchNorm1d, BatchNorm2d, BatchNorm3d)},
    **{(layer, ReLU): _pool_with_relu for layer in (MaxPool1d, MaxPool2d, MaxPool3d)},
    (Linear, ReLU): lambda layer, _: layer._with_relu,
    (Linear, Sigmoid): lambda layer, _: layer._with_sigmoid,
    (Linear, Tanh): lambda layer, _: layer._with_tanh,
}
"""From the types of modules in a row to what finds the function for them all (None, if their options forbid it)."""
LONGEST = max(map(len, TABLE))


def runs(modules: Sequence[Module]) -> list[Run]:
    """Divide `modules` into runs, each with its entry of the table (None for a single module)."""
    divided: list[Run] = []
    at = 0
    while at < len(modules):
        run: tuple[Module, ...] = (modules[at],)
        maker = None
        for length in range(LONGEST, 1, -1):
            longer = tuple(modules[at : at + length])
            found = TABLE.get(tuple(map(type, longer)))
            if found is not None and found(*longer) is not None:
                run, maker = longer, found
                break
        divided.append((run, maker))
        at += len(run)
    return divided


def fused(run: tuple[Module, ...], maker: Maker | None) -> Callable[[Any], Any] | None:
    """The function that computes `run` now; None where the modules must be called one by one."""
    if maker is None:
        return None
    for module in run:
        if module._hooks is not None:
            return None
    return maker(*run)
