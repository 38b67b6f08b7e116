"""NumPy's ``npz`` format: a zip archive of ``npy`` files, without pickles."""

from __future__ import annotations

import math
import zipfile
from typing import IO, BinaryIO

import numpy as np

from ..kernels import memory
from .files import ARCHIVE_ERRORS, read_into
from .structure import KEY


def write(file: BinaryIO, arrays: dict[str, np.ndarray], structure: str | None) -> None:
    """Write `arrays`, and the text `structure` as an array of its UTF-8 bytes."""
    if structure is not None:
        arrays = {KEY: np.frombuffer(structure.encode(), np.uint8), **arrays}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read(file: BinaryIO, name: str) -> tuple[dict[str, np.ndarray], str | None]:
    """The arrays of a file, and the text of the structure, if there is one.

    Raises
    ------
    RuntimeError
        If the file is truncated or corrupt, or contains pickled objects.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    raise ValueError(f"{info.filename!r} is not an npy file")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{info.filename!r} is compressed in an unusual way")
                key = info.filename.removesuffix(".npy")
                if key in arrays:
                    raise ValueError(f"{key!r} occurs twice")
                with archive.open(info) as entry:
                    arrays[key] = _read_array(entry, info.file_size)
        structure = arrays.pop(KEY, None)
        text = None if structure is None else structure.tobytes().decode()
    except ARCHIVE_ERRORS as error:
        raise RuntimeError(f"{name}: not an npz file, or a corrupt one: {error}") from error
    return arrays, text


def _read_array(entry: IO[bytes], size: int) -> np.ndarray:
    """An ``npy`` file of `size` bytes; checked before anything is allocated."""
    version = np.lib.format.read_magic(entry)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(entry)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(entry)
    else:
        raise ValueError(f"npy version {version} is not supported")
    if dtype.kind not in "biuf" or dtype.char == "g":
        raise ValueError(f"an array of dtype {dtype}, which is not a number of up to 64 bits")
    if len(shape) > 32 or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - entry.tell():
        raise ValueError(f"an array of shape {shape} and dtype {dtype} in {size} bytes")
    array = memory.empty(shape[::-1] if fortran else shape, dtype)
    raw = array.reshape(-1).view(np.uint8)
    if read_into(entry, raw) != raw.size:
        raise ValueError("an array is incomplete")
    if dtype.kind == "b" and raw.size and raw.max() > 1:
        raise ValueError("booleans other than 0 and 1")
    if not dtype.isnative:
        array = array.byteswap().view(dtype.newbyteorder("="))
    return array.transpose() if fortran else array
