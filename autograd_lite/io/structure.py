"""Nested objects as named arrays and one text.

The text is JSON. Lists, strings, finite numbers, booleans and null stand for themselves; an object
``{tag: value}`` of one entry stands for everything else:

==================  ========================================================================
``tensor, array``   the name of the array
``dict``            a list of [key, value]; also ``OrderedDict``
``tuple``           a list of the items
``float``           ``"nan"``, ``"inf"`` or ``"-inf"``
``bytes``           base64
==================  ========================================================================
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Size, Tensor

KEY = "autograd_lite.structure"
"""The name under which files keep the text."""
METADATA = "__metadata__"
"""The name under which a safetensors header keeps what is not a tensor."""

_ARRAYS = frozenset("?bBhHiIlLqQefd")


def flatten(obj: Any) -> tuple[dict[str, np.ndarray], str]:
    """The arrays in `obj`, named by their paths, and the text from which `unflatten` rebuilds it."""
    arrays: dict[str, np.ndarray] = {}

    def add(array: np.ndarray, path: tuple[Any, ...]) -> str:
        name = plain = "/".join(map(str, path)) or "value"
        number = 1
        while name in arrays or name in (KEY, METADATA):
            number += 1
            name = f"{plain}#{number}"
        arrays[name] = array
        return name

    def encode(value: Any, path: tuple[Any, ...]) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, Tensor):
            return {"tensor": add(value._data, path)}
        if isinstance(value, np.ndarray) and value.dtype.char in _ARRAYS:
            return {"array": add(value, path)}
        if isinstance(value, (np.bool_, np.integer, np.floating)):
            return encode(value.item(), path)
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode()}
        if kind is list:
            return [encode(item, (*path, i)) for i, item in enumerate(value)]
        if kind is tuple or kind is Size:
            return {"tuple": [encode(item, (*path, i)) for i, item in enumerate(value)]}
        if kind in (dict, OrderedDict, Counter, defaultdict):
            tag = "OrderedDict" if kind is OrderedDict else "dict"
            return {tag: [[encode_key(k, path), encode(v, (*path, k))] for k, v in value.items()]}
        raise TypeError(f"save: {_place(path)} is of type {kind.__name__}, which cannot be saved")

    def encode_key(key: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(key, (Tensor, np.ndarray)):
            raise TypeError(f"save: {_place(path)} has a key of type {type(key).__name__}")
        return encode(key, path)

    try:
        return arrays, json.dumps(encode(obj, ()), separators=(",", ":"))
    except RecursionError:
        raise ValueError("save: the object is nested too deeply, or contains itself") from None


def _place(path: tuple[Any, ...]) -> str:
    return "obj" + "".join(f"[{step!r}]" for step in path)


def unflatten(text: str, arrays: dict[str, np.ndarray], tensor: Callable[[np.ndarray, str], Tensor], name: str) -> Any:
    """The object from which `flatten` made `text` and `arrays`.

    Raises
    ------
    RuntimeError
        If the text is not what `flatten` writes.
    """

    def array(key: Any) -> np.ndarray:
        if not isinstance(key, str) or key not in arrays:
            raise ValueError(f"there is no array {key!r}")
        return arrays[key]

    def hashable(key: Any) -> Any:
        try:
            hash(key)
        except TypeError as error:
            raise ValueError(f"not a key: {error}") from None
        return key

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return [decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise ValueError(f"expected an object of one entry, found {len(value)}")
        ((tag, content),) = value.items()
        if tag == "tensor":
            return tensor(array(content), f"{name}: {content!r}")
        if tag == "array":
            return array(content)
        if tag == "float" and content in ("nan", "inf", "-inf"):
            return float(content)
        if tag == "bytes" and isinstance(content, str):
            return base64.b64decode(content, validate=True)
        if tag == "tuple" and isinstance(content, list):
            return tuple(decode(item) for item in content)
        if tag in ("dict", "OrderedDict") and isinstance(content, list):
            if not all(isinstance(entry, list) and len(entry) == 2 for entry in content):
                raise ValueError("the entries of a dict must be pairs")
            pairs = [(hashable(decode(key)), decode(item)) for key, item in content]
            return OrderedDict(pairs) if tag == "OrderedDict" else dict(pairs)
        raise ValueError(f"unknown entry {tag!r}")

    try:
        return decode(json.loads(text))
    except RecursionError:
        raise RuntimeError(f"{name}: the structure is nested too deeply") from None
    except ValueError as error:
        raise RuntimeError(f"{name}: the description of the structure is corrupt: {error}") from error
