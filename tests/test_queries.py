"""Questions about tensors and dtypes, against NumPy and, where it is installed, PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autograd_lite as ag

DTYPES = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


def test_queries() -> None:
    x = ag.ones(2, 3)
    assert ag.is_tensor(x) and not ag.is_tensor(x.numpy())
    assert ag.numel(x) == 6 and ag.numel(ag.ones(0)) == 0
    assert ag.is_floating_point(x) and not ag.is_floating_point(x.long())
    assert ag.is_nonzero(ag.tensor([[2.0]])) and not ag.is_nonzero(ag.tensor(False))
    for function in (ag.numel, ag.is_floating_point, ag.is_nonzero):
        with pytest.raises(TypeError, match=f"{function.__name__}.*must be Tensor, not list"):
            function([1.0])
    for empty_or_many in (x, ag.ones(0)):
        with pytest.raises(RuntimeError, match="ambiguous"):
            ag.is_nonzero(empty_or_many)


@pytest.mark.parametrize("name", DTYPES)
def test_limits(name: str) -> None:
    dtype = getattr(ag, name)
    if dtype.is_floating_point:
        limits = ag.finfo(dtype)
        assert limits.max == np.finfo(name).max and limits.bits == 8 * dtype.itemsize
        assert type(limits.eps) is float and type(limits.min) is float
        with pytest.raises(TypeError, match="finfo"):
            ag.iinfo(dtype)
    else:
        with pytest.raises(TypeError, match="iinfo"):
            ag.finfo(dtype)
        if name == "bool":
            with pytest.raises(TypeError):
                ag.iinfo(dtype)
        else:
            assert ag.iinfo(dtype).min == np.iinfo(name).min
    assert ag.finfo().bits == 32


@pytest.mark.parametrize("offset", [-2, 0, 1, 7])
def test_triangles(offset: int) -> None:
    for rows, columns in [(3, 4), (4, 2), (0, 3)]:
        lower, upper = np.tril_indices(rows, offset, columns), np.triu_indices(rows, offset, columns)
        np.testing.assert_array_equal(ag.tril_indices(rows, columns, offset).numpy(), np.stack(lower))
        np.testing.assert_array_equal(ag.triu_indices(rows, columns, offset, dtype=ag.int32).numpy(), np.stack(upper))
    with pytest.raises(RuntimeError, match="tril_indices"):
        ag.tril_indices(-1, 2)


def test_dtypes_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for a, b in itertools.product(DTYPES, DTYPES):
        ours, theirs = (getattr(ag, a), getattr(ag, b)), (getattr(torch, a), getattr(torch, b))
        assert str(ag.promote_types(*ours)).split(".")[1] == str(torch.promote_types(*theirs)).split(".")[1]
        assert ag.can_cast(*ours) == torch.can_cast(*theirs), (a, b)
        for number in (True, 1, 1.5):
            mixed = ag.result_type(ag.ones(2, dtype=ours[0]), number)
            assert str(mixed).split(".")[1] == str(torch.result_type(torch.ones(2, dtype=theirs[0]), number)).split(".")[1]
    with pytest.raises(TypeError, match="result_type"):
        ag.result_type("a", ag.ones(1))
