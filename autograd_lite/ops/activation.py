"""Activation functions: elementwise, each given by its formula and that of its derivative."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor, method
from . import pointwise
from .arithmetic import clamp
from .elementwise import FUNCTIONS, ElementwisePrimitive, constant, unary
from .inplace import inplace as changing

__all__ = ["celu", "celu_", "logsigmoid", "prelu", "relu", "relu_", "selu", "selu_"]

sigmoid, tanh = pointwise.sigmoid, pointwise.tanh


class Activation(ElementwisePrimitive):
    """An elementwise primitive of one tensor and some numbers, with its in-place twin."""

    def __init__(self, name: str, formula: str, derivative: str, options: tuple[str, ...] = ()) -> None:
        super().__init__(name, ("x",), formula, {"x": derivative}, options)
        self._changing = changing(self.__call__, f"{name}_")

    def apply(self, input: Any, inplace: bool, *options: float) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{self.name}(): argument 'input' must be Tensor, not {type(input).__name__}")
        dtype = input._data.dtype
        if dtype.kind != "f":
            raise NotImplementedError(f"{self.name}: not implemented for {input.dtype!r}; expected a floating dtype")
        constants = [constant(value, dtype) for value in options]
        return self._changing(input, *constants) if inplace else self(input, *constants)


_relu = unary(
    "relu", "where(x <= 0, 0, x)", "where(out <= 0, 0, g)",
    doc="The rectifier.", example=("ag.relu(ag.tensor([-1.0, 2.0]))", "tensor([0., 2.])"),
)  # fmt: skip
_softplus = unary(
    "softplus", "softplus(x)", "g * sigmoid(x)",
    doc="log(1 + exp(x)).", example=("ag.nn.functional.softplus(ag.tensor([0.0]))", "tensor([0.6931])"),
)  # fmt: skip
relu_ = changing(_relu, "relu_")


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """The rectifier, ``max(0, x)``.

    Parameters
    ----------
    input : Tensor
        Of any shape.
    inplace : bool
        Change `input` itself.

    Notes
    -----
    Gradient: ``g`` where the output is positive, else 0 (also at 0).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.relu(ag.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if isinstance(input, Tensor) and input._data.dtype.kind in "iu":
        return input.copy_(clamp(input, min=0)) if inplace else clamp(input, min=0)
    return relu_(input) if inplace else _relu(input)


_leaky_relu = Activation(
    "leaky_relu", "where(x > 0, x, x * slope)", "where(x > 0, g, g * slope)", ("slope",)
)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``negative_slope * x``.

    Notes
    -----
    Gradient: ``g`` where the input is positive, else ``negative_slope * g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.leaky_relu(ag.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _leaky_relu.apply(input, inplace, negative_slope)


_prelu = ElementwisePrimitive(
    "prelu", ("x", "weight"), "where(x > 0, x, x * weight)",
    {"x": "where(x > 0, g, g * weight)", "weight": "where(x > 0, 0, g * x)"},
)  # fmt: skip


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``x`` where positive, else ``weight * x``; `weight` is trained.

    He et al., "Delving deep into rectifiers" (2015), section 2.1.

    Parameters
    ----------
    input : Tensor, (N, C, ...)
    weight : Tensor, (C,) or (1,)

    Raises
    ------
    RuntimeError
        If `weight` has another number of elements than 1 or C, or another dtype than `input`.

    Notes
    -----
    Gradient: ``where(x > 0, g, g * weight)`` and ``where(x > 0, 0, g * x)``, summed over what `weight` lacks.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.prelu(ag.tensor([[-1.0, -1.0]]), ag.tensor([0.1, 0.2]))
    tensor([[-0.1000, -0.2000]])
    """
    shape, size = input._data.shape, weight._data.size
    if weight._data.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight._data.ndim}")
    if weight._data.dtype != input._data.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {input.dtype!r} and {weight.dtype!r} for input and weight"
        )
    if size != 1:
        if not shape:
            raise RuntimeError("prelu: Not allow zero-dim input tensor.")
        channels = shape[1] if len(shape) > 1 else 1
        if size != channels:
            raise RuntimeError(
                f"prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = {size}, and "
                f"channel size = {channels}."
            )
        weight = weight.reshape((size,) + (1,) * (len(shape) - 2))
    elif weight._data.ndim and not shape:
        weight = weight.reshape(())
    return _prelu(input, weight)


_elu = Activation(
    "elu", "where(x > 0, x, alpha * expm1(x))", "where(x > 0, g, g * alpha * exp(minimum(x, 0)))", ("alpha",)
)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``.

    Clevert et al., "Fast and accurate deep network learning by exponential linear units" (2015).

    Notes
    -----
    Gradient: ``g`` where the input is positive, else ``g * alpha * exp(x)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.elu(ag.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _elu.apply(input, inplace, alpha)


_selu = Activation(
    "selu",
    "1.0507009873554805 * where(x > 0, x, 1.6732632423543772 * expm1(x))",
    "1.0507009873554805 * g * where(x > 0, 1, 1.6732632423543772 * exp(minimum(x, 0)))",
)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``scale * elu(x, alpha)`` with the two constants that keep mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks" (2017), equation 2.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.selu(ag.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return _selu.apply(input, inplace)


_celu = Activation(
    "celu", "where(x > 0, x, alpha * expm1(x / alpha))", "where(x > 0, g, g * exp(minimum(x, 0) / alpha))", ("alpha",)
)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``.

    Barron, "Continuously differentiable exponential linear units" (2017).

    Raises
    ------
    RuntimeError
        If `alpha` is zero.

    Notes
    -----
    Gradient: ``g`` where the input is positive, else ``g * exp(x / alpha)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.celu(ag.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")
    return _celu.apply(input, inplace, alpha)


_gelu = Activation(
    "gelu",
    "0.5 * x * (1 + erf(x * 0.7071067811865476))",
    "g * (0.5 * (1 + erf(x * 0.7071067811865476)) + x * 0.3989422804014327 * exp(-0.5 * x * x))",
)
_GELU_TANH = "tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))"
_gelu_tanh = Activation(
    "gelu_tanh",
    f"0.5 * x * (1 + {_GELU_TANH})",
    f"0.5 * g * (1 + {_GELU_TANH} + times(1 - {_GELU_TANH} * {_GELU_TANH}, "
    "0.7978845608028654 * x * (1 + 0.134145 * x * x)))",
)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``x * Phi(x)``, where Phi is the cumulative distribution of the normal distribution.

    Hendrycks and Gimpel, "Gaussian error linear units" (2016).

    Parameters
    ----------
    approximate : "none" or "tanh"
        "tanh": ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`` instead.

    Raises
    ------
    RuntimeError
        If `approximate` is neither.

    Notes
    -----
    Gradient: ``g * (Phi(x) + x * phi(x))`` with the density phi; that of the formula for "tanh".

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.gelu(ag.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate argument must be either none or tanh, got {approximate!r}")
    return (_gelu if approximate == "none" else _gelu_tanh).apply(input, False)


_silu = Activation("silu", "x * sigmoid(x)", "g * sigmoid(x) * (1 + x * (1 - sigmoid(x)))")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``, also called swish.

    Notes
    -----
    Gradient: ``g * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.silu(ag.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """
    return _silu.apply(input, inplace)


_mish = Activation(
    "mish",
    "x * tanh(softplus(x))",
    "g * (tanh(softplus(x)) + x * sigmoid(x) * (1 - tanh(softplus(x)) * tanh(softplus(x))))",
)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``. Misra, "Mish: a self regularized activation function" (2019).

    Notes
    -----
    Gradient: ``g * (t + x * sigmoid(x) * (1 - t^2))`` with ``t = tanh(softplus(x))``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.mish(ag.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """
    return _mish.apply(input, inplace)


_softplus_scaled = Activation(
    "softplus",
    "where(x * beta > threshold, x, softplus(x * beta) / beta)",
    "where(x * beta > threshold, g, g * sigmoid(x * beta))",
    ("beta", "threshold"),
)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``, a smooth rectifier.

    Parameters
    ----------
    beta : float
        How sharp the bend is.
    threshold : float
        Where ``beta * x`` is above it the result is ``x`` itself.

    Notes
    -----
    Gradient: ``g * sigmoid(beta * x)``, ``g`` above the threshold.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.softplus(ag.tensor([0.0, 1.0]))
    tensor([0.6931, 1.3133])
    """
    return _softplus_scaled.apply(input, False, beta, threshold)


_logsigmoid = Activation("log_sigmoid", "log_sigmoid(x)", "g * sigmoid(-x)")


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(x))``, without overflow.

    Notes
    -----
    Gradient: ``g * sigmoid(-x)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.logsigmoid(ag.tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])
    """
    return _logsigmoid.apply(input, False)


_softsign = Activation("softsign", "x / (1 + abs(x))", "g / ((1 + abs(x)) * (1 + abs(x)))")


def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``.

    Notes
    -----
    Gradient: ``g / (1 + |x|)^2``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.softsign(ag.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return _softsign.apply(input, False)


_hardtanh = Activation(
    "hardtanh", "minimum(maximum(x, low), high)", "where((x <= low) | (x >= high), 0, g)", ("low", "high")
)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input`, limited to the range from `min_val` to `max_val`.

    Raises
    ------
    ValueError
        If `min_val` is greater than `max_val`.

    Notes
    -----
    Gradient: ``g`` strictly between the limits, else 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.hardtanh(ag.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val cannot be greater than max_val, got {min_val} and {max_val}")
    return _hardtanh.apply(input, inplace, min_val, max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(0, x), 6)``; see `hardtanh`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.relu6(ag.tensor([-2.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """
    return _hardtanh.apply(input, inplace, 0.0, 6.0)


_hardsigmoid = Activation(
    "hardsigmoid", "minimum(maximum(x + 3, 0), 6) / 6", "where((x > -3) & (x < 3), g / 6, 0)"
)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(0, x + 3), 6) / 6``.

    Notes
    -----
    Gradient: ``g / 6`` strictly between -3 and 3, else 0.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.hardsigmoid(ag.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return _hardsigmoid.apply(input, inplace)


_hardswish = Activation(
    "hardswish",
    "x * minimum(maximum(x + 3, 0), 6) / 6",
    "where(x <= -3, 0, where(x < 3, g * (x / 3 + 0.5), g))",
)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * min(max(0, x + 3), 6) / 6``. Howard et al., "Searching for MobileNetV3" (2019), section 5.2.

    Notes
    -----
    Gradient: ``g * (x / 3 + 1/2)`` between -3 and 3, 0 below, ``g`` above.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.hardswish(ag.tensor([-4.0, 1.5, 4.0]))
    tensor([-0.0000, 1.1250, 4.0000])
    """
    return _hardswish.apply(input, inplace)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)`` for the halves ``a``, ``b`` of `input` along `dim`.

    Dauphin et al., "Language modeling with gated convolutional networks" (2016), section 2.

    Raises
    ------
    RuntimeError
        If the dimension has an odd extent.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.glu(ag.tensor([[2.0, 0.0]]))
    tensor([[1.]])
    """
    if input._data.ndim == 0:
        raise RuntimeError("glu: does not support 0-dimensional tensors")
    dim = input._dim(dim)
    extent = input._data.shape[dim]
    if extent % 2:
        raise RuntimeError(f"glu: Halving dimension must be even, but dimension {dim} is size {extent}")
    return input.narrow(dim, 0, extent // 2) * sigmoid(input.narrow(dim, extent // 2, extent // 2))


def selu_(input: Tensor) -> Tensor:
    """In-place version of `selu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.selu_(ag.tensor([1.0]))
    tensor([1.0507])
    """
    return selu(input, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """In-place version of `celu`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.celu_(ag.tensor([1.0]))
    tensor([1.])
    """
    return celu(input, alpha, True)


FUNCTIONS["relu"], FUNCTIONS["softplus"] = _relu, _softplus
method(lambda self: relu(self), name="relu")
method(relu_)
method(prelu)
