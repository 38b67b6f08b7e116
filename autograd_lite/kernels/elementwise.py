"""Elementwise kernels, generated from formulas.

``Elementwise("mul", ("x", "y"), "x * y")`` is a kernel for ``out[i] = x[i] * y[i]``. Derivatives are made
the same way, so a derivative such as ``g * (1 - out * out)`` runs as one fused loop over `g` and `out`.
What a formula may name: its operands, the functions of `special`, numbers. Numbers take the dtype of the
operands, so that a float32 loop holds no float64 instruction.

Operands of one element are read once and broadcast; other broadcasting walks the operands in up to three
nested loops, of which the innermost is the plain one.
"""

from __future__ import annotations

import ast
import math
from functools import cached_property
from typing import Any

import numpy as np

from . import memory, reduce, scratch, special, threading
from .jit import kernels_from_source

SPAN = 16384
"""Elements that one thread takes at a time."""
SERIAL_BELOW = 32768
"""Below so many elements a second thread costs more than it brings."""
SMALL = memory.POOLED_FROM // 8
"""Below so many elements the pool of buffers is not asked."""

_empty = np.empty
_RUNTIME = {
    "np": np,
    "parallel_for": threading.parallel_for,
    "scratch": scratch.scratch,
    "release": scratch.release,
    "block_sum": reduce.block_sum,
    "BLOCK": reduce.BLOCK,
}


class _TypedNumbers(ast.NodeTransformer):
    """Rewrites every number `c` of a formula as ``T(c)``."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        call = ast.Call(ast.Name("T", ast.Load()), [node], [])
        return ast.copy_location(call, node)


def typed(formula: str) -> str:
    """`formula` with its numbers cast to the type ``T`` of the operands."""
    tree = _TypedNumbers().visit(ast.parse(formula, mode="eval"))
    return ast.unparse(ast.fix_missing_locations(tree))


def _substitute(formula: str, elements: dict[str, str]) -> str:
    tree = ast.parse(formula, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in elements:
            node.id = elements[node.id]
    return ast.unparse(tree)


def _span_source(name: str, operands: tuple[str, ...], scalars: tuple[str, ...], formula: str) -> str:
    """The plain loop, once for each way in which operands can be whole or of a single element."""
    formula = typed(formula)
    every = (*operands, *scalars)
    lines = [f"def {name}_span({', '.join(every)}, result):", "    n = result.size", "    T = result.dtype.type"]
    lines += [f"    {s}0 = {s}[0]" for s in scalars]

    def loop(whole: tuple[str, ...], indent: str) -> list[str]:
        elements = {o: f"{o}[i]" if o in whole else f"{o}0" for o in every}
        return [
            *(f"{indent}{o}0 = {o}[0]" for o in operands if o not in whole),
            f"{indent}for i in range(n):",
            f"{indent}    result[i] = {_substitute(formula, elements)}",
        ]

    if len(operands) == 1:
        lines += loop(operands, "    ")
    elif len(operands) == 2:
        x, y = operands
        lines += [f"    if {x}.size == n and {y}.size == n:", *loop(operands, " " * 8)]
        lines += [f"    elif {x}.size == n:", *loop((x,), " " * 8)]
        lines += ["    else:", *loop((y,), " " * 8)]
    else:
        everything = " and ".join(f"{o}.size == n" for o in operands)
        lines += [f"    if {everything}:", *loop(operands, " " * 8), "    else:"]
        elements = {o: f"{o}[i * {o}_step]" for o in operands} | {s: f"{s}0" for s in scalars}
        lines += [f"        {o}_step = 1 if {o}.size == n else 0" for o in operands]
        lines += ["        for i in range(n):", f"            result[i] = {_substitute(formula, elements)}"]
    return "\n".join(lines) + "\n"


def _loop_source(name: str, operands: tuple[str, ...]) -> str:
    """The kernel proper: the loop in one piece, or in spans shared out among the threads."""
    arguments = ", ".join([*operands, "result"])
    cut = ", ".join(f"{o}[begin:stop] if {o}.size == n else {o}" for o in operands)
    return f"""
