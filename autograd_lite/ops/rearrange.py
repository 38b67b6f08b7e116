"""Copies in another arrangement: repeated, flipped, rolled, padded, triangles and diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import discrete, memory
from ..tensor import Tensor, method
from .creation import clone
from .indexing import index_select
from .inplace import inplace, put_positions
from .primitive import expand_to, primitive
from .shape import Ints, data_of, dims_of, flatten, ints, positions_of, take_slice, transpose, view_of
from .views import diagonal, diagonal_view, narrow

__all__ = [
    "diag", "diag_embed", "flip", "fliplr", "flipud", "pad", "repeat_interleave", "roll", "rot90", "tile", "tril",
    "tril_indices", "triu", "triu_indices",
]  # fmt: skip


@method
def repeat(self: Tensor, *repeats: Any) -> Tensor:
    """The tensor laid out `repeats` times along each dimension; new dimensions come in front.

    Raises
    ------
    RuntimeError
        If there are fewer repeats than dimensions, or a negative one.

    Notes
    -----
    Gradient: ``g`` summed over the copies.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = ints("repeat", repeats, "repeats")
    shape = self._data.shape
    lead = len(times) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"repeat: Number of dimensions of repeat dims ({len(times)}) can not be smaller than number of "
            "dimensions of "
            f"tensor ({len(shape)})"
        )
    full = (1,) * lead + shape
    if min(times, default=0) < 0:
        raise RuntimeError(
            "repeat: Trying to create tensor with negative dimension: "
            f"{[t * n for t, n in zip(times, full, strict=True)]}"
        )
    apart = view_of(self, shape=tuple([n for extent in full for n in (1, extent)]))
    spread = expand_to(apart, shape=tuple([n for pair in zip(times, full, strict=True) for n in pair]))
    return view_of(clone(spread), shape=tuple([t * n for t, n in zip(times, full, strict=True)]))


def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The tensor laid out `dims` times along its dimensions; missing ones count as 1.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tile(ag.tensor([[1], [2]]), (3,))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    ndim = data_of("tile", input).ndim
    times = ints("tile", (dims,), "dims")
    return repeat(input, (1,) * (ndim - len(times)) + times)


