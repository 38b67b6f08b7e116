"""Arrays from MATLAB files, with SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_matlab(path: Path, keys: Sequence[str]) -> list[np.ndarray]:
    """The arrays named `keys` in a ``.mat`` file.

    Raises
    ------
    ImportError
        If SciPy is not installed.
    RuntimeError
        If the file is truncated, corrupt, or lacks one of them.
    """
    try:
        from scipy.io import loadmat  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            f"{path.name} is a MATLAB file, read with SciPy, which is not installed: pip install "
            "'autograd_lite[examples]' (or pip install scipy)"
        ) from error
    try:
        content = loadmat(path, variable_names=keys)
    except NotImplementedError as error:
        raise RuntimeError(f"{path} is in MATLAB's version 7.3 format; save it with -v7") from error
    except Exception as error:  # SciPy lets errors of many types through when a file is damaged
        raise RuntimeError(
            f"{path} is truncated, corrupt, or not a MATLAB file ({type(error).__name__}: {error}). Get it again."
        ) from error
    missing = [key for key in keys if key not in content]
    if missing:
        raise RuntimeError(f"{path} holds no {' and no '.join(missing)}: it is truncated or another file")
    return [np.asarray(content[key]) for key in keys]
