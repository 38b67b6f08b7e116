"""Elementwise primitives: declared by formulas, compiled as fused loops, differentiated by formulas.

A formula is read twice. The kernels read it as arithmetic on the elements of arrays (`kernels.elementwise`
turns it into one compiled loop); a recorded backward pass reads the same text as operations on tensors,
which makes derivatives of every order. `g` stands for the gradient of the output, `out` for the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import state
from ..autograd.graph import RELEASED, Watch, caller, clock
from ..kernels import discrete, memory
from ..kernels.elementwise import SMALL, Elementwise
from ..tensor import Tensor
from .primitive import Plan, Primitive, PrimitiveNode, Rule, primitive, refuse_inference, sum_to

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""What a formula can call when it is read as operations on tensors."""

NUMBERS = (float, int)
FLOAT32, FLOAT64 = dtypes.FLOAT32, dtypes.FLOAT64
_empty = np.empty


def _names(formula: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", formula))


class Formula:
    """A formula as a function of tensors; compiled when it is first called."""

    __slots__ = ("_function", "_source")

    def __init__(self, names: tuple[str, ...], text: str) -> None:
        self._source = f"lambda {', '.join(names)}: {text}"
        self._function: Callable[..., Any] | None = None

    def __call__(self, *tensors: Any) -> Any:
        if self._function is None:
            self._function = eval(self._source, FUNCTIONS)
        return self._function(*tensors)


class ElementwiseNode(PrimitiveNode):
    """A recorded elementwise operation; its first-order backward runs the fused kernels straight away."""

    __slots__ = ()

    def __init__(
        self, primitive: Any, plan: Plan, inputs: tuple[Any, ...], saved: tuple[Any, ...], shapes: Any
    ) -> None:
        self.inputs = inputs
        self.number = clock()
        self.watch = Watch(caller()) if state.anomaly else None
        self.primitive = primitive
        self.plan = plan
        self.saved = saved
        self.shapes = shapes
        self.parameters = None

    def propagate(self, gradient: Tensor, wanted: Sequence[bool] | None) -> Sequence[Any]:
        if state.enabled or wanted is not None:
            return PrimitiveNode.propagate(self, gradient, wanted)
        saved, number = self.saved, self.number
        if saved is RELEASED:
            self._unpack()
        for t in saved:
            if t._counter[1] > number:
                self._complain(saved)
        g = gradient._data
        results: list[Any] = [None] * len(self.inputs)
        for (target,), _, call in self.plan.calls:
            if call is None:
                result = gradient
            elif len(call.positions) == 2 and call.is_kernel:
                result = Tensor(call.function.pair(g, saved[call.positions[1]]._data))
            else:
                result = Tensor(call.function(*[g if p < 0 else saved[p]._data for p in call.positions]))
            if self.shapes is not None and result._data.shape != self.shapes[target]:
                result = sum_to(result, shape=self.shapes[target])
            results[target] = result
        return results


class ElementwisePrimitive(Primitive):
    """A primitive given by a formula and, for each input, the formula of its derivative.

    Parameters
    ----------
    name : str
        The operation's name.
    inputs : tuple of str
        Its tensor inputs.
    formula : str
        The value.
    derivatives : dict
        From input name to formula; ``"0"`` where the derivative vanishes.
    scalars : tuple of str
        Further inputs: constants of one element (a slope, a bound).
    """

    broadcasts = True

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        formula: str,
        derivatives: dict[str, str],
        scalars: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.node_name = "".join(p.capitalize() for p in name.split("_")) + "Backward0"
        self.inputs = (*inputs, *scalars)
        self.parameters = ()
        self.shape_names = ()
        self.extras = ()
        self.formula = formula
        self.derivatives = derivatives
        self.kernel = Elementwise(name, inputs, formula, scalars)
        self.rules = []
        self._plans = {}
        self._by_key: dict[int, Plan] = {}
        for target, text in derivatives.items():
            self.rules.append(self._rule_from(target, text, scalars))

    def forward(self, *arrays: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return self.kernel(*arrays)

    def _rule_from(self, target: str, text: str, scalars: tuple[str, ...]) -> Rule:
        rule = Rule((self.inputs.index(target),))
        if text == "0":
            rule.fused = lambda g: memory.zeros(g.shape, g.dtype)
            rule.formula = lambda g: Tensor(memory.zeros(g._data.shape, g._data.dtype))
            rule.formula_names = rule.fused_names = ("g",)
            return rule
        used = _names(text)
        operands = tuple(n for n in ("g", *self.inputs, "out") if n in used and n not in scalars)
        constants = tuple(n for n in scalars if n in used)
        names = (*operands, *constants)
        rule.formula_names = rule.fused_names = names
        rule.formula = Formula(names, text)
        if text == "g":
            return rule
        rule.fused = Elementwise(f"{self.name}_d{target}", operands, text, constants)
        return rule

    def __call__(self, *tensors: Any, **parameters: Any) -> Tensor:
        out = Tensor(self.kernel(*[t._data for t in tensors]))
        self.attach(out, *tensors)
        return out

    def attach(self, out: Tensor, x: Tensor, *others: Tensor) -> None:
        """Record the call that made `out`, if it is to be recorded. The hottest Python of the library."""
        if not state.enabled:
            if state.inference:
                out._inference = True
            return
        shape = out._data.shape
        mixed = False
        if x._base is not None:
            x._refresh()
        if x._requires_grad:
            key = 1
            inputs: tuple[Any, ...] = ((x._node or x),)
            mixed = x._data.shape != shape
        else:
            key = 0
            inputs = (None,)
        bit = 2
        for t in others:
            if t._base is not None:
                t._refresh()
            if t._requires_grad:
                key += bit
                inputs += ((t._node or t),)
                mixed = mixed or t._data.shape != shape
            else:
                inputs += (None,)
            bit += bit
        if not key:
            return
        plan = self._by_key.get(key) or self._plan_of(key)
        saved: Any = ()
        if plan.pick is not None:
            if plan.keeps_out:  # an alias: the node must not hold the tensor that holds the node
                kept = Tensor(out._data)
                kept._counter = out._counter
                saved = plan.pick((x, *others, kept))
            else:
                saved = plan.pick((x, *others))
            if plan.single:
                saved = (saved,)
            for t in saved:
                if t._inference:
                    refuse_inference(self.name)
        shapes = [t._data.shape for t in (x, *others)] if mixed else None
        out._node = ElementwiseNode(self, plan, inputs, saved, shapes)
        out._requires_grad = True

    def _plan_of(self, key: int) -> Plan:
        """The plan for the inputs whose bits are set in `key`."""
        made = self._by_key[key] = self.plan(tuple(bool(key >> i & 1) for i in range(len(self.inputs))))
        return made


_constants: dict[tuple[Any, str], Tensor] = {}


def constant(value: Any, dtype: np.dtype) -> Tensor:
    """A zero-dimensional tensor that holds a Python number; small numbers of distinct ones are kept."""
    key = (value, dtype.char)
    found = _constants.get(key)
    if found is None:
        with np.errstate(all="ignore"):
            found = Tensor(np.array(value).astype(dtype) if dtype.kind != "f" else np.array(value, dtype))
        if value == value and value != 0 and len(_constants) < 1024:
            _constants[key] = found
    return found


def is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.number, np.bool_))


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, (np.number, np.bool_)) else value


