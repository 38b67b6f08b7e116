"""`DataLoader`: batches from a data set, in order, prefetched by worker threads on request."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from ..random import Generator
from ._random import draw_seed, fetching
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler
from .workers import Pool, Slot

T = TypeVar("T", covariant=True)
_END = object()


class DataLoader(Generic[T]):
    """Iterate over a data set in batches.

    Parameters
    ----------
    dataset : Dataset or IterableDataset
        Anything with ``__getitem__`` and ``__len__``, or an `IterableDataset`. If it has
        ``__getitems__(indices)``, batches are fetched through that.
    batch_size : int or None
        None: samples one by one, not collated.
    shuffle : bool
        A new random order each epoch.
    sampler : iterable of int, optional
        The order of the samples, instead of `shuffle`.
    batch_sampler : iterable of list of int, optional
        The batches, instead of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    num_workers : int
        How many threads fetch batches ahead; with 0 they are made when asked for. Batches, their order and
        random transforms are the same for any number. What a worker raises is raised by ``next``, with the
        worker's part of the traceback; threads end when the iteration ends or is abandoned.
    collate_fn : callable, optional
        Makes a batch of a list of samples; by default `default_collate`.
    pin_memory : bool
        Accepted, and without effect on a CPU.
    drop_last : bool
        Leave out the last batch if it is smaller.
    timeout : float
        Seconds to wait for a worker's batch; 0 for no limit.
    worker_init_fn : callable, optional
        Called with the worker's number at the start of each worker.
    generator : Generator, optional
        Where each epoch's seed is drawn from, by default the generator that `ag.manual_seed` seeds.
    prefetch_factor : int, optional
        Batches under way per worker, by default 2.
    persistent_workers : bool
        Keep the threads from epoch to epoch.

    Raises
    ------
    ValueError
        If options exclude each other or are out of range.

    Notes
    -----
    From a `TensorDataset` (or a `Subset` of one) with the default collation, a batch is taken by indexing
    each tensor once; the values are those of the general way.

    `state_dict` holds the position within the epoch. After ``load_state_dict`` the next iteration goes on
    from there with the same order; samples before it are not fetched (those of a stream have to be).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> from autograd_lite.utils.data import DataLoader, TensorDataset
    >>> for x, y in DataLoader(TensorDataset(ag.arange(3.0), ag.tensor([0, 1, 0])), batch_size=2):
    ...     print(x, y)
    tensor([0., 1.]) tensor([0, 1])
    tensor([2.]) tensor([0])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        *,
        generator: Generator | None = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        stream = isinstance(dataset, IterableDataset)
        _check_options(
            stream, batch_size, shuffle, sampler, batch_sampler, num_workers, drop_last, timeout,
            prefetch_factor, persistent_workers,
        )  # fmt: skip
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.drop_last = drop_last
        self.batch_size = batch_size
        if batch_sampler is not None:
            self.batch_size = None
        elif not stream:
            if sampler is None:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            if batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._stream = stream
        self._batched = batch_sampler is not None or batch_size is not None
        if collate_fn is None:
            collate_fn = default_collate if self._batched else default_convert
        self.collate_fn = collate_fn
        self._pool: Pool | None = None
        self._position: _Position | None = None
        self._resume: dict[str, Any] | None = None

    @property
    def _indices(self) -> Any:
        """What is iterated for indices: the batch sampler, or without batches the sampler."""
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[T]:
        iterator = _StreamIterator(self) if self._stream else _MapIterator(self)
        iterator.skip()
        return iterator

    def __len__(self) -> int:
        if not self._stream:
            return len(self._indices)
        samples = len(self.dataset)
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """The position in the latest epoch, or the start of the next one if that was iterated to its end.

        Returns
        -------
        dict
            Python numbers, and the state of `generator` where one was given. Where not, keep the state of
            the default generator too (`ag.get_rng_state`), so that later epochs repeat as well.
        """
        if self._position is not None and not self._position.ended:
            return self._position.state_dict()
        if self._resume is not None:
            return dict(self._resume)
        return {"batches": 0, "seed": None, "sampler": {}, "generator": generator_state(self.generator)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on from where `state` was taken.

        Raises
        ------
        ValueError
            If `state` is not the state of a `DataLoader`.
        """
        missing = {"batches", "seed", "sampler", "generator"} - set(state)
        if missing:
            raise ValueError(f"DataLoader.load_state_dict: the state has no {', '.join(sorted(missing))}")
        self._position = None
        self._resume = dict(state)
        if self.generator is not None and state["generator"] is not None:
            self.generator.set_state(state["generator"])

    def _acquire_pool(self) -> Pool:
        if self._pool is not None:
            return self._pool
        pool = Pool(self.dataset, self.num_workers, self._stream, self.worker_init_fn)
        if self.persistent_workers:
            self._pool = pool
            weakref.finalize(self, pool.stop)
        return pool


@dataclass
class _Position:
    """How far an epoch is; outlives an iteration that was broken off, so that it can still be saved."""

    seed: int
    sampler: dict[str, Any]
    generator: Any
    batches: int = 0
    ended: bool = False

    def state_dict(self) -> dict[str, Any]:
        return {
            "batches": self.batches,
            "seed": self.seed,
            "sampler": dict(self.sampler),
            "generator": self.generator,
        }


class _Iterator(Iterator[Any]):
    """One epoch of a `DataLoader`."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        resume, loader._resume = loader._resume, None
        indices = loader._indices
        if resume is None or resume["seed"] is None:
            seed, self._to_skip = draw_seed(loader.generator), 0
        else:
            seed, self._to_skip = resume["seed"], resume["batches"]
            if resume["sampler"] and hasattr(indices, "load_state_dict"):
                indices.load_state_dict(resume["sampler"])
        self._start(loader)
        sampler = indices.state_dict() if hasattr(indices, "state_dict") else {}
        self._position = loader._position = _Position(seed, sampler, generator_state(loader.generator))
        self._seed = seed
        self._timeout = loader.timeout
        self._workers = loader.num_workers
        self._prefetch = loader.prefetch_factor or 0
        self._abandoned = threading.Event()
        if self._workers:
            self._loader = loader  # which ends persistent workers when it dies
            self._pool = loader._acquire_pool()
            # No reference from the pool or its tasks back to here: the iterator must die when it is dropped.
            self._close = weakref.finalize(self, _abandon, self._abandoned, None if loader._pool else self._pool)

    def _start(self, loader: DataLoader[Any]) -> None:
        raise NotImplementedError

    def _batch(self) -> Any:
        """The next batch; StopIteration when there is none."""
        raise NotImplementedError

    def skip(self) -> None:
        """Go to where the epoch is to be resumed."""
        for _ in range(self._to_skip):
            next(self, None)

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Any:
        if self._position.ended:
            raise StopIteration
        try:
            batch = self._batch()
        except StopIteration:
            self._position.ended = True
            if self._workers:
                self._close()
            raise
        self._position.batches += 1
        return batch

    def _submit(self, worker: int, number: int, task: Callable[[], Any]) -> Slot:
        return self._pool.submit(worker, self._seed, number, task, self._abandoned)

    def _take(self, pending: deque[Slot]) -> Any:
        """The result of the oldest of `pending`, which stays there if the wait for it times out."""
        pending[0].wait(self._timeout)
        return pending.popleft().result()


def _abandon(abandoned: threading.Event, pool: Pool | None) -> None:
    abandoned.set()
    if pool is not None:
        pool.stop()


class _MapIterator(_Iterator):
    """Over indices: any worker makes any batch, and they are handed on in order."""

    def _start(self, loader: DataLoader[Any]) -> None:
        fast = _batch_taker(loader)
        self._tasks: Iterator[Any]
        self._fetch: Callable[[Any], Any]
        if fast is not None:
            self._tasks, self._fetch = fast
        else:
            self._tasks = iter(loader._indices)
            self._fetch = _Fetch(loader)
        self._number = 0
        self._pending: deque[Slot] = deque()

    def skip(self) -> None:
        for _ in range(self._to_skip):
            next(self._tasks, None)
        self._number = self._position.batches = self._to_skip

    def _batch(self) -> Any:
        if not self._workers:
            task = next(self._tasks)
            number, self._number = self._number, self._number + 1
            with fetching(self._seed, number):
                return self._fetch(task)
        while len(self._pending) < self._workers * self._prefetch:
            try:
                task = next(self._tasks)
            except StopIteration:
                break
            self._pending.append(self._submit(0, self._number, partial(self._fetch, task)))
            self._number += 1
        if not self._pending:
            raise StopIteration
        return self._take(self._pending)


class _StreamIterator(_Iterator):
    """Over streams, one per worker: they take turns, for as long as theirs last."""

    def _start(self, loader: DataLoader[Any]) -> None:
        count = max(loader.num_workers, 1)
        self._streams = [_Stream(loader) for _ in range(count)]
        self._open = deque(range(count))  # whose turn it is, then the others in order
        self._asked = [0] * count
        self._waiting: list[deque[Slot]] = [deque() for _ in range(count)]

    def _batch(self) -> Any:
        while self._open:
            worker = self._open[0]
            batch = self._from(worker)
            if batch is not _END:
                self._open.rotate(-1)
                return batch
            self._open.popleft()
        raise StopIteration

    def _number(self, worker: int) -> int:
        self._asked[worker] += 1
        return (self._asked[worker] - 1) * len(self._streams) + worker

    def _from(self, worker: int) -> Any:
        if not self._workers:
            with fetching(self._seed, self._number(worker)):
                return self._streams[worker]()
        for other in self._open:
            while len(self._waiting[other]) < self._prefetch:
                self._waiting[other].append(self._submit(other, self._number(other), self._streams[other]))
        return self._take(self._waiting[worker])


class _Fetch:
    """Make a batch from indices, sample by sample."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.dataset, self.collate, self.batched = loader.dataset, loader.collate_fn, loader._batched
        many = getattr(loader.dataset, "__getitems__", None)
        self.many = many if callable(many) else None

    def __call__(self, task: Any) -> Any:
        if not self.batched:
            return self.collate(self.dataset[task])
        if self.many is not None:
            return self.collate(self.many(task))
        return self.collate([self.dataset[i] for i in task])


class _Stream:
    """Make the next batch of one worker's stream; `_END` when there is none."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.dataset, self.collate = loader.dataset, loader.collate_fn
        self.batch_size, self.drop_last = loader.batch_size, loader.drop_last
        self.samples: Iterator[Any] | None = None

    def __call__(self) -> Any:
        if self.samples is None:
            self.samples = iter(self.dataset)  # here, as `get_worker_info` is known only in the worker
        if self.batch_size is None:
            sample: Any = next(self.samples, _END)
            return _END if sample is _END else self.collate(sample)
        batch: list[Any] = []
        for sample in self.samples:
            batch.append(sample)
            if len(batch) == self.batch_size:
                return self.collate(batch)
        if not batch or self.drop_last:
            return _END
        return self.collate(batch)


def _batch_taker(loader: DataLoader[Any]) -> tuple[Iterator[np.ndarray], Callable[[Any], Any]] | None:
    """The fast way through a `TensorDataset`: batches of indices, and what takes them at once."""
    batches, take = loader.batch_sampler, getattr(loader.dataset, "_batch", None)
    if take is None or loader.collate_fn is not default_collate or type(batches) is not BatchSampler:
        return None
    if take(np.empty(0, np.int64)) is None:
        return None
    arrays = batches.arrays()
    return None if arrays is None else (arrays, take)


def generator_state(generator: Generator | None) -> Any:
    return None if generator is None else generator.get_state()


def _check_options(
    stream: bool,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Any,
    batch_sampler: Any,
    num_workers: int,
    drop_last: bool,
    timeout: float,
    prefetch_factor: int | None,
    persistent_workers: bool,
) -> None:
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(
            f"num_workers option should be a non-negative integer (0: no worker threads), got {num_workers!r}"
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")
    if num_workers == 0:
        for name, given in (
            ("timeout", bool(timeout)),
            ("prefetch_factor", prefetch_factor is not None),
            ("persistent_workers", persistent_workers),
        ):
            if given:
                raise ValueError(f"{name} option needs num_workers > 0")
    elif prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"prefetch_factor option should be positive, got {prefetch_factor}")
    if shuffle not in (None, False, True):
        raise ValueError(f"shuffle option should be a bool, got {shuffle!r}")
    if stream:
        for name, excluded in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if excluded is not None and excluded is not False:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, got {excluded!r}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
