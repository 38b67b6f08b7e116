"""Random tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..kernels import memory
from ..kernels import random as kernels
from ..random import Generator, default_generator
from ..tensor import Tensor, method
from .creation import finish, float_dtype, shape_of
from .inplace import check_inplace

__all__ = [
    "bernoulli", "multinomial", "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm",
]  # fmt: skip


def _take(generator: Generator | None, blocks: int) -> tuple[int, int]:
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"generator must be an autograd_lite.Generator, got {type(generator).__name__}")
    return (generator or default_generator).take(blocks)


def uniform_array(shape: tuple[int, ...], dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    """Uniform numbers in [0, 1)."""
    out = memory.empty(shape, dtype)
    kernels.uniform(out, *_take(generator, kernels.blocks("uniform", out.size, dtype)))
    return out


def normal_array(shape: tuple[int, ...], dtype: np.dtype, generator: Generator | None) -> np.ndarray:
    """Normal numbers of mean 0 and variance 1."""
    out = memory.empty(shape, dtype)
    kernels.normal(out, *_take(generator, kernels.blocks("normal", out.size, dtype)))
    return out


def integer_array(shape: tuple[int, ...], low: int, high: int, generator: Generator | None) -> np.ndarray:
    """Integers in [low, high), int64."""
    out = memory.empty(shape, dtypes.INT64)
    kernels.integers(out, low, high, *_take(generator, kernels.blocks("integers", out.size, out.dtype)))
    return out


def permutation_array(n: int, generator: Generator | None) -> np.ndarray:
    """The numbers below `n`, int64, in random order."""
    return kernels.permutation(n, *_take(generator, kernels.blocks("permutation", n, dtypes.INT64)))


def _random_dtype(op: str, dtype: Any) -> np.dtype:
    kind = float_dtype(dtype)
    if kind.kind != "f":
        raise NotImplementedError(f"{op}: not implemented for {kind.name}; it takes floating-point dtypes")
    return kind


def rand(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1).

    Parameters
    ----------
    *shape : int
        The shape, as separate numbers or one sequence, or as the keyword `size`.
    generator : Generator, optional
        Default: the one that `manual_seed` seeds.
    dtype : dtype, optional
        A floating-point dtype; default: the default one.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.rand(1000)
    >>> bool((x >= 0).all()), bool((x < 1).all())
    (True, True)
    """
    kind = _random_dtype("rand", dtype)
    return finish(uniform_array(shape_of("rand", shape, size), kind, generator), requires_grad, device)


def randn(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal random numbers of mean 0 and variance 1.

    Parameters
    ----------
    *shape, size, generator, dtype
        As in `rand`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.randn(2, 3).shape
    autograd_lite.Size([2, 3])
    """
    kind = _random_dtype("randn", dtype)
    return finish(normal_array(shape_of("randn", shape, size), kind, generator), requires_grad, device)


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random integers in [low, high), as ``randint(low, high, size)`` or ``randint(high, size)``.

    Raises
    ------
    RuntimeError
        If the range is empty.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.randint(5, 6, (3,))
    tensor([5, 5, 5])
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): size must be a tuple of ints, got {size!r}")
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    array = integer_array(shape_of("randint", (tuple(size),)), low, high, generator)
    wanted = dtypes.INT64 if dtype is None else dtypes.to_numpy(dtype)
    return finish(array.astype(wanted, copy=False), requires_grad, device)


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """The numbers from 0 to ``n - 1`` in random order.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}")
    wanted = dtypes.INT64 if dtype is None else dtypes.to_numpy(dtype)
    return finish(permutation_array(n, generator).astype(wanted, copy=False), False, device)


def rand_like(input: Tensor, *, dtype: Any = None, generator: Generator | None = None, **options: Any) -> Tensor:
    """Uniform random numbers in [0, 1), of the shape and dtype of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.rand_like(ag.zeros(2)).shape
    autograd_lite.Size([2])
    """
    return rand(*input._data.shape, dtype=dtype or input.dtype, generator=generator, **options)


def randn_like(input: Tensor, *, dtype: Any = None, generator: Generator | None = None, **options: Any) -> Tensor:
    """Normal random numbers, of the shape and dtype of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.randn_like(ag.zeros(2)).shape
    autograd_lite.Size([2])
    """
    return randn(*input._data.shape, dtype=dtype or input.dtype, generator=generator, **options)


def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, **options: Any) -> Tensor:
    """Uniform random integers in [low, high), of the shape and dtype of `input`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.randint_like(ag.zeros(2), 3, 4)
    tensor([3., 3.])
    """
    if high is None:
        low, high = 0, low
    return randint(low, high, tuple(input._data.shape), dtype=dtype or input.dtype, **options)


