"""Corruptions of the test images, to measure how robust a model is.

They are in the spirit of Mu and Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", ICML 2019 Workshop on
Uncertainty and Robustness in Deep Learning, arXiv:1906.02337: an image looks different, and a person still reads the
same digit. Functions and levels are not those of MNIST-C, so error rates are not comparable with published ones.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from digits.common.types import IMAGE_SIDE, Pixels

SEVERITIES = (1, 2, 3)
SEED = 0
BOX = slice(4, 24)  # the rows and the columns of the 20 x 20 pixels that MNIST's digits are scaled to
GREY = 128
BINOMIAL = (1, 4, 6, 4, 1)  # integer weights: exact, so ties are ties on every CPU
ROW = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]])
LINES = (ROW, ROW.T, np.eye(3), np.eye(3)[::-1])  # through a pixel and two neighbours, in the four directions

Values = NDArray[np.float64]  # grey values, (n, 28, 28), not yet rounded and clipped


class Corruption(NamedTuple):
    """A function of images, a level and a random generator, and the level at each of `SEVERITIES`."""

    apply: Callable[[Values, float, Generator], Values]
    levels: tuple[float, float, float]


def corrupt(images: Pixels, name: str, severity: int) -> Pixels:
    """New images of the same shape, (n, 28, 28), with the corruption `name` of `CORRUPTIONS`.

    The random draws depend on name, severity and position only: every model sees the same images, and the first k
    images are the same however many follow. A new version of NumPy may draw differently (NEP 19).

    Raises:
        ValueError: there is no such corruption or severity.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"the corruption must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"the severity must be one of {', '.join(map(str, SEVERITIES))}, got {severity!r}")
    apply, levels = CORRUPTIONS[name]
    generator = np.random.default_rng([SEED, severity, *name.encode()])
    values = apply(images.astype(np.float64), levels[SEVERITIES.index(severity)], generator)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _noise(images: Values, deviation: float, generator: Generator) -> Values:
    """Independent normal noise on every pixel; its standard deviation in grey values."""
    return images + generator.normal(0, deviation, images.shape)


def _blur(images: Values, deviation: float, _: Generator) -> Values:
    """A Gaussian blur; its standard deviation in pixels."""
    blurred: Values = ndimage.gaussian_filter(images, (0, deviation, deviation), mode="constant")
    return blurred


def _shear(images: Values, slope: float, generator: Generator) -> Values:
    """A slant to the left or to the right, in columns per row."""
    return _warp_mirrored_at_random(images, np.array([[1, 0], [slope, 1]]), generator)


def _rotation(images: Values, degrees: float, generator: Generator) -> Values:
    """A turn to the left or to the right."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return _warp_mirrored_at_random(images, np.array([[cosine, -sine], [sine, cosine]]), generator)


def _scale(images: Values, divisor: float, _: Generator) -> Values:
    """Both sides divided by `divisor`; a larger digit would leave the image."""
    return _warp(images, np.eye(2) * divisor)


def _brightness(images: Values, change: float, _: Generator) -> Values:
    """More light, in grey values: the black background turns grey."""
    return images + change


def _stroke(images: Values, share: float, generator: Generator) -> Values:
    """Thicker or thinner strokes: `share` of the way to one more pixel on every side, or to the ridge alone."""
    thick = ndimage.grey_dilation(images, size=(1, 3, 3), mode="constant")
    thin = np.where(_is_ridge(images), images, 0)
    return images + share * (np.where(_coin_flips(images, generator), thick, thin) - images)


def _occlusion(images: Values, side: float, generator: Generator) -> Values:
    """A grey square of `side` pixels, anywhere in the box of the digit."""
    first = generator.integers(BOX.start, BOX.stop - int(side), size=(len(images), 2), endpoint=True)
    distance = np.arange(IMAGE_SIDE) - first[:, :, np.newaxis]
    rows, columns = np.moveaxis((distance >= 0) & (distance < side), 1, 0)
    return np.where(rows[:, :, np.newaxis] & columns[:, np.newaxis, :], GREY, images)


def _coin_flips(images: Values, generator: Generator) -> NDArray[np.bool_]:
    """True or False for each image, (n, 1, 1)."""
    return generator.integers(2, size=(len(images), 1, 1), dtype=np.bool_)


def _is_ridge(images: Values) -> NDArray[np.bool_]:
    """Whether a pixel is in the middle of a stroke: a peak, once smoothed, in at least two of four directions."""
    smooth = images
    for axis in (1, 2):
        smooth = ndimage.convolve1d(smooth, BINOMIAL, axis=axis, mode="constant")
    peaks = [smooth == ndimage.maximum_filter(smooth, footprint=line[np.newaxis], mode="constant") for line in LINES]
    ridge: NDArray[np.bool_] = np.count_nonzero(peaks, axis=0) >= 2
    return ridge


def _warp_mirrored_at_random(images: Values, matrix: NDArray[np.float64], generator: Generator) -> Values:
    """`_warp` for some of the images, its mirror image for the others."""
    mirrored = _coin_flips(images, generator)
    warped = _warp(np.where(mirrored, images[:, :, ::-1], images), matrix)
    return np.where(mirrored, warped[:, :, ::-1], warped)


def _warp(images: Values, matrix: NDArray[np.float64]) -> Values:
    """Show at (row, column), from the centre, what was at `matrix` @ (row, column); linear, black outside."""
    whole = np.eye(3)  # the first axis is that of the images
    whole[1:, 1:] = matrix
    centre = np.array([0, (IMAGE_SIDE - 1) / 2, (IMAGE_SIDE - 1) / 2])
    warped: Values = ndimage.affine_transform(images, whole, centre - whole @ centre, order=1)
    return warped


# Dyadic levels, so that rounding is the same on every CPU.
CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "noise": Corruption(_noise, (40, 70, 100)),
        "blur": Corruption(_blur, (1, 1.5, 2)),
        "shear": Corruption(_shear, (0.25, 0.5, 0.75)),
        "rotation": Corruption(_rotation, (15, 30, 45)),
        "scale": Corruption(_scale, (1.25, 1.5, 2)),
        "brightness": Corruption(_brightness, (50, 100, 150)),
        "stroke": Corruption(_stroke, (1 / 3, 2 / 3, 1)),
        "occlusion": Corruption(_occlusion, (5, 7, 9)),
    }
)
