"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.creation import empty, ones, tensor, zeros
from ..ops.normalization import _batch_norm_relu, _batch_norm_relu_pool
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class _ChannelNorm(Module):
    """What batch and instance norm share: affine parameters and running statistics, one for each channel."""

    dimensions: tuple[int, ...]
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        for name in ("weight", "bias"):
            self.register_parameter(name, Parameter(empty(num_features, **options)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **options) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **options) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running statistics."""
        if self.track_running_stats:
            self.running_mean.zero_()  # type: ignore[union-attr]
            self.running_var.fill_(1)  # type: ignore[union-attr]
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Set the scale to one and the shift to zero, and forget the running statistics."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)  # type: ignore[arg-type]
            init.zeros_(self.bias)  # type: ignore[arg-type]

    def _check_dimensions(self, input: Tensor) -> None:
        if input._data.ndim not in self.dimensions:
            expected = " or ".join(f"{n}D" for n in self.dimensions)
            raise ValueError(f"{type(self).__name__}: expected {expected} input (got {input._data.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return self._apply_with(F.batch_norm, input)

    def _with_relu(self, input: Tensor) -> Tensor:
        """This layer and the ReLU that follows it."""
        return self._apply_with(_batch_norm_relu, input)

    def _with_relu_pool(self, input: Tensor) -> Tensor:
        """This layer, and the ReLU and the maximum over windows of 2x2 that follow it."""
        return self._apply_with(_batch_norm_relu_pool, input)

    def _apply_with(self, function: Callable[..., Tensor], input: Tensor) -> Tensor:
        if input._data.ndim not in self.dimensions:
            self._check_dimensions(input)
        mean, var = self.running_mean, self.running_var
        momentum = self.momentum
        if self.training and self.track_running_stats:
            batches = self.num_batches_tracked
            count = batches._data  # type: ignore[union-attr]
            count += 1
            if momentum is None:
                momentum = 1.0 / batches.item()  # type: ignore[union-attr]
        return function(
            input, mean, var, self.weight, self.bias, self.training or mean is None, momentum or 0.0, self.eps
        )


class BatchNorm1d(_BatchNorm):
    """Normalise every channel of (N, C) or (N, C, L) over the batch; see `nn.functional.batch_norm`.

    Parameters
    ----------
    num_features : int
        The number of channels, C.
    eps : float
        Added to the variance.
    momentum : float or None
        How far the running statistics move towards those of each batch; None: they are plain averages.
    affine : bool
        Whether to scale and shift by parameters, which start at one and zero.
    track_running_stats : bool
        Whether to keep running statistics, for evaluation mode.
    device, dtype
        Of parameters and statistics.

    Raises
    ------
    ValueError
        If the input has another number of dimensions, or there is one value per channel to train on.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.BatchNorm1d(3)(ag.randn(20, 3)).shape
    autograd_lite.Size([20, 3])
    """

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise every channel of (N, C, H, W) over the batch; see `BatchNorm1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.BatchNorm2d(3)(ag.randn(20, 3, 8, 8)).shape
    autograd_lite.Size([20, 3, 8, 8])
    """

    dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalise every channel of (N, C, D, H, W) over the batch; see `BatchNorm1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.BatchNorm3d(3)(ag.randn(2, 3, 4, 4, 4)).shape
    autograd_lite.Size([2, 3, 4, 4, 4])
    """

    dimensions = (5,)


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        self._check_dimensions(input)
        batched = input._data.ndim == max(self.dimensions)
        channels = input._data.shape[1 if batched else 0]
        if channels != self.num_features and self.affine:
            raise ValueError(
                f"{type(self).__name__}: expected input's size at dim={1 if batched else 0} to match num_features "
                f"({self.num_features}), but got: {channels}."
            )
        out = F.instance_norm(
            input if batched else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return out if batched else out.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Normalise every channel of every sample of (N, C, L) or (C, L) by itself; see `nn.functional.instance_norm`.

    Parameters are those of `BatchNorm1d`; here `affine` and `track_running_stats` are off by default.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.InstanceNorm1d(3)(ag.randn(20, 3, 8)).shape
    autograd_lite.Size([20, 3, 8])
    """

    dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise every channel of every sample of (N, C, H, W) or (C, H, W) by itself; see `InstanceNorm1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.InstanceNorm2d(3)(ag.randn(2, 3, 8, 8)).shape
    autograd_lite.Size([2, 3, 8, 8])
    """

    dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalise every channel of every sample of (N, C, D, H, W) or (C, D, H, W) by itself; see `InstanceNorm1d`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.InstanceNorm3d(3)(ag.randn(2, 3, 4, 4, 4)).shape
    autograd_lite.Size([2, 3, 4, 4, 4])
    """

    dimensions = (4, 5)


class LayerNorm(Module):
    """Normalise over the last dimensions; see `nn.functional.layer_norm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Their extents.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether to scale and shift by parameters of that shape, which start at one and zero.
    bias : bool
        Whether to shift.
    device, dtype
        Of the parameters.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.LayerNorm(10)(ag.randn(20, 5, 10)).shape
    autograd_lite.Size([20, 5, 10])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            values = empty(self.normalized_shape, device=device, dtype=dtype) if wanted else None
            self.register_parameter(name, None if values is None else Parameter(values))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to one and the shift to zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


def _shape(given: Any) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)


class RMSNorm(Module):
    """Divide by the root of the mean square over the last dimensions; see `nn.functional.rms_norm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Their extents.
    eps : float, optional
        Added to the mean square; default: the machine epsilon of the input.
    elementwise_affine : bool
        Whether to scale by a parameter of that shape, which starts at one.
    device, dtype
        Of the parameter.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.RMSNorm(10)(ag.randn(20, 10)).shape
    autograd_lite.Size([20, 10])
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        values = ones(self.normalized_shape, device=device, dtype=dtype) if elementwise_affine else None
        self.register_parameter("weight", None if values is None else Parameter(values))

    def reset_parameters(self) -> None:
        """Set the scale to one."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalise each of `num_groups` groups of neighbouring channels; see `nn.functional.group_norm`.

    Parameters
    ----------
    num_groups, num_channels : int
        The first divides the second.
    eps : float
        Added to the variance.
    affine : bool
        Whether to scale and shift by parameters, one of each for a channel, which start at one and zero.
    device, dtype
        Of the parameters.

    Raises
    ------
    ValueError
        If `num_groups` does not divide `num_channels`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.GroupNorm(3, 6)(ag.randn(20, 6, 10, 10)).shape
    autograd_lite.Size([20, 6, 10, 10])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name in ("weight", "bias"):
            values = empty(num_channels, device=device, dtype=dtype) if affine else None
            self.register_parameter(name, None if values is None else Parameter(values))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to one and the shift to zero."""
        if self.affine:
            init.ones_(self.weight)  # type: ignore[arg-type]
            init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """Divide by a power of the mean square of neighbouring channels; see `nn.functional.local_response_norm`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.LocalResponseNorm(2)(ag.randn(4, 5, 8, 8)).shape
    autograd_lite.Size([4, 5, 8, 8])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
