"""Quick checks of views, indexing, reductions, sorting and linear algebra by hand-worked values.

The generated tests prove values and gradients of every operation; these say in a few lines what each family
promises: what is a view, which errors come before any change, where gradients go at ties and zeros.
"""

import math
import pickle

import numpy as np
import pytest

import autograd_lite as ag


def grad(function, *arrays):
    """The gradients of the sum of the results of `function`."""
    leaves = [ag.tensor(a, dtype=ag.float64, requires_grad=True) for a in arrays]
    function(*leaves).sum().backward()
    return [leaf.grad.tolist() for leaf in leaves]


# Views


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(6),
        lambda x: x.reshape(3, 2),
        lambda x: x.T,
        lambda x: x.permute(1, 0),
        lambda x: x.unsqueeze(0),
        lambda x: x.expand(2, 2, 3)[0],
        lambda x: x[1:, ::2],
        lambda x: x.diagonal(),
        lambda x: x.unfold(1, 2, 1),
        lambda x: x.split(1)[1],
        lambda x: x.unbind(1)[2],
        lambda x: ag.as_strided(x, (2, 2), (1, 2)),
    ],
)
def test_views_share_storage_and_version(view):
    x = ag.arange(6.0).view(2, 3)
    seen = view(x)
    version = x._version
    seen[...] = -1.0 if seen.ndim < 3 else seen.clone() * 0 - 1
    assert x._version > version
    assert (x == -1).any()
    assert np.shares_memory(x.numpy(), seen.numpy())


def test_reshape_copies_only_where_it_must():
    x = ag.arange(24.0).view(2, 3, 4)
    assert np.shares_memory(x.transpose(0, 1).reshape(3, 2, 2, 2).numpy(), x.numpy())
    assert not np.shares_memory(x.transpose(0, 1).reshape(6, 4).numpy(), x.numpy())
    with pytest.raises(RuntimeError, match="not compatible"):
        x.transpose(0, 1).view(6, 4)


def test_parts_that_are_not_used_get_zero_gradient():
    assert grad(lambda x: x.split([1, 2])[1] * 2, [1.0, 2.0, 3.0]) == [[0.0, 2.0, 2.0]]
    assert grad(lambda x: x.unbind()[0] * x.unbind()[2], [1.0, 2.0, 3.0]) == [[3.0, 0.0, 1.0]]


def test_overlapping_windows_add_up():
    assert grad(lambda x: x.unfold(0, 2, 1), [1.0, 2.0, 3.0]) == [[1.0, 2.0, 1.0]]


def test_in_place_changes_of_shape():
    x = ag.arange(6.0).view(2, 3).clone()
    assert x.unsqueeze_(0).shape == (1, 2, 3)
    assert x.squeeze_(0).t_().shape == (3, 2)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("constant", [0, 0, 1, 2, 3, 0]),
        ("reflect", [3, 2, 1, 2, 3, 2]),
        ("replicate", [1, 1, 1, 2, 3, 3]),
        ("circular", [2, 3, 1, 2, 3, 1]),
    ],
)
def test_pad(mode, expected):
    x = ag.tensor([[1.0, 2.0, 3.0]])
    assert ag.nn.functional.pad(x, (2, 1), mode=mode).tolist() == [expected]


# Indexing


def test_an_integer_does_not_move_dimensions():
    x = ag.zeros(2, 3, 4)
    assert x[0, :, ag.tensor([0, 1])].shape == (3, 2)
    assert x[ag.tensor([0, 1]), :, ag.tensor([0, 1])].shape == (2, 3)
    assert x[..., ag.tensor([0, 1]), 0].shape == (2, 2)
    assert x[None, ag.tensor([True, False]), 1:].shape == (1, 1, 2, 4)


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((0, ag.tensor([0, -4])), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
        ((0, 0, 0), IndexError, "too many indices"),
        (ag.tensor([1.0]), IndexError, "long, int, byte or bool"),
        (ag.tensor([True, False, True]), IndexError, "mask"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (1.5, IndexError, "only integers"),
    ],
)
def test_wrong_indices_are_refused_before_any_change(index, error, message):
    x = ag.arange(6.0).view(2, 3)
    before = x.tolist()
    with pytest.raises(error, match=message):
        x[index]
    with pytest.raises(error, match=message):
        x[index] = 1.0
    assert x.tolist() == before
    assert x._version == 0


