"""Collation, samplers and data sets: the parts that a `DataLoader` is made of."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite.utils import data
from autograd_lite.utils.data import DataLoader, TensorDataset
from tests.test_dataloader import Count, columns

# Collation


def same(a, b):
    if isinstance(a, ag.Tensor):
        return a.dtype is b.dtype and a.tolist() == b.tolist()
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([1, 2], ag.tensor([1, 2])),
        ([True, False], ag.tensor([True, False])),
        ([0.5, 1.5], ag.tensor([0.5, 1.5], dtype=ag.float64)),
        (["a", "b"], ["a", "b"]),
        ([b"a", b"b"], [b"a", b"b"]),
        ([np.float32(1), np.float32(2)], ag.tensor([1.0, 2.0])),
        ([np.uint8(1), np.uint8(2)], ag.tensor([1, 2], dtype=ag.uint8)),
        ([np.zeros((2, 1)), np.ones((2, 1))], ag.tensor([[[0.0], [0.0]], [[1.0], [1.0]]], dtype=ag.float64)),
        ([ag.tensor([1]), ag.tensor([2])], ag.tensor([[1], [2]])),
        ([ag.tensor([1]), ag.tensor([2.5])], ag.tensor([[1.0], [2.5]])),
        ([ag.tensor(1.0), ag.tensor(2.0)], ag.tensor([1.0, 2.0])),
        ([(1, "a"), (2, "b")], [ag.tensor([1, 2]), ("a", "b")]),
        ([[1, 2.0], [3, 4.0]], [ag.tensor([1, 3]), ag.tensor([2.0, 4.0], dtype=ag.float64)]),
        ([Point(1, 2), Point(3, 4)], Point(ag.tensor([1, 3]), ag.tensor([2, 4]))),
        ([{"a": 1, "b": [2]}, {"a": 3, "b": [4]}], {"a": ag.tensor([1, 3]), "b": [ag.tensor([2, 4])]}),
        (
            [collections.OrderedDict(b=1, a=2)],
            collections.OrderedDict(b=ag.tensor([1]), a=ag.tensor([2])),
        ),
    ],
)
def test_default_collate(samples, expected):
    assert same(data.default_collate(samples), expected)


def test_default_collate_refuses():
    with pytest.raises(TypeError, match="object"):
        data.default_collate([object(), object()])
    with pytest.raises(TypeError, match="<U1"):
        data.default_collate([np.array(["a"]), np.array(["b"])])
    with pytest.raises(RuntimeError, match=r"equal size, but got \[2\] at entry 0 and \[3\] at entry 1"):
        data.default_collate([ag.zeros(2), ag.zeros(3)])
    with pytest.raises(RuntimeError, match="equal size"):
        data.default_collate([(1, 2), (1,)])


def test_default_convert():
    assert same(data.default_convert((np.array([1]), "a", {"b": np.float64(2)})),
                [ag.tensor([1]), "a", {"b": ag.tensor(2.0, dtype=ag.float64)}])  # fmt: skip
    assert same(data.default_convert(Point(1, np.zeros(1, bool))), Point(1, ag.tensor([False])))


# Samplers


def test_random_sampler():
    g = ag.Generator().manual_seed(0)
    assert sorted(data.RandomSampler(range(9), generator=g)) == list(range(9))
    more = list(data.RandomSampler(range(3), num_samples=7, generator=g))
    assert sorted(more[:3]) == sorted(more[3:6]) == [0, 1, 2] and len(more) == 7
    drawn = list(data.RandomSampler(range(4), replacement=True, num_samples=4000, generator=g))
    assert np.abs(np.bincount(drawn, minlength=4) - 1000).max() < 5 * np.sqrt(1000)
    assert len(data.RandomSampler(range(4), True, 10)) == 10
    assert list(data.RandomSampler([])) == []


def test_every_permutation_is_as_likely():
    g = ag.Generator().manual_seed(1)
    sampler = data.RandomSampler(range(3), generator=g)
    counts = collections.Counter(tuple(sampler) for _ in range(1200))
    assert len(counts) == 6 and all(abs(c - 200) < 5 * np.sqrt(200) for c in counts.values())


def test_weighted_random_sampler():
    g = ag.Generator().manual_seed(2)
    drawn = list(data.WeightedRandomSampler(ag.tensor([1.0, 0.0, 3.0]), 4000, generator=g))
    counts = np.bincount(drawn, minlength=3)
    assert counts[1] == 0 and abs(counts[2] - 3000) < 5 * np.sqrt(750)
    firsts = [next(iter(data.WeightedRandomSampler([1, 0, 3, 0], 2, False, g))) for _ in range(2000)]
    assert set(firsts) == {0, 2} and abs(firsts.count(2) - 1500) < 5 * np.sqrt(375)
    assert sorted(data.WeightedRandomSampler([1, 0, 3, 2], 3, False, g)) == [0, 2, 3]


def test_samplers_repeat_from_their_state():
    samplers = [
        lambda: data.RandomSampler(range(20)),
        lambda: data.RandomSampler(range(20), True),
        lambda: data.SubsetRandomSampler(range(0, 40, 2)),
        lambda: data.WeightedRandomSampler(range(1, 21), 20),
        lambda: data.WeightedRandomSampler(range(1, 21), 20, False),
        lambda: data.BatchSampler(data.RandomSampler(range(20)), 3, False),
    ]
    for make in samplers:
        sampler = make()
        order = list(sampler)
        assert list(sampler) != order
        sampler = make()
        order = list(sampler)
        other = make()
        other.load_state_dict(sampler.state_dict())
        assert list(other) == order


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: data.RandomSampler(range(3), num_samples=0), ValueError),
        (lambda: data.RandomSampler(range(3), num_samples=2.5), ValueError),
        (lambda: data.RandomSampler(range(3), replacement=1), TypeError),
        (lambda: data.WeightedRandomSampler([1], 0), ValueError),
        (lambda: data.WeightedRandomSampler([1, -1], 1), ValueError),
        (lambda: data.WeightedRandomSampler([0, 0], 1), ValueError),
        (lambda: data.WeightedRandomSampler([1, float("nan")], 1), ValueError),
        (lambda: data.WeightedRandomSampler([[1.0]], 1), ValueError),
        (lambda: data.WeightedRandomSampler([1, 0], 2, replacement=False), ValueError),
        (lambda: data.BatchSampler(range(3), 0, False), ValueError),
        (lambda: data.BatchSampler(range(3), 1, None), ValueError),
    ],
)
def test_bad_samplers(make, error):
    with pytest.raises(error):
        make()


def test_sampler_of_ones_own_in_the_fast_way():
    """A subclass that changes the order must be asked for it."""

    class Backwards(data.SequentialSampler):
        def __iter__(self):
            return iter(range(len(self) - 1, -1, -1))

    dataset = columns(4)
    assert [b[1].tolist() for b in DataLoader(dataset, 2, sampler=Backwards(dataset))] == [[3, 2], [1, 0]]


# Data sets


def test_tensor_dataset():
    dataset = columns(4)
    assert len(dataset) == 4 and dataset[-1][1].item() == 3
    for wrong in ([], [ag.zeros(2), ag.zeros(3)], [ag.tensor(1.0)]):
        with pytest.raises(ValueError):
            TensorDataset(*wrong)
    with pytest.raises(TypeError, match="ndarray"):
        TensorDataset(np.zeros(3))


def test_concatenation():
    both = columns(3) + columns(2)
    assert [int(both[i][1]) for i in (0, 2, 3, 4, -1, -5)] == [0, 2, 0, 1, 1, 0]
    for i in (5, -6):
        with pytest.raises(IndexError):
            both[i]
    with pytest.raises(ValueError):
        data.ConcatDataset([])
    with pytest.raises(TypeError):
        data.ConcatDataset([Count(3)])
    assert list(data.ChainDataset([Count(2), Count(1)])) == [0, 1, 0]


def test_stack_dataset():
    assert data.StackDataset("ab", [1, 2])[0] == ("a", 1)
    assert len(data.StackDataset(a="ab")) == 2
    for args, kwargs in (((), {}), (("a",), {"b": "b"}), (("a", "bc"), {})):
        with pytest.raises(ValueError):
            data.StackDataset(*args, **kwargs)


def test_subset_of_subset():
    subset = data.Subset(data.Subset(columns(10), [9, 8, 7]), [2, 0])
    assert [int(y) for _, y in subset] == [7, 9]
    assert [b[1].tolist() for b in DataLoader(subset, 2)] == [[7, 9]]


@settings(max_examples=30)
@given(n=st.integers(2, 50), cut=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_random_split(n, cut, seed):
    cut = min(cut, n)
    g = ag.Generator().manual_seed(seed)
    parts = data.random_split(range(n), [cut, n - cut], g)
    assert [len(p) for p in parts] == [cut, n - cut]
    assert sorted(i for p in parts for i in p) == list(range(n))
    again = data.random_split(range(n), [cut, n - cut], ag.Generator().manual_seed(seed))
    assert [list(p) for p in again] == [list(p) for p in parts]


@pytest.mark.parametrize(
    ("n", "fractions", "lengths"),
    [
        (10, [0.5, 0.5], [5, 5]),
        (10, [0.33, 0.33, 0.34], [4, 3, 3]),
        (7, [0.1] * 10, [1] * 7 + [0] * 3),
        (5, [1.0], [5]),
    ],
)
def test_random_split_by_fractions(n, fractions, lengths):
    if 0 in lengths:
        with pytest.warns(UserWarning, match="Length of split"):
            parts = data.random_split(range(n), fractions)
    else:
        parts = data.random_split(range(n), fractions)
    assert [len(p) for p in parts] == lengths


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.2], [-1, 11], [1.5, -0.5], [2.5, 7.5]])
def test_random_split_refuses(lengths):
    with pytest.raises(ValueError):
        data.random_split(range(10), lengths)


class Fixed(list):
    """A list that cannot be made from another."""

    def __init__(self):
        super().__init__([1, 2])


def test_collections_that_cannot_be_made_anew_become_lists():
    collated = data.default_collate([Fixed(), Fixed()])
    assert type(collated) is list and same(collated, [ag.tensor([1, 1]), ag.tensor([2, 2])])


def test_subset_by_a_list():
    x, y = data.Subset(columns(10), [9, 8, 7])[[2, 0]]
    assert y.tolist() == [7, 9] and len(x) == 2


def test_a_sampler_of_ones_own_gives_no_arrays():
    assert data.BatchSampler([3, 1, 2], 2, False).arrays() is None


def test_samplers_refuse():
    with pytest.raises(ValueError, match="cannot draw 3 samples from an empty data set"):
        list(data.RandomSampler([], num_samples=3))
    with pytest.raises(TypeError, match="replacement should be a boolean value, but got replacement=1"):
        data.WeightedRandomSampler([1.0, 2.0], 2, replacement=1)
