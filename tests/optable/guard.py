"""A guard that fails when a float32 program makes a float64 array, if only for a moment within an expression.

The package's Python functions are compiled a second time, with the value of every call, operator, subscript and
attribute passed through a function that looks at it; `watched` puts that code in the place of the functions' own.
"""

from __future__ import annotations

import ast
import functools
import gc
import pathlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher

import autograd_lite as ag
from autograd_lite.autograd.graph import Node
from autograd_lite.kernels.jit import JIT

POSITIONS = {("ops/extremes.py", "quantile"), ("ops/resample.py", "_along")}
"""Compute in double where samples lie, and round the weights once; none of it is data or a gradient."""

PACKAGE = pathlib.Path(ag.__file__).parent
LOOK = "__look__"

_watching = False
_found: list[str] | None = None


def _is_wide(value: Any) -> bool:
    if isinstance(value, (tuple, list)) and len(value) < 64:
        return any(map(_is_wide, value))
    if isinstance(value, ag.Tensor):
        value = getattr(value, "_data", None)  # it may be in the making
    return isinstance(value, np.ndarray) and value.dtype == np.float64


def look(value: Any, place: str) -> Any:
    if _found is not None and _is_wide(value):
        _found.append(place)
    return value


class _Watch(ast.NodeTransformer):
    """Passes what every expression that can make an array gives through `look`."""

    def __init__(self, source: str, file: str) -> None:
        self.lines, self.file = source.splitlines(), file

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node if (self.file, node.name) in POSITIONS else self.generic_visit(node)

    def looked_at(self, node: Any) -> Any:
        if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            return self.generic_visit(node)
        place = ast.Constant(f"{self.file}:{node.lineno}: {self.lines[node.lineno - 1].strip()}")
        call = ast.Call(ast.Name(LOOK, ast.Load()), [self.generic_visit(node), place], [])
        for made in (call.func, place, call):
            ast.copy_location(made, node)
        return call

    visit_Call = visit_BinOp = visit_UnaryOp = visit_Subscript = visit_Attribute = looked_at

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        after = []
        if isinstance(node.target, ast.Name):  # a scalar becomes an array
            name = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
            after = [ast.copy_location(ast.Expr(self.looked_at(name)), node)]
        return [self.generic_visit(node), *after]


def _pairs(plain: CodeType, watched: CodeType) -> Iterator[tuple[tuple[str, CodeType], CodeType]]:
    """The code of every function within `plain`, with that of the same function in `watched`."""
    yield (plain.co_filename, plain), watched
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (plain, watched)]
    for one, other in zip(*inner, strict=True):
        yield from _pairs(one, other)


def instrumented(source: str, file: str) -> ast.Module:
    """`source`, whose functions look at their values; `file` is what to call it in a report."""
    return _Watch(source, file).visit(ast.parse(source))


@functools.cache
def codes() -> dict[tuple[str, CodeType], CodeType]:
    """From the code of each function of the package to the same that looks at its values."""
    table: dict[tuple[str, CodeType], CodeType] = {}
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "kernels" and not JIT:
            continue  # plain Python is slow enough
        source = path.read_text("utf-8")
        tree = instrumented(source, path.relative_to(PACKAGE).as_posix())
        table.update(_pairs(*[compile(s, str(path), "exec", dont_inherit=True) for s in (source, tree)]))
    return table


@contextmanager
def watched() -> Iterator[int]:
    """Inside, the functions of the package look at their values. Gives how many do.

    Kernels are not among them: what they return is looked at where they are called.
    """
    global _watching
    table, objects = codes(), gc.get_objects()
    kernels = {id(o.py_func) for o in objects if issubclass(type(o), Dispatcher)}
    before = []
    for f in objects:
        if type(f) is FunctionType and id(f) not in kernels and (code := table.get((f.__code__.co_filename, f.__code__))):
            before.append((f, f.__code__))
            f.__globals__[LOOK] = look
            f.__code__ = code
    _watching = True
    try:
        yield len(before)
    finally:
        _watching = False
        for f, plain in before:
            f.__code__ = plain


@contextmanager
def no_float64(where: str = "") -> Iterator[None]:
    """Inside (and inside of `watched`), no expression of the package may give a float64 array."""
    global _found
    assert _watching, "no_float64 sees nothing outside of watched"
    _found = found = []
    try:
        yield
    finally:
        _found = None
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
