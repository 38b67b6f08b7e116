"""A guard that fails when a float32 program makes a float64 array."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite.autograd.graph import Node

POSITIONS = {("ops/extremes.py", "quantile"), ("ops/resample.py", "_along")}
"""Compute in double where samples lie, and round the weights once; none of it is data or a gradient."""

PACKAGE = ag.__file__.rsplit("__init__", 1)[0]


def _is_wide(value: Any) -> bool:
    if isinstance(value, ag.Tensor):
        value = value._data
    return isinstance(value, np.ndarray) and value.dtype == np.float64


@contextmanager
def no_float64(where: str = "") -> Iterator[None]:
    """Inside, no function of the package may hold or return a float64 array.

    Looks at the locals and the result of every Python function of the package when it returns, so that
    also an array that lived for a moment only is seen, if it had a name or was handed from function to function.
    """
    found: list[str] = []

    def watch(frame: Any, event: str, result: Any) -> None:
        if event != "return" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        for name, value in [*frame.f_locals.items(), ("its result", result)]:
            values = value if isinstance(value, (tuple, list)) and len(value) < 64 else (value,)
            file = frame.f_code.co_filename.removeprefix(PACKAGE)
            if any(_is_wide(v) for v in values) and (file, frame.f_code.co_name) not in POSITIONS:
                found.append(f"{name} in {file}:{frame.f_code.co_name}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
    assert not found, f"{where}: a float32 program made float64 arrays: {', '.join(dict.fromkeys(found))}"


def check_graph(tensors: Sequence[Any], where: str = "") -> None:
    """No node behind `tensors` has saved a float64 array."""
    todo: list[Any] = [t.grad_fn for t in tensors if isinstance(t, ag.Tensor)]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if not isinstance(node, Node) or id(node) in seen:
            continue
        seen.add(id(node))
        for saved in getattr(node, "saved", None) or ():
            assert not _is_wide(saved), f"{where}: {node.name()} has saved a float64 array"
        todo += node.inputs
