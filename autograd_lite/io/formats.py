"""`save` and `load`: which format a file is in, and what becomes of the arrays in it."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any, BinaryIO

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from . import npz, pth, safetensors
from .files import atomic_write, opened
from .structure import KEY, METADATA, flatten, unflatten


def save(obj: Any, f: str | os.PathLike[str] | BinaryIO) -> None:
    """Save tensors, or a whole training state.

    The file is in the safetensors format, or in NumPy's ``npz`` format if its name ends so. A flat dict of
    tensors (a module's ``state_dict()``) becomes a plain file of either format, which other programs read
    too. Anything nested (dicts, lists and tuples of tensors, arrays, numbers, strings, bytes and None: an
    optimizer's state, a random generator's, ...) has its tensors stored under names that are their paths,
    and its structure as JSON beside them.

    The file is written under another name, and renamed when it is complete and on disk: whatever happens
    in between, the old file stays whole. Only values are saved: loaded tensors do not require gradients.

    Parameters
    ----------
    obj : nested dicts, lists and tuples of Tensor, ndarray, int, float, bool, str, bytes and None
    f : path or binary file object

    Raises
    ------
    TypeError
        If there is something else in `obj`; the message says where. Nothing has been written then.
    ValueError
        If `obj` contains itself.

    Examples
    --------
    >>> import io
    >>> import autograd_lite as ag
    >>> file = io.BytesIO()
    >>> ag.save({"epoch": 3, "weights": [ag.zeros(2), ag.ones(1)]}, file)
    >>> _ = file.seek(0)
    >>> ag.load(file)
    {'epoch': 3, 'weights': [tensor([0., 0.]), tensor([1.])]}
    """
    if type(obj) in (dict, OrderedDict) and _is_plain(obj):
        arrays, structure = {name: tensor._data for name, tensor in obj.items()}, None
    else:
        arrays, structure = flatten(obj)
    name = os.fspath(f) if isinstance(f, (str, os.PathLike)) else ""
    write = npz.write if name.endswith(".npz") else safetensors.write
    if name:
        with atomic_write(name) as file:
            write(file, arrays, structure)
    else:
        write(f, arrays, structure)  # type: ignore[arg-type]


def _is_plain(obj: dict[Any, Any]) -> bool:
    names_are_free = obj.keys().isdisjoint({KEY, METADATA})
    return names_are_free and all(type(name) is str and isinstance(value, Tensor) for name, value in obj.items())


def load(f: str | os.PathLike[str] | BinaryIO, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Load what `save` has written, or a safetensors, npz or PyTorch file of other origin.

    The format is told from the content. No file can make this function run code: PyTorch's ``.pth`` files
    (of version 1.6 or later) are read by an interpreter that knows dicts, lists, tuples, strings, numbers
    and tensors, and nothing else. There is no float16 and no bfloat16 here: tensors of these types become
    float32, which holds all their values.

    Parameters
    ----------
    f : path or binary file object
    map_location, weights_only
        Accepted for PyTorch's sake: tensors are always on the CPU, and objects are never unpickled.

    Returns
    -------
    What was saved. A plain file of tensors becomes a dict.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RuntimeError
        If the file is truncated, corrupt or of another format.
    pickle.UnpicklingError
        If a PyTorch file contains anything but the above.
    TypeError
        If a tensor has a dtype that does not exist here (complex, unsigned of more than 8 bits, float8).

    Examples
    --------
    >>> import io
    >>> import autograd_lite as ag
    >>> file = io.BytesIO()
    >>> ag.save({"weight": ag.ones(1, 2)}, file)
    >>> _ = file.seek(0)
    >>> ag.load(file)
    {'weight': tensor([[1., 1.]])}
    """
    with opened(f) as (file, name):
        start = file.read(9)
        file.seek(-len(start), os.SEEK_CUR)
        if start.endswith(b"{") and len(start) == 9:  # the size of a header may begin like anything
            arrays, structure = safetensors.read(file, name)
        elif start.startswith(b"PK"):
            if pth.recognises(file, name):
                return pth.read(file, name, _tensor)
            arrays, structure = npz.read(file, name)
        elif start.startswith(b"\x80"):
            raise RuntimeError(
                f"{name}: this is a pickle, or a PyTorch file from before version 1.6, which cannot be read "
                "without running the code in it; save it anew with a later PyTorch"
            )
        else:
            arrays, structure = safetensors.read(file, name)
    if structure is None:
        return {key: _tensor(array, f"{name}: {key!r}") for key, array in arrays.items()}
    return unflatten(structure, arrays, _tensor, name)


def _tensor(array: np.ndarray, where: str) -> Tensor:
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    try:
        dtypes.from_numpy_dtype(array.dtype)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from None
    return Tensor(array)
