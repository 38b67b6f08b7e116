"""Arrays that took time to make, kept in the user's cache folder."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np


def data_cache() -> Path:
    """The folder: ``data`` in ``$AUTOGRAD_LITE_CACHE``, else ``autograd_lite/data`` in the user's cache."""
    wanted = os.environ.get("AUTOGRAD_LITE_CACHE")
    if wanted:
        return Path(wanted, "data")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "autograd_lite", "data")


def cached(
    name: str,
    layout: dict[str, tuple[str, tuple[int | None, ...]]],
    make: Callable[[], dict[str, np.ndarray]],
    folder: str | os.PathLike[str] | None = None,
) -> dict[str, np.ndarray]:
    """The arrays that `make` gives, from the file `name` if that holds them already.

    `name` must change with everything that the arrays depend on. `layout` gives dtype and shape (None: any
    extent) of each; a file with anything else in it, or with a wrong checksum, is made anew.
    """
    path = Path(data_cache() if folder is None else folder, f"{name}.npz")
    arrays = _load(path, layout)
    if arrays is None:
        arrays = make()
        _save(path, arrays)
    return arrays


def _load(path: Path, layout: dict[str, tuple[str, tuple[int | None, ...]]]) -> dict[str, np.ndarray] | None:
    try:
        # The zip format has a checksum for each array.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in layout}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    for key, (dtype, shape) in layout.items():
        found = arrays[key]
        if found.dtype != dtype or found.ndim != len(shape):
            return None
        if any(extent is not None and extent != got for extent, got in zip(shape, found.shape, strict=True)):
            return None
    return arrays


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        warnings.warn(f"{path} could not be written ({error}), so it will be made anew each time", stacklevel=4)
