"""How a tensor prints: PyTorch's rules (four digits, scientific where the range asks for it)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class _Options:
    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


options = _Options()
_PROFILES = {"default": (4, 1000, 3, 80), "short": (2, 1000, 2, 80), "full": (4, math.inf, 3, 80)}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print.

    Parameters
    ----------
    precision : int
        Digits after the point (4).
    threshold : int
        Tensors of more elements are summarised (1000).
    edgeitems : int
        How many elements a summary shows at each end of a dimension (3).
    linewidth : int
        Characters in a line (80).
    profile : "default", "short" or "full"
        All of these at once.
    sci_mode : bool, optional
        Whether to use scientific notation; None: where the range of the numbers asks for it.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.set_printoptions(precision=2)
    >>> ag.tensor([0.123456])
    tensor([0.12])
    >>> ag.set_printoptions(profile="default")
    """
    names = ("precision", "threshold", "edgeitems", "linewidth")
    given: tuple[Any, ...] = (precision, threshold, edgeitems, linewidth)
    if profile is not None:
        for name, value in zip(names, _PROFILES[profile], strict=True):
            setattr(options, name, value)
    for name, value in zip(names, given, strict=True):
        if value is not None:
            setattr(options, name, value)
    options.sci_mode = sci_mode


class _Formatter:
    """One format for all elements, chosen by those that will be shown; zeros, NaN and infinities have no say."""

    def __init__(self, shown: np.ndarray) -> None:
        self.floating = shown.dtype.kind == "f"
        self.integral, self.scientific = True, False
        if not self.floating:
            self.width = max(len(str(v)) for v in shown.ravel().tolist())
            return
        self.width = 1
        values = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
        if values.size:
            sizes = np.abs(values)
            largest, smallest = float(sizes.max()), float(sizes.min())
            self.integral = bool((values == np.ceil(values)).all())
            wide = largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4
            self.scientific = wide if options.sci_mode is None else options.sci_mode
            self.width = max(len(self.text(v)) for v in values.tolist())

    def text(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        if self.scientific:
            return f"{value:.{options.precision}e}"
        if self.integral:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return f"{value:.{options.precision}f}"

    def __call__(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _edges(data: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    n = options.edgeitems
    for axis in range(data.ndim):
        if data.shape[axis] > 2 * n:
            data = np.take(data, [*range(n), *range(-n, 0)], axis)
    return data


def _body(data: np.ndarray, indent: int, summarize: bool, formatter: _Formatter) -> str:
    if data.ndim == 0:
        return formatter(data.item())
    n = options.edgeitems
    rows: list[Any] = data.tolist() if data.ndim == 1 else list(data)
    if summarize and len(rows) > 2 * n:
        rows = [*rows[:n], None, *rows[len(rows) - n :]]
    if data.ndim == 1:
        per_line = max(1, (options.linewidth - indent) // (formatter.width + 2))
        cells = [" ..." if row is None else formatter(row) for row in rows]
        lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = ["..." if row is None else _body(row, indent + 1, summarize, formatter) for row in rows]
    return "[" + ("," + "\n" * (data.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def format_tensor(tensor: Any) -> str:
    """The text of ``repr(tensor)``."""
    data = tensor._data
    kind = type(tensor).__name__
    title = "Parameter containing:\n" if kind == "Parameter" else ""
    prefix = "tensor(" if kind in ("Tensor", "Parameter") else f"{kind}("
    notes = []
    if data.size == 0:
        body = "[]"
        if data.ndim != 1:
            notes.append(f"size={tuple(data.shape)}")
    else:
        summarize = data.size > options.threshold
        body = _body(data, len(prefix), summarize, _Formatter(_edges(data) if summarize else data))
    usual = {"f": "float32"} if data.size == 0 else {"f": "float32", "i": "int64", "b": "bool"}
    if data.dtype.name != usual.get(data.dtype.kind):
        notes.append(f"dtype={tensor.dtype!r}")
    if tensor.grad_fn is not None:
        notes.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return title + _with_notes(prefix + body, notes, len(prefix))


def _with_notes(text: str, notes: list[str], indent: int) -> str:
    """Add the notes, each on a new line where it would not fit."""
    length = len(text) - text.rfind("\n") + 1
    for note in notes:
        if length + len(note) + 2 > options.linewidth:
            text += ",\n" + " " * indent + note
            length = indent + len(note)
        else:
            text += ", " + note
            length += len(note) + 2
    return text + ")"
