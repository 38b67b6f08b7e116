"""Hooks of modules: functions that see, and may replace, what goes into a module and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.grad_mode import state
from ..autograd.graph import Node, OutputNode, edge
from ..tensor import RemovableHandle, Tensor

Hook = Callable[..., Any]


class Hooks:
    """The hooks of one module: (function, whether it takes the keyword arguments too), in calling order."""

    def __init__(self) -> None:
        self.forward_pre: list[tuple[Hook, bool]] = []
        self.forward: list[tuple[Hook, bool]] = []
        self.backward_pre: list[tuple[Hook, bool]] = []
        self.backward: list[tuple[Hook, bool]] = []

    def add(self, kind: str, hook: Hook, prepend: bool, with_kwargs: bool = False) -> RemovableHandle:
        hooks, entry = getattr(self, kind), (hook, with_kwargs)
        hooks.insert(0 if prepend else len(hooks), entry)
        return RemovableHandle(hooks, entry)

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``module(*args, **kwargs)`` with every hook."""
        for hook, with_kwargs in list(self.forward_pre):
            if with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
                            f"{changed}."
                        )
                    args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        watch = _Watch(module, self) if state.enabled and (self.backward or self.backward_pre) else None
        if watch is not None:
            args = watch.inputs(args)
        result = module.forward(*args, **kwargs)
        for hook, with_kwargs in list(self.forward):
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        return result if watch is None else watch.outputs(result)


class _Identity(Node):
    """The identity on several tensors; `receive` may replace their gradients in the backward pass."""

    __slots__ = ("outputs", "receive")
    foreign = True

    def __init__(self, tensors: Sequence[Tensor], receive: Callable[[list[Any]], Sequence[Any]]) -> None:
        super().__init__(tuple([edge(t) for t in tensors]))
        self.outputs = len(tensors)
        self.receive = receive

    def propagate(self, gradient: Any, wanted: Sequence[bool] | None) -> Sequence[Any]:
        return self.receive(gradient)

    def name(self) -> str:
        return "BackwardHookFunctionBackward"


def _through(values: tuple[Any, ...], receive: Callable[[list[Any]], Sequence[Any]]) -> tuple[Any, ...] | None:
    """`values` with the tensors that need a gradient passed through an `_Identity`; None if none does."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not places:
        return None

    def spread(gradients: list[Any]) -> Sequence[Any]:
        full: list[Any] = [None] * len(values)
        for i, g in zip(places, gradients, strict=True):
            full[i] = g
        full = list(receive(full))
        return [full[i] for i in places]

    node = _Identity([values[i] for i in places], spread)
    result = list(values)
    for slot, i in enumerate(places):
        given = values[i]
        passed = Tensor(given._data)
        passed._counter, passed._requires_grad = given._counter, True
        passed._node = OutputNode(node, slot)
        passed._base = base = given if given._base is None else given._base
        passed._stamp, passed._no_grad_view = base._rebased, True  # no in-place change behind the hooks' backs
        result[i] = passed
    return tuple(result)


class _Watch:
    """One call of a module whose backward pass its hooks want to see."""

    def __init__(self, module: Any, hooks: Hooks) -> None:
        self._module = module
        self._hooks = hooks
        self._has_inputs = False
        self._count = 0
        self._grad_output: tuple[Any, ...] = ()

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self._count = len(args)
        passed = _through(args, self._leave)
        self._has_inputs = passed is not None
        return args if passed is None else passed

    def outputs(self, result: Any) -> Any:
        if isinstance(result, Tensor):
            passed = _through((result,), self._enter)
            return result if passed is None else passed[0]
        if isinstance(result, (tuple, list)):
            passed = _through(tuple(result), self._enter)
            return result if passed is None else type(result)(passed)
        raise RuntimeError(
            f"{type(self._module).__name__}: backward hooks need a forward that returns a Tensor or a tuple of "
            f"Tensors, but this one returned {type(result).__name__}"
        )

    def _enter(self, gradients: list[Any]) -> Sequence[Any]:
        grad_output = tuple(gradients)
        for hook, _ in list(self._hooks.backward_pre):
            changed = hook(self._module, grad_output)
            if changed is not None:
                grad_output = self._checked("pre hook", changed, grad_output)
        self._grad_output = grad_output
        if not self._has_inputs:
            changed = self._run_backward((None,) * self._count)
            if any(g is not None for g in changed):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None "
                    "for all gradients."
                )
        return grad_output

    def _leave(self, gradients: list[Any]) -> Sequence[Any]:
        return self._run_backward(tuple(gradients))

    def _run_backward(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _ in list(self._hooks.backward):
            changed = hook(self._module, grad_input, self._grad_output)
            if changed is not None:
                grad_input = self._checked("hook", changed, grad_input)
        return grad_input

    @staticmethod
    def _checked(kind: str, changed: Any, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(gradients):
            raise RuntimeError(
                f"Backward {kind} returned an invalid number of grad_output, got {len(changed)}, but expected "
                f"{len(gradients)}"
            )
        return changed
