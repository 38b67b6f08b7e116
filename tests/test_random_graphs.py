"""Random expression graphs against forward-mode differentiation of the same program in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag

SHAPE = (2, 3)
H = 1e-20

# name -> (operation on tensors, the same on complex arrays); all bounded, so that deep graphs stay tame
UNARY: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sin": (lambda t: t.sin(), np.sin),
    "tanh": (lambda t: t.tanh(), np.tanh),
    "sigmoid": (lambda t: t.sigmoid(), lambda a: 1 / (1 + np.exp(-a))),
    "exp of sin": (lambda t: t.sin().exp(), lambda a: np.exp(np.sin(a))),
    "transposed and back": (lambda t: (t.T * 1.5).T, lambda a: 1.5 * a),
    "row sums": (lambda t: t.sum(1, keepdim=True).expand(*SHAPE) * 0.3, lambda a: 0.3 * np.broadcast_to(a.sum(1, keepdims=True), SHAPE)),
    "mean": (lambda t: t.mean() + t * 0, lambda a: np.broadcast_to(a.mean(), SHAPE) + a * 0),
    "rolled slice": (lambda t: ag.cat([t[:, 1:], t[:, :1]], 1), lambda a: np.roll(a, -1, 1)),
    "gathered": (lambda t: t[ag.tensor([1, 1])], lambda a: a[[1, 1]]),
    "softmax": (lambda t: t.softmax(1), lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True)),
    "square root": (lambda t: (t * t + 1).sqrt(), lambda a: np.sqrt(a * a + 1)),
    "in place": (lambda t: t.clone().mul_(0.5).add_(t), lambda a: 1.5 * a),
    "through a view": (lambda t: _written(t), lambda a: _written_reference(a)),
}  # fmt: skip
BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add": (lambda s, t: s + t, lambda a, b: a + b),
    "sub": (lambda s, t: s - t, lambda a, b: a - b),
    "mul": (lambda s, t: (s * t).tanh(), lambda a, b: np.tanh(a * b)),
    "div": (lambda s, t: s / (t * t + 1), lambda a, b: a / (b * b + 1)),
    "matmul": (lambda s, t: ((s @ t.T) @ s).tanh(), lambda a, b: np.tanh((a @ b.T) @ a)),
    "where": (lambda s, t: ag.where(s > t, s, 0.5 * t), lambda a, b: np.where(a.real > b.real, a, 0.5 * b)),
    "broadcast": (lambda s, t: (s[:1] * t).sin(), lambda a, b: np.sin(a[:1] * b)),
}


def _written(t: ag.Tensor) -> ag.Tensor:
    base = t * 2
    base[:, 1].mul_(t[:, 0].sin())
    return base * 0.5


def _written_reference(a: np.ndarray) -> np.ndarray:
    base = a * 2
    base[:, 1] = base[:, 1] * np.sin(a[:, 0])
    return base * 0.5


@dataclass
class Program:
    """Steps over a growing list of values; the first `leaves` are given."""

    leaves: int
    steps: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    island: int | None = None
    hooked: int | None = None

    def on_tensors(self, leaves: list[ag.Tensor]) -> list[ag.Tensor]:
        values = list(leaves)
        for number, (name, arguments) in enumerate(self.steps):
            operation = (UNARY | BINARY)[name][0]
            if number == self.island:
                with ag.no_grad():
                    values.append(operation(*[values[i] for i in arguments]))
            else:
                values.append(operation(*[values[i] for i in arguments]))
            if number == self.hooked and values[-1].requires_grad:
                values[-1].register_hook(lambda g: 2 * g)
        return values

    def on_arrays(self, leaves: list[np.ndarray]) -> list[np.ndarray]:
        """The same; the imaginary parts are derivatives, cut at the island and doubled behind the hook."""
        values = list(leaves)
        for number, (name, arguments) in enumerate(self.steps):
            value = (UNARY | BINARY)[name][1](*[values[i] for i in arguments])
            if number == self.island:
                value = value.real + 0j
            if number == self.hooked:
                value = value.real + 2j * value.imag
            values.append(value)
        return values


@st.composite
def programs(draw: Any) -> Program:
    leaves = draw(st.integers(1, 3))
    program = Program(leaves)
    for number in range(draw(st.integers(1, 12))):
        size = leaves + number
        name = draw(st.sampled_from([*UNARY, *BINARY]))
        pick = st.integers(max(0, size - 4), size - 1) | st.integers(0, size - 1)
        program.steps.append((name, tuple(draw(pick) for _ in range(1 if name in UNARY else 2))))
    program.island = draw(st.none() | st.integers(0, len(program.steps) - 1))
    program.hooked = draw(st.none() | st.integers(0, len(program.steps) - 1))
    return program


def derivatives(program: Program, at: list[np.ndarray], weights: np.ndarray) -> list[np.ndarray]:
    """Forward mode, entry by entry: the sum of `weights` times the last value."""
    result = []
    for k, _x in enumerate(at):
        grad = np.zeros(SHAPE)
        for i in np.ndindex(*SHAPE):
            moved = [a.astype(complex) for a in at]
            moved[k][i] += 1j * H
            grad[i] = np.sum(program.on_arrays(moved)[-1].imag * weights) / H
        result.append(grad)
    return result


@settings(max_examples=30 * settings().max_examples)
@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_random_graph(program: Program, seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = [rng.uniform(-1.5, 1.5, SHAPE) for _ in range(program.leaves)]
    weights = rng.standard_normal(SHAPE)
    leaves = [ag.tensor(x, requires_grad=True) for x in at]
    out = program.on_tensors(leaves)[-1]
    np.testing.assert_allclose(out._data, program.on_arrays([a.astype(complex) for a in at])[-1].real, rtol=1e-9, atol=1e-11)
    expected = derivatives(program, at, weights)
    if not out.requires_grad:
        assert all(not np.any(e) for e in expected)
        return
    upstream = ag.from_numpy(weights)
    found = ag.autograd.grad(out, leaves, upstream, retain_graph=True, allow_unused=True)
    for t, g, wanted in zip(leaves, found, expected, strict=True):
        assert t.grad is None
        np.testing.assert_allclose(np.zeros(SHAPE) if g is None else g._data, wanted, rtol=1e-7, atol=1e-9)
    # micro-batches: two halves of the weights, one after the other, add up
    out.backward(ag.from_numpy(weights * 0.25), retain_graph=True)
    out.backward(ag.from_numpy(weights * 0.75))
    for t, wanted in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(np.zeros(SHAPE) if t.grad is None else t.grad._data, wanted, rtol=1e-7, atol=1e-9)


@settings(max_examples=10 * settings().max_examples)
@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_random_graph_twice(program: Program, seed: int) -> None:
    """The derivative of a gradient along a direction, against differences of gradients."""
    program.hooked = program.island = None  # what differences cannot follow
    rng = np.random.default_rng(seed)
    at = [rng.uniform(-1.5, 1.5, SHAPE) for _ in range(program.leaves)]
    along = [rng.standard_normal(SHAPE) for _ in at]
    weights = rng.standard_normal(SHAPE)

    def gradient(x: list[np.ndarray], create_graph: bool = False) -> tuple[list[ag.Tensor], list[Any]]:
        leaves = [ag.tensor(a, requires_grad=True) for a in x]
        out = program.on_tensors(leaves)[-1]
        if not out.requires_grad:
            return leaves, [None] * len(leaves)
        return leaves, list(
            ag.autograd.grad(out, leaves, ag.from_numpy(weights), create_graph=create_graph, allow_unused=True)
        )

    leaves, first = gradient(at, create_graph=True)
    linked = [(g, v) for g, v in zip(first, along, strict=True) if g is not None and g.requires_grad]
    second: list[Any] = [None] * len(leaves)
    if linked:
        second = list(
            ag.autograd.grad([g for g, _ in linked], leaves, [ag.from_numpy(v) for _, v in linked], allow_unused=True)
        )
    got = sum(float(np.sum(s._data * v)) for s, v in zip(second, along, strict=True) if s is not None)

    def slope(h: float) -> float:
        total = 0.0
        for k, c in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
            _, grads = gradient([a + k * h * v for a, v in zip(at, along, strict=True)])
            total += c * sum(float(np.sum(g._data * v)) for g, v in zip(grads, along, strict=True) if g is not None)
        return total / (12 * h)

    coarse, fine = slope(2e-4), slope(1e-4)
    if abs(coarse - fine) <= 1e-5 * (1 + abs(fine)):  # else a kink (of `where`) lies near
        np.testing.assert_allclose(got, fine, rtol=1e-4, atol=1e-5 * (1 + abs(fine)))
