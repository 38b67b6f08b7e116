"""Comparisons, tests of elements, logical and bitwise operations: what gives booleans, or works on bits.

None of them is differentiable; they run through NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import discrete
from ..tensor import Tensor, method
from .elementwise import FUNCTIONS, check_broadcast, common, is_number
from .inplace import inplace

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isin", "isinf",
    "isnan", "isneginf", "isposinf", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "ne", "not_equal", "signbit",
]  # fmt: skip


def _comparison(name: str, ufunc: str, symbol: str, outcome: str) -> Callable[[Any, Any], Tensor]:
    def op(input: Any, other: Any) -> Tensor:
        if not (isinstance(input, Tensor) and isinstance(other, Tensor) and input._data.dtype is other._data.dtype):
            input, other = common(name, input, other)
        if input._data.shape != other._data.shape:
            check_broadcast(name, (input._data.shape, other._data.shape))
        return Tensor(discrete.compare(ufunc, input._data, other._data))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""Elementwise ``input {symbol} other``, as a tensor of bool; no gradient.

    Parameters
    ----------
    input, other : Tensor or number
        Of shapes that broadcast together.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.tensor([1.0, 2.0, 3.0]), 2)
    tensor({outcome})
    """
    FUNCTIONS[name] = op
    return op


eq = _comparison("eq", "equal", "==", "[False,  True, False]")
ne = _comparison("ne", "not_equal", "!=", "[ True, False,  True]")
lt = _comparison("lt", "less", "<", "[ True, False, False]")
le = _comparison("le", "less_equal", "<=", "[ True,  True, False]")
gt = _comparison("gt", "greater", ">", "[False, False,  True]")
ge = _comparison("ge", "greater_equal", ">=", "[False,  True,  True]")


