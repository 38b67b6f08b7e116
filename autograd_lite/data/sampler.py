"""Samplers: in what order a `DataLoader` visits the samples.

The random ones draw a single seed from their generator at the start of an epoch. `state_dict` gives that
seed, and after `load_state_dict` the next epoch repeats it; so a `DataLoader` can be resumed mid-epoch.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from ..random import Generator
from ..tensor import Tensor
from ._random import draw_seed, integers, permutation, uniform

T = TypeVar("T", covariant=True)


class Sampler(Generic[T]):
    """Base class: subclasses define ``__iter__``, and ``__len__`` where they can.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> class Backwards(ag.utils.data.Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(range(len(self.data) - 1, -1, -1))
    ...     def __len__(self):
    ...         return len(self.data)
    >>> list(Backwards("abc"))
    [2, 1, 0]
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class SequentialSampler(Sampler[int]):
    """The samples in their order.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> list(ag.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def indices(self) -> np.ndarray:
        return np.arange(len(self.data_source))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _SeededSampler(Sampler[int]):
    """A sampler whose order is a function of one seed."""

    generator: Generator | None
    _seed: int | None = None  # of the epoch under way
    _next: int | None = None  # for the next epoch, when it is to repeat an earlier one

    def _order(self, seed: int) -> np.ndarray:
        raise NotImplementedError

    def indices(self) -> np.ndarray:
        """Start an epoch: its indices, int64."""
        seed = draw_seed(self.generator) if self._next is None else self._next
        self._seed, self._next = seed, None
        return self._order(seed)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices().tolist())

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self._seed if self._next is None else self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = state["seed"]


def _check_count(name: str, value: Any) -> int:
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if number <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value!r}")
    return number


class RandomSampler(_SeededSampler):
    """The samples in random order.

    Parameters
    ----------
    data_source : sized
    replacement : bool
        Draw each sample independently; then one may come several times and another not at all.
    num_samples : int, optional
        How many to draw, by default ``len(data_source)``. Without replacement, more than that many come
        as several permutations one after another.
    generator : Generator, optional
        Where the seed of each epoch is drawn from.

    Raises
    ------
    ValueError
        If `num_samples` is not positive.
    TypeError
        If `replacement` is not a bool.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> sampler = ag.utils.data.RandomSampler(range(5), generator=ag.Generator().manual_seed(0))
    >>> sorted(sampler)
    [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement!r}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = None if num_samples is None else _check_count("num_samples", num_samples)
        self.generator = generator

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _order(self, seed: int) -> np.ndarray:
        n, count = len(self.data_source), self.num_samples
        if n == 0:
            if count:
                raise ValueError(f"RandomSampler cannot draw {count} samples from an empty data set")
            return np.empty(0, np.int64)
        if self.replacement:
            return integers(seed, n, count)
        rounds = [permutation(seed + i, n) for i in range(-(-count // n))]
        return np.concatenate(rounds)[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_SeededSampler):
    """Given indices in random order.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> sorted(ag.utils.data.SubsetRandomSampler([4, 8, 2]))
    [2, 4, 8]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.subset = np.asarray(indices, np.int64)
        self.generator = generator

    def _order(self, seed: int) -> np.ndarray:
        return self.subset[permutation(seed, len(self.subset))]

    def __len__(self) -> int:
        return len(self.subset)


class WeightedRandomSampler(_SeededSampler):
    """Indices drawn with given weights, which need not sum to one.

    Without replacement, by the exponential race of P. S. Efraimidis and P. G. Spirakis, "Weighted random
    sampling with a reservoir", Information Processing Letters 97 (2006).

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero, if `num_samples` is not positive, or, without
        replacement, exceeds the number of non-zero weights.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> set(ag.utils.data.WeightedRandomSampler([0.0, 1.0, 3.0], 50)) <= {1, 2}
    True
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        self.num_samples = _check_count("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement!r}")
        self.weights = np.asarray(weights._data if isinstance(weights, Tensor) else weights, np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {self.weights.shape}")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise ValueError("weights should be finite and not negative, and at least one of them positive")
        if not replacement and self.num_samples > np.count_nonzero(self.weights):
            raise ValueError(
                f"cannot draw {num_samples} samples without replacement: only "
                f"{np.count_nonzero(self.weights)} weights are positive"
            )
        self.replacement = replacement
        self.generator = generator

    def _order(self, seed: int) -> np.ndarray:
        if self.replacement:
            edges = np.cumsum(self.weights)
            drawn = np.searchsorted(edges, uniform(seed, self.num_samples) * edges[-1], side="right")
            return np.minimum(drawn, np.flatnonzero(self.weights)[-1])
        positive = np.flatnonzero(self.weights)
        race = -np.log1p(-uniform(seed, len(positive))) / self.weights[positive]
        return positive[np.argsort(race, kind="stable")[: self.num_samples]]

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` successive indices of another sampler.

    Parameters
    ----------
    sampler : iterable of int
    batch_size : int
    drop_last : bool
        Leave out the last batch if it is smaller.

    Raises
    ------
    ValueError
        If `batch_size` is not a positive integer, or `drop_last` not a bool.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> list(ag.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = _check_count("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last!r}")
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return self._batches(iter(self.sampler))  # the epoch's order is drawn now, not at the first batch

    def _batches(self, order: Iterator[int]) -> Iterator[list[int]]:
        while batch := list(itertools.islice(order, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def arrays(self) -> Iterator[np.ndarray] | None:
        """The batches as int64 arrays, where the sampler gives its whole order at once; else None."""
        if not isinstance(self.sampler, (SequentialSampler, _SeededSampler)):
            return None
        # A subclass that overrides __iter__ means another order.
        if type(self.sampler).__iter__ not in (SequentialSampler.__iter__, _SeededSampler.__iter__):
            return None
        order = self.sampler.indices()
        end = len(order) // self.batch_size * self.batch_size if self.drop_last else len(order)
        return (order[i : min(i + self.batch_size, end)] for i in range(0, end, self.batch_size))

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        give = getattr(self.sampler, "state_dict", None)
        return give() if give is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        take = getattr(self.sampler, "load_state_dict", None)
        if take is not None:
            take(state)