@method
def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """Ones with the probabilities given by `input`, else zeros; no gradient.

    Raises
    ------
    RuntimeError
        If a probability lies outside [0, 1].

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.bernoulli(ag.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    p = input._data
    if p.dtype.kind != "f":
        raise RuntimeError(f"bernoulli: expected a floating point tensor of probabilities, got {input.dtype!r}")
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise RuntimeError("bernoulli: Expected p_in >= 0 && p_in <= 1 to be true")
    return Tensor((uniform_array(p.shape, p.dtype, generator) < p).astype(p.dtype))


@method
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with probabilities proportional to each row of `input`.

    Parameters
    ----------
    input : Tensor of shape (n,) or (m, n)
        Weights; non-negative, finite, with a positive sum in each row.
    num_samples : int
        How many from each row.
    replacement : bool
        Whether an index can be drawn more than once.

    Returns
    -------
    Tensor of int64, shape (num_samples,) or (m, num_samples)

    Raises
    ------
    RuntimeError
        If the weights are not valid, or more samples are asked for than there are positive weights.

    Notes
    -----
    Without replacement, the indices of the largest values of ``log(u) / weight`` are taken (Efraimidis and
    Spirakis, "Weighted random sampling with a reservoir", 2006).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.multinomial(ag.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    weights = input._data
    if weights.dtype.kind != "f" or weights.ndim not in (1, 2):
        raise RuntimeError(
            f"multinomial: expected a floating point tensor of 1 or 2 dimensions, got {input.dtype!r} of shape "
            f"{weights.shape}"
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(-1) <= 0).any():
        raise RuntimeError("multinomial: probability tensor contains either `inf`, `nan` or element < 0, or a zero row")
    if num_samples < 1:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, got {num_samples}")
    rows = np.atleast_2d(weights).astype(np.float64)
    if replacement:
        edges = rows.cumsum(1)
        u = uniform_array((len(rows), num_samples), dtypes.FLOAT64, generator) * edges[:, -1:]
        picked = np.stack([np.searchsorted(e, v, side="right") for e, v in zip(edges, u, strict=True)])
    else:
        if num_samples > np.count_nonzero(rows, axis=1).min():
            raise RuntimeError(
                f"multinomial: cannot sample n_sample={num_samples} without replacement: there are fewer positive "
                "weights"
            )
        u = 1 - uniform_array(rows.shape, dtypes.FLOAT64, generator)
        with np.errstate(divide="ignore"):
            keys = np.where(rows > 0, np.log(u) / rows, -np.inf)
        picked = np.argsort(-keys, axis=1, kind="stable")[:, :num_samples]
    picked = picked.astype(np.int64)
    return Tensor(picked if weights.ndim == 2 else picked[0])


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Sequence[int] | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Normal random numbers with the given means and standard deviations; no gradient.

    Parameters
    ----------
    mean, std : Tensor or number
        One of them a tensor, or `size` given.
    size : sequence of int, optional
        The shape, if both are numbers.

    Raises
    ------
    RuntimeError
        If a standard deviation is negative.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.normal(ag.tensor([1.0, 2.0]), 0.0)
    tensor([1., 2.])
    """
    m, s = (v._data if isinstance(v, Tensor) else v for v in (mean, std))
    if np.any(np.asarray(s) < 0):
        raise RuntimeError("normal expects all elements of std >= 0.0")
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    if size is None:
        if not tensors:
            raise TypeError("normal(): size must be given if mean and std are numbers")
        shape = np.broadcast_shapes(*[t._data.shape for t in tensors])
    else:
        shape = shape_of("normal", (tuple(size),))
    dtype = tensors[0]._data.dtype if tensors else float_dtype(None)
    z = normal_array(shape, dtype, generator)
    return Tensor(np.asarray(z * np.asarray(s, dtype) + np.asarray(m, dtype)))


def _fill(op: str, x: Tensor, values: np.ndarray) -> Tensor:
    """Store fresh random numbers in `x`; it keeps no history."""
    recorded = check_inplace(op, x)
    np.copyto(x._data, values, casting="unsafe")
    x._bump()
    if recorded and x._base is None:
        x._node, x._requires_grad = None, False
    return x


def uniform_(
    self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None, **kw: float
) -> Tensor:
    """Fill with uniform random numbers in [from, to)."""
    low = kw.pop("from", from_)
    if kw:
        raise TypeError(f"uniform_() got unexpected keyword arguments {sorted(kw)}")
    if low > to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    dtype = self._data.dtype
    check_inplace("uniform_", self)
    u = uniform_array(self._data.shape, dtype, generator)
    return _fill("uniform_", self, u * dtype.type(to - low) + dtype.type(low))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal random numbers."""
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    dtype = self._data.dtype
    check_inplace("normal_", self)
    z = normal_array(self._data.shape, dtype, generator)
    return _fill("normal_", self, z * dtype.type(std) + dtype.type(mean))


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with ones of probability `p`, else zeros."""
    check_inplace("bernoulli_", self)
    u = uniform_array(self._data.shape, dtypes.FLOAT32, generator)
    return _fill("bernoulli_", self, u < (p._data if isinstance(p, Tensor) else np.float32(p)))


def random_(self: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Fill with uniform random integers in [low, high)."""
    if high is None:
        kind = self._data.dtype
        top = {"f": 1 << (24 if kind == dtypes.FLOAT32 else 53), "b": 2}.get(kind.kind)
        low, high = 0, low or top or int(np.iinfo(kind).max)
    check_inplace("random_", self)
    return _fill("random_", self, integer_array(self._data.shape, low, high, generator))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponentially distributed random numbers of rate `lambd`."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    check_inplace("exponential_", self)
    u = uniform_array(self._data.shape, dtypes.FLOAT64, generator)
    return _fill("exponential_", self, -np.log1p(-u) / lambd)


for _function in (uniform_, normal_, bernoulli_, random_, exponential_):
    method(_function)
