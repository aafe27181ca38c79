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


def test_contrast_by_hand() -> None:
    """The background is 50; the other pixels are 200 lighter and 50 darker than that."""
    image = np.array([[[50, 50, 50], [50, 250, 0]]], dtype=np.uint8)
    scaled = normalization.contrast(image)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[[0.0, 0.0, 0.0], [0.0, 1.0, -0.25]]], rtol=1e-7)


def test_contrast_takes_the_middle_of_an_even_number() -> None:
    scaled = normalization.contrast(np.array([[[0, 1, 2, 11]]], dtype=np.uint8))
    np.testing.assert_allclose(scaled, np.array([[[-1.5, -0.5, 0.5, 9.5]]]) / 9.5, rtol=1e-6)


def test_contrast_of_a_negative_is_that_of_the_image(pixels: Pixels) -> None:
    image = np.where(pixels > 150, pixels, 0).astype(np.uint8)
    np.testing.assert_allclose(normalization.contrast(255 - image), normalization.contrast(image), atol=1e-6)


def test_contrast_does_not_depend_on_light(pixels: Pixels) -> None:
    """A third of the light, and a background of 90."""
    dark = pixels // 3 * 3
    np.testing.assert_allclose(
        normalization.contrast(dark // 3 + np.uint8(90)), normalization.contrast(dark), atol=1e-6
    )


def test_contrast_of_one_grey_is_zero() -> None:
    assert (normalization.contrast(np.full((1, 28, 28), 7, np.uint8)) == 0).all()


@pytest.mark.parametrize("method", normalization.METHODS)
def test_there_may_be_no_images(method: str) -> None:
    """The validation set may be empty."""
    assert normalization.METHODS[method](np.empty((0, 28, 28), np.uint8)).shape == (0, 28, 28)


@pytest.mark.parametrize("method", normalization.METHODS)
def test_raw_pixels_stay_as_they_are(pixels: Pixels, method: str) -> None:
    before = pixels.copy()
    normalization.METHODS[method](pixels)
    np.testing.assert_array_equal(pixels, before)
