"""Photos of test digits, read by the recipe `cnn`, shortened."""

import json
from pathlib import Path

import numpy as np
import pytest

from digits.commands.predict import models, pictures
from digits.common.errors import UserError
from digits.data import idx
from helpers.mlflow_runs import forget_store
from helpers.photos import make_photo
from helpers.sandbox import Sandbox


@pytest.mark.slow
@pytest.mark.xdist_group("cnn")
def test_cnn_reads_photos(
    cnn: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """100 photos of test digits; and the same model as MLflow's champion."""
    images, labels = idx.read_test(cnn.root / "data/raw")
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(images), size=100, replace=False)
    for index in chosen:
        (tmp_path / f"{index}.photo").write_bytes(make_photo(images[index], generator))
    output = cnn.run("digits", "predict", "--json", *(str(tmp_path / f"{index}.photo") for index in chosen))
    answers = {one["file"]: one["digit"] for one in json.loads(output[output.index("[") :])}
    right = [answers.get(str(tmp_path / f"{index}.photo")) == labels[index] for index in chosen]
    assert np.mean(right) >= 0.97

    request.addfinalizer(forget_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{cnn.root}/mlflow.db")
    few = [tmp_path / f"{index}.photo" for index in chosen[:5]]
    seen = np.stack([pictures.read(photo.read_bytes()).seen for photo in few])
    champion = models.load("models:/digits@champion")(seen).argmax(axis=1)
    assert champion.tolist() == [answers[str(photo)] for photo in few]
    with pytest.raises(UserError, match=r"^MLflow at sqlite:.*mlflow.db cannot be used: Registered model alias"):
        models.load("models:/digits@absent")
