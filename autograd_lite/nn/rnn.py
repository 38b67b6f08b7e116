"""Recurrent layers: Elman's, LSTM and GRU, over whole sequences and by single steps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..ops.creation import empty, zeros
from ..ops.joining import cat, stack
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

State = tuple[Tensor, ...]
"""The hidden state, and for an LSTM the cell state after it."""

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _elman(activation: Callable[[Tensor], Tensor]) -> Callable[..., State]:
    def step(x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
        return (activation(x + F.linear(state[0], weight, bias)),)

    return step


def _lstm(x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    i, f, g, o = (x + F.linear(state[0], weight, bias)).chunk(4, -1)
    cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def _gru(x: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    (hidden,) = state
    r, z, n = x.chunk(3, -1)
    hr, hz, hn = F.linear(hidden, weight, bias).chunk(3, -1)
    new = (n + (r + hr).sigmoid() * hn).tanh()
    return (new + (z + hz).sigmoid() * (hidden - new),)


STEPS: dict[str, Callable[..., State]] = {
    "RNN_TANH": _elman(F.tanh),
    "RNN_RELU": _elman(F.relu),
    "LSTM": _lstm,
    "GRU": _gru,
}
"""From the inputs' share of the gates, the state, and the state's weight and bias to the next state."""


def _elman_mode(nonlinearity: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
    return f"RNN_{nonlinearity.upper()}"


class RNNBase(Module):
    """What the recurrent layers share: weights by layer and direction, and the loop over the sequence."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout should be a number in range [0, 1], got {dropout!r}")
        if hidden_size <= 0 or num_layers <= 0:
            raise ValueError(f"hidden_size and num_layers must be positive, got {hidden_size} and {num_layers}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        rows = GATES[mode] * hidden_size
        for layer in range(num_layers):
            columns = input_size if layer == 0 else hidden_size * (2 if bidirectional else 1)
            for suffix in self._suffixes(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden_size)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                for name, shape in shapes.items():
                    self.register_parameter(name + suffix, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniformly up to ``1 / sqrt(hidden_size)``."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: the weights of a layer need not lie side by side."""

    def _initial(self, batch: tuple[int, ...], x: Tensor, hx: Any) -> list[Tensor]:
        """The states to begin with, checked."""
        shape = (self.num_layers * (2 if self.bidirectional else 1), *batch, self.hidden_size)
        if hx is None:
            return [zeros(shape, dtype=x.dtype) for _ in range(2 if self.mode == "LSTM" else 1)]
        given = list(hx) if self.mode == "LSTM" else [hx]
        for state in given:
            if tuple(state.shape) != shape:
                raise RuntimeError(f"Expected hidden size {shape}, got {list(state.shape)}")
        return given

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        if input.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D tensor instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )
        batched = input.dim() == 3
        x = input.transpose(0, 1) if batched and self.batch_first else input
        if x.shape[0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        states = [list(s.unbind(0)) for s in self._initial(tuple(x.shape[1:-1]), x, hx)]
        finals: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                begin = tuple(s[len(finals)] for s in states)
                hidden, final = self._run(x, begin, suffix)
                outputs.append(hidden)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        out = x.transpose(0, 1) if batched and self.batch_first else x
        ends = [stack(parts) for parts in zip(*finals, strict=True)]
        return out, tuple(ends) if self.mode == "LSTM" else ends[0]

    def _run(self, x: Tensor, state: State, suffix: str) -> tuple[Tensor, State]:
        """One layer in one direction: all hidden states, in the order of the sequence, and the last state."""
        weight, bias = getattr(self, "weight_hh" + suffix), getattr(self, "bias_hh" + suffix, None)
        shares = F.linear(x, getattr(self, "weight_ih" + suffix), getattr(self, "bias_ih" + suffix, None)).unbind(0)
        backward = suffix.endswith("_reverse")
        step = STEPS[self.mode]
        hidden = []
        for share in reversed(shares) if backward else shares:
            state = step(share, state, weight, bias)
            hidden.append(state[0])
        return stack(hidden[::-1] if backward else hidden), state

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        for name, default in defaults.items():
            value = getattr(self, name)
            text += "" if value == default else f", {name}={value}"
        return text


class RNN(RNNBase):
    """Elman's recurrent network: ``h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)``.

    Elman, "Finding structure in time" (1990). L: length, N: batch (may be missing), I: `input_size`,
    H: `hidden_size`, D: 2 if `bidirectional`, else 1.

    Parameters
    ----------
    input_size, hidden_size : int
        Features of the input and of the state.
    num_layers : int
        How many layers, each of which reads the hidden states of the one before.
    nonlinearity : "tanh" or "relu"
        The activation.
    bias : bool
        Whether there are ``bias_ih`` and ``bias_hh``.
    batch_first : bool
        Input and output are (N, L, ...), not (L, N, ...). States are not concerned.
    dropout : float
        The share of the hidden states that is dropped between layers in training.
    bidirectional : bool
        A second set of weights reads the sequence from its end; its hidden states are joined to the first's.

    Notes
    -----
    ``layer(input, h_0=None)`` gives ``(output, h_n)``: all hidden states of the last layer, (L, N, D H), and the last
    ones of every layer, (D num_layers, N, H). Weights are ``weight_ih_l0`` (H, I), ``weight_hh_l0`` (H, H), ...,
    with ``_reverse`` after the name in the second direction.

    Raises
    ------
    RuntimeError
        If the sizes of input or states do not fit.
    ValueError
        If the input is not of 2 or 3 dimensions, or an option is out of range.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> output, h_n = ag.nn.RNN(10, 20, num_layers=2)(ag.randn(5, 3, 10))
    >>> output.shape, h_n.shape
    (autograd_lite.Size([5, 3, 20]), autograd_lite.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__(_elman_mode(nonlinearity), *options)


class LSTM(RNNBase):
    """Long short-term memory.

    ``i, f, g, o = W_ih x_t + b_ih + W_hh h_(t-1) + b_hh``,
    ``c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)``, ``h_t = sigmoid(o) tanh(c_t)``.
    Hochreiter and Schmidhuber, "Long short-term memory" (1997); the forget gate: Gers et al. (2000).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        As in `RNN`.

    Notes
    -----
    ``layer(input, (h_0, c_0)=None)`` gives ``(output, (h_n, c_n))``, of the shapes that `RNN` has. The weights have
    4 H rows: those of the gates i, f, g and o, one after the other.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> output, (h_n, c_n) = ag.nn.LSTM(10, 20, batch_first=True)(ag.randn(3, 5, 10))
    >>> output.shape, c_n.shape
    (autograd_lite.Size([3, 5, 20]), autograd_lite.Size([1, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__("LSTM", *options)


class GRU(RNNBase):
    """Gated recurrent units.

    ``r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)``, z likewise, ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``,
    ``h_t = (1 - z) n + z h_(t-1)``.
    Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        As in `RNN`.

    Notes
    -----
    Called as `RNN` is. The weights have 3 H rows: those of r, z and n.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> output, h_n = ag.nn.GRU(10, 20, bidirectional=True)(ag.randn(5, 3, 10))
    >>> output.shape, h_n.shape
    (autograd_lite.Size([5, 3, 40]), autograd_lite.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        super().__init__("GRU", *options)


class RNNCellBase(Module):
    """What the cells share: the weights, and one step."""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, mode: str, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = GATES[mode] * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniformly up to ``1 / sqrt(hidden_size)``."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _step(self, input: Tensor, given: Sequence[Tensor] | None) -> State:
        if input.dim() not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}")
        shape = (*input.shape[:-1], self.hidden_size)
        if given is None:
            given = [zeros(shape, dtype=input.dtype) for _ in range(2 if self.mode == "LSTM" else 1)]
        for state in given:
            if tuple(state.shape) != shape:
                raise RuntimeError(f"hidden has inconsistent shape: got {list(state.shape)} expected {list(shape)}")
        share = F.linear(input, self.weight_ih, self.bias_ih)
        return STEPS[self.mode](share, tuple(given), self.weight_hh, self.bias_hh)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        return self._step(input, None if hx is None else [hx])[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of an `RNN`: from (N, input_size) and the state (N, hidden_size) to the next state.

    Parameters
    ----------
    input_size, hidden_size, bias, nonlinearity
        As in `RNN`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.RNNCell(10, 20)(ag.randn(3, 10)).shape
    autograd_lite.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(_elman_mode(nonlinearity), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: from (N, input_size) and the states ``(h, c)`` to the next ``(h, c)``.

    Parameters
    ----------
    input_size, hidden_size, bias
        As in `LSTM`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> h, c = ag.nn.LSTMCell(10, 20)(ag.randn(3, 10))
    >>> h.shape, c.shape
    (autograd_lite.Size([3, 20]), autograd_lite.Size([3, 20]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__("LSTM", input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return self._step(input, hx)


class GRUCell(RNNCellBase):
    """One step of a `GRU`: from (N, input_size) and the state (N, hidden_size) to the next state.

    Parameters
    ----------
    input_size, hidden_size, bias
        As in `GRU`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.GRUCell(10, 20)(ag.randn(3, 10)).shape
    autograd_lite.Size([3, 20])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__("GRU", input_size, hidden_size, bias, device, dtype)
