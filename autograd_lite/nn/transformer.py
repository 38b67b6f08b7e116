"""Attention and the transformer: Vaswani et al., "Attention is all you need" (2017).

L: length of the queries, S: of the keys, N: batch, E: features. Sequences come first, (L, N, E), unless
`batch_first` says (N, L, E); the batch may be missing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.creation import empty, zeros
from ..ops.joining import cat
from ..ops.linear import softmax_or_nothing
from ..tensor import Tensor
from . import functional as F
from . import init
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm
from .parameter import Parameter


def _additive(op: str, name: str, mask: Tensor | None, like: Tensor) -> Tensor | None:
    """A mask that is added to the scores: -inf where a boolean one says True (take no notice of this)."""
    if mask is None or mask.is_floating_point():
        return mask
    if mask._data.dtype.kind != "b":
        raise AssertionError(f"{op}: only bool and floating types of {name} are supported, got {mask.dtype!r}")
    return zeros(mask.shape, dtype=like.dtype).masked_fill(mask, -math.inf)


class MultiheadAttention(Module):
    """``concat(head_1, ..., head_h) W_o`` with ``head_i = softmax(q_i k_i^T / sqrt(E / h)) v_i``; section 3.2.2.

    Parameters
    ----------
    embed_dim : int
        Features E of the queries and of the result.
    num_heads : int
        The number of heads h, a divisor of E; each has ``E / h`` features.
    dropout : float
        The share of the weights that is dropped in training.
    bias : bool
        Whether the projections have biases.
    add_bias_kv : bool
        Add a learned key and value at the end of the sequence.
    add_zero_attn : bool
        Add a key and value of zeros at its end.
    kdim, vdim : int, optional
        Features of the keys and of the values; default: E.
    batch_first : bool
        Tensors are (N, L, E), not (L, N, E).

    Notes
    -----
    ``layer(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None)`` gives the result, shaped like
    the query, and the weights averaged over the heads, (N, L, S), or None without `need_weights`; with
    ``average_attn_weights=False`` those of each head, (N, h, L, S). `key_padding_mask` (N, S) and `attn_mask` (L, S)
    or (N h, L, S) are boolean, True where a key is to be ignored, or are added to the scores.

    Raises
    ------
    AssertionError
        If `num_heads` does not divide `embed_dim`, or shapes do not fit.
    RuntimeError
        If `is_causal` is given without a mask.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.randn(2, 5, 8)
    >>> out, weights = ag.nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> out.shape, weights.shape
    (autograd_lite.Size([2, 5, 8]), autograd_lite.Size([2, 5, 5]))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None
    out_proj: Linear

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"embed_dim and num_heads must be greater than 0, got {embed_dim} and {num_heads}")
        if embed_dim % num_heads:
            raise AssertionError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.add_zero_attn = add_zero_attn
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first = batch_first
        factory = {"device": device, "dtype": dtype}

        def parameter(name: str, wanted: bool, *shape: int) -> None:
            self.register_parameter(name, Parameter(empty(shape, **factory)) if wanted else None)

        together = self.kdim == self.vdim == embed_dim
        parameter("q_proj_weight", not together, embed_dim, embed_dim)
        parameter("k_proj_weight", not together, embed_dim, self.kdim)
        parameter("v_proj_weight", not together, embed_dim, self.vdim)
        parameter("in_proj_weight", together, 3 * embed_dim, embed_dim)
        parameter("in_proj_bias", bias, 3 * embed_dim)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **factory)
        parameter("bias_k", add_bias_kv, 1, 1, embed_dim)
        parameter("bias_v", add_bias_kv, 1, 1, embed_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections anew by Xavier's uniform rule; biases are zero."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)  # type: ignore[arg-type]
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        e = self.embed_dim
        if self.in_proj_weight is not None:
            if query is key and key is value:
                return list(F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1))
            weights: Any = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases: Any = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.split(e)
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        batched = query.dim() == 3
        if query.dim() not in (2, 3) or not query.dim() == key.dim() == value.dim():
            shapes = [tuple(t.shape) for t in (query, key, value)]
            raise AssertionError(
                f"MultiheadAttention: query, key and value must all be 2-D or all 3-D, got shapes {shapes}"
            )
        if query.shape[-1] != self.embed_dim:
            raise AssertionError(f"was expecting embedding dimension of {self.embed_dim}, but got {query.shape[-1]}")
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        q, k, v = self._project(query, key, value)
        if not batched:
            q, k, v = (t.unsqueeze(1) for t in (q, k, v))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            q, k, v = (t.transpose(0, 1) for t in (q, k, v))
        length, batch = q.shape[:2]
        mask = self._mask(attn_mask, key_padding_mask, length, k.shape[0], batch, q)
        if self.bias_k is not None and self.bias_v is not None:
            k, v = cat([k, self.bias_k.expand(1, batch, -1)]), cat([v, self.bias_v.expand(1, batch, -1)])
        if self.add_zero_attn:
            nothing = zeros(1, batch, self.embed_dim, dtype=k.dtype)
            k, v = cat([k, nothing]), cat([v, nothing])
        if mask is not None and k.shape[0] > mask.shape[-1]:
            mask = F.pad(mask, (0, k.shape[0] - mask.shape[-1]))
        q, k, v = (t.unflatten(2, (self.num_heads, self.head_dim)).permute(1, 2, 0, 3) for t in (q, k, v))
        scores = (q / math.sqrt(self.head_dim)) @ k.transpose(-2, -1)
        weights = scores.softmax(-1) if mask is None else softmax_or_nothing(scores + mask)
        weights = F.dropout(weights, self.dropout, self.training)
        out = self.out_proj((weights @ v).permute(2, 0, 1, 3).flatten(2))
        if average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return out.squeeze(1), weights.squeeze(0) if need_weights else None
        return out.transpose(0, 1) if self.batch_first else out, weights if need_weights else None

    def _mask(
        self, attn: Tensor | None, padding: Tensor | None, length: int, keys: int, batch: int, like: Tensor
    ) -> Tensor | None:
        """Both masks as one that is added to scores of shape (N, h, L, S)."""
        mask = _additive("MultiheadAttention", "attn_mask", attn, like)
        if mask is not None:
            if tuple(mask.shape) == (batch * self.num_heads, length, keys):
                mask = mask.unflatten(0, (batch, self.num_heads))
            elif tuple(mask.shape) != (length, keys):
                raise RuntimeError(
                    f"The shape of the attn_mask is {tuple(mask.shape)}, but should be {(length, keys)} or "
                    f"{(batch * self.num_heads, length, keys)}."
                )
        ignored = _additive("MultiheadAttention", "key_padding_mask", padding, like)
        if ignored is None:
            return mask
        if tuple(ignored.shape) != (batch, keys):
            raise AssertionError(f"expecting key_padding_mask shape of {(batch, keys)}, but got {tuple(ignored.shape)}")
        ignored = ignored.reshape(batch, 1, 1, keys)
        return ignored if mask is None else mask + ignored


