"""Augmentation: each time the network sees an image, it is warped in another way.

What to do is drawn with NumPy before the epoch, so that it follows from the seed alone; the warp is compiled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.common.types import IMAGE_SIDE
from digits.params import Augmentation

CENTRE = (IMAGE_SIDE - 1) / 2
KNOTS = np.linspace(2, IMAGE_SIDE - 3, 7)  # of the elastic displacements, in both directions
SPREAD = 4.0  # pixels; of the Gaussian around each knot

# From the knots to the pixels, (28, 7). Rows of length 1 keep the standard deviation of independent knots.
_gaussians = np.exp(-0.5 * ((np.arange(IMAGE_SIDE)[:, np.newaxis] - KNOTS) / SPREAD) ** 2)
SMOOTHING = (_gaussians / np.linalg.norm(_gaussians, axis=1, keepdims=True)).astype(np.float32)


class Warps(NamedTuple):
    """How images are warped: for each pixel of the result, its source in the image.

    Attributes:
        affine: float32 (..., 2, 3): row and column of the source, from those of the pixel and 1. Rows and columns count
            from the image's centre.
        knots: float32 (..., 2, 7, 7): displacements of the source, in pixels, which are smoothed over the image; or
            (..., 2, 0, 0) for none.
    """

    affine: NDArray[np.float32]
    knots: NDArray[np.float32]


def draw(augmentation: Augmentation, shape: Sequence[int], seed: Sequence[int]) -> Warps:
    """Draw a warp for each image of an array of `shape`, uniformly up to the recipe's rotation, scale, shear and shift.

    The elastic displacements are smoothed noise, after Simard, Steinkraus, Platt, "Best Practices for Convolutional
    Neural Networks Applied to Visual Document Analysis", ICDAR 2003.
    """
    generator = np.random.default_rng(seed)

    def uniform(limit: float) -> NDArray[np.float64]:
        return generator.uniform(-limit, limit, size=shape)

    angle = uniform(np.deg2rad(augmentation.rotation))
    high, wide = (np.exp(uniform(np.log1p(augmentation.scale))) for _ in range(2))
    shear = uniform(augmentation.shear)
    down, right = uniform(augmentation.shift), uniform(augmentation.shift)
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [
        np.stack([cos * high, (shear * cos - sin) * wide, down], axis=-1),
        np.stack([sin * high, (shear * sin + cos) * wide, right], axis=-1),
    ]
    side = len(KNOTS) if augmentation.elastic else 0
    knots = generator.standard_normal((*shape, 2, side, side), dtype=np.float32) * np.float32(augmentation.elastic)
    return Warps(np.stack(rows, axis=-2).astype(np.float32), knots)


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def warp(images: tf.Tensor, affine: tf.Tensor, knots: tf.Tensor) -> tf.Tensor:
    """Warp float32 images (n, 28, 28), each by its own of `Warps`, with bilinear interpolation and black around."""
    offset = tf.range(IMAGE_SIDE, dtype=tf.float32) - CENTRE
    places = affine[:, :, 0, None, None] * offset[:, None] + affine[:, :, 1, None, None] * offset
    places += affine[:, :, 2, None, None] + CENTRE
    if knots.shape[-1]:
        places += tf.einsum("ig,nkgh,jh->nkij", SMOOTHING, knots, SMOOTHING)
    corner = tf.floor(places)
    row, column = tf.unstack(tf.cast(corner, tf.int32) + 1, axis=1)
    down, right = tf.unstack(places - corner, axis=1)
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1]])

    def pixel(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        last = IMAGE_SIDE + 1
        side = last + 1
        inside = tf.clip_by_value(row, 0, last) * side + tf.clip_by_value(column, 0, last)
        first = tf.range(tf.shape(images)[0])[:, None, None] * side * side
        return tf.gather(tf.reshape(padded, [-1]), first + inside)

    above = pixel(row, column) * (1 - right) + pixel(row, column + 1) * right
    below = pixel(row + 1, column) * (1 - right) + pixel(row + 1, column + 1) * right
    return above * (1 - down) + below * down
