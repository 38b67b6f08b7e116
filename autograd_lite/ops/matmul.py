"""Matrix products of every shape, all made of two primitives: one product, and a batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.grad_mode import state
from ..kernels import discrete
from ..kernels import gemm as products
from ..tensor import Tensor, method
from .elementwise import check_broadcast
from .inplace import inplace, into
from .primitive import PrimitiveNode, expand_to, primitive, refuse_inference
from .rearrange import roll
from .reduction import sum
from .shape import Ints, adjoint, data_of, permute, reshape, t, unsqueeze, view_of
from .views import diagonal

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cross", "dot", "ger", "inner", "kron", "matmul", "mm", "mv",
    "outer", "tensordot", "trace", "vdot",
]  # fmt: skip


@primitive(name="mm")
def _mm(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return products.gemm(a, b)


@_mm.derivative("a")
def _(g: Tensor, b: Tensor) -> Tensor:
    return _mm(g, t(b))


@_mm.derivative("b")
def _(g: Tensor, a: Tensor) -> Tensor:
    return _mm(t(a), g)


@_mm.fused("a")
def _(g: np.ndarray, b: np.ndarray) -> np.ndarray:
    return products.gemm(g, b.T)


@_mm.fused("b")
def _(g: np.ndarray, a: np.ndarray) -> np.ndarray:
    return products.gemm(a.T, g)


class MmNode(PrimitiveNode):
    """A recorded product of two matrices: as `PrimitiveNode`, with less Python for the most frequent case."""

    __slots__ = ()

    def propagate(self, gradient: Tensor, wanted: Sequence[bool] | None) -> Sequence[Any]:
        if state.enabled or wanted is not None:
            return PrimitiveNode.propagate(self, gradient, wanted)
        saved = self._unpack()
        g = gradient._data
        if len(saved) == 2:
            a, b = saved
            return Tensor(products.gemm(g, b._data.T)), Tensor(products.gemm(a._data.T, g))
        if self.inputs[0] is not None:
            return Tensor(products.gemm(g, saved[0]._data.T)), None
        return None, Tensor(products.gemm(saved[0]._data.T, g))


def _record(out: Tensor, a: Tensor, b: Tensor) -> None:
    """Give `out`, the product of `a` and `b`, its node, if it is to have one."""
    if a._base is not None:
        a._refresh()
    if b._base is not None:
        b._refresh()
    needs = (a._requires_grad, b._requires_grad)
    inputs: tuple[Any, ...]
    saved: tuple[Tensor, ...]
    if needs == (True, True):
        inputs, saved = (a._node or a, b._node or b), (a, b)
    elif needs[0]:
        inputs, saved = (a._node or a, None), (b,)
    elif needs[1]:
        inputs, saved = (None, b._node or b), (a,)
    else:
        return
    if a._inference or b._inference:
        refuse_inference("mm")
    out._node = MmNode(_mm, _mm.plan(needs), inputs, saved, None, None)
    out._requires_grad = True


@primitive(name="bmm")
def _bmm(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return products.gemm_batched(a, b)


@_bmm.derivative("a")
def _(g: Tensor, b: Tensor) -> Tensor:
    return _bmm(g, adjoint(b))


@_bmm.derivative("b")
def _(g: Tensor, a: Tensor) -> Tensor:
    return _bmm(adjoint(a), g)


@_bmm.fused("a")
def _(g: np.ndarray, b: np.ndarray) -> np.ndarray:
    return products.gemm_batched(g, b.transpose(0, 2, 1))


@_bmm.fused("b")
def _(g: np.ndarray, a: np.ndarray) -> np.ndarray:
    return products.gemm_batched(a.transpose(0, 2, 1), g)


def _same_dtype(op: str, a: Tensor, b: Tensor) -> None:
    if a._data.dtype != b._data.dtype:
        raise RuntimeError(f"{op}: expected m1 and m2 to have the same dtype, but got: {a.dtype!r} != {b.dtype!r}")


def _integers(op: str, a: Tensor, b: Tensor) -> Tensor:
    if a._data.dtype.kind == "b":
        raise NotImplementedError(f"{op}: not implemented for {a.dtype!r}")
    return Tensor(discrete.apply("matmul", a._data, b._data, dtype=a._data.dtype))


def _product(op: str, a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices, checked."""
    _same_dtype(op, a, b)
    if a._data.shape[1] != b._data.shape[0]:
        (m, k), (p, n) = a._data.shape, b._data.shape
        raise RuntimeError(f"{op}: mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {p}x{n})")
    if a._data.dtype.kind != "f":
        return _integers(op, a, b)
    return _mm(a, b)


