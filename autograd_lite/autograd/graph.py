"""The graph and the backward pass.

A `Node` stands for one recorded operation. It knows the targets of its inputs (the nodes that made them,
or the leaf tensors themselves) and how to turn the gradient of its output into theirs. Nodes are numbered
as they are made, so a node's number is higher than those of everything it depends on: the backward pass
takes pending nodes from a heap, highest number first, and needs neither recursion nor a separate sort.

The engine knows no maths: gradients are tensors, and all that it asks of them is ``+``, `clone` and
`_accumulate` (add in place).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from .grad_mode import anomaly, state

RELEASED: Any = object()
"""What a node holds instead of its saved tensors once they have been freed."""

clock = count(1).__next__
"""Numbers nodes and in-place changes in one sequence: a tensor that a node saved is stale if it was changed at a
time after the node's own number."""


class Watch:
    """Who looks at the gradient that arrives at a node.

    Attributes
    ----------
    trace : str or None
        The user's line that made the node (in anomaly mode).
    hooks : list
        Functions that see, and may replace, the gradient of the output before it is propagated.
    retained : weakref or None
        The tensor whose ``.grad`` is to be filled although it is not a leaf.
    """

    __slots__ = ("hooks", "retained", "trace")

    def __init__(self, trace: str | None = None) -> None:
        self.trace = trace
        self.hooks: list[Callable[..., Any]] = []
        self.retained: Any = None


class Node:
    """One recorded operation.

    Attributes
    ----------
    inputs : tuple
        For each input of the operation: the `Node` that made it, the leaf tensor itself, or None where
        no gradient is needed.
    number : int
        Higher than the numbers of all nodes that this one depends on.
    watch : Watch or None
        Who wants to see the gradient of the output.
    """

    __slots__ = ("__weakref__", "inputs", "number", "watch")
    slot: int | None = None
    outputs = 1
    foreign = False
    """Whether `propagate` may return buffers that somebody else holds, which must not be added to in place."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = inputs
        self.number = clock()
        self.watch: Watch | None = Watch(caller()) if anomaly.enabled else None

    def watched(self) -> Watch:
        """The node's `Watch`, made if there is none."""
        if self.watch is None:
            self.watch = Watch()
        return self.watch

    def propagate(self, gradient: Any, wanted: Sequence[bool] | None) -> Sequence[Any]:
        """The gradients of the inputs, given that of the output (where `wanted`, if that is given)."""
        raise NotImplementedError

    def release(self) -> None:
        """Forget the saved tensors."""

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes of the inputs, each with the number of its output, as in PyTorch."""
        edges = []
        for target in self.inputs:
            if isinstance(target, Node) and target.slot is not None:
                edges.append((target.inputs[0], target.slot))
            elif isinstance(target, Node) or target is None:
                edges.append((target, 0))
            else:
                edges.append((AccumulateGrad(target), 0))
        return tuple(edges)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class AccumulateGrad(Node):
    """How a leaf shows itself in `next_functions`: the end of a path, where ``.grad`` is accumulated."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        super().__init__(())
        self.variable = variable


class OutputNode(Node):
    """One of several outputs of a node; gathers that output's gradient for it."""

    __slots__ = ("slot",)

    def __init__(self, node: Node, slot: int) -> None:
        super().__init__((node,))
        self.slot = slot

    def name(self) -> str:
        return self.inputs[0].name()


def edge(tensor: Any) -> Any:
    """What the gradient of `tensor` flows to: its node, itself if it is a leaf that wants one, or None."""
    if not tensor._requires_grad:
        return None
    return tensor._node or tensor


def caller() -> str:
    """The user's line that is now executing, for anomaly detection."""
    package = __name__.split(".")[0]
    frames = traceback.extract_stack()
    outside = [f for f in frames if f"{package}/" not in f.filename.replace("\\", "/")]
    frame = (outside or frames)[-1]
    return f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}'


