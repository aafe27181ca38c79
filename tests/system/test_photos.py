"""Photos of test digits, read by the recipe `cnn`, shortened."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from digits.commands.predict import models, pictures
from digits.common.errors import UserError
from digits.data import idx
from helpers.mlflow_runs import forget_store
from helpers.photos import CASES, EDGES, make_crop, make_photo
from helpers.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cnn")]


def answers_of(cnn: Sandbox, files: Sequence[Path]) -> dict[str, int]:
    """The digits by file name; some files may be refused."""
    command = ["digits", "predict", "--json", *map(str, files)]
    ended = subprocess.run(command, cwd=cnn.root, env=cnn.environment, stdout=subprocess.PIPE, check=False)
    return {one["file"]: one["digit"] for one in json.loads(ended.stdout)}


def test_cnn_reads_pictures_that_were_misread_once(cnn: Sandbox) -> None:
    """Digits that fill their picture, and a strip of table beside the paper. The file's name ends with its digit."""
    files = sorted(CASES.glob("*.png"))
    assert len(files) == 7
    assert answers_of(cnn, files) == {str(file): int(file.stem[-1]) for file in files}


@pytest.mark.parametrize("margin", [0, 0.1])
def test_cnn_reads_digits_that_fill_their_picture(cnn: Sandbox, tmp_path: Path, margin: float) -> None:
    images, labels = idx.read_test(cnn.root / "data/raw")
    files = [tmp_path / f"{index}.png" for index in range(50)]
    for index, file in enumerate(files):
        file.write_bytes(make_crop(images[index], margin, is_light=index % 2 == 0))
    answers = answers_of(cnn, files)
    assert len(answers) >= 49
    assert np.mean([answers.get(str(file)) == label for file, label in zip(files, labels, strict=False)]) >= 0.94


def test_cnn_reads_photos(
    cnn: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Photos of test digits, with and without something at the edge; and the same model as MLflow's champion."""
    images, labels = idx.read_test(cnn.root / "data/raw")
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(images), size=90, replace=False)
    for number, index in enumerate(chosen):
        photo = make_photo(images[index], generator, ("", "", *EDGES)[number % 6])
        (tmp_path / f"{index}.photo").write_bytes(photo)
    photos = [tmp_path / f"{index}.photo" for index in chosen]
    answers = answers_of(cnn, photos)
    right = [answers.get(str(photo)) == labels[index] for index, photo in zip(chosen, photos, strict=True)]
    assert np.mean(right) >= 0.95

    request.addfinalizer(forget_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{cnn.root}/mlflow.db")
    few = [photo for photo in photos if str(photo) in answers][:5]
    seen = np.stack([pictures.read(photo.read_bytes()).seen for photo in few])
    champion = models.load("models:/digits@champion")(seen).argmax(axis=1)
    assert champion.tolist() == [answers[str(photo)] for photo in few]
    with pytest.raises(UserError, match=r"^MLflow at sqlite:.*mlflow.db cannot be used: Registered model alias"):
        models.load("models:/digits@absent")
