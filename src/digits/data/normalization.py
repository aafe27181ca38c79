"""Scaling of raw pixels before training. NumPy only: the same bytes on every machine."""

from collections.abc import Callable, Mapping

import numpy as np

from digits.common.types import Images, Pixels


def l2(pixels: Pixels) -> Images:
    """Each pixel column scaled to unit Euclidean length, as `tf.keras.utils.normalize(x, axis=1)` does; 0 stays 0."""
    values = pixels.astype(np.float32)
    # Sums of up to 28 squares of bytes are whole numbers below 2**24, which float32 holds exactly.
    lengths = np.sqrt(np.einsum("nrc,nrc->nc", values, values))
    lengths[lengths == 0] = 1
    values /= lengths[:, np.newaxis, :]
    return values


def minmax(pixels: Pixels) -> Images:
    """Pixels scaled from 0..255 to 0..1."""
    return pixels.astype(np.float32) / np.float32(255)


def contrast(pixels: Pixels) -> Images:
    """Each image minus its median, taken as its background, divided by the difference of largest magnitude: -1..1.

    A negative divisor turns dark ink on a light page into light ink. An image of one grey becomes 0.
    """
    rows, columns = pixels.shape[1:]
    medians = np.median(pixels.reshape(-1, rows * columns), axis=1)  # over two axes, NumPy refuses an empty array
    differences = pixels - medians[:, np.newaxis, np.newaxis].astype(np.float32)
    lightest, darkest = (extreme(differences, axis=(1, 2), keepdims=True) for extreme in (np.max, np.min))
    normalized: Images = differences / np.where(lightest + darkest < 0, darkest, np.maximum(lightest, 1e-6))
    return normalized


METHODS: Mapping[str, Callable[[Pixels], Images]] = {"l2": l2, "minmax": minmax, "contrast": contrast}
