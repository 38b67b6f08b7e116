"""Further bad calls, by operation: each must raise what PyTorch raises, say what is wrong, and change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .opinfo import B, Bad, F, I, S

A = np.array
LONG, NOTHING = A([1, 2]), A([])


def runtime(message: str, *args: Any, **kwargs: Any) -> Bad:
    return Bad(RuntimeError, S(*args, **kwargs), message)


def index(message: str, *args: Any, **kwargs: Any) -> Bad:
    return Bad(IndexError, S(*args, **kwargs), message)


def value(message: str, *args: Any, **kwargs: Any) -> Bad:
    return Bad(ValueError, S(*args, **kwargs), message)


def stumbles(error: type[Exception], message: str, *args: Any, **kwargs: Any) -> Bad:
    return Bad(error, S(*args, **kwargs), message, torch=False)


def kind(message: str, *args: Any, **kwargs: Any) -> Bad:
    return Bad(TypeError, S(*args, **kwargs), message)


NN = "nn.functional."
REFUSED: dict[str, list[Bad]] = {
    # elementwise
    "pow": [runtime("negative integer powers", LONG, -1)],
    "where": [kind("'condition' must be Tensor", True, F(2), F(2)), runtime("where", B(3), F(2), F(2))],
    "isnan": [kind("must be Tensor, not float", 2.0)],
    "isclose": [runtime("did not match", F(2), LONG)],
    "softmax": [index("out of range", F(2), 1)],
    # activations
    NN + "relu": [kind("relu(): argument 'input' must be Tensor, not list", [1.0])],
    NN + "prelu": [runtime("scalar or 1D", F(2, 2), F(2, 2)), runtime("prelu", F(2, 3), F(2)), runtime("zero-dim", F(), F(2))],
    NN + "celu": [runtime("alpha cannot be 0", F(2), alpha=0.0)],
    NN + "hardtanh": [value("min_val cannot be greater than max_val", F(2), 1.0, 0.0)],
    NN + "glu": [runtime("0-dimensional", F())],
    NN + "softshrink": [runtime("lambda must be greater or equal to 0", F(2), -1.0)],
    # reductions
    "var": [runtime("floating point", LONG)],
    "amax": [index("non-zero size", F(0, 3, grad=False), 0)],
    "median": [runtime("bool", B(3))],
    "quantile": [
        runtime("float or double", LONG, 0.5), runtime("scalar or 1D", F(3), A([[0.5]])), runtime(r"in the range [0, 1]", F(3), 1.5), runtime("non-empty", F(0), 0.5),
    ],
    "max": [kind("dim must be an int", F(3), "a")],
    "diff": [runtime("at least one-dim", F()), runtime("must be non-negative", F(3), -1)],
    "histc": [runtime("bins must be > 0", F(3, grad=False), 0), runtime("range of", F(3, grad=False), 2, 3.0, 1.0)],
    "linalg.vector_norm": [runtime("floating point", LONG)],
    "norm": [runtime("only 'fro', 'nuc' and numbers", F(2, 2), "max")],
    "linalg.matrix_norm": [
        runtime("at least 2 dimensions", F(3)), runtime("dim must be a 2-tuple", F(2, 2), "fro", (0,)),
        runtime("dims must be different", F(2, 2), "fro", (0, 0)), runtime("Order 3 not supported", F(2, 2), 3),
    ],
    # shapes
    "reshape": [runtime("invalid shape dimension -2", F(4), (-2, 2)), runtime("", F(4), (3, -1))],
    "Tensor.reshape": [kind("missing 1 required positional", F(4))],
    "Tensor.view": [kind("missing 1 required positional", F(4))],
    "Tensor.mT": [runtime("only supported on matrices", F(3))],
    "unflatten": [runtime("sizes must be non-empty", F(4), 0, ())],
    "movedim": [runtime("movedim", F(2, 3), (0, 1), (0,)), runtime("repeated dim in `source`", F(2, 3), (0, 0), (0, 1))],
    "cat": [kind("expected Tensor as element 1", [F(2), 3]), runtime("zero-dimensional tensor (at position 1)", [F(2), F()])],
    "stack": [runtime("non-empty TensorList", [])],
    "split": [
        runtime("at least a 1-dimensional", F(), 1), runtime("non-negative, but got split_size=-1", F(3), -1),
        runtime("split", F(3), 0), runtime("only non-negative entries", F(3), [-1, 4]),
    ],
    "chunk": [runtime("at least a 1-dimensional", F(), 1)],
    "tensor_split": [runtime("0 dims", F(), 2), runtime("larger than 0", F(3), 0)],
    "unbind": [index("no dimensions", F())],
    "meshgrid": [runtime("non-empty TensorList", indexing="ij"), runtime("0D or 1D", F(2, 2), indexing="ij"),
                 runtime("same dtype", F(2), LONG, indexing="ij"), runtime("must be one of", F(2), indexing="ji")],
    "narrow": [runtime("0-dim", F(), 0, 0, 1), runtime("non-negative", F(3), 0, 0, -1)],
    "select": [index("0-dim", F(), 0, 0)],
    "Tensor.unfold": [runtime("size is -1", F(3), 0, -1, 1), runtime("step is 0", F(3), 0, 2, 0)],
    "Tensor.repeat": [runtime("repeat", F(2, 3), 2)],
    "repeat_interleave": [
        runtime("integer tensor", F(3), F(3, grad=False)), runtime("0-dim or 1-dim", F(3), I(1, 3, hi=2)),
        runtime("repeat", F(3), LONG), runtime("non-negative", F(3), A([1, -1, 0])),
    ],
    "fliplr": [runtime(">= 2-d", F(3))],
    "flipud": [runtime(">= 1-d", F())],
    "roll": [runtime("must align", F(3), (1, 2), (0,))],
    "rot90": [runtime("rotation dims == 2", F(2, 2), 1, (0,)), runtime("total dims >= 2", F(3), 1, (0, 0)), runtime("rot90", F(2, 2), 1, (0, 0))],
    NN + "pad": [
        runtime("take in value", F(1, 3), (1, 1), "reflect", 2.0), runtime("pad", F(3), (1, 1, 1), "constant"), runtime("pad", F(1, 3), (3, 0), "reflect"),
    ],
    "diag": [runtime("", F(2, 2, 2))],
    "diag_embed": [runtime("identical", F(3), 0, 1, 1)],
    # indexing
    "Tensor.__setitem__": [],
    "gather": [runtime("gather", F(2, 3), 1, F(2, 2, grad=False)), runtime("", F(2, 3), 0, A([[0, 1, 2, 3]]))],
    "index_select": [index("vector", F(3), 0, A([[0]])), runtime("scalar can have only 1 value", F(), 0, A([0, 0]))],
    "index_add": [runtime("same scalar type", F(3), 0, A([0]), A([1])), runtime("", F(3), 0, LONG, F(1))],
    "index_copy": [runtime("same scalar type", F(3), 0, A([0]), A([1])), index("index_copy", F(3), 0, LONG, F(1))],
    "index_fill": [index("int64", F(3), 0, F(1, grad=False), 1.0)],
    "masked_select": [runtime("BoolTensor", F(3), A([0, 1, 0]))],
    "masked_scatter": [runtime("boolean", F(3), A([0, 1, 0]), F(3)), runtime("masked_scatter", F(3), A([True] * 3), F(2))],
    "take": [runtime("long", F(3), F(1, grad=False))],
    "take_along_dim": [runtime("Long", F(3), F(1, grad=False), 0), runtime("take_along_dim", F(2, 3), A([0]), 0)],
    "scatter": [runtime("", F(3), 0, A([0]), A([1]))],
    "kthvalue": [runtime("out of range", F(3), 4)],
    "bincount": [runtime("minlength", LONG, None, -1), runtime("same length", LONG, F(3, grad=False))],
    NN + "one_hot": [
        runtime("LongTensor", F(2, grad=False)), runtime("empty", A([], np.int64)), runtime("non-negative", A([-1])), runtime("should be positive", A([0]), 0),
    ],
    "searchsorted": [runtime("searchsorted", F(2, 3, grad=False), F(3, 3, grad=False))],
    # products
    "mv": [runtime("size mismatch", F(2, 3), F(2))],
    "dot": [runtime("dot", F(2), F(3))],
    "tensordot": [
        runtime("dims >= 0", F(2), F(2), -1), runtime("same length", F(2, 2), F(2, 2), ([0, 1], [0])), runtime("tensordot", F(2), F(3), ([0], [0])),
    ],
    "linalg.cross": [runtime("same number of dimensions", F(3), F(2, 3)), runtime("linalg.cross", F(2), F(2))],
    "linalg.multi_dot": [runtime("at least 2 tensors", [F(2, 2)])],
    "linalg.solve": [runtime("", F(2, 2), F(3))],
    "linalg.pinv": [runtime("at least 2 dim", F(3))],
    "linalg.svd": [runtime("at least 2 dim", F(3)), runtime("floating", I(2, 2, hi=3))],
    "einsum": [
        runtime("found '.'", "i.j->i", F(2, 2)), runtime("ellipsis was already found", "......->", F(2)),
        runtime("invalid subscript", "i1->i", F(2, 2)), value("operand", "i"), runtime("more operands", "i->i", F(2), F(2)),
        runtime("appears more than once", "i->ii", F(2)), runtime("does not appear", "i->j", F(2)), runtime("repeated", "ii->i", F(2, 3)),
    ],
    # neural networks
    NN + "linear": [runtime("", F(2, 3), F(4, 2))],
    NN + "bilinear": [runtime("bilinear", F(2, 3), F(2, 2), F(4, 2, 2))],
    NN + "embedding": [
        kind("must be Tensor, not list", [1], F(3, 2)), runtime("int64 or int32", F(2, grad=False), F(3, 2)), runtime("2-D", LONG, F(3)),
        Bad(AssertionError, S(LONG, F(3, 2), 3), "padding_idx must be within num_embeddings"),
    ],
    NN + "mse_loss": [stumbles(TypeError, "must be Tensor, not float", F(2), 1.0)],
    NN + "smooth_l1_loss": [runtime("negative values for beta", F(2), F(2), beta=-1.0)],
    NN + "huber_loss": [runtime("non-positive values for delta", F(2), F(2), delta=0.0)],
    NN + "binary_cross_entropy": [value("different to the input size", F(2), F(3)), runtime("between 0 and 1", A([2.0]), A([1.0]))],
    NN + "binary_cross_entropy_with_logits": [value("same as input size", F(2), F(3))],
    NN + "gaussian_nll_loss": [value("incorrect size", F(2, 3), F(2, 3), F(4, 3)), value("negative", F(2), F(2), A([1.0, -1.0]))],
    NN + "cross_entropy": [
        runtime("label_smoothing must be between", F(2, 3), LONG, label_smoothing=2.0), kind("must be Tensor", [1.0], LONG),
        stumbles(RuntimeError, "", F(), LONG), runtime("weight", F(2, 3), LONG, F(2, grad=False)), value("match target batch_size", F(2, 3), A([0, 1, 2])),
    ],
    NN + "nll_loss": [runtime("", F(2, 3), F(2, grad=False))],
    NN + "triplet_margin_loss": [value("margin must be greater than 0", F(2, 2), F(2, 2), F(2, 2), margin=0.0), runtime("", F(2, 2), F(2), F(2, 2))],
    NN + "cosine_embedding_loss": [runtime("", F(2, 2), F(2, 2), A([1.0, 1.0, 1.0]))],
    NN + "margin_ranking_loss": [runtime("", F(2), F(2, 2), F(2, 2, grad=False))],
    NN + "conv2d": [
        kind("'weight' must be Tensor", F(1, 1, 3, 3), 2.0), runtime("", F(3, 3), F(1, 1, 2, 2)), runtime("", F(1, 1, 3, 3), F(1, 1, 2)),
        runtime("Invalid padding string", F(1, 1, 3, 3), F(1, 1, 2, 2), padding="full"),
    ],
    NN + "conv_transpose2d": [runtime("", F(1, 3, 3, 3), F(2, 1, 2, 2)), runtime("", F(1, 1, 3, 3), F(1, 1, 2, 2), output_padding=2)],
    NN + "max_pool2d": [kind("must be int or a tuple", F(1, 1, 3, 3), "a"), runtime("", F(1, 1, 3, 3), (2, 2, 2)), runtime("", F(3, 3), 2)],
    NN + "avg_pool2d": [kind("must be Tensor", [1.0], 2), stumbles(RuntimeError, "", F(3, 3), 2)],
    NN + "adaptive_avg_pool2d": [runtime("", F(1, 1, 3, 3), (-1, 2))],
    NN + "batch_norm": [
        stumbles(RuntimeError, "at least 2D", F(3), None, None, training=True), runtime("weight must be", F(4, 3), None, None, F(2), training=True),
        runtime("to be defined when training=False", F(4, 3), None, None),
    ],
    NN + "layer_norm": [runtime("at least 1-dimensional", F(2, 3), ()), runtime("", F(2, 3), (4,)), runtime("", F(2, 3), (3,), F(2))],
    NN + "group_norm": [runtime("", F(2, 4, 3), 3), runtime("at least 2D", F(3), 1)],
    NN + "instance_norm": [runtime("use_input_stats=False", F(1, 2, 3), use_input_stats=False), value("more than 1 spatial element", F(1, 2, 1))],
    NN + "local_response_norm": [value("3D or higher", F(2, 2), 2)],
    NN + "interpolate": [
        value("", F(1, 1, 3), size=2, scale_factor=2.0), value("", F(1, 1, 3)), value("spatial dimensions", F(1, 1, 3), size=(2, 2)),
        value("align_corners", F(1, 1, 3), size=2, mode="nearest", align_corners=True),
        value("recompute_scale_factor", F(1, 1, 3), size=2, mode="linear", recompute_scale_factor=True),
    ],
    NN + "pixel_shuffle": [runtime("pixel_shuffle", F(1, 3, 2, 2), 2)],
    NN + "pixel_unshuffle": [runtime("pixel_unshuffle", F(1, 1, 3, 3), 2)],
    NN + "unfold": [stumbles(RuntimeError, "3D or 4D", F(3, 3), 2), runtime("", F(1, 1, 2, 2), 3)],
    NN + "fold": [runtime("2D or 3D", F(3), (2, 2), 2), runtime("", F(1, 3, 2), (2, 2), 2), runtime("", F(1, 4, 3), (3, 3), 2)],
    NN + "scaled_dot_product_attention": [runtime("is_causal", F(1, 2, 2), F(1, 2, 2), F(1, 2, 2), F(2, 2), is_causal=True)],
    NN + "dropout": [value("dropout probability", F(2), 1.5)],
}  # fmt: skip
