"""Worker threads that fetch batches ahead of time.

Threads, not processes: samples are NumPy arrays, and what makes them (decoding, decompression, large copies,
compiled kernels) releases the interpreter's lock, so threads do run side by side; they share the data set
instead of copying it, and hand a batch over without pickling. A forked process would inherit OpenMP without
its threads and could deadlock in the first parallel kernel; a spawned one imports and compiles all anew.
Data sets that are slow in pure Python gain nothing from threads.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._random import fetching

JOIN_SECONDS = 5.0
"""How long an abandoned iteration waits for a sample that is still being made."""


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows about itself; see `get_worker_info`.

    Attributes
    ----------
    id : int
        0 .. num_workers - 1.
    num_workers : int
    seed : int
        A different one for each worker and epoch.
    dataset : Dataset
        The loader's data set (the same object in all workers).
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Local(threading.local):
    info: WorkerInfo | None = None


_local = _Local()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a `DataLoader`: its `WorkerInfo`; elsewhere None.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.utils.data.get_worker_info() is None
    True
    """
    return _local.info


class Slot:
    """One batch to come."""

    __slots__ = ("error", "ready", "value")

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None

    def wait(self, timeout: float) -> None:
        """Wait until the batch is there, without limit if `timeout` is 0."""
        if not self.ready.wait(timeout or None):
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds")

    def result(self) -> Any:
        """The batch; raises what its making raised, with the worker's frames in the traceback."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # its traceback refers to this frame: break the cycle
        return self.value


class Pool:
    """Threads that work off tasks; one queue for all, or one each where a task belongs to one worker."""

    def __init__(self, dataset: Any, num_workers: int, own_queues: bool, init: Callable[[int], None] | None) -> None:
        self.num_workers = num_workers
        self.stopped = threading.Event()
        shared: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.queues = [queue.SimpleQueue() if own_queues else shared for _ in range(num_workers)]
        self.threads = [
            threading.Thread(
                target=_work,
                args=(self.queues[i], self.stopped, WorkerInfo(i, num_workers, 0, dataset), init),
                name=f"DataLoader worker {i}",
                daemon=True,
            )
            for i in range(num_workers)
        ]
        for thread in self.threads:
            thread.start()

    def submit(self, worker: int, seed: int, number: int, task: Callable[[], Any], abandoned: threading.Event) -> Slot:
        """Have `task` done unless `abandoned` is set by then; by `worker` if workers have their own "
        "queues."""
        slot = Slot()
        self.queues[worker].put((slot, seed, number, task, abandoned))
        return slot

    def stop(self) -> None:
        """End the threads after what they are doing now, and wait for that."""
        self.stopped.set()
        for q in self.queues:
            q.put(None)
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))


def _work(
    tasks: queue.SimpleQueue[Any],
    stopped: threading.Event,
    info: WorkerInfo,
    init: Callable[[int], None] | None,
) -> None:
    failed: BaseException | None = None
    _local.info = info
    if init is not None:
        try:
            init(info.id)
        except Exception as error:
            failed = error
    broken = failed is not None
    while True:
        item = tasks.get()
        if item is None or stopped.is_set():
            return
        slot, seed, number, task, abandoned = item
        if abandoned.is_set():
            continue
        _local.info = WorkerInfo(info.id, info.num_workers, (seed + info.id) % 2**63, info.dataset)
        try:
            if broken:
                # The error itself once only: its traceback will hold on to the iteration that raises it.
                first, failed = failed, None
                raise first or RuntimeError(f"worker_init_fn failed in worker {info.id}")
            with fetching(seed, number):
                slot.value = task()
        except BaseException as error:
            slot.error = error
        slot.ready.set()
        first = item = slot = task = None  # while waiting, hold on to no batch and no error
