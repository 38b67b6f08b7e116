"""Operations in place, on tensors, on views, and on what has been recorded.

An in-place operation is its out-of-place twin, whose result is then written into the tensor, which takes over
the twin's node. Where the tensor is a view, its base has changed as well: the base gets a node of its own
(`copy_slices`: the old base with the new values at the positions of the view), and every view of that base
takes a new node from it when it is next looked at (`Tensor._refresh`).

All checks come before the first write. Saved tensors that the write makes stale are found in the backward
pass by the version counter that a storage shares with its views.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import state
from ..kernels import indexing, memory
from ..tensor import Tensor
from .elementwise import ElementwisePrimitive, cast, common
from .primitive import primitive


def _positions(view: np.ndarray, base: np.ndarray) -> np.ndarray:
    """For each element of `view`, its position in `base` counted in row-major order."""
    item = base.itemsize
    offset = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    address = _offsets(view.shape, view.strides) + offset
    if base.flags.c_contiguous:
        return address // item
    flat = _offsets(base.shape, base.strides).ravel()
    order = np.argsort(flat)
    return order[np.searchsorted(flat[order], address)]


def _offsets(shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    """The byte offset of each element from the first."""
    result = np.zeros(shape, np.int64)
    for axis, (extent, step) in enumerate(zip(shape, strides, strict=True)):
        along = np.arange(extent, dtype=np.int64) * step
        result += along.reshape((-1,) + (1,) * (len(shape) - axis - 1))
    return result


@primitive
def take_positions(x: np.ndarray, *, positions: np.ndarray) -> np.ndarray:
    """The elements of `x` at flat `positions`."""
    return np.ascontiguousarray(x).reshape(-1)[positions, ...]  # an array also for a single position


@primitive
def put_positions(x: np.ndarray, *, positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of `shape`, with `x` added at flat `positions`."""
    out = memory.zeros(shape, x.dtype)
    indexing.scatter_add_flat(out.reshape(-1), positions.reshape(-1), np.ascontiguousarray(x).reshape(-1))
    return out


@primitive
def zero_positions(x: np.ndarray, *, positions: np.ndarray) -> np.ndarray:
    """`x` with zeros at flat `positions`."""
    out = memory.empty(x.shape, x.dtype)
    out[...] = x
    out.reshape(-1)[positions] = 0
    return out


@primitive
def copy_slices(x: np.ndarray, value: np.ndarray, *, positions: np.ndarray) -> np.ndarray:
    """`x` with `value` at flat `positions`."""
    out = memory.empty(x.shape, x.dtype)
    out[...] = x
    out.reshape(-1)[positions] = value
    return out


@take_positions.derivative("x")
def _(g: Tensor, x_shape: tuple[int, ...], *, positions: np.ndarray) -> Tensor:
    return put_positions(g, positions=positions, shape=x_shape)


@put_positions.derivative("x")
def _(g: Tensor, *, positions: np.ndarray) -> Tensor:
    return take_positions(g, positions=positions)


@zero_positions.derivative("x")
def _(g: Tensor, *, positions: np.ndarray) -> Tensor:
    return zero_positions(g, positions=positions)


@copy_slices.derivative("x")
def _(g: Tensor, *, positions: np.ndarray) -> Tensor:
    return zero_positions(g, positions=positions)


@copy_slices.derivative("value")
def _(g: Tensor, *, positions: np.ndarray) -> Tensor:
    return take_positions(g, positions=positions)


def _rejoin(view: Tensor, base: Tensor) -> None:
    """Give `view` a node that takes its elements out of `base` as it is now."""
    view._stamp = base._rebased
    if view._no_grad_view:
        return
    view._node, view._requires_grad = None, False
    if base._requires_grad:
        positions = _positions(view._data, base._data)
        take_positions.record(view, (base,), {}, {"positions": positions})


Tensor._rejoin = _rejoin  # type: ignore[assignment, method-assign]


