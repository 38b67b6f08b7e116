"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..ops.convolution import _conv_relu
from ..ops.creation import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

Ints = tuple[int, ...]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def _extents(name: str, value: Any, axes: int) -> Ints:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(given) != axes:
        raise ValueError(f"{name} must be an int or {axes} ints, got {value!r}")
    return given


class _Conv(Module):
    """What all convolutions share: the parameters, their first values, and how they are shown."""

    axes: int
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError(f"in_channels ({in_channels}) must be divisible by groups ({groups})")
        if out_channels % groups:
            raise ValueError(f"out_channels ({out_channels}) must be divisible by groups ({groups})")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode={padding_mode!r}")
        axes = self.axes
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _extents("kernel_size", kernel_size, axes)
        self.stride = _extents("stride", stride, axes)
        self.dilation = _extents("dilation", dilation, axes)
        self.output_padding = _extents("output_padding", output_padding, axes)
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding: str | Ints = padding
        else:
            self.padding = _extents("padding", padding, axes)
        self._margin = self._margins()
        inputs, outputs = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (inputs, outputs // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _margins(self) -> list[int]:
        """The margin that `nn.functional.pad` makes for other padding modes than zeros: last dimension first."""
        if self.padding == "valid":
            return [0] * (2 * self.axes)
        if self.padding == "same":
            both = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [side for total in reversed(both) for side in (total // 2, total - total // 2)]
        return [p for p in reversed(self.padding) for _ in (0, 1)]  # type: ignore[misc]

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        if self.weight._data.size == 0:
            return
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight._data.shape[1:])
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        axes = self.axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * axes:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * axes:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Forward(_Conv):
    _function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._set_up(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return self._function(*self._arguments(input))

    def _with_relu(self, input: Tensor) -> Tensor:
        """This layer and the ReLU that follows it."""
        return _conv_relu(self.axes, *self._arguments(input))

    def _arguments(self, input: Tensor) -> tuple[Any, ...]:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._margin, mode=self.padding_mode), 0
        return input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups


class Conv1d(_Forward):
    """Convolution (strictly: cross-correlation) over the last dimension; see `Conv2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Conv1d(16, 33, 3, stride=2)(ag.randn(20, 16, 50)).shape
    autograd_lite.Size([20, 33, 24])
    """

    axes = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Forward):
    """Convolution (strictly: cross-correlation) over the last two dimensions; see `nn.functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        The numbers of channels.
    kernel_size : int or tuple of int
        The extents of the window.
    stride : int or tuple of int
        The distance between windows.
    padding : int or tuple of int, "same" or "valid"
        The margin around the image; "same": as much as keeps its size, "valid": none.
    dilation : int or tuple of int
        The distance within the window.
    groups : int
        Into how many groups the channels are divided, each convolved for itself.
    bias : bool
        Whether to add a bias.
    padding_mode : "zeros", "reflect", "replicate" or "circular"
        What the margin is filled with.
    device, dtype
        Of the parameters.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, *kernel_size)
    bias : Parameter, (out_channels,), or None
        Both start evenly distributed up to ``1 / sqrt(in_channels / groups * prod(kernel_size))`` either way.

    Raises
    ------
    ValueError
        If `groups` does not divide the channels, or a padding is unknown.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Conv2d(3, 8, 5, padding="same")(ag.randn(2, 3, 32, 32)).shape
    autograd_lite.Size([2, 8, 32, 32])
    """

    axes = 2
    _function = staticmethod(F.conv2d)


class Conv3d(_Forward):
    """Convolution (strictly: cross-correlation) over the last three dimensions; see `Conv2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Conv3d(3, 4, (1, 3, 3))(ag.randn(1, 3, 4, 8, 8)).shape
    autograd_lite.Size([1, 4, 4, 6, 6])
    """

    axes = 3
    _function = staticmethod(F.conv3d)


class _Transposed(_Conv):
    transposed = True
    _function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._set_up(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> Ints:
        """The output padding that leads to the wanted extents."""
        axes = self.axes
        wanted = tuple(output_size)[-axes:]
        if len(wanted) != axes:
            raise ValueError(
                f"{type(self).__name__}: output_size must have at least {axes} elements, got {output_size}"
            )
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1  # type: ignore[operator]
            for n, s, p, d, k in zip(
                input._data.shape[-axes:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]  # type: ignore[misc]
        for size, low, step in zip(wanted, least, self.stride, strict=True):
            if not low <= size < low + step:
                most = [low + step - 1 for low, step in zip(least, self.stride, strict=True)]
                raise ValueError(
                    f"requested an output size of {list(wanted)}, but valid sizes range from {least} to {most} (for an "
                    f"input of {tuple(input.shape)})"
                )
        return tuple([size - low for size, low in zip(wanted, least, strict=True)])


class ConvTranspose1d(_Transposed):
    """The transpose of a convolution over the last dimension; see `ConvTranspose2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ConvTranspose1d(16, 33, 3, stride=2)(ag.randn(20, 16, 24)).shape
    autograd_lite.Size([20, 33, 49])
    """

    axes = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """The transpose of a convolution over the last two dimensions; see `nn.functional.conv_transpose2d`.

    It maps shapes the other way than `Conv2d` with the same parameters does.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device, dtype
        As in `Conv2d`.
    output_padding : int or tuple of int
        Added to the extents of the output, which a stride leaves open.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, *kernel_size)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> import autograd_lite as ag
    >>> up = ag.nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> up(ag.randn(2, 8, 16, 16), output_size=(32, 32)).shape
    autograd_lite.Size([2, 3, 32, 32])
    """

    axes = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """The transpose of a convolution over the last three dimensions; see `ConvTranspose2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ConvTranspose3d(4, 3, 2, stride=2)(ag.randn(1, 4, 2, 3, 4)).shape
    autograd_lite.Size([1, 3, 4, 6, 8])
    """

    axes = 3
    _function = staticmethod(F.conv_transpose3d)
