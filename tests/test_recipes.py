"""The recipes beside the tutorial's, on few training images and for two epochs."""

import json
from pathlib import Path

import numpy as np
import pytest

from digits import params
from digits.common import files
from digits.model import architectures, inference, keras_file
from digits.training.temperature import fit_temperature
from helpers.sandbox import PARAMS, ROOT, STAGES, Sandbox, make_sandbox

RECIPES = params.load(ROOT / "params.yaml").recipes

pytestmark = pytest.mark.slow


def short(recipe: str) -> dict[str, object]:
    """The params of the recipe, made short; an ensemble has two members."""
    members = min(2, RECIPES[recipe].members)
    own = {"epochs": 2, "members": members, "learning_rate": 0.003}
    sizes = {"normalize.train_size": 600, "normalize.validation_size": 200}
    return PARAMS | sizes | {"train.recipe": recipe} | {f"recipes.{recipe}.{key}": value for key, value in own.items()}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A copy of the repository with the dataset, in which recipes can be trained one after the other."""
    made = make_sandbox(tmp_path_factory.mktemp("recipes") / "digits")
    made.stage("fetch")
    return made


@pytest.mark.parametrize("recipe", ["mlp", "ensemble"])
def test_killed_training_resumes_to_the_same_bytes(recipe: str, sandbox: Sandbox) -> None:
    """The bytes of a run in one go."""
    sandbox.set_params(short(recipe))
    sandbox.stage("normalize")
    sandbox.stage("train")
    outputs = [sandbox.root / "data/model.keras", sandbox.root / "reports/history.csv"]
    once = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    sandbox.kill_training(1)
    assert "Resuming after epoch 1" in sandbox.stage("train")
    assert [path.read_bytes() for path in outputs] == once


@pytest.mark.usefixtures("tensorflow")
def test_pipeline_scores_and_calibrates_an_ensemble(tmp_path: Path) -> None:
    """The logarithms of the validation set's probabilities are scaled logits, which need no further temperature."""
    sandbox = make_sandbox(tmp_path / "digits", short("ensemble"))
    assert sandbox.repro() == STAGES
    metrics = json.loads((sandbox.root / "reports/metrics.json").read_bytes())
    assert metrics["accuracy"] > 0.12, "it learns"
    assert 0.2 <= metrics["temperature"] <= 5
    assert metrics["temperature"] != 1
    model = keras_file.load(sandbox.root / "data/model.keras")
    x_val, y_val = files.read_arrays(sandbox.root / "data/normalized.npz", "x_val", "y_val")
    probabilities = inference.predict(model, 255 * x_val)
    assert fit_temperature(np.log(probabilities), y_val) == pytest.approx(1, abs=2e-3)


@pytest.mark.usefixtures("tensorflow")
def test_convolutional_recipe_is_small() -> None:

    for name in ("cnn_fast", "cnn"):
        assert architectures.build(RECIPES[name], seed=0).count_params() < 100_000
