"""Trading time for memory: recompute a part of the forward during the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.api import backward
from ..autograd.function import Function
from ..autograd.grad_mode import enable_grad, state
from ..random import default_generator
from ..tensor import Tensor


class _Checkpoint(Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:  # type: ignore[override]
        ctx.function = function
        ctx.rng_state = default_generator.get_state() if preserve_rng_state else None
        ctx.plain = [None if isinstance(a, Tensor) else a for a in args]
        ctx.positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.positions])
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if state.enabled:
            raise RuntimeError("checkpoint: the recomputed part is not differentiable twice (create_graph=True)")
        args = list(ctx.plain)
        for i, t in zip(ctx.positions, ctx.saved_tensors, strict=True):
            args[i] = t.detach().requires_grad_(t.requires_grad) if t.is_floating_point() else t
        present = default_generator.get_state()
        if ctx.rng_state is not None:
            default_generator.set_state(ctx.rng_state)
        try:
            with enable_grad():
                outputs = ctx.function(*args)
        finally:
            if ctx.rng_state is not None:
                default_generator.set_state(present)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if isinstance(o, Tensor) and o.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *(a.grad if isinstance(a, Tensor) else None for a in args))


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool = True, preserve_rng_state: bool = True
) -> Any:
    """Call `function` without keeping its intermediate results; the backward pass computes them again.

    Parameters
    ----------
    function : callable
        From the arguments to a tensor or a tuple of tensors. It is called twice, and must do the same both
        times; parameters that it uses get their gradients as usual.
    *args
        Its arguments. At least one tensor among them must require a gradient.
    use_reentrant : bool
        Accepted for PyTorch's sake: the recomputation always runs a backward pass of its own.
    preserve_rng_state : bool
        Let the second call draw the same random numbers (for dropout) as the first.

    Notes
    -----
    Chen et al., "Training deep nets with sublinear memory cost", 2016. Only first derivatives: a backward
    pass with ``create_graph=True`` raises.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> from autograd_lite.utils.checkpoint import checkpoint
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda t: t.exp().log() * t, x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    return _Checkpoint.apply(function, preserve_rng_state, *args)


def checkpoint_sequential(
    functions: Sequence[Callable[[Any], Any]], segments: int, input: Tensor, **options: Any
) -> Any:
    """Run a sequence of functions in `segments` pieces, each but the last of them as a `checkpoint`.

    Raises
    ------
    ValueError
        If there are fewer functions than segments, or no segment.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> from autograd_lite.utils.checkpoint import checkpoint_sequential
    >>> x = ag.tensor([1.0], requires_grad=True)
    >>> checkpoint_sequential([ag.exp, ag.log, ag.square], 2, x).backward()
    >>> x.grad
    tensor([2.])
    """
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"checkpoint_sequential: {segments} segments for {len(steps)} functions")

    def run(part: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def forward(value: Any) -> Any:
            for step in part:
                value = step(value)
            return value

        return forward

    size = len(steps) // segments
    for k in range(segments - 1):
        input = checkpoint(run(steps[k * size : (k + 1) * size]), input, **options)
    return run(steps[(segments - 1) * size :])(input)
