"""Making tensors: from data, filled, in ranges; and changing their dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import dtype as Dtype
from ..kernels import memory
from ..tensor import CPU, Tensor, device, method
from .elementwise import cast
from .primitive import primitive

__all__ = [
    "arange", "as_tensor", "clone", "empty", "empty_like", "eye", "from_numpy", "full", "full_like",
    "linspace", "logspace", "ones", "ones_like", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def finish(array: np.ndarray, requires_grad: bool, dev: Any = None) -> Tensor:
    if dev is not None:
        device(dev)
    result = Tensor(array)
    return result.requires_grad_() if requires_grad else result


def float_dtype(dtype: Any) -> np.dtype:
    return (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).dtype


def shape_of(op: str, size: tuple[Any, ...], keyword: Any = None) -> tuple[int, ...]:
    """The shape given as ``f(2, 3)``, ``f((2, 3))`` or ``f(size=(2, 3))``."""
    if keyword is not None:
        if size:
            raise TypeError(f"{op}() got multiple values for argument 'size'")
        size = (keyword,)
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    for extent in size:
        if isinstance(extent, bool) or not hasattr(extent, "__index__"):
            raise TypeError(f"{op}(): size must be ints, got {extent!r}")
        if extent < 0:
            raise RuntimeError(f"{op}: Trying to create tensor with negative dimension {extent}: {list(size)}")
    return tuple([int(extent) for extent in size])


def _infer(data: Any, exact: bool = False) -> np.ndarray:
    """An array of `data` in the dtype that PyTorch would infer (`exact`: Python floats stay float64)."""
    if isinstance(data, Tensor):
        return data._data
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, (list, tuple)) and any(isinstance(d, (Tensor, list, tuple)) for d in data):
        data = _plain(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"tensor(): expected sequences of equal length at every dimension ({error})") from None
    if array.dtype == object:
        if _integers_only(data):
            raise ValueError("tensor(): an integer does not fit int64")
        raise RuntimeError(f"tensor(): Could not infer dtype of {type(data).__name__}: not (a sequence of) numbers")
    if exact:
        return array
    if (array.size == 0 and array.dtype == np.float64) or (array.dtype.kind == "f" and not _numpy_inside(data)):
        return array.astype(dtypes.get_default_dtype().dtype)
    return array


def _plain(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.tolist() if data._data.ndim else data.item()
    return [_plain(d) for d in data] if isinstance(data, (list, tuple)) else data


def _integers_only(data: Any) -> bool:
    return all(map(_integers_only, data)) if isinstance(data, (list, tuple)) else isinstance(data, int)


def _check_range(array: np.ndarray, wanted: np.dtype) -> None:
    """Refuse numbers that an integer dtype cannot hold, as PyTorch does for data given as Python numbers."""
    if wanted.kind in "iu" and array.dtype.kind in "if" and array.size:
        limits = np.iinfo(wanted)
        low, high = array.min(), array.max()
        if not (low >= limits.min and high <= limits.max) and np.isfinite(low) and np.isfinite(high):
            raise RuntimeError(
                f"tensor(): value cannot be converted to type {wanted.name} without overflow: {low} to {high}"
            )


def _numpy_inside(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))


def tensor(
    data: Any,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor with a copy of `data`.

    Parameters
    ----------
    data : number, nested sequence, NumPy array or Tensor
        What to copy.
    dtype : dtype, optional
        Default: inferred; Python floats become the default dtype, Python ints int64, arrays keep theirs.
    requires_grad : bool
        Whether to record operations on it.

    Raises
    ------
    ValueError
        If nested sequences have different lengths.
    RuntimeError
        If `data` holds something other than numbers, or numbers that `dtype` cannot hold.
    TypeError
        If its dtype is not supported.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    array = _infer(data, exact=dtype is not None)
    wanted = dtypes.from_numpy_dtype(array.dtype.newbyteorder("=")).dtype if dtype is None else dtypes.to_numpy(dtype)
    if dtype is not None and not isinstance(data, (Tensor, np.ndarray)):
        _check_range(array, wanted)
    with np.errstate(all="ignore"):
        return finish(np.array(array, wanted, order="C"), requires_grad, device)


def as_tensor(data: Any, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where it already is an array or a tensor of that dtype.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> t = ag.as_tensor(a)
    >>> a[0] = 5
    >>> t
    tensor([5., 0.], dtype=autograd_lite.float64)
    """
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        made = from_numpy(data)
        return made if dtype is None else made.to(dtype)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of `array`.

    An array that is read-only, misaligned or of foreign byte order cannot be shared and is copied.

    Raises
    ------
    TypeError
        If it is not an array, or of a dtype that is not supported.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> import numpy as np
    >>> ag.from_numpy(np.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    dtype = dtypes.from_numpy_dtype(array.dtype.newbyteorder("=")).dtype
    if array.dtype is not dtype or not array.flags.writeable or not array.flags.aligned:
        array = (
            array.view(dtype)
            if array.dtype == dtype and array.flags.aligned and array.flags.writeable
            else np.array(array, dtype)
        )
    return Tensor(np.asarray(array))


def full(
    size: Sequence[int], fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of shape `size` with every element `fill_value`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.full((2,), 7.0)
    tensor([7., 7.])
    """
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if dtype is None:
        dtype = dtypes.get_default_dtype() if isinstance(fill_value, float) else type(fill_value)
    kind = dtypes.as_dtype(dtype)
    _check_range(np.asarray(fill_value), kind.dtype)
    array = memory.empty(shape_of("full", (tuple(size) if not isinstance(size, int) else (size,),)), kind.dtype)
    array.fill(fill_value)
    return finish(array, requires_grad, device)


def empty(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An uninitialised tensor.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.empty(2, 3).shape
    autograd_lite.Size([2, 3])
    """
    return finish(memory.empty(shape_of("empty", shape, size), float_dtype(dtype)), requires_grad, device)


def zeros(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.zeros(3)
    tensor([0., 0., 0.])
    """
    return finish(memory.zeros(shape_of("zeros", shape, size), float_dtype(dtype)), requires_grad, device)


def ones(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.ones(3)
    tensor([1., 1., 1.])
    """
    array = memory.empty(shape_of("ones", shape, size), float_dtype(dtype))
    array.fill(1)
    return finish(array, requires_grad, device)


def _like(input: Tensor, dtype: Any) -> np.ndarray:
    return memory.empty(input._data.shape, input._data.dtype if dtype is None else dtypes.to_numpy(dtype))


def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An uninitialised tensor of the shape and dtype of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.empty_like(ag.zeros(2)).shape
    autograd_lite.Size([2])
    """
    return finish(_like(input, dtype), requires_grad, device)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of the shape and dtype of `input` with every element `fill_value`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.full_like(ag.zeros(2), 7)
    tensor([7., 7.])
    """
    array = _like(input, dtype)
    array.fill(fill_value)
    return finish(array, requires_grad, device)


def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros of the shape and dtype of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.zeros_like(ag.ones(2))
    tensor([0., 0.])
    """
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones of the shape and dtype of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.ones_like(ag.zeros(2))
    tensor([1., 1.])
    """
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix (`n` rows, `m` columns).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape_of("eye", (n, n if m is None else m))
    return finish(np.eye(n, m, dtype=float_dtype(dtype)), requires_grad, device)


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from `start` up to, not including, `end`, at distance `step`.

    Raises
    ------
    RuntimeError
        If `step` is zero or leads away from `end`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.arange(3)
    tensor([0, 1, 2])
    >>> ag.arange(1, 2, 0.5)
    tensor([1.0000, 1.5000])
    """
    if end is None:
        start, end = None, start
    if end is None:
        raise TypeError("arange(): missing argument 'end'")
    start = 0 if start is None else start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    floating = any(isinstance(v, float) for v in (start, end, step))
    kind = dtypes.get_default_dtype() if floating else dtypes.int64
    wanted = kind.dtype if dtype is None else dtypes.to_numpy(dtype)
    return finish(np.arange(start, end, step).astype(wanted), requires_grad, device)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `end`, both included.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, got {steps}")
    start, end = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    return finish(np.linspace(start, end, steps).astype(float_dtype(dtype)), requires_grad, device)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from ``base ** start`` to ``base ** end``, evenly spaced in their logarithm.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if steps < 0:
        raise RuntimeError(f"logspace: number of steps must be non-negative, got {steps}")
    return finish(np.logspace(start, end, steps, base=base).astype(float_dtype(dtype)), requires_grad, device)


@primitive
def _clone(x: np.ndarray) -> np.ndarray:
    out = memory.empty(x.shape, x.dtype)
    out[...] = x
    return out


@_clone.derivative("x")
def _(g: Tensor) -> Tensor:
    return g


@method
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own; the gradient passes through unchanged.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.ones(2)
    >>> ag.clone(x).data_ptr() == x.data_ptr()
    False
    """
    return _clone(input)


@method
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if it lies in memory in row-major order, else a copy that does."""
    return self if self._data.flags.c_contiguous else _clone(self)


@method
def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **options: Any) -> Tensor:
    """The tensor in another dtype (or on another device, of which there is only the CPU).

    Accepts a dtype, a device, or a tensor whose dtype is wanted, as PyTorch does. Differentiable.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.ones(2).to("cpu").to(ag.int64)
    tensor([1, 1])
    """
    for option in options:
        if option not in ("non_blocking", "memory_format"):
            raise TypeError(f"to() got an unexpected keyword argument {option!r}")
    for given in args:
        if isinstance(given, Tensor):
            dtype = given.dtype
        elif isinstance(given, Dtype) or given in (float, int, bool):
            dtype = given
        elif isinstance(given, bool):
            continue
        elif given is not None:
            device = given
    if device is not None and device is not CPU:
        _check_device(device)
    wanted = self._data.dtype if dtype is None else dtypes.to_numpy(dtype)
    if wanted == self._data.dtype:
        return clone(self) if copy else self
    return cast(self, dtype=wanted)


def _check_device(given: Any) -> None:
    device(given)


def _type(self: Tensor, dtype: Any = None) -> Any:
    """The tensor's type by name, or the tensor in another dtype."""
    if dtype is not None:
        return to(self, dtype=dtypes.as_dtype(dtype))
    names = {"float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int", "int16": "Short",
             "int8": "Char", "uint8": "Byte", "bool": "Bool"}  # fmt: skip
    return f"autograd_lite.{names[self._data.dtype.name]}Tensor"


method(_type, name="type")
method(lambda self, other: to(self, dtype=other.dtype), name="type_as")
for _name, _dtype in {
    "float": dtypes.float32, "double": dtypes.float64, "long": dtypes.int64, "int": dtypes.int32,
    "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool_,
}.items():  # fmt: skip
    method(lambda self, _dtype=_dtype: to(self, dtype=_dtype), name=_name)


def _new(function: Any) -> Any:
    def new(self: Tensor, *args: Any, dtype: Any = None, **options: Any) -> Tensor:
        return function(*args, dtype=self.dtype if dtype is None else dtype, **options)

    new.__doc__ = f"`{function.__name__}` with this tensor's dtype by default."
    return new


for _function in (zeros, ones, empty, full, tensor):
    method(_new(_function), name=f"new_{_function.__name__}")
