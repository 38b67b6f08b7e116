"""The cases written against PyTorch's interface: PyTorch runs them, and so does this project, unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import networks, operations
from . import Case


def module(lib: Any, layers: tuple[Any, ...]) -> Any:
    made: list[Any] = []
    for kind, *sizes in layers:
        if kind == "linear":
            made.append(lib.nn.Linear(*sizes))
        elif kind == "conv":
            made.append(lib.nn.Conv2d(sizes[0], sizes[1], sizes[2], padding=sizes[3]))
        elif kind == "batch_norm":
            made.append(lib.nn.BatchNorm2d(*sizes))
        elif kind == "max_pool":
            made.append(lib.nn.MaxPool2d(*sizes))
        else:
            made.append({"relu": lib.nn.ReLU, "sigmoid": lib.nn.Sigmoid, "flatten": lib.nn.Flatten}[kind]())
    return lib.nn.Sequential(*made)


def step(lib: Any, case: networks.Step, wrap: Callable[[Any], Any] = lambda f: f) -> Case:
    model = module(lib, case.layers)
    with lib.no_grad():
        for p, value in zip(model.parameters(), networks.initial(case)):
            p.copy_(lib.from_numpy(value))
    kind, lr, *rest = case.optimizer
    if kind == "adam":
        optimizer: Any = lib.optim.Adam(model.parameters(), lr=lr)
    else:
        optimizer = lib.optim.SGD(model.parameters(), lr=lr, momentum=rest[0] if rest else 0)
    inputs, labels = map(lib.from_numpy, networks.batch(case))
    F = lib.nn.functional

    def loss_of() -> Any:
        outputs = model(inputs)
        if case.loss == "squared_error_sum":
            return F.mse_loss(outputs, inputs, reduction="sum")
        return F.cross_entropy(outputs, labels, reduction=case.loss.rsplit("_", 1)[1])

    forward = wrap(loss_of)

    def run() -> Any:
        loss = forward()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return Case(run, lambda: networks.compared(case, [p.detach().numpy() for p in model.parameters()]))


def operation(lib: Any, case: operations.Operation) -> Case:
    kind, shape = case.kind, case.shape
    F = lib.nn.functional
    arrays = [lib.from_numpy(a) for a in operations.inputs(case)]
    x = arrays[0]
    if kind in operations.ELEMENTWISE or kind == "relu":
        function = getattr(lib, kind)
        return Case(lambda: function(x), lambda: [function(x).numpy()])
    if kind == "add":
        return Case(lambda: x + x, lambda: [(x + x).numpy()])
    if kind == "sum":
        return Case(lambda: x.sum(), lambda: [x.sum().numpy()])
    if kind == "gemm":
        a, b = (m.t() if t == "T" else m for m, t in zip(arrays, str(case.options[0])))
        return Case(lambda: a @ b, lambda: [(a @ b).numpy()])
    if kind == "adam":
        p = lib.nn.Parameter(x.clone())
        p.grad = arrays[1]
        optimizer = lib.optim.Adam([p], lr=1e-3)
        return Case(optimizer.step, lambda: [p.detach().numpy()])
    if kind in ("add_small", "chain"):
        p, q = x.clone().requires_grad_(), x.clone().requires_grad_()
        if kind == "add_small":
            return Case(lambda: p + q, lambda: [(p + q).detach().numpy()])

        def chain() -> None:
            h = p
            for _ in range(5):
                h = lib.tanh(h * q)
            p.grad = q.grad = None
            h.backward()

        return Case(chain, lambda: [p.grad.numpy(), q.grad.numpy()])

    if kind == "conv":
        weight, g = arrays[1], arrays[2]
        groups = case.options[1]
        padding = shape[5] // 2
        if case.options[0] == "forward":
            forward = lambda: F.conv2d(x, weight, padding=padding, groups=groups)
            return Case(forward, lambda: [forward().numpy()])
        wanted = x if case.options[0] == "input" else weight
        wanted.requires_grad_()
        out = F.conv2d(x, weight, padding=padding, groups=groups)
        backward = lambda: lib.autograd.grad(out, wanted, g, retain_graph=True)[0]
        return Case(backward, lambda: [backward().numpy()])
    return Case(*_forward_backward(lib, case, arrays))


def _forward_backward(lib: Any, case: operations.Operation, arrays: list[Any]) -> Any:
    F = lib.nn.functional
    kind, x = case.kind, arrays[0].requires_grad_()
    if kind == "softmax_cross_entropy":
        forward = lambda: F.cross_entropy(x, arrays[1])
    elif kind == "layer_norm":
        layer = lib.nn.LayerNorm(case.shape[1:])
        forward = lambda: layer(x)
    elif kind == "batch_norm":
        layer = lib.nn.BatchNorm2d(case.shape[1])
        forward = lambda: layer(x)
    elif kind == "max_pool":
        forward = lambda: F.max_pool2d(x, 2)
    elif kind == "avg_pool":
        forward = lambda: F.avg_pool2d(x, 2)
    else:
        forward = lambda: F.embedding(arrays[1], x)
    if kind == "embedding":
        g = arrays[2]
    else:  # not ones: the gradient of a normalised layer would be nothing but rounding
        shape = tuple(forward().shape)
        g = lib.from_numpy(np.random.default_rng(2).standard_normal(shape, np.float32).reshape(shape))

    def run() -> None:
        x.grad = None
        forward().backward(g)

    return run, lambda: [x.grad.numpy()]
