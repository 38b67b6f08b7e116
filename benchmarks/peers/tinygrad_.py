"""tinygrad, the step under its TinyJit."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from tinygrad import Context, Tensor, TinyJit, nn

from .. import networks
from . import Case


def version() -> str:
    return installed_version("tinygrad")


def build(suite: str, name: str, threads: int) -> Case | None:
    if suite != "steps":
        return None
    case = networks.BY_NAME[name]
    if {kind for kind, *_ in case.layers} - {"linear", "relu", "sigmoid"}:
        return None
    inputs, labels = (Tensor(a) for a in networks.batch(case))
    parameters = [Tensor(p) for p in networks.initial(case)]
    kind, lr, *rest = case.optimizer
    if kind == "adam":
        optimizer: Any = nn.optim.Adam(parameters, lr=lr)
    else:
        optimizer = nn.optim.SGD(parameters, lr=lr, momentum=rest[0] if rest else 0.0)

    @TinyJit
    def step() -> Tensor:
        x, values = inputs, iter(parameters)
        for layer, *_ in case.layers:
            if layer == "linear":
                x = x @ next(values).T + next(values)
            else:
                x = x.relu() if layer == "relu" else x.sigmoid()
        if case.loss == "squared_error_sum":
            loss = ((x - inputs) ** 2).sum()
        else:
            loss = x.sparse_categorical_crossentropy(labels)
            if case.loss.endswith("sum"):
                loss = loss * case.batch_size
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.realize()

    def run() -> None:
        with Context(TRAINING=1):
            step().numpy()

    return Case(run, lambda: networks.compared(case, [p.numpy() for p in parameters]))
