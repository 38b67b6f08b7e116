"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .api import grad
from .grad_mode import enable_grad, no_grad


class GradcheckError(RuntimeError):
    """Raised by `gradcheck` and `gradgradcheck` when a gradient is wrong."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Compare the gradients of `func` with central differences, entry by entry of the Jacobian.

    Parameters
    ----------
    func : callable
        From the inputs to a tensor or a tuple of tensors.
    inputs : Tensor or sequence
        The arguments; the gradient is checked for those that require one, which should be float64: in
        float32 the differences are too coarse.
    eps : float
        The step of the differences.
    atol, rtol : float
        ``|analytic - numerical| <= atol + rtol * |numerical|`` must hold.
    raise_exception : bool
        Raise `GradcheckError` at the first mismatch, or return False.
    nondet_tol : float
        How far two backward passes over the same graph may differ.
    check_undefined_grad : bool
        Also check that leaving out the gradient of one of several outputs amounts to a gradient of zero.
    fast_mode : bool
        Compare along one random direction instead of every entry.

    Returns
    -------
    bool
        Whether all gradients agree.

    Raises
    ------
    GradcheckError
        If they do not, naming the input, the output and the worst entry.
    ValueError
        If no input requires a gradient.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([0.5, 1.5], dtype=ag.float64, requires_grad=True)
    >>> ag.autograd.gradcheck(lambda t: t.exp() * t, x)
    True
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wanted = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    try:
        _check(func, args, wanted, eps, atol, rtol, nondet_tol, check_undefined_grad, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Compare the second derivatives of `func` with central differences of its gradients.

    Parameters
    ----------
    func, inputs
        As in `gradcheck`.
    grad_outputs : Tensor or sequence of Tensor, optional
        The gradients of the outputs, by which it is differentiated as well; default: drawn from a fixed seed.
    eps, atol, rtol, raise_exception, nondet_tol, fast_mode
        As in `gradcheck`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([0.5, 1.5], dtype=ag.float64, requires_grad=True)
    >>> ag.autograd.gradgradcheck(lambda t: t.exp() * t, x)
    True
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = [t for t in _tuple(func(*args)) if t.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        seeds = [Tensor(rng.standard_normal(t._data.shape).astype(t._data.dtype)).requires_grad_() for t in outputs]
    else:
        seeds = list(_tuple(grad_outputs))
    wanted = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def gradients(*everything: Any) -> tuple[Tensor, ...]:
        own, given = everything[: len(args)], everything[len(args) :]
        with enable_grad():
            results = [t for t in _tuple(func(*own)) if t.requires_grad]
            found = grad(results, [own[i] for i in wanted], given, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients, (*args, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=False, fast_mode=fast_mode,
    )  # fmt: skip


def _tuple(given: Any) -> tuple[Any, ...]:
    return (given,) if isinstance(given, Tensor) else tuple(given)


def _check(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    wanted: list[int],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_undefined: bool,
    fast: bool,
) -> None:
    leaves = [a.detach().clone().requires_grad_() if i in wanted else a for i, a in enumerate(args)]
    with enable_grad():
        outputs = _tuple(func(*leaves))
    before = [t._data.copy() for t in outputs]
    rng = np.random.default_rng(1)
    for o, out in enumerate(outputs):
        if out._data.dtype.kind != "f":
            continue
        # Not quite unit vectors: a backward that is not linear in its argument could pass on those.
        directions = [0.75 * v for v in _directions(out._data.shape, out._data.dtype, rng if fast else None)]
        analytic = [_vjp(out, [leaves[i] for i in wanted], v) for v in directions]
        again = [_vjp(out, [leaves[i] for i in wanted], v) for v in directions]
        for first, second in zip(analytic, again, strict=True):
            for a, b in zip(first, second, strict=True):
                if a.size and np.abs(a - b).max() > nondet_tol:
                    raise GradcheckError(f"Backward is not reentrant: two passes differ by {np.abs(a - b).max()}")
        for k, i in enumerate(wanted):
            for d, step in enumerate(_directions(leaves[i]._data.shape, leaves[i]._data.dtype, rng if fast else None)):
                change = _difference(func, leaves, i, step, o, eps)
                for r, v in enumerate(directions):
                    numerical = float((change * v).sum())
                    found = float((analytic[r][k].astype(np.float64) * step).sum())
                    if not abs(found - numerical) <= atol + rtol * abs(numerical):
                        raise GradcheckError(
                            f"Jacobian mismatch for output {o} with respect to input {i}, at output entry {r} and "
                            f"input entry {d}: numerical {numerical}, analytical {found}"
                        )
    for out, old in zip(outputs, before, strict=True):
        if not np.array_equal(out._data, old, equal_nan=True):
            raise GradcheckError("the backward pass changed the output of the function")
    if check_undefined and len([t for t in outputs if t.requires_grad]) > 1:
        _check_undefined(outputs, [leaves[i] for i in wanted])


def _directions(shape: tuple[int, ...], dtype: Any, rng: Any) -> list[np.ndarray]:
    """The unit vectors, or one random direction."""
    if rng is not None:
        return [rng.standard_normal(shape).astype(dtype)]
    units = np.eye(int(np.prod(shape, dtype=np.int64)), dtype=dtype)
    return [u.reshape(shape) for u in units]


def _vjp(out: Tensor, leaves: list[Tensor], v: np.ndarray) -> list[np.ndarray]:
    if not out.requires_grad:
        return [np.zeros(t._data.shape, t._data.dtype) for t in leaves]
    found = grad([out], leaves, [Tensor(v.copy())], retain_graph=True, allow_unused=True)
    for t, g in zip(leaves, found, strict=True):
        if g is not None and (g._data.shape != t._data.shape or g._data.dtype != t._data.dtype):
            raise GradcheckError(
                f"a gradient has shape {g._data.shape} and dtype {g._data.dtype}, its input {t._data.shape} and "
                f"{t._data.dtype}"
            )
    return [np.zeros(t._data.shape) if g is None else g._data for t, g in zip(leaves, found, strict=True)]


def _difference(
    func: Callable[..., Any], args: list[Any], i: int, step: np.ndarray, output: int, eps: float
) -> np.ndarray:
    values = []
    for sign in (1, -1):
        moved = list(args)
        moved[i] = Tensor((args[i]._data + sign * eps * step).astype(args[i]._data.dtype)).requires_grad_()
        with no_grad():
            values.append(_tuple(func(*moved))[output]._data.astype(np.float64).copy())
    return (values[0] - values[1]) / (2 * eps)


def _check_undefined(outputs: tuple[Tensor, ...], leaves: list[Tensor]) -> None:
    differentiable = [t for t in outputs if t.requires_grad]
    for skipped in range(len(differentiable)):
        ones = [Tensor(np.ones(t._data.shape, t._data.dtype)) for t in differentiable]
        without = [t for i, t in enumerate(differentiable) if i != skipped]
        missing = grad(
            without, leaves, [o for i, o in enumerate(ones) if i != skipped], retain_graph=True, allow_unused=True
        )
        ones[skipped] = Tensor(np.zeros_like(ones[skipped]._data))
        zero = grad(differentiable, leaves, ones, retain_graph=True, allow_unused=True)
        for a, b in zip(missing, zero, strict=True):
            x = 0.0 if a is None else a._data
            y = 0.0 if b is None else b._data
            if not np.allclose(x, y, equal_nan=True):
                raise GradcheckError(
                    f"leaving out the gradient of output {skipped} does not amount to a gradient of zero"
                )
