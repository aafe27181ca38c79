"""Every recipe resumes to the same bytes; an ensemble goes through the pipeline, on few images and for two epochs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digits import params
from digits.common import files
from digits.data.normalization import METHODS
from digits.model import architectures, keras_file
from digits.params import Mlp
from digits.training import trainer
from digits.training.checkpoint import Checkpoint
from digits.training.temperature import fit_temperature
from helpers.keras_outputs import outputs
from helpers.sandbox import PARAMS, ROOT, STAGES, Sandbox, make_sandbox

RECIPES = params.load(ROOT / "params.yaml").recipes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox in which the stages to evaluate have run with two small networks, for two epochs."""
    short = {"members": 2, "epochs": 2, "learning_rate": 0.02, "blocks": [[16], [16]]}
    params = {"normalize.train_size": 600, "normalize.validation_size": 200, "train.recipe": "cnn"}
    params |= {f"recipes.cnn.{key}": value for key, value in short.items()}
    sandbox = make_sandbox(tmp_path_factory.mktemp("ensemble") / "digits", PARAMS | params, small=True)
    assert sandbox.repro("evaluate") == STAGES[:4]
    return sandbox


@pytest.mark.xdist_group("ensemble")
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
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_resumes_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    """With a small network, for two epochs of two batches."""
    recipe = RECIPES[name]
    size = {"hidden": (16,)} if isinstance(recipe, Mlp) else {"blocks": ((4,), (4,))}
    recipe = recipe.model_copy(update={"epochs": 2, "batch_size": 16, **size})
    pixels = np.random.default_rng(0).integers(0, 256, (32, 28, 28), dtype=np.uint8)
    train = METHODS[recipe.normalization](pixels), np.arange(32, dtype=np.uint8) % 10
    whole, first = Checkpoint(tmp_path / "whole.npz"), Checkpoint(tmp_path / "first.npz")

    def trained(checkpoint: Checkpoint, on_epoch_end: Callable[[trainer.EpochMetrics], None]) -> bytes:
        network = architectures.build(recipe, 0)
        trainer.fit(network, recipe, 0, 2, train, on_epoch_end=on_epoch_end, checkpoint=checkpoint)
        keras_file.save(network, tmp_path / "network.keras")
        return (tmp_path / "network.keras").read_bytes()

    def keep_first(row: trainer.EpochMetrics) -> None:
        if row["epoch"] == 1:
            shutil.copy(whole.path, first.path)

    seen = list[float]()
    once = trained(whole, keep_first)
    assert trained(first, lambda row: seen.append(row["epoch"])) == once
    assert seen == [2]


@pytest.mark.xdist_group("ensemble")
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
def test_convolutional_recipes_have_the_documented_sizes() -> None:
    sizes = {"cnn_fast": 90_314, "cnn": 90_314, "tiny": 13_546, "robust": 90_314}
    assert {name: architectures.build(RECIPES[name], seed=0).count_params() for name in sizes} == sizes