def _activation(given: str | Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    if given == "relu":
        return F.relu
    if given == "gelu":
        return F.gelu
    if callable(given):
        return given
    raise RuntimeError(f"activation should be relu/gelu, not {given}")


class _Layer(Module):
    """What encoder and decoder layers share: self-attention and the two linear maps."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Any,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        device: Any,
        dtype: Any,
        sources: int,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.norm_first = norm_first
        attention = {"dropout": dropout, "bias": bias, "batch_first": batch_first, **factory}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        if sources == 2:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **factory)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **factory)
        for i in range(1, sources + 2):
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **factory))
        for i in range(1, sources + 2):
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _residuals(self, x: Tensor, blocks: list[Callable[[Tensor], Tensor]]) -> Tensor:
        for i, block in enumerate(blocks, 1):
            norm, drop = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
            x = x + drop(block(norm(x))) if self.norm_first else norm(x + drop(block(x)))
        return x


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear maps, each with a residual connection and layer normalisation; section 3.1.

    Parameters
    ----------
    d_model, nhead : int
        Features, and heads of the attention.
    dim_feedforward : int
        Features between the two linear maps.
    dropout : float
        The share that is dropped after each block, inside of the linear maps, and of the attention's weights.
    activation : "relu", "gelu" or callable
        Between the linear maps.
    layer_norm_eps : float
        The eps of the layer normalisations.
    batch_first : bool
        Tensors are (N, L, E), not (L, N, E).
    norm_first : bool
        Normalise before each block, not after the sum (Xiong et al., 2020).
    bias : bool
        Whether linear maps and normalisations have biases.

    Notes
    -----
    ``layer(src, src_mask=None, src_key_padding_mask=None)``; masks are those of `MultiheadAttention`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layer = ag.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(ag.randn(3, 5, 8)).shape
    autograd_lite.Size([3, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
            device, dtype, 1,
        )  # fmt: skip

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._residuals(src, [attend, self._feed_forward])


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output, and two linear maps; section 3.1.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        As in `TransformerEncoderLayer`.

    Notes
    -----
    ``layer(tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layer = ag.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> layer(ag.randn(4, 3, 8), ag.randn(5, 3, 8)).shape
    autograd_lite.Size([4, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
            device, dtype, 2,
        )  # fmt: skip

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def look(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            )[0]

        return self._residuals(tgt, [attend, look, self._feed_forward])


class TransformerEncoder(Module):
    """Layers, copies of one, one after the other.

    Parameters
    ----------
    encoder_layer : TransformerEncoderLayer
        What to copy; the copies begin with the same weights.
    num_layers : int
        How many.
    norm : Module, optional
        Applied to the result.
    enable_nested_tensor, mask_check : bool
        Accepted for PyTorch's sake: there are no nested tensors here.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layer = ag.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    >>> ag.nn.TransformerEncoder(layer, num_layers=2)(ag.randn(5, 3, 8)).shape
    autograd_lite.Size([5, 3, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Layers, copies of one, one after the other.

    Parameters
    ----------
    decoder_layer : TransformerDecoderLayer
        What to copy.
    num_layers : int
        How many.
    norm : Module, optional
        Applied to the result.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layer = ag.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> ag.nn.TransformerDecoder(layer, num_layers=2)(ag.randn(4, 3, 8), ag.randn(5, 3, 8)).shape
    autograd_lite.Size([4, 3, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder; section 3.

    Parameters
    ----------
    d_model, nhead : int
        Features, and heads of the attention.
    num_encoder_layers, num_decoder_layers : int
        How many layers each has.
    dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        As in `TransformerEncoderLayer`.
    custom_encoder, custom_decoder : Module, optional
        Take their places.

    Notes
    -----
    ``model(src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, ...)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> model = ag.nn.Transformer(8, 2, 1, 1, dim_feedforward=16)
    >>> mask = model.generate_square_subsequent_mask(4)
    >>> model(ag.randn(5, 3, 8), ag.randn(4, 3, 8), tgt_mask=mask).shape
    autograd_lite.Size([4, 3, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options: Any = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
            device, dtype,
        )  # fmt: skip

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*options), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*options), num_decoder_layers, norm()
        )
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                f"the feature number of src and tgt must be equal to d_model, {self.d_model}, got shapes "
                f"{tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        axis = 0 if self.batch_first else 1
        if src.dim() == 3 and (tgt.dim() != 3 or src.shape[axis] != tgt.shape[axis]):
            raise RuntimeError(
                f"the batch number of src and tgt must be equal, got shapes {tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """A (sz, sz) mask by which each position sees itself and what was before it."""
        later = Tensor(np.triu(np.ones((sz, sz), bool), 1))
        return zeros(sz, sz, device=device, dtype=dtype).masked_fill(later, -math.inf)
