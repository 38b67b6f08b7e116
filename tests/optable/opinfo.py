"""What a row of the op table says, and how one of its samples becomes arrays.

A row (`OpInfo`) names a public operation, gives a reference for it in plain NumPy, and lists samples: calls
with placeholders (`Arr`) where arrays go. Everything that the suite checks of an operation is generated from
its row by `tests.optable.checks`.

References are written so that they also take complex arrays, with comparisons on the real parts only. The
derivative of such a reference along `v` is then ``ref(x + 1e-20j * v).imag / 1e-20``, with no cancellation and
no step to tune (Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Arr:
    """A placeholder for an array: floats drawn uniformly from [lo, hi], integers from [lo, hi), or booleans."""

    shape: tuple[int, ...]
    lo: float = -2.0
    hi: float = 2.0
    kind: str = "f"
    grad: bool = True

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        if self.kind == "f":
            return np.asarray(rng.uniform(self.lo, self.hi, self.shape))
        if self.kind == "i":
            return np.asarray(rng.integers(int(self.lo), int(self.hi), self.shape))
        return np.asarray(rng.random(self.shape) < 0.5)

    @property
    def differentiable(self) -> bool:
        return self.kind == "f" and self.grad


def F(*shape: int, lo: float = -2.0, hi: float = 2.0, grad: bool = True) -> Arr:
    """Floats; `grad` says whether a gradient is taken with respect to them."""
    return Arr(shape, lo, hi, "f", grad)


def I(*shape: int, lo: int = 0, hi: int) -> Arr:  # noqa: E743
    """Integers in [lo, hi)."""
    return Arr(shape, lo, hi, "i", False)


def B(*shape: int) -> Arr:
    """Booleans."""
    return Arr(shape, kind="b", grad=False)


class Sample:
    """One call of an operation, with placeholders (or arrays, which are constants) among its arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def __repr__(self) -> str:
        parts = [_brief(a) for a in self.args] + [f"{k}={_brief(v)}" for k, v in self.kwargs.items()]
        return f"({', '.join(parts)})"

    def shapes(self) -> list[tuple[int, ...]]:
        """Of the arrays that a gradient is taken for."""
        return [leaf.shape for leaf in self.make(np.random.default_rng(0)).leaves]

    def make(self, rng: np.random.Generator) -> Case:
        """The call with its arrays drawn."""
        leaves: list[np.ndarray] = []

        def draw(a: Any) -> Any:
            if not isinstance(a, Arr):
                return a
            array = a.draw(rng)
            if not a.differentiable:
                return array
            leaves.append(array)
            return Leaf(len(leaves) - 1)

        return Case(walk(self.args, draw), walk(self.kwargs, draw), leaves, self)


S = Sample


@dataclass(frozen=True)
class Leaf:
    """Where the array number `index` of a case goes."""

    index: int


@dataclass
class Case:
    """A call whose arrays are drawn: `leaves` are those that a gradient is taken for."""

    args: Any
    kwargs: Any
    leaves: list[np.ndarray]
    sample: Sample

    def bind(self, leaves: list[Any], constant: Callable[[np.ndarray], Any]) -> tuple[Any, Any]:
        """The arguments, with `leaves` in their places and every other array passed through `constant`."""

        def put(a: Any) -> Any:
            if isinstance(a, Leaf):
                return leaves[a.index]
            return constant(a) if isinstance(a, np.ndarray) else a

        return walk(self.args, put), walk(self.kwargs, put)

    def reference(self, info: OpInfo, leaves: list[np.ndarray] | None = None) -> tuple[np.ndarray, ...]:
        args, kwargs = self.bind(self.leaves if leaves is None else leaves, lambda a: a)
        with np.errstate(all="ignore"):
            return tuple(np.asarray(o) for o in outputs(info.ref(*args, **kwargs)))


def walk(value: Any, function: Callable[[Any], Any]) -> Any:
    """`value` with `function` applied to everything that is not a tuple, list, dict or slice."""
    if isinstance(value, (tuple, list)):
        return type(value)([walk(v, function) for v in value])
    if isinstance(value, dict):
        return {k: walk(v, function) for k, v in value.items()}
    return function(value)


