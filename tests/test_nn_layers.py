"""Every layer over its options, drawn, against an independent slow reference; and against PyTorch where it is installed.

The options and references stand in `tests.layertable`. Derivatives of the references are taken by the complex step.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite import nn
from tests.conftest import examples
from tests.layertable import LAYERS, Trial
from tests.optable.derivatives import Kink, complex_step, five_point, inner, random_directions

OTHERWISE = {
    "containers": "Module ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "sequences, in test_nn_sequences.py": "GRU GRUCell LSTM LSTMCell MultiheadAttention RNN RNNCell Transformer "
    "TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer",
    "random, below": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d",
}
every = pytest.mark.parametrize("name", LAYERS)


def drawn() -> Any:
    """Hypothesis draws one trial of the layer `name`."""

    def decorate(test: Any) -> Any:
        return every(settings(max_examples=examples(4))(given(data=st.data())(test)))

    return decorate


def layer_of(trial: Trial, rng: np.random.Generator | None = None, dtype: Any = ag.float64) -> nn.Module:
    """The layer, its parameters drawn."""
    options = {k: ag.tensor(v) if isinstance(v, np.ndarray) else v for k, v in trial.options.items()}
    layer = getattr(nn, trial.name)(**options).to(dtype)
    if rng is not None:
        for parameter in layer.parameters():
            parameter.data = ag.tensor(rng.standard_normal(tuple(parameter.shape))).to(dtype)
    return layer


def tensors(trial: Trial, dtype: str = "float64", grad: bool = True) -> list[ag.Tensor]:
    made = []
    for i, x in enumerate(trial.inputs):
        if x.dtype.kind != "f":
            made.append(ag.Tensor(x.copy()))
        else:
            made.append(ag.Tensor(x.astype(dtype)).requires_grad_(grad and i not in trial.constants))
    return made


def close(got: Any, wanted: Any, tolerance: float, what: Any) -> None:
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape, f"{what}: shape {got.shape}, expected {wanted.shape}"
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance, err_msg=str(what))


def gradient(t: ag.Tensor) -> np.ndarray:
    return np.zeros(t.shape) if t.grad is None else t.grad.numpy()


@drawn()
def test_layer(name: str, data: Any) -> None:
    """Value and gradients, by the inputs and by the parameters, are those of the reference."""
    trial = data.draw(LAYERS[name])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    layer = layer_of(trial, rng)
    inputs = tensors(trial)
    out = layer(*inputs)
    parameters = dict(layer.named_parameters())
    names = list(parameters)
    wanted = {i: t for i, t in enumerate(inputs) if t.requires_grad}

    def reference(leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = list(trial.inputs)
        for i, leaf in zip(wanted, leaves):
            given[i] = leaf
        with np.errstate(all="ignore"):
            return [np.asarray(trial.reference(*given, **dict(zip(names, leaves[len(wanted) :]))))]

    leaves = [*wanted.values(), *parameters.values()]
    at = [t.detach().numpy().copy() for t in leaves]
    expected = reference(at)[0]
    assert out.dtype is ag.float64
    close(out.detach().numpy(), expected, 1e-10, trial)
    if not leaves or not np.all(np.isfinite(expected)):
        return
    g = np.asarray(rng.standard_normal(expected.shape))
    out.backward(ag.Tensor(g.copy()))
    method = complex_step if trial.analytic else five_point
    for along in random_directions(at, rng, 2):
        try:
            derivative = inner([g], method(reference, at, along))
        except Kink:
            continue
        close(inner([gradient(t) for t in leaves], along), derivative, 1e-7, f"{trial}: gradient")


@drawn()
def test_state_moves_to_another_layer(name: str, data: Any) -> None:
    """A layer with the state of another computes the same, to the bit; so does a copy. Modes come and go."""
    trial = data.draw(LAYERS[name])
    layer = layer_of(trial, np.random.default_rng(0))
    other = layer_of(trial)
    state = layer.state_dict()
    assert str(other.load_state_dict(state)) == "<All keys matched successfully>"
    with ag.no_grad():
        outs = []
        for each in (layer, other, copy.deepcopy(layer)):
            assert each.training and not each.eval().training and each.train() is each
            outs.append(each(*tensors(trial, grad=False)).numpy())
    assert outs[0].tobytes() == outs[1].tobytes() == outs[2].tobytes()
    assert repr(layer) == repr(other)
    assert layer.state_dict().keys() == state.keys()


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's own
@drawn()
def test_layer_is_pytorchs(name: str, data: Any) -> None:
    """The same options, parameters and inputs give what PyTorch's layer gives; it is shown alike, too."""
    torch = pytest.importorskip("torch")
    trial = data.draw(LAYERS[name])
    rng = np.random.default_rng(0)
    layer = layer_of(trial, rng)
    options = {k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in trial.options.items()}
    theirs = getattr(torch.nn, name)(**options).double()
    assert repr(layer) == re.sub(r"( affine=\w+), bias=\w+", r"\1", repr(theirs))  # an option that is newer there
    state, other = layer.state_dict(), theirs.state_dict()
    assert list(state) == list(other)
    assert {k: tuple(v.shape) for k, v in state.items()} == {k: tuple(v.shape) for k, v in other.items()}
    theirs.load_state_dict({k: torch.from_numpy(np.array(v._data)) for k, v in state.items()})
    inputs = tensors(trial)
    twins = [torch.from_numpy(np.array(t._data)).requires_grad_(t.requires_grad) for t in inputs]
    tolerance = 1e-7 if name in ("Hardsigmoid", "Hardswish") else 1e-10  # there 1 / 6 is a float32 in PyTorch
    for train in (True, False):
        out, wanted = layer.train(train)(*inputs), theirs.train(train)(*twins)
        close(out.detach().numpy(), wanted.detach().numpy(), tolerance, trial)
        if out.requires_grad and np.all(np.isfinite(out.detach().numpy())):
            g = np.asarray(rng.standard_normal(out.shape))
            out.backward(ag.Tensor(g.copy()))
            wanted.backward(torch.from_numpy(g))
    for t, twin in zip([*inputs, *layer.parameters()], [*twins, *theirs.parameters()], strict=True):
        if twin.grad is not None:
            close(gradient(t), twin.grad.numpy(), 10 * tolerance, f"{trial}: gradient")
    for key, value in layer.state_dict().items():  # the running statistics
        close(value.numpy(), theirs.state_dict()[key].numpy(), 1e-10, f"{trial}: {key}")


