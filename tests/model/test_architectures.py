"""The network as the tutorial has it, its first weights, and its normalization inside the model that ships."""

import itertools

import numpy as np
import pytest
from scipy.special import softmax

from digits.common.types import Pixels
from digits.data import normalization
from digits.model import architectures
from digits.params import Recipe
from helpers.keras_outputs import outputs
from helpers.recipes import cnn, tutorial

pytestmark = pytest.mark.usefixtures("tensorflow")

METHODS = ["l2", "minmax", "contrast"]


def test_model_is_the_tutorials(pixels: Pixels) -> None:
    network = architectures.build(tutorial(), seed=0)
    assert network.count_params() == (784 + 1) * 128 + (128 + 1) * 128 + (128 + 1) * 10
    dense = [layer for layer in network.layers if layer.get_config().get("units")]
    assert [layer.units for layer in dense] == [128, 128, 10]
    assert [layer.get_config()["activation"] for layer in dense] == ["relu", "relu", "linear"]
    model = architectures.with_calibrated_softmax(network, "l2", temperature=1)
    assert model.layers[-1].name == "probabilities"
    np.testing.assert_allclose(outputs(model, pixels).sum(axis=1), 1, atol=1e-6)


def test_hidden_layers_are_the_recipes() -> None:
    assert architectures.build(tutorial(hidden=(7, 5)), seed=0).count_params() == 785 * 7 + 8 * 5 + 6 * 10
    assert architectures.build(tutorial(hidden=()), seed=0).count_params() == 785 * 10


def test_blocks_are_the_recipes(pixels: Pixels) -> None:
    """Five convolutions of 3 x 3 over four pixels per place, normalized, and ten classes over the last width."""
    network = architectures.build(cnn(blocks=((32, 32, 48), (64, 64))), seed=0)
    widths = (4, 32, 32, 48, 64, 64)
    convolutions = sum((9 * before + 4) * width for before, width in itertools.pairwise(widths))
    assert network.count_params() == convolutions + (64 + 1) * 10 == 90314
    sides = [layer.output.shape[1] for layer in network.layers if "conv" in layer.name]
    assert sides == [14, 14, 14, 7, 7]
    assert outputs(network, normalization.minmax(pixels)).shape == (len(pixels), 10)


def test_batch_norm_takes_the_place_of_biases() -> None:
    """Scale, offset, mean and variance for each channel, between a convolution and its relu."""
    network = architectures.build(cnn(blocks=((4, 8), (8,))), seed=0)
    kernels = 9 * (4 * 4 + 4 * 8 + 8 * 8)
    assert network.count_params() == kernels + 4 * (4 + 8 + 8) + (8 + 1) * 10
    names = [layer.name for layer in network.layers if layer.name.endswith("1_2")]
    assert names == ["conv_1_2", "norm_1_2", "relu_1_2"]


def test_patches_hold_neighbouring_pixels() -> None:
    network = architectures.build(cnn(), seed=0)
    patches = np.arange(784, dtype=np.float32).reshape(1, 28, 28)
    for layer in network.layers[:3]:
        patches = layer(patches)
    assert patches[0, 1, 2].numpy().tolist() == [60, 61, 88, 89]


def test_ensemble_averages_the_logits_of_its_members(pixels: Pixels) -> None:
    ensemble = architectures.build(cnn(members=3), seed=0)
    members = architectures.members(ensemble)
    logits = [outputs(member, normalization.minmax(pixels)) for member in members]
    assert len({member.get_weights()[0].tobytes() for member in members}) == 3
    expected = np.mean(logits, axis=0)
    np.testing.assert_allclose(outputs(ensemble, normalization.minmax(pixels)), expected, atol=1e-6)


def test_views_are_the_image_and_three_shifted_copies(pixels: Pixels) -> None:
    network = architectures.build(cnn(views=4, members=2), seed=0)
    shifts = [(0, 0), (1, 0), (0, 1), (1, 1)]
    images = normalization.minmax(pixels)
    views = [np.pad(images, [(0, 0), (down, 0), (right, 0)])[:, :28, :28] for down, right in shifts]
    logits = [outputs(member, view) for member in architectures.members(network) for view in views]
    assert len(logits) == 8
    np.testing.assert_allclose(outputs(network, images), np.mean(logits, axis=0), atol=1e-6)
    assert network.count_params() == 2 * architectures.build(cnn(), seed=0).count_params()


def test_network_of_one_member_is_its_own() -> None:
    network = architectures.build(cnn(), seed=0)
    assert architectures.members(network) == [network]


@pytest.mark.parametrize("recipe", [tutorial(), cnn(), cnn(members=2)], ids=["mlp", "cnn", "ensemble"])
def test_first_weights_follow_the_seed(recipe: Recipe) -> None:
    first, again, other = (architectures.build(recipe, seed).get_weights()[0] for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("method", METHODS)
def test_layer_normalizes_as_numpy_does(pixels: Pixels, method: str) -> None:
    layer = architectures.NORMALIZATIONS[method]()
    expected = normalization.METHODS[method](pixels)
    np.testing.assert_allclose(layer(pixels.astype(np.float32)), expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_layer_of_one_grey_is_that_of_numpy(method: str) -> None:
    grey = np.full((1, 28, 28), 7, np.uint8)
    expected = normalization.METHODS[method](grey)
    np.testing.assert_allclose(architectures.NORMALIZATIONS[method]()(grey.astype(np.float32)), expected, atol=1e-6)


def test_every_method_has_a_layer() -> None:
    assert list(architectures.NORMALIZATIONS) == list(normalization.METHODS) == METHODS


@pytest.mark.parametrize("method", METHODS)
def test_model_that_ships_takes_raw_pixels(pixels: Pixels, method: str) -> None:
    """It predicts for raw pixels what the network predicts for normalized ones."""
    network = architectures.build(tutorial(), seed=0)
    expected = softmax(outputs(network, normalization.METHODS[method](pixels)) / 1.6, axis=1)
    model = architectures.with_calibrated_softmax(network, method, temperature=1.6)
    np.testing.assert_allclose(outputs(model, pixels), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01, "the network tells the images apart"


@pytest.mark.parametrize("fitted", [0.2005, 1.0, 1.6, 4.9999])
def test_temperature_is_read_back(fitted: float) -> None:
    """The model has its inverse, which is not exact."""
    network = architectures.build(tutorial(), seed=0)
    assert architectures.read_temperature(architectures.with_calibrated_softmax(network, "l2", fitted)) == fitted


def test_doubled_normalization_would_be_seen(pixels: Pixels) -> None:
    """The tolerance above is fine enough; l2 of l2 is l2, as with contrast, so only minmax can show it."""
    network = architectures.build(tutorial(), seed=0)
    once = softmax(outputs(network, normalization.minmax(pixels)), axis=1)
    twice = outputs(
        architectures.with_calibrated_softmax(network, "minmax", temperature=1), normalization.minmax(pixels)
    )
    assert np.abs(once - twice).max() > 0.01


def test_models_probabilities_are_float32(pixels: Pixels) -> None:
    model = architectures.with_calibrated_softmax(architectures.build(tutorial(), seed=0), "l2", temperature=1)
    assert model.input_shape == (None, 28, 28)
    assert model.output_shape == (None, 10)
    assert outputs(model, pixels).dtype == np.float32
