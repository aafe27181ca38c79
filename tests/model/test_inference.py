"""Probabilities come in order, whatever the batches and the type of the images."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from digits.common.types import Pixels
from recipes import tutorial

if TYPE_CHECKING:
    import keras


@pytest.fixture
def model(tensorflow: None) -> "keras.Model":  # noqa: ARG001 (configured first)
    from digits.model import architectures

    return architectures.shipped(architectures.build(tutorial(), seed=0), "minmax", temperature=1)


def test_every_image_has_its_row(model: "keras.Model", pixels: Pixels) -> None:
    from digits.model import inference

    outputs = inference.predict(model, pixels)
    assert outputs.shape == (64, 10)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)
    for index in (0, 5, 63):
        np.testing.assert_allclose(inference.predict(model, pixels[index : index + 1])[0], outputs[index], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 10, 63, 64, 65])
def test_batches_do_not_matter(model: "keras.Model", pixels: Pixels, batch_size: int) -> None:
    from digits.model import inference

    expected = inference.predict(model, pixels)
    np.testing.assert_allclose(inference.predict(model, pixels, batch_size), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_images_may_have_any_type(model: "keras.Model", pixels: Pixels, dtype: str) -> None:
    from digits.model import inference

    images = pixels.astype(dtype)
    np.testing.assert_array_equal(inference.predict(model, images), inference.predict(model, pixels))
