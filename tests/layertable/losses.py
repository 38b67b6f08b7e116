"""Losses, over their reductions, weights and options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.optable import nn as table

from .trial import BOOLEANS, Draw, Strategy, Trial, each, generator, some

LAYERS: dict[str, Strategy] = {}
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def like(draw: Draw, n: int, low: float = -2.0, high: float = 2.0) -> list[np.ndarray]:
    """`n` arrays of one shape."""
    rng, shape = generator(draw), each(draw, draw(st.integers(0, 3)), 1, 3)
    return [np.asarray(rng.uniform(low, high, shape)) for _ in range(n)]


def reduced(loss: Any, options: dict[str, Any]) -> Any:
    return table.reduced(loss, options.get("reduction", "mean"))


def elementwise(name: str, function: Callable[..., Any], **choices: Any) -> None:
    """A loss that compares two arrays element by element."""

    @st.composite
    def drawn(draw: Draw) -> Trial:
        options = some(draw, reduction=REDUCTIONS, **choices)
        more = {k: v for k, v in options.items() if k != "reduction"}
        return Trial(name, options, like(draw, 2), lambda x, y: reduced(function(x, y, **more), options))

    LAYERS[name] = drawn()


def smooth(x: Any, y: Any, beta: float = 1.0) -> Any:
    z = table.absolute(x - y)
    return z if beta == 0 else np.where(np.real(z) < beta, 0.5 * z * z / beta, z - 0.5 * beta)


def huber(x: Any, y: Any, delta: float = 1.0) -> Any:
    z = table.absolute(x - y)
    return np.where(np.real(z) <= delta, 0.5 * z * z, delta * (z - 0.5 * delta))


elementwise("MSELoss", lambda x, y: (x - y) ** 2)
elementwise("L1Loss", lambda x, y: table.absolute(x - y))
elementwise("SmoothL1Loss", smooth, beta=st.sampled_from([0.0, 0.5, 2.0]))
elementwise("HuberLoss", huber, delta=st.sampled_from([0.5, 2.0]))


@st.composite
def kl_div(draw: Draw) -> Trial:
    options = some(draw, reduction=st.sampled_from(["sum", "none", "batchmean"]), log_target=BOOLEANS)
    options.setdefault("reduction", "batchmean")  # "mean" warns, as PyTorch's does
    x, y = like(draw, 2, 0.1, 2.0)
    x, y = np.atleast_1d(x), np.atleast_1d(y)
    return Trial("KLDivLoss", options, [-x, y], lambda x, y: table._kl(x, y, options["reduction"], options.get("log_target", False)))


@st.composite
def bce(draw: Draw, name: str) -> Trial:
    options = some(draw, reduction=REDUCTIONS)
    x, y, weight, positive = like(draw, 4, 0.05, 0.95)
    if draw(BOOLEANS):
        options["weight"] = np.asarray(2 * weight)
    if name == "BCELoss":
        return Trial(name, options, [x, y], lambda x, y: reduced(table.bce(x, y, options.get("weight")), options), constants=(1,))
    if draw(BOOLEANS):
        options["pos_weight"] = np.asarray(3 * positive[..., -1:] if positive.ndim else 3 * positive)
    return Trial(name, options, [20 * (x - 0.5), y],
                 lambda x, y: reduced(table.bce_logits(x, y, options.get("weight"), options.get("pos_weight")), options), constants=(1,))  # fmt: skip


@st.composite
def classes(draw: Draw, name: str) -> Trial:
    """Class numbers, some of them ignored, for vectors, batches and images; or, for cross-entropy, probabilities."""
    rng = generator(draw)
    n, shape = draw(st.integers(1, 5)), each(draw, draw(st.integers(0, 3)), 1, 3)
    logits = rng.uniform(-4, 4, (n, *shape))
    logits = np.moveaxis(logits, 0, 1).copy() if shape else logits
    options: dict[str, Any] = some(draw, reduction=REDUCTIONS)
    if draw(BOOLEANS):
        options["weight"] = rng.uniform(0.1, 2, n)
    if name == "CrossEntropyLoss":
        options |= some(draw, label_smoothing=st.sampled_from([0.1, 0.5]))
        if draw(st.integers(0, 3)) == 0:
            target = rng.uniform(0, 1, logits.shape)
            return Trial(name, options, [logits, target], lambda x, y: table.cross_entropy(x, y, **options))
    target = np.asarray(rng.integers(0, n, shape))
    if draw(BOOLEANS):
        options["ignore_index"] = draw(st.sampled_from([-1, 0, n - 1]))
        target = np.where(rng.random(shape) < 0.3, options["ignore_index"], target)
    reference = table.cross_entropy if name == "CrossEntropyLoss" else table.nll
    return Trial(name, options, [logits, target], lambda x, y: reference(x, y, **options))


@st.composite
def triplet(draw: Draw) -> Trial:
    rng, shape = generator(draw), each(draw, draw(st.integers(1, 2)), 1, 4)
    options = some(draw, reduction=REDUCTIONS, swap=BOOLEANS, margin=st.sampled_from([0.5, 3.0]), p=st.sampled_from([1.0, 2.0, 3.0]))
    p, margin = options.get("p", 2.0), options.get("margin", 1.0)

    def distance(x: Any, y: Any) -> Any:
        return np.sum(table.absolute(x - y + 1e-6) ** p, -1) ** (1 / p)

    def reference(anchor: Any, positive: Any, negative: Any) -> Any:
        far = distance(anchor, negative)
        if options.get("swap"):
            other = distance(positive, negative)
            far = np.where(np.real(far) <= np.real(other), far, other)
        loss = distance(anchor, positive) - far + margin
        return reduced(np.where(np.real(loss) > 0, loss, 0 * loss), options)

    return Trial("TripletMarginLoss", options, [rng.standard_normal(shape) for _ in range(3)], reference)


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.where(rng.random(shape) < 0.5, -1.0, 1.0))


@st.composite
def ranking(draw: Draw) -> Trial:
    x, y = like(draw, 2)
    options = some(draw, reduction=REDUCTIONS, margin=st.sampled_from([0.5, -0.2]))
    t = signs(generator(draw), x.shape)

    def reference(x: Any, y: Any, t: Any) -> Any:
        z = -t * (x - y) + options.get("margin", 0.0)
        return reduced(np.where(np.real(z) > 0, z, 0 * z), options)

    return Trial("MarginRankingLoss", options, [x, y, t], reference, constants=(2,))


@st.composite
def hinge(draw: Draw) -> Trial:
    (x,) = like(draw, 1)
    options = some(draw, reduction=REDUCTIONS, margin=st.sampled_from([0.5, 2.0]))

    def reference(x: Any, t: Any) -> Any:
        z = options.get("margin", 1.0) - x
        return reduced(np.where(t == 1, x, np.where(np.real(z) > 0, z, 0 * z)), options)

    return Trial("HingeEmbeddingLoss", options, [x, signs(generator(draw), x.shape)], reference, constants=(1,))


@st.composite
def cosine_embedding(draw: Draw) -> Trial:
    rng, (n, m) = generator(draw), each(draw, 2, 2, 4)
    options = some(draw, reduction=REDUCTIONS, margin=st.sampled_from([0.3, -0.3]))
    return Trial("CosineEmbeddingLoss", options, [rng.standard_normal((n, m)), rng.standard_normal((n, m)), signs(rng, (n,))],
                 lambda x, y, t: table.cosine_embedding(x, y, t, **options), constants=(2,))  # fmt: skip


@st.composite
def poisson(draw: Draw) -> Trial:
    (x,) = like(draw, 1, 0.2, 2.0)
    options = some(draw, reduction=REDUCTIONS, log_input=BOOLEANS, full=BOOLEANS, eps=st.just(1e-3))
    t = np.asarray(generator(draw).integers(0, 5, x.shape).astype(float))

    def reference(x: Any, t: Any) -> Any:
        loss = np.exp(x) - t * x if options.get("log_input", True) else x - t * np.log(x + options.get("eps", 1e-8))
        if options.get("full"):
            with np.errstate(all="ignore"):
                loss = loss + np.where(t > 1, t * np.log(t) - t + 0.5 * np.log(2 * np.pi * t), 0)
        return reduced(loss, options)

    return Trial("PoissonNLLLoss", options, [x, t], reference, constants=(1,))


@st.composite
def gaussian(draw: Draw) -> Trial:
    x, y = like(draw, 2)
    options = some(draw, reduction=REDUCTIONS, full=BOOLEANS)
    var = generator(draw).uniform(0.3, 2, x.shape)

    def reference(x: Any, y: Any, var: Any) -> Any:
        loss = 0.5 * (np.log(var) + (x - y) ** 2 / var) + (0.5 * np.log(2 * np.pi) if options.get("full") else 0)
        return reduced(loss, options)

    return Trial("GaussianNLLLoss", options, [x, y, var], reference)


LAYERS |= {
    "KLDivLoss": kl_div(), "BCELoss": bce("BCELoss"), "BCEWithLogitsLoss": bce("BCEWithLogitsLoss"), "CrossEntropyLoss": classes("CrossEntropyLoss"),
    "NLLLoss": classes("NLLLoss"), "TripletMarginLoss": triplet(), "MarginRankingLoss": ranking(), "HingeEmbeddingLoss": hinge(),
    "CosineEmbeddingLoss": cosine_embedding(), "PoissonNLLLoss": poisson(), "GaussianNLLLoss": gaussian(),
}  # fmt: skip
