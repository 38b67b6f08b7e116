"""Rows of indexing, gathering, scattering and sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .opinfo import B, Bad, F, I, OpInfo, S, pick

ROWS: list[OpInfo] = []


def row(name: str, ref: Callable[..., Any], samples: list[S], **more: Any) -> None:
    ROWS.append(OpInfo(name, ref, samples, **more))


row("isin", np.isin, [S(I(2, 3, hi=5), np.array([1, 3])), S(I(4, hi=5), I(6, hi=3)), S(I(4, hi=5), np.array([2]), invert=True)], differentiable=False)

# x[index] and x[index] = value

A = np.array
INDICES: list[tuple[tuple[int, ...], Any]] = [
    ((5,), 2), ((5,), -1), ((5,), slice(1, 4)), ((5,), slice(None, None, 2)), ((2, 3), 1), ((2, 3), (1, 2)),
    ((2, 3), (slice(None), 1)), ((2, 3), (Ellipsis, 0)), ((2, 3), None), ((2, 3), (slice(None), None, 1)),
    ((3, 4), (slice(1, None), slice(0, -1, 2))), ((2, 3, 4), (0, Ellipsis, slice(2))), ((2, 3), Ellipsis), ((), Ellipsis),
    ((), None), ((5,), slice(3, 3)), ((4,), slice(-3, None)), ((4, 3), A([0, 2, 2])), ((4, 3), A([[0, 1], [3, 3]])),
    ((4, 3), (slice(None), A([2, 0]))), ((4, 3), (A([0, 1, 1]), A([2, 2, 0]))), ((4, 3), (A([[0], [1]]), A([0, 2]))),
    ((2, 3, 4), (A([0, 1]), slice(None), A([1, 3]))), ((2, 3, 4), (slice(None), A([0, 2]), A([1, 3]))),
    ((2, 3, 4), (0, A([1, 2]))), ((2, 3, 4), (A([0, 1]), 1)), ((2, 3, 4), (Ellipsis, A([-1, 0]))), ((4, 3), [0, 2]),
    ((4,), A([True, False, True, True])), ((2, 3), A([[True, False, True], [False, False, True]])),
    ((3, 2), (A([True, False, True]), 1)), ((3, 4), (slice(None), A([True, False, False, True]))), ((3,), A([], dtype=np.int64)),
    ((3, 4), (None, A([1, 2]), slice(None, 2))), ((2, 3), A([False, False])), ((4, 3), (A(2), slice(None))),
]  # fmt: skip


class Index:
    """An index as NumPy takes it; `torch` and `ag` get tensors in place of its arrays."""

    def __init__(self, index: Any) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"[{self.index}]".replace("\n", "")

    def convert(self, package: Any) -> Any:
        def one(i: Any) -> Any:
            return package.from_numpy(i.copy()) if isinstance(i, np.ndarray) else i

        return tuple(map(one, self.index)) if isinstance(self.index, tuple) else one(self.index)


def getitem(package: Any, x: Any, index: Index) -> Any:
    return x[index.convert(package)]


def setitem(package: Any, x: Any, index: Index, value: Any) -> Any:
    result = x.clone()
    result[index.convert(package)] = value
    return result


def put(x: Any, index: Index, value: Any) -> Any:
    result = np.array(x, dtype=np.result_type(x, value))
    result[index.index] = value
    return result


row("Tensor.__getitem__", lambda x, i: x[i.index], [S(F(*shape), Index(i)) for shape, i in INDICES], op=getitem,
    errors=[Bad(IndexError, S(F(2, 3), Index(2)), "bounds"), Bad(IndexError, S(F(2, 3), Index((0, 3))), "bounds"),
            Bad(IndexError, S(F(2, 3), Index((0, 0, 0))), ""), Bad(IndexError, S(F(2, 3), Index(A([0, 2]))), ""),
            Bad(IndexError, S(F(2, 3), Index(A([True, False, True]))), ""), Bad((IndexError, TypeError), S(F(3), Index("a")), "")])  # fmt: skip

ONCE = [(s, i) for s, i in INDICES if not (isinstance(i, np.ndarray) and i.dtype.kind == "i" and i.size != np.unique(i).size)
        and not (isinstance(i, tuple) and any(isinstance(j, np.ndarray) and j.dtype.kind == "i" and j.ndim == 1 and j.size == 3 for j in i))]  # fmt: skip
row("Tensor.__setitem__", put, [S(F(*shape), Index(i), 1.5) for shape, i in ONCE]
    + [S(F(*shape), Index(i), F(*np.zeros(shape)[i].shape)) for shape, i in ONCE]
    + [S(F(3, 4), Index(slice(1, 3)), F(4)), S(F(3, 4), Index((slice(None), 1)), F()), S(F(2, 3), Index(A([True, False])), F(3)),
       S(F(2, 3), Index(A([[True, False, True], [False, False, True]])), F(3))],
    op=setitem, errors=[Bad(RuntimeError, S(F(2, 3), Index(0), F(2)), ""), Bad(IndexError, S(F(2, 3), Index(5), 1.0), "bounds")])  # fmt: skip

# Gather, scatter


def scatter(x: Any, dim: int, index: Any, src: Any, reduce: str | None = None) -> Any:
    result = np.array(x, dtype=np.result_type(x, src))
    for at in np.ndindex(index.shape):
        to = list(at)
        to[dim] = index[at]
        value = src[at] if np.ndim(src) else src
        result[tuple(to)] = value if reduce is None else result[tuple(to)] + value
    return result


IDX = A([[0, 2, 1], [1, 0, 2]])
row("gather", lambda x, dim, index: pick(np.asarray(x)[tuple(slice(0, n) if k != dim % np.ndim(x) else slice(None) for k, n in enumerate(index.shape))], index, dim),
    [S(F(3, 3), 0, IDX), S(F(2, 4), 1, A([[0, 0, 3], [1, 2, 2]])), S(F(5), 0, I(7, hi=5)), S(F(2, 3), -1, A([[2], [0]])), S(F(3), 0, I(0, hi=3))],
    errors=[Bad(RuntimeError, S(F(2, 3), 1, A([[0, 3]])), "gather"), Bad(IndexError, S(F(2, 3), 2, A([[0]])), "range"),
            Bad(RuntimeError, S(F(2, 3), 0, A([0])), "")])  # fmt: skip
row("scatter", scatter, [S(F(3, 3), 0, IDX, F(2, 3)), S(F(2, 4), 1, A([[0, 1, 3], [1, 2, 0]]), F(2, 3)), S(F(5), 0, A([1, 3]), 2.5),
                         S(F(2, 3), 1, A([[2], [0]]), F(2, 1))],
    errors=[Bad((RuntimeError, IndexError), S(F(2, 3), 1, A([[0, 3]]), F(1, 2)), "")])  # fmt: skip
row("scatter_add", lambda x, dim, index, src: scatter(x, dim, index, src, "add"),
    [S(F(3, 3), 0, IDX, F(2, 3)), S(F(2, 4), 1, A([[0, 0, 3], [1, 1, 1]]), F(2, 3)), S(F(4), 0, I(6, hi=4), F(6))],
    errors=[Bad((RuntimeError, IndexError), S(F(2, 3), 1, A([[0, 3]]), F(1, 2)), "")])  # fmt: skip
row("index_select", lambda x, dim, index: np.take(x, index, dim), [S(F(4, 3), 0, I(5, hi=4)), S(F(4, 3), 1, A([2, 0])), S(F(5), -1, A([0, 0, 4])), S(F(3), 0, I(0, hi=3))],
    errors=[Bad(IndexError, S(F(3), 0, A([3])), ""), Bad(IndexError, S(F(3), 1, A([0])), "range")])  # fmt: skip


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    result = np.moveaxis(np.array(x, dtype=np.result_type(x, source)), dim, 0)
    np.add.at(result, index, alpha * np.moveaxis(source, dim, 0))
    return np.moveaxis(result, 0, dim)


row("index_add", index_add, [S(F(4, 3), 0, I(5, hi=4), F(5, 3)), S(F(2, 4), 1, A([3, 0]), F(2, 2), alpha=-2.0), S(F(3), 0, A([0, 0]), F(2))],
    errors=[Bad((IndexError, RuntimeError), S(F(3), 0, A([3]), F(1)), "")])  # fmt: skip
row("index_copy", lambda x, dim, index, source: put(x, Index((slice(None),) * dim + (index,)), source),
    [S(F(4, 3), 0, A([2, 0]), F(2, 3)), S(F(2, 4), 1, A([3]), F(2, 1))])  # fmt: skip
row("index_fill", lambda x, dim, index, value: put(x, Index((slice(None),) * dim + (index,)), value),
    [S(F(4, 3), 0, A([2, 0]), 1.5), S(F(2, 4), 1, A([3, 3]), -1.0)])  # fmt: skip
row("masked_fill", lambda x, mask, value: np.where(mask, value, x), [S(F(5), B(5), 1.5), S(F(2, 3), B(3), -2.0), S(F(2, 3), B(2, 1), F()), S(F(0), B(0), 1.0)],
    errors=[Bad(RuntimeError, S(F(3), B(2), 1.0), ""), Bad(RuntimeError, S(F(3), F(3, grad=False), 1.0), "")])  # fmt: skip
row("masked_select", lambda x, mask: np.broadcast_to(x, np.broadcast_shapes(x.shape, mask.shape))[np.broadcast_to(mask, np.broadcast_shapes(x.shape, mask.shape))],
    [S(F(6), B(6)), S(F(2, 3), B(3)), S(F(2, 3), A([[True], [False]])), S(F(3), B(2, 3))])  # fmt: skip
row("masked_scatter", lambda x, mask, source: put(x, Index(mask), source.reshape(-1)[: int(mask.sum())]),
    [S(F(4), A([True, False, True, True]), F(5))])  # fmt: skip
row("take", lambda x, index: np.asarray(x).reshape(-1)[index], [S(F(2, 3), I(4, hi=6)), S(F(5), A([[0, -1], [2, 2]]))],
    errors=[Bad(IndexError, S(F(2, 2), A([4])), "")])  # fmt: skip
row("take_along_dim", lambda x, index, dim=None: pick(x, index, dim) if dim is not None else x.reshape(-1)[index],
    [S(F(3, 3), A([[0, 2, 1]]), 0), S(F(2, 4), A([[0], [3]]), 1), S(F(2, 3), A([4, 0]))])  # fmt: skip

# Sorting


def order(x: Any, dim: int, descending: bool = False) -> Any:
    keys = np.real(x)
    return np.argsort(-keys if descending else keys, axis=dim, kind="stable")


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    if np.ndim(x) == 0:
        return x + 0, np.array(0)
    index = order(x, dim, descending)
    return pick(x, index, dim), index


SORTS = [S(F(6)), S(F(2, 4)), S(F(3, 4), 0), S(F(5), -1, True), S(F(2, 3, 2), dim=1, descending=True), S(F()), S(F(0)), S(F(300))]
row("sort", sort, SORTS, second_order=False, errors=[Bad(IndexError, S(F(3), 1), "range")])
row("argsort", lambda x, dim=-1, descending=False: sort(x, dim, descending)[1], SORTS, differentiable=False)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    index = np.take(order(x, dim, largest), range(k), dim)
    return pick(x, index, dim), index


row("topk", topk, [S(F(6), 2), S(F(3, 5), 3), S(F(4, 2), 2, 0), S(F(5), 3, largest=False), S(F(3), 3), S(F(4), 0)],
    errors=[Bad(RuntimeError, S(F(3), 4), "range")])  # fmt: skip
row("kthvalue", lambda x, k, dim=-1, keepdim=False: tuple(np.take(a, k - 1, dim) for a in sort(x, dim)), [S(F(6), 2), S(F(3, 5), 3), S(F(4, 2), 1, 0)])
row("nonzero", lambda x: np.stack(np.nonzero(x), -1) if np.ndim(x) else np.zeros((int(x != 0), 0), int),
    [S(B(6)), S(B(2, 3)), S(I(2, 2, hi=2)), S(B(0)), S(F(2))], differentiable=False)  # fmt: skip
row("unique", np.unique, [S(I(8, hi=4)), S(I(2, 4, hi=3))], differentiable=False)
row("unique", lambda x, return_inverse, return_counts: np.unique(x, return_inverse=return_inverse, return_counts=return_counts),
    [S(I(8, hi=4), return_inverse=True, return_counts=True)], variant="inverse", differentiable=False)  # fmt: skip
row("bincount", np.bincount, [S(I(8, hi=4)), S(I(5, hi=3), None, 6), S(I(5, hi=3), F(5, grad=False))], differentiable=False,
    errors=[Bad(RuntimeError, S(A([-1, 2])), "bincount")])  # fmt: skip
for _row in ROWS[-1:]:
    _row.ref = lambda x, weights=None, minlength=0: np.bincount(x, weights, minlength)
row("nn.functional.one_hot", lambda x, num_classes=-1: np.eye(int(x.max()) + 1 if num_classes < 0 else num_classes, dtype=int)[x],
    [S(I(5, hi=3), 4), S(I(2, 3, hi=3), 3), S(A([0, 2, 1]))], differentiable=False,
    errors=[Bad(RuntimeError, S(A([3]), 3), "num_classes")])  # fmt: skip
row("searchsorted", lambda x, v, right=False: np.searchsorted(x, v, side="right" if right else "left"),
    [S(A([0.0, 1.0, 2.0]), F(5, grad=False)), S(A([0, 1, 1, 2]), I(4, hi=3), right=True)], differentiable=False)  # fmt: skip
row("bucketize", lambda v, x, *, right=False: np.searchsorted(x, v, side="right" if right else "left"), [S(F(5, grad=False), A([0.0, 1.0, 2.0])), S(A([0.0, 1.0]), A([0.0, 1.0, 2.0]), right=True)], differentiable=False)
row("argwhere", np.argwhere, [S(B(2, 3)), S(I(5, hi=2))], differentiable=False)
row("msort", lambda x: sort(x, 0)[0], [S(F(4)), S(F(3, 2))])
row("unique_consecutive", lambda x: x[np.concatenate([[True], x[1:] != x[:-1]])], [S(I(9, hi=2))], differentiable=False)


def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    result = np.array(x, dtype=np.result_type(x, values))
    if accumulate:
        np.add.at(result, tuple(indices), values)
    else:
        result[tuple(indices)] = values
    return result


row("index_put", index_put, [S(F(4), (A([1, 3]),), F(2)), S(F(4), (A([1, 1, 3]),), F(3), True), S(F(2, 3), (A([0, 1]), A([2, 0])), F(2)), S(F(3, 2), (A([2, 0]),), F(2), accumulate=True)])
