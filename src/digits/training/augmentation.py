"""Augmentation: each time the network sees an image, the image looks different.

NumPy samples the random numbers from the seed; compiled code applies them. TensorFlow draws the noise of the pixels,
from a seed among these numbers, for each shard of a batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digits.common.types import IMAGE_SIDE
from digits.params import Augmentation

Draws = Mapping[str, NDArray[np.float32]]

CENTRE = (IMAGE_SIDE - 1) / 2
SHARE = 0.1  # of the images that each of `CHANGES` is applied to, independently of the others
PATCHES = 4  # at most, on an image
GRIDS = (3, 7)  # places along a side that have their own light


class Change(NamedTuple):
    """A change of images.

    Attributes:
        apply: takes images, float32 (n, 28, 28), 0..1; a strength for each, (n, 1, 1), where 0 leaves the image as it
            is; and random numbers for each, (n, size), uniform in 0..1. Returns the changed images.
        size: the number of random numbers for an image.
    """

    apply: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    size: int


def sample(augmentation: Augmentation, shape: Sequence[int], seed: Sequence[int]) -> Draws:
    """Sample, for each image of an array of `shape`, its `sample_warps` and what the recipe's `CHANGES` need.

    Returns `warp`, and for each change a strength, uniform up to the recipe's limit or 0, and its random numbers:
    float32 (*shape, 1 + size).
    """
    draws = {"warp": sample_warps(augmentation, shape, seed)}
    for number, (name, change) in enumerate(CHANGES.items(), start=1):  # NumPy takes (seed, 0) for (seed)
        if limit := getattr(augmentation, name):
            generator = np.random.default_rng((*seed, number))
            draws[name] = generator.random((*shape, 1 + change.size), dtype=np.float32)
            draws[name][..., 0] *= limit * (generator.random(shape) < SHARE)
    return draws


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def augment(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Apply the draws of `sample`, one for each image, to normalized float32 images (n, 28, 28); returns 0..1.

    Images normalized by `contrast`, which may have values from -1, are scaled to 0..1.
    """
    images = warp(images, draws["warp"])
    darkest = tf.minimum(tf.reduce_min(images, axis=(1, 2), keepdims=True), 0)
    images = (images - darkest) / (1 - darkest)
    for name, change in CHANGES.items():
        if name in draws:
            images = change.apply(images, draws[name][:, :1, None], draws[name][:, 1:])
    return tf.clip_by_value(images, 0, 1)


# Shape: warps and strokes.


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


