"""Rows of ``nn.functional``: activations, losses, convolutions, pooling, normalisation.

The references are loops and textbook formulas, on purpose nothing like the library's kernels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .elementwise import sigmoid
from .opinfo import Bad, F, I, OpInfo, S, absolute, either
from .reduction import log_softmax, softmax

ROWS: list[OpInfo] = []
A = np.array


def row(name: str, ref: Callable[..., Any], samples: list[S], **more: Any) -> None:
    ROWS.append(OpInfo(f"nn.functional.{name}", ref, samples, **more))


# Activations


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    z = x * beta
    soft = either(lambda t: np.logaddexp(0, t), lambda t: np.log(1 + np.exp(t)))(z) / beta
    return np.where(np.real(z) > threshold, x, soft)


erf = np.vectorize(math.erf, otypes=[float])
ACTIVATIONS: dict[str, tuple[Callable[..., Any], list[dict[str, Any]], bool]] = {
    "relu": (lambda x: np.where(np.real(x) > 0, x, 0 * x), [{}], True),
    "leaky_relu": (lambda x, negative_slope=0.01: np.where(np.real(x) > 0, x, negative_slope * x), [{}, {"negative_slope": 0.3}], True),
    "elu": (lambda x, alpha=1.0: np.where(np.real(x) > 0, x, alpha * (np.exp(x) - 1)), [{}, {"alpha": 0.5}], True),
    "selu": (lambda x: 1.0507009873554804934193349852946 * np.where(np.real(x) > 0, x, 1.6732632423543772848170429916717 * (np.exp(x) - 1)), [{}], True),
    "celu": (lambda x, alpha=1.0: np.where(np.real(x) > 0, x, alpha * (np.exp(x / alpha) - 1)), [{}, {"alpha": 1.5}], True),
    "gelu": (lambda x, approximate="none": 0.5 * x * (1 + erf(x / math.sqrt(2))), [{}], False),
    "silu": (lambda x: x * sigmoid(x), [{}], True),
    "mish": (lambda x: x * np.tanh(softplus(x)), [{}], True),
    "sigmoid": (sigmoid, [{}], True),
    "tanh": (np.tanh, [{}], True),
    "softplus": (softplus, [{}, {"beta": 2.0}, {"threshold": 0.5}], True),
    "softsign": (lambda x: x / (1 + absolute(x)), [{}], True),
    "hardtanh": (lambda x, min_val=-1.0, max_val=1.0: np.where(np.real(x) < min_val, min_val, np.where(np.real(x) > max_val, max_val, x)), [{}, {"min_val": -0.5, "max_val": 2.0}], True),
    "hardsigmoid": (lambda x: np.where(np.real(x) <= -3, 0, np.where(np.real(x) >= 3, 1, x / 6 + 0.5)), [{}], True),
    "hardswish": (lambda x: x * np.where(np.real(x) <= -3, 0, np.where(np.real(x) >= 3, 1, x / 6 + 0.5)), [{}], True),
    "relu6": (lambda x: np.where(np.real(x) <= 0, 0 * x, np.where(np.real(x) >= 6, 6 + 0 * x, x)), [{}], True),
    "logsigmoid": (lambda x: -softplus(-x, threshold=1e9), [{}], True),
    "tanhshrink": (lambda x: x - np.tanh(x), [{}], True),
    "hardshrink": (lambda x, lambd=0.5: np.where(np.abs(np.real(x)) > lambd, x, 0 * x), [{}, {"lambd": 1.0}], True),
    "softshrink": (lambda x, lambd=0.5: np.where(np.real(x) > lambd, x - lambd, np.where(np.real(x) < -lambd, x + lambd, 0 * x)), [{}], True),
    "threshold": (lambda x, threshold, value: np.where(np.real(x) > threshold, x, value), [{"threshold": 0.2, "value": -1.0}], True),
}  # fmt: skip
for name, (ref, variants, analytic) in ACTIVATIONS.items():
    samples = [S(F(7, lo=-4, hi=4), **v) for v in variants] + [S(F(2, 3, lo=-8, hi=8), **variants[-1]), S(F(), **variants[0]), S(F(0, 2), **variants[0])]
    row(name, ref, samples, analytic=analytic)
row("gelu", lambda x, approximate: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), [S(F(7, lo=-4, hi=4), approximate="tanh"), S(F(2, 3), approximate="tanh")],
    variant="tanh", errors=[Bad((RuntimeError, ValueError), S(F(3), approximate="cubic"), "")])  # fmt: skip
row("prelu", lambda x, w: np.where(np.real(x) > 0, x, (w if w.size == 1 else w.reshape(1, -1, *[1] * (x.ndim - 2))) * x), [S(F(2, 3), F(1)), S(F(2, 3), F(3)), S(F(2, 3, 4), F(3)), S(F(5), F(1))],
    errors=[Bad(RuntimeError, S(F(2, 3), F(2)), "")])  # fmt: skip
row("glu", lambda x, dim=-1: np.split(x, 2, dim)[0] * sigmoid(np.split(x, 2, dim)[1]), [S(F(6)), S(F(2, 4)), S(F(4, 3), 0), S(F(2, 4, 3), dim=1)],
    errors=[Bad(RuntimeError, S(F(3)), "")])  # fmt: skip
row("softmax", lambda x, dim: softmax(x, dim), [S(F(2, 3), dim=1), S(F(2, 3), dim=0)])
row("log_softmax", lambda x, dim: log_softmax(x, dim), [S(F(2, 3), dim=1), S(F(2, 3), dim=0)])
row("softmin", lambda x, dim: softmax(-x, dim), [S(F(2, 3), dim=1)])


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    n = np.sum(absolute(x) ** p, axis=dim, keepdims=True) ** (1 / p)
    return x / np.where(np.real(n) < eps, eps, n)


row("normalize", normalize, [S(F(2, 3)), S(F(4), dim=0), S(F(2, 3), p=1.0), S(F(2, 3, 2), dim=2)])

# Linear layers, embedding


row("linear", lambda x, w, b=None: x @ w.T + (0 if b is None else b), [S(F(4, 3), F(2, 3), F(2)), S(F(4, 3), F(2, 3)), S(F(3), F(2, 3), F(2)), S(F(2, 2, 3), F(4, 3), F(4)), S(F(0, 3), F(2, 3), F(2)), S(F(33, 17), F(9, 17), F(9))],
    errors=[Bad(RuntimeError, S(F(4, 3), F(2, 2)), "")])  # fmt: skip
row("bilinear", lambda x, y, w, b=None: np.einsum("bi,oij,bj->bo", x, w, y) + (0 if b is None else b), [S(F(2, 3), F(2, 4), F(2, 3, 4), F(2)), S(F(2, 3), F(2, 2), F(1, 3, 2))])
row("embedding", lambda i, w, padding_idx=None: w[i], [S(I(4, hi=5), F(5, 3)), S(I(2, 3, hi=5), F(5, 2)), S(A([1, 1, 1]), F(3, 2))],
    errors=[Bad(IndexError, S(A([5]), F(5, 3)), "range")])  # fmt: skip
row("cosine_similarity", lambda x, y, dim=1, eps=1e-8: np.sum(x * y, dim) / np.sqrt(np.sum(x * x, dim) * np.sum(y * y, dim)), [S(F(2, 3), F(2, 3)), S(F(4), F(4), dim=0)])
row("pairwise_distance", lambda x, y, p=2.0, eps=1e-6: np.sum(absolute(x - y + eps) ** p, -1) ** (1 / p), [S(F(2, 3), F(2, 3)), S(F(2, 3), F(2, 3), p=1.0)])

# Losses


def reduced(loss: Any, reduction: str) -> Any:
    return loss if reduction == "none" else np.sum(loss) if reduction == "sum" else np.mean(loss)


def paired(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y, *, reduction="mean", **more: reduced(function(x, y, **more), reduction)


def losses(name: str, function: Callable[..., Any], *variants: dict[str, Any], x: Any = F(2, 3), y: Any = F(2, 3), **more: Any) -> None:
    calls = [{}, *variants, {"reduction": "sum"}, {"reduction": "none"}]
    row(name, paired(function), [S(x, y, **c) for c in calls], errors=[Bad((ValueError, RuntimeError), S(x, y, reduction="average"), "average")], **more)


losses("mse_loss", lambda x, y: (x - y) ** 2)
losses("l1_loss", lambda x, y: absolute(x - y))
losses("smooth_l1_loss", lambda x, y, beta=1.0: np.where(np.abs(np.real(x - y)) < beta, 0.5 * (x - y) ** 2 / beta, absolute(x - y) - 0.5 * beta), {"beta": 0.5})
losses("huber_loss", lambda x, y, delta=1.0: np.where(np.abs(np.real(x - y)) <= delta, 0.5 * (x - y) ** 2, delta * (absolute(x - y) - 0.5 * delta)), {"delta": 0.5})


def bce(x: Any, y: Any, weight: Any = None) -> Any:
    loss = -(y * np.log(x) + (1 - y) * np.log(1 - x))
    return loss if weight is None else loss * weight


UNIT = F(2, 3, lo=0.1, hi=0.9)
W23 = A([[0.5, 2.0, 1.0], [1.5, 0.1, 0.7]])
losses("binary_cross_entropy", bce, {"weight": W23}, x=UNIT, y=F(2, 3, lo=0.1, hi=0.9, grad=False))


def bce_logits(x: Any, y: Any, weight: Any = None, pos_weight: Any = None) -> Any:
    positive = 1 if pos_weight is None else pos_weight
    loss = positive * y * softplus(-x, threshold=1e9) + (1 - y) * softplus(x, threshold=1e9)
    return loss if weight is None else loss * weight


losses("binary_cross_entropy_with_logits", bce_logits, {"weight": W23}, {"pos_weight": A([2.0, 0.5, 1.0])}, y=UNIT)
row("kl_div", lambda x, y, *, reduction="mean", log_target=False: _kl(x, y, reduction, log_target), [
    S(F(2, 3), F(2, 3, lo=0.1), reduction=r) for r in ("sum", "none", "batchmean")] + [S(F(2, 3), F(2, 3), reduction="batchmean", log_target=True)])  # fmt: skip


def _kl(x: Any, y: Any, reduction: str, log_target: bool) -> Any:
    loss = np.exp(y) * (y - x) if log_target else y * (np.log(y) - x)
    return np.sum(loss) / len(x) if reduction == "batchmean" else reduced(loss, reduction)


def nll(logp: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """One element at a time."""
    logp = np.asarray(logp)
    single = logp.ndim == 1
    if single:
        logp, target = logp[None], target[None]
    weight = np.ones(logp.shape[1]) if weight is None else weight
    loss = np.zeros(target.shape, logp.dtype)
    total = 0.0
    for at in np.ndindex(target.shape):
        c = target[at]
        if c != ignore_index:
            loss[at] = -weight[c] * logp[(at[0], c, *at[1:])]
            total += weight[c]
    if reduction == "none":
        return loss[0] if single else loss
    return np.sum(loss) / (total if reduction == "mean" else 1)


def cross_entropy(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0) -> Any:
    x = np.asarray(x)
    axis = 0 if x.ndim == 1 else 1
    logp = log_softmax(x, axis)
    classes = x.shape[axis]
    w = np.ones(classes) if weight is None else weight
    wide = w.reshape((-1,) if axis == 0 else (1, -1) + (1,) * (x.ndim - 2))
    if target.dtype.kind == "f" or np.iscomplexobj(target):
        smoothed = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -np.sum(smoothed * wide * logp, axis=axis)
        return loss if reduction == "none" else np.sum(loss) / (max(1, loss.size) if reduction == "mean" else 1)
    hard = nll(logp, target, w, ignore_index, "none")
    soft = -np.sum(wide * logp, axis=axis) * (target != ignore_index) / classes
    loss = (1 - label_smoothing) * hard + label_smoothing * soft
    if reduction == "none":
        return loss
    counted = np.sum(np.where(target == ignore_index, 0, w[np.where(target == ignore_index, 0, target)]))
    return np.sum(loss) / (counted if reduction == "mean" else 1)


WEIGHT = A([0.5, 2.0, 1.0])
TARGET = A([0, 2, 1, 2])
LOGITS = F(4, 3)
CLASSES = [
    S(LOGITS, TARGET), S(LOGITS, TARGET, WEIGHT), S(LOGITS, A([0, -100, 1, -100])), S(LOGITS, TARGET, ignore_index=2), S(LOGITS, TARGET, reduction="sum"),
    S(LOGITS, TARGET, WEIGHT, reduction="none"), S(F(3), A(1)), S(F(2, 3, 4), I(2, 4, hi=3)), S(F(2, 3, 2, 2), I(2, 2, 2, hi=3), WEIGHT), S(LOGITS, A([0, 2, 2, 1]), WEIGHT, ignore_index=2, reduction="mean"),
]  # fmt: skip
BAD_CLASSES = [Bad((IndexError, RuntimeError), S(F(2, 3), A([0, 3])), ""), Bad((ValueError, RuntimeError), S(F(2, 3), A([0, 1, 2])), "")]
row("nll_loss", nll, CLASSES, errors=BAD_CLASSES)
row("cross_entropy", cross_entropy, [
    *CLASSES, S(LOGITS, TARGET, label_smoothing=0.2), S(LOGITS, TARGET, WEIGHT, label_smoothing=0.1), S(LOGITS, A([0, -100, 1, 2]), label_smoothing=0.1),
    S(LOGITS, TARGET, WEIGHT, label_smoothing=0.3, reduction="none"), S(LOGITS, F(4, 3, lo=0.0)), S(LOGITS, F(4, 3, lo=0.0), WEIGHT, reduction="sum"),
    S(LOGITS, F(4, 3, lo=0.0, grad=False), WEIGHT, label_smoothing=0.1), S(F(2, 3, 2), F(2, 3, 2, lo=0.0), reduction="none"), S(F(5, 40), I(5, hi=40)), S(F(2, 1), A([0, 0])),
], errors=BAD_CLASSES)  # fmt: skip


def triplet(a: Any, p: Any, n: Any, *, margin: float = 1.0, reduction: str = "mean", swap: bool = False) -> Any:
    def distance(x: Any, y: Any) -> Any:
        return np.sqrt(np.sum((x - y + 1e-6) ** 2, -1))

    far = distance(a, n)
    if swap:
        other = distance(p, n)
        far = np.where(np.real(far) <= np.real(other), far, other)
    loss = distance(a, p) - far + margin
    return reduced(np.where(np.real(loss) > 0, loss, 0 * loss), reduction)


row("triplet_margin_loss", triplet, [S(F(4, 3), F(4, 3), F(4, 3)), S(F(4, 3), F(4, 3), F(4, 3), margin=3.0, reduction="none"), S(F(4, 3), F(4, 3), F(4, 3), margin=2.0, swap=True, reduction="sum")])


def cosine_embedding(x: Any, y: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    c = np.sum(x * y, -1) / np.sqrt((np.sum(x * x, -1) + 1e-12) * (np.sum(y * y, -1) + 1e-12))
    return reduced(np.where(target == 1, 1 - c, np.where(np.real(c) > margin, c - margin, 0 * c)), reduction)


row("cosine_embedding_loss", cosine_embedding, [S(F(4, 3), F(4, 3), A([1, -1, 1, -1])), S(F(4, 3), F(4, 3), A([1, -1, -1, -1]), margin=0.2, reduction="none")])
row("margin_ranking_loss", lambda x, y, t, margin=0.0, reduction="mean": reduced(np.where(np.real(-t * (x - y) + margin) > 0, -t * (x - y) + margin, 0 * x), reduction),
    [S(F(4), F(4), A([1.0, -1.0, 1.0, -1.0])), S(F(4), F(4), A([1.0, -1.0, 1.0, -1.0]), margin=0.5, reduction="none")])  # fmt: skip
row("hinge_embedding_loss", lambda x, t, margin=1.0, *, reduction="mean": reduced(np.where(t == 1, x, np.where(np.real(margin - x) > 0, margin - x, 0 * x)), reduction),
    [S(F(4), A([1.0, -1.0, 1.0, -1.0])), S(F(4), A([1.0, -1.0, -1.0, -1.0]), margin=0.5, reduction="none")])  # fmt: skip
row("poisson_nll_loss", lambda x, t, log_input=True, full=False, *, eps=1e-8, reduction="mean": reduced((np.exp(x) - t * x if log_input else x - t * np.log(x + eps)) + (np.where(t > 1, t * np.log(t) - t + 0.5 * np.log(2 * np.pi * t), 0) if full else 0), reduction),
    [S(F(3), A([1.0, 0.0, 3.0])), S(F(3, lo=0.5), A([1.0, 2.0, 3.0]), log_input=False, reduction="sum"), S(F(3), A([1.5, 2.0, 3.0]), full=True, reduction="none")])  # fmt: skip
row("gaussian_nll_loss", lambda x, t, var, full=False, *, eps=1e-6, reduction="mean": reduced(0.5 * (np.log(var) + (x - t) ** 2 / var) + (0.5 * math.log(2 * math.pi) if full else 0), reduction),
    [S(F(2, 3), F(2, 3), F(2, 3, lo=0.5)), S(F(2, 3), F(2, 3), F(2, 1, lo=0.5), full=True, reduction="sum")])  # fmt: skip

# Convolution: seven loops


def tuples(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 and n > 1 else 1)


def convolution(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    n = w.ndim - 2
    if x.ndim == n + 1:
        return convolution(x[None], w, b, stride, padding, dilation, groups)[0]
    stride, dilation = tuples(stride, n), tuples(dilation, n)
    if padding == "valid":
        sides = [(0, 0)] * n
    elif padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, w.shape[2:], strict=True)]
        sides = [(t // 2, t - t // 2) for t in total]
    else:
        sides = [(p, p) for p in tuples(padding, n)]
    x = np.pad(x, [(0, 0), (0, 0), *sides])
    kernel = w.shape[2:]
    size = [(x.shape[2 + i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(n)]
    out = np.zeros((x.shape[0], w.shape[0], *size), np.result_type(x, w, x if b is None else b))
    inner, outer = w.shape[1], w.shape[0] // groups
    for image, o in itertools.product(range(out.shape[0]), range(out.shape[1])):
        for at in np.ndindex(*size):
            total = 0.0 if b is None else b[o]
            for c in range(inner):
                for k in np.ndindex(*kernel):
                    where = tuple(a * s + t * d for a, s, t, d in zip(at, stride, k, dilation, strict=True))
                    total = total + x[(image, o // outer * inner + c, *where)] * w[(o, c, *k)]
            out[(image, o, *at)] = total
    return out


row("conv1d", convolution, [
    S(F(2, 2, 6), F(3, 2, 3), F(3)), S(F(1, 2, 7), F(2, 2, 3), stride=2, padding=1), S(F(1, 2, 7), F(2, 2, 2), None, 1, 0, 2), S(F(1, 4, 5), F(4, 2, 2), F(4), groups=2),
    S(F(1, 1, 5), F(1, 1, 3), padding="same"), S(F(2, 5), F(3, 2, 2)),
], errors=[Bad(RuntimeError, S(F(1, 3, 5), F(2, 2, 3)), "")])  # fmt: skip
row("conv2d", convolution, [
    S(F(2, 2, 4, 5), F(3, 2, 3, 3), F(3)), S(F(1, 1, 4, 4), F(2, 1, 2, 2)), S(F(1, 3, 5, 5), F(2, 3, 3, 3), F(2), padding=1), S(F(1, 2, 5, 6), F(2, 2, 3, 2), stride=2, padding=(1, 0)),
    S(F(1, 2, 6, 6), F(1, 2, 3, 3), F(1), dilation=2), S(F(1, 4, 4, 4), F(4, 2, 2, 2), groups=2), S(F(1, 3, 4, 4), F(3, 1, 3, 3), F(3), padding=1, groups=3), S(F(1, 2, 4, 4), F(2, 2, 1, 1)),
    S(F(1, 2, 4, 4), F(2, 2, 3, 3), padding="same"), S(F(1, 2, 4, 5), F(2, 2, 2, 4), padding="same", dilation=(2, 1)), S(F(1, 1, 4, 4), F(1, 1, 3, 3), padding="valid"), S(F(2, 4, 4), F(3, 2, 2, 2)),
    S(F(1, 2, 7, 7), F(2, 2, 3, 3), None, (3, 2), (2, 1), (1, 2)), S(F(0, 2, 4, 4), F(3, 2, 3, 3)), S(F(1, 1, 5, 5), F(1, 1, 3, 3), stride=2, padding=2),
], errors=[
    Bad(RuntimeError, S(F(1, 3, 5, 5), F(2, 2, 3, 3)), ""), Bad(RuntimeError, S(F(1, 2, 2, 2), F(2, 2, 3, 3)), ""), Bad((RuntimeError, ValueError), S(F(1, 2, 5, 5), F(2, 2, 3, 3), stride=0), ""),
    Bad(RuntimeError, S(F(1, 4, 5, 5), F(3, 2, 3, 3), groups=2), ""), Bad(RuntimeError, S(F(1, 2, 5, 5), F(2, 2, 3, 3), padding="same", stride=2), ""), Bad(RuntimeError, S(F(1, 2, 5, 5), F(2, 2, 3, 3), F(3)), ""),
])  # fmt: skip
row("conv3d", convolution, [S(F(1, 2, 3, 3, 4), F(2, 2, 2, 2, 2), F(2)), S(F(1, 1, 3, 4, 3), F(1, 1, 3, 2, 2), stride=(1, 2, 1), padding=(1, 0, 1)), S(F(1, 2, 3, 3, 3), F(2, 1, 2, 2, 2), groups=2)])


def transposed(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    n = w.ndim - 2
    if x.ndim == n + 1:
        return transposed(x[None], w, b, stride, padding, output_padding, groups, dilation)[0]
    stride, padding, extra, dilation = (tuples(v, n) for v in (stride, padding, output_padding, dilation))
    kernel = w.shape[2:]
    full = [(x.shape[2 + i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 + extra[i] for i in range(n)]
    inner, outer = x.shape[1] // groups, w.shape[1]
    out = np.zeros((x.shape[0], outer * groups, *full), np.result_type(x, w, x if b is None else b))
    for image, c in itertools.product(range(x.shape[0]), range(x.shape[1])):
        for at in np.ndindex(*x.shape[2:]):
            for o in range(outer):
                for k in np.ndindex(*kernel):
                    where = tuple(a * s + t * d for a, s, t, d in zip(at, stride, k, dilation, strict=True))
                    out[(image, c // inner * outer + o, *where)] += x[(image, c, *at)] * w[(c, o, *k)]
    out = out[(slice(None), slice(None), *[slice(p, f - p) for p, f in zip(padding, full, strict=True)])]
    return out if b is None else out + b.reshape(1, -1, *[1] * n)


row("conv_transpose2d", transposed, [
    S(F(1, 2, 3, 3), F(2, 3, 2, 2), F(3)), S(F(1, 2, 3, 4), F(2, 2, 3, 3), stride=2, padding=1), S(F(1, 2, 3, 3), F(2, 1, 3, 3), None, 2, 1, 1), S(F(1, 4, 2, 2), F(4, 2, 2, 2), groups=2),
    S(F(1, 1, 3, 3), F(1, 2, 2, 2), dilation=2), S(F(2, 3, 3), F(2, 1, 2, 2)),
], errors=[Bad(RuntimeError, S(F(1, 3, 4, 4), F(2, 2, 3, 3)), "")])  # fmt: skip
row("conv_transpose1d", transposed, [S(F(1, 2, 4), F(2, 3, 3), F(3), stride=2, padding=1)])
row("unfold", lambda x, kernel_size, dilation=1, padding=0, stride=1: _im2col(x, kernel_size, dilation, padding, stride), [S(F(1, 2, 4, 4), 2), S(F(2, 1, 5, 4), (3, 2), padding=1, stride=2)])


def _im2col(x: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    k, d, p, s = (tuples(v, 2) for v in (kernel_size, dilation, padding, stride))
    x = np.pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])])
    size = [(x.shape[2 + i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in (0, 1)]
    columns = [x[:, :, a * d[0] : a * d[0] + size[0] * s[0] : s[0], b * d[1] : b * d[1] + size[1] * s[1] : s[1]] for a in range(k[0]) for b in range(k[1])]
    columns = [c[:, :, : size[0], : size[1]] for c in columns]
    return np.stack(columns, 2).reshape(x.shape[0], x.shape[1] * k[0] * k[1], -1)


def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Every window added at its place."""
    size, k, d, p, s = (tuples(v, 2) for v in (output_size, kernel_size, dilation, padding, stride))
    wide = (size[0] + 2 * p[0], size[1] + 2 * p[1])
    count = [(wide[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in (0, 1)]
    windows = x.reshape(x.shape[0], -1, k[0], k[1], *count)
    out = np.zeros((*windows.shape[:2], *wide), x.dtype)
    for a, b, i, j in itertools.product(range(k[0]), range(k[1]), range(count[0]), range(count[1])):
        out[:, :, a * d[0] + i * s[0], b * d[1] + j * s[1]] += windows[:, :, a, b, i, j]
    return out[:, :, p[0] : wide[0] - p[0], p[1] : wide[1] - p[1]]


row("fold", fold, [S(F(1, 8, 9), (4, 4), 2), S(F(2, 6, 4), (3, 2), (3, 2), 1, (1, 1), (2, 2)), S(F(1, 4, 4), (4, 4), 2, 2)])
row("conv_transpose3d", transposed, [S(F(1, 2, 2, 2, 3), F(2, 2, 2, 1, 2), F(2), stride=2, padding=(1, 0, 0))])

# Pooling


def pool(kind: str, n: int) -> Callable[..., Any]:
    def function(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Any:
        x = np.asarray(x)
        if x.ndim == n + 1:
            return function(x[None], kernel_size, stride, padding, dilation, ceil_mode, return_indices, count_include_pad, divisor_override)[0]
        k, p, d = tuples(kernel_size, n), tuples(padding, n), tuples(dilation, n)
        s = k if stride is None else tuples(stride, n)
        size = []
        for i in range(n):
            span = x.shape[2 + i] + 2 * p[i] - d[i] * (k[i] - 1) - 1
            m = -(-span // s[i]) + 1 if ceil_mode else span // s[i] + 1
            size.append(m - 1 if ceil_mode and (m - 1) * s[i] >= x.shape[2 + i] + p[i] else m)
        out = np.zeros((*x.shape[:2], *size), x.dtype)
        for at in np.ndindex(*out.shape):
            cells, counted = [], 0
            for t in np.ndindex(*k):
                where = [a * st - pa + u * dl for a, st, pa, u, dl in zip(at[2:], s, p, t, d, strict=True)]
                inside = all(0 <= w < m for w, m in zip(where, x.shape[2:], strict=True))
                counted += all(w < m + pa for w, m, pa in zip(where, x.shape[2:], p, strict=True))
                if inside:
                    cells.append(x[(*at[:2], *where)])
            cells = np.asarray(cells)
            if kind == "max":
                out[at] = cells[np.argmax(np.real(cells))]
            else:
                out[at] = np.sum(cells) / (divisor_override or (counted if count_include_pad else len(cells)))
        return out

    return function


row("max_pool1d", pool("max", 1), [S(F(2, 2, 6), 2), S(F(1, 2, 7), 3, 2, 1)])
row("max_pool2d", pool("max", 2), [
    S(F(2, 2, 4, 6), 2), S(F(1, 2, 5, 5), 3, 2, 1), S(F(1, 1, 5, 6), (2, 3), (1, 2)), S(F(1, 2, 6, 6), 2, dilation=2), S(F(1, 1, 5, 5), 2, ceil_mode=True), S(F(2, 4, 4), 2),
    S(F(1, 1, 6, 5), 3, 2, padding=1, ceil_mode=True), S(F(0, 2, 4, 4), 2), S(F(1, 1, 4, 4), 3, stride=1),
], second_order=True, errors=[Bad(RuntimeError, S(F(1, 1, 4, 4), 2, 2, 2), ""), Bad(RuntimeError, S(F(1, 1, 2, 2), 3), "")])  # fmt: skip
row("max_pool3d", pool("max", 3), [S(F(1, 2, 4, 4, 4), 2), S(F(1, 1, 3, 4, 5), (2, 3, 2), 1, (1, 1, 0))])
row("avg_pool1d", lambda x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True: pool("avg", 1)(x, kernel_size, stride, padding, 1, ceil_mode, False, count_include_pad), [S(F(2, 2, 6), 2), S(F(1, 2, 7), 3, 2, 1), S(F(1, 2, 7), 3, 2, 1, count_include_pad=False)])
row("avg_pool2d", lambda x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True: pool("avg", 2)(x, kernel_size, stride, padding, 1, ceil_mode, False, count_include_pad), [
    S(F(2, 2, 4, 6), 2), S(F(1, 2, 5, 5), 3, 2, 1), S(F(1, 2, 5, 5), 3, 2, 1, count_include_pad=False), S(F(1, 1, 5, 6), (2, 3), (1, 2)), S(F(1, 1, 5, 5), 2, ceil_mode=True), S(F(2, 4, 4), 2),
])  # fmt: skip
row("avg_pool3d", lambda x, kernel_size, stride=None: pool("avg", 3)(x, kernel_size, stride), [S(F(1, 2, 4, 4, 4), 2)])


def adaptive(kind: str, n: int) -> Callable[..., Any]:
    def function(x: Any, output_size: Any) -> Any:
        x = np.asarray(x)
        lead = x.shape[: x.ndim - n]
        given = tuples(output_size, n) if not isinstance(output_size, tuple) else output_size
        size = [x.shape[len(lead) + i] if g is None else g for i, g in enumerate(given)]
        out = np.zeros((*lead, *size), x.dtype)
        for at in np.ndindex(*size):
            window = tuple(slice(a * m // o, -(-(a + 1) * m // o)) for a, m, o in zip(at, x.shape[len(lead) :], size, strict=True))
            cells = x[(Ellipsis, *window)].reshape(*lead, -1)
            if kind == "max":
                out[(Ellipsis, *at)] = np.take_along_axis(cells, np.argmax(np.real(cells), -1)[..., None], -1)[..., 0]
            else:
                out[(Ellipsis, *at)] = np.mean(cells, -1)
        return out

    return function


for kind, name in (("avg", "avg"), ("max", "max")):
    row(f"adaptive_{name}_pool1d", adaptive(kind, 1), [S(F(1, 2, 7), 3), S(F(2, 2, 4), 1)])
    row(f"adaptive_{name}_pool2d", adaptive(kind, 2), [S(F(2, 2, 4, 6), 1), S(F(1, 2, 5, 7), (2, 3)), S(F(1, 1, 4, 4), (None, 2)), S(F(2, 4, 4), 2), S(F(1, 1, 2, 3), (3, 5))])

for kind in ("avg", "max"):
    row(f"adaptive_{kind}_pool3d", adaptive(kind, 3), [S(F(1, 2, 3, 4, 4), (2, 3, 1))])

# Normalisation


def scaled(x: Any, weight: Any, bias: Any, axis: int) -> Any:
    wide = (1,) * axis + (-1,) + (1,) * (x.ndim - axis - 1)
    x = x if weight is None else x * weight.reshape(wide)
    return x if bias is None else x + bias.reshape(wide)


def standardised(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    mean = np.mean(x, axis=axes, keepdims=True)
    var = np.mean((x - mean) ** 2, axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def batch_norm(x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Any:
    if training:
        x = standardised(x, (0, *range(2, x.ndim)), eps)
    else:
        wide = (1, -1, *[1] * (x.ndim - 2))
        x = (x - running_mean.reshape(wide)) / np.sqrt(running_var.reshape(wide) + eps)
    return scaled(x, weight, bias, 1)


MEAN, VAR = A([0.1, -0.2]), A([0.5, 2.0])
row("batch_norm", batch_norm, [
    S(F(4, 2), None, None, F(2), F(2), True), S(F(2, 2, 3, 2), None, None, F(2), F(2), training=True), S(F(3, 2, 2), None, None, training=True, eps=1e-3), S(F(4, 2), MEAN, VAR, F(2), F(2)),
    S(F(2, 2, 3), MEAN, VAR), S(F(5, 2, 4, 4), None, None, F(2), None, True),
], errors=[Bad((ValueError, RuntimeError), S(F(1, 2), None, None, training=True), "")])  # fmt: skip
row("layer_norm", lambda x, shape, weight=None, bias=None, eps=1e-5: (lambda z: (z if weight is None else z * weight) + (0 if bias is None else bias))(standardised(x, tuple(range(-len(shape), 0)), eps)),
    [S(F(4, 3), (3,)), S(F(2, 3, 4), (4,), F(4), F(4)), S(F(2, 3, 4), (3, 4), F(3, 4), F(3, 4)), S(F(5), (5,), F(5)), S(F(2, 17), (17,), F(17), F(17), eps=1e-3)],
    errors=[Bad(RuntimeError, S(F(4, 3), (4,)), "")])  # fmt: skip


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    z = x.reshape(x.shape[0], groups, -1)
    return scaled(standardised(z, (2,), eps).reshape(x.shape), weight, bias, 1)


row("group_norm", group_norm, [S(F(2, 4, 3), 2), S(F(2, 4, 2, 2), 2, F(4), F(4)), S(F(1, 4, 3), 4, F(4)), S(F(2, 6), 3), S(F(2, 3, 2, 2), 1, F(3), F(3), eps=1e-3)],
    errors=[Bad((RuntimeError, ValueError), S(F(2, 4, 3), 3), "")])  # fmt: skip
row("instance_norm", lambda x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5: scaled(standardised(x, tuple(range(2, x.ndim)), eps), weight, bias, 1),
    [S(F(2, 2, 3, 2)), S(F(2, 2, 4), weight=F(2), bias=F(2))])  # fmt: skip
row("rms_norm", lambda x, shape, weight=None, eps=None: x / np.sqrt(np.mean(x * x, axis=tuple(range(-len(shape), 0)), keepdims=True) + (np.finfo(float).eps if eps is None else eps)) * (1 if weight is None else weight),
    [S(F(4, 3), (3,), eps=1e-5), S(F(2, 3, 4), (4,), F(4), eps=1e-5), S(F(2, 3, 4), (3, 4), F(3, 4), 1e-6), S(F(2, 3), (3,))])  # fmt: skip


def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    square = x * x
    out = np.zeros_like(x)
    for c in range(x.shape[1]):
        lo = c - size // 2
        window = square[:, max(0, lo) : lo + size]
        out[:, c] = x[:, c] / (k + alpha * np.sum(window, axis=1) / size) ** beta
    return out


row("local_response_norm", local_response_norm, [S(F(2, 4, 3), 3), S(F(1, 5, 2, 2), 2, alpha=0.5, beta=0.6, k=2.0)])



def unpooled(x: Any, places: Any, window: int, output_size: Any = None) -> Any:
    axes = x.ndim - 2
    size = output_size or tuple(n * window for n in x.shape[2:])
    out = np.zeros((*x.shape[:2], math.prod(size)), x.dtype)
    np.put_along_axis(out, places.reshape(*x.shape[:2], -1), x.reshape(*x.shape[:2], -1), -1)
    return out.reshape(*x.shape[:2], *size) if axes else out


row("max_unpool1d", unpooled, [S(F(1, 2, 2), np.array([[[1, 2], [0, 3]]]), 2), S(F(1, 1, 2), np.array([[[1, 4]]]), 2, output_size=(5,))],
    errors=[Bad(RuntimeError, S(F(1, 1, 2), np.array([[[1, 9]]]), 2), ""), Bad(RuntimeError, S(F(1, 1, 2), np.array([[[1]]]), 2), ""),
            Bad(ValueError, S(F(1, 1, 2), np.array([[[1, 2]]]), 2, output_size=(9,)), "")])  # fmt: skip
row("max_unpool2d", unpooled, [S(F(1, 2, 1, 2), np.array([[[[5, 3]], [[0, 6]]]]), 2)])
row("max_unpool3d", unpooled, [S(F(1, 1, 1, 1, 2), np.array([[[[[5, 15]]]]]), 2)])

# Resizing


def nearest(x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest") -> Any:
    n = x.ndim - 2
    size = tuples(size, n) if size is not None else tuple(math.floor(m * f) for m, f in zip(x.shape[2:], (scale_factor,) * n, strict=True))
    for i, m in enumerate(size):
        x = np.take(x, [int(a * x.shape[2 + i] / m) for a in range(m)], 2 + i)
    return x


def bilinear_weights(m: int, o: int, align: bool, scale: float | None) -> Any:
    weights = np.zeros((o, m))
    for i in range(o):
        at = (i * (m - 1) / (o - 1) if o > 1 else 0.0) if align else max(0.0, (i + 0.5) * (1 / scale if scale else m / o) - 0.5)
        lo = min(int(at), m - 1)
        weights[i, lo] += 1 - (at - lo)
        weights[i, min(lo + 1, m - 1)] += at - lo
    return weights


def bilinear_resize(x: Any, size: Any = None, scale_factor: Any = None, mode: str = "bilinear", align_corners: bool = False) -> Any:
    given = (size, size) if isinstance(size, int) else size or tuple(math.floor(m * scale_factor) for m in x.shape[2:])
    rows, columns = (bilinear_weights(x.shape[2 + i], given[i], align_corners, scale_factor) for i in (0, 1))
    return rows @ x @ columns.T


row("interpolate", nearest, [S(F(1, 2, 3, 3), scale_factor=2, mode="nearest"), S(F(1, 1, 4, 5), size=(3, 7)), S(F(1, 2, 3), scale_factor=3), S(F(1, 1, 4, 4), scale_factor=0.5)],
    errors=[Bad((ValueError, NotImplementedError), S(F(1, 1, 4, 4)), ""), Bad((ValueError, NotImplementedError), S(F(1, 1, 4, 4), 2, 2.0), "")])  # fmt: skip
row("interpolate", bilinear_resize, [S(F(1, 2, 3, 3), scale_factor=2, mode="bilinear"), S(F(1, 1, 4, 3), size=(6, 2), mode="bilinear"), S(F(1, 1, 3, 4), size=(5, 7), mode="bilinear", align_corners=True), S(F(1, 1, 3, 4), size=5, mode="bilinear")],
    variant="bilinear")  # fmt: skip
row("pixel_shuffle", lambda x, r: x.reshape(x.shape[0], -1, r, r, *x.shape[2:]).transpose(0, 1, 4, 2, 5, 3).reshape(x.shape[0], -1, x.shape[2] * r, x.shape[3] * r), [S(F(1, 8, 2, 3), 2)])
row("pixel_unshuffle", lambda x, r: x.reshape(*x.shape[:2], x.shape[2] // r, r, x.shape[3] // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(x.shape[0], -1, x.shape[2] // r, x.shape[3] // r), [S(F(1, 2, 4, 6), 2)])
row("upsample", nearest, [S(F(1, 2, 3, 3), scale_factor=2)])
row("dropout", lambda x, p=0.5, training=True: x + 0, [S(F(5), 0.5, False), S(F(2, 3), p=0.0), S(F(3), 0.3, training=False)], errors=[Bad(ValueError, S(F(3), 1.5), "")])
row("dropout", lambda x, p: 0 * x, [S(F(2, 3), 1.0)], variant="all", second_order=False)
row("scaled_dot_product_attention", lambda q, k, v, is_causal=False: softmax(q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]) + (np.triu(np.full((q.shape[-2], k.shape[-2]), -np.inf), 1) if is_causal else 0), -1) @ v,
    [S(F(1, 3, 2), F(1, 4, 2), F(1, 4, 3)), S(F(2, 3, 2), F(2, 3, 2), F(2, 3, 2), is_causal=True)])  # fmt: skip
