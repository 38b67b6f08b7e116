"""Pooling: maximum and mean over windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels import pool
from ..tensor import Tensor
from .arithmetic import where as choose
from .creation import zeros
from .primitive import primitive

Ints = tuple[int, ...]
contiguous = np.ascontiguousarray

__all__ = [
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "avg_pool1d", "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip


def extents(op: str, name: str, value: Any, axes: int) -> Ints:
    """An argument that is one int, or an int for each axis.

    Raises
    ------
    TypeError
        If it holds something else than ints.
    RuntimeError
        If their number is wrong.
    """
    if type(value) is int:
        return (value,) * axes
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in given:
        if isinstance(item, bool) or not hasattr(item, "__index__"):
            raise TypeError(f"{op}(): argument {name!r} must be int or a tuple of ints, not {value!r}")
    if len(given) not in (1, axes):
        raise RuntimeError(f"{op}: {name} must either be a single int, or a tuple of {axes} ints, got {value!r}")
    given = tuple([int(item) for item in given])
    return given * axes if len(given) == 1 else given


def _check(op: str, input: Any, axes: int) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"{op}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {input.dtype!r}; expected a floating dtype")
    shape = input._data.shape
    if len(shape) not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"{op}: Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim batch size for input, "
            f"but got: {list(shape)}"
        )
    if 0 in shape[len(shape) - axes - 1 :]:
        raise RuntimeError(
            f"{op}: Expected input to have non-zero size for non-batch dimensions, but got {list(shape)}"
        )


# Maximum. `where` is what the kernel remembers of the places of the maxima.


@primitive
def _max_pool(x: Any, *, window: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Any:
    out, where = pool.max_pool(contiguous(x), window, stride, padding, dilation, ceil_mode)
    return out, {"where": where}


@primitive(name="max_pool_relu")
def _rectified(x: Any, *, window: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Any:
    out, where = pool.max_pool(contiguous(x), window, stride, padding, dilation, ceil_mode, True)
    return out, {"where": where}


@primitive
def _adaptive_max_pool(x: Any, *, window: Ints) -> Any:
    out, where = pool.adaptive_max_pool(contiguous(x), window)
    return out, {"where": where}


@primitive(name="max_pool_backward")
def to_maxima(x: Any, *, where: Any, shape: Ints, axes: int) -> Any:
    """Each element of `x` goes where its window's maximum was."""
    return pool.max_pool_backward(contiguous(x), where, shape, axes)


@to_maxima.derivative("x")
def _(g: Tensor, x_shape: Ints, *, where: Any, shape: Ints, axes: int) -> Tensor:
    index = pool.max_pool_indices(where, shape)
    found = Tensor(index.reshape((*shape[:-axes], math.prod(index.shape[-axes:]))))
    taken = g.reshape((*shape[:-axes], math.prod(shape[-axes:]))).gather(-1, found.clamp(min=0))
    if index.size and index.min() < 0:  # windows without any element, or below a ReLU
        taken = choose(found >= 0, taken, 0)
    return taken.reshape(x_shape)


@_rectified.derivative("x")
@_adaptive_max_pool.derivative("x")
@_max_pool.derivative("x")
def _(g: Tensor, where: Tensor, x_shape: Ints, *, window: Ints) -> Tensor:
    return to_maxima(g, where=where._data, shape=x_shape, axes=len(window))


@_rectified.fused("x")
@_adaptive_max_pool.fused("x")
@_max_pool.fused("x")
def _(g: Any, where: Any, x_shape: Ints, *, window: Ints) -> Any:
    return pool.max_pool_backward(contiguous(g), where, x_shape, len(window))


# Mean: linear, and so is its derivative, whose derivative is the mean again.


@primitive
def _avg_pool(
    x: Any, *, window: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_pad: bool, divisor: int | None
) -> Any:
    return pool.avg_pool(contiguous(x), window, stride, padding, ceil_mode, count_pad, divisor)


