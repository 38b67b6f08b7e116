"""Reads handwriting from photographs.

Letters are found without learning (denoise, grey, Otsu's threshold, closing, connected parts, boxes), ordered into
lines and words, brought into the training images' format, and read by two networks trained on NIST36 or EMNIST: the
two-layer network of `examples.mlp` and the convolutional one of `examples.cnn`. What was read is compared with the
truth, and the letters that came out wrong are shown, as are letters drawn on purpose so that the method fails.

    python -m examples.text_extraction --dataset nist36 --data DIR
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn

from . import cnn, mlp
from .common import figures, images, letters, options, training
from .common.figures import BLUE, ORANGE, plt


@dataclass
class Page:
    """A photograph and what was found on it."""

    name: str
    photograph: np.ndarray
    ink: np.ndarray
    lines: list[list[letters.Box]]
    truth: list[str]

    @property
    def boxes(self) -> list[letters.Box]:
        return [box for line in self.lines for box in line]

    def crops(self, data: images.Images) -> Tensor:
        """The letters in reading order, in the format of the data set's images (N, 1, side, side)."""
        crops = np.stack([letters.cut_out(self.ink, box, data.shape[-1]) for box in self.boxes])[:, None]
        return ag.from_numpy(1 - crops if data.white_on_black else crops)


def find(name: str, photograph: np.ndarray, truth: list[str]) -> Page:
    boxes, ink = letters.find_letters(photograph)
    return Page(name, photograph, ink, letters.in_lines(boxes), truth)


def read_photographs(folder: pathlib.Path) -> list[Page]:
    """The photographs ``*.jpg`` of a folder, each with what it says in a text file of the same name."""
    from PIL import Image

    paths = sorted(folder.glob("*.jpg"))
    untold = [path.name for path in paths if not path.with_suffix(".txt").exists()]
    if untold or not paths:
        sys.exit(f"{folder}: {'no text file says what is on ' + ', '.join(untold) if untold else 'no *.jpg found'}")
    pages = []
    for path in options.progress(paths, unit="photograph", desc="finding letters"):
        with Image.open(path) as file:
            size = (letters.WORKING_WIDTH, round(file.height * letters.WORKING_WIDTH / file.width))
            photograph = np.asarray(file.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float64) / 255
        pages.append(find(path.stem, photograph, path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()))
    return pages


def draw_page(text: list[str], data: images.Images, seed: int = 0) -> np.ndarray:
    """A page (H, W, 3) with letters of a data set: a photograph for which no file is needed."""
    rng = np.random.default_rng(seed)
    labels, pictures = data.test.labels.numpy(), images.to_float(data.test.images).numpy()[:, 0]
    pictures = 1 - pictures if data.white_on_black else pictures
    side = data.shape[-1]
    page = np.ones((70 * len(text) + 60, 44 * max(len(line) for line in text) + 80))
    for row, line in enumerate(text):
        for column, letter in enumerate(line):
            if letter != " ":
                picture = pictures[rng.choice(np.flatnonzero(labels == data.classes.index(letter)))]
                top, left = 30 + 70 * row + rng.integers(-4, 5), 40 + 44 * column
                place = page[top : top + side, left : left + side]
                np.minimum(place, picture, out=place)
    page = page.repeat(2, 0).repeat(2, 1)
    light = 0.6 + 0.3 * np.linspace(0, 1, page.shape[1])  # a lamp at the right
    noisy = page * light + rng.normal(0, 0.02, page.shape)
    return np.clip(noisy[..., None] * np.array([1.0, 0.97, 0.9]), 0, 1)


def read(model: nn.Module, page: Page, data: images.Images, by_words: bool = True) -> list[str]:
    """What the network takes the page's letters for, line by line, words parted by spaces.

    An O and a zero look alike, and so do I and 1. With `by_words` a word is all letters or all digits, whichever
    the network finds likelier; else every letter is read for itself. The photographs have capitals only.
    """
    scores = iter(ag.log_softmax(training.predict(model, page.crops(data)), 1).numpy())
    limit = letters.word_gap(page.lines)
    lines = []
    for line in page.lines:
        words = [[next(scores) for _ in word] for word in letters.in_words(line, limit)]
        lines.append(" ".join(read_word(np.stack(word), data.classes, by_words).upper() for word in words))
    return lines


