"""Convolution and its transpose, over one to three axes.

Three primitives, each linear in both of its operands, are one another's derivatives: the convolution ``x * w``, its
gradient to the input (which is the transposed convolution) and its gradient to the weight. So derivatives of every
order are convolutions again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels import conv as kernels
from ..kernels import reduce
from ..kernels.elementwise import Elementwise
from ..tensor import Tensor
from .arithmetic import where
from .pooling import extents
from .primitive import Primitive, primitive
from .rearrange import pad
from .shape import take_slice

Ints = tuple[int, ...]
contiguous = np.ascontiguousarray

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def _over_channels(shape: Ints) -> Ints:
    return (0, *range(2, len(shape)))


@primitive(name="convolution")
def _conv(x: Any, weight: Any, bias: Any, *, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Any:
    return kernels.conv(contiguous(x), contiguous(weight), bias, stride, padding, dilation, groups)


@primitive(name="convolution_relu")
def _rectified(x: Any, weight: Any, bias: Any, *, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Any:
    return kernels.conv(contiguous(x), contiguous(weight), bias, stride, padding, dilation, groups, True)


@primitive(name="transposed_convolution")
def _conv_input(
    x: Any, weight: Any, bias: Any, *, shape: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Any:
    options = stride, padding, dilation, groups
    return kernels.conv_input(contiguous(x), contiguous(weight), (*x.shape[:1], *shape), *options, bias)


@primitive(name="convolution_weight")
def _conv_weight(y: Any, x: Any, *, shape: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int) -> Any:
    return kernels.conv_weight(contiguous(y), contiguous(x), shape, stride, padding, dilation, groups)[0]


@_conv.derivative("x", "weight", "bias")
def _rule(
    g: Tensor, x: Tensor, weight: Tensor, *, stride: Ints, padding: Ints, dilation: Ints, groups: int,
    needs: Sequence[bool],
) -> Any:  # fmt: skip
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        _conv_input(g, weight, None, shape=x._data.shape[1:], **options) if needs[0] else None,
        _conv_weight(g, x, shape=weight._data.shape, **options) if needs[1] else None,
        g.sum(_over_channels(g._data.shape)) if needs[2] else None,
    )


@_conv.fused("x", "weight", "bias")
def _fused(
    g: Any, x: Any, weight: Any, *, stride: Ints, padding: Ints, dilation: Ints, groups: int, needs: Sequence[bool]
) -> Any:
    g, options = contiguous(g), (stride, padding, dilation, groups)
    dx = dweight = dbias = None
    if needs[0]:
        dx = kernels.conv_input(g, contiguous(weight), x.shape, *options)
    if needs[1]:
        dweight, dbias = kernels.conv_weight(g, contiguous(x), weight.shape, *options, needs[2])
    elif needs[2]:
        dbias = reduce.sum(g, _over_channels(g.shape))
    return dx, dweight, dbias


@_rectified.derivative("x", "weight", "bias")
def _(
    g: Tensor, x: Tensor, weight: Tensor, out: Tensor, *, stride: Ints, padding: Ints, dilation: Ints, groups: int,
    needs: Sequence[bool],
) -> Any:  # fmt: skip
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _rule(where(out <= 0, 0, g), x, weight, needs=needs, **options)


_through_relu = Elementwise("relu_gradient", ("g", "out"), "where(out <= 0, 0, g)")


@_rectified.fused("x", "weight", "bias")
def _(
    g: Any, x: Any, weight: Any, out: Any, *, stride: Ints, padding: Ints, dilation: Ints, groups: int,
    needs: Sequence[bool],
) -> Any:  # fmt: skip
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return _fused(_through_relu(contiguous(g), out), x, weight, needs=needs, **options)


@_conv_input.derivative("x", "weight", "bias")
def _(
    g: Tensor, x: Tensor, weight: Tensor, *, stride: Ints, padding: Ints, dilation: Ints, groups: int,
    needs: Sequence[bool],
) -> Any:  # fmt: skip
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        _conv(g, weight, None, **options) if needs[0] else None,
        _conv_weight(x, g, shape=weight._data.shape, **options) if needs[1] else None,
        g.sum(_over_channels(g._data.shape)) if needs[2] else None,
    )


@_conv_weight.derivative("y", "x")
def _(
    g: Tensor, y: Tensor, x: Tensor, *, stride: Ints, padding: Ints, dilation: Ints, groups: int, needs: Sequence[bool]
) -> Any:
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (
        _conv(x, g, None, **options) if needs[0] else None,
        _conv_input(y, g, None, shape=x._data.shape[1:], **options) if needs[1] else None,
    )


def _batched(op: str, axes: int, input: Any, weight: Any, bias: Any) -> tuple[Tensor, bool]:
    """The input with a dimension for the samples, and whether it had one; everything is checked but the extents."""
    for name, value in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(value, Tensor) and (name != "bias" or value is not None):
            raise TypeError(f"{op}(): argument {name!r} must be Tensor, not {type(value).__name__}")
    if input._data.dtype.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {input.dtype!r}; expected a floating dtype")
    shape = input._data.shape
    if len(shape) not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"{op}: Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input, but got input of size: "
            f"{list(shape)}"
        )
    if weight._data.ndim != axes + 2:
        raise RuntimeError(f"{op}: Expected {axes + 2}D weight, but got weight of size: {list(weight._data.shape)}")
    batched = len(shape) == axes + 2
    return (input if batched else input.unsqueeze(0)), batched


def _same(op: str, input: Tensor, window: Ints, stride: Ints, dilation: Ints) -> tuple[Tensor, Ints]:
    """The padding that keeps the extents; where it is odd, the input comes back with one more at its end."""
    if any(s != 1 for s in stride):
        raise RuntimeError(f"{op}: padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(dilation, window, strict=True)]
    if any(t % 2 for t in total):
        input = pad(input, [n for t in reversed(total) for n in (0, t % 2)])
    return input, tuple([t // 2 for t in total])


def _apply(
    convolve: Primitive, axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> Tensor:  # fmt: skip
    op = f"conv{axes}d"
    x, batched = _batched(op, axes, input, weight, bias)
    strides = extents(op, "stride", stride, axes)
    dilations = extents(op, "dilation", dilation, axes)
    if padding == "same":
        x, margin = _same(op, x, weight._data.shape[2:], strides, dilations)
    elif isinstance(padding, str):
        if padding != "valid":
            raise RuntimeError(f"{op}: Invalid padding string: {padding!r}; expected 'same' or 'valid'")
        margin = (0,) * axes
    else:
        margin = extents(op, "padding", padding, axes)
    out = convolve(x, weight, bias, stride=strides, padding=margin, dilation=dilations, groups=groups)
    return out if batched else out.squeeze(0)


def _conv_relu(axes: int, *args: Any) -> Tensor:
    """The ReLU of a convolution over so many axes in one pass, to the bit; all of the arguments of `conv1d`."""
    return _apply(_rectified, axes, *args)


def _conv_function(axes: int) -> Callable[..., Tensor]:
    op = f"conv{axes}d"

    def conv(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor:
        return _apply(_conv, axes, input, weight, bias, stride, padding, dilation, groups)

    names = _names(axes)
    conv.__name__ = conv.__qualname__ = op
    conv.__doc__ = f"""The convolution (strictly: cross-correlation) of `input` with `weight`, plus `bias`.

    Parameters
    ----------
    input : Tensor, ([N,] C, {names})
    weight : Tensor, (M, C / groups, window extents)
    bias : Tensor, (M,), optional
    stride, dilation : int or tuple of {axes} ints
        The distance between windows, and within them.
    padding : int or tuple of {axes} ints, "same" or "valid"
        How many zeros on either side of each axis; "same": as many as keep the extents, "valid": none.
    groups : int
        Into how many groups the channels are divided, each convolved for itself.

    Returns
    -------
    Tensor, ([N,] M, output extents): ``(n + 2 padding - dilation (window - 1) - 1) // stride + 1``

    Raises
    ------
    RuntimeError
        If shapes, dtypes or options do not fit each other.

    Notes
    -----
    Gradient: the transposed convolution of ``g`` by `weight`, the correlation of `input` with ``g``, and the sum of
    ``g`` over all but the channels.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x, w = ag.ones({", ".join(["1", "1"] + ["4"] * axes)}), ag.ones({", ".join(["2", "1"] + ["3"] * axes)})
    >>> ag.nn.functional.{op}(x, w, padding=1).shape
    autograd_lite.Size([{", ".join(["1", "2"] + ["4"] * axes)}])
    """
    return conv


def _transposed_function(axes: int) -> Callable[..., Tensor]:
    op = f"conv_transpose{axes}d"

    def conv_transpose(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        dilation: int | Sequence[int] = 1,
    ) -> Tensor:
        x, batched = _batched(op, axes, input, weight, bias)
        strides, margin, extra, dilations = (
            extents(op, name, value, axes)
            for name, value in (
                ("stride", stride), ("padding", padding), ("output_padding", output_padding), ("dilation", dilation),
            )
        )  # fmt: skip
        shape, window = x._data.shape, weight._data.shape[2:]
        if shape[1] != weight._data.shape[0] or groups < 1 or shape[1] % groups:
            raise RuntimeError(
                f"{op}: Given transposed=1, groups={groups}, weight of size {list(weight._data.shape)}, expected input "
                f"{list(shape)} to have {weight._data.shape[0]} channels, a multiple of groups"
            )
        if any(not 0 <= e < max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
            raise RuntimeError(
                f"{op}: output padding must be smaller than either stride or dilation, but got output_padding {extra}, "
                f"stride {strides}, dilation {dilations}"
            )
        full = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(shape[2:], strides, dilations, window, strict=True)]
        sizes = tuple([f - 2 * p + e for f, p, e in zip(full, margin, extra, strict=True)])
        if min(sizes) < 1:
            raise RuntimeError(
                f"{op}: Given input {list(shape)}, weight {list(weight._data.shape)} and padding {margin}, the "
                f"calculated output size per channel {sizes} is too small"
            )
        channels = weight._data.shape[1] * groups
        options: dict[str, Any] = {"stride": strides, "dilation": dilations, "groups": groups}
        if all(e < s for e, s in zip(extra, strides, strict=True)):
            out = _conv_input(x, weight, bias, shape=(channels, *sizes), padding=margin, **options)
        else:  # more than a convolution with this stride would overlook: cut it out of the full extents
            out = _conv_input(x, weight, None, shape=(channels, *full), padding=(0,) * axes, **options)
            out = pad(out, [n for e in reversed(extra) for n in (0, e)])
            out = take_slice(out, index=(..., *[slice(p, p + n) for p, n in zip(margin, sizes, strict=True)]))
            out = out if bias is None else out + bias.reshape((-1,) + (1,) * axes)
        return out if batched else out.squeeze(0)

    names = _names(axes)
    conv_transpose.__name__ = conv_transpose.__qualname__ = op
    conv_transpose.__doc__ = f"""The transpose of a convolution: what takes gradients of `conv{axes}d` to its input.

    Parameters
    ----------
    input : Tensor, ([N,] M, {names})
    weight : Tensor, (M, C / groups, window extents)
    bias : Tensor, (C,), optional
    stride, padding, dilation, groups
        Those of the convolution.
    output_padding : int or tuple of {axes} ints
        Added to the extents of the output, which a stride leaves open.

    Returns
    -------
    Tensor, ([N,] C, output extents): ``(n - 1) stride - 2 padding + dilation (window - 1) + output_padding + 1``

    Raises
    ------
    RuntimeError
        If shapes, dtypes or options do not fit each other.

    Notes
    -----
    Gradient: the convolution of ``g`` with `weight`, the correlation of ``g`` with `input`, and the sum of ``g`` over
    all but the channels.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x, w = ag.ones({", ".join(["1", "2"] + ["4"] * axes)}), ag.ones({", ".join(["2", "3"] + ["2"] * axes)})
    >>> ag.nn.functional.{op}(x, w, stride=2).shape
    autograd_lite.Size([{", ".join(["1", "3"] + ["8"] * axes)}])
    """
    return conv_transpose


def _names(axes: int) -> str:
    return ", ".join(["D", "H", "W"][3 - axes :]) if axes > 1 else "L"


conv1d, conv2d, conv3d = map(_conv_function, (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = map(_transposed_function, (1, 2, 3))
