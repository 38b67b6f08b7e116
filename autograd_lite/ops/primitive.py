"""Primitives: the operations that own a derivative rule.

A primitive is declared by its forward, from arrays to an array, and by the derivative for each input:

>>> from autograd_lite.ops.primitive import primitive
>>> @primitive
... def scaled(x, *, factor):
...     return x * factor
>>> @scaled.derivative("x")
... def _(g, *, factor):
...     return scaled(g, factor=factor)

The parameter names of a derivative say what it needs, and that alone is kept for it: ``g`` (the gradient of
the output), inputs by their names or just their shapes (``x_shape``), ``out`` (the output), keyword parameters
of the forward, and extra arrays that the forward returned beside the output, as ``(out, {"name": array})``.
Derivatives are written on tensors, in differentiable operations, so they can themselves be differentiated. Where
a kernel computes the first derivative in one go, `fused` declares it, on arrays; it is used unless the backward
pass is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from ..autograd.grad_mode import state
from ..autograd.graph import RELEASED, Node
from ..kernels import reduce
from ..kernels.elementwise import Elementwise
from ..tensor import Tensor


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the positional and of the keyword-only parameters (`inspect.signature` takes 20 times as long)."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return names[: code.co_argcount], names[code.co_argcount :]


class Rule:
    """The derivative with respect to the inputs numbered `targets`."""

    __slots__ = ("formula", "formula_names", "fused", "fused_names", "targets")

    def __init__(self, targets: tuple[int, ...]) -> None:
        self.targets = targets
        self.formula: Callable[..., Any] | None = None
        self.fused: Callable[..., Any] | None = None
        self.formula_names: tuple[str, ...] = ()
        self.fused_names: tuple[str, ...] = ()


class _Call:
    """How to call one side of a rule with what a node has saved."""

    __slots__ = ("function", "is_kernel", "parameters", "positions")

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...], saved: tuple[str, ...]) -> None:
        self.function: Any = function
        self.is_kernel = isinstance(function, Elementwise)
        self.positions = tuple(-1 if name == "g" else saved.index(name) for name in names if name in ("g", *saved))
        self.parameters = tuple(name for name in names if name != "g" and name not in saved)


class Plan:
    """What a primitive keeps, and runs backward, for one choice of inputs that need a gradient."""

    __slots__ = ("calls", "keeps_out", "names", "needs", "pick", "shapes", "single", "whole")

    def __init__(self, primitive: Primitive, needs: tuple[bool, ...]) -> None:
        rules = [rule for rule in primitive.rules if any(needs[i] for i in rule.targets)]
        missing = [
            primitive.inputs[i] for i, need in enumerate(needs) if need and not any(i in rule.targets for rule in rules)
        ]
        if missing:
            raise RuntimeError(f"{primitive.name}: derivative with respect to {missing[0]!r} is not implemented")
        wanted = [n for rule in rules for n in (*rule.formula_names, *rule.fused_names)]
        sources = (*primitive.inputs, "out", *primitive.extras)
        self.needs = needs
        self.shapes = [(n, primitive.inputs.index(n[:-6])) for n in set(wanted) if n in primitive.shape_names]
        self.names = tuple(n for n in sources if n in wanted)
        self.keeps_out = "out" in self.names
        self.single = len(self.names) == 1
        self.whole = self.names == primitive.inputs
        self.pick = itemgetter(*(sources.index(n) for n in self.names)) if self.names else None
        self.calls = [
            (
                rule.targets,
                _Call(rule.formula, rule.formula_names, self.names) if rule.formula else None,
                _Call(rule.fused, rule.fused_names, self.names) if rule.fused else None,
            )
            for rule in rules
        ]


class PrimitiveNode(Node):
    """A recorded call of a primitive."""

    __slots__ = ("parameters", "plan", "primitive", "saved", "shapes")

    def __init__(
        self,
        primitive: Primitive,
        plan: Plan,
        inputs: tuple[Any, ...],
        saved: tuple[Any, ...],
        shapes: tuple[Any, ...] | None,
        parameters: dict[str, Any] | None,
    ) -> None:
        Node.__init__(self, inputs)
        self.primitive = primitive
        self.plan = plan
        self.saved = saved
        self.shapes = shapes
        self.parameters = parameters

    def name(self) -> str:
        return self.primitive.node_name

    def release(self) -> None:
        if self.saved:
            self.saved = RELEASED

    def _unpack(self) -> tuple[Any, ...]:
        saved = self.saved
        if saved is RELEASED:
            raise RuntimeError(
                f"{self.name()}: Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Saved intermediate values of the graph are freed "
                "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to "
                "backward through the graph a second time."
            )
        for t in saved:
            if t is not None and t._counter[1] > self.number:
                self._complain(saved)
        return saved

    def _complain(self, saved: tuple[Any, ...]) -> None:
        for name, t in zip(self.plan.names, saved, strict=True):
            if t is not None and t._counter[1] > self.number:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace "
                    f"operation: {name!r} of {self.name()}, a tensor of shape {t._data.shape}, was changed "
                    f"after it had been saved (it is at version {t._counter[0]}). Use an out-of-place "
                    "operation, or clone the tensor first."
                )

    def propagate(self, gradient: Tensor, wanted: Sequence[bool] | None) -> Sequence[Any]:
        saved = self._unpack()
        results: list[Any] = [None] * len(self.inputs)
        second_order = state.enabled
        if second_order and self.plan.keeps_out:
            at = self.plan.names.index("out")
            out = Tensor(saved[at]._data)
            out._counter, out._node, out._requires_grad = saved[at]._counter, self, True
            saved = (*saved[:at], out, *saved[at + 1 :])
        for targets, formula, fused in self.plan.calls:
            if wanted is not None and not any(wanted[i] for i in targets):
                continue
            if fused is not None and not second_order:
                arguments = [
                    gradient._data if p < 0 else None if saved[p] is None else saved[p]._data for p in fused.positions
                ]
                call = fused
            else:
                if formula is None:
                    raise RuntimeError(f"{self.name()} is not differentiable twice")
                arguments = [gradient if p < 0 else saved[p] for p in formula.positions]
                call = formula
            if call.parameters:
                given = self.parameters or {}
                keywords = {n: self.plan.needs if n == "needs" else given[n] for n in call.parameters}
                result = call.function(*arguments, **keywords)
            else:
                result = call.function(*arguments)
            if len(targets) == 1:
                result = (result,)
            for i, r in zip(targets, result, strict=True):
                if r is not None and self.plan.needs[i]:
                    results[i] = r if isinstance(r, Tensor) else Tensor(r)
        if self.shapes is not None:
            for i, shape in enumerate(self.shapes):
                if results[i] is not None and results[i]._data.shape != shape:
                    results[i] = sum_to(results[i], shape=shape)
        return results


class Primitive:
    """An operation with a derivative rule; call it with tensors (or None, for an absent one) and parameters.

    Attributes
    ----------
    name : str
        The operation's name, also in error messages.
    inputs : tuple of str
        Names of the tensor inputs (the positional parameters of the forward).
    """

    is_view = False

    def __init__(self, forward: Callable[..., Any], name: str | None = None) -> None:
        self.forward = forward
        self.name = name or forward.__name__.strip("_")
        self.node_name = "".join(p.capitalize() for p in self.name.split("_")) + "Backward0"
        self.__doc__ = forward.__doc__
        self.inputs, self.parameters = _parameters(forward)
        self.shape_names = tuple(f"{n}_shape" for n in self.inputs)
        self.extras: tuple[str, ...] = ()
        self.rules: list[Rule] = []
        self._plans: dict[tuple[bool, ...], Plan] = {}

    def _rule(self, names: tuple[str, ...]) -> Rule:
        targets = tuple(self.inputs.index(n) for n in names)
        for rule in self.rules:
            if rule.targets == targets:
                return rule
        self.rules.append(Rule(targets))
        return self.rules[-1]

    def _names_of(self, function: Callable[..., Any]) -> tuple[str, ...]:
        names = sum(_parameters(function), ())
        known = {"g", "out", "needs", *self.inputs, *self.parameters, *self.shape_names}
        self.extras = tuple(dict.fromkeys((*self.extras, *(n for n in names if n not in known))))
        self._plans.clear()
        return names

    def derivative(self, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the derivative with respect to the inputs `names`, on tensors.

        With several names it returns a tuple, in their order; a parameter ``needs`` then tells which of
        the primitive's inputs want a gradient.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            rule = self._rule(names)
            rule.formula, rule.formula_names = function, self._names_of(function)
            return function

        return declare

    def fused(self, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the same derivative as one kernel on arrays, for backward passes that are not recorded."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            rule = self._rule(names)
            rule.fused, rule.fused_names = function, self._names_of(function)
            return function

        return declare

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        found = self._plans.get(needs)
        if found is None:
            found = self._plans[needs] = Plan(self, needs)
        return found

    def __call__(self, *tensors: Any, **parameters: Any) -> Tensor:
        return self.run(*tensors, **parameters)[0]

    def run(self, *tensors: Any, **parameters: Any) -> tuple[Tensor, dict[str, Any]]:
        """Call, and return the extra arrays of the forward as well."""
        extras: dict[str, Any] = {}
        result = self.forward(*[None if t is None else t._data for t in tensors], **parameters)
        if type(result) is tuple:
            result, extras = result
        out = Tensor(result)
        if self.is_view:
            join_view(out, tensors[0])
        if state.enabled:
            for t in tensors:
                if t is not None and t._base is not None:
                    t._refresh()
            for t in tensors:
                if t is not None and t._requires_grad:
                    self.record(out, tensors, extras, parameters)
                    break
        elif state.inference:
            out._inference = True
        return out, extras

    def record(self, out: Tensor, tensors: tuple[Any, ...], extras: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Give `out` the node of this call."""
        plan = self.plan(tuple([t is not None and t._requires_grad for t in tensors]))
        saved: tuple[Any, ...] = ()
        if plan.pick is not None:
            kept_out = alias(out) if plan.keeps_out else None
            extra = [Tensor(extras[n]) if n in extras else None for n in self.extras]
            picked = plan.pick((*tensors, kept_out, *extra))
            saved = (picked,) if plan.single else picked
            for t in saved:
                if t is not None and t._inference:
                    refuse_inference(self.name)
        if plan.shapes:
            parameters = parameters | {name: tensors[i]._data.shape for name, i in plan.shapes}
        inputs = tuple([(t._node or t) if t is not None and t._requires_grad else None for t in tensors])
        out._node = PrimitiveNode(self, plan, inputs, saved, None, parameters or None)
        out._requires_grad = True


