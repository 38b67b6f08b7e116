"""Operations of one's own: `Function`, with a forward and a backward written by hand."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .grad_mode import _Mode, state
from .graph import RELEASED, Node, OutputNode, clock, edge


class FunctionNode(Node):
    """A recorded call of a `Function`; also the context that its forward and backward share.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of the forward, whether its gradient is wanted.
    saved_tensors : tuple of Tensor
        What the forward saved.
    """

    foreign = True

    def __init__(self, function: type[Function], needs_input_grad: tuple[bool, ...]) -> None:
        super().__init__(())
        self._function = function
        self.needs_input_grad = needs_input_grad
        self._saved: Any = ()
        self._outputs: dict[int, int] = {}
        self._joints: dict[int, int] = {}  # from the places of saved outputs to the outputs' numbers
        self._sources: dict[int, weakref.ref[Node]] = {}
        self._kept: list[Any] = []
        self._positions: list[int] = []
        self._shapes: list[Any] = []
        self._input_shapes: dict[int, tuple[int, ...]] = {}
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._materialize = True

    def name(self) -> str:
        return f"{self._function.__name__}Backward"

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors (inputs or outputs of the forward) for the backward; checked there for changes."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(t).__name__}"
                )
        self._saved = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Outputs that have no gradient (indices, say)."""
        self._non_differentiable = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Inputs that the forward has changed in place and returns."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the backward gets zeros (default) or None for outputs without a gradient."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        if self._saved is RELEASED:
            raise RuntimeError(
                f"{self.name()}: Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Specify retain_graph=True if you need to "
                "backward through the graph a second time."
            )
        for t in self._kept:
            if t is not None and t._counter[1] > self.number:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace "
                    f"operation: a tensor of shape {t._data.shape} saved by {self.name()} was changed after it "
                    f"had been saved (it is at version {t._counter[0]})."
                )
        if not state.enabled:
            return tuple(self._kept)
        return tuple(self._rejoined(t, self._joints.get(at)) for at, t in enumerate(self._kept))

    def _rejoined(self, kept: Any, output: int | None) -> Any:
        """What was saved as `kept`, with the node of the output that it was, so that it can be differentiated."""
        if output is None:
            return kept
        alias = Tensor(kept._data)
        alias._counter, alias._node, alias._requires_grad = kept._counter, self._source(output), True
        return alias

    def _source(self, output: int) -> Node:
        """The node that output number `output` has."""
        if self.outputs == 1:
            return self
        known = self._sources.get(output)
        node = None if known is None else known()
        if node is None:
            node = OutputNode(self, output)
            self._sources[output] = weakref.ref(node)
        return node

    def _finish(self, differentiable: Sequence[bool]) -> None:
        """Replace saved outputs by aliases that do not hold this node, so that no cycle arises."""
        for at, t in enumerate(self._saved):
            index = None if t is None else self._outputs.get(id(t))
            if index is None:
                self._kept.append(t)
            else:
                alias = Tensor(t._data)
                alias._counter = t._counter
                self._kept.append(alias)
                if differentiable[index]:
                    self._joints[at] = index
        self._saved = tuple(self._kept)
        self.number = clock()  # later than the changes that the forward itself made

    def propagate(self, gradient: Any, wanted: Sequence[bool] | None) -> list[Any]:
        gradients = gradient if self.outputs > 1 else [gradient]
        if self._saved is RELEASED:
            _ = self.saved_tensors
        if self._materialize:
            gradients = [
                Tensor(np.zeros(shape, dtype)) if g is None else g
                for g, (shape, dtype) in zip(gradients, self._shapes, strict=True)
            ]
        results = self._function.backward(self, *gradients)
        if not isinstance(results, tuple):
            results = (results,)
        given = len(self.needs_input_grad)
        if len(results) < given or any(r is not None for r in results[given:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {given}, got "
                f"{len(results)})"
            )
        checked = []
        for position, target in zip(self._positions, self.inputs, strict=True):
            result = results[position]
            if result is not None and target is not None:
                if not isinstance(result, Tensor):
                    raise TypeError(
                        f"expected Variable or None for gradient {position} of {self.name()} (got "
                        f"{type(result).__name__})"
                    )
                shape = self._input_shapes[position]
                if result._data.shape != shape:
                    if not _broadcasts(shape, result._data.shape):
                        raise RuntimeError(
                            f"Function {self.name()} returned an invalid gradient at index {position} - got "
                            f"{list(result._data.shape)} but expected shape compatible with {list(shape)}"
                        )
                    result = result.sum_to_size(shape)
            checked.append(result)
        return checked

    def release(self) -> None:
        if self._saved:
            self._saved = RELEASED
            self._kept = []


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(
        a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False)
    )


