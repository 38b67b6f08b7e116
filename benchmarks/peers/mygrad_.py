"""MyGrad."""

from __future__ import annotations

import mygrad as mg
import numpy as np

from .. import networks
from . import Case


def version() -> str:
    return mg.__version__


def build(suite: str, name: str, threads: int) -> Case | None:
    if suite != "steps":
        return None
    case = networks.BY_NAME[name]
    if {kind for kind, *_ in case.layers} - {"linear", "relu", "sigmoid"} or case.optimizer[0] == "adam":
        return None
    from mygrad.nnet.activations import relu, sigmoid
    from mygrad.nnet.losses import softmax_crossentropy

    inputs, labels = networks.batch(case)
    parameters = [mg.tensor(p) for p in networks.initial(case)]
    _, lr, *rest = case.optimizer
    velocity = [np.zeros_like(p.data) for p in parameters]

    def run() -> None:
        x, values = inputs, iter(parameters)
        for kind, *_ in case.layers:
            if kind == "linear":
                x = mg.matmul(x, next(values).T) + next(values)
            else:
                x = relu(x) if kind == "relu" else sigmoid(x)
        if case.loss == "squared_error_sum":
            loss = ((x - inputs) ** 2).sum()
        else:
            loss = softmax_crossentropy(x, labels)
            if case.loss.endswith("sum"):
                loss = loss * len(labels)
        loss.backward()
        for p, v in zip(parameters, velocity):
            step = p.grad
            if rest:
                v *= rest[0]
                v += step
                step = v
            p.data -= np.asarray(lr * step, p.dtype)

    return Case(run, lambda: networks.compared(case, [p.data for p in parameters]))
