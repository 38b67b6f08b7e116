"""The single operations that are timed: their inputs, and the work in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Operation:
    """One operation; `kind` says what the peers do, `shape` and `options` on what.

    Kinds: the elementwise functions by name; "softmax_cross_entropy", "layer_norm", "batch_norm", "max_pool",
    "avg_pool", "dropout", "embedding" (forward and backward); "adam" (one update); "sum"; "gemm" (shape m, k, n;
    options: the transpositions); "conv" (shape n, c, h, w, out, size; options: forward, input or weight, and
    groups); "add_small", "chain" (the cost of recording).
    """

    name: str
    title: str
    kind: str
    shape: tuple[int, ...]
    options: tuple[object, ...] = ()
    threads: int | None = None

    @property
    def flop(self) -> float:
        if self.kind == "gemm":
            m, k, n = self.shape
            return 2.0 * m * k * n
        if self.kind == "conv":
            n, c, h, w, out, size = self.shape
            groups = int(self.options[1])  # type: ignore[call-overload]
            return 2.0 * n * out * h * w * (c // groups) * size * size
        return 0.0


def inputs(operation: Operation) -> list[np.ndarray]:
    """The operation's arrays, float32 in [0.1, 1.1) (labels and indices int64)."""
    rng = np.random.default_rng(0)
    kind, shape = operation.kind, operation.shape

    def draw(*extents: int) -> np.ndarray:
        return rng.random(extents, np.float32) + np.float32(0.1)

    if kind == "gemm":
        m, k, n = shape
        ta, tb = str(operation.options[0])
        return [draw(*((k, m) if ta == "T" else (m, k))), draw(*((n, k) if tb == "T" else (k, n)))]
    if kind == "conv":
        n, c, h, w, out, size = shape
        groups = int(operation.options[1])  # type: ignore[call-overload]
        return [draw(n, c, h, w), draw(out, c // groups, size, size) - np.float32(0.6), draw(n, out, h, w)]
    if kind == "softmax_cross_entropy":
        return [draw(*shape), rng.integers(0, shape[1], shape[0])]
    if kind == "embedding":
        rows, width, count = shape
        return [draw(rows, width), rng.integers(0, rows, count), draw(count, width)]
    if kind == "adam":
        return [draw(*shape), draw(*shape)]
    return [draw(*shape)]


ELEMENTWISE = ("exp", "tanh", "sigmoid", "erf", "log")
OPERATIONS = [
    *(Operation(f, f"{f}, 16384 numbers, 1 thread", f, (16384,), threads=1) for f in ELEMENTWISE),
    Operation("relu", "relu, 4M numbers", "relu", (1 << 22,)),
    Operation("add", "x + y, 4M numbers", "add", (1 << 22,)),
    Operation("sum", "sum, 4M numbers", "sum", (1 << 22,)),
    Operation("sce", "softmax-cross-entropy 1024x1000, forward + backward", "softmax_cross_entropy", (1024, 1000)),
    Operation("layer_norm", "LayerNorm 1024x768, forward + backward", "layer_norm", (1024, 768)),
    Operation("batch_norm", "BatchNorm 32x64x32x32, forward + backward", "batch_norm", (32, 64, 32, 32)),
    Operation("max_pool", "max-pool 2x2 of 32x64x32x32, forward + backward", "max_pool", (32, 64, 32, 32)),
    Operation("avg_pool", "average-pool 2x2 of 32x64x32x32, forward + backward", "avg_pool", (32, 64, 32, 32)),
    Operation("embedding", "embedding 10000x128, 4096 rows, forward + backward", "embedding", (10000, 128, 4096)),
    Operation("adam", "Adam, one million parameters", "adam", (1_000_000,)),
    Operation("add_small", "x + y recorded, one number", "add_small", (1,), threads=1),
    Operation("chain", "ten chained operations forward + backward, one number", "chain", (1,), threads=1),
]
GEMMS = [
    Operation(f"gemm-{m}x{k}x{n}-{t}", f"{m}x{k} @ {k}x{n} {t}", "gemm", (m, k, n), (t,))
    for m, k, n in ((64, 1024, 64), (256, 1024, 256), (1024, 1024, 1024), (2048, 2048, 2048))
    for t in ("NN", "NT", "TN", "TT")
]


def _conv(label: str, shape: tuple[int, ...], groups: int = 1) -> list[Operation]:
    n, c, h, w, out, size = shape
    title = f"conv{size}x{size} {n}x{c}x{h}x{w} -> {out}" + (f" ({groups} groups)" if groups > 1 else "")
    return [
        Operation(f"conv-{label}-{which}", f"{title}, {which}", "conv", shape, (which, groups))
        for which in ("forward", "input", "weight")
    ]


CONVS = [
    *_conv("32-64", (32, 32, 16, 16, 64, 3)),
    *_conv("64-128", (32, 64, 8, 8, 128, 3)),
    *_conv("1-32", (32, 1, 32, 32, 32, 3)),
    *_conv("depthwise", (32, 64, 16, 16, 64, 3), 64),
]
EVERY = {o.name: o for o in (*OPERATIONS, *GEMMS, *CONVS)}
