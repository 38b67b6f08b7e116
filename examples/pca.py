"""Principal component analysis: the best that 32 numbers can do if the way back is linear.

The images' matrix X (one a row) is factored as U S V^T; the first rows of V^T span the subspace that keeps most of
the squared length. ``P = V V^T`` projects an image onto it: a 1024 x 1024 matrix of rank 32. With the mean taken
off first ("centred") the subspace need not go through zero, and the error is never larger.

    python -m examples.pca --dataset nist36 --data DIR
"""

from __future__ import annotations

import argparse
from typing import Any

import autograd_lite as ag
from autograd_lite import Tensor

from .common import figures, images, options
from .common.reconstruction import as_targets, examples_of_classes, psnr


class PCA:
    """The `components` directions in which the images differ most (Pearson, 1901)."""

    def __init__(self, components: int, centred: bool = True) -> None:
        self.components, self.centred = components, centred

    def fit(self, x: Tensor) -> PCA:
        """`x` (N, D): one image a row."""
        self.mean = x.mean(0) if self.centred else ag.zeros(x.shape[1])
        # The eigenvectors of X^T X are the right singular vectors of X; D x D is smaller than N x D.
        centred = (x - self.mean).double()
        values, vectors = ag.linalg.eigh(centred.T @ centred)
        self.values = values.flip(0).clamp(min=0).sqrt()
        self.basis = vectors.flip(1)[:, : self.components].float()
        return self

    def encode(self, x: Tensor) -> Tensor:
        """The coordinates (N, components)."""
        return (x - self.mean) @ self.basis

    def decode(self, code: Tensor) -> Tensor:
        return code @ self.basis.T + self.mean

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    @property
    def projection(self) -> Tensor:
        """The matrix (D, D) that projects onto the subspace."""
        return self.basis @ self.basis.T


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=("glyphs", "nist36"))
    parser.add_argument("--components", type=options.positive_int, default=32, help="numbers that are kept an image")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given)
    side = data.shape[-1]
    train, valid = as_targets(data.train).images, as_targets(data.valid).images
    print(f"data      {data}")

    shown = examples_of_classes(data.valid.labels.numpy(), classes=5)
    rows = {"image": valid.numpy()[shown].reshape(-1, side, side)}
    metrics: dict[str, Any] = {"example": "pca", "dataset": data.name, "components": given.components}
    for name, centred in (("uncentred", False), ("centred", True)):
        pca = PCA(given.components, centred).fit(train)
        projection = pca.projection
        rank = int(ag.linalg.matrix_rank(projection.double(), rtol=1e-3))
        restored = pca.reconstruct(valid)
        kept = (pca.values[: given.components] ** 2).sum() / (pca.values**2).sum()
        metrics[name] = {
            "valid_psnr": psnr(restored, valid),
            "projection_shape": list(projection.shape),
            "projection_rank": rank,
            "kept": kept.item(),
        }
        print(
            f"{name:9} projection {tuple(projection.shape)} of rank {rank}; "
            f"PSNR {metrics[name]['valid_psnr']:.2f} dB valid; keeps {kept.item():.1%} of the squared length"
        )
        rows[name] = restored.numpy()[shown].reshape(-1, side, side)
    figures.image_rows(rows, out / "pca_reconstructions.png", f"PCA with {given.components} numbers on {data.name}")
    basis = pca.basis.T.numpy()
    figures.weight_images(
        basis[: given.components],
        basis[: given.components] * pca.values[: given.components].numpy()[:, None],
        side,
        out / "pca_components.png",
        "The directions, as images",
        names=("of length 1", "scaled by their singular values"),
    )
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
