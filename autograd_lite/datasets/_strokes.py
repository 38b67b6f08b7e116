"""From matplotlib's fonts to pen strokes: outlines, filled masks, their skeletons, distances to these.

`stroke_fields` gives for every letterform the distance of each grid point to the nearest pen stroke, in
units of the letter's size. Inking all points nearer than some pen radius writes the letter with a round
pen of that radius, whatever the weight of the font was. (`Glyphs` does that.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

GRID = 96
EXTENT = 1.5
"""The grid covers a square of this side around the letter, whose longer side measures 1."""
REACH = 14
"""Distances are exact up to so many grid cells and clipped there."""

CLASSES = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")

_FACES = {
    "sans": "DejaVuSans.ttf",
    "sans oblique": "DejaVuSans-Oblique.ttf",
    "mono": "DejaVuSansMono.ttf",
    "serif": "DejaVuSerif.ttf",
    "serif italic": "DejaVuSerif-Italic.ttf",
    "times": "STIXGeneral.ttf",
    "times italic": "STIXGeneralItalic.ttf",
    "modern": "cmr10.ttf",
    "modern italic": "cmti10.ttf",
    "modern math": "cmmi10.ttf",
    "modern sans": "cmss10.ttf",
    "typewriter": "cmtt10.ttf",
    "calligraphic": "cmsy10.ttf",
    "script": "STIXNonUniIta.ttf",
}
_BOOKISH = ("serif", "times", "modern", "typewriter")
"""Faces whose upright serifs few hands would draw; they are taken half as often."""
_DIGITS_FROM = [face for face in _FACES if face not in ("mono", "modern math", "calligraphic", "script")]
_CAPITALS_FROM = [face for face in _FACES if face != "script"]
_SMALL_FROM = ("sans", "serif italic", "times italic", "modern italic", "modern sans")
_OFTEN_SMALL = "FKMNPRUWXY"
"""Letters that many people write in their small form too, where that looks like no other class."""
_SCRIPT_A = 0xE22D


def letterforms() -> list[tuple[int, str, int]]:
    """Every (class index, face, code point) that the strokes are taken from."""
    forms = []
    for label, name in enumerate(CLASSES):
        if name.isdigit():
            forms += [(label, face, ord(name)) for face in _DIGITS_FROM]
        else:
            forms += [(label, face, ord(name)) for face in _CAPITALS_FROM]
            forms += [(label, "script", _SCRIPT_A + label)]
        if name in _OFTEN_SMALL:
            forms += [(label, face, ord(name.lower())) for face in _SMALL_FROM]
    return forms


def _outlines(forms: Iterable[tuple[int, str, int]]) -> list[list[np.ndarray]]:
    """The polygons of each letterform, y upwards, in font units."""
    try:
        import matplotlib
        from matplotlib import ft2font
        from matplotlib.path import Path
    except ImportError as error:
        raise ImportError(
            "Glyphs draws its characters from matplotlib's fonts, and matplotlib is not installed: "
            "pip install 'autograd_lite[examples]' (or pip install matplotlib)"
        ) from error
    # Matplotlib 3.10 moved the flag.
    unhinted: Any = getattr(ft2font, "LoadFlags", ft2font)
    unhinted = unhinted.NO_HINTING if hasattr(unhinted, "NO_HINTING") else unhinted.LOAD_NO_HINTING
    folder = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
    fonts = {}
    outlines = []
    for _, face, code in forms:
        if face not in fonts:
            fonts[face] = ft2font.FT2Font(os.path.join(folder, _FACES[face]))
            fonts[face].set_size(100, 72)
        fonts[face].load_char(code, flags=unhinted)
        vertices, codes = fonts[face].get_path()
        outlines.append([np.asarray(polygon) for polygon in Path(vertices, codes).to_polygons()])
    return outlines


def _fill(polygons: list[np.ndarray]) -> np.ndarray:
    """Rasterise by the non-zero winding rule: (GRID, GRID) bool, centred, longer side 1 / EXTENT of it."""
    points = np.concatenate(polygons)
    low, high = points.min(0), points.max(0)
    scale = GRID / EXTENT / (high - low).max()
    winding = np.zeros((GRID, GRID + 1), np.int32)
    for polygon in polygons:
        x, y = ((polygon - (low + high) / 2) * (scale, -scale) + GRID / 2).T
        x0, y0, x1, y1 = x, y, np.roll(x, -1), np.roll(y, -1)
        # Row r is crossed where r + 1/2 lies between the two ends of an edge.
        first, last = np.ceil(np.minimum(y0, y1) - 0.5), np.ceil(np.maximum(y0, y1) - 0.5)
        rows_per_edge = (last - first).astype(np.int64)
        edge = np.repeat(np.arange(len(x)), rows_per_edge)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(rows_per_edge) - rows_per_edge, rows_per_edge)
        row = row + first[edge].astype(np.int64)
        slope = (x1 - x0)[edge] / (y1 - y0)[edge]
        column = np.ceil(x0[edge] + (row + 0.5 - y0[edge]) * slope - 0.5).astype(np.int64)
        direction = np.where(y1 > y0, 1, -1)[edge]
        np.add.at(winding, (row, np.clip(column, 0, GRID)), direction)
    return np.cumsum(winding, axis=1)[:, :GRID] != 0


def _neighbours(mask: np.ndarray) -> list[np.ndarray]:
    """The eight shifted copies of (N, H, W) `mask`, clockwise from the north."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    height, width = mask.shape[1:]
    steps = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    return [padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in steps]