def common(op: str, *values: Any, floating: bool = False) -> list[Tensor]:
    """The operands as tensors of one dtype, by PyTorch's promotion; `floating` lifts integers to floats."""
    tensors = [v for v in values if isinstance(v, Tensor)]
    numbers = [_python(v) for v in values if not isinstance(v, Tensor)]
    for n in numbers:
        if not is_number(n):
            raise TypeError(f"{op}(): expected Tensor or number, got {type(n).__name__}")
    dtype = dtypes.result_dtype(
        [(t._data.dtype, t._data.ndim) for t in tensors], [type(n) for n in numbers]
    )
    if floating and dtype.kind != "f":
        dtype = dtypes.get_default_dtype().dtype
    shapes = [t._data.shape for t in tensors]
    if len(shapes) > 1:
        check_broadcast(op, shapes)
    result = []
    for v in values:
        if not isinstance(v, Tensor):
            result.append(constant(_python(v), dtype))
        else:
            result.append(v if v._data.dtype == dtype else cast(v, dtype=dtype))
    return result


def check_broadcast(op: str, shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape to which `shapes` broadcast.

    Raises
    ------
    RuntimeError
        If they do not, naming the operation and the dimension.
    """
    result: tuple[int, ...] = ()
    for shape in shapes:
        if shape == result:
            continue
        n = max(len(shape), len(result))
        a = (1,) * (n - len(result)) + result
        b = (1,) * (n - len(shape)) + shape
        merged = []
        for axis, (p, q) in enumerate(zip(a, b, strict=True)):
            if p != q and p != 1 and q != 1:
                raise RuntimeError(
                    f"{op}: The size of tensor a ({p}) must match the size of tensor b ({q}) at non-singleton "
                    f"dimension {axis} (shapes {result} and {shape})"
                )
            merged.append(q if p == 1 else p)
        result = tuple(merged)
    return result


@primitive(name="to")
def _to(x: np.ndarray, *, dtype: np.dtype, source: np.dtype) -> np.ndarray:
    return discrete.cast(x, dtype)


@_to.derivative("x")
def _(g: Tensor, *, source: np.dtype) -> Tensor:
    return cast(g, dtype=source)


def cast(x: Tensor, *, dtype: np.dtype) -> Tensor:
    """A copy of `x` in another dtype; differentiable between floating-point dtypes."""
    if dtype.kind == "f":
        return _to(x, dtype=dtype, source=x._data.dtype)
    return Tensor(discrete.cast(x._data, dtype))


def unary(
    name: str,
    formula: str,
    derivative: str,
    *,
    doc: str,
    example: tuple[str, str],
    integer: str | None = None,
) -> Callable[[Any], Tensor]:
    """Make the public function of an elementwise operation of one tensor.

    Parameters
    ----------
    formula, derivative : str
        In terms of ``x``, and of ``g``, ``x`` and ``out``.
    integer : str, optional
        NumPy's function for integer tensors, which then keep their dtype; without it integers are lifted
        to the default floating-point dtype.
    doc, example : str
        For the docstring: a sentence, and an expression with its output.
    """
    made = ElementwisePrimitive(name, ("x",), formula, {"x": derivative})
    kernel = made.kernel

    def op(input: Any) -> Tensor:
        try:
            a = input._data
        except AttributeError:
            raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}") from None
        if a.dtype.kind != "f":
            if integer is not None:
                return Tensor(discrete.apply(integer, a, dtype=a.dtype))
            (input,) = common(name, input, floating=True)
            a = input._data
        if a.size < SMALL:
            result = _empty(a.shape, a.dtype)
            kernel.loop(a.ravel(), result.ravel())
            out = Tensor(result)
        else:
            out = Tensor(kernel(a))
        if input._requires_grad or input._base is not None:
            made.attach(out, input)
        elif state.inference:
            out._inference = True
        return out

    return publish(op, made, doc, example)


def binary(
    name: str,
    formula: str,
    dx: str,
    dy: str,
    *,
    doc: str,
    example: tuple[str, str],
    integer: str | None = None,
) -> Callable[[Any, Any], Tensor]:
    """Make the public function of an elementwise operation of two tensors (or numbers)."""
    made = ElementwisePrimitive(name, ("x", "y"), formula, {"x": dx, "y": dy})
    op = publish(_binary_function(made, integer, False), made, doc, example)
    op.operator = _binary_function(made, integer, True)
    return op


def _binary_function(made: ElementwisePrimitive, integer: str | None, operator: bool) -> Any:
    """The function itself; as an `operator` it leaves foreign operands to the other side."""
    name, kernel, attach = made.name, made.kernel, made.attach
    floating = integer is None

    def op(input: Any, other: Any) -> Tensor:
        try:
            a = input._data
            kind = a.dtype
            if type(other) in NUMBERS and kind.char in "fd":
                other = constant(other, kind)
            b = other._data
            simple = kind is b.dtype and (kind is FLOAT32 or kind is FLOAT64)
        except AttributeError:
            simple = False
        if not simple:
            if operator and not (isinstance(other, Tensor) or is_number(other)):
                return NotImplemented
            input, other = common(name, input, other, floating=floating)
            a, b = input._data, other._data
            if a.dtype.kind != "f":
                return Tensor(discrete.apply(integer, a, b, dtype=a.dtype))  # type: ignore[arg-type]
        if a.size < SMALL and (a.shape == b.shape or b.ndim == 0):
            result = _empty(a.shape, a.dtype)
            kernel.loop(a.ravel(), b.ravel(), result.ravel())
            out = Tensor(result)
        else:
            if a.shape != b.shape and a.ndim and b.ndim:
                check_broadcast(name, (a.shape, b.shape))
            out = Tensor(kernel(a, b))
        if input._requires_grad or other._requires_grad or input._base is not None or other._base is not None:
            attach(out, input, other)
        elif state.inference:
            out._inference = True
        return out

    return op


def publish(op: Any, made: ElementwisePrimitive, doc: str, example: tuple[str, str]) -> Any:
    """Name and document `op`, and let formulas call it."""
    op.__name__ = op.__qualname__ = made.name
    op.primitive = made
    arguments = "input : Tensor or number\n    other : Tensor or number" if len(made.inputs) == 2 else "input : Tensor"
    given = "\n    ".join(f"d/d{name}: ``{text}``" for name, text in made.derivatives.items())
    op.__doc__ = f"""{doc}

    Parameters
    ----------
    {arguments}
        Of any shape{", broadcast together" if len(made.inputs) == 2 else ""}; a floating-point dtype, or an
        integer one, which is lifted to the default floating-point dtype where the result is not whole.

    Returns
    -------
    Tensor
        ``{made.formula}``, elementwise.

    Notes
    -----
    Gradient, for the gradient ``g`` of the output ``out``:
    {given}

    Examples
    --------
    >>> import autograd_lite as ag
    >>> {example[0]}
    {example[1]}
    """
    FUNCTIONS[made.name] = op
    return op