def _test(name: str, example: str, outcome: str, doc: str) -> Callable[[Tensor], Tensor]:
    def op(input: Tensor) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
        return Tensor(discrete.test(name, input._data))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""{doc}, elementwise, as a tensor of bool; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.tensor({example}))
    tensor({outcome})
    """
    return op


isnan = _test("isnan", "[1.0, float('nan')]", "[False,  True]", "Whether an element is NaN")
isinf = _test("isinf", "[1.0, float('inf')]", "[False,  True]", "Whether an element is infinite")
isfinite = _test("isfinite", "[1.0, float('inf')]", "[ True, False]", "Whether an element is neither infinite nor NaN")
isposinf = _test("isposinf", "[1.0, float('inf')]", "[False,  True]", "Whether an element is +infinity")
isneginf = _test("isneginf", "[1.0, float('-inf')]", "[False,  True]", "Whether an element is -infinity")
signbit = _test("signbit", "[1.0, -0.0]", "[False,  True]", "Whether the sign bit is set")


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|``, elementwise.

    Parameters
    ----------
    rtol, atol : float
        Relative and absolute tolerance.
    equal_nan : bool
        Whether two NaN count as close.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.isclose(ag.tensor([1.0, 1.0]), ag.tensor([1.0 + 1e-7, 1.1]))
    tensor([ True, False])
    """
    if input.dtype is not other.dtype:
        raise RuntimeError(f"isclose: {input.dtype!r} did not match {other.dtype!r}")
    check_broadcast("isclose", (input._data.shape, other._data.shape))
    return Tensor(np.asarray(np.isclose(input._data, other._data, rtol, atol, equal_nan)))


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which of the elements occur in `test_elements` (or, with `invert`, do not), as a tensor of bool.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.isin(ag.tensor([1, 2, 3]), ag.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    x, y = (t._data if isinstance(t, Tensor) else t for t in (elements, test_elements))
    return Tensor(np.asarray(np.isin(x, y, assume_unique, invert)))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close; see `isclose`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.allclose(ag.tensor([1.0]), ag.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.equal(ag.tensor([1, 2]), ag.tensor([1, 2]))
    True
    """
    return input._data.shape == other._data.shape and bool((input._data == other._data).all())


def _bitwise(name: str, ufunc: str, symbol: str) -> Callable[[Any, Any], Tensor]:
    def op(input: Any, other: Any) -> Tensor:
        input, other = common(name, input, other)
        if input._data.dtype.kind == "f":
            raise RuntimeError(f"{name}: not implemented for {input.dtype!r}; it takes integers and booleans")
        return Tensor(discrete.apply(ufunc, input._data, other._data, dtype=input._data.dtype))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""Elementwise ``input {symbol} other`` of integers (bit by bit) or booleans; no gradient.

    Raises
    ------
    RuntimeError
        For floating-point tensors.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.tensor([6]), ag.tensor([3]))
    tensor([{ {"and": 2, "or": 7, "xor": 5, "left_shift": 48, "right_shift": 0}[name.removeprefix("bitwise_")] }])
    """
    return op


bitwise_and = _bitwise("bitwise_and", "bitwise_and", "&")
bitwise_or = _bitwise("bitwise_or", "bitwise_or", "|")
bitwise_xor = _bitwise("bitwise_xor", "bitwise_xor", "^")
bitwise_left_shift = _bitwise("bitwise_left_shift", "left_shift", "<<")
bitwise_right_shift = _bitwise("bitwise_right_shift", "right_shift", ">>")


def bitwise_not(input: Tensor) -> Tensor:
    """Elementwise ``~input`` of integers or booleans; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.bitwise_not(ag.tensor([True, False]))
    tensor([False,  True])
    """
    if input._data.dtype.kind == "f":
        raise RuntimeError(f"bitwise_not: not implemented for {input.dtype!r}; it takes integers and booleans")
    return Tensor(discrete.apply("invert", input._data))


def _logical(name: str) -> Callable[[Any, Any], Tensor]:
    def op(input: Any, other: Any) -> Tensor:
        input, other = common(name, input, other)
        return Tensor(discrete.compare(name, input._data, other._data))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""{name.replace("_", " ").capitalize()} of truth values (non-zero is true), as bool; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.tensor([True]), ag.tensor([False]))
    tensor([{"False" if name == "logical_and" else " True"}])
    """.replace("[ True]", "[True]")
    return op


logical_and, logical_or, logical_xor = map(_logical, ("logical_and", "logical_or", "logical_xor"))


def logical_not(input: Tensor) -> Tensor:
    """Not, of truth values (non-zero is true), as bool; no gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.logical_not(ag.tensor([0.0, 2.0]))
    tensor([ True, False])
    """
    return Tensor(discrete.test("logical_not", input._data))


# Methods and operators


def operator_of(function: Callable[[Any, Any], Tensor], reflected: bool = False) -> Callable[[Any, Any], Any]:
    """`function` as a binary operator: leaves foreign operands to the other side."""
    if hasattr(function, "operator") and not reflected:
        return function.operator

    def operator(self: Any, other: Any) -> Any:
        if not isinstance(other, Tensor) and not is_number(other):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return operator


def attach_operators(functions: dict[str, Any]) -> None:
    """Make each function an operator of `Tensor`: plain, reflected and in place."""
    for name, function in functions.items():
        method(operator_of(function), name=f"__{name}__")
        method(operator_of(function, reflected=True), name=f"__r{name}__")
        method(operator_of(inplace(function)), name=f"__i{name}__")


attach_operators({
    "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor,
    "lshift": bitwise_left_shift, "rshift": bitwise_right_shift,
})  # fmt: skip
_function: Any
for _name, _function in {"lt": lt, "le": le, "gt": gt, "ge": ge}.items():
    method(operator_of(_function), name=f"__{_name}__")


def _equality(function: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Any], Any]:
    """``==`` and ``!=``: between a tensor and an array too, for Python would otherwise answer with one bool."""

    def operator(self: Tensor, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            other = Tensor(other)
        if not isinstance(other, Tensor) and not is_number(other):
            return NotImplemented
        return function(self, other)

    return operator


def _invert(self: Tensor) -> Tensor:
    if self._data.dtype.kind == "f":
        raise TypeError(f"~ (operator.invert) is only implemented on integer and Boolean tensors, got {self.dtype!r}")
    return bitwise_not(self)


method(_equality(eq), name="__eq__")
method(_equality(ne), name="__ne__")
method(_invert, name="__invert__")

greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
for _name, _function in {
    "greater": gt, "greater_equal": ge, "less": lt, "less_equal": le, "not_equal": ne,
}.items():  # fmt: skip
    method(_function, name=_name)
for _function in (
    eq, ne, lt, le, gt, ge, isnan, isinf, isfinite, isposinf, isneginf, signbit, isclose, allclose, equal,
    bitwise_and, bitwise_or, bitwise_xor, bitwise_not, bitwise_left_shift, bitwise_right_shift,
    logical_and, logical_or, logical_xor, logical_not,
):  # fmt: skip
    method(_function)