class Function:
    """Base of operations with a derivative written by hand.

    Subclasses define static methods ``forward(ctx, *args)`` and ``backward(ctx, *grads)``; they are used by
    ``Subclass.apply(*args)``. The forward may return one tensor or a tuple; the backward takes a gradient for
    each output and returns one (or None) for each argument of the forward. As in PyTorch, a separate
    ``setup_context(ctx, inputs, output)`` may do the saving, and then ``forward(*args)`` takes no `ctx`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> class Square(ag.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * grad
    >>> x = ag.tensor([1.0, 3.0], requires_grad=True)
    >>> Square.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 6.])
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(
            "You must implement the backward function for your custom autograd.Function to use it in a "
            "backward pass."
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run the forward, and record it if a gradient may be asked for."""
        for a in args:
            if isinstance(a, Tensor):
                a._refresh()
        recording = state.enabled
        needs = tuple(recording and isinstance(a, Tensor) and a._requires_grad for a in args)
        ctx = FunctionNode(cls, needs)
        edges = [edge(a) if isinstance(a, Tensor) else None for a in args]
        with _Mode(enabled=False):
            if hasattr(cls, "setup_context"):
                results = cls.forward(*args)
                cls.setup_context(ctx, args, results)
            else:
                results = cls.forward(ctx, *args)
        outputs = results if isinstance(results, tuple) else (results,)
        for t in outputs:
            if not isinstance(t, Tensor) and t is not None and not isinstance(results, tuple):
                raise TypeError(f"{cls.__name__}.forward must return Tensors, got {type(t).__name__}")
        for t in ctx._dirty:
            t._bump()
        if not any(needs):
            return results
        tensors = [t for t in outputs if isinstance(t, Tensor)]
        fresh = [_distinct(t, args, ctx._dirty) for t in tensors]
        given = [a for a in args if not any(a is d for d in ctx._dirty)]
        ctx._outputs = {id(t): i for i, t in enumerate(tensors) if not any(t is a for a in given)}
        ctx._input_shapes = {i: a._data.shape for i, a in enumerate(args) if isinstance(a, Tensor)}
        ctx._positions = [i for i, need in enumerate(needs) if need]
        ctx.inputs = tuple(edges[i] for i in ctx._positions)
        ctx.outputs = len(fresh)
        ctx._shapes = [(t._data.shape, t._data.dtype) for t in fresh]
        differentiable = [
            t._data.dtype.kind == "f" and not any(t is n for n in ctx._non_differentiable) for t in tensors
        ]
        ctx._finish(differentiable)
        for i, t in enumerate(fresh):
            if differentiable[i]:
                t._node, t._requires_grad = ctx._source(i), True
        by_id = {id(old): t for old, t in zip(tensors, fresh, strict=True)}
        final = tuple(by_id.get(id(t), t) for t in outputs)
        return final if isinstance(results, tuple) else final[0]


def _distinct(output: Tensor, args: tuple[Any, ...], dirty: tuple[Tensor, ...]) -> Tensor:
    """`output`, or a new tensor on its data where the forward returned one of its arguments unchanged."""
    if any(output is a for a in args) and not any(output is d for d in dirty):
        alias = Tensor(output._data)
        alias._counter = output._counter
        return alias
    if output._requires_grad and not any(output is d for d in dirty):
        return output.detach()
    return output


def once_differentiable(backward: Any) -> Any:
    """Decorator for a `Function.backward` whose own result must not be differentiated again."""

    def wrapped(ctx: FunctionNode, *grads: Any) -> Any:
        if state.enabled:
            raise RuntimeError(
                f"{ctx.name()}: trying to differentiate twice a function that was marked with @once_differentiable"
            )
        return backward(ctx, *grads)

    return wrapped
