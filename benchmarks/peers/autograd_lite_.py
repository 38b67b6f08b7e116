"""This project."""

from __future__ import annotations

from typing import Any

import autograd_lite as ag
from autograd_lite import nn

from .. import networks
from . import Case


def version() -> str:
    return ag.__version__


def module(layers: tuple[Any, ...]) -> nn.Sequential:
    made: list[nn.Module] = []
    for kind, *sizes in layers:
        if kind == "linear":
            made.append(nn.Linear(*sizes))
        elif kind == "conv":
            made.append(nn.Conv2d(sizes[0], sizes[1], sizes[2], padding=sizes[3]))
        elif kind == "batch_norm":
            made.append(nn.BatchNorm2d(*sizes))
        elif kind == "max_pool":
            made.append(nn.MaxPool2d(*sizes))
        else:
            made.append({"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten}[kind]())
    return nn.Sequential(*made)


def step(case: networks.Step) -> Case:
    model = module(case.layers)
    with ag.no_grad():
        for p, value in zip(model.parameters(), networks.initial(case)):
            p.copy_(ag.from_numpy(value))
    kind, lr, *rest = case.optimizer
    if kind == "adam":
        optimizer: ag.optim.Optimizer = ag.optim.Adam(model.parameters(), lr=lr)
    else:
        optimizer = ag.optim.SGD(model.parameters(), lr=lr, momentum=rest[0] if rest else 0)
    inputs, labels = map(ag.from_numpy, networks.batch(case))
    F = nn.functional

    def run() -> Any:
        outputs = model(inputs)
        if case.loss == "squared_error_sum":
            loss = F.mse_loss(outputs, inputs, reduction="sum")
        else:
            loss = F.cross_entropy(outputs, labels, reduction=case.loss.rsplit("_", 1)[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return Case(run, lambda: [p.detach().numpy() for p in model.parameters()])


def build(suite: str, name: str, threads: int) -> Case | None:
    ag.set_num_threads(threads)
    if suite == "steps":
        return step(next(s for s in networks.STEPS if s.name == name))
    return None
