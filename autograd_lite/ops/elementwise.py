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
from ..autograd.grad_mode import anomaly, state
from ..autograd.graph import RELEASED, Watch, caller, clock
from ..kernels import discrete, memory
from ..kernels.elementwise import SMALL, Elementwise
from ..tensor import Tensor
from .primitive import Plan, Primitive, PrimitiveNode, Rule, alias, primitive, refuse_inference, sum_to

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


_new_node = ElementwiseNode.__new__


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

    def attach(self, out: Tensor, *tensors: Tensor) -> None:
        """Record the call that made `out`, if it is to be recorded."""
        if not state.enabled:
            out._inference = state.inference
            return
        shape = out._data.shape
        key, bit = 0, 1
        mixed = False
        for t in tensors:
            if t._base is not None:
                t._refresh()
            if t._requires_grad:
                key += bit
                mixed = mixed or t._data.shape != shape
            bit += bit
        if key:
            inputs = tuple([(t._node or t) if t._requires_grad else None for t in tensors])
            plan = self._by_key.get(key) or self._plan_of(key)
            saved = () if plan.pick is None else self._keep(plan, out, tensors)
            shapes = tuple([t._data.shape for t in tensors]) if mixed else None
            out._node = ElementwiseNode(self, plan, inputs, saved, shapes, None)
            out._requires_grad = True

    # The two that follow are `attach` for one and for two inputs, with the node's constructor written out: the
    # hottest Python of the library.

    def attach_one(self, out: Tensor, x: Tensor) -> None:
        if not state.enabled:
            out._inference = state.inference
            return
        if x._base is not None:
            x._refresh()
            if not x._requires_grad:
                return
        plan = self._by_key.get(1) or self._plan_of(1)
        if plan.pick is None:
            saved: tuple[Tensor, ...] = ()
        elif plan.single and plan.keeps_out:
            saved = (alias(out),)
        else:
            saved = self._keep(plan, out, (x,))
        node = _new_node(ElementwiseNode)
        node.inputs = (x._node or x,)
        node.number = clock()
        node.watch = Watch(caller()) if anomaly.enabled else None
        node.primitive = self
        node.plan = plan
        node.saved = saved
        node.shapes = None
        node.parameters = None
        out._node = node
        out._requires_grad = True

    def attach_two(self, out: Tensor, x: Tensor, y: Tensor, mixed: bool) -> None:
        """`mixed` says that `x` and `y` differ in shape."""
        if not state.enabled:
            out._inference = state.inference
            return
        if x._base is not None:
            x._refresh()
        if y._base is not None:
            y._refresh()
        if x._requires_grad:
            inputs: tuple[Any, Any] = (x._node or x, (y._node or y) if y._requires_grad else None)
            key = 3 if y._requires_grad else 1
        elif y._requires_grad:
            inputs = (None, y._node or y)
            key = 2
        else:
            return
        plan = self._by_key.get(key) or self._plan_of(key)
        if plan.pick is None:
            saved: tuple[Tensor, ...] = ()
        elif plan.whole and not (x._inference or y._inference):
            saved = (x, y)
        else:
            saved = self._keep(plan, out, (x, y))
        node = _new_node(ElementwiseNode)
        node.inputs = inputs
        node.number = clock()
        node.watch = Watch(caller()) if anomaly.enabled else None
        node.primitive = self
        node.plan = plan
        node.saved = saved
        node.shapes = (x._data.shape, y._data.shape) if mixed else None
        node.parameters = None
        out._node = node
        out._requires_grad = True

    def _keep(self, plan: Plan, out: Tensor, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the node of a call saves."""
        if plan.whole:
            saved = tensors
        else:
            if plan.keeps_out:
                tensors = (*tensors, alias(out))
            picked = plan.pick(tensors)  # type: ignore[misc]
            saved = (picked,) if plan.single else picked
        for t in saved:
            if t._inference:
                refuse_inference(self.name)
        return saved

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
    return publish(_unary_function(made, integer), made, doc, example)


def _unary_function(made: ElementwisePrimitive, integer: str | None) -> Any:
    name, kernel, attach = made.name, made.kernel, made.attach_one

    def op(input: Any) -> Tensor:
        try:
            a = input._data
        except AttributeError:
            raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}") from None
        dtype = a.dtype
        if dtype is not FLOAT32 and dtype.kind != "f":
            if integer is not None:
                if integer == "negative" and dtype.kind == "b":
                    raise RuntimeError(
                        "neg: Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
                        "invert a mask, use the `~` or `logical_not()` operator instead."
                    )
                return Tensor(discrete.apply(integer, a, dtype=a.dtype))
            (input,) = common(name, input, floating=True)
            a = input._data
            dtype = a.dtype
        if a.size < SMALL:
            result = _empty(a.shape, dtype)
            kernel.loop(a.ravel(), result.ravel())
        else:
            result = kernel(a)
        out = Tensor(result)
        if input._requires_grad or input._base is not None:
            attach(out, input)
        elif state.inference:
            out._inference = True
        return out

    return op


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
    name, kernel, attach = made.name, made.kernel, made.attach_two
    floating = integer is None

    def op(input: Any, other: Any) -> Tensor:
        try:
            a, b = input._data, other._data
            dtype = a.dtype
            simple = dtype is b.dtype and (dtype is FLOAT32 or dtype is FLOAT64)
        except AttributeError:  # a number, or something foreign
            simple = isinstance(input, Tensor) and type(other) in NUMBERS and input._data.dtype.kind == "f"
            if simple:
                a = input._data
                dtype = a.dtype
                other = constant(other, dtype)
                b = other._data
        if not simple:
            if operator and not (isinstance(other, Tensor) or is_number(other)):
                return NotImplemented
            input, other = common(name, input, other, floating=floating)
            a, b = input._data, other._data
            dtype = a.dtype
            if dtype.kind != "f":
                return Tensor(discrete.apply(integer, a, b, dtype=dtype))  # type: ignore[arg-type]
        shape = a.shape
        mixed = shape != b.shape
        if a.size < SMALL and not (mixed and b.ndim):
            result = _empty(shape, dtype)
            kernel.loop(a.ravel(), b.ravel(), result.ravel())
        else:
            if mixed and shape and b.ndim:
                check_broadcast(name, (shape, b.shape))
            result = kernel(a, b)
        out = Tensor(result)
        if input._requires_grad or other._requires_grad or input._base is not None or other._base is not None:
            attach(out, input, other, mixed)
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
