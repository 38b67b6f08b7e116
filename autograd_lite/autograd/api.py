"""`backward` and `grad`: the backward pass from several tensors at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor, leaf_target, root_target, seed
from .graph import run_backward


def _tuple(given: Any) -> tuple[Any, ...]:
    return (given,) if isinstance(given, Tensor) or given is None else tuple(given)


def _roots(op: str, tensors: tuple[Tensor, ...], gradients: Any) -> list[tuple[Any, Tensor]]:
    seeds = _tuple(gradients) if gradients is not None else (None,) * len(tensors)
    if len(seeds) != len(tensors):
        raise RuntimeError(f"{op}: got {len(tensors)} tensors and {len(seeds)} gradients")
    return [(root_target(t), seed(t, g)) for t, g in zip(tensors, seeds, strict=True)]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the sum of the gradients of `tensors` to the ``.grad`` of the leaves.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
        What to differentiate.
    grad_tensors : Tensor or sequence, optional
        A gradient for each; may be None for a tensor of one element.
    retain_graph, create_graph, inputs
        As in `Tensor.backward`.

    Raises
    ------
    RuntimeError
        As `Tensor.backward`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor(3.0, requires_grad=True)
    >>> ag.autograd.backward([x * 2, x * x])
    >>> x.grad
    tensor(8.)
    """
    roots = _roots("backward", _tuple(tensors), grad_tensors)
    wanted = None if inputs is None else [leaf_target(t) for t in _tuple(inputs)]
    if wanted == []:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    keep = create_graph if retain_graph is None else retain_graph
    run_backward(roots, keep_graph=keep, create_graph=create_graph, inputs=wanted)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`; no ``.grad`` is touched.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What to differentiate.
    inputs : Tensor or sequence of Tensor
        With respect to what; leaves or intermediate results.
    grad_outputs : Tensor or sequence, optional
        The vector of the vector-Jacobian product, one for each output.
    retain_graph : bool, optional
        Keep the saved tensors for another pass; default: `create_graph`.
    create_graph : bool
        Record this pass, so that its results can be differentiated.
    only_inputs : bool
        True; there is no other way (the parameter is PyTorch's).
    allow_unused : bool, optional
        Give None for an input that the outputs do not depend on, instead of an error.
    materialize_grads : bool
        Give zeros for it.

    Returns
    -------
    tuple of Tensor
        One for each input.

    Raises
    ------
    RuntimeError
        If an input does not require a gradient, or was not used (unless allowed).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor(3.0, requires_grad=True)
    >>> (first,) = ag.autograd.grad(x ** 3, x, create_graph=True)
    >>> ag.autograd.grad(first, x)
    (tensor(18.),)
    """
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is not supported; use autograd.backward to accumulate into leaves")
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True")
    sources = _tuple(inputs)
    roots = _roots("grad", _tuple(outputs), grad_outputs)
    targets = [leaf_target(t) for t in sources]
    keep = create_graph if retain_graph is None else retain_graph
    found = run_backward(
        roots, keep_graph=keep, create_graph=create_graph, inputs=targets, accumulate=False
    )
    results = []
    for t, target in zip(sources, targets, strict=True):
        gradient = found.get(id(target))
        if gradient is None:
            if materialize_grads:
                gradient = t.new_zeros(t._data.shape)
            elif not allow_unused:
                raise RuntimeError(
                    "One of the differentiated Tensors appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
        results.append(gradient)
    return tuple(results)