def {name}_part(part, {arguments}):
    n = result.size
    begin = part * {SPAN}
    stop = min(begin + {SPAN}, n)
    {name}_span({cut}, result[begin:stop])

def {name}({arguments}):
    n = result.size
    if n < {SERIAL_BELOW}:
        {name}_span({arguments})
    else:
        parallel_for({name}_part, (n + {SPAN - 1}) // {SPAN}, ({arguments},))
"""


def _sum_source(name: str, operands: tuple[str, ...]) -> str:
    """The sum of the values: a block of them at a time, never all; block sums are added two by two."""
    arguments = ", ".join(operands)
    cut = ", ".join(f"{o}[at:stop] if {o}.size == n else {o}" for o in operands)
    return f"""
def {name}_sums(part, {arguments}, n, sums):
    block = scratch(BLOCK, sums)
    end = min((part + 1) * {SPAN}, n)
    total = sums.dtype.type(0)
    for at in range(part * {SPAN}, end, BLOCK):
        stop = min(at + BLOCK, end)
        values = block[: stop - at]
        {name}_span({cut}, values)
        total += block_sum(values)
    sums[part] = total
    release(block)

def {name}_sum({arguments}, result, n, divisor):
    count = max((n + {SPAN - 1}) // {SPAN}, 1)
    sums = np.empty(count, result.dtype)
    if n < {SERIAL_BELOW}:
        for part in range(count):
            {name}_sums(part, {arguments}, n, sums)
    else:
        parallel_for({name}_sums, count, ({arguments}, n, sums))
    while count > 1:
        half = (count + 1) // 2
        for i in range(count - half):
            sums[i] += sums[half + i]
        count = half
    result[0] = sums[0] / result.dtype.type(divisor)
"""


def _broadcast_source(name: str, operands: tuple[str, ...]) -> str:
    """Three nested loops; `steps` holds each operand's step in each of them, in elements."""
    arguments = ", ".join([*operands, "result"])
    cuts = []
    for k, o in enumerate(operands):
        start = f"a * steps[{3 * k}] + b * steps[{3 * k + 1}]"
        cuts.append(f"{o}[{start} : {start} + 1 + (inner - 1) * steps[{3 * k + 2}]]")
    return f"""
def {name}_rows(part, {arguments}, outer, middle, inner, steps, rows):
    for row in range(part * rows, min((part + 1) * rows, outer * middle)):
        a = row // middle
        b = row - a * middle
        {name}_span({", ".join(cuts)}, result[row * inner : (row + 1) * inner])

def {name}_broadcast({arguments}, outer, middle, inner, steps):
    rows = max(1, {SPAN} // inner)
    if result.size < {SERIAL_BELOW}:
        rows = outer * middle
    parts = (outer * middle + rows - 1) // rows
    parallel_for({name}_rows, parts, ({arguments}, outer, middle, inner, steps, rows))
"""


class Elementwise:
    """The kernel of one formula; called with arrays of one dtype, it returns a new array.

    Operands broadcast; `scalars` are further operands that always have a single element.
    """

    def __init__(
        self, name: str, operands: tuple[str, ...], formula: str, scalars: tuple[str, ...] = ()
    ) -> None:
        self.name = f"{name}_loop"
        # A prefix keeps the operands apart from the locals of the generated code.
        self._names = {o: f"in_{o}" for o in (*operands, *scalars)}
        self._whole = len(operands)
        self._formula = formula
        self.operands = tuple(self._names.values())

    def _compile(self, source: str) -> dict[str, Any]:
        namespace = {**vars(special), **_RUNTIME}
        whole, single = self.operands[: self._whole], self.operands[self._whole :]
        spans = _span_source(self.name, whole, single, _substitute(self._formula, self._names))
        return kernels_from_source(spans + source, namespace)

    @cached_property
    def loop(self) -> Any:
        """The compiled kernel over flat arrays: every operand has the size of the result, or one element."""
        return self._compile(_loop_source(self.name, self.operands))[self.name]

    @cached_property
    def _broadcast(self) -> Any:
        return self._compile(_broadcast_source(self.name, self.operands))[f"{self.name}_broadcast"]

    @cached_property
    def _sum(self) -> Any:
        return self._compile(_sum_source(self.name, self.operands))[f"{self.name}_sum"]

    def total(self, *arrays: np.ndarray, divisor: float = 1.0) -> np.ndarray:
        """The sum of the values, divided, without storing them. The operands that are not `scalars` have one shape."""
        out = _empty((), arrays[0].dtype)
        self._sum(*[array.ravel() for array in arrays], out.ravel(), arrays[0].size, divisor)
        return out

    def with_scalars(self, *arrays: np.ndarray) -> np.ndarray:
        """The call where the operands that are not `scalars` are known to have one shape."""
        out = memory.empty(arrays[0].shape, arrays[0].dtype)
        self.loop(*[array.ravel() for array in arrays], out.ravel())
        return out

    def pair(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The call with two arrays, without detours."""
        if x.size >= SMALL or (x.shape != y.shape and y.ndim):
            return self(x, y)
        out = _empty(x.shape, x.dtype)
        self.loop(x.ravel(), y.ravel(), out.ravel())
        return out

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        first = arrays[0]
        shape = first.shape
        for array in arrays:
            if array.shape != shape:
                return self._mixed(arrays)
        out = _empty(shape, first.dtype) if first.size < SMALL else memory.empty(shape, first.dtype)
        self.loop(*[array.ravel() for array in arrays], out.ravel())
        return out

    def _mixed(self, arrays: tuple[np.ndarray, ...]) -> np.ndarray:
        """Operands of different shapes."""
        largest = max(arrays, key=_extent)
        shape, size = largest.shape, largest.size
        whole = True
        for array in arrays:
            if array.shape != shape and not (array.size == 1 and array.ndim <= largest.ndim):
                whole = False
        if not whole:
            shape = np.broadcast_shapes(*[array.shape for array in arrays])
            size = math.prod(shape)
        out = memory.empty(shape, arrays[0].dtype)
        if size == 0:
            return out
        if whole or all(array.size in (1, size) for array in arrays):
            self.loop(*[array.ravel() for array in arrays], out.ravel())
            return out
        plan = _nest(shape, [array.shape for array in arrays])
        if plan is None:  # more changes of pattern than three loops can follow
            arrays = tuple(np.ascontiguousarray(np.broadcast_to(array, shape)) for array in arrays)
            self.loop(*[array.ravel() for array in arrays], out.ravel())
            return out
        (outer, middle, inner), steps = plan
        self._broadcast(*[array.ravel() for array in arrays], out.ravel(), outer, middle, inner, steps)
        return out


def _extent(array: np.ndarray) -> tuple[int, int]:
    return array.size, array.ndim


def _nest(
    shape: tuple[int, ...], shapes: list[tuple[int, ...]]
) -> tuple[tuple[int, int, int], np.ndarray] | None:
    """Fold the dimensions of a broadcast into three loops.

    Neighbouring dimensions fold together where every operand either has both or lacks both. Returns the
    extents and the operands' steps, or None where more than three loops are left.
    """
    padded = [(1,) * (len(shape) - len(s)) + s for s in shapes]
    extents: list[int] = []
    patterns: list[tuple[bool, ...]] = []
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        pattern = tuple(s[axis] != 1 for s in padded)
        if patterns and patterns[-1] == pattern:
            extents[-1] *= extent
        else:
            extents.append(extent)
            patterns.append(pattern)
    if len(extents) > 3:
        return None
    extents = [1] * (3 - len(extents)) + extents
    patterns = [(False,) * len(shapes)] * (3 - len(patterns)) + patterns
    steps = np.zeros((len(shapes), 3), np.int64)
    for k in range(len(shapes)):
        step = 1
        for level in (2, 1, 0):
            if patterns[level][k]:
                steps[k, level] = step
                step *= extents[level]
    return (extents[0], extents[1], extents[2]), steps.ravel()

