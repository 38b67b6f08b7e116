"""Rows of the operations that rearrange, join and copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .opinfo import Bad, F, I, OpInfo, S

ROWS: list[OpInfo] = []


def row(name: str, ref: Callable[..., Any], samples: list[S], **more: Any) -> None:
    ROWS.append(OpInfo(name, ref, samples, **more))


def method(name: str, ref: Callable[..., Any], samples: list[S], **more: Any) -> None:
    """An operation that is only a method of `Tensor`."""
    ROWS.append(
        OpInfo(f"Tensor.{name}", ref, samples, op=lambda package, x, *a, **k: getattr(x, name)(*a, **k), **more)
    )


def attribute(name: str, ref: Callable[..., Any], samples: list[S]) -> None:
    ROWS.append(OpInfo(f"Tensor.{name}", ref, samples, op=lambda package, x: getattr(x, name)))


def flat_args(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


BAD_DIM = Bad(IndexError, S(F(2, 3), 2), "range")

row("reshape", np.reshape, [S(F(2, 6), (3, 4)), S(F(2, 6), (-1,)), S(F(2, 3, 2), (2, -1)), S(F(), (1, 1)), S(F(0, 3), (3, 0)), S(F(1), ())],
    errors=[Bad(RuntimeError, S(F(2, 3), (4, 2)), "[4, 2]"), Bad(RuntimeError, S(F(2, 3), (-1, -1)), ""),
            Bad(RuntimeError, S(F(2, 3), (-1, 4)), "")])  # fmt: skip
method("reshape", lambda x, *s: np.reshape(x, flat_args(s)), [S(F(2, 6), 3, 4), S(F(2, 6), (3, -1))])
method("view", lambda x, *s: np.reshape(x, flat_args(s)), [S(F(2, 6), 3, 4), S(F(2, 6), -1), S(F(4), (2, 2)), S(F(), 1)],
       errors=[Bad(RuntimeError, S(F(2, 3), 4, 2), "")])  # fmt: skip
method("view_as", lambda x, y: np.reshape(x, np.shape(y)), [S(F(6), F(2, 3, grad=False))])
method("reshape_as", lambda x, y: np.reshape(x, np.shape(y)), [S(F(6), F(2, 3, grad=False))])


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    x = np.asarray(x)
    if x.ndim == 0:
        return x.reshape(1)
    a, b = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:a], -1 if x.size else int(np.prod(x.shape[a : b + 1])), *x.shape[b + 1 :])


row("flatten", flatten, [S(F(2, 3, 2)), S(F(2, 3, 2), 1), S(F(2, 3, 2), 0, 1), S(F(2, 3, 2), start_dim=-2), S(F()), S(F(2, 0, 3), 1)],
    errors=[Bad(RuntimeError, S(F(2, 3), 1, 0), "start_dim"), Bad(IndexError, S(F(2, 3), 2), "range")])  # fmt: skip
row("unflatten", lambda x, dim, sizes: np.reshape(x, x.shape[: dim % x.ndim] + _sizes(x.shape[dim], sizes) + x.shape[dim % x.ndim + 1 :]),
    [S(F(2, 6), 1, (2, 3)), S(F(6, 2), 0, (3, -1)), S(F(2, 6), -1, (3, 2))],
    errors=[Bad(RuntimeError, S(F(2, 6), 1, (4, 2)), "")])  # fmt: skip


def _sizes(n: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    known = int(np.prod([s for s in sizes if s != -1]))
    return tuple(n // known if s == -1 else s for s in sizes)


row("ravel", np.ravel, [S(F(2, 3)), S(F()), S(F(0, 2))])


def squeeze(x: Any, dim: Any = None) -> Any:
    if dim is None:
        return np.squeeze(x)
    if not np.ndim(x):
        return x + 0
    dims = (dim,) if isinstance(dim, int) else dim
    return np.squeeze(x, tuple(d for d in dims if x.shape[d] == 1))


row("squeeze", squeeze, [S(F(1, 3, 1)), S(F(1, 3, 1), 0), S(F(1, 3, 1), 1), S(F(1, 3, 1), -1), S(F(1, 3, 1), (0, 2)), S(F())],
    errors=[BAD_DIM])  # fmt: skip
row("unsqueeze", np.expand_dims, [S(F(3), 0), S(F(3), 1), S(F(2, 3), -1), S(F(2, 3), 1), S(F(), 0)],
    errors=[Bad(IndexError, S(F(2, 3), 3), "range")])  # fmt: skip
row("transpose", np.swapaxes, [S(F(2, 3), 0, 1), S(F(2, 3, 4), 0, -1), S(F(2, 3), 1, 1)], aliases=("swapaxes",),
    errors=[Bad(IndexError, S(F(2, 3), 0, 2), "range")])  # fmt: skip
row("movedim", np.moveaxis, [S(F(2, 3, 4), 0, 2), S(F(2, 3, 4), -1, 0), S(F(2, 3, 4), (0, 1), (1, 2))])
row("permute", np.transpose, [S(F(2, 3, 4), (2, 0, 1)), S(F(2, 3, 4), (0, -1, 1)), S(F(2, 3), (1, 0)), S(F(), ())],
    errors=[Bad(RuntimeError, S(F(2, 3), (0, 0)), ""), Bad(RuntimeError, S(F(2, 3), (0,)), "")])  # fmt: skip
method("permute", lambda x, *d: np.transpose(x, flat_args(d)), [S(F(2, 3, 4), 2, 0, 1)])
row("t", np.transpose, [S(F(2, 3)), S(F(3)), S(F())], errors=[Bad(RuntimeError, S(F(2, 3, 4)), "t")])
attribute("T", np.transpose, [S(F(2, 3))])
attribute("mT", lambda x: np.swapaxes(x, -1, -2), [S(F(2, 3)), S(F(2, 3, 4))])

method("expand", lambda x, *s: np.broadcast_to(x, _expanded(x.shape, flat_args(s))),
       [S(F(1, 3), 4, 3), S(F(1, 3), 4, -1), S(F(3), 2, 3), S(F(), 3), S(F(3, 1), (2, 3, 4)), S(F(1), 0), S(F(2, 3), 2, 3)],
       errors=[Bad(RuntimeError, S(F(2, 3), 3, 3), "expand"), Bad(RuntimeError, S(F(2, 3), 3), "")])  # fmt: skip


def _expanded(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    padded = (1,) * (len(wanted) - len(shape)) + tuple(shape)
    return tuple(have if want == -1 else want for have, want in zip(padded, wanted, strict=True))


method("expand_as", lambda x, y: np.broadcast_to(x, y.shape), [S(F(1, 3), F(2, 3, grad=False))])
row("broadcast_to", np.broadcast_to, [S(F(3), (2, 3)), S(F(2, 1), (2, 4)), S(F(), (2,))],
    errors=[Bad(RuntimeError, S(F(2), (3,)), "")])  # fmt: skip
row("broadcast_tensors", lambda *xs: list(np.broadcast_arrays(*xs)), [S(F(3), F(2, 1)), S(F(), F(2, 3), F(3))])
method("repeat", lambda x, *r: np.tile(x, flat_args(r)), [S(F(3), 2), S(F(2, 3), 2, 2), S(F(3), 2, 1), S(F(2), (2, 2)), S(F(3), 0)],
       errors=[Bad(RuntimeError, S(F(2, 3), 2), "")])  # fmt: skip
row("tile", np.tile, [S(F(2, 3), (2,)), S(F(2), (3, 2)), S(F(2, 3), (1, 2))])
row("repeat_interleave", lambda x, n, dim=None: np.repeat(x, n, dim),
    [S(F(4), 2), S(F(2, 3), 2), S(F(2, 3), 2, 1), S(F(3), np.array([0, 2, 1]), 0), S(F(2, 3), np.array([1, 2]), dim=0)])  # fmt: skip

JOIN = [S([F(2, 3), F(2, 3)]), S([F(2, 3), F(1, 3)], 0), S([F(2, 1), F(2, 3), F(2, 2)], 1), S((F(3), F(2)), -1), S([F(2, 3)], 1),
        S([F(0, 3), F(2, 3)], 0)]  # fmt: skip
row("cat", lambda xs, dim=0: np.concatenate(xs, axis=dim), JOIN, aliases=("concat", "concatenate"), errors=[
    Bad(RuntimeError, S([F(2, 3), F(2, 2)], 0), ""), Bad((RuntimeError, ValueError), S([]), ""),
    Bad(IndexError, S([F(2), F(2)], 1), "range"), Bad(RuntimeError, S([F(2), F(2, 2)], 0), ""),
    Bad(TypeError, S(F(2)), ""),
])  # fmt: skip
row("stack", lambda xs, dim=0: np.stack(xs, axis=dim), [S([F(3), F(3)]), S([F(2, 3), F(2, 3)], 1), S([F(2), F(2), F(2)], -1), S([F()], 0)],
    errors=[Bad(RuntimeError, S([F(2), F(3)]), "stack"), Bad(IndexError, S([F(2), F(2)], 2), "range")])  # fmt: skip
row("hstack", np.hstack, [S([F(3), F(2)]), S([F(2, 3), F(2, 1)]), S([F(), F(2)])])
row("vstack", np.vstack, [S([F(3), F(3)]), S([F(2, 3), F(1, 3)])])


def split(x: Any, sections: Any, dim: int = 0) -> Any:
    if isinstance(sections, int):
        return np.split(x, range(sections, max(1, x.shape[dim]), sections), dim)
    return np.split(x, np.cumsum(sections)[:-1], dim)


row("split", split, [S(F(5), 2), S(F(2, 5), [2, 3], 1), S(F(6, 2), 3), S(F(2, 5), (1, 0, 4), dim=-1), S(F(3), 5)],
    errors=[Bad(RuntimeError, S(F(5), [2, 2]), "split"), Bad(IndexError, S(F(5), 2, 1), "range")])  # fmt: skip
row("chunk", lambda x, n, dim=0: split(x, max(1, -(-x.shape[dim] // n)), dim), [S(F(5), 2), S(F(2, 7), 3, 1), S(F(2), 4)],
    errors=[Bad(RuntimeError, S(F(5), 0), "chunk")])  # fmt: skip
row("unbind", lambda x, dim=0: [np.take(x, i, dim) for i in range(x.shape[dim])], [S(F(3)), S(F(2, 3), 1), S(F(2, 3), -1)],
    errors=[BAD_DIM])  # fmt: skip
row("narrow", lambda x, dim, start, n: np.take(x, range(start % x.shape[dim], start % x.shape[dim] + n), dim),
    [S(F(5), 0, 1, 3), S(F(2, 5), 1, 0, 2), S(F(2, 5), -1, -2, 2), S(F(3), 0, 1, 0)],
    errors=[Bad(RuntimeError, S(F(5), 0, 3, 4), ""), Bad(IndexError, S(F(5), 1, 0, 1), "range")])  # fmt: skip
row("select", lambda x, dim, i: np.take(x, i, dim), [S(F(2, 3), 0, 1), S(F(2, 3), 1, -1), S(F(3), 0, 2)],
    errors=[Bad(IndexError, S(F(2, 3), 1, 3), "range")])  # fmt: skip
row("flip", np.flip, [S(F(4), (0,)), S(F(2, 3), (0, 1)), S(F(2, 3), [-1])], errors=[Bad(IndexError, S(F(3), (1,)), "range")])
row("fliplr", np.fliplr, [S(F(2, 3))])
row("flipud", np.flipud, [S(F(2, 3))])
row("roll", lambda x, shifts, dims=None: np.roll(x, shifts, dims), [S(F(5), 2), S(F(2, 3), 1), S(F(2, 3), -1, 1), S(F(3, 4), (1, 2), (0, 1)), S(F(3), 7, 0)])
row("rot90", lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims), [S(F(2, 3)), S(F(2, 3, 2), 2, (0, 2)), S(F(2, 3), -1)])


def pad(x: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    cut = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(widths, x.shape, strict=True))
    widths = [(max(0, a), max(0, b)) for a, b in widths]
    numpy_mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    return np.pad(x[cut], widths, numpy_mode, **({"constant_values": value or 0} if mode == "constant" else {}))


row("nn.functional.pad", pad, [
    S(F(3), (1, 2)), S(F(2, 3), (1, 0, 2, 1)), S(F(2, 3), (1, 1), "constant", 2.5), S(F(2, 4), (-1, 1)), S(F(5), (-1, -2)),
    S(F(1, 2, 4), (2, 1), mode="reflect"), S(F(1, 2, 4), (2, 1), mode="replicate"), S(F(1, 2, 4), (1, 2), mode="circular"),
    S(F(1, 2, 3, 4), (1, 2, 2, 1), mode="reflect"), S(F(1, 2, 3, 4), (1, 2, 0, 3), mode="replicate"),
    S(F(1, 2, 3, 4), (1, 2, 3, 1), mode="circular"),
], errors=[Bad(RuntimeError, S(F(3), (1, 2, 3)), ""), Bad((RuntimeError, NotImplementedError), S(F(1, 2, 3), (3, 0), mode="reflect"), "")])  # fmt: skip
row("tril", lambda x, diagonal=0: np.tril(x, diagonal), [S(F(3, 3)), S(F(2, 4), 1), S(F(2, 3, 3), -1)],
    errors=[Bad(RuntimeError, S(F(3)), "tril")])  # fmt: skip
row("triu", lambda x, diagonal=0: np.triu(x, diagonal), [S(F(3, 3)), S(F(2, 4), 1), S(F(2, 3, 3), -1)],
    errors=[Bad(RuntimeError, S(F(3)), "triu")])  # fmt: skip
row("diag", lambda x, diagonal=0: np.diag(x, diagonal), [S(F(3)), S(F(3), 1), S(F(3, 4)), S(F(3, 4), -1)],
    errors=[Bad(RuntimeError, S(F(2, 2, 2)), "diag")])  # fmt: skip
row("diagonal", lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
    [S(F(3, 4)), S(F(3, 4), 1), S(F(3, 4), offset=-2), S(F(2, 3, 3), 0, 1, 2), S(F(2, 3, 3), 0, -1, -2)],
    errors=[Bad(RuntimeError, S(F(3, 3), 0, 0, 0), "")])  # fmt: skip
row("meshgrid", lambda *xs, indexing: list(np.meshgrid(*xs, indexing=indexing)), [S(F(2), F(3), indexing="ij"), S(F(2), F(3), F(1), indexing="xy")])


def windows(x: Any, dim: int, size: int, step: int) -> Any:
    index = [range(i, i + size) for i in range(0, x.shape[dim] - size + 1, step)]
    return np.moveaxis(np.stack([np.take(x, i, dim) for i in index], dim), dim % x.ndim + 1, -1)


method("unfold", windows, [S(F(7), 0, 3, 2), S(F(2, 5), 1, 2, 1), S(F(4, 2), 0, 2, 2)],
       errors=[Bad(RuntimeError, S(F(3), 0, 4, 1), "")])  # fmt: skip
row("clone", np.copy, [S(F(2, 3)), S(F()), S(F(0))])
method("contiguous", np.copy, [S(F(2, 3))])
ROWS.append(OpInfo("Tensor.to", np.copy, [S(F(2, 3))], variant="same", op=lambda package, x: x.to(x.dtype, copy=True)))
ROWS.append(
    OpInfo("Tensor.double", lambda x: np.asarray(x) + 0, [S(F(2, 3))], variant="round-trip",
           op=lambda package, x: x.double().to(x.dtype) if x.dtype == package.float64 else x.float() * 1)
)  # fmt: skip
row("atleast_1d", np.atleast_1d, [S(F()), S(F(2))])
row("atleast_2d", np.atleast_2d, [S(F()), S(F(2)), S(F(2, 3))])
row("flatten", flatten, [S(I(2, 3, hi=9))], variant="integers", differentiable=False)
row("cat", lambda xs, dim=0: np.concatenate(xs, axis=dim), [S([I(2, hi=9), I(3, hi=9)])], variant="integers", differentiable=False)
row("atleast_3d", np.atleast_3d, [S(F(2, 3, 4))])
row("adjoint", lambda x: np.swapaxes(x, -1, -2), [S(F(2, 3)), S(F(2, 3, 4))])
row("column_stack", np.column_stack, [S([F(3), F(3)]), S([F(3, 2), F(3)])])
row("dstack", np.dstack, [S([F(2, 3), F(2, 3)]), S([F(3), F(3)])])
row("tensor_split", lambda x, parts, dim=0: np.array_split(x, parts, dim), [S(F(7), 3), S(F(2, 5), (1, 3), dim=1), S(F(4, 2), 2)])


def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], n, n), x.dtype)
    i = np.arange(x.shape[-1])
    out[..., i + max(0, -offset), i + max(0, offset)] = x
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


row("diag_embed", diag_embed, [S(F(3)), S(F(2, 3), 1), S(F(2, 3), -1), S(F(2, 2), 0, 0, 2)])
row("fill", lambda x, value: 0 * x + value, [S(F(2, 3), 1.5), S(F(3), F())])
