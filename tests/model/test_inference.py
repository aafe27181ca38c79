"""Probabilities come in order, whatever the batches and the type of the images."""

import keras
import numpy as np
import pytest

from digits.common.types import Pixels
from digits.model import architectures, inference
from helpers.recipes import tutorial


@pytest.fixture
def model(tensorflow: None) -> keras.Model:  # noqa: ARG001 (configured first)
    return architectures.with_calibrated_softmax(architectures.build(tutorial(), seed=0), "minmax", temperature=1)


def test_every_image_has_its_row(model: keras.Model, pixels: Pixels) -> None:
    outputs = inference.predict(model, pixels)
    assert outputs.shape == (64, 10)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)
    for index in (0, 5, 63):
        np.testing.assert_allclose(inference.predict(model, pixels[index : index + 1])[0], outputs[index], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 10, 63, 64, 65])
def test_batches_do_not_matter(model: keras.Model, pixels: Pixels, batch_size: int) -> None:
    expected = inference.predict(model, pixels)
    np.testing.assert_allclose(inference.predict(model, pixels, batch_size), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_images_may_have_any_type(model: keras.Model, pixels: Pixels, dtype: str) -> None:
    images = pixels.astype(dtype)
    np.testing.assert_array_equal(inference.predict(model, images), inference.predict(model, pixels))
