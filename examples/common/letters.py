"""From a photograph of handwriting to letters in the training images' format: finding, ordering, cutting out."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

try:
    from scipy import ndimage
    from skimage import color, filters, measure, morphology, restoration, transform
except ImportError as error:
    raise SystemExit("finding letters needs scipy and scikit-image: pip install 'autograd_lite[examples]'") from error

WORKING_WIDTH = 1600
"""Photographs are brought to this width: strokes then are 4 to 10 pixels wide."""


@dataclass
class Box:
    """Rows `top` to `bottom` and columns `left` to `right` of a photograph, the ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def find_ink(photograph: np.ndarray) -> np.ndarray:
    """Where there is ink: denoise, make grey, even out the light, and threshold by Otsu's method.

    `photograph` is (H, W, 3) in [0, 1]; the answer is boolean (H, W).
    """
    grey = color.rgb2gray(photograph)
    grey = restoration.denoise_tv_chambolle(ndimage.gaussian_filter(grey, 1), weight=0.02)
    paper = ndimage.gaussian_filter(ndimage.grey_closing(grey[::4, ::4], size=(25, 25)), 8)
    paper = transform.resize(paper, grey.shape, order=1)
    darkness = np.clip(1 - grey / paper, 0, 1)  # 0 is paper, whatever the light
    ink = darkness > filters.threshold_otsu(darkness)
    return morphology.closing(ink, morphology.disk(2))


def find_letters(photograph: np.ndarray) -> tuple[list[Box], np.ndarray]:
    """The boxes of the letters, in no order, and the ink.

    Parts of ink that belong together (a stroke that touches nothing, above or inside a letter) are joined, and
    what is too small for a letter (specks, full stops) or touches the border is left out.
    """
    ink = find_ink(photograph)
    height = typical_height(ink)
    # Strokes that nearly touch belong to one letter.
    joined = ndimage.binary_dilation(ink, iterations=max(1, round(0.05 * height)))
    labels = measure.label(joined)
    boxes = []
    for region in measure.regionprops(labels):
        own = ink[region.slice] & (labels[region.slice] == region.label)
        if not own.any():
            continue
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        top, left = region.slice[0].start, region.slice[1].start
        box = Box(top + int(rows[0]), left + int(columns[0]), top + int(rows[-1]) + 1, left + int(columns[-1]) + 1)
        if max(box.height, box.width) >= 0.45 * height and own.sum() >= 0.01 * height**2:
            boxes.append(box)
    return join_parts(boxes), ink


def typical_height(ink: np.ndarray) -> float:
    """The median height of the larger connected parts."""
    regions = measure.regionprops(measure.label(ink))
    heights = np.array([region.bbox[2] - region.bbox[0] for region in regions if region.area >= 30])
    if len(heights) == 0:
        sys.exit("no ink found")
    return float(np.median(heights[heights >= 0.4 * np.percentile(heights, 90)]))


def join_parts(boxes: list[Box]) -> list[Box]:
    """One box for boxes that mostly lie over each other."""
    boxes = sorted(boxes, key=lambda box: -box.height * box.width)
    kept: list[Box] = []
    for box in boxes:
        for number, other in enumerate(kept):
            height = min(box.bottom, other.bottom) - max(box.top, other.top)
            width = min(box.right, other.right) - max(box.left, other.left)
            if height > 0 and width > 0 and height * width > 0.5 * box.height * box.width:
                kept[number] = Box(
                    min(box.top, other.top),
                    min(box.left, other.left),
                    max(box.bottom, other.bottom),
                    max(box.right, other.right),
                )
                break
        else:
            kept.append(box)
    return kept


def in_lines(boxes: list[Box]) -> list[list[Box]]:
    """The boxes in reading order: lines from above, each from the left.

    Written lines rise and fall, so a box joins the line whose last boxes are at its height.
    """
    lines: list[list[Box]] = []
    size = np.median([box.height for box in boxes]) if boxes else 0.0
    for box in sorted(boxes, key=lambda box: box.left):
        near = [(abs(box.middle - np.mean([b.middle for b in line[-3:]])), line) for line in lines]
        distance, line = min(near, key=lambda pair: pair[0], default=(np.inf, None))
        if line is not None and distance < 0.62 * size:
            line.append(box)
        else:
            lines.append([box])
    return sorted(lines, key=lambda line: float(np.mean([box.middle for box in line])))


def word_gap(lines: list[list[Box]]) -> float:
    """The gap from which on two letters belong to two words, from the median gap and height of the photograph."""
    gaps = [b.left - a.right for line in lines for a, b in zip(line, line[1:], strict=False)]
    if not gaps:
        return float("inf")
    gap = float(np.median(gaps))
    return max(1.8 * gap, gap + 0.6 * float(np.median([box.height for line in lines for box in line])))


def in_words(line: list[Box], limit: float) -> list[list[Box]]:
    """A line's boxes as words: a gap wider than `limit` parts two words."""
    words = [[line[0]]]
    for before, box in zip(line, line[1:], strict=False):
        if box.left - before.right > limit:
            words.append([])
        words[-1].append(box)
    return words


def cut_out(ink: np.ndarray, box: Box, side: int = 32, stroke: float = 3.4, letter: int = 22) -> np.ndarray:
    """A letter as NIST36 and EMNIST show it: its longer side 22 pixels of `side`, strokes as thick; black on white.

    The strokes of a photograph are thinned or thickened to `stroke` pixels of the small image.
    """
    own = ink[box.top : box.bottom, box.left : box.right]
    scale = letter / max(own.shape)
    margin = 2 * round(stroke / scale) + 2
    own = np.pad(own, margin)
    # The same pen for all: dilate the skeleton of the strokes to the wanted width.
    distance = ndimage.distance_transform_edt(~morphology.skeletonize(own))
    thick = distance <= stroke / scale / 2
    rows, columns = np.flatnonzero(thick.any(1)), np.flatnonzero(thick.any(0))
    thick = thick[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    scale = letter / max(thick.shape)
    shape = [max(1, round(n * scale)) for n in thick.shape]
    small = transform.resize(thick, shape, order=1, anti_aliasing=True)
    image = np.zeros((side, side), np.float32)
    top, left = ((side - n) // 2 for n in shape)
    image[top : top + shape[0], left : left + shape[1]] = small
    return 1 - np.clip(image, 0, 1)
