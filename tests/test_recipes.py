"""The recipes beside the tutorial's: an ensemble, on few training images and for two epochs, and the sizes of others.

test_trainer.py interrupts a run of dense layers with augmentation.
"""

import json

import numpy as np
import pytest

from digits import params
from digits.common import files
from digits.model import architectures, keras_file
from digits.training.temperature import fit_temperature
from helpers.keras_outputs import outputs
from helpers.sandbox import PARAMS, ROOT, STAGES, Sandbox, make_sandbox

RECIPES = params.load(ROOT / "params.yaml").recipes

# One worker runs them all, since they share a sandbox.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("recipes")]


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox in which the stages to evaluate have run with two small members of the ensemble, for two epochs."""
    short = {"members": 2, "epochs": 2, "learning_rate": 0.02, "blocks": [[16], [16]]}
    params = {"normalize.train_size": 600, "normalize.validation_size": 200, "train.recipe": "ensemble"}
    params |= {f"recipes.ensemble.{key}": value for key, value in short.items()}
    sandbox = make_sandbox(tmp_path_factory.mktemp("ensemble") / "digits", PARAMS | params, small=True)
    assert sandbox.repro("evaluate") == STAGES[:4]
    return sandbox


def test_killed_training_resumes_to_the_same_bytes(ensemble: Sandbox) -> None:
    """The bytes of the run in one go."""
    outputs = [ensemble.root / "data/model.keras", ensemble.root / "reports/history.csv"]
    once = [path.read_bytes() for path in outputs]
    for path in outputs:
        path.unlink()
    ensemble.kill_training(1)
    assert "Resuming after epoch 1" in ensemble.stage("train")
    assert [path.read_bytes() for path in outputs] == once


@pytest.mark.usefixtures("tensorflow")
def test_pipeline_scores_and_calibrates_an_ensemble(ensemble: Sandbox) -> None:
    """The logarithms of the validation set's probabilities are scaled logits, which need no further temperature."""
    metrics = json.loads((ensemble.root / "reports/metrics.json").read_bytes())
    assert metrics["accuracy"] > 0.12, "it learns"
    assert 0.2 <= metrics["temperature"] <= 5
    assert metrics["temperature"] != 1
    model = keras_file.load(ensemble.root / "data/model.keras")
    x_val, y_val = files.read_arrays(ensemble.root / "data/normalized.npz", "x_val", "y_val")
    probabilities = outputs(model, 255 * x_val)
    assert fit_temperature(np.log(probabilities), y_val) == pytest.approx(1, abs=2e-3)


@pytest.mark.usefixtures("tensorflow")
def test_convolutional_recipes_are_small() -> None:
    for name, parameters in (("cnn_fast", 90_314), ("cnn", 90_314), ("tiny", 13_546), ("robust", 90_314)):
        assert architectures.build(RECIPES[name], seed=0).count_params() == parameters
