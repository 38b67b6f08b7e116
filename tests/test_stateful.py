"""Random programs of views, in-place operations, reads and backward passes, with a twin in NumPy in step.

The twin of a tensor holds its value and, in dual numbers, its derivative along one random direction of each
leaf entry: a complex array per probe. Views of twins are NumPy views, so that a write into one is seen by
all; whatever the engine does about views and in-place changes, the twin does by plain memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import autograd_lite as ag

H = 1e-20
SHAPE = (3, 4)
UNARY = {
    "sin": (lambda t: t.sin(), np.sin),
    "tanh": (lambda t: t.tanh(), np.tanh),
    "halved square": (lambda t: t * t * 0.5, lambda a: a * a * 0.5),
    "plus one": (lambda t: t + 1, lambda a: a + 1),
    "exp of minus square": (lambda t: (-t * t).exp(), lambda a: np.exp(-a * a)),
}
CHANGES = {
    "sin_": (lambda t: t.sin_(), np.sin),
    "mul_": (lambda t: t.mul_(0.75), lambda a: a * 0.75),
    "add_": (lambda t: t.add_(1.25), lambda a: a + 1.25),
    "tanh_": (lambda t: t.tanh_(), np.tanh),
    "zero_": (lambda t: t.zero_(), lambda a: a * 0),
    "negated": (lambda t: t.neg_(), lambda a: -a),
}
VIEWS = {
    "row": lambda t: t[-1] if t.ndim > 1 else t[:2],
    "columns": lambda t: t[..., 1:3],
    "step": lambda t: t[..., ::2],
    "transpose": lambda t: t.T,
    "first": lambda t: t[:1],
    "new axis": lambda t: t[None] if t.ndim < 3 else t[0],
    "last": lambda t: t[-1:],
}


class Value:
    """A tensor and its twins, one for each probe."""

    def __init__(self, tensor: ag.Tensor, twins: list[np.ndarray]) -> None:
        self.tensor, self.twins = tensor, twins


def broadcasts_into(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(source, target) == tuple(target)
    except ValueError:
        return False


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.values: list[Value] = []
        self.leaves: list[ag.Tensor] = []
        self.probes: list[list[np.ndarray]] = []
        self.rng = np.random.default_rng(0)

    @initialize(seed=st.integers(0, 2**32 - 1), leaves=st.integers(1, 2))
    def start(self, seed: int, leaves: int) -> None:
        self.rng = np.random.default_rng(seed)
        data = [self.rng.uniform(-1.5, 1.5, SHAPE) for _ in range(leaves)]
        self.probes = [[self.rng.standard_normal(SHAPE) for _ in data] for _ in range(3)]
        for k, x in enumerate(data):
            leaf = ag.tensor(x, requires_grad=True)
            self.leaves.append(leaf)
            self.values.append(Value(leaf, [x + 1j * H * p[k] for p in self.probes]))

    def pick(self, n: int) -> Value:
        return self.values[n % len(self.values)]

    def add(self, tensor: ag.Tensor, twins: list[np.ndarray]) -> None:
        if len(self.values) < 14:
            self.values.append(Value(tensor, twins))

    # Making new values

    @rule(n=st.integers(0, 99), name=st.sampled_from(list(UNARY)))
    def compute(self, n: int, name: str) -> None:
        v = self.pick(n)
        operation, twin = UNARY[name]
        self.add(operation(v.tensor), [np.array(twin(a)) for a in v.twins])

    @rule(n=st.integers(0, 99), m=st.integers(0, 99), sign=st.sampled_from([1.0, -1.0]))
    def combine(self, n: int, m: int, sign: float) -> None:
        a, b = self.pick(n), self.pick(m)
        try:
            twins = [np.array(p * q * 0.5 + sign * p) for p, q in zip(a.twins, b.twins, strict=True)]
        except ValueError:
            return
        self.add(a.tensor * b.tensor * 0.5 + a.tensor * sign, twins)

    @rule(n=st.integers(0, 99), name=st.sampled_from(list(VIEWS)))
    def view(self, n: int, name: str) -> None:
        v = self.pick(n)
        if v.tensor.ndim == 0 or (name == "transpose" and v.tensor.ndim != 2):
            return
        twins = [VIEWS[name](a) for a in v.twins]
        made = VIEWS[name](v.tensor)
        assert np.shares_memory(made._data, v.tensor._data) or made.numel() == 0
        self.add(made, twins)

    @rule(n=st.integers(0, 99))
    def copy(self, n: int) -> None:
        v = self.pick(n)
        self.add(v.tensor.clone(), [a.copy() for a in v.twins])

    @rule(n=st.integers(0, 99))
    def cut(self, n: int) -> None:
        """A constant: the value without its derivative, and without its memory."""
        v = self.pick(n)
        self.add(v.tensor.detach().clone(), [a.real + 0j for a in v.twins])

    # Changing values in place

    def changed(self, v: Value, action: Any, twin: Any) -> None:
        before = v.tensor._data.copy()
        base = v.tensor._base if v.tensor._base is not None else v.tensor
        if any(base is leaf for leaf in self.leaves):
            try:
                action(v.tensor)
            except RuntimeError as error:
                assert "leaf" in str(error)
                np.testing.assert_array_equal(v.tensor._data, before)
                return
            raise AssertionError("a leaf that requires grad was changed in place")
        action(v.tensor)
        for a in v.twins:
            a[...] = twin(a)

    @rule(n=st.integers(0, 99), name=st.sampled_from(list(CHANGES)))
    def change(self, n: int, name: str) -> None:
        action, twin = CHANGES[name]
        self.changed(self.pick(n), action, twin)

    @rule(n=st.integers(0, 99), m=st.integers(0, 99))
    def write(self, n: int, m: int) -> None:
        """target[...] += source, where it broadcasts into the target."""
        target, source = self.pick(n), self.pick(m)
        if not broadcasts_into(source.tensor.shape, target.tensor.shape):
            return
        copies = [a.copy() for a in source.twins]
        iterator = iter(copies)
        self.changed(target, lambda t: t.add_(source.tensor), lambda a: a + next(iterator))

    @rule(n=st.integers(0, 99), m=st.integers(0, 99))
    def assign(self, n: int, m: int) -> None:
        """target[0] = source[0]."""
        target, source = self.pick(n), self.pick(m)
        if target.tensor.shape[1:] != source.tensor.shape[1:] or 0 in target.tensor.shape or 0 in source.tensor.shape:
            return
        firsts = iter([a[0].copy() for a in source.twins])

        def action(t: ag.Tensor) -> None:
            t[0] = source.tensor[0]

        def twin(a: np.ndarray) -> np.ndarray:
            result = a.copy()
            result[0] = next(firsts)
            return result

        self.changed(target, action, twin)

    # Looking

    @invariant()
    def values_agree(self) -> None:
        for v in self.values:
            np.testing.assert_allclose(v.tensor._data, v.twins[0].real, rtol=1e-10, atol=1e-12)

    @rule(n=st.integers(0, 99))
    def differentiate(self, n: int) -> None:
        """The gradient agrees with the twins along every probe, or the pass raises the documented error."""
        v = self.pick(n)
        moves = [a.imag / H for a in v.twins]
        if not v.tensor.requires_grad:
            assert not any(np.any(m) for m in moves), "the derivative was lost"
            return
        weights = self.rng.standard_normal(v.tensor.shape)
        for leaf in self.leaves:
            leaf.grad = None
        try:
            v.tensor.backward(ag.tensor(weights), retain_graph=True)
        except RuntimeError as error:
            assert "modified by an inplace operation" in str(error), error
            assert all(leaf.grad is None for leaf in self.leaves)
            return
        for probe, move in zip(self.probes, moves, strict=True):
            expected = float(np.sum(weights * move))
            got = sum(float(np.sum(leaf.grad._data * p)) for leaf, p in zip(self.leaves, probe, strict=True) if leaf.grad is not None)
            np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8)

    @precondition(lambda self: len(self.values) > 4)
    @rule(n=st.integers(0, 99))
    def forget(self, n: int) -> None:
        """Names go; views and graphs of what they named live on."""
        k = n % len(self.values)
        if k >= len(self.leaves):
            del self.values[k]


TestPrograms = Machine.TestCase
TestPrograms.settings = settings(max_examples=25 * settings().max_examples, stateful_step_count=25)