def _batched(op: str, a: Tensor, b: Tensor) -> Tensor:
    """The products of two batches of matrices, checked."""
    _same_dtype(op, a, b)
    (n, _, k), other = a._data.shape, b._data.shape
    if other[:2] != (n, k):
        raise RuntimeError(
            f"{op}: Expected size for first two dimensions of batch2 tensor to be: [{n}, {k}] but got: "
            f"[{other[0]}, {other[1]}]."
        )
    if a._data.dtype.kind != "f":
        return _integers(op, a, b)
    return _bmm(a, b)


def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product; ``@``.

    Parameters
    ----------
    input, other : Tensor
        Of shapes (n,) or (..., m, k) and (n,) or (..., k, n), and of one dtype. The batch dimensions broadcast.
        A 1-D tensor is a row on the left and a column on the right, and its dimension vanishes.
    out : Tensor, optional
        Where the result is written; not differentiable.

    Returns
    -------
    Tensor
        Of shape (..., m, n).

    Raises
    ------
    RuntimeError
        If the shapes or the dtypes do not match, or an operand has no dimensions.

    Notes
    -----
    Gradient: ``g @ other.mT`` and ``input.mT @ g``, summed over what was broadcast.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tensor([[1.0, 2.0], [3.0, 4.0]]) @ ag.tensor([1.0, 10.0])
    tensor([21., 43.])
    """
    if out is not None:
        return into("matmul", out, matmul, input, other)
    try:
        a, b = input._data, other._data
        plain = a.ndim == 2 == b.ndim and a.dtype is b.dtype and a.dtype.char in "fd" and a.shape[1] == b.shape[0]
    except AttributeError:
        plain = False
    if plain:
        made = Tensor(products.gemm(a, b))
        if state.enabled:
            _record(made, input, other)
        elif state.inference:
            made._inference = True
        return made
    return _matmul(input, other)


def _matmul(input: Tensor, other: Tensor) -> Tensor:
    left, right = data_of("matmul", input).ndim, data_of("matmul", other, "other").ndim
    if not left or not right:
        raise RuntimeError(
            f"matmul: both arguments to matmul need to be at least 1D, but they are {left}D and {right}D"
        )
    if left == 1 and right == 1:
        return dot(input, other)
    if left == 1:
        rows = _matmul(unsqueeze(input, 0), other)
        return view_of(rows, shape=(*rows._data.shape[:-2], rows._data.shape[-1]))
    if right == 1:
        shape = input._data.shape
        if shape[-1] != other._data.shape[0]:
            raise RuntimeError(
                f"matmul: size mismatch, got mat ({'x'.join(map(str, shape))}), vec ({other._data.shape[0]})"
            )
        return view_of(_matmul(input, unsqueeze(other, 1)), shape=shape[:-1])
    if right == 2:
        shape = input._data.shape
        if left == 2:
            return _product("matmul", input, other)
        rows = reshape(input, (_size(shape[:-1]), shape[-1]))
        return view_of(_product("matmul", rows, other), shape=(*shape[:-1], other._data.shape[-1]))
    a, b = input._data.shape, other._data.shape
    batch = check_broadcast("matmul", (a[:-2], b[:-2]))
    n = _size(batch)
    lefts = reshape(expand_to(input, shape=(*batch, *a[-2:])), (n, *a[-2:]))
    rights = reshape(expand_to(other, shape=(*batch, *b[-2:])), (n, *b[-2:]))
    return view_of(_batched("matmul", lefts, rights), shape=(*batch, a[-2], b[-1]))


def _size(shape: Ints) -> int:
    n = 1
    for extent in shape:
        n *= extent
    return n


def _need(op: str, x: Any, ndim: int, name: str) -> None:
    if data_of(op, x, name).ndim != ndim:
        kind = {1: "vector", 2: "matrix", 3: "3D tensor"}[ndim]
        raise RuntimeError(f"{op}: {name} must be a {kind}, got {x._data.ndim}-D tensor")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, (m, k) by (k, n); see `matmul`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.mm(ag.ones(1, 2), ag.ones(2, 1))
    tensor([[2.]])
    """
    _need("mm", input, 2, "self")
    _need("mm", mat2, 2, "mat2")
    return _product("mm", input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of matrices in two batches, (b, m, k) by (b, k, n), without broadcasting; see `matmul`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.bmm(ag.ones(3, 1, 2), ag.ones(3, 2, 1)).shape
    autograd_lite.Size([3, 1, 1])
    """
    _need("bmm", input, 3, "batch1")
    _need("bmm", mat2, 3, "batch2")
    return _batched("bmm", input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (m, n) and a vector (n,).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.mv(ag.ones(2, 3), ag.ones(3))
    tensor([3., 3.])
    """
    _need("mv", input, 2, "self")
    _need("mv", vec, 1, "vec")
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors of one length.

    Raises
    ------
    RuntimeError
        If they are not vectors, or differ in length or dtype.

    Notes
    -----
    Gradient: ``g * tensor`` and ``g * input``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.dot(ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0]))
    tensor(11.)
    """
    a, b = data_of("dot", input), data_of("dot", tensor, "tensor")
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"dot: 1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot: expected both vectors to have same dtype, but found {input.dtype!r} and {tensor.dtype!r}"
        )
    if a.size != b.size:
        raise RuntimeError(
            f"dot: inconsistent tensor size, expected tensor [{a.size}] and src [{b.size}] to have the same number of "
            f"elements, but got {a.size} and {b.size} elements respectively"
        )
    row, column = view_of(input, shape=(1, a.size)), view_of(tensor, shape=(a.size, 1))
    return view_of(_product("dot", row, column), shape=())


vdot = dot


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The dot products along the last dimensions: out[i..., j...] = sum over k of input[i..., k] other[j..., k].

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.inner(ag.ones(2, 3), ag.ones(4, 3)).shape
    autograd_lite.Size([2, 4])
    """
    a, b = data_of("inner", input).shape, data_of("inner", other, "other").shape
    if not a or not b:
        return input * other
    if a[-1] != b[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(a)} and {list(b)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector with an element of the other.

    Notes
    -----
    Gradient: ``g @ vec2`` and ``input @ g``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.outer(ag.tensor([1, 2]), ag.tensor([1, 10, 100]))
    tensor([[  1,  10, 100],
            [  2,  20, 200]])
    """
    for name, x in (("self", input), ("vec2", vec2)):
        if data_of("outer", x, name).ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x._data.ndim}-D")
    return unsqueeze(input, 1) * vec2


ger = outer


def _added(op: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * product``, of the shape of the product."""
    data = data_of(op, input)
    shape = product._data.shape
    if data.dtype != product._data.dtype:
        raise RuntimeError(
            f"{op}: self and mat2 must have the same dtype, but got {input.dtype!r} and {product.dtype!r}"
        )
    if data.shape != shape and check_broadcast(op, (data.shape, shape)) != shape:
        raise RuntimeError(
            f"{op}: The expanded size of the tensor must match: target sizes {list(shape)}, tensor sizes "
            f"{list(data.shape)}"
        )
    if alpha != 1:
        product = product * alpha
    return product if beta == 0 else product + (input if beta == 1 else input * beta)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``, with `input` broadcast.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.addmm(ag.tensor([1.0, 2.0]), ag.ones(1, 3), ag.ones(3, 2))
    tensor([[4., 5.]])
    """
    _need("addmm", mat1, 2, "mat1")
    _need("addmm", mat2, 2, "mat2")
    return _added("addmm", input, _product("addmm", mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.addmv(ag.tensor([1.0]), ag.ones(1, 3), ag.ones(3))
    tensor([4.])
    """
    return _added("addmv", input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.addr(ag.zeros(1, 2), ag.tensor([3.0]), ag.tensor([1.0, 10.0]))
    tensor([[ 3., 30.]])
    """
    return _added("addr", input, outer(vec1, vec2), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * bmm(batch1, batch2)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.baddbmm(ag.zeros(1, 1, 1), ag.ones(1, 1, 2), ag.ones(1, 2, 1))
    tensor([[[2.]]])
    """
    return _added("baddbmm", input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * bmm(batch1, batch2).sum(0)``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.addbmm(ag.zeros(1, 1), ag.ones(3, 1, 2), ag.ones(3, 2, 1))
    tensor([[6.]])
    """
    return _added("addbmm", input, sum(bmm(batch1, batch2), 0), beta, alpha)


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The product of two tensors, summed over pairs of their dimensions.

    Parameters
    ----------
    dims : int or pair of sequences of int
        So many last dimensions of `a` with the first of `b`; or which of `a` with which of `b`.

    Raises
    ------
    RuntimeError
        If the extents of a pair differ.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.tensordot(ag.ones(2, 3, 4), ag.ones(4, 3, 5), ([1, 2], [1, 0])).shape
    autograd_lite.Size([2, 5])
    """
    shape_a, shape_b = data_of("tensordot", a, "a").shape, data_of("tensordot", b, "b").shape
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(len(shape_a), len(shape_b)):
            raise RuntimeError(
                f"tensordot expects dims <= ndim of both, but got dims={dims}, shapes {shape_a}, {shape_b}"
            )
        pairs: tuple[Sequence[int], Sequence[int]] = (range(len(shape_a) - dims, len(shape_a)), range(dims))
    else:
        pairs = tuple([(d,) if isinstance(d, int) else d for d in dims])  # type: ignore[assignment]
    if len(pairs[0]) != len(pairs[1]):
        raise RuntimeError(f"tensordot: both dimension lists should have same length, got {pairs[0]} and {pairs[1]}")
    first, second = [a._dim(d) for d in pairs[0]], [b._dim(d) for d in pairs[1]]
    for p, q in zip(first, second, strict=True):
        if shape_a[p] != shape_b[q]:
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but first has size {shape_a[p]} in dim {p} and "
                "second "
                f"has size {shape_b[q]} in dim {q}"
            )
    _same_dtype("tensordot", a, b)
    rest_a = [d for d in range(len(shape_a)) if d not in first]
    rest_b = [d for d in range(len(shape_b)) if d not in second]
    k = _size(tuple([shape_a[d] for d in first]))
    left = reshape(permute(a, (*rest_a, *first)), (_size(tuple([shape_a[d] for d in rest_a])), k))
    right = reshape(permute(b, (*second, *rest_b)), (k, _size(tuple([shape_b[d] for d in rest_b]))))
    shape = (*[shape_a[d] for d in rest_a], *[shape_b[d] for d in rest_b])
    return view_of(_product("tensordot", left, right), shape=shape)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of `input` times the whole of `other`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.kron(ag.tensor([1, 10]), ag.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    a, b = data_of("kron", input).shape, data_of("kron", other, "other").shape
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    apart = reshape(input, [m for extent in a for m in (extent, 1)])
    close = reshape(other, [m for extent in b for m in (1, extent)])
    return view_of(apart * close, shape=tuple([p * q for p, q in zip(a, b, strict=True)]))


def trace(input: Tensor) -> Tensor:
    """The sum of the main diagonal of a matrix.

    Notes
    -----
    Gradient: ``g`` times the identity.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.trace(ag.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if data_of("trace", input).ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._data.ndim}")
    return sum(diagonal(input))


def cross(input: Tensor, other: Tensor, dim: int = -1) -> Tensor:
    """The cross products of vectors along `dim`, which has extent 3.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.linalg.cross(ag.tensor([1.0, 0.0, 0.0]), ag.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    a, b = data_of("cross", input), data_of("cross", other, "other")
    if a.ndim != b.ndim:
        raise RuntimeError(f"linalg.cross: inputs must have the same number of dimensions, got {a.shape} and {b.shape}")
    dim = input._dim(dim)
    if a.shape[dim] != 3 or b.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[dim]} and {b.shape[dim]}"
        )
    return roll(input, -1, dim) * roll(other, -2, dim) - roll(input, -2, dim) * roll(other, -1, dim)


def _operator(self: Tensor, other: Any) -> Any:
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


method(_operator, name="__matmul__")
for _function in (addbmm, addmm, addmv, addr, baddbmm, bmm, dot, ger, inner, kron, matmul, mm, mv, outer, trace, vdot):
    method(_function)
for _function in (addbmm, addmm, addmv, addr, baddbmm):
    method(inplace(_function), name=f"{_function.__name__}_")
method(cross)