@primitive(name="avg_pool_backward")
def _avg_pool_backward(x: Any, *, shape: Ints, options: dict[str, Any]) -> Any:
    window, stride, padding, ceil_mode, count_pad, divisor = options.values()
    return pool.avg_pool_backward(contiguous(x), shape, window, stride, padding, ceil_mode, count_pad, divisor)


@_avg_pool.derivative("x")
def _(
    g: Tensor, x_shape: Ints, *, window: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_pad: bool,
    divisor: int | None,
) -> Tensor:  # fmt: skip
    options = {"window": window, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    return _avg_pool_backward(g, shape=x_shape, options={**options, "count_pad": count_pad, "divisor": divisor})


@_avg_pool.fused("x")
def _(
    g: Any, x_shape: Ints, *, window: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_pad: bool,
    divisor: int | None,
) -> Any:  # fmt: skip
    return pool.avg_pool_backward(contiguous(g), x_shape, window, stride, padding, ceil_mode, count_pad, divisor)


@_avg_pool_backward.derivative("x")
def _(g: Tensor, *, options: dict[str, Any]) -> Tensor:
    return _avg_pool(g, **options)


@primitive
def _adaptive_avg_pool(x: Any, *, size: Ints) -> Any:
    return pool.adaptive_avg_pool(contiguous(x), size)


@primitive(name="adaptive_avg_pool_backward")
def _adaptive_avg_pool_backward(x: Any, *, shape: Ints, size: Ints) -> Any:
    return pool.adaptive_avg_pool_backward(contiguous(x), shape, size)


@_adaptive_avg_pool.derivative("x")
def _(g: Tensor, x_shape: Ints, *, size: Ints) -> Tensor:
    return _adaptive_avg_pool_backward(g, shape=x_shape, size=size)


@_adaptive_avg_pool_backward.derivative("x")
def _(g: Tensor, *, size: Ints) -> Tensor:
    return _adaptive_avg_pool(g, size=size)


# The public functions, one for each number of axes


def _max_options(
    op: str, axes: int, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> dict[str, Any]:  # fmt: skip
    window = extents(op, "kernel_size", kernel_size, axes)
    return {
        "window": window,
        "stride": window if stride is None or stride == [] else extents(op, "stride", stride, axes),
        "padding": extents(op, "padding", padding, axes),
        "dilation": extents(op, "dilation", dilation, axes),
        "ceil_mode": bool(ceil_mode),
    }


def _max_pool_relu(axes: int, input: Tensor, *args: Any) -> Tensor:
    """``relu(max_pool(input, *args))`` over so many axes in one pass, to the bit; arguments up to `ceil_mode`."""
    op = f"max_pool{axes}d"
    _check(op, input, axes)
    return _rectified(input, **_max_options(op, axes, *args))


def _max_function(axes: int) -> Callable[..., Any]:
    op = f"max_pool{axes}d"

    def max_pool(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        _check(op, input, axes)
        options = _max_options(op, axes, kernel_size, stride, padding, dilation, ceil_mode)
        out, extras = _max_pool.run(input, **options)
        if not return_indices:
            return out
        return out, Tensor(pool.max_pool_indices(extras["where"], input._data.shape))

    return _described(max_pool, op, axes, f"""The largest element of every window.

    Parameters
    ----------
    input : Tensor, ([N,] C, {_names(axes)})
    kernel_size, stride, padding, dilation : int or tuple of {axes} ints
        The window; the distance between windows (default: `kernel_size`); how far windows reach over the edge, at
        most half their size (what lies there never is the largest); the distance within the window.
    ceil_mode : bool
        Also count a last window that reaches over the end.
    return_indices : bool
        Give as well where the elements were found, as indices into the flattened {_names(axes)}.

    Raises
    ------
    RuntimeError
        If the extents do not fit each other.

    Notes
    -----
    Gradient: ``g`` goes to the first of the largest elements. NaN counts as the largest.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.arange(4.0).reshape(1, {", ".join(["1"] * (axes - 1))}{", " if axes > 1 else ""}4)
    >>> ag.nn.functional.{op}(x, {_last(axes)}).flatten()
    tensor([1., 3.])
    """)  # fmt: skip


def _avg_function(axes: int) -> Callable[..., Tensor]:
    op = f"avg_pool{axes}d"

    def avg_pool(
        input: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        _check(op, input, axes)
        window = extents(op, "kernel_size", kernel_size, axes)
        return _avg_pool(
            input,
            window=window,
            stride=window if stride is None or stride == [] else extents(op, "stride", stride, axes),
            padding=extents(op, "padding", padding, axes),
            ceil_mode=bool(ceil_mode),
            count_pad=bool(count_include_pad),
            divisor=divisor_override,
        )

    if axes == 1:

        def avg_pool1d(
            input: Tensor,
            kernel_size: int | Sequence[int],
            stride: int | Sequence[int] | None = None,
            padding: int | Sequence[int] = 0,
            ceil_mode: bool = False,
            count_include_pad: bool = True,
        ) -> Tensor:
            return avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)

    override = """
    divisor_override : int, optional
        What to divide by instead of the number of elements.""" if axes > 1 else ""  # fmt: skip
    return _described(avg_pool1d if axes == 1 else avg_pool, op, axes, f"""The mean of every window.

    Parameters
    ----------
    input : Tensor, ([N,] C, {_names(axes)})
    kernel_size, stride, padding : int or tuple of {axes} ints
        The window; the distance between windows (default: `kernel_size`); how far windows reach over the edge.
    ceil_mode : bool
        Also count a last window that reaches over the end.
    count_include_pad : bool
        Whether what lies over the edge counts as zeros.{override}

    Raises
    ------
    RuntimeError
        If the extents do not fit each other.

    Notes
    -----
    Gradient: every element of a window gets its share of ``g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.arange(4.0).reshape(1, {", ".join(["1"] * (axes - 1))}{", " if axes > 1 else ""}4)
    >>> ag.nn.functional.{op}(x, {_last(axes)}).flatten()
    tensor([0.5000, 2.5000])
    """)  # fmt: skip


def _adaptive_size(op: str, input: Tensor, output_size: Any, axes: int) -> Ints:
    _check(op, input, axes)
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    here = input._data.shape[-axes:]
    if len(given) != axes:
        raise RuntimeError(f"{op}: output_size must be {axes} ints, got {output_size!r}")
    size = extents(op, "output_size", [n if s is None else s for n, s in zip(here, given, strict=True)], axes)
    if min(size) < 0:
        raise RuntimeError(f"{op}: elements of output_size must be greater than or equal to 0, got {size}")
    return size


def _adaptive_max_function(axes: int) -> Callable[..., Any]:
    op = f"adaptive_max_pool{axes}d"

    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        out, extras = _adaptive_max_pool.run(input, window=_adaptive_size(op, input, output_size, axes))
        if not return_indices:
            return out
        return out, Tensor(pool.max_pool_indices(extras["where"], input._data.shape))

    return _described(adaptive_max_pool, op, axes, f"""The largest element of each of so many
    windows that cover the input evenly.

    Parameters
    ----------
    input : Tensor, ([N,] C, {_names(axes)})
    output_size : int or tuple of {axes} ints or None
        How many windows; None: as many as there are elements.
    return_indices : bool
        Give as well where the elements were found.

    Notes
    -----
    Window o of n along an extent m reaches from floor(o m / n) to ceil((o + 1) m / n).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.arange(6.0).reshape(1, {", ".join(["1"] * (axes - 1))}{", " if axes > 1 else ""}6)
    >>> ag.nn.functional.{op}(x, {_last(axes)}).flatten()
    tensor([2., 5.])
    """)  # fmt: skip


def _adaptive_avg_function(axes: int) -> Callable[..., Tensor]:
    op = f"adaptive_avg_pool{axes}d"

    def adaptive_avg_pool(input: Tensor, output_size: Any) -> Tensor:
        return _adaptive_avg_pool(input, size=_adaptive_size(op, input, output_size, axes))

    return _described(adaptive_avg_pool, op, axes, f"""The means of so many windows that
    cover the input evenly; see `adaptive_max_pool{axes}d`.

    Parameters
    ----------
    input : Tensor, ([N,] C, {_names(axes)})
    output_size : int or tuple of {axes} ints or None
        How many windows; None: as many as there are elements.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.arange(6.0).reshape(1, {", ".join(["1"] * (axes - 1))}{", " if axes > 1 else ""}6)
    >>> ag.nn.functional.{op}(x, {_last(axes)}).flatten()
    tensor([1., 4.])
    """)  # fmt: skip


def _unpool_function(axes: int) -> Callable[..., Tensor]:
    op = f"max_unpool{axes}d"

    def max_unpool(
        input: Tensor,
        indices: Tensor,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        output_size: Sequence[int] | None = None,
    ) -> Tensor:
        _check(op, input, axes)
        if input._data.shape != indices._data.shape:
            raise RuntimeError(
                f"{op}: Expected shape of indices to be same as that of the input tensor, {input._data.shape}, but got "
                f"indices tensor with shape: {indices._data.shape}"
            )
        window = extents(op, "kernel_size", kernel_size, axes)
        step = window if stride is None or stride == [] else extents(op, "stride", stride, axes)
        edge = extents(op, "padding", padding, axes)
        lead, small = input._data.shape[:-axes], input._data.shape[-axes:]
        plain = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(small, step, edge, window, strict=True))
        size = plain if output_size is None else tuple(output_size)[-axes:]
        if len(size) != axes or any(not n - s < given < n + s for n, s, given in zip(plain, step, size, strict=True)):
            raise ValueError(f"{op}: output_size {size} should be within the stride {step} of {plain}")
        places = indices._data
        total = int(np.prod(size))
        if places.size and not (places.min() >= 0 and places.max() < total):
            raise RuntimeError(f"{op}: Found an invalid max index: {places.max()} (output volume is {size})")
        flat = zeros(*lead, total, dtype=input.dtype)
        return flat.scatter(-1, indices.flatten(-axes), input.flatten(-axes)).unflatten(-1, size)

    return _described(max_unpool, op, axes, f"""What `max_pool{axes}d` found, back in its places among zeros.

    Parameters
    ----------
    input, indices : Tensor, ([N,] C, {_names(axes)})
        What ``max_pool{axes}d(..., return_indices=True)`` gave.
    kernel_size, stride, padding : int or tuple of {axes} ints
        As it was called.
    output_size : sequence of int, optional
        The size before pooling, where several give the same.

    Raises
    ------
    RuntimeError
        If the shapes differ, or an index lies outside.
    ValueError
        If `output_size` cannot have been.

    Notes
    -----
    Gradient: that of the places taken.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 5.0, 2.0, 3.0]).reshape(1, {", ".join(["1"] * (axes - 1))}{", " if axes > 1 else ""}4)
    >>> y, places = ag.nn.functional.max_pool{axes}d(x, {_last(axes)}, return_indices=True)
    >>> ag.nn.functional.{op}(y, places, {_last(axes)}).flatten()
    tensor([0., 5., 0., 3.])
    """)  # fmt: skip


def _names(axes: int) -> str:
    return ", ".join(["D", "H", "W"][3 - axes :]) if axes > 1 else "L"


def _last(axes: int) -> str:
    return "2" if axes == 1 else f"({'1, ' * (axes - 1)}2)"


def _described(function: Callable[..., Any], op: str, axes: int, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = op
    function.__doc__ = doc
    return function


max_pool1d, max_pool2d, max_pool3d = map(_max_function, (1, 2, 3))
max_unpool1d, max_unpool2d, max_unpool3d = map(_unpool_function, (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = map(_avg_function, (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_adaptive_max_function, (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_function, (1, 2, 3))
