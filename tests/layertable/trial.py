"""One layer with drawn options, its inputs, and what it must compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

Ints = tuple[int, ...]
BOOLEANS = st.booleans()


@dataclass
class Trial:
    """A layer, ``nn.<name>(**options)``, and its inputs.

    Attributes
    ----------
    inputs : list of arrays
        Of which those of floats want a gradient, unless their number is in `constants`.
    reference : callable
        The value from the inputs, and the parameters by their names; complex arrays give its derivative where
        `analytic` holds (see `tests.optable.derivatives`).
    options : dict
        Tensors among them are given as arrays.
    """

    name: str
    options: dict[str, Any]
    inputs: list[np.ndarray]
    reference: Callable[..., Any]
    analytic: bool = True
    constants: tuple[int, ...] = ()

    def __repr__(self) -> str:
        shapes = ", ".join(f"{x.dtype.kind}{list(x.shape)}" for x in self.inputs)
        return f"nn.{self.name}({self.options}) of {shapes}"


Strategy = st.SearchStrategy[Trial]
Draw = Callable[..., Any]


def generator(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def each(draw: Draw, n: int, low: int, high: int) -> Ints:
    return tuple(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))


def one_or_each(draw: Draw, n: int, low: int, high: int) -> Any:
    """An extent for all axes, or a tuple of one for each."""
    return draw(st.integers(low, high)) if draw(BOOLEANS) else each(draw, n, low, high)


def wide(value: Any, n: int) -> Ints:
    return (value,) * n if isinstance(value, int) else tuple(value)


def some(draw: Draw, **choices: Any) -> dict[str, Any]:
    """Some of the options, each with a value from its strategy."""
    return {name: draw(values) for name, values in choices.items() if draw(BOOLEANS)}
