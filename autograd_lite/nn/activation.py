"""Activation layers."""

from __future__ import annotations

from typing import Any

from ..ops.creation import full
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .parameter import Parameter


class _Inplace(Module):
    """What the activations share that can overwrite their input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return _inplace(self)


class _AlongDim(Module):
    """What the activations share that work along a dimension."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class _Cutting(Module):
    """What the activations share that cut at `lambd`, either way."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class ReLU(_Inplace):
    """``max(0, x)``; see `nn.functional.relu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ReLU()(ag.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class LeakyReLU(Module):
    """``x`` where positive, else ``negative_slope * x``; see `nn.functional.leaky_relu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.LeakyReLU()(ag.tensor([-1.0, 2.0]))
    tensor([-0.0100,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{_inplace(self, ', ')}"


class ELU(Module):
    """``x`` where positive, else ``alpha * (exp(x) - 1)``; see `nn.functional.elu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ELU()(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{_inplace(self, ', ')}"


class SELU(_Inplace):
    """The self-normalising ELU; see `nn.functional.selu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.SELU()(ag.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class CELU(Module):
    """The continuously differentiable ELU; see `nn.functional.celu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.CELU()(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{_inplace(self, ', ')}"


class GELU(Module):
    """``x * Phi(x)``; see `nn.functional.gelu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.GELU()(ag.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_Inplace):
    """``x * sigmoid(x)``; see `nn.functional.silu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.SiLU()(ag.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(_Inplace):
    """``x * tanh(softplus(x))``; see `nn.functional.mish`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Mish()(ag.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Sigmoid()(ag.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Tanh()(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``; see `nn.functional.softplus`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Softplus()(ag.tensor([0.0, 1.0]))
    tensor([0.6931, 1.3133])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Module):
    """``log(sigmoid(x))``; see `nn.functional.logsigmoid`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.LogSigmoid()(ag.tensor([0.0]))
    tensor([-0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Softsign(Module):
    """``x / (1 + |x|)``; see `nn.functional.softsign`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Softsign()(ag.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class ReLU6(_Inplace):
    """``min(max(0, x), 6)``; see `nn.functional.relu6`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.ReLU6()(ag.tensor([-2.0, 8.0]))
    tensor([0., 6.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace)


class Hardsigmoid(_Inplace):
    """``min(max(0, x + 3), 6) / 6``; see `nn.functional.hardsigmoid`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Hardsigmoid()(ag.tensor([-4.0, 0.0]))
    tensor([0.0000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_Inplace):
    """``x * min(max(0, x + 3), 6) / 6``; see `nn.functional.hardswish`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Hardswish()(ag.tensor([1.5, 4.0]))
    tensor([1.1250, 4.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class Threshold(Module):
    """``x`` where above `threshold`, else `value`; see `nn.functional.threshold`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Threshold(0.5, 9.0)(ag.tensor([0.1, 2.0]))
    tensor([9., 2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{_inplace(self, ', ')}"


class Tanhshrink(Module):
    """``x - tanh(x)``; see `nn.functional.tanhshrink`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Tanhshrink()(ag.tensor([0.0, 2.0]))
    tensor([0.0000, 1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softshrink(_Cutting):
    """``x`` moved towards 0 by `lambd`; see `nn.functional.softshrink`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Softshrink()(ag.tensor([0.1, 2.0]))
    tensor([0.0000, 1.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class Hardshrink(_Cutting):
    """``x`` where ``|x| > lambd``, else 0; see `nn.functional.hardshrink`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Hardshrink()(ag.tensor([0.1, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)


class GLU(Module):
    """``a * sigmoid(b)`` for the halves of the input; see `nn.functional.glu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.GLU()(ag.tensor([[2.0, 0.0]]))
    tensor([[1.]])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """``exp(x) / sum(exp(x))`` along `dim`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Softmax(dim=1)(ag.tensor([[0.0, 0.0]]))
    tensor([[0.5000, 0.5000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongDim):
    """``log(softmax(x))`` along `dim`, without overflow.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.LogSoftmax(dim=1)(ag.tensor([[0.0, 0.0]]))
    tensor([[-0.6931, -0.6931]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class Softmin(_AlongDim):
    """``softmax(-x)`` along `dim`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Softmin(dim=1)(ag.tensor([[0.0, 0.0]]))
    tensor([[0.5000, 0.5000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class Hardtanh(Module):
    """The input, limited to the range from `min_val` to `max_val`; see `nn.functional.hardtanh`.

    Raises
    ------
    ValueError
        If `max_val` is not greater than `min_val`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Hardtanh()(ag.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if max_val <= min_val:
            raise ValueError(f"max_val must be larger than min_val, got {max_val} and {min_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{_inplace(self, ', ')}"


class PReLU(Module):
    """``x`` where positive, else ``weight * x``, with a slope that is trained; see `nn.functional.prelu`.

    Parameters
    ----------
    num_parameters : int
        1, or one slope for each channel (dimension 1 of the input).
    init : float
        The first value of the slopes.
    device, dtype
        Of the parameter.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.PReLU()(ag.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the slopes to their first value."""
        self.weight.data.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Softmax2d(Module):
    """Softmax over the channels, at every place of an image (C, H, W) or of a batch of them.

    Raises
    ------
    ValueError
        If the input does not have 3 or 4 dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.Softmax2d()(ag.zeros(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3)


def _inplace(module: Any, separator: str = "") -> str:
    return f"{separator}inplace=True" if module.inplace else ""