def test_every_layer_is_in_the_table() -> None:
    classes = {n for n, c in vars(nn).items() if inspect.isclass(c) and issubclass(c, nn.Module) and not n.startswith("_")}
    exempt = {name for names in OTHERWISE.values() for name in names.split()}
    assert classes - exempt - {"Parameter"} == set(LAYERS)


# What the table leaves out


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["BatchNorm", "InstanceNorm"])
@pytest.mark.parametrize("momentum", [0.3, None])
def test_running_statistics(kind: str, axes: int, momentum: float | None, rng: np.random.Generator) -> None:
    """They follow the batches by the momentum, or their plain mean; in evaluation they replace the batch's own."""
    if kind == "InstanceNorm" and momentum is None:
        pytest.skip("there the momentum is a number")
    layer = getattr(nn, f"{kind}{axes}d")(2, momentum=momentum, track_running_stats=True, affine=True).double()
    mean, var = np.zeros(2), np.ones(2)
    rest = tuple(range(2, 2 + axes))
    for n in range(1, 4):
        x = rng.standard_normal((3, 2, *(3, 2, 2)[:axes])) * n + 1
        layer(ag.Tensor(x.copy()))
        m = momentum if momentum is not None else 1 / n
        if kind == "BatchNorm":
            now = x.mean((0, *rest)), x.var((0, *rest), ddof=1)
        else:
            now = x.mean(rest).mean(0), x.var(rest, ddof=1).mean(0)
        mean, var = (1 - m) * mean + m * now[0], (1 - m) * var + m * now[1]
        close(layer.running_mean.numpy(), mean, 1e-12, "mean")
        close(layer.running_var.numpy(), var, 1e-12, "variance")
    assert layer.num_batches_tracked.item() == (3 if kind == "BatchNorm" else layer.num_batches_tracked.item())
    layer.eval()
    x = rng.standard_normal((1, 2, *(1, 1, 1)[:axes]))
    shape = (1, -1, *[1] * axes)
    close(layer(ag.Tensor(x.copy())).detach().numpy(), (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5), 1e-12, "eval")
    close(layer.running_mean.numpy(), mean, 1e-12, "evaluation leaves them as they are")
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0] and layer.running_var.tolist() == [1, 1]


@given(data=st.data())
@settings(max_examples=examples(10))
def test_embedding_options(data: Any) -> None:
    """The padding row gets no gradient; by frequency each row's gradient is divided by how often it was taken."""
    rows = data.draw(st.integers(2, 5))
    padding = data.draw(st.none() | st.integers(-rows, rows - 1))
    frequency = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    layer = nn.Embedding(rows, 3, padding_idx=padding, scale_grad_by_freq=frequency).double()
    if padding is not None:
        assert layer.padding_idx == padding % rows
        assert not layer.weight[padding].detach().numpy().any()
    index = rng.integers(0, rows, (4, 2))
    g = rng.standard_normal((4, 2, 3))
    out = layer(ag.tensor(index))
    close(out.detach().numpy(), layer.weight.detach().numpy()[index], 0, "value")
    out.backward(ag.tensor(g))
    wanted = np.zeros((rows, 3))
    for at in np.ndindex(index.shape):
        row = index[at]
        if padding is None or row != padding % rows:
            wanted[row] += g[at] / (np.count_nonzero(index == row) if frequency else 1)
    close(layer.weight.grad.numpy(), wanted, 1e-12, "gradient")


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
def test_embedding_shortens_long_rows(order: float, rng: np.random.Generator) -> None:
    weight = rng.standard_normal((4, 3))
    layer = nn.Embedding.from_pretrained(ag.tensor(weight), max_norm=1.0, norm_type=order)
    assert not layer.weight.requires_grad
    out = layer(ag.tensor([0, 2, 0])).numpy()
    for row in (0, 2):
        norm = np.sum(np.abs(weight[row]) ** order) ** (1 / order)
        weight[row] /= (norm + 1e-7) if norm > 1 else 1
    close(out, weight[[0, 2, 0]], 1e-12, "value")
    close(layer.weight.numpy(), weight, 1e-12, "the table itself, where it was read")


