"""Linear layers."""

from __future__ import annotations

import math
from typing import Any

from ..ops.creation import empty
from ..ops.linear import linear_activation
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Identity(Module):
    """Gives back what it is given; takes and ignores any arguments.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Identity(54, unused=True)(ag.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """``input @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Extents of the last dimension of the input and of the output.
    bias : bool
        Whether to add a bias.
    device, dtype
        Of the parameters.

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
    bias : Parameter, (out_features,), or None
        Both start evenly distributed up to ``1 / sqrt(in_features)`` either way.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layer = ag.nn.Linear(20, 30)
    >>> layer(ag.randn(128, 20)).shape
    autograd_lite.Size([128, 30])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        if self.weight._data.size:
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def _with_relu(self, input: Tensor) -> Tensor:
        return linear_activation(input, self.weight, self.bias, "relu")

    def _with_sigmoid(self, input: Tensor) -> Tensor:
        return linear_activation(input, self.weight, self.bias, "sigmoid")

    def _with_tanh(self, input: Tensor) -> Tensor:
        return linear_activation(input, self.weight, self.bias, "tanh")

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """``input1^T @ weight[k] @ input2 + bias[k]`` for every output k.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
        Extents of the last dimensions of the inputs and of the output.
    bias : bool
        Whether to add a bias.
    device, dtype
        Of the parameters.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layer = ag.nn.Bilinear(20, 30, 40)
    >>> layer(ag.randn(128, 20), ag.randn(128, 30)).shape
    autograd_lite.Size([128, 40])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
