"""Loading a `state_dict`: everything is checked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` did not find in the state, and what it found too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load(
    module: Any, given: Mapping[str, Any], own: dict[str, Tensor], strict: bool, assign: bool
) -> IncompatibleKeys:
    """Copy the values in `given` into the tensors in `own`; see `Module.load_state_dict`."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given)}.")
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    problems = []
    if strict and unexpected:
        problems.append(f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    if strict and missing:
        problems.append(f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    found: dict[str, np.ndarray] = {}
    for name, tensor in own.items():
        if name not in given:
            continue
        value = given[name]
        if not hasattr(value, "__array__"):
            problems.append(f"While copying {name!r}, expected a Tensor or an array, but received {type(value)}.")
            continue
        found[name] = value._data if isinstance(value, Tensor) else np.asarray(value)
        if found[name].shape != tensor._data.shape:
            problems.append(
                f"size mismatch for {name}: copying a param with shape {found[name].shape} from checkpoint, the "
                f"shape in current model is {tensor._data.shape}."
            )
    if problems:
        listed = "".join(f"\n\t{problem}" for problem in problems)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:{listed}")
    for name, array in found.items():
        if assign:
            own[name]._data = array
        else:
            np.copyto(own[name]._data, array, casting="unsafe")
        own[name]._bump()
    return IncompatibleKeys(missing, unexpected)


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
