"""scikit-learn's MLP: one call of its partial_fit (which shuffles and regularises a little on its own terms).

Its initial weights, its L2 term and its loss differ in detail, so results are not compared, and only the networks
that it can express are timed.
"""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from .. import networks
from . import Case


def version() -> str:
    return sklearn.__version__


def build(suite: str, name: str, threads: int) -> Case | None:
    if suite != "steps":
        return None
    case = networks.BY_NAME[name]
    kinds = [kind for kind, *_ in case.layers]
    if set(kinds) - {"linear", "sigmoid", "relu"} or case.loss == "squared_error_sum" or len(kinds) < 3:
        return None
    kind, lr, *rest = case.optimizer
    hidden = tuple(layer[2] for layer in case.layers if layer[0] == "linear")[:-1]
    model = MLPClassifier(
        hidden, activation="relu" if "relu" in kinds else "logistic", solver="adam" if kind == "adam" else "sgd",
        alpha=0, batch_size=case.batch_size, learning_rate_init=lr, momentum=rest[0] if rest else 0, shuffle=False,
    )  # fmt: skip
    inputs, labels = networks.batch(case)
    every = np.arange(networks.classes(case))
    return Case(lambda: model.partial_fit(inputs, labels, classes=every), list)
