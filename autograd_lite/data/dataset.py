"""Data sets: things with a length and an index, and combinations of them."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ..kernels import memory
from ..random import Generator
from ..tensor import Tensor
from ._random import draw_seed, permutation

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """A map-style data set: subclasses define ``__getitem__``, and ``__len__`` for most samplers.

    A subclass may also define ``__getitems__(indices) -> list`` to fetch a whole batch in one go.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> class Squares(ag.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, i):
    ...         return i * i
    >>> next(iter(ag.utils.data.DataLoader(Squares(), batch_size=4)))
    tensor([0, 1, 4, 9])
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """A data set that is a stream: subclasses define ``__iter__``.

    With several workers each iterates the stream for itself; use `get_worker_info` in ``__iter__`` to give
    each worker its share, else every sample comes once per worker.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> class Count(ag.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(5))
    >>> [batch.tolist() for batch in ag.utils.data.DataLoader(Count(), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples are the slices along the first dimension of one or more tensors.

    A `DataLoader` with the default collation takes a batch from it by indexing each tensor once, which
    gives the same values as stacking single samples and is some hundred times faster.

    Parameters
    ----------
    *tensors : Tensor
        All with the same extent of the first dimension.

    Raises
    ------
    ValueError
        If there is no tensor, or if the first extents differ.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> data = ag.utils.data.TensorDataset(ag.arange(6.0).view(3, 2), ag.tensor([0, 1, 2]))
    >>> len(data), data[1]
    (3, (tensor([2., 3.]), tensor(1)))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        for t in tensors:
            if not isinstance(t, Tensor):
                raise TypeError(f"TensorDataset expects tensors, got {type(t).__name__}")
        if not tensors or any(t.dim() == 0 for t in tensors):
            raise ValueError("TensorDataset expects at least one tensor, each with at least one dimension")
        if len({t.shape[0] for t in tensors}) > 1:
            raise ValueError(
                "Size mismatch between tensors: TensorDataset expects the same first extent, got shapes "
                + ", ".join(str(tuple(t.shape)) for t in tensors)
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def _batch(self, indices: np.ndarray) -> list[Tensor] | None:
        """The collated samples at `indices`; None where only sample by sample is right."""
        if any(t.requires_grad for t in self.tensors):
            return None
        indices = checked(indices, len(self))
        return [take(t._data, indices) for t in self.tensors]


def checked(indices: np.ndarray, length: int) -> np.ndarray:
    """int64 `indices` with negative ones counted from the end; IndexError if one is out of range."""
    # A negative index is a huge unsigned one, so a single comparison passes the usual case.
    if len(indices) and indices.view(np.uint64).max() >= length:
        wrapped = np.where(indices < 0, indices + length, indices)
        if wrapped.min() < 0 or wrapped.max() >= length:
            wrong = indices[(wrapped < 0) | (wrapped >= length)][0]
            raise IndexError(f"index {wrong} is out of bounds for dimension 0 with size {length}")
        return wrapped
    return indices


def take(source: np.ndarray, indices: np.ndarray) -> Tensor:
    """``source[indices]`` for indices in range, in a pooled buffer."""
    out = memory.empty((len(indices), *source.shape[1:]), source.dtype)
    # mode="raise" would make NumPy take through a second buffer.
    np.take(source, indices, axis=0, out=out, mode="clip")
    return Tensor(out)


class StackDataset(Dataset[Any]):
    """Samples of several data sets side by side: tuples, or dicts when given keyword arguments.

    Raises
    ------
    ValueError
        If there is none, if both forms are mixed, or if the lengths differ.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.utils.data.StackDataset(image=[1, 2], label=[3, 4])[1]
    {'image': 2, 'label': 4}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset expects data sets either by position or by keyword, and at least one")
        self.datasets: Any = args or kwargs
        lengths = {len(d) for d in (args or kwargs.values())}
        if len(lengths) > 1:
            raise ValueError(f"Size mismatch between datasets: lengths {sorted(lengths)}")
        self._length = lengths.pop()

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {key: dataset[index] for key, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T]):
    """Data sets one after another; ``a + b`` makes one, too.

    Raises
    ------
    ValueError
        If there is none.
    TypeError
        If one of them is an `IterableDataset` (use `ChainDataset`).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> both = ag.utils.data.ConcatDataset([[1, 2], [3, 4, 5]])
    >>> len(both), both[2], both[-1]
    (5, 3, 5)
    """

    datasets: list[Any]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset expects at least one data set")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise TypeError(f"ConcatDataset does not support IterableDataset, got {type(d).__name__}")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"ConcatDataset index {index} is out of range for {length} samples")
        index %= length
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset[T]):
    """Streams one after another.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> list(ag.utils.data.ChainDataset([range(2), range(3)]))
    [0, 1, 0, 1, 2]
    """

    def __init__(self, datasets: Iterable[Iterable[T]]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T]:
        for dataset in self.datasets:
            yield from dataset


class Subset(Dataset[T]):
    """The samples of a data set at given indices, in that order.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> list(ag.utils.data.Subset("abcdef", [4, 0]))
    ['e', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        inner = [self.indices[i] for i in indices]
        fetch = getattr(self.dataset, "__getitems__", None)
        return fetch(inner) if callable(fetch) else [self.dataset[i] for i in inner]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(len(self)))

    def _batch(self, indices: np.ndarray) -> list[Tensor] | None:
        inner = getattr(self.dataset, "_batch", None)
        if inner is None:
            return None
        return inner(np.asarray(self.indices, np.int64)[checked(indices, len(self))])


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset[Any]]:
    """Split a data set at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
        With a length.
    lengths : sequence of int or float
        The lengths of the parts, summing to ``len(dataset)``; or fractions summing to 1. Samples left over
        when fractions are rounded down go one each to the first parts.
    generator : Generator, optional
        What the permutation is drawn from.

    Raises
    ------
    ValueError
        If the lengths do not add up, or if a fraction lies outside [0, 1].

    Examples
    --------
    >>> import autograd_lite as ag
    >>> parts = ag.utils.data.random_split(range(10), [0.7, 0.3], ag.Generator().manual_seed(0))
    >>> [len(part) for part in parts]
    [7, 3]
    >>> sorted(i for part in parts for i in part)
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    total = len(dataset)
    sizes: list[int]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for fraction in lengths:
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: fractions must lie in [0, 1], got {list(lengths)}")
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
        for i, size in enumerate(sizes):
            if size == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2
                )
    else:
        if not _integers(lengths) or sum(lengths) != total or any(n < 0 for n in lengths):
            raise ValueError(
                f"Sum of input lengths does not equal the length of the input dataset: got {list(lengths)} "
                f"for {total} samples"
            )
        sizes = [int(n) for n in lengths]
    order = permutation(draw_seed(generator), total).tolist()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def _integers(values: Sequence[int | float]) -> bool:
    return all(float(v).is_integer() for v in values)