def test_assignment_is_differentiable():
    def write(x, y):
        x = x * 2
        x[:, 1] = y
        x[ag.tensor([0, 1]), ag.tensor([0, 2])] = y[0] * 3
        x[x > 100.0] = 0.0
        return x

    gradients = grad(write, [[1.0, 2.0, 3.0], [4.0, 5.0, 60.0]], [7.0, 8.0])
    assert gradients == [[[0.0, 0.0, 2.0], [2.0, 0.0, 0.0]], [7.0, 1.0]]


def test_assignment_to_a_leaf_is_refused():
    x = ag.zeros(3, requires_grad=True)
    for index in (0, ag.tensor([0]), slice(None)):
        with pytest.raises(RuntimeError, match="leaf"):
            x[index] = 1.0
    with ag.no_grad():
        x[0] = 1.0
    assert x.tolist() == [1.0, 0.0, 0.0]


def test_repeated_indices_add_up():
    assert grad(lambda x: x[ag.tensor([0, 0, 2])], [1.0, 2.0, 3.0]) == [[2.0, 0.0, 1.0]]
    assert grad(lambda x: x.gather(0, ag.tensor([1, 1])), [1.0, 2.0, 3.0]) == [[0.0, 2.0, 0.0]]
    assert ag.zeros(3).index_add(0, ag.tensor([1, 1]), ag.ones(2)).tolist() == [0.0, 2.0, 0.0]
    assert ag.zeros(3).scatter_add(0, ag.tensor([1, 1]), ag.ones(2)).tolist() == [0.0, 2.0, 0.0]


# Reductions


def test_ties_and_zeros():
    assert grad(lambda x: x.amax(), [1.0, 3.0, 3.0]) == [[0.0, 0.5, 0.5]]
    assert grad(lambda x: x.max(), [1.0, 3.0, 3.0]) == [[0.0, 0.5, 0.5]]
    assert grad(lambda x: x.max(0).values, [1.0, 3.0, 3.0]) == [[0.0, 1.0, 0.0]]
    assert grad(lambda x: x.std(), [2.0, 2.0]) == [[0.0, 0.0]]
    assert grad(lambda x: x.norm(), [0.0, 0.0]) == [[0.0, 0.0]]
    assert grad(lambda x: x.norm(3), [0.0, 0.0]) == [[0.0, 0.0]]
    assert grad(lambda x: x.prod(), [2.0, 0.0, 5.0]) == [[0.0, 10.0, 0.0]]
    assert grad(lambda x: x.prod(), [0.0, 0.0, 5.0]) == [[0.0, 0.0, 0.0]]
    assert grad(lambda x: x.cumprod(0), [2.0, 0.0, 5.0]) == [[1.0, 12.0, 0.0]]


def test_products_with_zeros_are_exact_in_second_order():
    x = ag.tensor([2.0, 0.0, 0.0, 5.0], requires_grad=True)
    (first,) = ag.autograd.grad(x.prod(), x, create_graph=True)
    (second,) = ag.autograd.grad(first[1], x)
    assert second.tolist() == [0.0, 0.0, 10.0, 0.0]


def test_forms_of_max():
    x = ag.tensor([[1.0, 5.0], [4.0, 3.0]])
    assert x.max().item() == 5.0
    values, indices = x.max(dim=1)
    assert (values.tolist(), indices.tolist()) == ([5.0, 4.0], [1, 0])
    assert ag.max(x, ag.tensor(3.5)).tolist() == [[3.5, 5.0], [4.0, 3.5]]
    assert x.max(axis=0, keepdims=True).values.shape == (1, 2)
    assert math.isnan(ag.tensor([1.0, math.nan]).max())
    with pytest.raises(IndexError, match="non-zero size"):
        ag.zeros(0, 3).max(0)


