""".keras files: read back as they were, with bytes that depend on the content alone."""

import datetime as dt
import json
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras.src.saving import saving_lib

from digits.common.types import Pixels
from digits.model import architectures, keras_file
from helpers.keras_outputs import outputs
from helpers.recipes import tutorial

pytestmark = pytest.mark.usefixtures("tensorflow")


def save(path: Path, seed: int = 0, method: str = "l2") -> bytes:
    """The bytes of a model's file."""
    keras_file.save(
        architectures.with_calibrated_softmax(architectures.build(tutorial(), seed), method, temperature=1), path
    )
    return path.read_bytes()


def set_clock(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    """Keras and zipfile take it for the second of January of that year."""
    now = dt.datetime(year, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    fake = SimpleNamespace(datetime=SimpleNamespace(now=lambda: now))
    monkeypatch.setattr(saving_lib, "datetime", fake)
    monkeypatch.setattr(time, "time", now.timestamp)
    monkeypatch.setattr(time, "localtime", lambda *_: now.timetuple())


@pytest.mark.slow
def test_file_depends_on_the_content_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, 2001)
    first = save(tmp_path / "first.keras")
    set_clock(monkeypatch, 2002)
    assert save(tmp_path / "again.keras") == first
    assert save(tmp_path / "seed.keras", seed=1) != first
    assert save(tmp_path / "method.keras", method="minmax") != first


def test_operations_of_a_normalization_have_the_same_names_every_time(tmp_path: Path) -> None:
    """Keras numbers them in each process."""
    first = save(tmp_path / "first.keras", method="contrast")
    assert save(tmp_path / "again.keras", method="contrast") == first


def test_clock_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras itself writes the date that the test above sets."""
    model = architectures.build(tutorial(), seed=0)
    set_clock(monkeypatch, 2001)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["date_saved"] == "2001-01-02@03:04:05"
        assert 2001 in {entry.date_time[0] for entry in archive.infolist()}


@pytest.mark.parametrize("method", ["l2", "minmax", "contrast"])
def test_loaded_model_predicts_the_same_bits(tmp_path: Path, pixels: Pixels, method: str) -> None:
    model = architectures.with_calibrated_softmax(architectures.build(tutorial(), seed=0), method, temperature=1)
    keras_file.save(model, tmp_path / "model.keras")
    loaded = keras_file.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(loaded, pixels), outputs(model, pixels))
    assert loaded.count_params() == 118282


def test_keras_alone_can_load_the_file(tmp_path: Path, pixels: Pixels) -> None:
    """As a user does, and as MLflow's server does."""
    save(tmp_path / "model.keras")
    ours, theirs = keras_file.load(tmp_path / "model.keras"), keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs(theirs, pixels), outputs(ours, pixels))


def test_addresses_in_the_configuration_are_renumbered() -> None:
    config = {"layers": [{"shared_object_id": 140}, {"x": {"shared_object_id": 77}}, {"shared_object_id": 140}]}
    renumbered = json.loads(keras_file.renumbered(json.dumps(config)))
    assert renumbered == {"layers": [{"shared_object_id": 0}, {"x": {"shared_object_id": 1}}, {"shared_object_id": 0}]}


def test_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save(tmp_path / "model.keras")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path / "model.keras", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    assert (tmp_path / "model.keras").read_bytes() == first
