"""The normalizations and the draw of the validation set: NumPy only, the same bytes on every machine."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError

Images = NDArray[np.float32]


def l2(pixels: NDArray[np.uint8]) -> Images:
    """Scale each column of pixels to unit Euclidean length, as `tf.keras.utils.normalize(x, axis=1)` does.

    Args:
        pixels: uint8 (n, rows, columns).

    Returns:
        float32 of the same shape; columns of zeros stay zero.
    """
    values = pixels.astype(np.float32)
    # Sums of up to 28 squares of bytes are whole numbers below 2**24, which float32 holds exactly.
    lengths = np.sqrt(np.einsum("nrc,nrc->nc", values, values))
    lengths[lengths == 0] = 1
    values /= lengths[:, np.newaxis, :]
    return values


def minmax(pixels: NDArray[np.uint8]) -> Images:
    """Scale pixels from 0..255 to 0..1.

    Args:
        pixels: uint8 of any shape.

    Returns:
        float32 of the same shape.
    """
    return pixels.astype(np.float32) / np.float32(255)


METHODS: Mapping[str, Callable[[NDArray[np.uint8]], Images]] = {"l2": l2, "minmax": minmax}


def validation_count(asked: int, available: int, *, stand_in: bool) -> int:
    """How many of `available` training images to hold out when `asked` are wanted: at most a fifth.

    Where a fifth is less than `asked`, the stand-in, which is small, gives a tenth.

    Raises:
        InputError: `asked` is more than a fifth of another dataset.
    """
    largest = available // 5
    if asked <= largest:
        return asked
    if stand_in:
        return available // 10
    raise InputError(
        f"params.yaml: normalize.validation_size: must be at most {largest}, "
        f"a fifth of the {available} training images, got {asked}"
    )


def hold_out(labels: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.bool_]:
    """Draw `count` of the images at random so that every class gives its share, rounded.

    Args:
        labels: uint8 (n,).
        count: how many to draw, from 0 to n.
        seed: of the draw.

    Returns:
        bool (n,), true where an image is drawn.
    """
    classes, members = np.unique(labels, return_counts=True)
    shares = members * count / len(labels)
    quotas = shares.astype(int)
    most_cut = np.argsort(quotas - shares, kind="stable")
    quotas[most_cut[: count - quotas.sum()]] += 1
    generator = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=np.bool_)
    for label, quota in zip(classes, quotas, strict=True):
        drawn[generator.choice(np.flatnonzero(labels == label), quota, replace=False)] = True
    return drawn


def split(
    x_train: NDArray[np.uint8],
    y_train: NDArray[np.uint8],
    x_test: NDArray[np.uint8],
    y_test: NDArray[np.uint8],
    held_out: NDArray[np.bool_],
    method: str,
) -> dict[str, NDArray[Any]]:
    """The arrays of normalized.npz: images, float32 (n, 28, 28), and labels, uint8 (n,), of each split.

    Args:
        x_train: uint8 (n, 28, 28); the rows where `held_out` is true become `x_val`.
        y_train: uint8 (n,).
        x_test: uint8 (m, 28, 28).
        y_test: uint8 (m,).
        held_out: bool (n,).
        method: a key of `METHODS`.
    """
    normalize = METHODS[method]
    return {
        "x_train": normalize(x_train[~held_out]),
        "y_train": y_train[~held_out],
        "x_val": normalize(x_train[held_out]),
        "y_val": y_train[held_out],
        "x_test": normalize(x_test),
        "y_test": y_test,
    }