def check_inplace(op: str, x: Any, others: tuple[Any, ...] = ()) -> bool:
    """Refuse an in-place change that cannot be made or not be differentiated; tell whether it is recorded.

    Raises
    ------
    RuntimeError
        For a leaf that requires a gradient (or a view of one), a view made under `no_grad` that would be
        recorded, an inference tensor, or a tensor whose elements share memory.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{op}(): expected Tensor, got {type(x).__name__}")
    if x._inference and not state.inference:
        raise RuntimeError(f"{op}: Inplace update to inference tensor outside InferenceMode is not allowed.")
    data = x._data
    if 0 in data.strides and any(s == 0 and n > 1 for s, n in zip(data.strides, data.shape, strict=True)):
        raise RuntimeError(
            f"{op}: unsupported operation: more than one element of the written-to tensor refers to a single "
            "memory location. Please clone() the tensor before performing the operation."
        )
    if not state.enabled:
        return False
    x._refresh()
    recorded = x._requires_grad
    for other in others:
        if isinstance(other, Tensor):
            other._refresh()
            recorded = recorded or other._requires_grad
    base = x._base
    if x._requires_grad and x._node is None and base is None:
        raise RuntimeError(
            f"{op}: a leaf Variable that requires grad is being used in an in-place operation. Use "
            "ag.no_grad(), or an out-of-place operation."
        )
    if base is not None and base._requires_grad and base._node is None:
        raise RuntimeError(
            f"{op}: a view of a leaf Variable that requires grad is being used in an in-place operation."
        )
    if x._no_grad_view and (recorded or (base is not None and base._requires_grad)):
        raise RuntimeError(
            f"{op}: A view was created in no_grad mode and is being modified inplace with grad mode enabled. "
            "Make the view in grad mode, or modify it under no_grad."
        )
    return recorded


def snapshot(x: Tensor) -> Tensor:
    """A copy of `x` with its place in the graph: what a recorded in-place operation computes from."""
    result = Tensor(x._data.copy())
    result._node, result._requires_grad = x._node, x._requires_grad
    return result


def write(x: Tensor, result: Tensor, recorded: bool) -> None:
    """Store `result` in `x`; if the operation is `recorded`, `x` takes over its node."""
    np.copyto(x._data, result._data)
    x._bump()
    if not recorded:
        return
    base = x._base
    if base is None:
        x._node, x._requires_grad = result._node, result._requires_grad
        x._rebased += 1
        return
    old = Tensor(base._data)
    old._node, old._requires_grad = base._node, base._requires_grad
    made = Tensor(base._data)
    positions = _positions(x._data, base._data)
    copy_slices.record(made, (old, result), {}, {"positions": positions})
    base._node, base._requires_grad = made._node, True
    base._rebased += 1
    x._refresh()


def check_result(op: str, x: Tensor, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse a result that does not fit into `x`."""
    if shape != x._data.shape:
        raise RuntimeError(
            f"{op}: output with shape {list(x._data.shape)} doesn't match the broadcast shape {list(shape)}"
        )
    if not dtypes.can_cast(dtype, x._data.dtype):
        raise RuntimeError(
            f"{op}: result type {dtypes.from_numpy_dtype(dtype)!r} can't be cast to the desired output type "
            f"{x.dtype!r}"
        )


def inplace(function: Callable[..., Tensor], name: str | None = None) -> Callable[..., Tensor]:
    """The in-place twin of `function`, whose first argument it changes and returns."""
    op = name or f"{function.__name__}_"
    made = getattr(function, "primitive", None)
    kernel = made.kernel if isinstance(made, ElementwisePrimitive) else None

    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        others = (*args, *kwargs.values())
        recorded = check_inplace(op, self, others)
        if kernel is not None and not recorded and not kwargs and _directly(op, kernel, self, args):
            return self
        if recorded:
            copy = snapshot(self)
            args = tuple(_apart(self, copy, a) for a in args)
            kwargs = {k: _apart(self, copy, a) for k, a in kwargs.items()}
            result = function(copy, *args, **kwargs)
        else:
            result = function(self, *args, **kwargs)
        check_result(op, self, result._data.shape, result._data.dtype)
        if result._data.dtype != self._data.dtype:
            result = cast(result, dtype=self._data.dtype)
        write(self, result, recorded)
        return self

    changed.__name__ = changed.__qualname__ = op
    changed.__doc__ = f"In-place version of `{function.__name__}`; returns the changed tensor."
    return changed


def _apart(x: Tensor, copy: Tensor, argument: Any) -> Any:
    """`argument`, copied if the write to `x` would change it."""
    if not isinstance(argument, Tensor) or argument._counter is not x._counter:
        return argument
    return copy if argument is x else snapshot(argument)


def _directly(op: str, kernel: Any, x: Tensor, args: tuple[Any, ...]) -> bool:
    """Run `kernel` straight into the array of `x`, if nothing stands in the way."""
    data = x._data
    if data.dtype.kind != "f" or not data.flags.c_contiguous:
        return False
    if all(isinstance(a, Tensor) for a in args):
        operands = args
        if any(a._data.dtype is not data.dtype or a._counter is x._counter for a in args):
            return False
    else:
        operands = tuple(common(op, x, *args)[1:])
    if any(a._data.dtype != data.dtype or (a._data.shape != data.shape and a._data.ndim) for a in operands):
        return False
    flat = data.ravel()
    kernel.loop(flat, *[a._data.ravel() for a in operands], flat)
    x._bump()
    return True


def into(op: str, out: Tensor, function: Callable[..., Tensor], *operands: Any) -> Tensor:
    """The result of `function`, written into `out`: PyTorch's ``out=``, which cannot be differentiated.

    Raises
    ------
    RuntimeError
        If an operand or `out` is recorded, or if shape or dtype do not fit; nothing has been written then.
    """
    if state.enabled and any(isinstance(t, Tensor) and t.requires_grad for t in (out, *operands)):
        raise RuntimeError(
            f"{op}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    result = function(*operands)
    if result._data.shape != out._data.shape:
        raise RuntimeError(f"{op}(): out has shape {out._data.shape}, but the result {result._data.shape}")
    if not dtypes.can_cast(result._data.dtype, out._data.dtype):
        raise RuntimeError(f"{op}(): result type {result.dtype!r} can't be cast to the output type {out.dtype!r}")
    return out.copy_(result)
