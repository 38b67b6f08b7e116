"""Vector-Jacobian and Jacobian-vector products, Jacobians and Hessians of functions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .api import grad
from .grad_mode import enable_grad

Tensors = Tensor | tuple[Tensor, ...]


def _inputs(inputs: Tensors, create_graph: bool) -> tuple[tuple[Tensor, ...], bool]:
    """The inputs as tensors to differentiate by, and whether a single one was given."""
    single = isinstance(inputs, Tensor)
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    for t in given:
        if not isinstance(t, Tensor):
            raise TypeError(f"the inputs must be Tensors, got {type(t).__name__}")
    if create_graph:
        return tuple(t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in given), single
    return tuple(t.detach().requires_grad_() for t in given), single


def _outputs(op: str, outputs: Any) -> tuple[tuple[Tensor, ...], bool]:
    single = isinstance(outputs, Tensor)
    result = (outputs,) if single else outputs
    if not isinstance(result, tuple) or not all(isinstance(t, Tensor) for t in result):
        raise TypeError(f"{op}: the function must return a Tensor or a tuple of Tensors, got {type(outputs).__name__}")
    return result, single


def _vector(op: str, v: Any, like: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) != 1 or like[0]._data.size != 1:
            raise RuntimeError(f"{op}: the vector v can only be None if the {what} is a single element")
        return (like[0].new_ones(like[0]._data.shape),)
    vectors = (v,) if isinstance(v, Tensor) else tuple(v)
    if [t._data.shape for t in vectors] != [t._data.shape for t in like]:
        raise RuntimeError(
            f"{op}: v has shapes {[t._data.shape for t in vectors]}, the {what} has {[t._data.shape for t in like]}"
        )
    return vectors


def _unwrap(tensors: tuple[Any, ...], single: bool) -> Any:
    return tensors[0] if single else tensors


def _grad(
    outputs: tuple[Tensor, ...], inputs: tuple[Tensor, ...], vectors: Any, create_graph: bool, strict: bool, op: str
) -> tuple[Tensor, ...]:
    used = [(t, v) for t, v in zip(outputs, vectors, strict=True) if t.requires_grad]
    found: tuple[Any, ...] = (None,) * len(inputs)
    if used:
        found = grad([t for t, _ in used], inputs, [v for _, v in used], True, create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{op}: the output of the function is independent of an input, which strict=True forbids")
    return tuple(t.new_zeros(t._data.shape) if g is None else g for g, t in zip(found, inputs, strict=True))


def _detach(tensors: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    return tensors if create_graph else tuple(t.detach() for t in tensors)


def vjp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func` and the product of `v` with its Jacobian, ``v @ J``.

    Parameters
    ----------
    func : callable
        From tensors to a tensor or a tuple of tensors.
    inputs : Tensor or tuple of Tensor
        Where.
    v : Tensor or tuple of Tensor, optional
        Of the shape of the output; may be left out if that is one element.
    create_graph : bool
        Make the result differentiable.
    strict : bool
        Raise if an output does not depend on an input, instead of returning zeros.

    Returns
    -------
    (outputs, products)

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0])
    >>> ag.autograd.functional.vjp(lambda t: t * t, x, ag.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        args, single = _inputs(inputs, create_graph)
        outputs, one = _outputs("vjp", func(*args))
        vectors = _vector("vjp", v, outputs, "output")
        products = _grad(outputs, args, vectors, create_graph, strict, "vjp")
    return _unwrap(_detach(outputs, create_graph), one), _unwrap(_detach(products, create_graph), single)


def jvp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func` and the product of its Jacobian with `v`, ``J @ v``.

    Computed by two reverse passes: the product ``u @ J`` is linear in ``u``, and its derivative with respect
    to ``u`` along `v` is ``J @ v`` (the "double backwards trick").

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in `vjp`.
    v : Tensor or tuple of Tensor, optional
        Of the shape of the inputs; may be left out if that is one element.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0])
    >>> ag.autograd.functional.jvp(lambda t: (t * t).sum(), x, ag.ones(2))
    (tensor(5.), tensor(6.))
    """
    with enable_grad():
        args, _ = _inputs(inputs, create_graph)
        vectors = _vector("jvp", v, args, "input")
        outputs, one = _outputs("jvp", func(*args))
        probes = tuple(t.new_zeros(t._data.shape).requires_grad_() for t in outputs)
        products = _grad(outputs, args, probes, True, strict, "jvp")
        linear = tuple(p for p in products)
        results = _grad(linear, probes, vectors, create_graph, False, "jvp")
    return _unwrap(_detach(outputs, create_graph), one), _unwrap(_detach(results, create_graph), one)


