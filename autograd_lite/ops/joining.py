"""Joining tensors and cutting them apart.

The two are each other's adjoints: the node of `cat` and `stack` cuts the gradient, the node of `split`, `chunk`
and `unbind` joins the gradients of the parts, so that differentiating all parts costs one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.grad_mode import state
from ..autograd.graph import Node, OutputNode, edge
from ..kernels import memory
from ..tensor import Tensor, method
from .elementwise import common
from .primitive import join_view
from .shape import Ints, data_of, ints, take_slice, transpose, view_of
from .views import atleast_1d, atleast_2d, atleast_3d

__all__ = [
    "cat", "chunk", "column_stack", "concat", "concatenate", "dstack", "hstack", "split", "stack", "tensor_split",
    "unbind", "vstack",
]  # fmt: skip


class CatBackward0(Node):
    """The node of `cat` and `stack`: cuts the gradient at the basic indices `parts`."""

    __slots__ = ("parts",)

    def __init__(self, inputs: tuple[Any, ...], parts: list[tuple[Any, ...]]) -> None:
        super().__init__(inputs)
        self.parts = parts

    def propagate(self, gradient: Any, wanted: Sequence[bool] | None) -> list[Any]:
        return [
            take_slice(gradient, index=part) if target is not None and (wanted is None or wanted[i]) else None
            for i, (target, part) in enumerate(zip(self.inputs, self.parts, strict=True))
        ]


class SplitBackward0(Node):
    """The node of `split` and `unbind`: joins the gradients of the parts, zeros for those that have none."""

    __slots__ = ("dim", "dtype", "outputs", "shapes", "stacked")

    def __init__(self, source: Tensor, shapes: list[Ints], dim: int, stacked: bool) -> None:
        super().__init__((edge(source),))
        self.shapes, self.dim, self.stacked, self.dtype = shapes, dim, stacked, source._data.dtype
        self.outputs = len(shapes)

    def propagate(self, gradient: Any, wanted: Sequence[bool] | None) -> list[Any]:
        parts = [
            Tensor(memory.zeros(shape, self.dtype)) if g is None else g
            for g, shape in zip(gradient, self.shapes, strict=True)
        ]
        return [_joined(parts, self.dim, self.stacked)]


def _joined(tensors: Sequence[Tensor], dim: int, stacked: bool) -> Tensor:
    """The tensors, of one dtype and of matching shapes, joined along `dim` (a new one if `stacked`)."""
    arrays = [t._data for t in tensors]
    before, after = arrays[0].shape[:dim], arrays[0].shape[dim + (not stacked) :]
    extents = [1 if stacked else a.shape[dim] for a in arrays]
    array = memory.empty((*before, sum(extents), *after), arrays[0].dtype)
    if stacked:
        np.stack(arrays, dim, out=array)
    else:
        np.concatenate(arrays, dim, out=array)
    out = Tensor(array)
    if state.enabled:
        for t in tensors:
            t._refresh()
        if any(t._requires_grad for t in tensors):
            parts = []
            lead, start = (slice(None),) * dim, 0
            for n in extents:
                parts.append((*lead, start if stacked else slice(start, start + n), ...))
                start += n
            out._node = CatBackward0(tuple([edge(t) for t in tensors]), parts)
            out._requires_grad = True
    elif state.inference:
        out._inference = True
    return out


def _parts(x: Tensor, shapes: list[Ints], parts: list[tuple[Any, ...]], dim: int, stacked: bool) -> tuple[Tensor, ...]:
    """Views of `x` at the basic indices `parts`, recorded as one node."""
    x._refresh()
    recorded = state.enabled and x._requires_grad and len(parts) > 0
    if not recorded:
        return tuple([take_slice(x, index=part) for part in parts])
    node = SplitBackward0(x, shapes, dim, stacked)
    made = []
    for slot, part in enumerate(parts):
        out = Tensor(x._data[part])
        join_view(out, x)
        out._node, out._requires_grad = OutputNode(node, slot), True
        made.append(out)
    return tuple(made)


def _tensors(op: str, tensors: Any) -> list[Tensor]:
    """A list of tensors, checked, in their common dtype."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{op}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    given = list(tensors)
    for i, t in enumerate(given):
        if not isinstance(t, Tensor):
            raise TypeError(f"{op}(): expected Tensor as element {i} in argument 'tensors', but got {type(t).__name__}")
    if given and any(t._data.dtype is not given[0]._data.dtype for t in given):
        dtype = common(op, *[Tensor(t._data.reshape(-1)[:0]) for t in given])[0].dtype
        given = [t.to(dtype) for t in given]
    return given


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors joined along an existing dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of the same shape except along `dim`; their dtypes are promoted. Empty 1-D tensors are left out.
    dim : int
        The dimension.

    Raises
    ------
    ValueError
        If there are no tensors.
    RuntimeError
        If the shapes do not match, or a tensor has no dimensions.

    Notes
    -----
    Gradient: each tensor gets its own part of ``g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.cat([ag.zeros(2), ag.ones(1)])
    tensor([0., 0., 1.])
    """
    given = _tensors("cat", tensors)
    dim = dim if axis is None else axis
    if not given:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    for i, t in enumerate(given):
        if t._data.ndim == 0:
            raise RuntimeError(f"cat: zero-dimensional tensor (at position {i}) cannot be concatenated")
    kept = [t for t in given if t._data.shape != (0,)] or given[:1]
    first = kept[0]
    dim, shape = first._dim(dim), first._data.shape
    for i, t in enumerate(kept):
        other = t._data.shape
        if len(other) != len(shape):
            raise RuntimeError(f"cat: Tensors must have same number of dimensions: got {len(shape)} and {len(other)}")
        for d, (expected, got) in enumerate(zip(shape, other, strict=True)):
            if expected != got and d != dim:
                raise RuntimeError(
                    f"cat: Sizes of tensors must match except in dimension {dim}. Expected size {expected} but "
                    "got size "
                    f"{got} for tensor number {i} in the list (shapes {list(shape)} and {list(other)})."
                )
    return _joined(kept, dim, False)


concat = concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension.

    Raises
    ------
    RuntimeError
        If there are no tensors, or their shapes differ.

    Notes
    -----
    Gradient: each tensor gets its own slice of ``g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.stack([ag.zeros(2), ag.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    given = _tensors("stack", tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = given[0]._data.shape
    span = len(shape) + 1
    if not -span <= dim < span:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})")
    for i, t in enumerate(given):
        if t._data.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(t._data.shape)} at entry {i}"
            )
    return _joined(given, dim % span, True)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the second dimension (the first, for 1-D tensors and numbers).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.hstack([ag.zeros(2), ag.ones(1)])
    tensor([0., 0., 1.])
    """
    given = atleast_1d(_tensors("hstack", tensors))
    return cat(given, 0 if given and given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined as rows, along the first dimension of at least two.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.vstack([ag.zeros(2), ag.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    return cat(atleast_2d(_tensors("vstack", tensors)), 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along the third dimension of at least three.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.dstack([ag.zeros(2), ag.ones(2)]).shape
    autograd_lite.Size([1, 2, 2])
    """
    return cat(atleast_3d(_tensors("dstack", tensors)), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors (as columns) and matrices joined along the second dimension.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.column_stack([ag.zeros(2), ag.ones(2)])
    tensor([[0., 1.],
            [0., 1.]])
    """
    given = [t if t.ndim > 1 else view_of(t, shape=(t.numel(), 1)) for t in _tensors("column_stack", tensors)]
    return cat(given, 1)


def _cut(x: Tensor, dim: int, bounds: list[tuple[int, int]]) -> tuple[Tensor, ...]:
    shape = x._data.shape
    lead = (slice(None),) * dim
    shapes = [(*shape[:dim], max(hi - lo, 0), *shape[dim + 1 :]) for lo, hi in bounds]
    return _parts(x, shapes, [(*lead, slice(lo, max(hi, lo)), ...) for lo, hi in bounds], dim, False)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim`: views.

    Parameters
    ----------
    split_size_or_sections : int or sequence of int
        The extent of each part (the last may be smaller), or of each one its own.

    Raises
    ------
    RuntimeError
        If an extent is negative, or the extents do not add up.

    Notes
    -----
    Gradient: those of the parts, joined; zero for parts that have none.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.split(ag.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    >>> ag.split(ag.arange(5), [1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    shape = data_of("split", tensor, "tensor").shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = tensor._dim(dim)
    extent = shape[dim]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        if size == 0 and extent:
            raise RuntimeError(
                f"split: split_size can only be 0 if dimension size is 0, but got dimension size of {extent}"
            )
        count = max(-(-extent // size), 1) if size else 1
        sizes = [min(size, extent - i * size) for i in range(count)]
    else:
        sizes = list(ints("split", (split_size_or_sections,), "split_sizes"))
        if min(sizes, default=0) < 0:
            raise RuntimeError(f"split expects split_sizes have only non-negative entries, but got split_sizes={sizes}")
        if sum(sizes) != extent:
            raise RuntimeError(
                f"split expects split_sizes to sum exactly to {extent} (input tensor's size at dimension {dim}), "
                "but got "
                f"split_sizes={sizes}"
            )
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    return _cut(tensor, dim, [(end - n, end) for n, end in zip(sizes, ends, strict=True)])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into (at most) `chunks` parts of one extent, the last maybe smaller: views.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.chunk(ag.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    shape = data_of("chunk", input).shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    extent = shape[input._dim(dim)]
    if extent == 0:
        return split(input, [0] * chunks, dim)
    return split(input, -(-extent // chunks), dim)


def tensor_split(
    input: Tensor, indices_or_sections: Any, dim: int = 0, *, indices: Any = None, sections: int | None = None
) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into parts as equal as possible, or at the positions given: views.

    Parameters
    ----------
    indices_or_sections : int or sequence of int
        How many parts, or before which indices to cut.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tensor_split(ag.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    >>> ag.tensor_split(ag.arange(5), (1, 3))
    (tensor([0]), tensor([1, 2]), tensor([3, 4]))
    """
    shape = data_of("tensor_split", input).shape
    if not shape:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = input._dim(dim)
    extent = shape[dim]
    wanted = indices_or_sections if indices is None and sections is None else indices if sections is None else sections
    if isinstance(wanted, Tensor):
        wanted = wanted.tolist()
    if isinstance(wanted, int):
        if wanted <= 0:
            raise RuntimeError(f"tensor_split: number of sections must be larger than 0, got {wanted}")
        small, extra = divmod(extent, wanted)
        cuts = [i * small + min(i, extra) for i in range(wanted + 1)]
        return _cut(input, dim, list(zip(cuts[:-1], cuts[1:], strict=True)))
    bounds = []
    start = 0
    for cut in [*ints("tensor_split", (wanted,), "indices"), extent]:
        lo, hi, _ = slice(start, cut).indices(extent)
        bounds.append((lo, hi))
        start = cut
    return _cut(input, dim, bounds)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along `dim`, without that dimension: views.

    Notes
    -----
    Gradient: those of the slices, stacked; zero for slices that have none.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.unbind(ag.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    shape = data_of("unbind", input).shape
    if not shape:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    dim = input._dim(dim)
    lead = (slice(None),) * dim
    part = (*shape[:dim], *shape[dim + 1 :])
    parts: list[tuple[Any, ...]] = [(*lead, i, ...) for i in range(shape[dim])]
    return _parts(input, [part] * shape[dim], parts, dim, True)


for _function in (split, chunk, tensor_split, unbind):
    method(_function)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Grids of coordinates: the k-th result varies along dimension k as ``tensors[k]`` does.

    Parameters
    ----------
    *tensors : Tensor
        Numbers or 1-D tensors, of one dtype.
    indexing : "ij" or "xy"
        "xy" exchanges the first two dimensions.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> i, j = ag.meshgrid(ag.arange(2), ag.arange(3), indexing="ij")
    >>> i
    tensor([[0, 0, 0],
            [1, 1, 1]])
    """
    given = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else list(tensors)
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for t in given:
        shape = data_of("meshgrid", t, "tensors").shape
        if len(shape) > 1:
            raise RuntimeError(f"meshgrid: Expected 0D or 1D tensor in the tensor list but got shape {list(shape)}")
        if t._data.dtype != given[0]._data.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    extents = tuple([t.numel() for t in given])
    grids = []
    for k, t in enumerate(given):
        shape = tuple([extents[k] if i == k else 1 for i in range(len(given))])
        grid = view_of(t, shape=shape).expand(*extents)
        grids.append(transpose(grid, 0, 1) if indexing == "xy" and len(given) > 1 else grid)
    return tuple(grids)


__all__ += ["meshgrid"]
