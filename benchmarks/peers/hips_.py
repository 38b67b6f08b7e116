"""HIPS autograd."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

import autograd.numpy as np
from autograd import grad

from .. import networks
from . import Case


def version() -> str:
    return installed_version("autograd")


def build(suite: str, name: str, threads: int) -> Case | None:
    if suite != "steps":
        return None
    case = networks.BY_NAME[name]
    if {kind for kind, *_ in case.layers} - {"linear", "relu", "sigmoid"} or case.optimizer[0] == "adam":
        return None
    inputs, labels = networks.batch(case)
    parameters = networks.initial(case)
    _, lr, *rest = case.optimizer
    velocity = [0 * p for p in parameters]
    rows = np.arange(len(labels))

    def loss(parameters: list[Any]) -> Any:
        x, values = inputs, iter(parameters)
        for kind, *_ in case.layers:
            if kind == "linear":
                x = np.dot(x, next(values).T) + next(values)
            else:
                x = np.maximum(x, 0) if kind == "relu" else 1 / (1 + np.exp(-x))
        if case.loss == "squared_error_sum":
            return np.sum((x - inputs) ** 2)
        shifted = x - np.max(x, axis=1, keepdims=True)
        losses = np.log(np.sum(np.exp(shifted), axis=1)) - shifted[rows, labels]
        return np.sum(losses) if case.loss.endswith("sum") else np.mean(losses)

    gradient = grad(loss)

    def run() -> None:
        for i, g in enumerate(gradient(parameters)):
            if rest:
                velocity[i] = rest[0] * velocity[i] + g
                g = velocity[i]
            parameters[i] = parameters[i] - lr * g

    return Case(run, lambda: networks.compared(case, parameters))
