"""A convolution is a matrix product, in two ways.

1. The filter as a matrix: each output of a 3x3 filter on a 3x3 image (padded with zeros) is a weighted sum of the 9
   pixels, so the whole is a 9x9 matrix times the image written as a column.
2. The image as a matrix (im2col; Chellapilla et al., High performance convolutional neural networks for document
   processing, 2006): every patch becomes a column, and all filters are applied in one product. This is how
   convolutions are computed fast, with any stride, padding and number of channels.

    python -m examples.convolution_as_matrix
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, options
from .common.figures import plt


def filter_matrix(kernel: Tensor, height: int, width: int) -> Tensor:
    """The matrix (H W, H W) that does what `kernel` does to an image with a border of zeros.

    As in all networks the filter is not turned round: strictly, this is a correlation.
    """
    size = kernel.shape[0]
    reach = size // 2
    matrix = ag.zeros(height * width, height * width)
    for row in range(height):
        for column in range(width):
            for i in range(size):
                for j in range(size):
                    y, x = row + i - reach, column + j - reach
                    if 0 <= y < height and 0 <= x < width:
                        matrix[row * width + column, y * width + x] = kernel[i, j]
    return matrix


def im2col(images: Tensor, size: int, stride: int = 1, padding: int = 0) -> Tensor:
    """Every patch as a column: (N, C, H, W) -> (N, C size size, patches)."""
    padded = nn.functional.pad(images, (padding,) * 4)
    n, channels, height, width = padded.shape
    rows = ag.arange(0, height - size + 1, stride)
    columns = ag.arange(0, width - size + 1, stride)
    y = (rows[:, None] + ag.arange(size)).reshape(len(rows), 1, size, 1)
    x = (columns[:, None] + ag.arange(size)).reshape(1, len(columns), 1, size)
    patches = padded[:, :, y, x]  # (N, C, rows, columns, size, size)
    return patches.permute(0, 1, 4, 5, 2, 3).reshape(n, channels * size * size, len(rows) * len(columns))


def convolve(images: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """A convolution as one product of matrices."""
    filters, _, size, _ = weight.shape
    columns = im2col(images, size, stride, padding)
    height = (images.shape[2] + 2 * padding - size) // stride + 1
    return (weight.reshape(filters, -1) @ columns).reshape(len(images), filters, height, -1)


def check_general(seed: int) -> list[dict[str, Any]]:
    """Values and gradients of `convolve` against ``nn.functional.conv2d``, on whole numbers: exactly equal."""
    ag.manual_seed(seed)
    checked = []
    for n, channels, filters, side, size, stride, padding in (
        (1, 1, 1, 3, 3, 1, 1),
        (2, 3, 4, 8, 3, 1, 0),
        (2, 3, 4, 9, 3, 2, 1),
        (3, 2, 5, 12, 5, 3, 2),
    ):
        values = []
        images = ag.randint(-4, 5, (n, channels, side, side)).float()
        weight = ag.randint(-4, 5, (filters, channels, size, size)).float()
        for function in (convolve, nn.functional.conv2d):
            x, w = images.clone().requires_grad_(), weight.clone().requires_grad_()
            y = function(x, w, stride=stride, padding=padding)
            (y * (ag.arange(y.numel()) % 5).reshape(y.shape)).sum().backward()
            values.append((y.detach(), x.grad, w.grad))
        equal = all(ag.equal(ours, theirs) for ours, theirs in zip(*values, strict=True))
        assert equal, "im2col and conv2d must agree exactly on whole numbers"
        shape = {"images": list(images.shape), "weight": list(weight.shape), "stride": stride, "padding": padding}
        checked.append({**shape, "equal": equal})
    return checked


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    return options.parser(__doc__, datasets=()).parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    image = ag.arange(1.0, 10.0).reshape(3, 3)
    kernel = ag.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])  # Sobel's
    matrix = filter_matrix(kernel, 3, 3)
    by_matrix = (matrix @ image.reshape(9)).reshape(3, 3)
    by_convolution = nn.functional.conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]
    assert ag.equal(by_matrix, by_convolution)
    print("as a 9x9 matrix\n", by_matrix)
    checked = check_general(given.seed)
    print(f"im2col    equal to conv2d, with its gradients, in {len(checked)} cases")

    draw_product(matrix, image, by_matrix, kernel, out / "convolution_as_matrix.png")
    columns = im2col(ag.arange(16.0).reshape(1, 1, 4, 4), 3)[0]
    draw_im2col(columns, out / "convolution_im2col.png")
    return options.report(given, {"example": "convolution_as_matrix", "equal": True, "cases": checked})


def table(axes: Any, values: np.ndarray, title: str, limit: float | None = None) -> None:
    """A matrix as coloured squares with its numbers."""
    limit = np.abs(values).max() if limit is None else limit
    axes.imshow(values, cmap="RdBu_r", vmin=-1.4 * limit, vmax=1.4 * limit)
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8, color="black" if value else "#b0b0b0")
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.grid(False)


def draw_product(matrix: Tensor, image: Tensor, output: Tensor, kernel: Tensor, path: Any) -> None:
    figure, panels = plt.subplots(1, 5, figsize=(12, 4.6), gridspec_kw={"width_ratios": [3, 3, 9, 1.2, 1.2]})
    table(panels[0], image.numpy(), "image")
    table(panels[1], kernel.numpy(), "filter")
    table(panels[2], matrix.numpy(), "the filter as a matrix, 9 x 9")
    table(panels[3], image.numpy().reshape(9, 1), "x  image")
    table(panels[4], output.numpy().reshape(9, 1), "=  output")
    figure.suptitle("Convolution of a 3x3 image with a 3x3 filter, zeros around it")
    figures.save(figure, path)


def draw_im2col(columns: Tensor, path: Any) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4.6))
    table(left, np.arange(16.0).reshape(4, 4), "a 4x4 image, pixels numbered")
    table(right, columns.numpy(), "its four 3x3 patches as columns")
    right.set_xlabel("one column for each place of the filter")
    right.set_ylabel("one row for each weight of the filter")
    figures.save(figure, path)


if __name__ == "__main__":
    main()
