"""The training loop: history, early stopping, the best weights, and runs that can be stopped and resumed."""

from __future__ import annotations

import os
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import autograd_lite as ag
from autograd_lite import Tensor, nn
from autograd_lite.utils.data import DataLoader, TensorDataset

from .images import Split, to_float
from .options import progress


class History(dict[str, list[float]]):
    """What was measured after each epoch, by name: ``train_loss``, ``valid_loss``, ``valid_accuracy``, ..."""

    def record(self, **values: float) -> None:
        for name, value in values.items():
            self.setdefault(name, []).append(float(value))

    def last(self, name: str) -> float:
        return self[name][-1]

    @property
    def seconds(self) -> float:
        """The time spent in training steps, without validation."""
        return sum(self.get("seconds_of_epoch", []))

    @property
    def processor_seconds(self) -> float:
        """The same, of the processor's time: what else the machine does is not in it."""
        return sum(self.get("processor_seconds_of_epoch", []))


class Run:
    """A training run as its callbacks see it. A callback ends it by setting `stopped`."""

    def __init__(
        self, model: nn.Module, optimizer: Any, scheduler: Any, generator: ag.Generator, settings: dict[str, Any]
    ) -> None:
        self.model, self.optimizer, self.scheduler, self.generator = model, optimizer, scheduler, generator
        self.settings = settings
        self.history = History()
        self.epoch = 0
        self.stopped = False

    def state_dict(self, callbacks: Sequence[Any] = ()) -> dict[str, Any]:
        """All that the next epochs depend on."""
        return {
            "settings": self.settings,
            "epoch": self.epoch,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler is not None else None,
            "shuffling": self.generator.get_state(),
            "random": ag.get_rng_state(),
            "history": {name: list(values) for name, values in self.history.items()},
            "callbacks": [callback.state_dict() if hasattr(callback, "state_dict") else None for callback in callbacks],
        }

    def load_state_dict(self, state: dict[str, Any], callbacks: Sequence[Any] = ()) -> None:
        missing = self.state_dict(callbacks).keys() - state.keys()
        if missing:
            raise ValueError(f"this is not the state of a training run: it has no {', '.join(sorted(missing))}")
        for name, value in self.settings.items():
            if state["settings"].get(name) != value:
                raise ValueError(f"it is of a run with {name} {state['settings'].get(name)}, not {value}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        self.generator.set_state(state["shuffling"])
        ag.set_rng_state(state["random"])
        self.epoch = state["epoch"]
        self.history = History(state["history"])
        for callback, saved in zip(callbacks, state["callbacks"], strict=True):
            if saved is not None:
                callback.load_state_dict(saved)


class Callback(Protocol):
    """Called after every epoch."""

    def __call__(self, run: Run) -> None: ...


class BestWeights:
    """Keeps the weights of the epoch where a measured value was best; `restore` brings them back."""

    def __init__(self, monitor: str = "valid_accuracy", mode: str = "max") -> None:
        self.monitor, self.sign = monitor, {"max": 1.0, "min": -1.0}[mode]
        self.best, self.epoch = -float("inf"), 0
        self.weights: dict[str, Tensor] = {}

    def __call__(self, run: Run) -> None:
        value = self.sign * run.history.last(self.monitor)
        if value > self.best:
            self.best, self.epoch = value, run.epoch
            self.weights = {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}

    def restore(self, model: nn.Module) -> None:
        model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.epoch, self.weights = state["best"], state["epoch"], dict(state["weights"])


class EarlyStopping:
    """Ends a run when a measured value has not improved for `patience` epochs."""

    def __init__(self, monitor: str = "valid_loss", mode: str = "min", patience: int = 10, delta: float = 0.0) -> None:
        self.monitor, self.sign = monitor, {"max": 1.0, "min": -1.0}[mode]
        self.patience, self.delta = patience, delta
        self.best, self.waited = -float("inf"), 0

    def __call__(self, run: Run) -> None:
        value = self.sign * run.history.last(self.monitor)
        if value > self.best + self.delta:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
            run.stopped = run.stopped or self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]


@ag.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """The model's outputs for `images`, in evaluation mode."""
    was_training = model.training
    model.eval()
    outputs = [model(to_float(images[i : i + batch_size])) for i in range(0, len(images), batch_size)]
    model.train(was_training)
    return ag.cat(outputs)


