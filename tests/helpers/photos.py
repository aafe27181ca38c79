"""Pictures like people's: photos, scans and crops of MNIST's digits, dark on light or light on dark, of any size.

Every picture follows from its generator, so a seed and a number name it.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digits.common.types import Pixels
from helpers.sandbox import ROOT

Picture = NDArray[np.float64]  # (height, width), 0..255

CASES = ROOT / "tests/commands/cases"  # pictures that were misread or refused once
MARGINS = (0, 0.03, 0.1, 0.2, 0.4, 0.8, 1.2)  # of the digit's longer side
EDGES = ("strip", "corner", "foot", "line")  # what else a picture may show, at its edge


def make_photo(ink: Pixels, generator: np.random.Generator, edge: str = "") -> bytes:
    """A PNG or JPEG file of strokes (height, width) somewhere on paper, and of something at the picture's edge.

    Black strokes give a blank paper.
    """
    height, width = (int(side) for side in np.exp(generator.normal(5.3, 0.7)) * np.exp(generator.normal(0, 0.2, 2)))
    height, width = np.clip((height, width), 28, 1200)
    margin = generator.choice(MARGINS[3:6] if edge else MARGINS)
    strokes = _enlarged(_trimmed(ink), max(12, int(min(height, width) / (1 + 2 * margin))), generator)
    longer = max(strokes.shape)
    if margin < 0.3 and not edge and generator.random() < 0.3:
        height, width = (side + int(2 * margin * longer) for side in strokes.shape)  # cut out by hand
    strokes = _pen(strokes[:height, :width], generator)
    frame = int(0.14 * min(height, width)) if edge else 0
    layer = np.zeros((height, width))
    top, left = (
        int(generator.integers(min(frame, room), max(min(frame, room), room - frame) + 1))
        for room in (height - strokes.shape[0], width - strokes.shape[1])
    )
    layer[top : top + strokes.shape[0], left : left + strokes.shape[1]] = strokes
    paper, contrast = _shades(generator)
    light = _light((height, width), generator)
    if generator.random() < 0.2:  # rough paper
        light = light + generator.uniform(2, 7) / paper * _texture((height, width), min(height, width) / 30, generator)
    picture = paper * light + contrast * layer * (light if contrast < 0 else 1)
    if generator.random() < 0.25:
        _add_specks(picture, contrast, generator)
    if edge:
        turns = int(generator.integers(4))
        picture = np.rot90(_with_edge(np.rot90(picture, turns).copy(), edge, contrast, generator), -turns)
    picture = ndimage.gaussian_filter(picture, generator.uniform(0, longer / 60))
    picture = picture + generator.normal(0, generator.uniform(0, 12), picture.shape)
    colours = np.clip(picture[..., np.newaxis] * generator.uniform(0.88, 1, 3), 0, 255).astype(np.uint8)
    if generator.random() < 0.5:
        return encode(colours, "JPEG", quality=int(generator.integers(40, 95)))
    return encode(colours)


def make_crop(digit: Pixels, margin: float, *, is_light: bool) -> bytes:
    """A PNG file of an enlarged digit with a margin, a fraction of its longer side, on plain paper."""
    trimmed = _trimmed(digit, 0)
    enlarged = Image.fromarray(trimmed).resize((8 * trimmed.shape[1], 8 * trimmed.shape[0]), Image.Resampling.BICUBIC)
    values = np.pad(np.asarray(enlarged), round(margin * max(enlarged.size)))
    return encode(values if is_light else 255 - values)


def in_a_row(digits: Pixels, gap: int) -> Pixels:
    """Several digits side by side, with this many columns between them."""
    space = np.zeros((digits.shape[1], gap), np.uint8)
    parts = [part for digit in digits for part in (digit[:, (digit > 60).any(axis=0)], space)]
    return np.concatenate(parts[:-1], axis=1)


def encode(values: NDArray[np.generic], kind: str = "PNG", **options: Any) -> bytes:
    """An image file with these values."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def _trimmed(ink: Pixels, least: int = 60) -> Pixels:
    rows, columns = (np.flatnonzero((ink > least).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else ink


def _enlarged(ink: Pixels, longer: int, generator: np.random.Generator) -> Picture:
    """Strokes with this longer side, 0..1, thinner or thicker, with soft or hard edges."""
    scale = longer / max(ink.shape)
    around = np.pad(ink, 2)
    size = max(3, int(around.shape[1] * scale)), max(3, int(around.shape[0] * scale))
    values = np.asarray(Image.fromarray(around).resize(size, Image.Resampling.BICUBIC)) / 255
    cut = int(2 * scale)
    values = values[cut : values.shape[0] - cut, cut : values.shape[1] - cut]
    return np.clip(generator.uniform(2, 5) * (values - generator.uniform(0.2, 0.6)) + 0.5, 0, 1)


def _pen(strokes: Picture, generator: np.random.Generator) -> Picture:
    """A quarter drawn with a pencil, and every seventh with a pen that skips once."""
    longer = max(strokes.shape)
    if generator.random() < 0.25:
        strokes = strokes * np.clip(0.85 + 0.15 * _texture(strokes.shape, longer / 60, generator), 0.3, 1)
    inked = np.argwhere(strokes > 0.5)
    if len(inked) and generator.random() < 0.15:
        y, x = inked[generator.integers(len(inked))]
        rows, columns = np.ogrid[: strokes.shape[0], : strokes.shape[1]]
        angle = generator.uniform(0, np.pi)
        across = np.cos(angle) * (rows - y) + np.sin(angle) * (columns - x)
        is_near = (rows - y) ** 2 + (columns - x) ** 2 < (0.15 * longer) ** 2
        strokes = np.where(is_near & (np.abs(across) < 0.025 * longer), 0, strokes)
    return strokes


def _shades(generator: np.random.Generator) -> tuple[float, float]:
    """Of the paper, and how much lighter the ink is; every third picture is light on dark."""
    if generator.random() < 1 / 3:
        paper = generator.uniform(10, 90)
        return paper, max(60, (generator.uniform(170, 255) - paper) * generator.uniform(0.7, 1))
    paper = generator.uniform(130, 255)
    return paper, min(-60, (generator.uniform(5, paper - 70) - paper) * generator.uniform(0.7, 1))


def _light(shape: tuple[int, int], generator: np.random.Generator) -> Picture:
    """From one side, from a lamp, or with a shadow; up to half of it is missing somewhere."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    angle = generator.uniform(0, 2 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    lamp_y, lamp_x = generator.uniform(-0.5, 0.5, 2)
    kinds = (
        0.5 + along / 2.84,
        1 - ((x - lamp_x) ** 2 + (y - lamp_y) ** 2) / 4.5,
        1 / (1 + np.exp((generator.uniform(-1, 1) - along) / generator.uniform(0.1, 0.5))),
    )
    return np.asarray(1 - generator.uniform(0, 0.5) * (1 - np.clip(kinds[generator.integers(3)], 0, 1)))


def _texture(shape: tuple[int, ...], scale: float, generator: np.random.Generator) -> Picture:
    """Smooth noise with a standard deviation of about 1 and spots of this size."""
    coarse = generator.normal(size=[2 + int(side / max(1.5, scale)) for side in shape]).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float64)


def _add_specks(picture: Picture, contrast: float, generator: np.random.Generator) -> None:
    height, width = picture.shape
    rows, columns = np.ogrid[:height, :width]
    for _ in range(generator.integers(1, 8)):
        radius = max(0.7, generator.uniform(0.003, 0.02) * min(height, width))
        y, x = generator.integers(height), generator.integers(width)
        picture[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] += generator.uniform(0.5, 1) * contrast


def _with_edge(picture: Picture, edge: str, contrast: float, generator: np.random.Generator) -> Picture:
    """Something as dark, or as light, as the ink: at the left, at the top left, or at the top."""
    height, width = picture.shape
    y, x = np.ogrid[:height, :width]
    if edge == "strip":
        end = max(1, generator.uniform(0.03, 0.1) * width) + generator.uniform(-0.04, 0.04) * (y - height / 2)
        return np.where(x < end, picture.mean() + generator.uniform(0.4, 1.2) * contrast, picture)
    if edge == "corner":
        far = generator.uniform(0.08, 0.3, 2)
        shade = np.clip((1 - x / (far[0] * width) - y / (far[1] * height)) * generator.choice([3, 20]), 0, 1)
        return np.asarray(picture + shade * generator.uniform(0.4, 1.2) * contrast)
    if edge == "foot":
        centre = generator.uniform(0.1, 0.9) * width + generator.uniform(-0.5, 0.5) * y
        is_foot = (np.abs(x - centre) < generator.uniform(0.015, 0.035) * width) & (
            y < generator.uniform(0.03, 0.12) * height
        )
        return np.where(is_foot, picture + generator.uniform(0.8, 1) * contrast, picture)
    across = y - generator.uniform(0.02, 0.12) * height - generator.uniform(-0.02, 0.02) * x
    is_line = np.abs(across) < max(1, generator.uniform(0.004, 0.02) * height) / 2
    return np.where(is_line, picture + generator.uniform(0.5, 1) * contrast, picture)
