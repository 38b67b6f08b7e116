"""The checks that every row of the op table goes through.

Each takes a row and a seed, and raises `AssertionError` with the operation, the sample and the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_lite as ag

from . import guard
from .derivatives import Kink, complex_step, five_point, inner, random_directions, unit_directions
from .opinfo import Case, OpInfo, Sample, outputs

ENTRY_BY_ENTRY = 24
"""Up to so many entries every single one is checked, otherwise random directions."""


# Running a case


def tensor(array: np.ndarray, dtype: str = "float64") -> ag.Tensor:
    """A tensor of its own memory; floats in `dtype`, the rest as they are."""
    return ag.Tensor(np.array(array, dtype) if array.dtype.kind == "f" else np.array(array))


def run(info: OpInfo, case: Case, leaves: Sequence[ag.Tensor], dtype: str = "float64") -> tuple[Any, ...]:
    args, kwargs = case.bind(list(leaves), lambda a: tensor(a, dtype))
    return outputs(info.function(ag)(*args, **kwargs))


def as_leaves(case: Case, dtype: str = "float64", grad: bool = True) -> list[ag.Tensor]:
    made = [tensor(x, dtype) for x in case.leaves]
    return [t.requires_grad_() for t in made] if grad else made


def array(out: Any) -> np.ndarray:
    return out._data if isinstance(out, ag.Tensor) else np.asarray(out)


def floating(outs: Sequence[Any]) -> list[int]:
    """The outputs that a gradient can flow from."""
    return [i for i, o in enumerate(outs) if isinstance(o, ag.Tensor) and o.requires_grad]


def cotangents(outs: Sequence[Any], rng: np.random.Generator) -> list[np.ndarray]:
    return [np.asarray(rng.standard_normal(array(outs[i]).shape)) for i in floating(outs)]


def backward(outs: Sequence[Any], weights: Sequence[np.ndarray], leaves: Sequence[ag.Tensor]) -> list[np.ndarray]:
    """The gradients of the leaves; zeros where none arrived."""
    for i, w in zip(floating(outs), weights, strict=True):
        outs[i].backward(tensor(w, str(array(outs[i]).dtype)), retain_graph=True)
    return [np.zeros(t._data.shape, t._data.dtype) if t.grad is None else t.grad._data for t in leaves]


def close(got: Any, expected: Any, rtol: float, atol: float, where: str) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, expected {expected.shape}"
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, equal_nan=True, err_msg=where)


def label(info: OpInfo, sample: Sample) -> str:
    return f"{info.ident}{sample}"


# Values, shapes, dtypes


def value(info: OpInfo, case: Case) -> None:
    """The value in float64 and in float32 is that of the reference, in shape and in dtype kind too."""
    where = label(info, case.sample)
    for dtype, (rtol, atol) in {"float64": (1e-11, 1e-12), "float32": info.tolerance32}.items():
        leaves = as_leaves(case, dtype, grad=False)
        outs = run(info, case, leaves, dtype)
        rounded = [t._data.astype("float64") for t in leaves]
        expected = narrowed(case, dtype).reference(info, rounded)
        assert len(outs) == len(expected), f"{where}: {len(outs)} outputs, expected {len(expected)}"
        for i, (out, wanted) in enumerate(zip(outs, expected, strict=True)):
            got = array(out)
            kind = {"u": "i"}.get(wanted.dtype.kind, wanted.dtype.kind)
            assert {"u": "i"}.get(got.dtype.kind, got.dtype.kind) == kind, (
                f"{where}: output {i} has dtype {got.dtype}, expected kind {kind!r}"
            )
            if kind == "f" and isinstance(out, ag.Tensor) and has_floats(case):
                assert got.dtype == dtype, f"{where}: output {i} has dtype {got.dtype}, expected {dtype}"
            close(got, wanted, rtol, atol, f"{where}: output {i} in {dtype}")


def has_floats(case: Case) -> bool:
    found: list[np.ndarray] = list(case.leaves)
    case.bind(case.leaves, lambda a: found.append(a) or a)
    return any(a.dtype.kind == "f" for a in found)


def narrowed(case: Case, dtype: str) -> Case:
    """The case with its constant arrays rounded to `dtype`."""

    def rounded(a: np.ndarray) -> np.ndarray:
        return a.astype(dtype).astype("float64") if a.dtype.kind == "f" else a

    args, kwargs = case.bind([None] * len(case.leaves), rounded)
    wrapped = Case(args, kwargs, case.leaves, case.sample)
    original = case.bind

    def bind(leaves: list[Any], constant: Callable[[np.ndarray], Any]) -> tuple[Any, Any]:
        return original(leaves, lambda a: constant(rounded(a)))

    wrapped.bind = bind  # type: ignore[method-assign]
    return wrapped


# Gradients


def reference_derivative(info: OpInfo, case: Case, used: list[int]) -> Callable[..., list[np.ndarray]]:
    """A function from a direction to the derivative of the outputs `used` along it."""

    def function(leaves: list[np.ndarray]) -> list[np.ndarray]:
        outs = case.reference(info, leaves)
        return [outs[i] for i in used]

    method = complex_step if info.analytic else five_point
    return lambda along: method(function, case.leaves, along)


def gradient(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """The gradient is that of the reference: entry by entry where that is cheap, else along directions."""
    where = label(info, case.sample)
    leaves = as_leaves(case)
    outs = run(info, case, leaves)
    assert floating(outs), f"{where}: no output is connected to the inputs"
    weights = cotangents(outs, rng)
    grads = backward(outs, weights, leaves)
    for k, g in enumerate(grads):
        assert g.shape == case.leaves[k].shape, f"{where}: gradient {k} has shape {g.shape}"
        assert g.dtype == np.float64, f"{where}: gradient {k} has dtype {g.dtype}"
    derivative = reference_derivative(info, case, floating(outs))
    small = sum(x.size for x in case.leaves) <= ENTRY_BY_ENTRY
    directions = unit_directions(case.leaves) if small else random_directions(case.leaves, rng, 3)
    rtol, atol = (1e-8, 1e-9) if info.analytic else (1e-6, 1e-8)
    for along in directions:
        expected = inner(weights, derivative(along))
        close(inner(grads, along), expected, rtol, atol, f"{where}: gradient along {brief(along)}")


def brief(along: Sequence[np.ndarray]) -> str:
    hits = [(k, *map(int, np.argwhere(v)[0])) for k, v in enumerate(along) if np.count_nonzero(v) == 1]
    return f"entry {hits[0]}" if len(hits) == 1 else "a random direction"


def second_order(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """Differentiating the gradient gives the derivative of the (already checked) gradient.

    Also: a recorded backward pass computes the same gradient as one that is not, and the derivative with
    respect to the upstream gradient is the forward derivative of the reference.
    """
    where = label(info, case.sample)
    leaves = as_leaves(case)
    outs = run(info, case, leaves)
    used = floating(outs)
    weights = cotangents(outs, rng)
    upstream = [tensor(w).requires_grad_() for w in weights]
    grads = ag.autograd.grad(
        [outs[i] for i in used], leaves, grad_outputs=upstream, create_graph=True, allow_unused=True
    )
    plain = as_leaves(case)
    first = backward(run(info, case, plain), weights, plain)
    for k, (g, f) in enumerate(zip(grads, first, strict=True)):
        recorded = np.zeros_like(f) if g is None else g._data
        close(recorded, f, 1e-10, 1e-11, f"{where}: gradient {k} of a recorded backward pass")
    us = [np.asarray(rng.standard_normal(x.shape)) for x in case.leaves]
    linked = [(g, tensor(u)) for g, u in zip(grads, us, strict=True) if g is not None and g.requires_grad]
    seconds: list[Any] = [None] * (len(leaves) + len(upstream))
    if linked:
        seconds = list(
            ag.autograd.grad(
                [g for g, _ in linked],
                [*leaves, *upstream],
                grad_outputs=[u for _, u in linked],
                allow_unused=True,
            )
        )
    wrt_leaves = [np.zeros(x.shape) if s is None else s._data for s, x in zip(seconds, case.leaves)]
    wrt_weights = [
        np.zeros(w.shape) if s is None else s._data for s, w in zip(seconds[len(leaves) :], weights, strict=True)
    ]

    expected = reference_derivative(info, case, used)(us)
    for k, (got, wanted) in enumerate(zip(wrt_weights, expected, strict=True)):
        rtol = 1e-8 if info.analytic else 1e-6
        close(got, wanted, rtol, rtol, f"{where}: derivative by upstream gradient {k}")

    def moved_gradient(at: list[np.ndarray]) -> list[np.ndarray]:
        moved = [tensor(x).requires_grad_() for x in at]
        return [np.asarray(inner(backward(run(info, case, moved), weights, moved), us))]

    for along in random_directions(case.leaves, rng, 2):
        wanted = five_point(moved_gradient, case.leaves, along, 1e-5)[0]
        scale = 1 + np.abs(wanted)
        close(inner(wrt_leaves, along), wanted, 0, 2e-6 * scale, f"{where}: second derivative")


def redrawn(check: Callable[[OpInfo, Case, np.random.Generator], None]) -> Callable[[OpInfo, Sample, int], None]:
    """`check` on a sample; where it meets a kink, on other draws of the same sample."""

    def checked(info: OpInfo, sample: Sample, seed: int) -> None:
        for attempt in range(20):
            rng = np.random.default_rng([seed, attempt])
            try:
                return check(info, sample.make(rng), rng)
            except Kink:
                continue
        raise AssertionError(f"{label(info, sample)}: a kink near every one of 20 points")

    return checked


def each_alone(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """Where only one input wants a gradient, it gets the same as among others, and the others get none."""
    where = label(info, case.sample)
    together = as_leaves(case)
    outs = run(info, case, together)
    weights = cotangents(outs, rng)
    grads = backward(outs, weights, together)
    for k, g in enumerate(grads):
        leaves = as_leaves(case, grad=False)
        leaves[k].requires_grad_()
        again = run(info, case, leaves)
        used = floating(again)
        backward(again, [w for i, w in zip(floating(outs), weights, strict=True) if i in used], leaves)
        got = leaves[k].grad
        close(np.zeros(g.shape) if got is None else got._data, g, 1e-11, 1e-12, f"{where}: gradient {k} alone")
        assert all(t.grad is None for i, t in enumerate(leaves) if i != k), f"{where}: an unwanted gradient"


def float32_gradient(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """In float32: gradients of that dtype, near those of float64, and no float64 array anywhere."""
    where = label(info, case.sample)
    case = Case(case.args, case.kwargs, [x.astype("float32").astype("float64") for x in case.leaves], case.sample)
    leaves64, leaves32, first = as_leaves(case), as_leaves(case, "float32"), as_leaves(case, "float32")
    outs64 = run(info, narrowed(case, "float32"), leaves64)
    weights = [w.astype("float32").astype("float64") for w in cotangents(outs64, rng)]
    grads64 = backward(outs64, weights, leaves64)
    backward(run(info, case, first, "float32"), weights, first)  # compiles, which under the guard takes four times as long
    args, kwargs = case.bind(leaves32, lambda a: tensor(a, "float32"))
    seeds = [tensor(w, "float32") for w in weights]
    with guard.no_float64(where):
        outs32 = outputs(info.function(ag)(*args, **kwargs))
        guard.check_graph(outs32, where)
        for i, w in zip(floating(outs32), seeds, strict=True):
            outs32[i].backward(w, retain_graph=True)
    for k, (t, g64) in enumerate(zip(leaves32, grads64, strict=True)):
        if t.grad is None:
            continue
        assert t.grad._data.dtype == np.float32, f"{where}: gradient {k} has dtype {t.grad.dtype}"
        scale = float(np.max(np.abs(g64), initial=0))
        close(t.grad._data, g64, 3e-4, 3e-5 * scale + 1e-6, f"{where}: gradient {k} in float32")


# Memory: layouts, mutation, aliasing, bits

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": lambda a: np.array(a.T, order="C").T,
    "stepped": lambda a: _stepped(a),
    "reversed": lambda a: np.flip(np.array(np.flip(a), order="C")),
    "offset": lambda a: _offset(a),
}


def _stepped(a: np.ndarray) -> np.ndarray:
    bigger = np.full([2 * n + 1 for n in a.shape], 7.5, a.dtype)
    view = bigger[(..., *[slice(1, 2 * n + 1, 2) for n in a.shape])]
    view[...] = a
    return view


def _offset(a: np.ndarray) -> np.ndarray:
    bigger = np.full(a.size + 3, 7.5, a.dtype)
    view = bigger[3:].reshape(a.shape)
    view[...] = a
    return view


def layout(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """Strides and offsets of the inputs and of the upstream gradient change neither value nor gradient."""
    where = label(info, case.sample)
    plain = as_leaves(case, grad=info.differentiable)
    outs = run(info, case, plain)
    weights = cotangents(outs, rng)
    grads = backward(outs, weights, plain)
    for name, arrange in LAYOUTS.items():
        leaves = [ag.Tensor(arrange(x)) for x in case.leaves]
        if info.differentiable:
            leaves = [t.requires_grad_() for t in leaves]
        args, kwargs = case.bind(leaves, lambda a, arrange=arrange: ag.Tensor(arrange(a)))  # type: ignore[misc]
        again = outputs(info.function(ag)(*args, **kwargs))
        for i, (o, p) in enumerate(zip(again, outs, strict=True)):
            close(array(o), array(p), 1e-12, 1e-13, f"{where}: output {i} of {name} inputs")
        for i, w in zip(floating(again), weights, strict=True):
            again[i].backward(ag.Tensor(arrange(w)), retain_graph=True)
        for k, (t, g) in enumerate(zip(leaves, grads, strict=True)):
            got = np.zeros_like(g) if t.grad is None else t.grad._data
            close(got, g, 1e-11, 1e-12, f"{where}: gradient {k} of {name} inputs")


def expanded(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """Inputs with stride 0 (from ``expand``) give the value and gradient of their copies."""
    where = label(info, case.sample)
    for axis_of in (0, -1):
        sources, copies = [], []
        for x in case.leaves:
            if x.ndim == 0 or x.size == 0:
                thin = x
            else:
                thin = np.take(x, [0], axis=axis_of)
            sources.append(tensor(thin).requires_grad_())
            copies.append(tensor(np.broadcast_to(thin, x.shape)).requires_grad_())
        wide = [s.expand(*x.shape) if x.ndim else s for s, x in zip(sources, case.leaves, strict=True)]
        outs, plain = run(info, case, wide), run(info, case, copies)
        weights = cotangents(plain, rng)
        backward(outs, weights, sources)
        backward(plain, weights, copies)
        for i, (o, p) in enumerate(zip(outs, plain, strict=True)):
            close(array(o), array(p), 1e-12, 1e-13, f"{where}: output {i} of expanded inputs")
        for k, (s, c) in enumerate(zip(sources, copies, strict=True)):
            if c.grad is None:
                continue
            wanted = c.grad._data
            if wanted.ndim and wanted.size:
                wanted = wanted.sum(axis=axis_of, keepdims=True)
            assert s.grad is not None, f"{where}: no gradient {k} through expand"
            close(s.grad._data, wanted, 1e-10, 1e-11, f"{where}: gradient {k} of expanded inputs")


def untouched(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """Inputs and upstream gradients stay as they are; gradients share memory with nothing and nobody."""
    where = label(info, case.sample)
    leaves = as_leaves(case, grad=info.differentiable)
    constants: list[ag.Tensor] = []

    def constant(a: np.ndarray) -> ag.Tensor:
        constants.append(tensor(a))
        return constants[-1]

    args, kwargs = case.bind(leaves, constant)
    held = [*leaves, *constants]
    before = [t._data.tobytes() for t in held]
    outs = outputs(info.function(ag)(*args, **kwargs))
    used = floating(outs)
    kept = [array(o).tobytes() for o in outs]
    seeds = [tensor(w) for w in cotangents(outs, rng)]
    seeds_before = [w._data.tobytes() for w in seeds]
    versions = [t._version for t in held]
    for i, w in zip(used, seeds, strict=True):
        outs[i].backward(w, retain_graph=True)
    assert [t._data.tobytes() for t in held] == before, f"{where}: an input was changed"
    assert [t._version for t in held] == versions, f"{where}: an input's version was changed"
    assert [array(o).tobytes() for o in outs] == kept, f"{where}: an output was changed by backward"
    assert [w._data.tobytes() for w in seeds] == seeds_before, f"{where}: the upstream gradient was changed"
    grads = [t.grad for t in leaves if t.grad is not None]
    for k, g in enumerate(grads):
        others = [*grads[:k], *held, *seeds, *[o for o in outs if isinstance(o, ag.Tensor)]]
        assert not any(np.may_share_memory(g._data, o._data) for o in others), (
            f"{where}: gradient {k} shares memory with another tensor"
        )
        assert g._data.flags.writeable, f"{where}: gradient {k} is read-only"
    first = [g._data.copy() for g in grads]
    for i, w in zip(used, seeds, strict=True):
        outs[i].backward(w, retain_graph=True)
    for k, (g, once) in enumerate(zip(grads, first, strict=True)):
        close(g._data, 2 * once, 1e-12, 1e-13, f"{where}: gradient {k} after a second backward")


def same_argument_twice(info: OpInfo, case: Case, rng: np.random.Generator) -> None:
    """``f(x, x)``: the gradient is the sum of those that two separate copies get."""
    x = case.leaves[0]
    shared = tensor(x).requires_grad_()
    apart = [tensor(x).requires_grad_() for _ in case.leaves]
    outs, plain = run(info, case, [shared] * len(apart)), run(info, case, apart)
    weights = cotangents(plain, rng)
    backward(outs, weights, [shared])
    grads = backward(plain, weights, apart)
    got = np.zeros(x.shape) if shared.grad is None else shared.grad._data
    close(got, sum(grads), 1e-11, 1e-12, f"{label(info, case.sample)}: gradient of f(x, x)")


def bits(info: OpInfo, case: Case, weights: Sequence[np.ndarray] | None, dtype: str) -> list[bytes]:
    """The bytes of all outputs and gradients."""
    leaves = as_leaves(case, dtype, grad=info.differentiable)
    outs = run(info, case, leaves, dtype)
    grads = backward(outs, weights or [], leaves) if weights is not None else []
    return [array(o).tobytes() for o in outs] + [g.tobytes() for g in grads]


def same_bits(info: OpInfo, case: Case, rng: np.random.Generator, dtype: str = "float32") -> None:
    """The same bits on 1 thread, on 2, and in a second run."""
    where = label(info, case.sample)
    outs = run(info, case, as_leaves(case, dtype, grad=info.differentiable), dtype)
    weights = cotangents(outs, rng) if info.differentiable else None
    threads = ag.get_num_threads()
    try:
        ag.set_num_threads(1)
        one = bits(info, case, weights, dtype)
        ag.set_num_threads(2)
        two = bits(info, case, weights, dtype)
        again = bits(info, case, weights, dtype)
    finally:
        ag.set_num_threads(threads)
    assert one == two, f"{where}: the bits depend on the number of threads"
    assert two == again, f"{where}: a second run gives other bits"


# Errors


def errors(info: OpInfo, seed: int) -> None:
    """Bad calls raise the documented type, name what is wrong, and change nothing."""
    for bad in info.errors:
        case = bad.call.make(np.random.default_rng(seed))
        leaves = as_leaves(case)
        before = [t._data.tobytes() for t in leaves]
        where = label(info, case.sample)
        try:
            run(info, case, leaves)
        except bad.error as error:
            assert bad.match in str(error), f"{where}: the message {str(error)!r} does not mention {bad.match!r}"
        else:
            raise AssertionError(f"{where}: no {bad.error} was raised")
        assert [t._data.tobytes() for t in leaves] == before, f"{where}: an input was changed before the error"