@pytest.mark.parametrize("name", ["MaxPool1d", "MaxPool2d", "MaxPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"])
def test_pooling_tells_where_the_largest_lay(name: str, rng: np.random.Generator) -> None:
    axes = int(name[-2])
    x = rng.standard_normal((2, 3, *(5, 4, 6)[:axes]))
    out, index = getattr(nn, name)(2, return_indices=True)(ag.Tensor(x.copy()))
    close(np.take_along_axis(x.reshape(2, 3, -1), index.numpy().reshape(2, 3, -1), -1).reshape(out.shape), out.numpy(), 0, name)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardsigmoid", "Hardswish", "ReLU6"])
def test_activations_in_place(name: str, rng: np.random.Generator) -> None:
    """They write into their input, and the gradient is that of the others."""
    x = rng.uniform(-4, 4, (3, 4))
    plain = ag.Tensor(x.copy()).requires_grad_()
    wanted = getattr(nn, name)()(plain)
    wanted.sum().backward()
    leaf = ag.Tensor(x.copy()).requires_grad_()
    middle = leaf * 1
    out = getattr(nn, name)(inplace=True)(middle)
    assert out is middle
    close(out.detach().numpy(), wanted.detach().numpy(), 1e-15, name)
    out.sum().backward()
    close(leaf.grad.numpy(), plain.grad.numpy(), 1e-14, name)
    assert "inplace=True" in repr(getattr(nn, name)(inplace=True))


DROPOUTS = {"Dropout": 0, "Dropout1d": 1, "Dropout2d": 2, "Dropout3d": 3, "AlphaDropout": 0}


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout(name: str) -> None:
    """In training, elements (or whole channels) go, and the rest grows to keep the mean; in evaluation nothing happens."""
    axes = DROPOUTS[name]
    x = ag.ones(40, 50, *[2] * axes, dtype=ag.float64, requires_grad=True)
    layer = getattr(nn, name)(0.3)
    assert repr(layer) == f"{name}(p=0.3, inplace=False)"
    out = layer(x)
    if name == "AlphaDropout":
        values = np.unique(out.detach().numpy().round(12))
        assert len(values) == 2
        normal = layer(ag.randn(200, 200, dtype=ag.float64))
        assert abs(normal.mean().item()) < 0.05 and abs(normal.std().item() - 1) < 0.05
    else:
        assert set(np.unique(out.detach().numpy().round(12))) == {0.0, round(1 / 0.7, 12)}
        kept = (out.detach().numpy() != 0).reshape(40 * 50, -1)
        assert (kept.all(1) | ~kept.any(1)).all()
        assert abs(kept[:, 0].mean() - 0.7) < 0.06
        out.sum().backward()
        close(x.grad.numpy(), out.detach().numpy(), 1e-15, "the gradient has the same mask")
    layer.eval()
    assert layer(x) is x or ag.equal(layer(x), x)
    with pytest.raises(ValueError, match="dropout probability"):
        getattr(nn, name)(1.5)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError),
        (lambda: nn.Conv2d(4, 4, 3, groups=0), ValueError),
        (lambda: nn.Conv2d(1, 1, 3, padding="even"), ValueError),
        (lambda: nn.Conv2d(1, 1, 3, padding="same", stride=2), ValueError),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ValueError),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ValueError),
        (lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"), ValueError),
        (lambda: nn.GroupNorm(2, 3), ValueError),
        (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError),
        (lambda: nn.TripletMarginLoss(margin=0.0), ValueError),
        (lambda: nn.BatchNorm1d(2)(ag.ones(2)), ValueError),
        (lambda: nn.BatchNorm2d(2)(ag.ones(2, 2)), ValueError),
        (lambda: nn.BatchNorm1d(2)(ag.ones(1, 2)), ValueError),
        (lambda: nn.Linear(2, 3)(ag.ones(2, 3)), RuntimeError),
        (lambda: nn.Conv1d(2, 3, 3)(ag.ones(1, 3, 5)), RuntimeError),
        (lambda: nn.MaxPool2d(3)(ag.ones(1, 1, 2, 2)), RuntimeError),
        (lambda: nn.Unflatten(1, (2, 2))(ag.ones(1, 3)), RuntimeError),
    ],
)
def test_what_cannot_be_is_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()
