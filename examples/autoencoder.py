"""An autoencoder squeezes images of letters through 32 numbers; PCA does so beside it.

The course's network: 1024-32-32-32-1024, ReLU in between and a sigmoid at the end, squared error summed over a
batch of 36, momentum 0.9, learning rate 3e-5 times 0.9 every 20 epochs, 100 epochs. How good a reconstruction
is, is told by its peak signal-to-noise ratio, 10 log10(1 / mean squared error) for images in [0, 1].

With ``--deep`` a wider and deeper network with the same 32 numbers in the middle, which beats PCA: a curved
manifold of letters fits more into 32 numbers than the flat one of PCA.

    python -m examples.autoencoder --dataset nist36 --data DIR
"""

from __future__ import annotations

import argparse
from typing import Any

import autograd_lite as ag
from autograd_lite import Tensor, nn

from .common import figures, images, options, training
from .common.reconstruction import as_targets, examples_of_classes, psnr
from .pca import PCA

CODE = 32
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {"epochs": 100, "batch_size": 36, "lr": 3e-5},
    "deep": {"epochs": 40, "batch_size": 64, "lr": 1e-3},
}


class Autoencoder(nn.Sequential):
    """Fully connected: pixels -> 32 -> 32 (the code) -> 32 -> pixels."""

    def __init__(self, pixels: int) -> None:
        super().__init__(
            nn.Linear(pixels, CODE),
            nn.ReLU(),
            nn.Linear(CODE, CODE),
            nn.ReLU(),
            nn.Linear(CODE, CODE),
            nn.ReLU(),
            nn.Linear(CODE, pixels),
            nn.Sigmoid(),
        )
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)


class DeepAutoencoder(nn.Module):
    """Wide fully connected layers around a linear code, so that no number of the code is lost to a dead unit."""

    def __init__(self, pixels: int, width: int = 1024) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(pixels, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, width // 2),
            nn.BatchNorm1d(width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, CODE),
        )
        self.decoder = nn.Sequential(
            nn.Linear(CODE, width // 2),
            nn.BatchNorm1d(width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, pixels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = options.parser(__doc__, datasets=("glyphs", "nist36"))
    parser.add_argument("--deep", action="store_true", help="the network that beats PCA with as small a code")
    options.add_checkpoint(parser)
    given = parser.parse_args(arguments)
    return options.complete(given, RECIPES["deep" if given.deep else "plain"], quick_epochs=3)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = parse(arguments)
    out = options.start(given)
    data = images.load(given)
    side = data.shape[-1]
    train, valid, test = (as_targets(split) for split in (data.train, data.valid, data.test))
    print(f"data      {data}")

    if given.deep:
        model: nn.Module = DeepAutoencoder(side * side)
        optimizer: Any = ag.optim.Adam(model.parameters(), lr=given.lr)
        scheduler: Any = ag.optim.lr_scheduler.CosineAnnealingLR(optimizer, given.epochs)
    else:
        model = Autoencoder(side * side)
        optimizer = ag.optim.SGD(model.parameters(), lr=given.lr, momentum=0.9)
        scheduler = ag.optim.lr_scheduler.StepLR(optimizer, 20, gamma=0.9)
    history = training.fit(
        model,
        train,
        valid,
        optimizer,
        epochs=given.epochs,
        batch_size=given.batch_size,
        loss=nn.functional.mse_loss,
        reduction="sum",
        metrics={"psnr": psnr},
        scheduler=scheduler,
        checkpoint=given.checkpoint,
        seed=given.seed,
        description="deep autoencoder" if given.deep else "autoencoder",
    )
    pca = PCA(CODE).fit(train.images)
    reconstructed = training.predict(model, valid.images)
    by_pca = pca.reconstruct(valid.images)
    reached = {
        "valid_psnr": psnr(reconstructed, valid.images),
        "test_psnr": psnr(training.predict(model, test.images), test.images),
        "pca_valid_psnr": psnr(by_pca, valid.images),
    }
    print(f"network   {given.epochs} epochs in {history.seconds:.1f} s")
    print(f"PSNR      {reached['valid_psnr']:.2f} dB valid, {reached['test_psnr']:.2f} dB test; "
          f"PCA with {CODE} numbers {reached['pca_valid_psnr']:.2f} dB valid")  # fmt: skip

    stem = "autoencoder_deep" if given.deep else "autoencoder"
    title = f"{'Deep autoencoder' if given.deep else 'Autoencoder'} on {data.name}, {CODE} numbers an image"
    panels = (("loss", "Squared error per image", 1.0), ("psnr", "PSNR (dB)", 1.0))
    figures.learning_curves(history, out / f"{stem}_curves.png", f"{title}: {reached['valid_psnr']:.2f} dB", panels)
    shown = examples_of_classes(data.valid.labels.numpy(), classes=5)
    rows = {"image": valid.images, "autoencoder": reconstructed, "PCA": by_pca}
    figures.image_rows(
        {name: tensor.numpy()[shown].reshape(-1, side, side) for name, tensor in rows.items()},
        out / f"{stem}_reconstructions.png",
        title,
    )
    metrics = {"example": "autoencoder", "deep": given.deep, "dataset": data.name, "code": CODE, **reached}
    metrics.update(train_seconds=history.seconds, epochs=given.epochs, seed=given.seed, history=history)
    return options.report(given, metrics)


if __name__ == "__main__":
    main()