def skeletonize(masks: np.ndarray) -> np.ndarray:
    """Thin every shape of (N, H, W) bool `masks` to lines one cell wide.

    T. Y. Zhang, C. Y. Suen, "A fast parallel algorithm for thinning digital patterns", CACM 27 (1984).
    """
    masks = masks.copy()
    active = np.arange(len(masks))
    while len(active):
        current = masks[active]
        changed = np.zeros(len(active), bool)
        for second in (False, True):
            around = _neighbours(current)
            count = np.zeros(current.shape, np.uint8)
            for neighbour in around:
                count += neighbour
            rises = np.zeros(current.shape, np.uint8)
            for before, after in zip(around, around[1:] + around[:1], strict=True):
                rises += after > before
            north, _, east, _, south, _, west, _ = around
            if second:
                kept = (north & east & west) | (north & south & west)
            else:
                kept = (north & east & south) | (east & south & west)
            remove = current & (count >= 2) & (count <= 6) & (rises == 1) & ~kept
            current &= ~remove
            changed |= remove.any(axis=(1, 2))
        masks[active] = current
        active = active[changed]
    return masks


def distances(masks: np.ndarray, reach: int) -> np.ndarray:
    """Euclidean distance of every cell to the nearest True cell, clipped at `reach`: float32 (N, H, W).

    Separable: the nearest in each row first, then the best row (Felzenszwalb and Huttenlocher, 2012,
    with a direct search in place of the parabola envelope, as the reach is short).
    """
    far = np.float32((reach + 1) ** 2)
    height, width = masks.shape[1:]
    padded = np.pad(np.where(masks, np.float32(0), far), ((0, 0), (reach, reach), (reach, reach)), constant_values=far)
    best = padded[:, :, reach : reach + width].copy()
    for step in range(1, reach + 1):
        near = np.minimum(
            padded[:, :, reach - step : reach - step + width],
            padded[:, :, reach + step : reach + step + width],
        )
        np.minimum(best, near + np.float32(step * step), out=best)
    squared = best[:, reach : reach + height].copy()
    for step in range(1, reach + 1):
        near = np.minimum(best[:, reach - step : reach - step + height], best[:, reach + step : reach + step + height])
        np.minimum(squared, near + np.float32(step * step), out=squared)
    return np.minimum(np.sqrt(squared), np.float32(reach))


def stroke_fields() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to the strokes of every letterform.

    Returns
    -------
    fields : ndarray, float32, (forms, GRID, GRID)
        In units in which the letter's longer side is 1.
    labels : ndarray, int64, (forms,)
        The class of each.
    frequencies : ndarray, float64, (forms,)
        How often each is to be written among the forms of its class.
    """
    forms = letterforms()
    masks = np.stack([_fill(polygons) for polygons in _outlines(forms)])
    fields = distances(skeletonize(masks), REACH) * np.float32(EXTENT / GRID)
    labels = np.array([label for label, _, _ in forms])
    frequencies = np.array([0.5 if face in _BOOKISH else 1.0 for _, face, _ in forms])
    return fields, labels, frequencies / np.bincount(labels, frequencies)[labels]
