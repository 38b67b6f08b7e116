"""Every public operation has a row in the op table, or stands in the list of those that need none."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import autograd_lite as ag
from tests.optable import ROWS

TABLED = {name for row in ROWS for name in (row.name, *row.aliases)}

NO_ROW: dict[str, str] = {
    "creation": "arange as_tensor empty empty_like eye from_numpy full full_like linspace logspace ones ones_like tensor zeros "
    "zeros_like tril_indices triu_indices",
    "random, tested in test_random": "Generator bernoulli get_rng_state initial_seed manual_seed multinomial normal rand rand_like randint "
    "randint_like randn randn_like randperm seed set_rng_state default_generator",
    "modes and settings": "enable_grad inference_mode no_grad set_grad_enabled is_grad_enabled is_inference_mode_enabled "
    "get_default_dtype set_default_dtype get_num_threads set_num_threads set_printoptions",
    "types and queries": "Size Tensor device dtype broadcast_shapes can_cast promote_types result_type finfo iinfo is_tensor "
    "is_floating_point numel is_nonzero",
    "saving and errors": "save load LinAlgError linalg.LinAlgError",
    "layouts by memory, tested with the views": "as_strided",
    "makes operations, tested in test_custom": "elementwise",
    "tested as layers in test_nn_layers": "nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d "
    "nn.functional.alpha_dropout",
    "random, tested in test_random too": "nn.functional.gumbel_softmax",
}
EXEMPT = {name for names in NO_ROW.values() for name in names.split()}


def public() -> list[str]:
    """The functions of ``ag``, ``ag.linalg`` and ``ag.nn.functional``, by their names below ``ag``."""
    found = [n for n in ag.__all__ if callable(getattr(ag, n)) and not isinstance(getattr(ag, n), ag.dtype)]
    for module in ("linalg", "nn.functional"):
        place: Any = ag
        for part in module.split("."):
            place = getattr(place, part)
        names = getattr(place, "__all__", None) or [n for n in vars(place) if not n.startswith("_") and inspect.isfunction(vars(place)[n])]
        found += [f"{module}.{n}" for n in names]
    return sorted(found)


def covered(name: str) -> bool:
    if name in TABLED or name in EXEMPT or name.endswith("_"):
        return True
    function = ag
    for part in name.split("."):
        function = getattr(function, part)
    for other in TABLED:
        place: Any = ag
        for part in other.split("."):
            place = getattr(place, part, None)
        if place is function:
            return True  # another name of the same function
    return False


@pytest.mark.parametrize("name", public())
def test_public_operation_has_a_row(name: str) -> None:
    assert covered(name), f"ag.{name} has no row in tests/optable"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ident)
def test_row_names_something_public(row: Any) -> None:
    place: Any = ag
    for part in row.name.split("."):
        assert hasattr(place, part), f"ag.{row.name} does not exist"
        place = getattr(place, part)


@pytest.mark.parametrize("name", sorted(EXEMPT))
def test_exception_names_something_public(name: str) -> None:
    assert name in public() or (not name.startswith("nn.") and hasattr(ag, name.split(".")[0]))


def test_random_operations_have_the_right_gradient() -> None:
    """Dropout: what is kept is scaled, and the gradient goes where the value went."""
    for name in ("dropout", "dropout2d"):
        if not hasattr(ag.nn.functional, name):
            continue
        x = ag.full((50, 8, 4, 4), 2.0, dtype=ag.float64, requires_grad=True)
        y = getattr(ag.nn.functional, name)(x, 0.25)
        y.sum().backward()
        kept = y.detach()._data != 0
        assert abs(kept.mean() - 0.75) < 0.1
        assert ((y.detach()._data == 0) | (abs(y.detach()._data - 2 / 0.75) < 1e-12)).all()
        assert x.grad is not None and (abs(x.grad._data - kept / 0.75) < 1e-12).all()
