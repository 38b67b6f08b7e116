"""Recurrent layers and transformers against loops in NumPy, and against PyTorch where it is installed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import nn

F64 = ag.float64


def leaf(rng: np.random.Generator, *shape: int) -> ag.Tensor:
    return ag.tensor(rng.standard_normal(shape), requires_grad=True)


def drawn(module: nn.Module, rng: np.random.Generator) -> nn.Module:
    module.to(F64)
    with ag.no_grad():
        for parameter in module.parameters():
            parameter.copy_(ag.tensor(rng.standard_normal(tuple(parameter.shape)) * 0.5))
    return module


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def elman(x: np.ndarray, h: np.ndarray, c: np.ndarray, p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.tanh(x @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"]), c


def lstm(x: np.ndarray, h: np.ndarray, c: np.ndarray, p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    i, f, g, o = np.split(x @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"], 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(x: np.ndarray, h: np.ndarray, c: np.ndarray, p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    wr, wz, wn = np.split(p["weight_ih"], 3)
    ur, uz, un = np.split(p["weight_hh"], 3)
    br, bz, bn = np.split(p["bias_ih"], 3)
    cr, cz, cn = np.split(p["bias_hh"], 3)
    r, z = sigmoid(x @ wr.T + br + h @ ur.T + cr), sigmoid(x @ wz.T + bz + h @ uz.T + cz)
    n = np.tanh(x @ wn.T + bn + r * (h @ un.T + cn))
    return (1 - z) * n + z * h, c


STEPS: dict[str, Callable[..., Any]] = {"RNN": elman, "LSTM": lstm, "GRU": gru}


@pytest.mark.parametrize("name", STEPS)
def test_a_recurrent_layer_is_a_loop(name: str, rng: np.random.Generator) -> None:
    layer = drawn(getattr(nn, name)(3, 4, num_layers=2, bidirectional=True), rng)
    x, h, c = (rng.standard_normal(s) for s in ((5, 2, 3), (4, 2, 4), (4, 2, 4)))
    parameters = {k: v.detach().numpy() for k, v in layer.named_parameters()}
    expected, ends = x, []
    for number in range(2):
        directions = []
        for suffix in (f"_l{number}", f"_l{number}_reverse"):
            own = {k[: -len(suffix)]: v for k, v in parameters.items() if k.endswith(suffix)}
            state, cell, outs = h[len(ends)], c[len(ends)], []
            for at in expected[::-1] if suffix.endswith("reverse") else expected:
                state, cell = STEPS[name](at, state, cell, own)
                outs.append(state)
            ends.append((state, cell))
            directions.append(np.stack(outs[::-1] if suffix.endswith("reverse") else outs))
        expected = np.concatenate(directions, -1)
    states: Any = tuple(map(ag.tensor, (h, c))) if name == "LSTM" else ag.tensor(h)
    out, last = layer(ag.tensor(x), states)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-12)
    for k, given in enumerate(last if name == "LSTM" else [last]):
        np.testing.assert_allclose(given.detach().numpy(), np.stack([end[k] for end in ends]), rtol=1e-12)


@pytest.mark.parametrize("name", STEPS)
def test_gradients_of_recurrent_layers(name: str, rng: np.random.Generator) -> None:
    layer = drawn(getattr(nn, name)(2, 2, num_layers=2), rng)

    def run(*leaves: ag.Tensor) -> ag.Tensor:
        return layer(leaves[0])[0].sin().sum()

    assert ag.autograd.gradcheck(run, (leaf(rng, 3, 2, 2), *layer.parameters()))
    assert ag.autograd.gradgradcheck(run, (leaf(rng, 2, 1, 2),))


@pytest.mark.parametrize("name", STEPS)
def test_forms_of_recurrent_layers(name: str, rng: np.random.Generator) -> None:
    """A cell is a step; batches come first if wanted, or are missing; without biases there are none."""
    layer = drawn(getattr(nn, name)(3, 4), rng)
    cell = drawn(getattr(nn, f"{name}Cell")(3, 4), rng)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = ag.tensor(rng.standard_normal((5, 2, 3)))
    with ag.no_grad():
        out, _ = layer(x)
        state: Any = None
        for t in range(5):
            state = cell(x[t], state)
            np.testing.assert_allclose((state[0] if name == "LSTM" else state).numpy(), out[t].numpy(), rtol=1e-12)
        first = copy.deepcopy(layer)
        first.batch_first = True
        np.testing.assert_array_equal(first(x.transpose(0, 1))[0].numpy(), out.numpy().swapaxes(0, 1))
        np.testing.assert_allclose(layer(x[:, 1])[0].numpy(), out[:, 1].numpy(), rtol=1e-12)
    assert [n for n, _ in getattr(nn, name)(3, 4, bias=False).named_parameters()] == ["weight_ih_l0", "weight_hh_l0"]
    assert getattr(nn, f"{name}Cell")(3, 4, bias=False).bias_ih is None
    assert repr(getattr(nn, name)(3, 4, num_layers=2, batch_first=True)) == f"{name}(3, 4, num_layers=2, batch_first=True)"
    for parameter in getattr(nn, name)(3, 16).parameters():
        assert 0 < parameter.abs().max() <= 0.25


def test_dropout_between_recurrent_layers() -> None:
    layer = nn.LSTM(3, 4, num_layers=2, dropout=1.0)
    x = ag.randn(5, 2, 3)
    silent, _ = layer(x)
    np.testing.assert_array_equal(silent.detach().numpy(), layer(x * 2)[0].detach().numpy())
    assert not np.array_equal(layer.eval()(x)[0].detach().numpy(), silent.detach().numpy())
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        nn.GRU(3, 4, dropout=0.5)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: nn.LSTM(3, 4)(ag.zeros(5, 2, 2)), RuntimeError, "input_size. Expected 3, got 2"),
        (lambda: nn.LSTM(3, 4)(ag.zeros(3)), ValueError, "2D or 3D"),
        (lambda: nn.LSTM(3, 4)(ag.zeros(0, 2, 3)), RuntimeError, "larger than 0"),
        (lambda: nn.GRU(3, 4)(ag.zeros(5, 2, 3), ag.zeros(1, 1, 4)), RuntimeError, r"Expected hidden size \(1, 2, 4\)"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "Unknown nonlinearity"),
        (lambda: nn.RNN(3, 0), ValueError, "positive"),
        (lambda: nn.RNN(3, 4, dropout=2.0), ValueError, "range"),
        (lambda: nn.LSTMCell(3, 4)(ag.zeros(2, 5)), RuntimeError, "got 5 expected 3"),
        (lambda: nn.GRUCell(3, 4)(ag.zeros(2, 3), ag.zeros(3, 4)), RuntimeError, "inconsistent shape"),
        (lambda: nn.RNNCell(3, 4)(ag.zeros(1, 2, 3)), ValueError, "1D or 2D"),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible"),
        (lambda: nn.MultiheadAttention(0, 2), ValueError, "greater than 0"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(2, 3, 5)] * 3), AssertionError, "dimension of 4, but got 5"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(4)] * 3), AssertionError, "2-D or all 3-D"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(2, 3, 4)] * 3, is_causal=True), RuntimeError, "attn_mask"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(2, 3, 4)] * 3, attn_mask=ag.zeros(3, 3)), RuntimeError, r"\(2, 2\)"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(2, 3, 4)] * 3, ag.zeros(2, 2) > 0), AssertionError, r"\(3, 2\)"),
        (lambda: nn.MultiheadAttention(4, 2)(*[ag.zeros(2, 3, 4)] * 3, ag.arange(2)), AssertionError, "bool and floating"),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), RuntimeError, "relu/gelu"),
        (lambda: nn.Transformer(4, 2, 1, 1, 4)(ag.zeros(2, 3, 4), ag.zeros(2, 2, 4)), RuntimeError, "batch number"),
        (lambda: nn.Transformer(4, 2, 1, 1, 4)(ag.zeros(2, 3, 5), ag.zeros(2, 3, 4)), RuntimeError, "feature number"),
    ],
)  # fmt: skip
def test_errors(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


# Attention


def attention(p: dict[str, np.ndarray], heads: int, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> Any:
    """Head by head, image by image; arrays are (N, L, E), the mask (N, L, S)."""
    e = q.shape[-1]
    out, every = np.zeros_like(q), np.zeros((len(q), heads, q.shape[1], k.shape[1]))
    biases = np.split(p["in_proj_bias"], 3)
    projected = [x @ w.T + b for x, w, b in zip((q, k, v), np.split(p["in_proj_weight"], 3), biases)]
    for n in range(len(q)):
        for h in range(heads):
            part = slice(h * e // heads, (h + 1) * e // heads)
            qh, kh, vh = (x[n][:, part] for x in projected)
            scores = np.exp(qh @ kh.T / math.sqrt(e / heads)) * ~mask[n]
            every[n, h] = scores / scores.sum(-1, keepdims=True)
            out[n][:, part] = every[n, h] @ vh
    return out @ p["out_proj.weight"].T + p["out_proj.bias"], every


@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_head_by_head(batch_first: bool, rng: np.random.Generator) -> None:
    layer = drawn(nn.MultiheadAttention(6, 3, batch_first=batch_first), rng)
    parameters = {n: p.detach().numpy() for n, p in layer.named_parameters()}
    q, k, v = (rng.standard_normal((2, n, 6)) for n in (4, 5, 5))
    later, padding = np.triu(np.ones((4, 5), bool), 2), np.array([[False] * 5, [False, True, False, False, True]])
    expected, weights = attention(parameters, 3, q, k, v, later | padding[:, None])
    given = [ag.tensor(x if batch_first else x.swapaxes(0, 1)) for x in (q, k, v)]
    for causal in (later, np.repeat(later[None], 6, 0), np.where(later, -np.inf, 0.0)):
        out, seen = layer(*given, ag.tensor(padding), attn_mask=ag.tensor(causal), average_attn_weights=False)
        out = out.detach().numpy()
        np.testing.assert_allclose(out if batch_first else out.swapaxes(0, 1), expected, rtol=1e-10)
        np.testing.assert_allclose(seen.detach().numpy(), weights, rtol=1e-10, atol=1e-300)
    _, mean = layer(*given, ag.tensor(padding), attn_mask=ag.tensor(later))
    np.testing.assert_allclose(mean.detach().numpy(), weights.mean(1), rtol=1e-10, atol=1e-300)
    assert layer(*given, need_weights=False)[1] is None


def test_attention_without_anything_to_attend_to_gives_zeros() -> None:
    q, k, v = (ag.randn(1, 2, 3, requires_grad=True) for _ in range(3))
    mask = ag.tensor([[True, True], [False, False]])
    out = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    out.sum().backward()
    assert out[0, 1].tolist() == [0.0] * 3 and bool(out[0, 0].any())
    assert all(bool(t.grad.isfinite().all()) for t in (q, k, v)) and q.grad[0, 1].tolist() == [0.0] * 3
    layer = nn.MultiheadAttention(4, 2)
    x = ag.randn(3, 1, 4)
    assert bool(layer(x, x, x, key_padding_mask=ag.ones(1, 3, dtype=ag.bool))[0].isfinite().all())


def test_attention_of_groups_of_heads(rng: np.random.Generator) -> None:
    q, k, v = (ag.tensor(rng.standard_normal((2, h, 3, 4))) for h in (4, 2, 2))
    wide = [t.repeat_interleave(2, 1) for t in (k, v)]
    f = nn.functional.scaled_dot_product_attention
    np.testing.assert_array_equal(f(q, k, v, enable_gqa=True).numpy(), f(q, *wide).numpy())
    with pytest.raises(RuntimeError, match="multiple"):
        f(q, k[:, [0, 1, 1]], v[:, [0, 1, 1]], enable_gqa=True)


def test_gradients_of_a_transformer(rng: np.random.Generator) -> None:
    model = drawn(nn.Transformer(4, 2, 1, 1, dim_feedforward=3, dropout=0.0, activation="gelu", batch_first=True), rng)
    mask = model.generate_square_subsequent_mask(2, dtype=F64)

    def run(source: ag.Tensor, target: ag.Tensor, *parameters: ag.Tensor) -> ag.Tensor:
        return model(source, target, tgt_mask=mask, tgt_is_causal=True)

    assert ag.autograd.gradcheck(run, (leaf(rng, 2, 3, 4), leaf(rng, 2, 2, 4), *model.parameters()))


def test_causal_masks_hide_what_comes_later(rng: np.random.Generator) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True)
    encoder = drawn(nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(4)), rng).eval()
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=F64)
    x = ag.tensor(rng.standard_normal((1, 5, 4)), requires_grad=True)
    encoder(x, mask, is_causal=True)[0, 2].sum().backward()
    assert bool(x.grad[0, :3].all()) and not bool(x.grad[0, 3:].any())


def test_copies_of_a_layer_are_trained_apart() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)
    first, second = encoder.layers
    assert first.linear1.weight is not second.linear1.weight
    assert first.linear1.weight.tolist() == second.linear1.weight.tolist()


TORCH: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], list[tuple[int, ...]]]] = {
    "RNN": ("RNN", (3, 4, 2, "relu"), {"bidirectional": True, "batch_first": True}, [(2, 5, 3)]),
    "LSTM": ("LSTM", (3, 4), {"num_layers": 3, "bidirectional": True}, [(5, 2, 3)]),
    "GRU": ("GRU", (3, 4, 2), {"bias": False}, [(5, 3)]),
    "LSTMCell": ("LSTMCell", (3, 4), {}, [(2, 3)]),
    "GRUCell": ("GRUCell", (3, 4), {}, [(3,)]),
    "attention": ("MultiheadAttention", (6, 2), {"kdim": 3, "vdim": 5}, [(4, 2, 6), (3, 2, 3), (3, 2, 5)]),
    "attention with more keys": ("MultiheadAttention", (4, 2), {"add_bias_kv": True, "add_zero_attn": True}, [(4, 2, 4)] * 3),
    "attention without a batch": ("MultiheadAttention", (4, 2), {"batch_first": True, "bias": False}, [(4, 4), (3, 4), (3, 4)]),
    "encoder layer": ("TransformerEncoderLayer", (4, 2, 5, 0.0), {"norm_first": True}, [(3, 2, 4)]),
    "decoder layer": ("TransformerDecoderLayer", (4, 2, 5, 0.0), {"batch_first": True, "bias": False}, [(2, 3, 4), (2, 5, 4)]),
    "transformer": ("Transformer", (4, 2, 2, 1, 5, 0.0), {}, [(3, 2, 4), (5, 2, 4)]),
}  # fmt: skip


def flat(result: Any) -> list[Any]:
    return [r for part in result for r in flat(part)] if isinstance(result, tuple) else [result]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("case", TORCH)
def test_the_same_as_pytorch(case: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    name, arguments, options, shapes = TORCH[case]
    ours, theirs = getattr(nn, name)(*arguments, **options).double(), getattr(torch.nn, name)(*arguments, **options).double()
    state = {n: rng.standard_normal(tuple(p.shape)) * 0.5 for n, p in ours.named_parameters()}
    assert list(state) == [n for n, _ in theirs.named_parameters()]
    ours.load_state_dict({n: ag.tensor(v) for n, v in state.items()})
    theirs.load_state_dict({n: torch.tensor(v) for n, v in state.items()})
    inputs = [rng.standard_normal(s) for s in shapes]
    results = []
    for module, made in ((ours, [ag.tensor(x) for x in inputs]), (theirs, [torch.tensor(x) for x in inputs])):
        for t in made:
            t.requires_grad_()
        outs = flat(module(*made))
        sum(o.sin().sum() for o in outs).backward()
        results.append([t.detach().numpy() for t in outs] + [t.grad.numpy() for t in [*made, *module.parameters()]])
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


# Sequences of different lengths


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_of_sequences(batch_first: bool, side: str, rng: np.random.Generator) -> None:
    parts = [leaf(rng, n, 2) for n in (3, 1, 4, 0)]
    padded = nn.utils.rnn.pad_sequence(parts, batch_first, -1.0, padding_side=side)
    expected = np.full((4, 4, 2), -1.0)
    for row, part in zip(expected, parts):
        n = len(part)
        row[(slice(n) if side == "right" else slice(4 - n, 4))] = part.detach().numpy()
    np.testing.assert_array_equal(padded.detach().numpy(), expected if batch_first else expected.swapaxes(0, 1))
    (padded * padded).sum().backward()
    for part in parts:
        np.testing.assert_allclose(part.grad.numpy(), 2 * part.detach().numpy())
    if side == "right":
        for got, part in zip(nn.utils.rnn.unpad_sequence(padded, [3, 1, 4, 0], batch_first), parts):
            assert got.tolist() == part.tolist()


def test_padding_refuses_what_does_not_fit() -> None:
    for bad in ([], [ag.ones(2, 3), ag.ones(2, 2)], [ag.ones(())]):
        with pytest.raises(RuntimeError, match="pad_sequence"):
            nn.utils.rnn.pad_sequence(bad)
    with pytest.raises(RuntimeError, match="padding_side"):
        nn.utils.rnn.pad_sequence([ag.ones(1)], padding_side="top")
