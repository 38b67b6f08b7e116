"""Layers for vectors: linear maps, activations, normalisation, reshaping, distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.optable import nn as table
from tests.optable.elementwise import sigmoid
from tests.optable.reduction import log_softmax, softmax

from .trial import BOOLEANS, Draw, Strategy, Trial, each, generator, some

LAYERS: dict[str, Strategy] = {}

# Activations: the class, the row of the op table whose reference it has, its options

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReLU": ("relu", {}), "LeakyReLU": ("leaky_relu", {"negative_slope": 0.3}), "ELU": ("elu", {"alpha": 0.5}), "SELU": ("selu", {}), "CELU": ("celu", {"alpha": 1.5}),
    "SiLU": ("silu", {}), "Mish": ("mish", {}), "Sigmoid": ("sigmoid", {}), "Tanh": ("tanh", {}), "Softplus": ("softplus", {"beta": 2.0, "threshold": 1.0}),
    "Softsign": ("softsign", {}), "Hardtanh": ("hardtanh", {"min_val": -0.5, "max_val": 1.5}), "Hardsigmoid": ("hardsigmoid", {}), "Hardswish": ("hardswish", {}),
    "ReLU6": ("relu6", {}), "LogSigmoid": ("logsigmoid", {}), "Tanhshrink": ("tanhshrink", {}), "Hardshrink": ("hardshrink", {"lambd": 1.0}), "Softshrink": ("softshrink", {"lambd": 0.7}),
    "GELU": ("gelu", {}),
}  # fmt: skip
IN_PLACE = {"ReLU", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardsigmoid", "Hardswish", "ReLU6"}


@st.composite
def activation(draw: Draw, name: str) -> Trial:
    function, choices = ACTIVATIONS[name]
    reference, _, analytic = table.ACTIVATIONS[function]
    options = some(draw, **{key: st.just(value) for key, value in choices.items()})
    x = generator(draw).uniform(-8, 8, each(draw, draw(st.integers(0, 3)), 0, 4))
    return Trial(name, options, [x], lambda x: reference(x, **options), analytic)


@st.composite
def gelu(draw: Draw) -> Trial:
    options = some(draw, approximate=st.sampled_from(["none", "tanh"]))
    x = generator(draw).uniform(-4, 4, each(draw, 2, 1, 4))
    if options.get("approximate") == "tanh":
        return Trial("GELU", options, [x], lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return Trial("GELU", options, [x], table.ACTIVATIONS["gelu"][0], analytic=False)


@st.composite
def threshold(draw: Draw) -> Trial:
    options = {"threshold": 0.2, "value": draw(st.sampled_from([-1.0, 3.0]))}
    return Trial("Threshold", options, [generator(draw).standard_normal(each(draw, 2, 1, 4))], lambda x: np.where(np.real(x) > 0.2, x, options["value"]))


@st.composite
def prelu(draw: Draw) -> Trial:
    channels = draw(st.integers(1, 4))
    options = {"num_parameters": channels, **some(draw, init=st.just(0.1))}
    shape = (2, channels, *each(draw, draw(st.integers(0, 2)), 1, 3))
    return Trial("PReLU", options, [generator(draw).standard_normal(shape)],
                 lambda x, weight: np.where(np.real(x) > 0, x, x * weight.reshape(-1, *[1] * (x.ndim - 2))))  # fmt: skip


SOFT = {"Softmax": softmax, "LogSoftmax": log_softmax, "Softmin": lambda x, dim: softmax(-x, dim)}


@st.composite
def soft(draw: Draw, name: str) -> Trial:
    n = draw(st.integers(1, 3))
    options = {"dim": draw(st.integers(-n, n - 1))}
    return Trial(name, options, [generator(draw).uniform(-5, 5, each(draw, n, 1, 4))], lambda x: SOFT[name](x, options["dim"]))


@st.composite
def softmax2d(draw: Draw) -> Trial:
    return Trial("Softmax2d", {}, [generator(draw).standard_normal(each(draw, draw(st.integers(3, 4)), 1, 3))], lambda x: softmax(x, -3))


@st.composite
def glu(draw: Draw) -> Trial:
    n = draw(st.integers(1, 3))
    options = some(draw, dim=st.integers(-n, n - 1))
    dim = options.get("dim", -1)
    shape = list(each(draw, n, 1, 3))
    shape[dim] *= 2
    return Trial("GLU", options, [generator(draw).standard_normal(shape)], lambda x: np.split(x, 2, dim)[0] * sigmoid(np.split(x, 2, dim)[1]))


# Linear maps


@st.composite
def linear(draw: Draw) -> Trial:
    options = {"in_features": draw(st.integers(1, 5)), "out_features": draw(st.integers(1, 5)), **some(draw, bias=BOOLEANS)}
    shape = (*each(draw, draw(st.integers(0, 3)), 0, 3), options["in_features"])
    return Trial("Linear", options, [generator(draw).standard_normal(shape)], lambda x, weight, bias=0: x @ weight.T + bias)


@st.composite
def bilinear(draw: Draw) -> Trial:
    rng = generator(draw)
    n, m, o = each(draw, 3, 1, 4)
    lead = each(draw, draw(st.integers(1, 2)), 1, 3)
    options = {"in1_features": n, "in2_features": m, "out_features": o, **some(draw, bias=BOOLEANS)}
    inputs = [rng.standard_normal((*lead, n)), rng.standard_normal((*lead, m))]
    return Trial("Bilinear", options, inputs, lambda x, y, weight, bias=0: np.einsum("...i,oij,...j->...o", x, weight, y) + bias)


@st.composite
def embedding(draw: Draw) -> Trial:
    """Without the options that make the gradient differ from the derivative, which have tests of their own."""
    rng = generator(draw)
    rows, columns = each(draw, 2, 1, 5)
    index = rng.integers(0, rows, each(draw, draw(st.integers(0, 3)), 1, 3))
    return Trial("Embedding", {"num_embeddings": rows, "embedding_dim": columns}, [index], lambda index, weight: weight[index])


# Normalisation


@st.composite
def layer_norm(draw: Draw) -> Trial:
    rng = generator(draw)
    n = draw(st.integers(1, 2))
    shape = each(draw, n, 2, 4)
    normalized = shape[0] if n == 1 and draw(BOOLEANS) else shape
    options = {"normalized_shape": normalized, **some(draw, eps=st.just(1e-2), elementwise_affine=BOOLEANS, bias=BOOLEANS)}
    x = rng.standard_normal((*each(draw, draw(st.integers(0, 2)), 1, 3), *shape))

    def reference(x: Any, weight: Any = 1, bias: Any = 0) -> Any:
        return table.standardised(x, tuple(range(-n, 0)), options.get("eps", 1e-5)) * weight + bias

    return Trial("LayerNorm", options, [x], reference)


@st.composite
def rms_norm(draw: Draw) -> Trial:
    rng = generator(draw)
    n = draw(st.integers(1, 2))
    shape = each(draw, n, 2, 4)
    options = {"normalized_shape": shape, **some(draw, eps=st.just(1e-2), elementwise_affine=BOOLEANS)}
    eps = options.get("eps", np.finfo(float).eps)
    x = rng.standard_normal((*each(draw, draw(st.integers(0, 2)), 1, 3), *shape))
    return Trial("RMSNorm", options, [x], lambda x, weight=1: x / np.sqrt(np.mean(x * x, axis=tuple(range(-n, 0)), keepdims=True) + eps) * weight)


# Shapes, distances


@st.composite
def flatten(draw: Draw) -> Trial:
    shape = each(draw, draw(st.integers(2, 4)), 1, 3)
    options = some(draw, start_dim=st.integers(0, 1), end_dim=st.sampled_from([-1, 1, len(shape) - 1]))
    start, end = options.get("start_dim", 1), options.get("end_dim", -1) % len(shape)
    return Trial("Flatten", options, [generator(draw).standard_normal(shape)], lambda x: x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :]))


@st.composite
def unflatten(draw: Draw) -> Trial:
    sizes, shape = each(draw, 2, 1, 3), list(each(draw, draw(st.integers(1, 3)), 1, 3))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    shape[dim] = math.prod(sizes)
    given = draw(st.sampled_from([sizes, (-1, sizes[1])]))
    at = dim % len(shape)
    return Trial("Unflatten", {"dim": dim, "unflattened_size": given}, [generator(draw).standard_normal(shape)],
                 lambda x: x.reshape(*x.shape[:at], *sizes, *x.shape[at + 1 :]))  # fmt: skip


@st.composite
def identity(draw: Draw) -> Trial:
    return Trial("Identity", {}, [generator(draw).standard_normal(each(draw, 2, 0, 3))], lambda x: x + 0)


@st.composite
def cosine_similarity(draw: Draw) -> Trial:
    rng, shape = generator(draw), each(draw, draw(st.integers(2, 3)), 1, 4)
    options = some(draw, dim=st.integers(-len(shape), len(shape) - 1))
    dim = options.get("dim", 1)
    return Trial("CosineSimilarity", options, [rng.standard_normal(shape) for _ in range(2)],
                 lambda x, y: np.sum(x * y, dim) / np.sqrt(np.sum(x * x, dim) * np.sum(y * y, dim)))  # fmt: skip


@st.composite
def pairwise_distance(draw: Draw) -> Trial:
    rng, shape = generator(draw), each(draw, draw(st.integers(1, 2)), 1, 4)
    options = some(draw, p=st.sampled_from([1.0, 2.0, 3.0]), keepdim=BOOLEANS)
    p = options.get("p", 2.0)
    return Trial("PairwiseDistance", options, [rng.standard_normal(shape) for _ in range(2)],
                 lambda x, y: np.sum(table.absolute(x - y + 1e-6) ** p, -1, keepdims=options.get("keepdim", False)) ** (1 / p))  # fmt: skip


for name in ACTIVATIONS:
    LAYERS[name] = activation(name)
for name in SOFT:
    LAYERS[name] = soft(name)
LAYERS |= {
    "GELU": gelu(), "Threshold": threshold(), "PReLU": prelu(), "Softmax2d": softmax2d(), "GLU": glu(), "Linear": linear(), "Bilinear": bilinear(), "Embedding": embedding(),
    "LayerNorm": layer_norm(), "RMSNorm": rms_norm(), "Flatten": flatten(), "Unflatten": unflatten(), "Identity": identity(), "CosineSimilarity": cosine_similarity(),
    "PairwiseDistance": pairwise_distance(),
}  # fmt: skip
