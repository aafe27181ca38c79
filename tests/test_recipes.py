"""The recipes beside the tutorial's in the real pipeline, on few training images and for two epochs."""

import json

import numpy as np
import pytest

from digits import params
from digits.common import files
from digits.training.temperature import fit_temperature
from sandbox import PARAMS, ROOT, STAGES, Sandbox, make_sandbox

RECIPES = params.load(ROOT / "params.yaml").recipes

pytestmark = pytest.mark.slow


def short(recipe: str) -> dict[str, object]:
    """The params of the recipe, made short; an ensemble has two members."""
    members = min(2, RECIPES[recipe].members)
    own = {"epochs": 2, "members": members, "learning_rate": 0.003}
    sizes = {"normalize.train_size": 600, "normalize.validation_size": 200}
    return PARAMS | sizes | {"train.recipe": recipe} | {f"recipes.{recipe}.{key}": value for key, value in own.items()}


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "tutorial"])
def test_killed_training_resumes_to_the_same_bytes(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The bytes of a run in one go, which the pipeline then scores and logs."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("recipe") / "digits", short(recipe))
    assert sandbox.repro() == STAGES
    assert_scored(sandbox, recipe)
    outputs = [sandbox.root / "data/model.keras", sandbox.root / "reports/history.csv"]
    once = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    sandbox.kill_training(1)
    assert "Resuming after epoch 1" in sandbox.stage("train")
    assert [path.read_bytes() for path in outputs] == once


def assert_scored(sandbox: Sandbox, recipe: str) -> None:
    metrics = json.loads((sandbox.root / "reports/metrics.json").read_bytes())
    assert metrics["accuracy"] > 0.12, "it learns"
    assert metrics["temperature"] != 1
    assert_calibrated_on_validation(sandbox)
    if recipe.startswith("cnn"):
        assert metrics["parameters"] < 100_000


def assert_calibrated_on_validation(sandbox: Sandbox) -> None:
    """The logarithms of the probabilities are the scaled logits, which need no further temperature."""
    from digits.model import inference, keras_file

    model = keras_file.load(sandbox.root / "data/model.keras")
    x_val, y_val = files.read_arrays(sandbox.root / "data/normalized.npz", "x_val", "y_val")
    probabilities = inference.predict(model, 255 * x_val)
    assert fit_temperature(np.log(probabilities), y_val) == pytest.approx(1, abs=2e-3)
