"""Single calls that the op table does not say well: creation, conversion, integers, short forms and special extents.

Each line is run here and in PyTorch, where `p` stands for the package; values, shapes and dtypes must be the same. What
stands among the refusals must raise errors that one ``except`` clause catches for both.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import autograd_lite as ag

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")

SAME = """
p.tensor([[1, 2], [3, 4]])
p.tensor([p.tensor(1.5), 2])
p.tensor([])
p.tensor(np.float32(2.5))
p.as_tensor([1.0, 2.0], dtype=p.float64)
p.as_tensor(p.ones(2), dtype=p.int64)
p.as_tensor(p.ones(2))
p.as_tensor(np.arange(3), dtype=p.float32)
p.as_tensor(np.arange(3))
p.full((2,), p.tensor(3.0))
p.full_like(p.ones(2), 4)
p.zeros_like(p.ones(2), dtype=p.int64)
p.ones_like(p.zeros(2, 1))
p.empty_like(p.ones(2, 3)).fill_(1)
p.eye(2, 3)
p.arange(5)
p.arange(1, 2, 0.25)
p.arange(5, 0, -2)
p.arange(2.0)
p.linspace(0, 1, 5)
p.linspace(p.tensor(1.0), 2, 3, dtype=p.float64)
p.linspace(0, 1, 0)
p.logspace(0, 2, 3)
p.logspace(0, 3, 4, base=2)
p.tril_indices(3, 4)
p.triu_indices(3, 4, 1)
p.broadcast_shapes((2, 1), (3,), 3)
p.from_numpy(np.arange(6).reshape(2, 3))
p.ones(2).to(p.int64)
p.ones(2).to(p.zeros(1, dtype=p.float64))
p.ones(2).to("cpu", p.float64)
p.ones(2).to("cpu", non_blocking=True)
p.ones(2).to(p.device("cpu"))
p.ones(2).type(p.int32)
p.tensor([1.5, -1.5]).int()
p.tensor([True, False]).float()
p.ones(2, dtype=p.float64).new_zeros(3)
p.ones(2).new_full((2,), 7)
p.ones(2).new_tensor([1, 2])
p.tensor([7, -7]) // p.tensor([2, 2])
p.tensor([7, -7]) // 2
p.tensor([7.0, -7.0]) // 2
p.tensor([7, -7]) % 3
p.div(p.tensor([7, -7]), 2, rounding_mode="trunc")
p.div(p.tensor([7, -7]), 2, rounding_mode="floor")
p.tensor([2, 3]) ** 2
p.tensor([2, 3]) ** p.tensor([3, 0])
2 ** p.tensor([3, 4])
p.tensor([2, 3]) ** 0.5
p.tensor([1, 2]) + p.tensor([3, 4])
-p.tensor([1, -2])
p.tensor([1, -2]).abs()
p.tensor([3, -2]).sign()
p.tensor([1, 4]).sqrt()
p.tensor([1, 2]).exp()
p.tensor([5, 7]).square()
p.tensor([1, 5, 9]).clamp(2, 6)
p.tensor([1, 5, 9]).clamp(max=6)
p.tensor([1, 5, 9]).clamp(min=6)
p.tensor([1.5, 2.5]).clamp(max=p.tensor([2.0, 2.0]))
+p.tensor([1, 2])
p.where(p.tensor([True, False]), 1, 2)
p.where(p.tensor([True, False]), 1.5, 2)
p.where(p.tensor([True, False]), p.tensor([1, 2]), p.tensor([3, 4]))
p.where(p.tensor([[True, False], [True, True]]))
p.nonzero(p.tensor([[1, 0], [0, 2]]), as_tuple=True)
p.tensor([1, 2, 3]).maximum(p.tensor([3, 2, 1]))
p.tensor([1, 2]) == 1
p.tensor([1, 2]) == p.tensor([1, 3])
~p.tensor([True, False])
~p.tensor([1, 2])
p.tensor([6, 3]) & p.tensor([3, 5])
p.tensor([6, 3]) ^ 1
p.tensor([1, 2]) << 2
p.logical_not(p.tensor([0, 2]))
p.isclose(p.tensor([1.0, float("nan")]), p.tensor([1.0, float("nan")]), equal_nan=True)
p.tensor([1, 2, 3]).sum()
p.tensor([1, 2, 3]).prod()
p.tensor([[1, 2], [3, 4]]).sum(0, keepdim=True)
p.tensor([1, 2, 3]).amax()
p.tensor([[1, 5], [7, 3]]).max(1)
p.tensor([3, 1, 2]).median()
p.tensor([3, 1, 2]).median(0)
p.tensor([]).median()
p.tensor(3.0).median(0)
p.tensor(3.0).mode()
p.tensor(3.0).topk(1)
p.tensor(3.0).kthvalue(1)
p.tensor(3.0).sort()
p.tensor(3.0).cumsum(0)
p.tensor([1, 1, 2]).mode()
p.tensor([3, 1, 2]).sort(descending=True)
p.tensor([1, 2, 3]).cumsum(0)
p.tensor([1, 2, 3]).cumsum(0, dtype=p.float32)
p.tensor([1, 2, 3]).cumprod(0)
p.tensor([3, 1, 2]).cummax(0)
p.tensor([1, 2]).softmax(0, dtype=p.float32)
p.tensor([1, 2]).log_softmax(0, dtype=p.float64)
p.tensor([1, 2]).sum(dtype=p.float64)
p.tensor([1, 2]).mean(dtype=p.float32)
p.tensor([1.0, 2.0, 4.0]).var(0, unbiased=False)
p.tensor([1.0, 2.0, 4.0]).var(False)
p.tensor([1.0, 2.0, 4.0]).std(0, False)
p.tensor([1.0, 2.0]).norm(dtype=p.float64)
p.tensor([[1.0, 2.0], [3.0, 4.0]]).norm("nuc")
p.logsumexp(p.tensor([1, 2]), 0)
p.quantile(p.arange(5.0), 0.3, interpolation="lower")
p.quantile(p.arange(5.0), 0.3, interpolation="higher")
p.quantile(p.arange(5.0), 0.3, interpolation="midpoint")
p.quantile(p.arange(5.0), 0.3, interpolation="nearest")
p.quantile(p.arange(5.0), 0.5, interpolation="midpoint")
p.histc(p.tensor([1.0, 2.0, 1.0]), 4)
p.histc(p.tensor([2.0, 2.0]), 3)
p.histc(p.tensor([1.0, 2.0, 7.0]), 4, 0, 3)
p.bincount(p.tensor([1, 1, 3]), minlength=6)
p.searchsorted(p.tensor([[1, 3, 5], [2, 4, 6]]), p.tensor([[3, 6], [2, 5]]))
p.searchsorted(p.tensor([1, 3, 5]), 3, right=True)
p.nn.functional.one_hot(p.tensor([0, 2]), 4)
p.tensor([[1.0, 2.0, 3.0]]).sum_to_size(1, 1)
p.ones(2, 3).sum_to_size(2, 3)
p.ones(2, 3).sum_to_size(3)
p.tensor([1, 2]).repeat_interleave(2)
p.repeat_interleave(p.tensor([2, 0, 1]))
p.tensor(5).repeat_interleave(3)
p.tensor([[1, 2], [3, 4]]).repeat_interleave(p.tensor([1, 2]), dim=1)
p.rot90(p.arange(4).view(2, 2), 4)
p.rot90(p.arange(4).view(2, 2), -1)
p.nn.functional.pad(p.arange(5.0), (-1, 2))
p.nn.functional.pad(p.arange(6.0).view(1, 6), (-2, 1), mode="replicate")
p.nn.functional.pad(p.arange(6.0).view(1, 6), (1, -2), mode="reflect")
p.nn.functional.pad(p.arange(3.0), (5, 0))[:2]
p.tensor_split(p.arange(7), p.tensor([2, 5]))
p.tensor_split(p.arange(7), p.tensor(3))
p.chunk(p.zeros(0), 3)
p.cat([p.tensor([1]), p.tensor([2.5])])
p.stack([p.tensor([1]), p.tensor([2.5])])
p.atleast_2d(p.tensor(1), p.tensor([2]))
p.arange(6.0).unfold(0, 0, 2)
p.ones(4).view(p.int32)
p.ones(4).view(p.float64)
p.arange(2).view(p.uint8)
p.flip(p.arange(3), [0])
p.movedim(p.zeros(2, 3, 4), 0, -1).shape
p.tensor(1.0)[None]
p.tensor([1.0, 2.0])[p.tensor([1, 0], dtype=p.int32)]
p.arange(6).view(2, 3)[True]
p.arange(6).view(2, 3)[p.tensor(1)]
p.arange(6).view(2, 3)[p.tensor(1), p.tensor(2)]
p.arange(6).view(2, 3)[:, p.tensor([True, False, True])]
p.arange(4)[[True, False, True, True]]
p.tensor(5).index_select(0, p.tensor([0]))
p.tensor(5.0).index_add(0, p.tensor([0]), p.tensor(2.0))
p.tensor(5.0).masked_select(p.tensor(True))
p.tensor(5.0).masked_fill(p.tensor(True), 2.0)
p.tensor(5.0).scatter(0, p.tensor(0), p.tensor(2.0))
p.tensor([1.0, 2.0]).scatter(0, p.tensor([0, 0]), 3.0, reduce="add")
p.tensor([1.0, 2.0]).scatter(0, p.tensor([], dtype=p.int64), 3.0)
p.tensor([1.0, 2.0]).index_put((p.tensor([0, 0]),), p.tensor([1.0, 2.0]), accumulate=True)
p.tensor([1.0, 2.0]).index_put((p.tensor([True, False]),), p.tensor(4.0))
p.einsum("ij,jk", p.ones(2, 3), p.ones(3, 4))
p.einsum(p.ones(2, 3), [0, 1], p.ones(3, 4), [1, 2], [2, 0])
p.einsum(p.ones(2, 3), [0, 1], p.ones(3, 4), [1, 2])
p.einsum(p.ones(5, 2, 3), [..., 0, 1], [..., 1, 0])
p.tensordot(p.ones(2, 3), p.ones(3, 4), 1)
p.tensordot(p.ones(2, 3), p.ones(3, 2), p.tensor([[1, 0], [0, 1]]))
p.tensordot(p.ones(2), p.ones(3), 0)
p.inner(p.tensor(2.0), p.ones(3))
p.tensor([1, 2]) @ p.tensor([3, 4])
p.tensor([[1, 2], [3, 4]]) @ p.tensor([[1, 0], [0, 1]])
p.linalg.solve(p.tensor([[2.0, 0.0], [0.0, 4.0]]), p.tensor([[2.0, 4.0]]), left=False)
p.linalg.vector_norm(p.tensor([3.0, 4.0]), dtype=p.float64)
p.nn.functional.relu(p.tensor([1, -2]))
p.nn.functional.prelu(p.ones(3) * -2, p.tensor(0.5))
p.nn.functional.softmax(p.ones(2, 2), dim=1)
p.nn.functional.dropout1d(p.ones(2, 3, 4), 0.0)
p.nn.functional.alpha_dropout(p.ones(3), 0.0)
p.nn.functional.mse_loss(p.ones(2, 2), p.zeros(2, 2), reduction="sum")
p.nn.functional.mse_loss(p.ones(2, 2), p.zeros(2, 2), weight=p.tensor([[1.0, 2.0], [0.0, 1.0]]))
p.nn.functional.mse_loss(p.ones(2, 2), p.zeros(2, 2), reduction="none", weight=p.tensor([[1.0, 2.0], [0.0, 1.0]]))
p.nn.functional.mse_loss(p.ones(2), p.zeros(2, dtype=p.float64))
p.nn.functional.gaussian_nll_loss(p.ones(2, 3), p.zeros(2, 3), 2.0)
p.nn.functional.gaussian_nll_loss(p.ones(2, 3), p.zeros(2, 3), p.ones(2) * 2)
p.nn.functional.unfold(p.arange(9.0).view(1, 3, 3), 2)
p.nn.functional.fold(p.ones(4, 4), (3, 3), 2)
p.nn.functional.interpolate(p.arange(12.0).view(1, 1, 3, 4), size=(5, 7), mode="bicubic")
p.nn.functional.interpolate(p.arange(12.0).view(1, 1, 3, 4), size=(5, 7), mode="bicubic", align_corners=True)
p.nn.functional.interpolate(p.arange(12.0).view(1, 1, 3, 4), scale_factor=1.5, mode="bicubic")
p.nn.functional.interpolate(p.arange(12.0).view(1, 1, 3, 4), size=(3, 4), mode="bicubic")
p.nn.functional.interpolate(p.arange(12.0).view(1, 1, 3, 4), size=(1, 4), mode="bicubic", align_corners=True)
p.nn.functional.interpolate(p.arange(12.0).view(1, 1, 3, 4), size=2, mode="area")
p.nn.functional.scaled_dot_product_attention(p.ones(1, 2, 2), p.ones(1, 2, 2), p.arange(4.0).view(1, 2, 2), p.tensor([[0.0, 1.0], [0.0, -1.0]]))
p.nn.functional.linear(p.ones(3), p.ones(2, 3), p.ones(2))
p.nn.functional.embedding(p.tensor([[0, 2]]), p.arange(6.0).view(3, 2), padding_idx=-1)
p.as_strided(p.arange(6.0), (2, 2), (3, 1), 1)
p.arange(24).view(2, 3, 4).storage_offset()
p.zeros(2, 3, 4).transpose(0, 2).stride()
p.zeros(size=(2, 3))
p.arange(6).view(2, 3)[p.tensor([1, 0], dtype=p.uint8)]
p.ones(3)[[]]
(lambda x: (x.__setitem__((slice(None), 0), p.ones(1, 2)), x)[1])(p.zeros(2, 3))
(lambda x: (x.__setitem__(p.tensor([0, 1]), x[2:] * 1), x)[1])(p.arange(4.0))
(lambda x: (x.__setitem__(x > 1, p.tensor(9)), x)[1])(p.arange(4.0))
(lambda x: (x.__setitem__(p.tensor([0, 0]), p.ones(1, 2)), x)[1])(p.arange(4.0))
(lambda x: (x.t().add_(1), x)[1])(p.ones(2, 3))
(lambda x: (x.add_(x), x)[1])(p.ones(2, 3))
(lambda x: (x.mul_(p.arange(3)), x)[1])(p.ones(2, 3))
(lambda x: (x.mul_(p.arange(3.0).double()), x)[1])(p.ones(2, 3))
(lambda x: (x.sub_(2), x)[1])(p.tensor([1, 2]))
(lambda x: (x.copy_(p.tensor([1.7, 2.2])), x)[1])(p.tensor([1, 2]))
(lambda x: (x.fill_(p.tensor(2.5)), x)[1])(p.ones(2))
p.nn.functional.pad(p.arange(3.0), (-3, 1))
p.nn.functional.pad(p.arange(3.0), (2, -2))
p.tensor(2.0).index_copy(0, p.tensor([0]), p.tensor([3.0]))
p.tensor(2.0).index_fill(0, p.tensor([0]), 3.0)
p.tensor([1.0, 2.0]).index_fill(0, p.tensor([0]), p.tensor(3.0))
p.tensor(5.0).scatter_add(0, p.tensor(0), p.tensor(2.0))
p.tensor([5.0]).scatter_add(0, p.tensor([], dtype=p.int64), p.tensor([]))
p.linalg.svd(p.arange(6.0).view(2, 3), full_matrices=True).S
p.linalg.svdvals(p.arange(6.0).view(2, 3))
p.arange(6.0).unfold(0, 2, 3)
p.rsub(p.tensor([1, 2]), 5)
p.true_divide(p.tensor([1, 2]), 2)
p.floor_divide(p.tensor([5.0, -5.0]), p.tensor([2.0, 2.0]))
p.nn.functional.cross_entropy(p.ones(2, 3), p.tensor([0, 2]), reduce=False)
p.nn.functional.nll_loss(p.ones(3), p.tensor(1, dtype=p.uint8))
p.nn.functional.mse_loss(p.ones(2, 1), p.zeros(1, 2))
p.nn.functional.l1_loss(p.tensor([1.0]), p.tensor([2], dtype=p.int64))
p.tensor([1, 2]).tolist()
p.tensor([[1.0, 2.0], [3.0, 4.0]]).sum_to_size(1, 2)
"""

REFUSED = """
p.tensor([[1, 2], [3]])
p.tensor(object())
p.tensor("text")
p.from_numpy([1, 2])
p.from_numpy(np.array(["a"]))
p.zeros(2.5)
p.zeros(-1)
p.arange(1, 2, 0)
p.arange(3, 1)
p.linspace(0, 1, -1)
p.logspace(0, 1, -1)
p.tril_indices(-1, 2)
p.randperm(-1)
p.randint(3)
p.ones(2).to(wanted=p.int64)
p.where(p.tensor([0.5]), 1, 2)
p.tensor([1, 2]).fill_(p.ones(2))
p.ones(2).copy_(p.ones(3))
p.tensor([1, 2]) ** -1
p.ones(3).sum_to_size(2)
p.ones(3).view(p.float64)
p.tensor(1.0).view(p.float64)
p.ones(3, requires_grad=True).view(p.int32).sum().backward()
p.as_strided(p.ones(4), (2, 2), (2,))
p.as_strided(p.ones(4), (3, 2), (2, 1))
p.as_strided(p.ones(4), (2,), (-1,))
p.linalg.inv(p.ones(2, 2))
p.linalg.inv(p.ones(2))
p.linalg.inv(p.ones(2, 3))
p.linalg.solve(p.ones(2, 2), p.ones(2))
p.linalg.solve(p.ones(2), p.ones(2))
p.linalg.solve(p.eye(2), p.ones(2, dtype=p.float64))
p.linalg.cholesky(p.tensor([[1.0, 2.0], [2.0, 1.0]]))
p.linalg.cholesky(p.ones(2, 3))
p.linalg.eigh(p.ones(2, 3))
p.linalg.svd(p.ones(3))
p.linalg.matrix_norm(p.ones(2, 2), 3)
p.ones(3)[p.tensor([0.5])]
p.ones(3)[[0, "a"]]
p.ones(2, 3)[p.tensor([0, 1]), p.tensor([0, 1, 2])]
p.ones(3).index_put((), p.ones(1))
p.ones(3).index_put((p.tensor([0]),), 1.0)
p.ones(3).index_put((p.tensor([0]),), p.ones(1, dtype=p.float64))
p.ones(3).__setitem__(0, "a")
p.ones(3).__setitem__(slice(0, 2), p.ones(3))
p.kthvalue(p.zeros(0, 2), 1, 0)
p.kthvalue(p.ones(3), 4)
p.max(p.zeros(0))
p.dot(p.ones(2), p.ones(2, dtype=p.float64))
p.dot(p.ones(2, 2), p.ones(2))
p.inner(p.ones(2, 3), p.ones(2, 2))
p.addmm(p.ones(3, 3), p.ones(2, 2), p.ones(2, 2))
p.addmm(p.ones(2, 2, dtype=p.float64), p.ones(2, 2), p.ones(2, 2))
p.tensordot(p.ones(2), p.ones(2), 2)
p.ones(2, 3).repeat(-1, 2)
p.nn.functional.pad(p.ones(3), (1, 1, 1))
p.nn.functional.pad(p.ones(3), (1, 1, 1, 1))
p.nn.functional.pad(p.ones(1, 3), (-2, -2))
p.nn.functional.pad(p.ones(1, 3), (4, 4), mode="circular")
p.nn.functional.pad(p.ones(1, 3), (-2, -1), mode="replicate")
p.diag_embed(p.ones(3), 0, 5, 1)
p.ones(2, 2).index_copy(0, p.tensor([0]), p.ones(1, 3))
p.ones(3).index_fill(0, p.tensor([0]), p.ones(2))
p.ones(3).masked_scatter(p.tensor([True] * 3), p.ones(3, dtype=p.float64))
p.tensor(1.0)[0]
p.ones(3).__setitem__(p.tensor([0]), p.ones(1, dtype=p.float64))
p.ones(3).index_add(0, p.tensor([-1]), p.ones(1))
p.ones(3).index_add(0, p.ones(1), p.ones(1))
p.ones(3).gather(0, p.tensor([-1]))
p.tensor([300], dtype=p.uint8)
p.tensor(10**30)
p.zeros(2, size=(3,))
p.arange()
p.ones(3).expand(-1, 3)
p.narrow(p.ones(3), 0, 5, 1)
p.zeros(0).reshape(-1, 0)
p.ones(2, 3).reshape(2, "a")
p.flip(p.ones(3))
~p.ones(2)
p.nn.functional.cross_entropy(p.ones(2, 3), p.ones(2, 3, dtype=p.int64))
p.nn.functional.cross_entropy(p.ones(2, 3), p.ones(2, 3), ignore_index=1)
p.nn.functional.cross_entropy(p.ones(2, 3), p.tensor([0, 1]), p.ones(3, dtype=p.float64))
p.nn.functional.nll_loss(p.ones(2, 3), p.tensor([0, 1]), p.ones(2))
p.nn.functional.cross_entropy(p.ones(2, 3, 4), p.zeros(2, 5, dtype=p.int64))
p.nn.functional.batch_norm(p.ones(2, 3), None, None, p.ones(3, dtype=p.float64), training=True)
p.nn.functional.layer_norm(p.ones(2, 3), (3,), p.ones(3, dtype=p.float64))
p.mm(p.ones(2, 3), 2.0)
p.nn.functional.dropout(p.ones(2, dtype=p.int64))
p.nn.functional.mse_loss(p.ones(2, 2), p.zeros(2, 2), weight=p.ones(2))
p.nn.functional.mse_loss(p.ones(2, 2), p.zeros(2, 2), reduction="all")
"""


def lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


def run(package: Any, line: str) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return eval(line, {"p": package, "np": np})


def plain(value: Any) -> Any:
    """Values, shapes and dtypes without the package they come from."""
    if isinstance(value, (ag.Tensor, torch.Tensor)):
        return str(value.dtype).split(".")[1], tuple(value.shape), value.detach().numpy().astype("float64")
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


@pytest.mark.parametrize("line", lines(SAME))
def test_same_as_in_pytorch(line: str) -> None:
    ours, theirs = plain(run(ag, line)), plain(run(torch, line))
    np.testing.assert_equal(str(type(ours)), str(type(theirs)))

    def compare(a: Any, b: Any) -> None:
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)
        elif isinstance(b, (tuple, list)):
            assert len(a) == len(b)
            for one, other in zip(a, b, strict=True):
                compare(one, other)
        else:
            assert a == b

    compare(ours, theirs)


@pytest.mark.parametrize("line", lines(REFUSED))
def test_refused_as_in_pytorch(line: str) -> None:
    with pytest.raises(Exception) as theirs:
        run(torch, line)
    with pytest.raises(Exception) as ours:
        run(ag, line)
    common = set(ours.type.mro()) & set(theirs.type.mro()) - set(Exception.mro())
    assert common, f"{ours.value!r}, PyTorch {theirs.value!r}"
    frame = inspect.getinnerframes(ours.tb)[-1]
    assert str(ours.value) and "autograd_lite" in frame.filename, "raised by something below, not by the operation"
