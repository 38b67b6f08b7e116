"""PyTorch, eager and compiled."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .. import networks
from . import Case


def version() -> str:
    return torch.__version__


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


def step(case: networks.Step, compiled: bool) -> Case:
    model = module(case.layers)
    with torch.no_grad():
        for p, value in zip(model.parameters(), networks.initial(case)):
            p.copy_(torch.from_numpy(value))
    kind, lr, *rest = case.optimizer
    if kind == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=rest[0] if rest else 0)
    inputs, labels = map(torch.from_numpy, networks.batch(case))
    F = nn.functional

    def loss_of() -> torch.Tensor:
        outputs = model(inputs)
        if case.loss == "squared_error_sum":
            return F.mse_loss(outputs, inputs, reduction="sum")
        return F.cross_entropy(outputs, labels, reduction=case.loss.rsplit("_", 1)[1])

    forward = torch.compile(loss_of) if compiled else loss_of

    def run() -> torch.Tensor:
        loss = forward()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return Case(run, lambda: [p.detach().numpy() for p in model.parameters()])


def build(suite: str, name: str, threads: int, peer: str = "torch") -> Case | None:
    torch.set_num_threads(threads)
    compiled = peer == "torch.compile"
    if suite == "steps":
        return step(next(s for s in networks.STEPS if s.name == name), compiled)
    return None