def test_dtypes_of_sums():
    assert ag.tensor([True, True]).sum().dtype is ag.int64
    assert ag.tensor([1, 2], dtype=ag.uint8).prod().dtype is ag.int64
    assert ag.tensor([1, 2]).sum(dtype=ag.float32).dtype is ag.float32
    assert ag.ones(2).cumsum(0).dtype is ag.float32
    with pytest.raises(RuntimeError, match="floating point"):
        ag.tensor([1, 2]).mean()


def test_nothing_to_reduce():
    empty = ag.zeros(0, 3)
    assert (empty.sum().item(), empty.prod().item()) == (0.0, 1.0)
    assert math.isnan(empty.mean())
    assert empty.logsumexp(0).tolist() == [-math.inf] * 3


# Sorting


def test_nan_sorts_last_and_first():
    x = ag.tensor([2.0, math.nan, 1.0])
    assert x.sort().indices.tolist() == [2, 0, 1]
    assert x.sort(descending=True).indices.tolist() == [1, 0, 2]
    assert x.topk(2, largest=False).values.tolist() == [1.0, 2.0]


def test_the_lower_median():
    assert ag.tensor([4.0, 1.0, 3.0, 2.0]).median().item() == 2.0
    assert grad(lambda x: x.median(), [4.0, 1.0, 3.0, 2.0]) == [[0.0, 0.0, 0.0, 1.0]]


def test_unique():
    values, inverse, counts = ag.unique(ag.tensor([3, 1, 3]), return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3], [1, 0, 1], [1, 2])


# Products and linear algebra


@pytest.mark.parametrize(
    ("left", "right", "shape"),
    [
        ((3,), (3,), ()),
        ((2, 3), (3,), (2,)),
        ((3,), (3, 4), (4,)),
        ((2, 3), (3, 4), (2, 4)),
        ((5, 2, 3), (3, 4), (5, 2, 4)),
        ((5, 2, 3), (3,), (5, 2)),
        ((2, 3), (5, 3, 4), (5, 2, 4)),
        ((3,), (5, 3, 4), (5, 4)),
        ((7, 1, 2, 3), (5, 3, 4), (7, 5, 2, 4)),
        ((0, 3), (3, 4), (0, 4)),
        ((2, 0), (0, 4), (2, 4)),
    ],
)
def test_shapes_of_products(left, right, shape):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=left), rng.normal(size=right)
    product = ag.tensor(a) @ ag.tensor(b)
    assert product.shape == shape
    np.testing.assert_allclose(product.numpy(), a @ b, atol=1e-12)


def test_errors_of_products():
    with pytest.raises(RuntimeError, match=r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"):
        ag.zeros(2, 3) @ ag.zeros(4, 5)
    with pytest.raises(RuntimeError, match="expected m1 and m2 to have the same dtype"):
        ag.zeros(2, 3) @ ag.zeros(3, 2).double()
    with pytest.raises(RuntimeError, match="at least 1D"):
        ag.zeros(2) @ ag.tensor(1.0)
    with pytest.raises(TypeError):
        ag.zeros(2) @ 3


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ki", [(2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("bij,bjk,kl->il", [(5, 2, 3), (5, 3, 4), (4, 2)]),
        ("...ij,jk", [(5, 2, 3), (3, 4)]),
        ("i,j->ji", [(2,), (3,)]),
        ("ij,ij->", [(2, 3), (2, 3)]),
        ("iij,jk->ik", [(2, 2, 3), (3, 4)]),
        ("ab,cd->", [(2, 3), (4, 5)]),
    ],
)
def test_einsum(equation, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    result = ag.einsum(equation, *map(ag.tensor, arrays))
    np.testing.assert_allclose(result.numpy(), np.einsum(equation, *arrays), atol=1e-12)


def test_matrices():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 3, 3))
    x = ag.tensor(a, requires_grad=True)
    np.testing.assert_allclose((ag.linalg.inv(x) @ x).detach().numpy(), np.broadcast_to(np.eye(3), a.shape), atol=1e-9)
    assert ag.autograd.gradcheck(ag.linalg.inv, (x,))
    assert ag.autograd.gradcheck(ag.linalg.det, (x,))
    assert ag.autograd.gradcheck(lambda m: ag.linalg.slogdet(m).logabsdet, (x,))
    assert ag.autograd.gradcheck(lambda m: ag.linalg.cholesky(m @ m.mT + 3 * ag.eye(3, dtype=m.dtype)), (x,))
    assert ag.autograd.gradcheck(lambda m: ag.linalg.solve(m, m[..., 0]), (x,))
    with pytest.raises(ag.linalg.LinAlgError, match="Batch element 1"):
        ag.linalg.inv(ag.stack([ag.eye(2), ag.ones(2, 2)]))
    with pytest.raises(RuntimeError, match="2 by 3"):
        ag.linalg.inv(ag.zeros(2, 3))


