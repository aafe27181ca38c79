"""`digits predict`: answers for pictures that show a digit, one line for each that does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from digits.commands.predict import models
from digits.commands.predict.answers import predict
from digits.common.errors import UserError
from digits.common.types import Classifier, Pixels, Probabilities
from digits.model import keras_file
from helpers.photos import encode
from helpers.sandbox import ROOT

MODEL = "some.keras"


def by_ink(images: Pixels) -> Probabilities:
    """Stands for a model: those with ink in the middle are a 1, others a 0."""
    middle = images[:, 12:16, 12:16].reshape(len(images), -1).any(axis=1)
    rows = np.full((len(images), 10), 0.01, np.float32)
    rows[np.arange(len(images)), middle.astype(int)] = 0.91
    return rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of a 1 and of a 0, a blank one, and text; the model is `by_ink`."""

    def load(name: str) -> Classifier:
        assert name == MODEL
        return by_ink

    y, x = np.mgrid[-50:50, -50:50]
    ring = (np.hypot(x, y) > 30) & (np.hypot(x, y) < 40)
    bar = (abs(x) < 6) & (abs(y) < 40)
    for name, ink in (("one", bar), ("zero", ring), ("blank", np.zeros_like(bar))):
        (tmp_path / f"{name}.png").write_bytes(encode(np.where(ink, 0, 255).astype(np.uint8)))
    (tmp_path / "text.png").write_text("one")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "load", load)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_table_has_a_row_per_picture(capsys: pytest.CaptureFixture[str]) -> None:
    predict(["one.png", "zero.png"], MODEL)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if ".png" in line]
    assert rows == [
        ["one.png", "1", "1.0", "91.0", *["1.0"] * 8],
        ["zero.png", "0", "91.0", *["1.0"] * 9],
    ]


@pytest.mark.usefixtures("folder")
def test_answer_fits_thirty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    predict(["one.png"], MODEL)
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if ".png" in line]
    assert row == ["one.png", "1", "91.0"]


@pytest.mark.usefixtures("folder")
def test_file_given_twice_is_answered_twice(capsys: pytest.CaptureFixture[str]) -> None:
    predict(["one.png", "zero.png", "one.png"], MODEL, as_json=True)
    assert [answer["digit"] for answer in json.loads(capsys.readouterr().out)] == [1, 0, 1]


@pytest.mark.usefixtures("folder")
def test_json_without_answers_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^blank.png: shows no digit"):
        predict(["blank.png"], MODEL, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("folder")
def test_json_has_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    predict(["zero.png", "one.png"], MODEL, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"file": "zero.png", "digit": 0, "probabilities": [0.91, *[0.01] * 9]},
        {"file": "one.png", "digit": 1, "probabilities": [0.01, 0.91, *[0.01] * 8]},
    ]


@pytest.mark.usefixtures("folder")
def test_others_are_answered_when_some_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError) as error:
        predict(["text.png", "one.png", "blank.png", "absent.png", "."], MODEL, as_json=True)
    assert str(error.value).splitlines() == [
        "text.png: is neither a PNG nor a JPEG picture",
        "blank.png: shows no digit: nothing stands out from the background",
        "absent.png: No such file or directory",
        ".: Is a directory",
    ]
    assert [one["file"] for one in json.loads(capsys.readouterr().out)] == ["one.png"]


def test_plot_shows_every_picture(folder: Path) -> None:
    predict(["one.png", "zero.png"], MODEL, save_plot=folder / "plots/two.png")
    assert (folder / "plots/two.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"^--save-plot two.jpg: must end in .png$"):
        predict(["one.png"], MODEL, save_plot=Path("two.jpg"))


def run(folder: Path, *arguments: str, content: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONPROFILEIMPORTTIME": "1"}
    code = "from digits.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, input=content, capture_output=True, check=False)


@pytest.mark.slow
def test_name_that_stdout_cannot_show_is_escaped(tmp_path: Path) -> None:
    """Any command may meet this: the table of a sweep has the sign \u00b1."""
    code = "import sys; from digits import cli; cli.app = lambda: print('3.png \u00b1'); cli.main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert ended.stdout == b"3.png \\xb1\n"


@pytest.mark.slow
def test_unreadable_picture_costs_no_tensorflow(folder: Path) -> None:
    ended = run(folder, "text.png")
    lines = ended.stderr.decode().splitlines()
    imports = [line for line in lines if line.startswith("import time:")]
    assert ended.returncode == 1
    assert [line for line in lines if line not in imports] == ["text.png: is neither a PNG nor a JPEG picture"]
    assert not {line.split("|")[-1].strip() for line in imports} & {"tensorflow", "keras", "mlflow", "matplotlib"}


def test_missing_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent.keras: there is no such model; `dvc repro` trains one$"):
        models.load(str(tmp_path / "absent.keras"))


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_other_models_are_refused(tmp_path: Path) -> None:
    damaged, other = tmp_path / "damaged.keras", tmp_path / "other.keras"
    damaged.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"damaged.keras: is not a readable Keras model; restore it with `dvc ch"):
        models.load(str(damaged))
    keras_file.save(keras.Sequential([keras.Input((3,)), keras.layers.Dense(10)]), other)
    with pytest.raises(UserError, match=r"other.keras: must take images of 28 x 28 pixels and give 10 probabilities"):
        models.load(str(other))
