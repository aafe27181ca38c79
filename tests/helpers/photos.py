"""Pictures like people's: MNIST's digits on shaded, noisy paper, dark or light, off-centre, of any size."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digits.common.types import Pixels


def make_photo(digit: Pixels, generator: np.random.Generator) -> bytes:
    """A JPEG or PNG file of one digit (28, 28): a photo of ink on paper, or of chalk on a board."""
    height, width = generator.integers(120, 900, size=2)
    side = int(min(height, width) * generator.uniform(0.35, 0.95))
    ink = np.zeros((height, width))
    top, left = generator.integers(0, height - side + 1), generator.integers(0, width - side + 1)
    scaled = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255
    ink[top : top + side, left : left + side] = np.clip(2.5 * (scaled - 0.3), 0, 1)
    paper, pen = _shades(generator)
    shade = paper * _light((height, width), generator)
    picture = shade + (pen - paper) * ink * generator.uniform(0.6, 1)
    picture = ndimage.gaussian_filter(picture, generator.uniform(0, side / 100))
    picture += generator.normal(0, generator.uniform(0, 12), size=picture.shape)
    colours = np.clip(picture[..., np.newaxis] * generator.uniform(0.9, 1, size=3), 0, 255).astype(np.uint8)
    return encode(colours, str(generator.choice(["PNG", "JPEG"])))


def encode(values: NDArray[np.generic], kind: str = "PNG") -> bytes:
    """An image file with these values."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def _shades(generator: np.random.Generator) -> tuple[float, float]:
    """Of paper and pen; every third picture is light on dark."""
    light, dark = generator.uniform(170, 250), generator.uniform(5, 80)
    return (dark, light) if generator.random() < 1 / 3 else (light, dark)


def _light(shape: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float64]:
    """Light from one side, by up to a third less at the other, and a little less at the edges."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    angle = generator.uniform(0, 2 * np.pi)
    slope = generator.uniform(0, 0.17) * (np.cos(angle) * x + np.sin(angle) * y)
    return np.asarray(0.83 + slope - generator.uniform(0, 0.1) * (x * x + y * y))
