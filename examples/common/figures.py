"""The figures that several examples draw."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError as error:
    raise SystemExit("the examples draw with matplotlib: pip install 'autograd_lite[examples]'") from error

BLUE, ORANGE, GREY = "#1f6fb4", "#e07b1f", "#8a8a8a"

plt.rcParams.update(
    {
        "figure.dpi": 120,
        "savefig.bbox": "tight",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titleweight": "bold",
        "axes.titlesize": 11,
        "axes.grid": True,
        "grid.alpha": 0.25,
    }
)


def save(figure: Any, path: pathlib.Path) -> None:
    """Write the figure, and say so."""
    figure.savefig(path)
    plt.close(figure)
    print(f"figure    {path}")


def learning_curves(history: dict[str, Any], path: pathlib.Path, title: str) -> None:
    """Loss and accuracy on the training and validation sets, by epoch."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    epochs = np.arange(1, len(history["train_loss"]) + 1)
    for axes, quantity, scale in ((left, "loss", 1), (right, "accuracy", 100)):
        for split, color in (("train", BLUE), ("valid", ORANGE)):
            values = scale * np.array(history[f"{split}_{quantity}"])
            axes.plot(epochs, values, color=color, label={"train": "training", "valid": "validation"}[split])
        axes.set_xlabel("epoch")
    left.set_title("Cross-entropy per example")
    right.set_title("Accuracy (%)")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    right.annotate(
        f"{100 * history['valid_accuracy'][-1]:.1f} %",
        (epochs[-1], 100 * history["valid_accuracy"][-1]),
        xytext=(4, 0),
        textcoords="offset points",
        color=ORANGE,
        va="center",
        annotation_clip=False,
    )
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)


def weight_images(before: np.ndarray, after: np.ndarray, side: int, path: pathlib.Path, title: str) -> None:
    """The weights of each unit of the first layer as an image, before and after training."""
    count = min(64, len(before))
    columns = 8
    rows = -(-count // columns)
    figure, panels = plt.subplots(1, 2, figsize=(10, 5.4))
    for axes, weights, name in ((panels[0], before, "before training"), (panels[1], after, "after training")):
        limit = np.abs(weights[:count]).max()
        sheet = np.full((rows * (side + 2), columns * (side + 2)), np.nan)
        for k in range(count):
            r, c = divmod(k, columns)
            top, left = r * (side + 2) + 1, c * (side + 2) + 1
            sheet[top : top + side, left : left + side] = weights[k].reshape(side, side)
        shown = axes.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(name)
        axes.set_axis_off()
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How often class `i` (row) was taken for class `j` (column)."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def most_confused(matrix: np.ndarray, names: list[str], count: int = 8) -> list[tuple[str, str, int]]:
    """The pairs of classes that are most often taken for each other, in either direction."""
    both = np.triu(matrix + matrix.T, 1)
    order = np.argsort(both, axis=None, kind="stable")[::-1][:count]
    pairs = [divmod(int(k), len(names)) for k in order]
    return [(names[i], names[j], int(both[i, j])) for i, j in pairs if both[i, j] > 0]


def confusion(matrix: np.ndarray, names: list[str], path: pathlib.Path, title: str) -> None:
    """The confusion matrix, as shares of each true class, with the most confused pairs beside it."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure, (axes, side) = plt.subplots(1, 2, figsize=(11, 8), gridspec_kw={"width_ratios": [4, 1]})
    shown = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(False)
    for i in range(len(names)):
        for j in range(len(names)):
            if i != j and shares[i, j] >= 0.04:
                axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=6)
    figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02, label="% of the true class")
    pairs = most_confused(matrix, names)
    side.set_title("Most confused", loc="left")
    side.barh(range(len(pairs)), [n for *_, n in pairs], color=ORANGE)
    side.set_yticks(range(len(pairs)), [f"{a} / {b}" for a, b, _ in pairs])
    side.invert_yaxis()
    side.set_xlabel("mistakes")
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)
