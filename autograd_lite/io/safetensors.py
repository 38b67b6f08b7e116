"""The safetensors format (https://github.com/huggingface/safetensors, version 0.3 and later).

Eight bytes: the size of the header, little-endian. The header: a JSON object that gives each tensor's
dtype, shape and offsets, and text under ``__metadata__``. Then the buffer that the offsets count in,
little-endian too, covered by the tensors without holes and overlaps.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, BinaryIO

import numpy as np

from ..kernels import memory
from .files import read_into, remaining
from .structure import KEY, METADATA

HEADER_LIMIT = 100_000_000
"""Larger headers are refused, as the reference implementation does."""

DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": "u2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U64": "u8",
    "U32": "u4",
    "U16": "u2",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}


def write(file: BinaryIO, arrays: dict[str, np.ndarray], structure: str | None) -> None:
    """Write `arrays`, and the text `structure` under ``__metadata__``."""
    header: dict[str, Any] = {} if structure is None else {METADATA: {KEY: structure}}
    native = {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in arrays.items()}
    # Larger elements first: then all are aligned, in the file and where it is mapped into memory.
    order = sorted(native, key=lambda name: -native[name].itemsize)
    offsets, end = {}, 0
    for name in order:
        offsets[name] = [end, end + native[name].nbytes]
        end += native[name].nbytes
    for name, array in native.items():
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": offsets[name],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise ValueError(f"the safetensors header would have {len(text)} bytes; {HEADER_LIMIT} are allowed")
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in order:
        array = native[name].byteswap() if sys.byteorder == "big" else native[name]
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def read(file: BinaryIO, name: str) -> tuple[dict[str, np.ndarray], str | None]:
    """The arrays of a file, bfloat16 as float32, and the text of the structure, if there is one.

    Raises
    ------
    RuntimeError
        If the file is not exactly what the format prescribes. Nothing large is allocated before the whole
        header has been checked against the size of the file.
    """

    def bad(what: str) -> RuntimeError:
        return RuntimeError(f"{name}: not a safetensors file, or a corrupt one: {what}")

    available = remaining(file)
    if available < 8:
        raise bad(f"it has {available} bytes, and begins with a size of 8")
    size = int.from_bytes(file.read(8), "little")
    if size > min(HEADER_LIMIT, available - 8):
        raise bad(f"the header's size is given as {size} bytes, but {available - 8} follow")
    try:
        header = json.loads(file.read(size).decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise bad(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise bad("the header is not a JSON object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise bad(f"{METADATA} is not an object of strings")

    entries = []
    for key, info in header.items():
        problem = _problem(info)
        if problem:
            raise bad(f"{key!r}: {problem}")
        entries.append((*info["data_offsets"], key, info["dtype"], tuple(info["shape"])))
    entries.sort()
    end = 0
    for begin, stop, key, *_ in entries:
        if begin != end:
            raise bad(f"{key!r} begins at byte {begin} of the data, where {end} is expected")
        end = stop
    if end != available - 8 - size:
        raise bad(f"the tensors take {end} bytes, but there are {available - 8 - size}")

    found = {}
    for begin, stop, key, dtype, shape in entries:
        array = memory.empty(shape, np.dtype(DTYPES[dtype]))
        if read_into(file, array.reshape(-1).view(np.uint8)) != stop - begin:
            raise bad(f"the data of {key!r} are incomplete")
        if dtype == "BOOL" and array.size and array.view(np.uint8).max() > 1:
            raise bad(f"{key!r} has booleans other than 0 and 1")
        if sys.byteorder == "big":
            array.byteswap(inplace=True)
        found[key] = widen_bfloat16(array) if dtype == "BF16" else array
    return {key: found[key] for key in header}, metadata.get(KEY)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _problem(info: Any) -> str | None:
    """What is wrong with a tensor's entry in the header, apart from its place in the data."""
    if not isinstance(info, dict) or info.keys() != {"dtype", "shape", "data_offsets"}:
        return "expected dtype, shape and data_offsets"
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        return f"dtype {dtype!r} is not supported"
    if not isinstance(shape, list) or len(shape) > 32 or not all(map(_count, shape)):
        return f"{shape!r} is not a shape"
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_count, offsets)):
        return f"{offsets!r} is not a pair of offsets"
    if not _count(math.prod(max(extent, 1) for extent in shape) * 8):
        return f"{shape} is too large a shape"
    nbytes = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != nbytes:
        return f"{dtype} of shape {shape} takes {nbytes} bytes, but the offsets are {offsets}"
    return None


def widen_bfloat16(bits: np.ndarray) -> np.ndarray:
    """float32 from the bits of bfloat16, which are its upper half."""
    wide = memory.empty(bits.shape, np.dtype(np.uint32))
    np.left_shift(bits, 16, out=wide, dtype=np.uint32)
    return wide.view(np.float32)
