"""The network as the tutorial has it, its first weights, and its normalization inside the model that ships."""

import numpy as np
import pytest

from digits.common.types import Pixels
from digits.data import normalization
from recipes import tutorial

pytestmark = pytest.mark.usefixtures("tensorflow")

METHODS = ["l2", "minmax"]


def test_network_is_the_tutorials(pixels: Pixels) -> None:
    from digits.model import architectures, inference

    network = architectures.build(tutorial(), seed=0)
    assert network.count_params() == (784 + 1) * 128 + (128 + 1) * 128 + (128 + 1) * 10
    dense = [layer for layer in network.layers if layer.get_config().get("units")]
    assert [layer.units for layer in dense] == [128, 128, 10]
    assert [layer.get_config()["activation"] for layer in dense] == ["relu", "relu", "softmax"]
    outputs = inference.predict(network, normalization.l2(pixels))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)


def test_hidden_layers_are_the_recipes() -> None:
    from digits.model import architectures

    assert architectures.build(tutorial(hidden=(7, 5)), seed=0).count_params() == 785 * 7 + 8 * 5 + 6 * 10
    assert architectures.build(tutorial(hidden=()), seed=0).count_params() == 785 * 10


def test_first_weights_follow_the_seed() -> None:
    from digits.model import architectures

    first, again, other = (architectures.build(tutorial(), seed).get_weights()[0] for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("method", METHODS)
def test_layer_normalizes_as_numpy_does(pixels: Pixels, method: str) -> None:
    from digits.model import architectures

    layer = architectures.NORMALIZATIONS[method]()
    expected = normalization.METHODS[method](pixels)
    np.testing.assert_allclose(layer(pixels.astype(np.float32)), expected, atol=1e-6)


def test_every_method_has_a_layer() -> None:
    from digits.model import architectures

    assert list(architectures.NORMALIZATIONS) == list(normalization.METHODS) == METHODS


@pytest.mark.parametrize("method", METHODS)
def test_model_that_ships_takes_raw_pixels(pixels: Pixels, method: str) -> None:
    """It predicts for raw pixels what the network predicts for normalized ones."""
    from digits.model import architectures, inference

    network = architectures.build(tutorial(), seed=0)
    expected = inference.predict(network, normalization.METHODS[method](pixels))
    model = architectures.with_normalization(network, method)
    np.testing.assert_allclose(inference.predict(model, pixels), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01, "the network tells the images apart"


def test_doubled_normalization_would_be_seen(pixels: Pixels) -> None:
    """The tolerance above is fine enough; l2 of l2 is l2, so only minmax can show it."""
    from digits.model import architectures, inference

    network = architectures.build(tutorial(), seed=0)
    once = inference.predict(network, normalization.minmax(pixels))
    twice = inference.predict(architectures.with_normalization(network, "minmax"), normalization.minmax(pixels))
    assert np.abs(once - twice).max() > 0.01


def test_models_probabilities_are_float32(pixels: Pixels) -> None:
    from digits.model import architectures, inference

    model = architectures.with_normalization(architectures.build(tutorial(), seed=0), "l2")
    assert model.input_shape == (None, 28, 28)
    assert model.output_shape == (None, 10)
    assert inference.predict(model, pixels).dtype == np.float32
