"""NumPy with derivatives written by hand; and its single operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import networks, operations
from . import Case


def version() -> str:
    return np.__version__


def step(case: networks.Step) -> Case | None:
    """A step of a network of linear layers."""
    if any(kind not in ("linear", "relu", "sigmoid") for kind, *_ in case.layers) or case.optimizer[0] == "adam":
        return None
    parameters = networks.initial(case)
    inputs, labels = networks.batch(case)
    _, lr, *rest = case.optimizer
    velocity = [np.zeros_like(p) for p in parameters]
    rows = np.arange(len(labels))

    def run() -> None:
        kept: list[Any] = [inputs]
        values = iter(parameters)
        for kind, *_ in case.layers:
            x = kept[-1]
            if kind == "linear":
                kept.append(x @ next(values).T + next(values))
            else:
                kept.append(np.maximum(x, 0) if kind == "relu" else 1 / (1 + np.exp(-x)))
        out = kept[-1]
        if case.loss == "squared_error_sum":
            g = 2 * (out - inputs)
        else:
            e = np.exp(out - out.max(1, keepdims=True))
            g = e / e.sum(1, keepdims=True)
            g[rows, labels] -= 1
            if case.loss.endswith("mean"):
                g /= np.float32(len(g))
        k = len(parameters)
        for i in reversed(range(len(case.layers))):
            kind = case.layers[i][0]
            x, out = kept[i], kept[i + 1]
            if kind == "linear":
                k -= 2
                gradients = (g.T @ x, g.sum(0))
                if i:
                    g = g @ parameters[k]
                for p, v, d in zip(parameters[k : k + 2], velocity[k : k + 2], gradients):
                    if rest:
                        v *= rest[0]
                        v += d
                        d = v
                    p -= lr * d
            else:
                g = g * (out > 0) if kind == "relu" else g * out * (1 - out)

    return Case(run, lambda: networks.compared(case, parameters))


def operation(case: operations.Operation) -> Case | None:
    arrays = operations.inputs(case)
    x = arrays[0]
    if case.kind == "gemm":
        a, b = (m.T if t == "T" else m for m, t in zip(arrays, str(case.options[0])))
        return Case(lambda: a @ b, lambda: [a @ b])
    simple: dict[str, Any] = {
        "exp": np.exp, "tanh": np.tanh, "log": np.log, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0), "add": lambda x: x + x, "sum": np.sum,
    }  # fmt: skip
    if case.kind not in simple:
        return None
    function = simple[case.kind]
    return Case(lambda: function(x), lambda: [function(x)])


def build(suite: str, name: str, threads: int) -> Case | None:
    return step(networks.BY_NAME[name]) if suite == "steps" else operation(operations.EVERY[name])