def read_word(scores: np.ndarray, classes: list[str], by_words: bool) -> str:
    """The likeliest word for the log-probabilities (letters of the word, classes)."""
    digit = np.array([name.isdigit() for name in classes])
    if by_words:
        kinds = [np.where(kind, scores, -np.inf) for kind in (digit, ~digit)]
        scores = max(kinds, key=lambda kind: kind.max(1).sum())
    return "".join(classes[k] for k in scores.argmax(1))


def characters(lines: list[str]) -> str:
    return "".join(lines).replace(" ", "")


def compare(lines: list[str], truth: list[str]) -> float:
    """The share of characters that are right, one by one if as many were found, by edit distance otherwise."""
    ours, theirs = characters(lines), characters(truth)
    if len(ours) == len(theirs):
        return sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(theirs)
    return 1 - edit_distance(ours, theirs) / len(theirs)


def edit_distance(a: str, b: str) -> int:
    """The fewest letters to insert, delete or exchange to make `b` of `a` (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=("glyphs", "nist36", "emnist"))
    parser.add_argument("--photographs", type=pathlib.Path, metavar="DIR", help="by default the folder text in --data")
    parser.add_argument("--weights", type=pathlib.Path, metavar="DIR", help="where the networks are kept")
    return parser.parse_args(arguments)


def networks(given: argparse.Namespace, data: images.Images) -> dict[str, nn.Module]:
    """The two readers, trained on the data set, or read from ``--weights``."""
    asked = ["--dataset", data.name, "--seed", str(given.seed)] + (["--quick"] if given.quick else [])
    for option in ("epochs", "batch_size", "lr"):
        value = getattr(given, option)
        asked += [f"--{option.replace('_', '-')}", str(value)] if value is not None else []
    recipe = mlp.parse(["--hidden", "256", "--optimizer", "adam", "--epochs", "100", *asked])
    two_layer = mlp.TwoLayerNetwork(data.shape[1] * data.shape[2], recipe.hidden, len(data.classes))
    return {
        "mlp": kept(given, "mlp", data, two_layer, lambda: mlp.train(recipe, data, recipe.lr)[0]),
        "cnn": kept(given, "cnn", data, cnn.build(data), lambda: cnn.train(cnn.parse(asked), data)[0]),
    }


def kept(
    given: argparse.Namespace, name: str, data: images.Images, model: nn.Module, train: Callable[[], nn.Module]
) -> nn.Module:
    """A network with the weights that are kept in ``--weights``; if there are none, what `train` gives, kept there."""
    path = given.weights / f"{name}_{data.name}.safetensors" if given.weights else None
    if path is not None and path.exists():
        model.load_state_dict(ag.load(path))
        return model
    ag.manual_seed(given.seed)
    model = train()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        ag.save(dict(model.state_dict()), path)
    return model


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given, quick=1500)
    print(f"data      {data}")
    among_data = pathlib.Path(given.data or "") / "text"
    if given.photographs or (given.data and among_data.is_dir()):
        pages = read_photographs(given.photographs or among_data)
    else:
        text = ["READ THIS", "FROM A DRAWN", "PAGE 2 TIMES"]
        pages = [find("drawn", draw_page(text, data, given.seed), text)]
    models = networks(given, data)
    reached = {name: training.evaluate(model, data.test)[1] for name, model in models.items()}
    print("readers   " + ", ".join(f"{name}: test {share:.3f}" for name, share in reached.items()))

    metrics: dict[str, Any] = {
        "example": "text_extraction",
        "dataset": data.name,
        "test_accuracy": reached,
        "pages": {},
    }
    for page in pages:
        count = len(characters(page.truth))
        print(f"\n{page.name}: {len(page.boxes)} letters found, {count} written, {len(page.lines)} lines")
        texts = {name: read(model, page, data) for name, model in models.items()}
        alone = {name: compare(read(model, page, data, by_words=False), page.truth) for name, model in models.items()}
        shares = {name: compare(lines, page.truth) for name, lines in texts.items()}
        for name, lines in texts.items():
            print(f"  {name} reads {shares[name]:.1%} right ({alone[name]:.1%} letter by letter)")
            print(*(f"    {line}" for line in lines), sep="\n")
        metrics["pages"][page.name] = {
            "found": len(page.boxes),
            "written": count,
            "right": shares,
            "right_letter_by_letter": alone,
            "texts": texts,
        }
        draw_boxes(page, texts["cnn"], shares, out / f"text_{page.name}.png")
    draw_crops(pages, data, out / "text_crops.png")
    draw_failures(models["cnn"], data, out / "text_failures.png")
    return options.report(given, metrics)


def draw_boxes(page: Page, text: list[str], shares: dict[str, float], path: pathlib.Path) -> None:
    """The photograph with a box around each letter: blue where the CNN read it right, orange where not."""
    height, width = page.ink.shape
    figure, axes = plt.subplots(figsize=(11, 11 * height / width))
    axes.imshow(page.photograph)
    taken, truth = characters(text), characters(page.truth)
    comparable = len(taken) == len(truth)
    for number, box in enumerate(page.boxes):
        right = not comparable or taken[number] == truth[number]
        shape = plt.Rectangle((box.left - 3, box.top - 3), box.width + 6, box.height + 6, fill=False, lw=1.4)
        shape.set_edgecolor(BLUE if right else ORANGE)
        axes.add_patch(shape)
        if number < len(taken):
            axes.text(
                box.left - 3, box.top - 8, taken[number], color=BLUE if right else ORANGE, fontsize=9, weight="bold"
            )
    axes.set_axis_off()
    reached = ", ".join(f"{name.upper()} {share:.1%}" for name, share in shares.items())
    axes.set_title(f"{page.name}: {len(page.boxes)} letters of {len(truth)} found; read right: {reached}")
    figures.save(figure, path)


def draw_crops(pages: list[Page], data: images.Images, path: pathlib.Path) -> None:
    """Cut-out letters above training images of the same letters."""
    page = pages[min(1, len(pages) - 1)]
    truth = characters(page.truth)
    if len(truth) != len(page.boxes):
        return
    shown = np.unique(np.linspace(0, len(truth) - 1, 12).astype(int))
    labels = data.train.labels.numpy()
    similar = [np.flatnonzero(labels == data.classes.index(truth[k]))[0] for k in shown]
    figures.image_rows(
        {
            "cut out": page.crops(data).numpy()[shown, 0],
            "trained on": images.to_float(data.train.images).numpy()[similar, 0],
        },
        path,
        f"Letters of {page.name} in the training images' format",
        {"cut out": [truth[k] for k in shown]},
    )


def failing_pages(data: images.Images) -> dict[str, np.ndarray]:
    """Pages drawn so that the method fails: letters that touch, broken strokes, turned letters, punctuation."""
    base = draw_page(["HELLO"], data, seed=3)
    pages = {"as it should be": base}
    touching = base.copy()
    touching[85:91, 110:440] = 0.15
    pages["joined by a line"] = touching
    split = base.copy()
    split[88:104, :] = 0.8
    pages["split by a fold"] = split
    pages["turned upside down"] = base[::-1, ::-1].copy()
    dotted = base.copy()
    for left in (145, 322):
        dotted[60:126, left : left + 7] = 0.1  # as an exclamation mark is
    pages["with punctuation"] = dotted
    return pages


def draw_failures(model: nn.Module, data: images.Images, path: pathlib.Path) -> None:
    pages = failing_pages(data)
    figure, grid = plt.subplots(-(-len(pages) // 2), 2, figsize=(9.5, 1.1 * len(pages)))
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, picture) in zip(grid.flat, pages.items()):
        page = find(name, picture, ["HELLO"])
        text = " / ".join(read(model, page, data))
        axes.imshow(picture)
        for box in page.boxes:
            axes.add_patch(
                plt.Rectangle((box.left, box.top), box.width, box.height, fill=False, edgecolor=ORANGE, lw=1.5)
            )
        axes.set_title(f"{name}: HELLO is read as {text}", fontsize=10)
    figure.suptitle("Where finding letters fails")
    figure.tight_layout()
    figures.save(figure, path)


if __name__ == "__main__":
    main()
