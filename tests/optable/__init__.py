"""The op table: one row for every public operation, from which the suite generates its tests."""

from __future__ import annotations

from . import elementwise, indexing, linalg, nn, reduction, shape
from .opinfo import OpInfo
from .refusals import REFUSED

ROWS: list[OpInfo] = [
    *elementwise.ROWS, *reduction.ROWS, *shape.ROWS, *indexing.ROWS, *linalg.ROWS, *nn.ROWS,
]  # fmt: skip
for _name, _more in REFUSED.items():
    _row = next(row for row in ROWS if row.name == _name)
    _row.errors = [*_row.errors, *_more]


def only(**wanted: object) -> list[OpInfo]:
    """The rows whose attributes are as `wanted`."""
    return [row for row in ROWS if all(getattr(row, k) == v for k, v in wanted.items())]
