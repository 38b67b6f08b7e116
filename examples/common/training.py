"""The training loop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn
from autograd_lite.utils.data import DataLoader, TensorDataset

from .images import Split


def progress(epochs: int, unit: str = "epoch") -> Any:
    """`range(epochs)` with a progress bar."""
    try:
        from tqdm import trange
    except ImportError:
        sys.exit("the examples need tqdm: pip install 'autograd_lite[examples]'")
    return trange(epochs, unit=unit, file=sys.stderr, dynamic_ncols=True)


@ag.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """The model's outputs for `images`, in evaluation mode."""
    was_training = model.training
    model.eval()
    outputs = [model(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    model.train(was_training)
    return ag.cat(outputs)


def accuracy(model: nn.Module, split: Split) -> float:
    """The share of `split` that the model puts into the right class."""
    return (predict(model, split.images).argmax(1) == split.labels).float().mean().item()


def evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over `split`."""
    scores = predict(model, split.images)
    loss = nn.functional.cross_entropy(scores, split.labels).item()
    return loss, (scores.argmax(1) == split.labels).float().mean().item()


def fit(
    model: nn.Module,
    train: Split,
    valid: Split,
    optimizer: ag.optim.Optimizer,
    *,
    epochs: int,
    batch_size: int,
    loss_function: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Train, and return the history: loss and accuracy on both splits after each epoch, and the seconds.

    The training loss and accuracy are those of the batches as they were trained on; the loss is per example.
    """
    loader = DataLoader(
        TensorDataset(train.images, train.labels),
        batch_size=batch_size,
        shuffle=True,
        generator=ag.Generator().manual_seed(seed),
    )
    history: dict[str, Any] = {"train_loss": [], "train_accuracy": [], "valid_loss": [], "valid_accuracy": []}
    bar = progress(epochs)
    seconds = 0.0
    for _ in bar:
        started = time.perf_counter()
        losses, right = 0.0, 0
        for images, labels in loader:
            scores = model(images)
            loss = loss_function(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += loss.item()
            right += int(np.count_nonzero(scores.numpy(force=True).argmax(1) == labels.numpy()))
        if scheduler is not None:
            scheduler.step()
        seconds += time.perf_counter() - started
        valid_loss, valid_accuracy = evaluate(model, valid)
        history["train_loss"].append(losses / len(train))
        history["train_accuracy"].append(right / len(train))
        history["valid_loss"].append(valid_loss)
        history["valid_accuracy"].append(valid_accuracy)
        bar.set_postfix(loss=f"{losses / len(train):.3f}", valid=f"{valid_accuracy:.1%}")
    history["train_seconds"] = seconds
    return history
