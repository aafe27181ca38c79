"""The predictor answers as Keras does, for any number of images; a model in MLflow takes them in any form."""

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from digits.common.types import Pixels
from digits.model import architectures, predictor
from digits.model.predictor import Predictor, ServedModel
from digits.params import Recipe
from helpers.keras_outputs import outputs
from helpers.recipes import cnn, tutorial


def make_model(recipe: Recipe) -> keras.Model:
    return architectures.with_calibrated_softmax(architectures.build(recipe, seed=0), recipe.normalization, 1.5)


pytestmark = pytest.mark.xdist_group("predictor")  # so that a model is compiled once


@pytest.fixture(scope="module")
def model(tensorflow: None) -> keras.Model:  # noqa: ARG001 (configured first)
    return make_model(tutorial(hidden=(16,)))


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    "recipe", [tutorial(hidden=(16,)), cnn(), cnn(members=2, views=4)], ids=["mlp", "cnn", "ensemble"]
)
def test_answers_are_those_of_the_model(recipe: Recipe, pixels: Pixels) -> None:
    model = make_model(recipe)
    assert predictor.has_convolutions(model) is (recipe.architecture == "cnn")
    np.testing.assert_allclose(Predictor(model)(pixels), outputs(model, pixels), atol=1e-6)


@pytest.fixture(scope="module")
def served(model: keras.Model) -> Iterator[ServedModel]:
    """With batches of 1 and 8 images, which take less time to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor, "SIZES", (1, 8))
        yield ServedModel(Predictor(model))


def test_copy_works_without_this_library() -> None:
    assert "digits" not in Path(predictor.__file__).read_text()


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 16, 20, 64])
def test_every_image_has_its_row(served: ServedModel, model: keras.Model, pixels: Pixels, count: int) -> None:
    answers = served.predict(pixels[:count])
    assert answers.shape == (count, 10)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, outputs(model, pixels)[:count], atol=1e-6)


@pytest.mark.parametrize(
    "form",
    [
        lambda images: images,
        lambda images: images.astype(np.float32),
        lambda images: images.astype(np.float64),
        lambda images: images.tolist(),
        lambda images: pd.DataFrame(images.reshape(len(images), -1)),
        lambda images: pd.DataFrame({"image": images.tolist()}),
        lambda images: pd.DataFrame({"image": images.reshape(len(images), -1).tolist()}),
    ],
    ids=["uint8", "float32", "float64", "lists", "784 columns", "one column", "one column of flat images"],
)
def test_served_model_takes_images_in_every_form(
    served: ServedModel, model: keras.Model, pixels: Pixels, form: Callable[[Pixels], object]
) -> None:
    np.testing.assert_allclose(served.predict(form(pixels[:3])), outputs(model, pixels[:3]), atol=1e-6)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros((28, 28)), r"got shape \(28, 28\)"),
        (np.zeros((2, 28, 27)), r"got shape \(2, 28, 27\)"),
        (np.zeros((2, 784)), r"got shape \(2, 784\)"),
        (np.float64(7), r"got shape \(\)"),
        (np.full((1, 28, 28), 256), r"got pixels from 256.0 to 256.0"),
        (np.full((1, 28, 28), -1), r"got pixels from -1.0 to -1.0"),
        (np.full((1, 28, 28), np.nan), r"got pixels from nan to nan"),
        ([[["a"] * 28] * 28], r"got something else \(could not convert string to float: 'a'\)"),
        ([[[0] * 28] * 28, [[0] * 28] * 27], r"got something else \(setting an array element"),
        ([[[10**400] * 28] * 28], r"got something else \(int too large"),
        ({"image": 1}, r"got something else \(float\(\) argument"),
        (pd.DataFrame(np.zeros((2, 100))), r"got something else \(cannot reshape"),
        (pd.DataFrame({"image": ["a"]}), r"got something else \(could not convert"),
    ],
)
def test_served_model_refuses_other_data_in_one_line(served: ServedModel, data: object, reason: str) -> None:
    allowed = r"^the input must be images of shape \(n, 28, 28\) with pixels from 0 to 255; "
    with pytest.raises(MlflowException, match=allowed + reason) as refusal:
        served.predict(data)
    assert refusal.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "\n" not in str(refusal.value)
