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

LOSS_AND_ACCURACY = (("loss", "Cross-entropy per example", 1.0), ("accuracy", "Accuracy (%)", 100.0))
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
        "axes.axisbelow": True,
        "grid.alpha": 0.25,
    }
)


def save(figure: Any, path: pathlib.Path) -> None:
    """Write the figure, and say so."""
    figure.savefig(path)
    plt.close(figure)
    print(f"figure    {path}")


def learning_curves(
    history: dict[str, Any],
    path: pathlib.Path,
    title: str,
    panels: tuple[tuple[str, str, float], ...] = LOSS_AND_ACCURACY,
) -> None:
    """Each measured value on the training and validation sets, by epoch: (name, title, factor) a panel."""
    figure, row = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.8), squeeze=False)
    for axes, (name, panel_title, factor) in zip(row[0], panels, strict=True):
        curves = {split: factor * np.array(history[f"{split}_{name}"]) for split in ("train", "valid")}
        above = max(curves, key=lambda split: curves[split][-1])
        for split, color, label in (("train", BLUE, "training"), ("valid", ORANGE, "validation")):
            values = curves[split]
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, color=color, marker="." if len(values) < 30 else None, label=label)
            axes.annotate(
                f"{values[-1]:.3g}",
                (epochs[-1], values[-1]),
                xytext=(5, 9 if split == above else -3),
                textcoords="offset points",
                color=color,
                va="center",
                annotation_clip=False,
            )
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(panel_title)
        if name == "loss":
            axes.set_ylim(bottom=0)
    row[0][0].legend(frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)


def compared_curves(
    histories: dict[str, dict[str, Any]], path: pathlib.Path, title: str, name: str = "accuracy", factor: float = 100
) -> None:
    """One value of several runs: training dashed, validation solid."""
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for number, (label, history) in enumerate(histories.items()):
        for split, style in (("train", "--"), ("valid", "-")):
            values = factor * np.array(history[f"{split}_{name}"])
            line = label if split == "valid" else None
            marker = "." if len(values) < 10 else None
            axes.plot(
                np.arange(1, len(values) + 1), values, style, color=f"C{number}", label=line, lw=1.4, marker=marker
            )
    axes.plot([], [], "-", color=GREY, label="validation")
    axes.plot([], [], "--", color=GREY, label="training")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(f"{name} (%)" if factor == 100 else name)
    axes.legend(frameon=False, ncols=2)
    axes.set_title(title)
    save(figure, path)


def image_rows(
    rows: dict[str, np.ndarray], path: pathlib.Path, title: str, captions: dict[str, list[str]] | None = None
) -> None:
    """Rows of images (N, H, W) grey or (N, H, W, 3), one below the other, each with its name."""
    count = max(len(images) for images in rows.values())
    figure, grid = plt.subplots(
        len(rows), count, figsize=(0.95 * count + 1, 0.95 * len(rows) + 0.5), squeeze=False, layout="constrained"
    )
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.set_axis_off()
        for k, (axes, image) in enumerate(zip(line, images)):
            axes.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if captions and name in captions:
                axes.set_title(captions[name][k], fontsize=7, fontweight="normal", pad=2)
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    figure.suptitle(title)
    save(figure, path)


def weight_images(
    before: np.ndarray,
    after: np.ndarray,
    side: int,
    path: pathlib.Path,
    title: str,
    names: tuple[str, str] = ("before training", "after training"),
) -> None:
    """The weights of up to 64 units of the first layer as images, before and after training."""
    count = min(64, len(before))
    columns = 8
    rows = -(-count // columns)
    figure, panels = plt.subplots(1, 2, figsize=(10, 0.8 + 4.6 * rows / columns))
    for axes, weights, name in ((panels[0], before, names[0]), (panels[1], after, names[1])):
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
    size = 4 + 0.11 * len(names)
    figure, (axes, side) = plt.subplots(1, 2, figsize=(size + 3, size), gridspec_kw={"width_ratios": [size, 2]})
    shown = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(False)
    for i in range(len(names)):
        for j in range(len(names)):
            if i != j and shares[i, j] >= 0.04:
                axes.text(
                    j,
                    i,
                    f"{100 * shares[i, j]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=6,
                    color="white" if shares[i, j] > 0.5 else "black",
                )
    figure.colorbar(shown, ax=axes, fraction=0.04, pad=0.02, label="% of the true class")
    pairs = most_confused(matrix, names)
    side.set_title("Most confused", loc="left")
    side.barh(range(len(pairs)), [n for *_, n in pairs], color=ORANGE)
    side.set_yticks(range(len(pairs)), [f"{a} / {b}" for a, b, _ in pairs])
    side.invert_yaxis()
    side.set_xlabel("mistakes")
    side.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)


def mistakes(split: Any, predicted: np.ndarray, names: list[str], path: pathlib.Path, title: str) -> None:
    """Up to 24 of the images that were put into a wrong class, with the class they were put into and their own."""
    labels = split.labels.numpy()
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[:: max(len(wrong) // 24, 1)][:24]
    if len(wrong) == 0:
        return
    rows = -(-len(wrong) // 8)
    figure, grid = plt.subplots(rows, 8, figsize=(10, 0.6 + 1.4 * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, k in zip(grid.flat, wrong):
        image = np.moveaxis(split.images[int(k)].numpy(), 0, 2)
        axes.imshow(image, cmap="gray", interpolation="nearest")
        between = ", " if max(map(len, names)) <= 2 else ",\n"
        axes.set_title(f"{names[predicted[k]]}{between}not {names[labels[k]]}", fontsize=8, fontweight="normal", pad=3)
    figure.suptitle(title)
    figure.tight_layout()
    save(figure, path)


def filters(weights: np.ndarray, path: pathlib.Path, title: str) -> None:
    """The filters of a first convolution (filters, channels, height, width)."""
    count, channels = weights.shape[:2]
    columns = min(count, 16)
    rows = -(-count // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(0.62 * columns, 0.62 * rows + 0.4), squeeze=False, layout="constrained"
    )
    limit = np.abs(weights).max()
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, one in zip(grid.flat, weights):
        if channels == 3:
            axes.imshow(np.moveaxis(one, 0, 2) / (2 * limit) + 0.5, interpolation="nearest")
        else:
            axes.imshow(one[0], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    figure.suptitle(title)
    save(figure, path)
