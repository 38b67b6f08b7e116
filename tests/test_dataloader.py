"""Data sets, samplers, collation and the `DataLoader` with its worker threads."""

import gc
import pickle
import subprocess
import sys
import threading
import time
import traceback
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.utils import data
from autograd_lite.utils.data import DataLoader, TensorDataset

WORKERS = [0, 1, 3]


class Squares(data.Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i, i * i


class Plain(data.Dataset):
    """The samples of another data set, without its fast way."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        return self.dataset[i]


def columns(n=10):
    return TensorDataset(ag.arange(3.0 * n).view(n, 3), ag.arange(n))


def lists(loader):
    return [[column.tolist() for column in batch] for batch in loader]


def worker_threads():
    return [t for t in threading.enumerate() if t.name.startswith("DataLoader worker")]


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(worker_threads())
    yield
    if set(worker_threads()) - before:
        gc.collect()
    deadline = time.monotonic() + 5
    while set(worker_threads()) - before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not set(worker_threads()) - before


# Order and content


@settings(max_examples=40)
@given(
    n=st.integers(0, 20),
    batch_size=st.integers(1, 7),
    drop_last=st.booleans(),
    workers=st.sampled_from(WORKERS),
    prefetch=st.sampled_from([None, 1, 4]),
)
def test_batches_in_order(n, batch_size, drop_last, workers, prefetch):
    expected = [list(range(i, min(i + batch_size, n))) for i in range(0, n, batch_size)]
    if drop_last:
        expected = [b for b in expected if len(b) == batch_size]
    options = {"prefetch_factor": prefetch} if workers else {}
    loader = DataLoader(Squares(n), batch_size, drop_last=drop_last, num_workers=workers, **options)
    for _ in range(2):
        assert lists(loader) == [[b, [i * i for i in b]] for b in expected]
    assert len(loader) == len(expected)


@settings(max_examples=20)
@given(n=st.integers(1, 30), batch_size=st.integers(1, 7), seed=st.integers(0, 2**63), fast=st.booleans())
def test_shuffled_order_depends_on_the_seed_only(n, batch_size, seed, fast):
    dataset = columns(n) if fast else Plain(columns(n))
    epochs = []
    for workers in WORKERS:
        generator = ag.Generator().manual_seed(seed)
        loader = DataLoader(dataset, batch_size, shuffle=True, num_workers=workers, generator=generator)
        epochs.append([lists(loader), lists(loader)])
    assert epochs[0] == epochs[1] == epochs[2]
    for epoch in epochs[0]:
        assert sorted(i for batch in epoch for i in batch[1]) == list(range(n))
    if n > 12:
        assert epochs[0][0] != epochs[0][1]


def test_default_generator_is_used():
    orders = []
    for seed in (1, 1, 2):
        ag.manual_seed(seed)
        orders.append(lists(DataLoader(columns(20), 4, shuffle=True)))
    assert orders[0] == orders[1] != orders[2]


def test_slow_workers_do_not_change_the_order():
    class Slow(Squares):
        def __getitem__(self, i):
            time.sleep(0.02 if i % 4 == 0 else 0)
            return i

    batches = [b.tolist() for b in DataLoader(Slow(12), 2, num_workers=3)]
    assert batches == [[i, i + 1] for i in range(0, 12, 2)]


def test_workers_overlap():
    """Three samples that wait for each other can only come from three threads at once."""
    barrier = threading.Barrier(3, timeout=10)

    class Meeting(Squares):
        def __getitem__(self, i):
            barrier.wait()
            return threading.get_ident()

    idents = [int(b) for b in DataLoader(Meeting(3), num_workers=3)]
    assert len(set(idents)) == 3


def test_prefetching_is_bounded():
    fetched = []

    class Noting(Squares):
        def __getitem__(self, i):
            fetched.append(i)
            return i

    iterator = iter(DataLoader(Noting(100), num_workers=2, prefetch_factor=3))
    next(iterator)
    time.sleep(0.05)
    assert len(fetched) <= 6
    del iterator


# The fast way through TensorDataset


@settings(max_examples=20)
@given(
    n=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    order=st.lists(st.integers(-100, 100), max_size=12),
    dtype=st.sampled_from([ag.float32, ag.float64, ag.int64, ag.uint8, ag.bool]),
)
def test_fast_way_is_the_slow_way(n, batch_size, order, dtype):
    dataset = TensorDataset(ag.arange(2 * n).view(n, 1, 2).to(dtype), ag.arange(n))
    indices = [i % n if i >= 0 else -1 - (-i - 1) % n for i in order]
    for source in (dataset, data.Subset(dataset, indices)):
        for sampler in (
            None,
            data.SubsetRandomSampler([i % max(len(source), 1) for i in order][: len(source)]),
        ):
            results = []
            for variant in (source, Plain(source)):
                ag.manual_seed(0)
                batches = list(DataLoader(variant, batch_size, sampler=sampler))
                assert all(type(batch) is list for batch in batches)
                results.append([[(t.dtype, t.shape, t.tolist()) for t in batch] for batch in batches])
            assert results[0] == results[1]


def test_batches_are_copies():
    x = ag.zeros(4, 2)
    for (batch,) in DataLoader(TensorDataset(x), 2):
        batch += 1
    assert x.sum() == 0


def test_fast_way_raises_as_the_slow_way():
    for indices in ([0, 4], [-5]):
        for dataset in (columns(4), Plain(columns(4))):
            with pytest.raises(IndexError):
                list(DataLoader(dataset, 2, sampler=data.SubsetRandomSampler(indices)))
            with pytest.raises(IndexError):
                list(DataLoader(data.Subset(dataset, indices), 2))


def test_tensors_that_require_gradients_are_stacked_with_them():
    w = ag.ones(4, 2, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(w), 2):
        (2 * batch).sum().backward()
    assert w.grad.tolist() == [[2.0, 2.0]] * 4


# Errors, abandonment, time


class Failing(Squares):
    def __getitem__(self, i):
        if i == 3:
            raise KeyError("no such sample")
        return i


@pytest.mark.parametrize("workers", WORKERS)
def test_error_reaches_the_consumer_and_iteration_can_go_on(workers):
    iterator = iter(DataLoader(Failing(8), 2, num_workers=workers))
    assert next(iterator).tolist() == [0, 1]
    with pytest.raises(KeyError, match="no such sample") as caught:
        next(iterator)
    assert "__getitem__" in "".join(traceback.format_tb(caught.tb))
    assert next(iterator).tolist() == [4, 5]
    assert next(iterator).tolist() == [6, 7]
    with pytest.raises(StopIteration):
        next(iterator)
    with pytest.raises(StopIteration):
        next(iterator)


@pytest.mark.parametrize("workers", WORKERS)
def test_error_in_collation_and_in_sampler(workers):
    def collate(batch):
        raise ValueError("cannot collate")

    with pytest.raises(ValueError, match="cannot collate"):
        next(iter(DataLoader(Squares(4), 2, num_workers=workers, collate_fn=collate)))

    def order():
        yield 0
        raise LookupError("sampler broke")

    with pytest.raises(LookupError, match="sampler broke"):
        list(DataLoader(Squares(4), 1, sampler=order(), num_workers=workers))


def test_abandoned_iteration_ends_its_threads_and_frees_the_data():
    dataset = Squares(1000)
    loader = DataLoader(dataset, 2, num_workers=3)
    for indices, _ in loader:
        assert indices.tolist() == [0, 1]
        break
    assert not worker_threads()
    alive = weakref.ref(dataset)
    gc.disable()
    try:
        del dataset, loader
        assert alive() is None
    finally:
        gc.enable()


def test_iterator_dies_without_the_garbage_collector():
    gc.disable()
    try:
        iterator = iter(DataLoader(Squares(100), 2, num_workers=2))
        next(iterator)
        del iterator
        assert not worker_threads()
    finally:
        gc.enable()


def test_two_iterations_at_once():
    loader = DataLoader(Squares(6), 2, num_workers=2)
    pairs = [(a[0].tolist(), b[0].tolist()) for a, b in zip(loader, loader, strict=True)]
    assert pairs == [([i, i + 1],) * 2 for i in range(0, 6, 2)]


def test_timeout_and_another_try():
    release = threading.Event()

    class Stuck(Squares):
        def __getitem__(self, i):
            release.wait(10)
            return i

    iterator = iter(DataLoader(Stuck(2), num_workers=1, timeout=0.02))
    with pytest.raises(RuntimeError, match=r"timed out after 0.02 seconds"):
        next(iterator)
    release.set()
    time.sleep(0.01)
    assert int(next(iterator)) == 0


def test_worker_init_and_info():
    seen = []

    def init(worker):
        info = data.get_worker_info()
        seen.append((worker, info.id, info.num_workers, info.dataset))

    class Telling(Squares):
        def __getitem__(self, i):
            return data.get_worker_info().id

    dataset = Telling(8)
    ids = {int(b) for b in DataLoader(dataset, num_workers=2, worker_init_fn=init)}
    assert ids <= {0, 1}
    assert sorted(s[:3] for s in seen) == [(0, 0, 2), (1, 1, 2)]
    assert all(s[3] is dataset for s in seen)
    assert data.get_worker_info() is None


def test_error_in_worker_init():
    def init(worker):
        raise OSError("no licence")

    with pytest.raises(OSError, match="no licence"):
        next(iter(DataLoader(Squares(4), num_workers=2, worker_init_fn=init)))


def test_persistent_workers():
    starts = []
    loader = DataLoader(Squares(8), 2, num_workers=2, persistent_workers=True, worker_init_fn=starts.append)
    first = lists(loader)
    threads = worker_threads()
    assert len(threads) == 2
    for _ in loader:
        break
    assert lists(loader) == first
    assert worker_threads() == threads and sorted(starts) == [0, 1]
    del loader
    assert not worker_threads()


def test_iterator_keeps_its_loader():
    iterator = iter(DataLoader(Squares(8), 2, num_workers=2, persistent_workers=True))
    assert len(list(iterator)) == 4


def test_exit_with_an_iteration_under_way():
    """An iterator that is alive when the interpreter ends, its workers waiting or at work, does not hinder it."""
    script = (
        "import time\n"
        "from autograd_lite.utils.data import DataLoader\n"
        "class Slow(list):\n"
        "    def __getitem__(self, i):\n"
        "        time.sleep(0.05)\n"
        "        return list.__getitem__(self, i)\n"
        "slow = iter(DataLoader(Slow(range(1000)), 2, num_workers=2, persistent_workers=True))\n"
        "idle = iter(DataLoader(range(1000), 2, num_workers=2))\n"
        "print(next(slow).tolist(), next(idle).tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1] [0, 1]\n", "")


def test_kernels_in_workers():
    """Compiled, parallel kernels in several workers and in the consumer at the same time."""

    class Computing(Squares):
        def __getitem__(self, i):
            return (ag.ones(300, 300) * i).sum()

    total = ag.zeros(())
    for batch in DataLoader(Computing(12), 2, num_workers=3):
        total = total + batch.sum() + (ag.ones(300, 300) * 0).sum()
    assert float(total) == 90000 * sum(range(12))


# Streams


class Count(data.IterableDataset):
    def __init__(self, n, share=False):
        self.n, self.share = n, share

    def __iter__(self):
        info = data.get_worker_info()
        if self.share and info is not None:
            return iter(range(info.id, self.n, info.num_workers))
        return iter(range(self.n))


def test_stream():
    assert [b.tolist() for b in DataLoader(Count(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Count(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Count(3), None)) == [0, 1, 2]
    assert list(DataLoader(Count(0), 2)) == []
    with pytest.raises(TypeError):
        len(DataLoader(Count(5)))

    class Counted(Count):
        def __len__(self):
            return self.n

    assert [len(DataLoader(Counted(5), 2, drop_last=d)) for d in (False, True)] == [3, 2]
    assert len(DataLoader(Counted(5), None)) == 5


@pytest.mark.parametrize("repeat", range(3))
def test_stream_shared_among_workers_take_turns(repeat):
    batches = [b.tolist() for b in DataLoader(Count(11, share=True), 2, num_workers=3)]
    assert batches == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8]]
    twice = [b.tolist() for b in DataLoader(Count(3), 2, num_workers=2)]
    assert twice == [[0, 1], [0, 1], [2], [2]]


@pytest.mark.parametrize("workers", WORKERS)
def test_stream_that_fails(workers):
    class Breaking(data.IterableDataset):
        def __iter__(self):
            yield 1
            raise ConnectionError("stream broke")

    iterator = iter(DataLoader(Breaking(), num_workers=workers))
    assert next(iterator).tolist() == [1]
    with pytest.raises(ConnectionError, match="stream broke"):
        while next(iterator).tolist() == [1]:
            pass
    del iterator


# Going on from a saved position


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("own_generator", [True, False])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_resume(workers, own_generator, fast, stop):
    dataset = columns(10) if fast else Plain(columns(10))

    def make(seed):
        generator = ag.Generator().manual_seed(seed) if own_generator else None
        return DataLoader(dataset, 2, shuffle=True, num_workers=workers, generator=generator)

    ag.manual_seed(7)
    loader = make(7)
    lists(loader)  # an epoch before
    iterator, head = iter(loader), []
    for _ in range(stop):
        head.append([c.tolist() for c in next(iterator)])
    saved = pickle.dumps((loader.state_dict(), ag.get_rng_state()))
    tail = lists(iterator)
    after = lists(loader)

    state, rng_state = pickle.loads(saved)
    other = make(123)
    other.load_state_dict(state)
    assert other.state_dict()["batches"] == state["batches"] == stop
    ag.set_rng_state(rng_state)
    assert lists(other) == tail
    assert lists(other) == after
    assert sorted(i for batch in head + tail for i in batch[1]) == list(range(10))


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_random_transforms(workers):
    class Noisy(Squares):
        def __getitem__(self, i):
            return i, data.rng().random()

    loader = DataLoader(Noisy(12), 2, shuffle=True, num_workers=workers)
    iterator = iter(loader)
    next(iterator), next(iterator)
    state = loader.state_dict()
    tail = lists(iterator)
    other = DataLoader(Noisy(12), 2, shuffle=True, num_workers=2 - workers)
    other.load_state_dict(state)
    assert lists(other) == tail


def test_state_after_break_and_after_the_end():
    loader = DataLoader(columns(10), 2, shuffle=True, generator=ag.Generator().manual_seed(0))
    for i, _ in enumerate(loader):
        if i == 2:
            break
    state = loader.state_dict()
    assert state["batches"] == 3
    loader.load_state_dict(state)
    assert loader.state_dict() == state
    assert len(lists(loader)) == 2
    assert loader.state_dict()["batches"] == 0


def test_resume_streams_and_own_samplers():
    loader = DataLoader(Count(11, share=True), 2, num_workers=2)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    tail = [b.tolist() for b in iterator]
    other = DataLoader(Count(11, share=True), 2, num_workers=2)
    other.load_state_dict(state)
    assert [b.tolist() for b in other] == tail

    loader = DataLoader(Squares(6), sampler=[5, 3, 1, 0])
    iterator = iter(loader)
    next(iterator)
    other = DataLoader(Squares(6), sampler=[5, 3, 1, 0])
    other.load_state_dict(loader.state_dict())
    assert [int(b[0]) for b in other] == [3, 1, 0]


def test_foreign_state_is_refused():
    with pytest.raises(ValueError, match="batches"):
        DataLoader(Squares(2)).load_state_dict({"seed": 1})


# Random numbers for transforms


@pytest.mark.parametrize("workers", WORKERS)
def test_random_transforms_do_not_depend_on_workers(workers):
    class Noisy(Squares):
        def __getitem__(self, i):
            time.sleep(0.001 * (i % 3))
            return data.rng().random()

    def epochs(n):
        loader = DataLoader(Noisy(12), 2, num_workers=n, generator=ag.Generator().manual_seed(3))
        return [[b.tolist() for b in loader] for _ in range(2)]

    drawn = epochs(workers)
    assert drawn == epochs(0)
    assert len({x for epoch in drawn for batch in epoch for x in batch}) == 24


def test_rng_outside_a_loader_follows_the_seed():
    ag.manual_seed(5)
    a = [data.rng().random() for _ in range(3)]
    ag.manual_seed(5)
    assert [data.rng().random() for _ in range(3)] == a
    assert len(set(a)) == 3


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -1}, "num_workers"),
        ({"num_workers": 1.5}, "num_workers"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": 1}, "timeout"),
        ({"prefetch_factor": 2}, "prefetch_factor"),
        ({"prefetch_factor": 0, "num_workers": 1}, "prefetch_factor"),
        ({"persistent_workers": True}, "persistent_workers"),
        ({"shuffle": True, "sampler": [0]}, "mutually exclusive"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "mutually exclusive"),
        ({"batch_sampler": [[0]], "shuffle": True}, "mutually exclusive"),
        ({"batch_sampler": [[0]], "sampler": [0]}, "mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, "mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "mutually exclusive"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -3}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"drop_last": 1}, "drop_last"),
        ({"shuffle": "yes"}, "shuffle"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(4), **options)


@pytest.mark.parametrize("option", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_bad_options_for_streams(option):
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Count(3), **option)


def test_other_options():
    assert list(DataLoader(Squares(3), batch_size=None)) == [[0, 0], [1, 1], [2, 4]]
    batches = DataLoader(Squares(6), batch_sampler=[[5, 1], [2]], pin_memory=True)
    assert [b[0].tolist() for b in batches] == [[5, 1], [2]]
    assert batches.batch_size is None and len(batches) == 2
    sampler = data.BatchSampler(data.SequentialSampler(range(5)), 2, True)
    assert [b[1].tolist() for b in DataLoader(columns(5), batch_sampler=sampler)] == [[0, 1], [2, 3]]
    assert len(DataLoader(Squares(5), 2, collate_fn=len)) == 3
    assert list(DataLoader(Squares(5), 2, collate_fn=len)) == [2, 2, 1]


def test_getitems_is_used():
    class Many(Squares):
        def __getitems__(self, indices):
            return [(-i, 0) for i in indices]

    assert lists(DataLoader(Many(3), 3)) == [[[0, -1, -2], [0, 0, 0]]]
    assert lists(DataLoader(data.Subset(Many(3), [2, 0]), 3)) == [[[-2, 0], [0, 0]]]
