"""PyTorch's ``.pth`` files, read without PyTorch and without running anything that is in them.

Such a file is an uncompressed zip archive: ``<root>/data.pkl``, a pickle in which tensors refer to storages
by number, and ``<root>/data/<number>``, the storages. A pickle is a program for a small stack machine, and
the usual machine imports and calls what the program names. This one has no import and no call: its few
names stand for values of its own, and the program stops with an error at any other.
"""

from __future__ import annotations

import pickletools
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

from ..kernels import memory
from ..tensor import Size, Tensor
from .files import ARCHIVE_ERRORS, read_into, remaining
from .safetensors import widen_bfloat16

STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _Name:
    """What a name in the pickle stands for; only `_Machine` knows what to make of it."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Arguments(tuple[Any, ...]):
    """A tuple with names or storages in it, which may only serve as arguments."""

    __slots__ = ()


_INTERNAL = (_Name, _Arguments, np.ndarray)


_REBUILD_TENSOR, _REBUILD_PARAMETER = _Name("_rebuild_tensor_v2"), _Name("_rebuild_parameter")
_ORDERED_DICT, _SIZE = _Name("OrderedDict"), _Name("Size")
_NAMES = {
    "torch._utils _rebuild_tensor_v2": _REBUILD_TENSOR,
    "torch._utils _rebuild_parameter": _REBUILD_PARAMETER,
    "collections OrderedDict": _ORDERED_DICT,
    "torch Size": _SIZE,
} | {f"torch {name}": _Name(name) for name in STORAGES}

_MARK = object()
_VALUES = frozenset(
    ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"]
    + ["UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"]
)
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUT = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GET = frozenset(["GET", "BINGET", "LONG_BINGET"])
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """Runs a pickle that builds dicts, lists, tuples, strings, numbers and tensors.

    Parameters
    ----------
    storage : function of (name of the storage class, key, number of elements)
        The array of a storage.
    tensor : function of (array, where)
        A tensor of an array.
    """

    def __init__(
        self,
        storage: Callable[[str, str, int], np.ndarray],
        tensor: Callable[[np.ndarray, str], Tensor],
    ) -> None:
        self._storage = storage
        self._tensor = tensor
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        for opcode, argument, position in pickletools.genops(program):
            try:
                if opcode.name == "STOP":
                    (result,) = self._values(self._stack)
                    return result
                self._do(opcode.name, argument)
            except UnpicklingError as error:
                raise UnpicklingError(f"{error} (byte {position} of the pickle)") from None
            except (IndexError, KeyError, ValueError, TypeError) as error:
                raise UnpicklingError(f"corrupt pickle: {opcode.name} at byte {position} fails ({error!r})") from error
        raise UnpicklingError("corrupt pickle: it has no end")

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _PUT:
            self._memo[argument] = self._plain(stack[-1])
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._plain(stack[-1])
        elif name in _GET:
            stack.append(self._memo[argument])
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_TUPLE":
            stack.append(())
        elif name in _TUPLES:
            self._push_tuple(self._pop(_TUPLES[name]))
        elif name == "TUPLE":
            self._push_tuple(self._pop_to_mark())
        elif name == "LIST":
            stack.append(self._values(self._pop_to_mark()))
        elif name == "DICT":
            self._set_items({}, self._pop_to_mark(), push=True)
        elif name == "APPEND":
            (item,) = self._pop(1)
            self._top(list).extend(self._values([item]))
        elif name == "APPENDS":
            items = self._pop_to_mark()
            self._top(list).extend(self._values(items))
        elif name == "SETITEM":
            items = self._pop(2)
            self._set_items(self._top(dict), items)
        elif name == "SETITEMS":
            items = self._pop_to_mark()
            self._set_items(self._top(dict), items)
        elif name == "GLOBAL":
            stack.append(self._named(argument))
        elif name == "STACK_GLOBAL":
            stack.append(self._named(" ".join(self._strings(self._pop(2)))))
        elif name == "BINPERSID":
            (reference,) = self._pop(1)
            stack.append(self._stored(reference))
        elif name == "REDUCE":
            stack.append(self._made(*self._pop(2)))
        elif name == "BUILD":
            # A module's state_dict carries the versions of its layers as an attribute: not needed here.
            self._pop(1)
            self._top(OrderedDict)
        else:
            raise UnpicklingError(f"the pickle uses {name}, which is not needed for tensors")

    # The stack

    @staticmethod
    def _plain(value: Any) -> Any:
        if value is _MARK:
            raise ValueError("a mark is not a value")
        return value

    @staticmethod
    def _values(items: list[Any]) -> list[Any]:
        if any(item is _MARK or isinstance(item, _INTERNAL) for item in items):
            raise UnpicklingError("the pickle holds a name, a storage or a mark where a value is expected")
        return items

    def _push_tuple(self, items: list[Any]) -> None:
        self._stack.append((_Arguments if any(isinstance(i, _INTERNAL) for i in items) else tuple)(items))

    def _pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("the stack is empty")
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return [self._plain(item) for item in items]

    def _pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"expected {kind.__name__}, found {type(self._stack[-1]).__name__}")
        return self._stack[-1]

    def _set_items(self, target: dict[Any, Any], items: list[Any], push: bool = False) -> None:
        keys, values = items[::2], items[1::2]
        if not all(key is None or type(key) in (str, int, float, bool) for key in keys):
            raise TypeError("keys must be strings or numbers")
        target.update(zip(keys, self._values(values), strict=True))
        if push:
            self._stack.append(target)

    @staticmethod
    def _strings(items: list[Any]) -> list[str]:
        if not all(type(item) is str for item in items):
            raise TypeError("a name must be a string")
        return items

    # Names, storages, tensors

    @staticmethod
    def _named(name: str) -> _Name:
        if name not in _NAMES:
            raise UnpicklingError(
                f"the pickle asks for {name.replace(' ', '.')!r}; only tensors, dicts, lists, tuples, "
                "strings and numbers are read (save a state_dict, not a whole object)"
            )
        return _NAMES[name]

    def _stored(self, reference: Any) -> np.ndarray:
        if type(reference) is not _Arguments or len(reference) != 5:
            raise ValueError("not a reference to a storage")
        kind, storage, key, _, size = reference
        if type(kind) is not str or kind != "storage" or not isinstance(storage, _Name):
            raise ValueError("not a reference to a storage")
        if storage.name not in STORAGES or type(key) is not str or type(size) is not int or size < 0:
            raise ValueError("not a storage")
        return self._storage(storage.name, key, size)

    def _made(self, called: Any, arguments: Any) -> Any:
        if not isinstance(called, _Name) or not isinstance(arguments, tuple):
            raise UnpicklingError("the pickle calls something that is not a function known here")
        if called is _ORDERED_DICT:
            if arguments:
                raise UnpicklingError("OrderedDict with arguments is not expected")
            return OrderedDict()
        if called is _SIZE:
            (extents,) = arguments
            return Size(_counts(extents))
        if called is _REBUILD_PARAMETER:
            data = arguments[0]
            if not isinstance(data, Tensor):
                raise TypeError("a parameter must be a tensor")
            return data
        if called is _REBUILD_TENSOR:
            return self._rebuilt(*arguments[:4])
        raise UnpicklingError(f"{called.name!r} cannot be called")

    def _rebuilt(self, storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
        if not isinstance(storage, np.ndarray):
            raise TypeError("a tensor must have a storage")
        shape, strides = _counts(size), _counts(stride)
        (begin,) = _counts((offset,))
        if len(shape) != len(strides) or len(shape) > 32:
            raise ValueError(f"a shape of {len(shape)} and strides of {len(strides)} dimensions")
        elements, last = 1, begin
        for extent, step in zip(shape, strides, strict=True):
            elements *= extent
            last += (extent - 1) * step
        if elements == 0:
            return self._tensor(np.empty(shape, storage.dtype), "a tensor")
        if last >= storage.size or elements > storage.size:
            raise ValueError(
                f"a tensor of shape {shape}, strides {strides} and offset {begin} does not fit its storage "
                f"of {storage.size} elements"
            )
        view = np.lib.stride_tricks.as_strided(
            storage[begin:], shape, tuple(step * storage.itemsize for step in strides)
        )
        return self._tensor(view, "a tensor")


def _counts(values: Any) -> tuple[int, ...]:
    if type(values) not in (tuple, Size) or not all(type(v) is int and 0 <= v < 1 << 62 for v in values):
        raise ValueError("sizes must be non-negative integers")
    return tuple(values)


def recognises(file: BinaryIO, name: str) -> bool:
    """Whether the archive is PyTorch's (and not NumPy's)."""
    position = file.tell()
    try:
        with zipfile.ZipFile(file) as archive:
            return any(entry.endswith("/data.pkl") for entry in archive.namelist())
    except ARCHIVE_ERRORS as error:
        raise RuntimeError(f"{name}: a truncated or corrupt zip archive: {error}") from error
    finally:
        file.seek(position)


def read(file: BinaryIO, name: str, tensor: Callable[[np.ndarray, str], Tensor]) -> Any:
    """What was saved; `tensor` makes tensors of arrays.

    Raises
    ------
    RuntimeError
        If the archive is truncated or corrupt.
    pickle.UnpicklingError
        If the pickle contains anything that this reader does not know.
    """
    length = remaining(file)
    arrays: dict[str, tuple[str, np.ndarray]] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            total = sum(info.file_size for info in entries.values())
            if len(entries) != len(archive.infolist()) or total > length:
                raise ValueError("entries overlap")
            if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
                raise ValueError("entries are compressed")
            (program,) = (entry for entry in entries if entry.endswith("/data.pkl"))
            root = program.removesuffix("data.pkl")
            order = "little"
            if root + "byteorder" in entries:
                order = archive.read(root + "byteorder").decode("ascii")

            def storage(kind: str, key: str, size: int) -> np.ndarray:
                if key not in arrays:
                    arrays[key] = (
                        kind,
                        _read_storage(archive, entries, f"{root}data/{key}", kind, size, order),
                    )
                known, array = arrays[key]
                if known != kind or array.size != size:
                    raise ValueError(f"storage {key} is referred to in two ways")
                return array

            try:
                return _Machine(storage, tensor).run(archive.read(program))
            except UnpicklingError as error:
                raise UnpicklingError(f"{name}: {error}") from error
    except UnpicklingError:
        raise
    except ARCHIVE_ERRORS as error:
        raise RuntimeError(f"{name}: not a PyTorch file, or a corrupt one: {error}") from error


def _read_storage(
    archive: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    entry: str,
    kind: str,
    size: int,
    order: str,
) -> np.ndarray:
    code = STORAGES[kind]
    dtype = np.dtype("u2" if code == "bf16" else code)
    if entry not in entries:
        raise zipfile.BadZipFile(f"{entry} is missing")
    if entries[entry].file_size != size * dtype.itemsize:
        raise zipfile.BadZipFile(
            f"{entry} has {entries[entry].file_size} bytes, but {size} elements of {kind} are expected"
        )
    array = memory.empty((size,), dtype)
    with archive.open(entry) as data:
        if read_into(data, array.view(np.uint8)) != array.nbytes or data.read(1):
            raise zipfile.BadZipFile(f"{entry} is incomplete")
    if code == "?" and size and array.view(np.uint8).max() > 1:
        raise zipfile.BadZipFile(f"{entry} has booleans other than 0 and 1")
    if order != sys.byteorder:
        array.byteswap(inplace=True)
    if code == "bf16":
        return widen_bfloat16(array)
    return array.astype(np.float32) if code == "f2" else array
