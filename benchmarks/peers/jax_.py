"""JAX, the whole step under one jit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .. import networks
from . import Case


def version() -> str:
    return jax.__version__


def apply(layers: tuple[Any, ...], parameters: list[Any], x: Any) -> Any:
    values = iter(parameters)
    for kind, *sizes in layers:
        if kind == "linear":
            x = x @ next(values).T + next(values)
        elif kind == "conv":
            padding = [(sizes[3], sizes[3])] * 2
            x = jax.lax.conv_general_dilated(x, next(values), (1, 1), padding)
            x = x + next(values)[:, None, None]
        elif kind == "batch_norm":
            mean = x.mean((0, 2, 3), keepdims=True)
            variance = x.var((0, 2, 3), keepdims=True)
            scale, shift = next(values)[:, None, None], next(values)[:, None, None]
            x = (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift
        elif kind == "max_pool":
            window = (1, 1, sizes[0], sizes[0])
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
        elif kind == "flatten":
            x = x.reshape(x.shape[0], -1)
        else:
            x = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[kind](x)
    return x


def build(suite: str, name: str, threads: int) -> Case | None:
    if suite != "steps":
        return None
    case = networks.BY_NAME[name]
    inputs, labels = map(jnp.asarray, networks.batch(case))
    kind, lr, *rest = case.optimizer

    def loss_of(parameters: list[Any]) -> Any:
        outputs = apply(case.layers, parameters, inputs)
        if case.loss == "squared_error_sum":
            return ((outputs - inputs) ** 2).sum()
        losses = -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1)
        return losses.sum() if case.loss.endswith("sum") else losses.mean()

    @jax.jit
    def step(parameters: list[Any], first: list[Any], second: list[Any], count: Any) -> Any:
        grads = jax.grad(loss_of)(parameters)
        if kind == "sgd":
            return [p - lr * g for p, g in zip(parameters, grads)], first, second, count
        if kind == "momentum":
            first = [rest[0] * m + g for m, g in zip(first, grads)]
            return [p - lr * m for p, m in zip(parameters, first)], first, second, count
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, grads)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, grads)]
        moved = [
            p - lr * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
            for p, m, v in zip(parameters, first, second)
        ]
        return moved, first, second, count

    start = [jnp.asarray(p) for p in networks.initial(case)]
    state = [(start, [jnp.zeros_like(p) for p in start], [jnp.zeros_like(p) for p in start], jnp.float32(0))]

    def run() -> None:
        state[0] = jax.block_until_ready(step(*state[0]))

    return Case(run, lambda: networks.compared(case, list(state[0][0])))
