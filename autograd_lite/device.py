"""The one device: scripts that are written for several find its names here."""

from __future__ import annotations

from typing import Any


class device:
    """Where tensors live: always the CPU. For scripts that are written for several devices.

    Raises
    ------
    RuntimeError
        For any device but the CPU.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.device("cuda" if ag.cuda.is_available() else "cpu")
    device(type='cpu')
    """

    __slots__ = ()
    type = "cpu"
    index = None

    def __init__(self, kind: Any = "cpu", index: int = 0) -> None:
        name = str(kind).split(":", 1)[0]
        if not isinstance(kind, device) and name != "cpu":
            raise RuntimeError(f"autograd_lite computes on the CPU only, got device {kind!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device)

    def __hash__(self) -> int:
        return hash("cpu")

    def __str__(self) -> str:
        return "cpu"

    def __repr__(self) -> str:
        return "device(type='cpu')"


CPU = device()
