"""PyTorch, eager and compiled."""

from __future__ import annotations

import torch

from .. import networks, operations
from . import Case, torch_api


def version() -> str:
    return torch.__version__


def build(suite: str, name: str, threads: int, peer: str = "torch") -> Case | None:
    torch.set_num_threads(threads)
    if suite == "steps":
        wrap = torch.compile if peer == "torch.compile" else lambda f: f
        return torch_api.step(torch, networks.BY_NAME[name], wrap)
    return None if peer == "torch.compile" else torch_api.operation(torch, operations.EVERY[name])
