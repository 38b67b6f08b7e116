"""Pooling layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.pooling import _max_pool_relu, extents
from ..tensor import Tensor
from . import functional as F
from .module import Module


class _MaxPool(Module):
    axes: int
    _function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def _with_relu(self, input: Tensor) -> Tensor:
        """This layer and the ReLU that follows it; without indices."""
        return _max_pool_relu(
            self.axes, input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of every window; see `nn.functional.max_pool1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.MaxPool1d(2)(ag.tensor([[1.0, 5.0, 2.0, 3.0]]))
    tensor([[5., 3.]])
    """

    axes = 1
    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest element of every window; see `nn.functional.max_pool2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.MaxPool2d(2)(ag.randn(8, 3, 32, 32)).shape
    autograd_lite.Size([8, 3, 16, 16])
    """

    axes = 2
    _function = staticmethod(F.max_pool2d)

    def _halves(self) -> bool:
        """Whether this is the maximum, and nothing else, over windows of 2x2 side by side."""
        plain = self.padding in (0, (0, 0)) and self.dilation in (1, (1, 1))
        both = self.kernel_size in (2, (2, 2)) and self.stride in (2, (2, 2))
        return plain and both and not self.ceil_mode and not self.return_indices


class MaxPool3d(_MaxPool):
    """The largest element of every window; see `nn.functional.max_pool3d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.MaxPool3d(2)(ag.randn(2, 3, 4, 8, 8)).shape
    autograd_lite.Size([2, 3, 2, 4, 4])
    """

    axes = 3
    _function = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    """`MaxPool` backwards."""

    axes = 0
    _function: Any = None

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = extents(type(self).__name__, "kernel_size", kernel_size, self.axes)
        self.stride = self.kernel_size if stride is None else extents(type(self).__name__, "stride", stride, self.axes)
        self.padding = extents(type(self).__name__, "padding", padding, self.axes)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Largest elements back in their places, among zeros; see `nn.functional.max_unpool1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> y, places = ag.nn.MaxPool1d(2, return_indices=True)(ag.randn(2, 3, 8))
    >>> ag.nn.MaxUnpool1d(2)(y, places).shape
    autograd_lite.Size([2, 3, 8])
    """

    axes = 1
    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Largest elements back in their places, among zeros; see `nn.functional.max_unpool2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> y, places = ag.nn.MaxPool2d(2, return_indices=True)(ag.randn(2, 3, 8, 8))
    >>> ag.nn.MaxUnpool2d(2)(y, places).shape
    autograd_lite.Size([2, 3, 8, 8])
    """

    axes = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Largest elements back in their places, among zeros; see `nn.functional.max_unpool3d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> y, places = ag.nn.MaxPool3d(2, return_indices=True)(ag.randn(2, 3, 4, 8, 8))
    >>> ag.nn.MaxUnpool3d(2)(y, places).shape
    autograd_lite.Size([2, 3, 4, 8, 8])
    """

    axes = 3
    _function = staticmethod(F.max_unpool3d)


class AvgPool1d(Module):
    """The mean of every window; see `nn.functional.avg_pool1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AvgPool1d(2)(ag.tensor([[1.0, 5.0, 2.0, 3.0]]))
    tensor([[3.0000, 2.5000]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _single(value: Any) -> Any:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


class _AvgPool(Module):
    _function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of every window; see `nn.functional.avg_pool2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AvgPool2d(2)(ag.randn(8, 3, 32, 32)).shape
    autograd_lite.Size([8, 3, 16, 16])
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of every window; see `nn.functional.avg_pool3d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AvgPool3d(2)(ag.randn(2, 3, 4, 8, 8)).shape
    autograd_lite.Size([2, 3, 2, 4, 4])
    """

    _function = staticmethod(F.avg_pool3d)


class _AdaptiveAvgPool(Module):
    _function: Callable[..., Any]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return self._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of so many windows that cover the input; see `nn.functional.adaptive_avg_pool1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AdaptiveAvgPool1d(1)(ag.tensor([[1.0, 5.0, 2.0, 4.0]]))
    tensor([[3.]])
    """

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of so many windows that cover the input; see `nn.functional.adaptive_avg_pool2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AdaptiveAvgPool2d((1, 1))(ag.randn(8, 3, 7, 5)).shape
    autograd_lite.Size([8, 3, 1, 1])
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of so many windows that cover the input; see `nn.functional.adaptive_avg_pool3d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AdaptiveAvgPool3d(2)(ag.randn(2, 3, 5, 7, 4)).shape
    autograd_lite.Size([2, 3, 2, 2, 2])
    """

    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return self._function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest elements of so many windows that cover the input; see `nn.functional.adaptive_max_pool1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AdaptiveMaxPool1d(2)(ag.tensor([[1.0, 5.0, 2.0, 4.0]]))
    tensor([[5., 4.]])
    """

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest elements of so many windows that cover the input; see `nn.functional.adaptive_max_pool2d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AdaptiveMaxPool2d((1, 1))(ag.randn(8, 3, 7, 5)).shape
    autograd_lite.Size([8, 3, 1, 1])
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest elements of so many windows that cover the input; see `nn.functional.adaptive_max_pool3d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.AdaptiveMaxPool3d(2)(ag.randn(2, 3, 5, 7, 4)).shape
    autograd_lite.Size([2, 3, 2, 2, 2])
    """

    _function = staticmethod(F.adaptive_max_pool3d)
