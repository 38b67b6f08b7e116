"""This project."""

from __future__ import annotations

import autograd_lite as ag

from .. import networks, operations
from . import Case, torch_api


def version() -> str:
    return ag.__version__


def build(suite: str, name: str, threads: int) -> Case | None:
    ag.set_num_threads(threads)
    if suite == "steps":
        return torch_api.step(ag, networks.BY_NAME[name])
    return torch_api.operation(ag, operations.EVERY[name])
