"""What has a vector form, a form of plain loops and one in NumPy, each as plain Python: all three do the same.

The vector forms cut their work into tiles for functions of machine code; NumPy stands in for these here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autograd_lite.kernels import conv_direct, simd, simd_conv
from autograd_lite.kernels.jit import JIT
from tests.kernels.test_conv import NAMED, SMALLER, VECTORS_ONLY, check

pytestmark = pytest.mark.skipif(JIT, reason="with the compiler these are machine code, which the other tests look at")
CUTS = [(1, 1, 1), (5, 40, 3), (13, 17, 4), (6, 24, 5), (7, 3, 19), (0, 4, 2)]


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy in the place of machine code."""

    def product(args: Any) -> None:
        rows, columns, count, k, a, a_row, a_col, b, b_row, c, c_row, accumulate = args
        assert rows <= simd.TILE_ROWS and columns <= simd.TILE_VECTORS * simd.lanes(c)
        simd._numpy_block_product(a, a_row, a_col, b, b_row, c, c_row, rows * count, columns, k, accumulate)

    def dot(args: Any) -> None:
        rows, columns, k, a, a_row, b, b_row, c, c_row, accumulate = args
        assert rows <= simd.DOT_ROWS and columns <= simd.DOT_COLUMNS
        simd._numpy_dot_product(a, a_row, b, b_row, c, c_row, rows, columns, k, accumulate)

    def transpose(args: Any) -> None:
        rows, columns, a, a_row, out, out_row = args
        assert max(rows, columns) <= simd.lanes(a)
        simd._numpy_transpose(a, a_row, out, out_row, rows, columns)

    for name, function in {"_product": product, "_dot": dot, "_transpose": transpose}.items():
        monkeypatch.setattr(simd, name, function)


@pytest.mark.parametrize("way", ["vector", "plain", "numpy"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("m, n, k", CUTS)
def test_products(m: int, n: int, k: int, accumulate: bool, way: str, rng: np.random.Generator, tiles: None) -> None:
    a, b, turned, start = (rng.standard_normal(s) for s in ((m, k), (k, n), (n, k), (m, n + 2)))
    for right, name, arguments in ((b, "block", (k, 1)), (turned, "dot", (k,))):
        c = start.copy()
        wanted = a @ (b if name == "block" else turned.T) + (start[:, :n] if accumulate else 0)
        getattr(simd, f"_{way}_{name}_product")(
            a.ravel(), *arguments, right.ravel(), right.shape[1], c.reshape(-1), n + 2, m, n, k, accumulate
        )
        np.testing.assert_allclose(c[:, :n], wanted, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(c[:, n:], start[:, n:])


@pytest.mark.parametrize("way", ["vector", "plain", "numpy"])
@pytest.mark.parametrize("m, n", [(1, 1), (3, 9), (8, 5)])
def test_transpose(m: int, n: int, way: str, rng: np.random.Generator, tiles: None) -> None:
    a, out = rng.standard_normal((m, n + 1)), np.zeros((n, m + 2))
    getattr(simd, f"_{way}_transpose")(a.ravel(), n + 1, out.reshape(-1), m + 2, m, n)
    np.testing.assert_array_equal(out[:, :m], a[:, :n].T)
    assert not out[:, m:].any()


def test_pointers_stay_inside() -> None:
    block = np.arange(4.0)
    before = simd.at(block, -2)
    assert before[2] == 0.0 and simd.at(before, 3)[0] == 1.0
    with pytest.raises(IndexError, match="before the beginning"):
        before[1]


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vector forms of convolution's inner loops, with the plain ones in the place of machine code."""
    c = simd_conv

    def taps(args: Any) -> None:
        height, vectors, count, *rest = args
        assert rest[5] or height <= c.TILE_HEIGHTS[vectors]
        c._plain_tap_product(False, height * count, vectors, *rest)

    def pixels(args: Any) -> None:
        height, vectors, count, *rest = args
        assert height <= c.TILE_HEIGHTS[vectors]
        c._plain_pixel_product(False, height * count, vectors, *rest)

    def dots(args: Any) -> None:
        taps, channels, lines, vectors, *rest, out, out_row, left = args
        assert taps <= c.DOT_HEIGHTS[channels]
        c._plain_pixel_dots(False, taps, channels, lines, vectors * simd.lanes(out) + left, *rest, out, out_row)

    def pad(plain: Any, step: int) -> Any:
        return lambda args: plain(*args[:-1], step, args[-1])

    functions = {
        "_taps": taps, "_pixels": pixels, "_dots": dots,
        "_copy": lambda args: c._plain_copy_rows(*args), "_add": lambda args: c._plain_add_rows(*args),
        "_pad": pad(c._plain_pad_plane, 1), "_pad_two": pad(c._plain_pad_plane, 2),
        "_low": pad(c._plain_pad_low, 1), "_low_two": pad(c._plain_pad_low, 2),
    }  # fmt: skip
    for name, function in functions.items():
        monkeypatch.setattr(c, name, function)
    for name in ("tap_product", "pixel_product", "pixel_dots", "copy_rows", "add_rows", "pad_plane"):
        monkeypatch.setattr(conv_direct, name, getattr(c, f"_vector_{name}"))


@pytest.mark.parametrize("name", [n for n in NAMED if not n.startswith(VECTORS_ONLY)])
def test_convolution(name: str, rng: np.random.Generator, pieces: None) -> None:
    check(rng, "float64", *SMALLER.get(name, NAMED[name][:2]), *NAMED[name][2:])


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("kind", ["plane", "low"])
def test_padding(kind: str, step: int, rng: np.random.Generator, pieces: None) -> None:
    image = rng.standard_normal((3, 18))
    out, wanted = np.zeros((5, 6)), np.full((5, 6), 0.0 if kind == "plane" else -np.inf)
    wanted[1:4, 2:5] = image[:, ::step][:, 2:5]
    # The window's left edge stands for column 0 of the image.
    getattr(simd_conv, f"_vector_pad_{kind}")(5, 6, 1, 4, 2, 5, image.ravel(), 18, step, out.reshape(-1))
    np.testing.assert_array_equal(out, wanted)
