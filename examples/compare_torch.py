"""Runs an example on PyTorch: the very same file, with ``torch`` in the place of ``autograd_lite``.

Both have the same names, so a recipe need not be written a second time, and cannot differ. What PyTorch does not
have, the readers of data files, stays ours and hands over arrays.

    python -m examples.compare_torch cnn --dataset nist36 --data DIR --out out/torch
"""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
import zipfile
from types import ModuleType
from typing import Any

import autograd_lite

EXAMPLES = ("autoencoder", "cnn", "finetune", "mlp", "softmax_regression")


def substitute() -> None:
    """Make ``autograd_lite`` PyTorch, but for the data sets and for reading safetensors."""
    try:
        import torch
    except ImportError as error:
        raise SystemExit("a comparison with PyTorch needs it: pip install torch") from error
    from torch.utils import data

    torch.set_num_threads(autograd_lite.get_num_threads())
    read = autograd_lite.load

    def load(path: Any) -> Any:
        """What PyTorch saved by PyTorch, safetensors by our reader."""
        if zipfile.is_zipfile(path):
            return torch.load(path)
        return {name: torch.from_numpy(value.numpy()) for name, value in read(path).items()}

    module = ModuleType("autograd_lite")
    module.__getattr__ = functools.partial(getattr, torch)  # type: ignore[method-assign]
    module.datasets = autograd_lite.datasets  # type: ignore[attr-defined]
    module.load = load  # type: ignore[attr-defined]
    sys.modules.update({"autograd_lite": module, "autograd_lite.utils": torch.utils, "autograd_lite.utils.data": data})


def quickest_layout() -> None:
    """Let the networks keep their channels last, PyTorch's quicker layout for convolutions on a CPU."""
    import torch

    training = importlib.import_module("examples.common.training")
    fit = training.fit
    training.fit = lambda model, *rest, **named: fit(model.to(memory_format=torch.channels_last), *rest, **named)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", choices=EXAMPLES)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="the example's own")
    given = parser.parse_args(arguments)
    substitute()
    quickest_layout()
    return importlib.import_module(f"examples.{given.example}").main(given.options)


if __name__ == "__main__":
    main()
