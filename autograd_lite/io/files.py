"""Opening files, and replacing them all at once."""

from __future__ import annotations

import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO

ARCHIVE_ERRORS = (
    *(ValueError, TypeError, LookupError, ArithmeticError, EOFError, OSError, RuntimeError, Warning),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
"""What `zipfile`, `pickletools` and `numpy.lib.format` raise at a file that is not what they expect."""


@contextmanager
def opened(f: str | os.PathLike[str] | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """A binary file to read from, and how to call it in messages."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            yield file, os.fspath(f)
    else:
        yield f, str(getattr(f, "name", f"<{type(f).__name__}>"))


def remaining(file: BinaryIO) -> int:
    """Bytes from the present position to the end."""
    position = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(position)
    return end - position


@contextmanager
def atomic_write(path: str) -> Iterator[BinaryIO]:
    """A file to write; it takes the place of `path` when the block is done and the data are on disk.

    If the block fails, the file at `path` stays as it was.
    """
    target = os.path.realpath(path)  # a symbolic link stays one
    temporary = f"{target}.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if hasattr(os, "O_DIRECTORY"):
        directory = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def read_into(file: IO[bytes], array: Any) -> int:
    """Fill a contiguous uint8 array from `file`; returns how many bytes there were."""
    view = memoryview(array)
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return done
