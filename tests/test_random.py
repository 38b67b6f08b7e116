"""Random tensors: moments, ranges, dtypes, seeds and generators, in-place filling, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite.kernels.jit import JIT

MANY = 20_000 if JIT else 2_000
ROOT = MANY**0.5
DRAWS = {  # name: how it is drawn, its mean and its standard deviation
    "rand": (lambda **o: ag.rand(MANY, **o), 0.5, 12**-0.5),
    "randn": (lambda **o: ag.randn(MANY, **o), 0.0, 1.0),
    "randint": (lambda **o: ag.randint(-3, 4, (MANY,), **o), 0.0, 2.0),
    "normal": (lambda **o: ag.normal(2.0, 3.0, (MANY,), **o), 2.0, 3.0),
    "bernoulli": (lambda **o: ag.bernoulli(ag.full((MANY,), 0.3), **o), 0.3, 0.21**0.5),
    "uniform_": (lambda **o: ag.empty(MANY).uniform_(-1, 3, **o), 1.0, 4 / 12**0.5),
    "normal_": (lambda **o: ag.empty(MANY).normal_(1.0, 0.5, **o), 1.0, 0.5),
    "bernoulli_": (lambda **o: ag.empty(MANY).bernoulli_(0.7, **o), 0.7, 0.21**0.5),
    "random_": (lambda **o: ag.empty(MANY).random_(0, 10, **o), 4.5, (99 / 12) ** 0.5),
    "exponential_": (lambda **o: ag.empty(MANY).exponential_(2.0, **o), 0.5, 0.5),
    "multinomial": (lambda **o: ag.multinomial(ag.tensor([1.0, 0.0, 3.0]), MANY, True, **o), 1.5, 0.75**0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_moments_and_seeds(name: str) -> None:
    """Mean and deviation within five standard errors; the seed, or a generator, decides every number."""
    draw, mean, deviation = DRAWS[name]
    values = draw().numpy().astype(float)
    assert abs(values.mean() - mean) < 5 * deviation / ROOT
    assert abs(values.std() - deviation) < 10 * deviation / ROOT
    ag.manual_seed(3)
    first = draw().tolist()
    assert draw().tolist() != first
    ag.manual_seed(3)
    assert draw().tolist() == first
    state = ag.get_rng_state()
    later = draw().tolist()
    ag.set_rng_state(state)
    assert draw().tolist() == later
    own = [draw(generator=ag.Generator().manual_seed(3)).tolist() for _ in range(2)]
    assert own[0] == own[1]
    assert ag.equal(ag.get_rng_state(), ag.get_rng_state())


@pytest.mark.parametrize("dtype", [ag.float32, ag.float64])
def test_dtypes_ranges_and_likes(dtype: Any) -> None:
    x = ag.rand(50, 4, dtype=dtype, requires_grad=True)
    assert x.dtype is dtype and x.requires_grad and x.is_leaf and 0 <= x.min().item() and x.max().item() < 1
    for made in (ag.rand_like(x), ag.randn_like(x), ag.randint_like(x, 3), ag.randint_like(x, 2, 5)):
        assert made.shape == x.shape and made.dtype is dtype and not made.requires_grad
    assert ag.rand_like(x, dtype=ag.float32).dtype is ag.float32
    assert set(np.unique(ag.randint(2, 5, (500,)).numpy())) == {2, 3, 4}
    assert sorted(ag.randperm(30).tolist()) == list(range(30))
    assert ag.normal(ag.zeros(3, dtype=dtype), ag.ones(2, 3, dtype=dtype)).shape == (2, 3)
    assert ag.normal(ag.zeros(3, dtype=dtype)).dtype is dtype
    assert ag.bernoulli(ag.tensor([0.0, 1.0], dtype=dtype)).tolist() == [0, 1]
    assert ag.zeros(4, dtype=ag.bool).bernoulli_(1.0).all()


def test_multinomial_without_replacement() -> None:
    drawn = ag.multinomial(ag.tensor([[1.0, 2.0, 0.0, 4.0]] * 200), 3)
    assert all(sorted(row) == [0, 1, 3] for row in drawn.tolist())
    first = drawn.numpy()[:, 0]
    assert np.count_nonzero(first == 3) > np.count_nonzero(first == 0)


def test_filling_cuts_the_history() -> None:
    x = ag.ones(3, requires_grad=True)
    y = x * 2
    version = y._version
    y.normal_()
    assert y._version > version and not y.requires_grad
    with pytest.raises(RuntimeError, match="leaf"):
        x.uniform_()


@pytest.mark.parametrize(
    "make",
    [
        lambda: ag.bernoulli(ag.tensor([1.5])),
        lambda: ag.bernoulli(ag.tensor([1])),
        lambda: ag.multinomial(ag.tensor([1.0, -1.0]), 1),
        lambda: ag.multinomial(ag.tensor([0.0, 0.0]), 1),
        lambda: ag.multinomial(ag.tensor([1.0, 0.0]), 2),
        lambda: ag.multinomial(ag.tensor([1.0]), 0),
        lambda: ag.multinomial(ag.ones(1, 1, 1), 1),
        lambda: ag.normal(0.0, ag.tensor([-1.0])),
        lambda: ag.normal(0.0, 1.0),
        lambda: ag.empty(2).uniform_(2, 1),
        lambda: ag.empty(2).uniform_(0, 1, upto=3),
        lambda: ag.empty(2).normal_(0, -1),
        lambda: ag.empty(2).exponential_(0),
        lambda: ag.randint(3, 3, (2,)),
    ],
)
def test_what_cannot_be_drawn(make: Any) -> None:
    state = ag.get_rng_state()
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        make()
    assert ag.equal(ag.get_rng_state(), state)


def test_gumbel_softmax_draws_by_the_probabilities() -> None:
    ag.manual_seed(0)
    share = ag.tensor([0.1, 0.2, 0.7])
    logits = share.log().expand(4000, 3).clone().requires_grad_()
    hard = ag.nn.functional.gumbel_softmax(logits, tau=0.5, hard=True)
    assert sorted(set(hard.detach().flatten().round(decimals=5).tolist())) == [0.0, 1.0]
    np.testing.assert_allclose(hard.detach().mean(0).numpy(), share.numpy(), atol=0.03)
    hard[:, 0].sum().backward()
    assert bool((logits.grad[:, 0] >= 0).all()) and bool(logits.grad.any())
    soft = ag.nn.functional.gumbel_softmax(logits.detach().t(), dim=0)
    np.testing.assert_allclose(soft.sum(0).numpy(), 1, rtol=1e-5)