def share_right(scores: Tensor, labels: Tensor) -> float:
    """The share of the examples whose highest score is at their label."""
    return (scores.argmax(1) == labels).float().mean().item()


def evaluate(model: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over `split`."""
    scores = predict(model, split.images)
    return nn.functional.cross_entropy(scores, split.labels).item(), share_right(scores, split.labels)


def resume(run: Run, checkpoint: str | os.PathLike[str], callbacks: Sequence[Callback], epochs: int) -> None:
    """Go on from a state that was saved; ends the program with a message if it cannot be read or is another run's."""
    try:
        run.load_state_dict(ag.load(checkpoint), callbacks)
        if run.epoch > epochs:
            raise ValueError(f"it is {run.epoch} epochs old, and {epochs} were asked for")
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"cannot go on from {checkpoint}: {error}\n(remove the file, or name another, to begin anew)")


def fit(
    model: nn.Module,
    train: Split,
    valid: Split,
    optimizer: Any,
    *,
    epochs: int,
    batch_size: int,
    loss: Callable[..., Tensor] = nn.functional.cross_entropy,
    reduction: str = "mean",
    metrics: dict[str, Callable[[Tensor, Tensor], float]] | None = None,
    scheduler: Any = None,
    augment: Callable[[Tensor, int, int], Tensor] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    description: str = "",
) -> History:
    """Train `model`, and return what was measured after each epoch.

    Parameters
    ----------
    loss : callable
        ``loss(outputs, targets, reduction=...)``, one of ``nn.functional``; `reduction` is what the steps
        use. The history holds the loss per example: of the batches as they were trained on, and of `valid`.
    metrics : dict
        From a name to a function of outputs and targets, a mean over the examples; accuracy if not given.
    scheduler
        Stepped after every epoch.
    augment : callable
        ``augment(images, epoch, step)``.
    callbacks : sequence
        Called after every epoch: `EarlyStopping`, `BestWeights`, or any function of a `Run`.
    checkpoint : path
        Written after every epoch, and gone on from where it exists: the weights, and everything after
        them, are then those of a run that was never stopped, to the last bit.
    seed : int
        Of the order of the examples.
    """
    metrics = {"accuracy": share_right} if metrics is None else metrics
    generator = ag.Generator().manual_seed(seed)
    data = TensorDataset(train.images, train.labels)
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, generator=generator)
    settings = {"examples": len(train), "batch_size": batch_size, "seed": seed, "lr": optimizer.param_groups[0]["lr"]}
    run = Run(model, optimizer, scheduler, generator, settings)
    if checkpoint is not None and pathlib.Path(checkpoint).exists():
        resume(run, checkpoint, callbacks, epochs)

    bar = progress(range(run.epoch, epochs), initial=run.epoch, total=epochs, desc=description or None)
    for epoch in bar:
        started, processor = time.perf_counter(), time.process_time()
        totals = dict.fromkeys(["loss", *metrics], 0.0)
        for step, (images, targets) in enumerate(loader):
            images = to_float(images if augment is None else augment(images, epoch, step))
            outputs = model(images)
            error = loss(outputs, targets, reduction=reduction)
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            totals["loss"] += error.item() * (len(targets) if reduction == "mean" else 1)
            for name, metric in metrics.items():
                totals[name] += metric(outputs.detach(), targets) * len(targets)
        if scheduler is not None:
            scheduler.step()
        seconds = {
            "seconds_of_epoch": time.perf_counter() - started,
            "processor_seconds_of_epoch": time.process_time() - processor,
        }

        outputs = predict(model, valid.images)
        measured = {f"train_{name}": total / len(train) for name, total in totals.items()}
        measured["valid_loss"] = loss(outputs, valid.labels, reduction="sum").item() / len(valid)
        measured.update({f"valid_{name}": metric(outputs, valid.labels) for name, metric in metrics.items()})
        run.history.record(**measured, **seconds)
        run.epoch = epoch + 1
        bar.set_postfix({name: f"{measured[f'valid_{name}']:.4g}" for name in totals})
        for callback in callbacks:
            callback(run)
        if checkpoint is not None:
            ag.save(run.state_dict(callbacks), checkpoint)
        if run.stopped:
            bar.close()
            break
    return run.history
