"""Augmentation: each time the network sees an image, it is warped in another way.

Warps are sampled with NumPy, so they depend on the seed alone, and applied by compiled code.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.common.types import IMAGE_SIDE
from digits.params import Augmentation

CENTRE = (IMAGE_SIDE - 1) / 2


def sample_warps(augmentation: Augmentation, shape: Sequence[int], seed: Sequence[int]) -> NDArray[np.float32]:
    """Sample a warp for each image of an array of `shape`, uniformly up to the recipe's limits.

    Returns an affine map for each, (*shape, 2, 3): row and column of the source in the image, from those of a pixel of
    the result and 1. Rows and columns count from the image's centre.
    """
    generator = np.random.default_rng(seed)
    turn, stretch = np.deg2rad(augmentation.rotation), np.log1p(augmentation.scale)
    limits = turn, stretch, stretch, augmentation.shear, augmentation.shift, augmentation.shift
    angle, log_y, log_x, shear, shift_y, shift_x = (generator.uniform(-limit, limit, shape) for limit in limits)
    scale_y, scale_x = np.exp(log_y), np.exp(log_x)
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [
        np.stack([cos * scale_y, (shear * cos - sin) * scale_x, shift_y], axis=-1),
        np.stack([sin * scale_y, (shear * sin + cos) * scale_x, shift_x], axis=-1),
    ]
    return np.stack(rows, axis=-2).astype(np.float32)


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def warp(images: tf.Tensor, warps: tf.Tensor) -> tf.Tensor:
    """Warp float32 images (n, 28, 28) by `warps` (n, 2, 3), with bilinear interpolation and black outside the image."""
    offset = tf.range(IMAGE_SIDE, dtype=tf.float32) - CENTRE
    source = warps[:, :, 0, None, None] * offset[:, None] + warps[:, :, 1, None, None] * offset
    source += warps[:, :, 2, None, None] + CENTRE
    corner = tf.floor(source)
    row, column = tf.unstack(tf.cast(corner, tf.int32) + 1, axis=1)
    weight_y, weight_x = tf.unstack(source - corner, axis=1)

    padded_side = IMAGE_SIDE + 2
    padded = tf.reshape(tf.pad(images, [[0, 0], [1, 1], [1, 1]]), [-1])
    image_offset = tf.range(tf.shape(images)[0])[:, None, None] * padded_side**2

    def pixel(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        last = padded_side - 1
        flat_index = tf.clip_by_value(row, 0, last) * padded_side + tf.clip_by_value(column, 0, last)
        return tf.gather(padded, image_offset + flat_index)

    above = pixel(row, column) * (1 - weight_x) + pixel(row, column + 1) * weight_x
    below = pixel(row + 1, column) * (1 - weight_x) + pixel(row + 1, column + 1) * weight_x
    return above * (1 - weight_y) + below * weight_y