def repeat_interleave(
    input: Tensor, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Every slice along `dim` repeated in place.

    Parameters
    ----------
    repeats : int or Tensor of integers
        How often: all of them, or each slice its own number. Left out, `input` itself is taken as the
        numbers, and the result counts ``0`` so often, then ``1``, ...
    dim : int, optional
        Default: the flattened tensor.

    Raises
    ------
    RuntimeError
        If a number is negative, or their count is not the extent of `dim`.

    Notes
    -----
    Gradient: ``g`` summed over the copies of each slice.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.repeat_interleave(ag.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    >>> ag.repeat_interleave(ag.tensor([1, 2]), ag.tensor([1, 3]))
    tensor([1, 2, 2, 2])
    """
    data_of("repeat_interleave", input)
    if repeats is None:
        return Tensor(_interleaved(input, input._data.size))
    if dim is None:
        input, dim = flatten(input), 0
    dim = input._dim(dim)
    if not isinstance(repeats, Tensor):
        repeats = Tensor(np.array(repeats))
    if not input._data.ndim:
        input = view_of(input, shape=(1,))
    return index_select(input, dim, Tensor(_interleaved(repeats, input._data.shape[dim])))


def _interleaved(repeats: Tensor, extent: int) -> np.ndarray:
    times = repeats._data
    if times.dtype.kind not in "iu":
        raise RuntimeError(f"repeat_interleave: repeats has to be an integer tensor, got {repeats.dtype!r}")
    if times.ndim > 1:
        raise RuntimeError(f"repeat_interleave: repeats must be 0-dim or 1-dim tensor, got shape {list(times.shape)}")
    if times.size not in (1, extent):
        raise RuntimeError(
            "repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{times.size} and input.size(dim) = {extent}"
        )
    if times.size and times.min() < 0:
        raise RuntimeError(f"repeat_interleave: Repeats must be non-negative, got {times.min()}")
    return np.repeat(np.arange(extent), times.reshape(-1))


@primitive(name="flip")
def _flip(x: np.ndarray, *, dims: Ints) -> np.ndarray:
    out = memory.empty(x.shape, x.dtype)
    out[...] = np.flip(x, dims)
    return out


@_flip.derivative("x")
def _(g: Tensor, *, dims: Ints) -> Tensor:
    return _flip(g, dims=dims)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """The order along each of `dims` reversed; a copy.

    Notes
    -----
    Gradient: ``g`` flipped likewise.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.flip(ag.tensor([[1, 2], [3, 4]]), (0, 1))
    tensor([[4, 3],
            [2, 1]])
    """
    data_of("flip", input)
    if not dims:
        raise TypeError("flip() missing 1 required positional arguments: 'dims'")
    return _flip(input, dims=dims_of(input, ints("flip", dims, "dims")))


def fliplr(input: Tensor) -> Tensor:
    """The columns (dimension 1) in reversed order; a copy.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.fliplr(ag.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if data_of("fliplr", input).ndim < 2:
        raise RuntimeError("fliplr: Input must be >= 2-d.")
    return _flip(input, dims=(1,))


def flipud(input: Tensor) -> Tensor:
    """The rows (dimension 0) in reversed order; a copy.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.flipud(ag.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if data_of("flipud", input).ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d.")
    return _flip(input, dims=(0,))


@primitive(name="roll")
def _roll(x: np.ndarray, *, shifts: Ints, dims: Ints) -> np.ndarray:
    return np.roll(x, shifts, dims)


@_roll.derivative("x")
def _(g: Tensor, *, shifts: Ints, dims: Ints) -> Tensor:
    return _roll(g, shifts=tuple([-s for s in shifts]), dims=dims)


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Shifted along `dims`; what leaves at one end enters at the other.

    Parameters
    ----------
    shifts : int or sequence of int
        By how much, for each of `dims`.
    dims : int or sequence of int, optional
        Default: the flattened tensor, whose shape is restored.

    Notes
    -----
    Gradient: ``g`` rolled back.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.roll(ag.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    """
    shape = data_of("roll", input).shape
    steps = ints("roll", (shifts,) if not isinstance(shifts, int) else ((shifts,),), "shifts")
    axes = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not axes and len(steps) == 1:
        return _roll(input.reshape(-1), shifts=steps, dims=(0,)).reshape(shape)
    if len(steps) != len(axes) or not steps:
        raise RuntimeError(f"roll: shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}")
    return _roll(input, shifts=steps, dims=tuple([input._dim(d) for d in axes]))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by `k` right angles in the plane of two dimensions, from the first towards the second.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.rot90(ag.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    ndim = data_of("rot90", input).ndim
    if len(dims) != 2:
        raise RuntimeError(f"rot90: expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"rot90: expected total dims >= 2, but got total dims = {ndim}")
    first, second = (input._dim(d) for d in dims)
    if first == second:
        raise RuntimeError(
            f"rot90: expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    k %= 4
    if k == 0:
        return clone(input)
    if k == 2:
        return _flip(input, dims=(first, second))
    return transpose(_flip(input, dims=(second if k == 1 else first,)), first, second)


# Padding


@primitive(name="constant_pad")
def _constant_pad(x: np.ndarray, *, before: Ints, shape: Ints, value: float) -> np.ndarray:
    out = memory.empty(shape, x.dtype)
    out.fill(value)
    out[tuple([slice(b, b + n) for b, n in zip(before, x.shape, strict=True)])] = x
    return out


@_constant_pad.derivative("x")
def _(g: Tensor, x_shape: Ints, *, before: Ints) -> Tensor:
    return take_slice(g, index=(*[slice(b, b + n) for b, n in zip(before, x_shape, strict=True)], ...))


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The tensor with a margin around it.

    Parameters
    ----------
    pad : sequence of int
        The margins before and after, for the last dimension first: ``(left, right, top, bottom, ...)``.
        Negative ones crop.
    mode : "constant", "reflect", "replicate" or "circular"
        What to fill the margin with: `value`; the mirror image without the edge; the edge; the opposite
        side. All but the first take the last 1, 2 or 3 dimensions of a tensor with one or two more.
    value : float, optional
        The constant (0).

    Raises
    ------
    RuntimeError
        If `pad` has an odd length, names too many dimensions, or is too wide for the mode.
    NotImplementedError
        For an unknown mode, or a number of dimensions that the mode does not take.

    Notes
    -----
    Gradient: each element gets the sum of ``g`` over its copies.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.functional.pad(ag.tensor([1.0, 2.0, 3.0]), (1, 2))
    tensor([0., 1., 2., 3., 0., 0.])
    >>> ag.nn.functional.pad(ag.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    shape = data_of("pad", input).shape
    margins = ints("pad", (pad,), "pad")
    if len(margins) % 2:
        raise RuntimeError(f"pad: Padding length must be divisible by 2, got {list(margins)}")
    if len(margins) > 2 * len(shape):
        raise RuntimeError(
            "pad: Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(margins)} and input of dimension {len(shape)}"
        )
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: Unrecognised padding mode {mode}")
    widths = {len(shape) - 1 - i: margins[2 * i : 2 * i + 2] for i in range(len(margins) // 2)}
    if mode != "constant":
        if value is not None:
            raise RuntimeError(f'pad: Padding mode "{mode}" doesn\'t take in value argument')
        if len(widths) not in (1, 2, 3) or len(shape) - len(widths) not in (1, 2):
            raise NotImplementedError(
                f"pad: Padding size {len(margins)} is not supported for {len(shape)}D input tensor."
            )
        for dim, source in {dim: _source(mode, shape, dim, *width) for dim, width in widths.items()}.items():
            if source is not None:
                input = index_select(input, dim, Tensor(source))
        return input if input._data.shape != shape else clone(input)
    for dim, (before, after) in widths.items():
        if shape[dim] + min(before, 0) + min(after, 0) < 0:
            raise RuntimeError(
                f"pad: a padding of {(before, after)} leaves less than nothing of dimension {dim} of {list(shape)}"
            )
    for dim, (before, after) in widths.items():
        if before < 0 or after < 0:
            lo, hi = max(-before, 0), shape[dim] - max(-after, 0)
            input = narrow(input, dim, lo, hi - lo)
    lead = tuple([max(widths.get(d, (0, 0))[0], 0) for d in range(len(shape))])
    padded = tuple([n + sum(widths.get(d, (0, 0))) for d, n in enumerate(shape)])
    return _constant_pad(input, before=lead, shape=padded, value=0 if value is None else value)


def _source(mode: str, shape: Ints, dim: int, before: int, after: int) -> np.ndarray | None:
    """For each place along a padded dimension, the place that its element comes from."""
    extent = shape[dim]
    widest = max(before, after)
    if before == after == 0:
        return None
    if extent + before + after < 1:
        raise RuntimeError(f"pad: padding {(before, after)} leaves nothing of dimension {dim} of input {list(shape)}")
    if extent == 0 or (mode == "reflect" and widest >= extent):
        raise RuntimeError(
            "pad: Padding size should be less than the corresponding input dimension, but got: padding "
            f"{(before, after)} at dimension {dim} of input {list(shape)}"
        )
    if mode == "circular" and widest > extent:
        raise RuntimeError(
            f"pad: Padding value causes wrapping around more than once: {(before, after)} at dimension {dim} of input "
            f"{list(shape)}"
        )
    places = np.arange(-before, extent + after)
    if mode == "replicate":
        return places.clip(0, extent - 1)
    if mode == "circular":
        first, last = max(-before, 0), min(extent, extent + after)  # what negative margins leave
        return first + (places - first) % max(last - first, 1)
    return extent - 1 - np.abs(extent - 1 - np.abs(places))


# Triangles and diagonals


def _triangle(name: str, keep: str, rows: tuple[str, str]) -> Any:
    @primitive(name=name)
    def made(x: np.ndarray, *, diagonal: int) -> np.ndarray:
        return discrete.apply(name, x, diagonal)  # type: ignore[arg-type]

    @made.derivative("x")
    def _(g: Tensor, *, diagonal: int) -> Tensor:
        return made(g, diagonal=diagonal)

    def op(input: Tensor, diagonal: int = 0) -> Tensor:
        if data_of(name, input).ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got shape {list(input.shape)}")
        return made(input, diagonal=diagonal)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""The {keep} triangle of a matrix, or of each in a batch, and zeros.

    Parameters
    ----------
    diagonal : int
        The last diagonal that is kept: 0 the main one, above it if positive, below it if negative.

    Notes
    -----
    Gradient: the same triangle of ``g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(ag.ones(2, 2))
    tensor([[{rows[0]}],
            [{rows[1]}]])
    """
    return op


tril = _triangle("tril", "lower", ("1., 0.", "1., 1."))
triu = _triangle("triu", "upper", ("1., 1.", "0., 1."))


def _indices(name: str, keep: str, example: tuple[str, str]) -> Any:
    def op(row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None) -> Tensor:
        if row < 0 or col < 0:
            raise RuntimeError(f"{name}: row and col must be non-negative, got {row} and {col}")
        mask = discrete.apply(keep, np.ones((row, col), bool), offset)  # type: ignore[arg-type]
        return Tensor(np.stack(np.nonzero(mask)).astype(dtypes.to_numpy(dtype)))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""The rows and the columns of the elements that `{keep}` keeps, as a tensor of shape (2, n).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.{name}(2, 2)
    tensor([[{example[0]}],
            [{example[1]}]])
    """
    return op


tril_indices = _indices("tril_indices", "tril", ("0, 1, 1", "0, 0, 1"))
triu_indices = _indices("triu_indices", "triu", ("0, 0, 1", "0, 1, 1"))


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros with the last dimension of `input` as their diagonal.

    Parameters
    ----------
    offset : int
        Which diagonal: above the main one if positive, below it if negative.
    dim1, dim2 : int
        The dimensions of the result for rows and columns.

    Notes
    -----
    Gradient: the diagonal of ``g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.diag_embed(ag.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    shape = data_of("diag_embed", input).shape
    span = len(shape) + 1
    for d in (dim1, dim2):
        if not shape or not -span <= d < span:
            raise IndexError(
                f"diag_embed: Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {d})"
            )
    first, second = dim1 % span, dim2 % span
    if first == second:
        raise RuntimeError(f"diag_embed: diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = shape[-1] + abs(offset)
    extents = list(shape[:-1])
    for d in sorted((first, second)):
        extents.insert(d, n)
    full = tuple(extents)
    return put_positions(input, positions=diagonal_view(offset, first, second)(positions_of(full)), shape=full)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.diag(ag.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    >>> ag.diag(ag.ones(2, 2))
    tensor([1., 1.])
    """
    ndim = data_of("diag", input).ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    return diag_embed(input, diagonal) if ndim == 1 else clone(_diagonal(input, diagonal))


_diagonal = diagonal
_METHODS = {
    "diag": diag, "diag_embed": diag_embed, "flip": flip, "fliplr": fliplr, "flipud": flipud, "roll": roll,
    "repeat_interleave": repeat_interleave, "rot90": rot90, "tril": tril, "triu": triu, "tril_": inplace(tril),
    "triu_": inplace(triu), "tile": lambda self, *dims: tile(self, ints("tile", dims, "dims")),
}  # fmt: skip
for _name, _function in _METHODS.items():
    method(_function, name=_name)
