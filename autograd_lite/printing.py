"""How a tensor prints: PyTorch's rules (four digits, scientific where the range asks for it)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PRECISION = 4
THRESHOLD = 1000
EDGE_ITEMS = 3
LINE_WIDTH = 80


class _Formatter:
    """Chooses one format for all elements, from those that will be shown."""

    def __init__(self, shown: np.ndarray) -> None:
        self.floating = shown.dtype.kind == "f"
        self.integral = self.scientific = False
        if self.floating:
            finite = np.abs(shown[np.isfinite(shown) & (shown != 0)].astype(np.float64))
            if finite.size == 0:
                self.integral = True
            else:
                largest, smallest = finite.max(), finite.min()
                self.integral = bool((finite == np.ceil(finite)).all())
                if self.integral:
                    self.scientific = largest / smallest > 1000.0 or largest > 1.0e8
                else:
                    self.scientific = largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4
        self.width = max((len(self.text(v)) for v in shown.ravel()), default=0)

    def text(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        value = float(value)
        if not math.isfinite(value):
            return str(value)
        if self.scientific:
            return f"{value:.{PRECISION}e}"
        return f"{value:.0f}." if self.integral else f"{value:.{PRECISION}f}"

    def __call__(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _edges(data: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    for axis in range(data.ndim):
        if data.shape[axis] > 2 * EDGE_ITEMS:
            keep = [*range(EDGE_ITEMS), *range(-EDGE_ITEMS, 0)]
            data = np.take(data, keep, axis)
    return data


def _body(data: np.ndarray, indent: int, summarize: bool, formatter: _Formatter) -> str:
    if data.ndim == 0:
        return formatter(data[()])
    long = summarize and data.shape[0] > 2 * EDGE_ITEMS
    rows: list[Any] = [*data[:EDGE_ITEMS], None, *data[-EDGE_ITEMS:]] if long else list(data)
    if data.ndim == 1:
        per_line = max(1, (LINE_WIDTH - indent) // (formatter.width + 2))
        cells = [" ..." if row is None else formatter(row) for row in rows]
        lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = ["..." if r is None else _body(r, indent + 1, summarize, formatter) for r in rows]
    gap = ",\n" + "\n" * (data.ndim - 2) + " " * (indent + 1)
    return "[" + gap.join(parts) + "]"


def format_tensor(tensor: Any) -> str:
    """The text of ``repr(tensor)``."""
    data = tensor._data
    title = "Parameter containing:\n" if type(tensor).__name__ == "Parameter" else ""
    notes = []
    if data.size == 0:
        body = "[]"
        if data.ndim != 1:
            notes.append(f"size={tuple(data.shape)}")
    else:
        summarize = data.size > THRESHOLD
        formatter = _Formatter(_edges(data) if summarize else data)
        body = _body(data, len("tensor("), summarize, formatter)
    default = {"f": "float32", "i": "int64", "b": "bool"}.get(data.dtype.kind)
    if data.dtype.name != default or (data.size == 0 and data.dtype.name != "float32"):
        notes.append(f"dtype={tensor.dtype!r}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"{title}tensor({', '.join([body, *notes])})"
