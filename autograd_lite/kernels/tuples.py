"""Arrays in a tuple, read by kernels straight from the interpreter's own structures.

Numba would unbox a tuple of arrays one by one, and compile anew for every length. These functions take the address of
the tuple instead (CPython's layout) and read the arrays' descriptors (NumPy's stable ``PyArrayObject`` ABI). Nothing is
cached, hence nothing can go stale when an array is replaced.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .jit import JIT, kernel

_ITEMS = tuple.__basicsize__
_DATA = object.__basicsize__
_TYPE, _NDIM, _SHAPE, _DTYPE, _FLAGS = _DATA - 8, _DATA + 8, _DATA + 16, _DATA + 40, _DATA + 48
_KIND = _DATA + 8  # in a dtype object: kind, type character and byte order, then the type's number
_USABLE = 0x0001 | 0x0100 | 0x0400  # C-contiguous, aligned, writable


def _check_layout() -> None:
    """Refuse to load where arrays are not laid out as the kernels read them."""
    probe = (None, np.zeros((3, 5), np.float32))
    word, half = ctypes.c_int64.from_address, ctypes.c_int32.from_address
    array = word(id(probe) + _ITEMS + 8).value
    sound = array == id(probe[1]) and (
        word(array + _TYPE).value == id(np.ndarray)
        and word(array + _DATA).value == probe[1].ctypes.data
        and half(array + _NDIM).value == 2
        and word(word(array + _SHAPE).value + 8).value == 5
        and ctypes.string_at(word(array + _DTYPE).value + _KIND, 3) == b"ff="
        and half(array + _FLAGS).value & _USABLE == _USABLE
    )
    if not sound:
        raise ImportError("autograd_lite: this Python lays out tuples or NumPy arrays in an unknown way")


_check_layout()


def _loader(element: ir.Type, result: types.Type) -> Any:
    @intrinsic
    def load(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            return builder.load(builder.inttoptr(args[0], element.as_pointer()))

        return result(types.int64), codegen

    return load


_load_word = _loader(ir.IntType(64), types.int64)
_load_int = _loader(ir.IntType(32), types.int32)
_load_float = _loader(ir.FloatType(), types.float32)


def _incrementer() -> Any:
    @intrinsic
    def increment(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], ir.FloatType().as_pointer())
            builder.store(builder.fadd(builder.load(pointer), ir.Constant(ir.FloatType(), 1.0)), pointer)
            return context.get_dummy_value()

        return types.void(types.int64), codegen

    return increment


_increment = _incrementer()
"""``_increment(address)`` adds one to the float32 there."""


def _viewer() -> Any:
    @intrinsic
    def view(typingctx: Any, address: Any, size: Any, like: Any) -> Any:
        array_type = types.Array(like.dtype, 1, "C")

        def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> Any:
            from numba.np.arrayobj import make_array, populate_array  # slow to import, and needed to compile only

            array = make_array(array_type)(context, builder)
            itemsize = context.get_constant(types.intp, like.dtype.bitwidth // 8)
            data = builder.inttoptr(args[0], array.data.type)
            populate_array(array, data, [args[1]], [itemsize], itemsize, meminfo=None)
            return array._getvalue()

        return array_type(types.int64, types.int64, like), codegen

    return view


_view = _viewer()
"""``_view(address, size, like)``: the elements at `address`, of the dtype of `like`, as a flat array."""


if JIT:

    @kernel(internal=True)
    def size_of(arrays: int, index: int) -> int:
        array = _load_word(arrays + _ITEMS + 8 * index)
        shape = _load_word(array + _SHAPE)
        size = 1
        for axis in range(_load_int(array + _NDIM)):
            size *= _load_word(shape + 8 * axis)
        return size

    @kernel(internal=True)
    def usable(arrays: int, index: int, model: int, last: int) -> bool:
        """Whether entry `index` is an array as the kernels need it, of the dtype of entry `model`.

        That is: an object of the type of entry `last`, C-contiguous, aligned and writable.
        """
        array = _load_word(arrays + _ITEMS + 8 * index)
        if _load_word(array + _TYPE) != _load_word(_load_word(arrays + _ITEMS + 8 * last) + _TYPE):
            return False
        other = _load_word(arrays + _ITEMS + 8 * model)
        if _load_word(_load_word(array + _DTYPE) + _KIND) != _load_word(_load_word(other + _DTYPE) + _KIND):
            return False
        return _load_int(array + _FLAGS) & _USABLE == _USABLE

    @kernel(internal=True)
    def _address(arrays: int, index: int) -> int:
        """Where the elements of entry `index` of the tuple at address `arrays` begin."""
        return _load_word(_load_word(arrays + _ITEMS + 8 * index) + _DATA)

    @kernel(internal=True)
    def piece(arrays: int, index: int, start: int, size: int, like: np.ndarray) -> np.ndarray:
        """Elements ``[start, start + size)`` of entry `index`."""
        return _view(_address(arrays, index) + start * like.itemsize, size, like)

    @kernel(internal=True)
    def count_steps(arrays: int, count: int, width: int) -> None:
        """Add one to the step count of every parameter."""
        for i in range(count):
            _increment(_address(arrays, i * width + width - 1))

    @kernel(internal=True)
    def steps_of(arrays: int, index: int) -> float:
        return np.float64(_load_float(_address(arrays, index)))

else:

    def _entry(arrays: int, index: int) -> np.ndarray:
        return ctypes.cast(arrays, ctypes.py_object).value[index]

    def size_of(arrays: int, index: int) -> int:
        return _entry(arrays, index).size

    def usable(arrays: int, index: int, model: int, last: int) -> bool:
        array = _entry(arrays, index)
        return type(array) is np.ndarray and array.flags.carray and array.dtype == _entry(arrays, model).dtype

    def piece(arrays: int, index: int, start: int, size: int, like: np.ndarray) -> np.ndarray:
        return _entry(arrays, index).reshape(-1)[start : start + size]

    def count_steps(arrays: int, count: int, width: int) -> None:
        for i in range(count):
            _entry(arrays, i * width + width - 1)[...] += 1

    def steps_of(arrays: int, index: int) -> float:
        return float(_entry(arrays, index))