def test_determinant_of_singular_matrices():
    gradient = grad(ag.linalg.det, [[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(gradient, [[[4.0, -2.0], [-2.0, 1.0]]], atol=1e-12)


# Precision


def test_numbers_keep_their_digits():
    """Python floats become float64 directly, not by way of float32."""
    assert ag.tensor(0.7, dtype=ag.float64).item() == 0.7
    assert ag.tensor([[0.1, 1e300]], dtype=ag.float64).tolist() == [[0.1, 1e300]]
    assert ag.full((2,), 0.1, dtype=ag.float64).tolist() == [0.1, 0.1]
    assert (ag.tensor([1.0], dtype=ag.float64) * 0.1).item() == 0.1


# Printing


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([1.0, 2.5], "tensor([1.0000, 2.5000])"),
        ([1.0, math.inf, math.nan], "tensor([1., inf, nan])"),
        ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
        ([100000.0, 1.0], "tensor([1.0000e+05, 1.0000e+00])"),
        ([[1, 20], [300, 4]], "tensor([[  1,  20],\n        [300,   4]])"),
        ([], "tensor([])"),
        (3.0, "tensor(3.)"),
    ],
)
def test_repr(data, text):
    assert repr(ag.tensor(data)) == text


def test_repr_of_long_tensors():
    assert repr(ag.arange(2000)) == "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"
    assert "..." in repr(ag.zeros(40, 40))
    assert repr(ag.ones(2, requires_grad=True) * 2) == "tensor([2., 2.], grad_fn=<MulBackward0>)"


# What scripts written for PyTorch or NumPy rely on


def test_arrays_meet_tensors():
    x, array = ag.tensor([1.0, 2.0]), np.array([1.0, 3.0], np.float32)
    for made in (x + array, x * array, x @ array, np.exp(x), np.add(x, 1), -(x - array), np.sqrt(x[0])):
        assert isinstance(made, ag.Tensor) and made.dtype is ag.float32
    assert isinstance(x == array, ag.Tensor) and (x == array).tolist() == [True, False]
    assert (x != array).tolist() == [False, True]
    assert type(np.exp(ag.tensor([True]))) is np.ndarray  # float16 is no dtype of tensors
    with pytest.raises(RuntimeError, match="detach"):
        ag.ones(2, requires_grad=True) * array


def test_python_numbers_of_tensors():
    for convert in (int, float, complex):
        assert convert(ag.tensor([[3.5]])) == convert(3.5)
        with pytest.raises(ValueError, match=r"one element.*\(2, 3\)"):
            convert(ag.zeros(2, 3))
    assert isinstance(reversed(ag.arange(3)), ag.Tensor)
    assert reversed(ag.arange(3)).tolist() == [2, 1, 0]


def test_errors_of_negation_and_inversion():
    with pytest.raises(RuntimeError, match="Negation"):
        -ag.tensor([True])
    with pytest.raises(TypeError, match="invert"):
        ~ag.tensor([1.0])
    assert (~ag.tensor([True])).tolist() == [False]


def test_pickling_a_computed_tensor_keeps_its_value_only():
    y = pickle.loads(pickle.dumps(ag.ones(2, requires_grad=True) * 2))
    assert y.tolist() == [2.0, 2.0] and y.requires_grad and y.is_leaf


def test_python_types_as_dtypes():
    assert ag.zeros(2, dtype=float).dtype is ag.float64
    assert ag.tensor([1], dtype=float).dtype is ag.ones(1).to(float).dtype is ag.float64
    assert ag.full((2,), 1.5).dtype is ag.float32
    assert ag.zeros(2, dtype=int).dtype is ag.int64 and ag.zeros(2, dtype=bool).dtype is ag.bool


@pytest.mark.parametrize("make", [lambda: ag.tensor([300], dtype=ag.uint8), lambda: ag.tensor(-129, dtype=ag.int8),
                                  lambda: ag.tensor([2**40, 1], dtype=ag.int32),
                                  lambda: ag.full((2,), 300, dtype=ag.uint8)])  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(make):
    with pytest.raises(RuntimeError, match="without overflow"):
        make()


def test_the_class_itself_makes_tensors_of_lists():
    x = ag.Tensor([[1, 2], [3, 4]])
    assert x.dtype is ag.float32 and x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    array = np.arange(3.0)
    assert ag.Tensor(array)._data is array and ag.Tensor(ag.Tensor(array))._data is array
    for data in (3, None, "12"):
        with pytest.raises(TypeError, match="expects an array or a list"):
            ag.Tensor(data)


def test_what_is_not_a_number_is_refused():
    for data in (None, [1, None], {}, object()):
        with pytest.raises(RuntimeError, match="infer dtype"):
            ag.tensor(data)
    with pytest.raises(ValueError, match="int64"):
        ag.tensor([1, 2**70])
    for make in (ag.rand_like, ag.randn_like):
        with pytest.raises(NotImplementedError, match="int64"):
            make(ag.arange(3))


def test_floor_division_of_floats_is_pythons():
    x = np.array([1.0, -1.0, 5.0, -5.0, 0.3, 7.5, -0.0, np.inf, 1.0, -1.0, 0.0])
    y = np.array([0.1, 0.1, np.inf, np.inf, 0.1, -2.5, 3.0, 2.0, 0.0, 0.0, 0.0])
    with np.errstate(all="ignore"):
        for dtype in ("float32", "float64"):
            a, b = x.astype(dtype), y.astype(dtype)
            np.testing.assert_array_equal((ag.tensor(a) // ag.tensor(b)).numpy(), a // b)
    t = ag.tensor([7.5], requires_grad=True)
    (t // 2).sum().backward()
    assert t.grad.tolist() == [0.0]


def test_forms_of_shapes_and_ranges():
    for make in (ag.zeros, ag.ones, ag.empty, ag.rand, ag.randn):
        assert make(size=(2, 3)).shape == make(2, 3).shape == make((2, 3)).shape == (2, 3)
        with pytest.raises(TypeError, match="multiple values"):
            make(2, size=(2,))
    assert ag.arange(end=3).tolist() == ag.arange(start=0, end=3).tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="end"):
        ag.arange()
    for drawn in (ag.randint(high=5, size=(9,)), ag.randint(5, size=(9,)), ag.randint(low=0, high=5, size=(9,))):
        assert drawn.shape == (9,) and 0 <= drawn.min() <= drawn.max() < 5


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "matmul"])
def test_results_written_into_a_tensor(name):
    x, y = ag.tensor([[1.0, 2.0], [3.0, 4.0]]), ag.tensor([[5.0, 6.0], [7.0, 8.0]])
    function, out = getattr(ag, name), ag.zeros(2, 2)
    assert function(x, y, out=out) is out and ag.equal(out, function(x, y))
    before = out.clone()
    for wrong, message in ((ag.zeros(3), "shape"), (ag.zeros(2, 2, dtype=ag.int64), "cast")):
        with pytest.raises(RuntimeError, match=message):
            function(x, y, out=wrong)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        function(x.clone().requires_grad_(), y, out=out)
    assert ag.equal(out, before)
    with ag.no_grad():
        function(x.clone().requires_grad_(), y, out=out)
    assert not out.requires_grad
