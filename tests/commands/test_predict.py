"""`digits predict`: answers for pictures that show a digit, one line for each that does not."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from digits.commands.predict import models
from digits.commands.predict.answers import predict
from digits.common.errors import UserError
from digits.common.types import Classifier, Pixels, Probabilities
from digits.model import architectures, keras_file
from digits.params import load as load_params
from helpers.photos import encode
from helpers.recipes import cnn
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


@pytest.mark.slow
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
    layers = keras.layers
    images = [keras.Input((28, 28)), layers.Flatten(), layers.Dense(10)]
    others = {
        "it does not take images of 28 x 28 pixels": [keras.Input((3,)), layers.Dense(10)],
        "its outputs are not probabilities": [*images],
        "its outputs are not": [*images, layers.Rescaling(np.nan)],
        "it has objects of the class Lambda": [*images, layers.Lambda(lambda x: x)],
        "it has objects of the class Dropout": [*images, layers.Dropout(0.5)],
    }
    for number, (complaint, stack) in enumerate(others.items()):
        path = tmp_path / f"{number}.keras"
        keras_file.save(keras.Sequential(stack), path)
        assert_refused(path, complaint)
    unbuilt = tmp_path / "unbuilt.keras"
    with pytest.warns(UserWarning, match="has not yet been built"):
        keras_file.save(keras.Sequential([layers.Flatten(), layers.Dense(10)]), unbuilt)
    assert_refused(unbuilt, "")


def assert_refused(path: Path, complaint: str) -> None:
    with pytest.raises(UserError, match=rf"^{path}: is not a model that stage train wrote: .*{complaint}") as error:
        models.load(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("method", architectures.NORMALIZATIONS)
def test_model_of_every_normalization_is_loaded(tmp_path: Path, method: str) -> None:
    recipe = load_params(ROOT / "params.yaml").recipes["tutorial"].model_copy(update={"hidden": ()})
    path = tmp_path / "model.keras"
    keras_file.save(architectures.with_calibrated_softmax(architectures.build(recipe, 0), method, 1.0), path)
    assert models.load(str(path))(np.zeros((1, 28, 28), np.uint8)).shape == (1, 10)


@pytest.mark.usefixtures("tensorflow")
def test_views_are_loaded_unless_their_frame_is_wide(tmp_path: Path) -> None:
    """A wide frame could take any memory."""
    path, wide = tmp_path / "model.keras", tmp_path / "wide.keras"
    network = architectures.build(cnn(views=4), 0)
    keras_file.save(architectures.with_calibrated_softmax(network, "minmax", 1.0), path)
    assert models.load(str(path))(np.zeros((1, 28, 28), np.uint8)).shape == (1, 10)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = content["config.json"].replace(b'"padding": [[1, 0]', b'"padding": [[1000000, 0]')
    assert config != content["config.json"]
    write_zip(wide, content | {"config.json": config})
    assert_refused(wide, "it pads images in another way")


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The entries of a good model's file."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    recipe = load_params(ROOT / "params.yaml").recipes["tutorial"]
    keras_file.save(architectures.with_calibrated_softmax(architectures.build(recipe, 0), "l2", 1.0), path)
    assert models.load(str(path))(np.zeros((1, 28, 28), np.uint8)).shape == (1, 10)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, entries: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def bomb() -> bytes:
    """Weights whose one array would be a terabyte of zeros."""
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        weights.create_dataset("layers/dense/vars/0", (2**19, 2**19), "f4", compression="gzip")
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_hostile_models_are_refused(tmp_path: Path, entries: dict[str, bytes]) -> None:
    """Before anything in them is built."""
    path = tmp_path / "model.keras"
    config, weights = "config.json", "model.weights.h5"
    hostile: dict[str, Mapping[str, bytes]] = {
        "does not have the entries": {name: entries[name] for name in entries if name != config},
        "does not have the entries .*": entries | {"../../outside.txt": b"traversal"},
        "": entries | {config: b"[" * 100_000},
        "it has more than 100,000,000 weights": entries
        | {config: entries[config].replace(b'"units": 128', b'"units": 1000000')},
        "its arrays are larger than the file": entries | {weights: bomb()},
        ".*": entries | {weights: b"no HDF5"},
    }
    for complaint, content in hostile.items():
        write_zip(path, content)
        assert_refused(path, complaint)
    write_zip(path, entries, zipfile.ZIP_DEFLATED)
    assert_refused(path, "it is compressed or encrypted")
    write_zip(path, entries)
    encrypted = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + offset] |= 1  # the flag
    path.write_bytes(encrypted)
    assert_refused(path, "it is compressed or encrypted")
    path.write_bytes(b"no archive")
    assert_refused(path, "File is not a zip file")
    write_zip(tmp_path / "model.zip", entries)
    assert_refused(tmp_path / "model.zip", "its name does not end in .keras")