def _change_strokes(images: tf.Tensor, strength: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Strokes thinner or thicker, by up to one pixel on every side, or replaced by their outlines."""
    kind = numbers[:, :, None]
    sign = tf.where(kind < 1 / 3, -1.0, 1.0)  # thinner strokes are those of a thicker background
    changed = sign * _dilate(sign * images)
    return images + strength * (tf.where(kind < 2 / 3, changed, changed - images) - images)


def _dilate(images: tf.Tensor) -> tf.Tensor:
    """The greatest of each pixel and its eight neighbours."""
    rows = tf.pad(images, [[0, 0], [1, 1], [0, 0]])
    tall = tf.maximum(tf.maximum(rows[:, :-2], images), rows[:, 2:])
    columns = tf.pad(tall, [[0, 0], [0, 0], [1, 1]])
    return tf.maximum(tf.maximum(columns[:, :, :-2], tall), columns[:, :, 2:])


# Light, patches, and salt and pepper.


def _light_unevenly(images: tf.Tensor, strength: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """A background that is bright in some places, and a digit that is faint in others, by up to `strength`."""
    *grids, weight, level = tf.split(numbers, [side**2 for side in GRIDS] + [1, 1], axis=1)
    coarse, fine = (_enlarge(tf.reshape(grid, (-1, side, side))) for grid, side in zip(grids, GRIDS, strict=True))
    weight, level = weight[:, :, None], level[:, :, None]
    pattern = weight * coarse + (1 - weight) * fine
    light = strength * tf.clip_by_value(2 * (pattern + level) - 2, -1, 1)
    return tf.where(light > 0, images + light * (1 - images), images * (1 + light))


def _enlarge(grids: tf.Tensor) -> tf.Tensor:
    """Images (n, 28, 28) from small ones, by linear interpolation."""
    side = grids.shape[1]
    position = np.linspace(0, side - 1, IMAGE_SIDE, dtype=np.float32)
    weights = np.maximum(0, 1 - np.abs(position[:, np.newaxis] - np.arange(side, dtype=np.float32)))
    return tf.einsum("ir,nrc,jc->nij", weights, grids, weights)


def _add_patches(images: tf.Tensor, strength: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Rectangles, from thin lines to squares: each of one grey, with an opacity of `strength`, or a negative.

    Negatives are larger, since they hide nothing.
    """
    offset = tf.range(IMAGE_SIDE, dtype=tf.float32) - CENTRE
    for patch in tf.split(numbers[:, :, None], PATCHES, axis=1):
        row, column, angle, length, width, grey, kind = tf.split(patch, 7, axis=1)
        y, x = offset[:, None] - IMAGE_SIDE * (row - 0.5), offset - IMAGE_SIDE * (column - 0.5)
        cos, sin = tf.cos(math.pi * angle), tf.sin(math.pi * angle)
        is_negative = kind < 0.25
        half_width = tf.where(is_negative, 1.5, 0.5) * 10**width
        half_length = half_width + 14 * length * (1 - width)
        inside = _inside(half_length, cos * x + sin * y) * _inside(half_width, cos * y - sin * x)
        opacity = tf.where(is_negative, tf.sign(strength), tf.where(kind < 0.5, strength, 0))
        content = tf.where(is_negative, (1 + grey) / 2 * (1 - images), grey)
        images += opacity * inside * (content - images)
    return images


def _inside(half: tf.Tensor, distance: tf.Tensor) -> tf.Tensor:
    """1 for pixels up to a distance, 0 beyond, and between them at the edge."""
    return tf.clip_by_value(half + 0.5 - tf.abs(distance), 0, 1)


def _add_salt_and_pepper(images: tf.Tensor, strength: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """A share `strength` of the pixels, independently of each other, black or white."""
    place = tf.random.stateless_uniform(tf.shape(images), _seed(numbers), alg="philox")
    return tf.where(place < strength / 2, 0.0, tf.where(place > 1 - strength / 2, 1.0, images))


# Blur and noise.


def _blur(images: tf.Tensor, strength: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """A Gaussian blur with a standard deviation of `strength` pixels, less along the rows or along the columns."""
    balance = 2 * numbers[:, :, None]
    rows, columns = (_gaussian(strength * tf.minimum(part, 1)) for part in (balance, 2 - balance))
    return rows @ images @ tf.transpose(columns, (0, 2, 1))


def _gaussian(deviation: tf.Tensor) -> tf.Tensor:
    """Matrices (n, 28, 28) that blur columns: row i has the weights of all pixels for pixel i, and sums to 1."""
    position = tf.range(IMAGE_SIDE, dtype=tf.float32)
    squares = (position[:, None] - position) ** 2
    weights = tf.exp(-squares / (2 * deviation**2 + 1e-6))
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)


def _add_noise(images: tf.Tensor, strength: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Independent normal noise on every pixel, with a standard deviation of `strength`."""
    return images + strength * tf.random.stateless_normal(tf.shape(images), _seed(numbers), alg="philox")


def _seed(numbers: tf.Tensor) -> tf.Tensor:
    """A seed for all images, from the random numbers of the first one."""
    return tf.bitcast(numbers[0], tf.int32)


# In this order, by the names of their limits in the recipe.
CHANGES: Mapping[str, Change] = {
    "strokes": Change(_change_strokes, 1),
    "light": Change(_light_unevenly, sum(side**2 for side in GRIDS) + 2),
    "patches": Change(_add_patches, 7 * PATCHES),
    "salt_and_pepper": Change(_add_salt_and_pepper, 2),
    "blur": Change(_blur, 1),
    "noise": Change(_add_noise, 2),
}
