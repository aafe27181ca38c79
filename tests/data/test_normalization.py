"""Normalizations computed by hand."""

import numpy as np
import pytest

from digits.common.types import Pixels
from digits.data import normalization


def test_l2_by_hand() -> None:
    image = np.array([[[3, 0, 255], [4, 0, 0]]], dtype=np.uint8)
    scaled = normalization.l2(image)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[[0.6, 0, 1], [0.8, 0, 0]]], rtol=1e-7)


def test_l2_gives_unit_columns_or_zeros(pixels: Pixels) -> None:
    lengths = np.linalg.norm(normalization.l2(pixels), axis=1)
    np.testing.assert_allclose(lengths, (pixels.sum(axis=1) > 0).astype(float), atol=1e-6)


def test_l2_sums_exactly() -> None:
    """No order of summation can change a bit, even where sums are largest."""
    image = np.full((1, 28, 1), 255, dtype=np.uint8)
    assert normalization.l2(image)[0, 0, 0] == np.float32(255) / np.sqrt(np.float32(28 * 255**2))


@pytest.mark.usefixtures("tensorflow")
def test_l2_is_the_tutorials_normalize(pixels: Pixels) -> None:
    import keras

    expected = keras.utils.normalize(pixels.astype(np.float64), axis=1)
    np.testing.assert_allclose(normalization.l2(pixels), expected, atol=1e-6)


def test_minmax_by_hand() -> None:
    scaled = normalization.minmax(np.array([0, 51, 255], dtype=np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [0, 0.2, 1], rtol=1e-7)


@pytest.mark.parametrize("method", ["l2", "minmax"])
def test_raw_pixels_stay_as_they_are(pixels: Pixels, method: str) -> None:
    before = pixels.copy()
    normalization.METHODS[method](pixels)
    np.testing.assert_array_equal(pixels, before)