_new_tensor = Tensor.__new__


def alias(out: Tensor) -> Tensor:
    """What a node saves of its own output: the node must not hold the tensor that holds the node."""
    made = _new_tensor(Tensor)
    made._data = out._data
    made._counter = out._counter
    return made


def refuse_inference(op: str) -> None:
    raise RuntimeError(
        f"{op}: Inference tensors cannot be saved for backward. To work around you can make a clone to get a "
        "normal tensor and use it in autograd."
    )


def primitive(forward: Callable[..., Any] | None = None, /, *, view: bool = False, name: str | None = None) -> Any:
    """Declare a primitive by its forward (a decorator).

    Parameters
    ----------
    view : bool
        The output is a view of the first input's array.
    name : str, optional
        Default: the function's name without leading underscores.
    """

    def declare(function: Callable[..., Any]) -> Primitive:
        made = Primitive(function, name)
        made.is_view = view
        return made

    return declare if forward is None else declare(forward)


def join_view(out: Tensor, source: Tensor) -> None:
    """Note that `out` shares the storage of `source`, if it does."""
    owner, given = out._data.base, source._data
    if out._data is given or (
        owner is not None and (owner is given or owner is given.base or np.may_share_memory(out._data, given))
    ):
        out._counter = source._counter
        base = source if source._base is None else source._base
        out._base, out._stamp = base, base._rebased
        out._no_grad_view = not state.enabled or source._no_grad_view
        out._inference = source._inference


# The two adjoints of broadcasting, which every broadcasting primitive relies on: un-broadcasting happens in
# `PrimitiveNode.propagate` and nowhere else.


@primitive
def sum_to(x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    return reduce.sum_to(x, shape)


@primitive(view=True)
def expand_to(x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    if x.shape == shape:
        return x[...]
    lead = len(shape) - x.ndim
    strides = (0,) * lead + tuple(
        0 if have == 1 and want != 1 else step
        for have, want, step in zip(x.shape, shape[lead:], x.strides, strict=True)
    )
    return np.lib.stride_tricks.as_strided(x, shape, strides)


@sum_to.derivative("x")
def _(g: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return g if g._data.shape == x_shape else expand_to(g, shape=x_shape)


@expand_to.derivative("x")
def _(g: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    return g if g._data.shape == x_shape else sum_to(g, shape=x_shape)