def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func`: for each output and input a tensor of shape ``output.shape + input.shape``.

    `vectorize` and `strategy` are accepted for PyTorch's sake: there, they change the time it takes, not the result.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.autograd.functional.jacobian(lambda t: t * t, ag.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    with enable_grad():
        args, single = _inputs(inputs, create_graph)
        outputs, one = _outputs("jacobian", func(*args))
        rows = tuple(_rows(i, outputs, args, create_graph, strict) for i in range(len(outputs)))
    table = tuple(_unwrap(_detach(row, create_graph), single) for row in rows)
    return _unwrap(table, one)


def _rows(
    i: int, outputs: tuple[Tensor, ...], args: tuple[Tensor, ...], create_graph: bool, strict: bool
) -> tuple[Tensor, ...]:
    out = outputs[i]
    shape = out._data.shape
    gradients: list[list[Tensor]] = [[] for _ in args]
    for k in range(out._data.size):
        unit = np.zeros(shape, out._data.dtype)
        unit.reshape(-1)[k] = 1
        for column, g in zip(
            gradients, _grad((out,), args, (Tensor(unit),), create_graph, strict, "jacobian"), strict=True
        ):
            column.append(g)
    return tuple(
        _stack(column).reshape(*shape, *t._data.shape) if column else t.new_zeros((*shape, *t._data.shape))
        for column, t in zip(gradients, args, strict=True)
    )


def _stack(rows: list[Tensor]) -> Tensor:
    """Rows one above the other, each written into zeros so that the sum keeps the graph."""
    total = rows[0].new_zeros((len(rows), *rows[0]._data.shape))
    for k, row in enumerate(rows):
        mask = np.zeros((len(rows),) + (1,) * row._data.ndim, row._data.dtype)
        mask[k] = 1
        total = total + Tensor(mask) * row
    return total


def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with a single number as its value.

    `vectorize` and `outer_jacobian_strategy` are accepted as `jacobian` accepts them.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.autograd.functional.hessian(lambda t: (t ** 3).sum(), ag.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    single = isinstance(inputs, Tensor)

    def gradient(*args: Tensor) -> tuple[Tensor, ...]:
        return _scalar_grad("hessian", func, args, strict)

    given = (inputs,) if isinstance(inputs, Tensor) else inputs
    table = jacobian(gradient, given, create_graph, strict)
    return table[0][0] if single else table


def _scalar_grad(op: str, func: Callable[..., Any], args: tuple[Tensor, ...], strict: bool) -> tuple[Tensor, ...]:
    outputs, one = _outputs(op, func(*args))
    if not one or outputs[0]._data.size != 1:
        raise RuntimeError(f"The function given to {op} should return a single element, got shapes "
                           f"{[t._data.shape for t in outputs]}")  # fmt: skip
    return _grad(outputs, args, (outputs[0].new_ones(outputs[0]._data.shape),), True, strict, op)


def vhp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func` and the product ``v @ H`` with its Hessian, at the cost of two passes.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0])
    >>> ag.autograd.functional.vhp(lambda t: (t ** 3).sum(), x, ag.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        args, single = _inputs(inputs, create_graph)
        vectors = _vector("vhp", v, args, "input")
        outputs, _ = _outputs("vhp", func(*args))
        if len(outputs) != 1 or outputs[0]._data.size != 1:
            raise RuntimeError("The function given to vhp should return a single element")
        first = _grad(outputs, args, (outputs[0].new_ones(outputs[0]._data.shape),), True, strict, "vhp")
        products = _grad(first, args, vectors, create_graph, strict, "vhp")
    return _unwrap(_detach(outputs, create_graph), True), _unwrap(_detach(products, create_graph), single)


def hvp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func` and the product ``H @ v``; the same as `vhp`, for the Hessian is symmetric.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0])
    >>> ag.autograd.functional.hvp(lambda t: (t ** 3).sum(), x, ag.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return vhp(func, inputs, v, create_graph, strict)