def outputs(result: Any) -> tuple[Any, ...]:
    """What an operation returned, as a flat tuple."""
    if isinstance(result, (tuple, list)):
        return tuple(o for r in result for o in outputs(r))
    return (result,)


@dataclass(frozen=True)
class Bad:
    """A call that must raise `error`, with `match` somewhere in its message.

    Without `torch`, PyTorch does not look and stumbles later, over something else.
    """

    error: type[Exception] | tuple[type[Exception], ...]
    call: Sample
    match: str = ""
    torch: bool = True


@dataclass(repr=False, eq=False)
class OpInfo:
    """One row of the table.

    Attributes
    ----------
    name : str
        Below ``ag``, for example ``"exp"`` or ``"nn.functional.relu"``; ``"Tensor.view"`` is a method.
    ref : callable
        The same in NumPy, from arrays to an array (or several).
    samples : list of Sample
        What it is called with.
    op : callable, optional
        Called with the package (``ag`` or ``torch``) and the arguments, where the call is not ``ag.<name>``.
    analytic : bool
        Whether `ref` takes complex arrays. Otherwise derivatives come from five-point differences.
    differentiable, second_order : bool
        Whether there is a gradient, and a gradient of the gradient.
    operands : int
        How many leading arguments broadcast against each other, for elementwise operations; else 0.
    domain : list of (lo, hi)
        For elementwise operations: where each operand lives.
    special : bool
        Whether ±0, ±inf, NaN, subnormal and huge arguments must give what `ref` gives.
    tolerance32 : (rtol, atol)
        How far the float32 value may be from the reference.
    aliases : tuple of str
        Further public names of the same function.
    torch : bool
        Whether PyTorch has the same thing, to compare with.
    variant : str
        Distinguishes rows of the same name.
    """

    name: str
    ref: Callable[..., Any]
    samples: list[Sample]
    op: Callable[..., Any] | None = None
    analytic: bool = True
    differentiable: bool = True
    second_order: bool = True
    operands: int = 0
    domain: tuple[tuple[float, float], ...] = ()
    special: bool = True
    tolerance32: tuple[float, float] = (2e-5, 2e-6)
    aliases: tuple[str, ...] = ()
    errors: list[Bad] = field(default_factory=list)
    torch: bool = True
    variant: str = ""

    def __post_init__(self) -> None:
        self.ident = f"{self.name}-{self.variant}" if self.variant else self.name

    def __repr__(self) -> str:
        return self.ident

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # in the reports of Hypothesis
        printer.text(self.ident)

    def function(self, package: Any) -> Callable[..., Any]:
        """The operation in `package`."""
        if self.op is not None:
            return lambda *args, **kwargs: self.op(package, *args, **kwargs)  # type: ignore[misc]
        return reduce(getattr, self.name.split("."), package)

    def cases(self, seed: int) -> Iterator[Case]:
        """Every sample, drawn."""
        rng = np.random.default_rng(seed)
        for sample in self.samples:
            yield sample.make(rng)


def _brief(value: Any) -> str:
    if isinstance(value, Arr):
        return f"{value.kind}{list(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"array{list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_brief(v) for v in value) + "]"
    return repr(value)


# Ingredients of references: real functions whose complex step is right.


def absolute(x: Any) -> Any:
    return np.where(np.real(x) < 0, -x, x) if np.iscomplexobj(x) else np.abs(x)


def stepwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the real parts alone: piecewise constant, so its derivative is zero."""
    return lambda *xs, **kwargs: function(*[np.real(x) for x in xs], **kwargs)


def either(real: Callable[..., Any], complex_: Callable[..., Any]) -> Callable[..., Any]:
    """`real` for real arguments, `complex_` (the same function, continued) for complex ones."""

    def function(*xs: Any, **kwargs: Any) -> Any:
        return (complex_ if any(map(np.iscomplexobj, xs)) else real)(*xs, **kwargs)

    return function


def pick(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """The elements at `index` along `axis`."""
    return np.take_along_axis(x, index, axis)