def run_backward(
    roots: Iterable[tuple[Any, Any]],
    *,
    keep_graph: bool,
    create_graph: bool,
    inputs: Sequence[Any] | None = None,
    accumulate: bool = True,
) -> dict[int, Any]:
    """Propagate gradients from `roots` to the leaves.

    Parameters
    ----------
    roots : pairs of (target, gradient)
        Where to start.
    keep_graph : bool
        Keep what the nodes have saved, for another pass.
    create_graph : bool
        Record the pass itself, so that its results can be differentiated.
    inputs : sequence of targets, optional
        Compute only what leads to these.
    accumulate : bool
        Add to the ``.grad`` of the leaves (of `inputs` only, where given).

    Returns
    -------
    dict
        With `inputs`: from the ``id`` of each target that was reached to its gradient.

    Notes
    -----
    Leaves are written at the very end: a pass that raises leaves every ``.grad`` as it was.
    """
    needed = None if inputs is None else _leading_to(inputs, [target for target, _ in roots])
    requested = {id(target) for target in inputs or ()}
    captured: dict[int, Any] = {}
    pending: dict[Any, Any] = {}  # node -> its gradient so far (a list, for several outputs)
    owned: set[Any] = set()  # the nodes whose pending gradient may be added to in place
    leaves: dict[int, list[Any]] = {}  # id -> [leaf, gradient, whether it may be kept as it is]
    heap: list[tuple[int, Node]] = []

    def deliver(target: Any, gradient: Any, may_own: bool) -> None:
        if isinstance(target, Node):
            present = pending.get(target)
            if present is None:
                pending[target] = gradient
                heappush(heap, (-target.number, target))
                if may_own:
                    owned.add(target)
            elif target in owned and not create_graph:
                present._accumulate(gradient)
            else:
                pending[target] = present + gradient
                owned.add(target)
            return
        entry = leaves.get(id(target))
        if entry is None:
            leaves[id(target)] = [target, gradient, may_own]
        elif entry[2] and not create_graph:
            entry[1]._accumulate(gradient)
        else:
            entry[1], entry[2] = entry[1] + gradient, True

    before = state.enabled
    check_nan = anomaly.enabled and anomaly.check_nan
    state.enabled = create_graph
    try:
        for target, gradient in roots:
            if needed is None or target in needed:
                deliver(target, gradient, False)
        wanted = None
        while heap:
            node = heappop(heap)[1]
            gradient = pending.pop(node)
            if node.watch is not None:
                gradient = _watch(node.watch, gradient, accumulate)
            if needed is not None:
                if id(node) in requested:
                    captured[id(node)] = gradient if node in owned else gradient.clone()
                wanted = [target in needed for target in node.inputs]
                if True not in wanted:
                    continue
            if node.slot is not None:
                parent = node.inputs[0]
                if parent not in pending:
                    pending[parent] = [None] * parent.outputs
                    heappush(heap, (-parent.number, parent))
                slots = pending[parent]
                present = slots[node.slot]  # several nodes may stand for one output, in derivatives of derivatives
                slots[node.slot] = gradient if present is None else present + gradient
                continue
            results = node.propagate(gradient, wanted)
            if check_nan:
                _check_nan(node, results)
            for target, result in zip(node.inputs, results, strict=True):
                if target is not None and result is not None and (needed is None or target in needed):
                    deliver(target, result, result is not gradient and result._base is None and not node.foreign)
            if not keep_graph:
                node.release()
            del gradient, results
        for entry in leaves.values():
            leaf, gradient, may_own = entry
            if leaf._hooks is not None:
                entry[1] = run_hooks(leaf._hooks, gradient)
                entry[2] = may_own and entry[1] is gradient
            if inputs is not None and id(leaf) in requested:
                captured[id(leaf)] = entry[1] if entry[2] else entry[1].clone()
        if accumulate:
            for leaf, gradient, may_own in leaves.values():
                if inputs is None or id(leaf) in requested:
                    _accumulate(leaf, gradient, may_own, create_graph)
    finally:
        state.enabled = before
    return captured


def _leading_to(inputs: Sequence[Any], roots: Sequence[Any]) -> set[Any]:
    """The nodes and leaves from which the backward pass reaches one of `inputs`, these included."""
    found: set[Any] = set()
    todo, nodes = list(roots), []
    while todo:
        node = todo.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            nodes.append(node)
            todo += node.inputs
    needed = set(inputs)
    for node in sorted(nodes, key=lambda n: n.number):
        if any(target in needed for target in node.inputs if target is not None):
            needed.add(node)
    return needed


def run_hooks(hooks: list[Callable[..., Any]], gradient: Any) -> Any:
    for hook in list(hooks):
        replaced = hook(gradient)
        if replaced is not None:
            if tuple(replaced.shape) != tuple(gradient.shape):
                raise RuntimeError(
                    f"hook {getattr(hook, '__name__', hook)!r} has changed the size of the gradient: "
                    f"expected {tuple(gradient.shape)}, got {tuple(replaced.shape)}"
                )
            gradient = replaced
    return gradient


def _accumulate(leaf: Any, gradient: Any, may_own: bool, create_graph: bool) -> None:
    present = leaf._grad
    if present is None:
        leaf._grad = gradient if may_own else gradient.clone()
    elif create_graph:
        leaf._grad = present + gradient
    else:
        present._accumulate(gradient)
    if leaf._post_hooks is not None:
        for hook in list(leaf._post_hooks):
            hook(leaf)


def _watch(watch: Watch, gradient: Any, accumulate: bool) -> Any:
    if watch.hooks:
        gradient = run_hooks(watch.hooks, gradient)
    tensor = None if watch.retained is None or not accumulate else watch.retained()
    if tensor is not None:
        tensor._grad = gradient.clone() if tensor._grad is None else tensor._grad + gradient
    return gradient


def _check_nan(node: Node, results: Sequence[Any]) -> None:
    for i, result in enumerate(results):
        if result is not None and bool(result.isnan().any()):
            trace = None if node.watch is None else node.watch.trace
            raise RuntimeError(
                f"Function {node.name()!r} returned nan values in its {i}th output. "
                f"The forward operation was called here:\n{trace or '  (recorded without anomaly mode)'}"
            )

