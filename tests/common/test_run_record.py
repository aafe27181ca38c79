"""Run records are found by the model's content."""

import platform
import re
from importlib import metadata
from pathlib import Path

import pytest

from digits.common import run_record


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a repository without records."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.keras"
    path.write_bytes(b"weights")
    return path


def test_record_is_read_as_it_was_saved(model: Path) -> None:
    assert run_record.load(model) is None
    run_record.save(model, started=1.7e9, seconds=12.5)
    record = run_record.load(model)
    assert record == run_record.RunRecord(1.7e9, 12.5, run_record.cpu(), run_record.versions())


def test_record_belongs_to_the_content(model: Path) -> None:
    run_record.save(model, 1.7e9, 12.5)
    copy = model.with_name("copy.keras")
    copy.write_bytes(model.read_bytes())
    assert run_record.load(copy) == run_record.load(model) is not None
    copy.write_bytes(b"other weights")
    assert run_record.load(copy) is None


def test_record_is_kept_outside_dvc(model: Path) -> None:
    run_record.save(model, 1.7e9, 12.5)
    (kept,) = Path(".digits/runs").iterdir()
    assert re.fullmatch(r"[0-9a-f]{64}\.json", kept.name)


def test_versions_name_what_decides_the_numbers() -> None:
    versions = run_record.versions()
    assert list(versions) == ["python", "tensorflow", "keras", "numpy", "scipy", "matplotlib", "pillow"]
    assert versions["python"] == platform.python_version()
    assert versions["keras"] == metadata.version("keras")


def test_processor_is_named() -> None:
    assert isinstance(run_record.cpu(), str)
    assert "\n" not in run_record.cpu()


def test_processor_of_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc/cpuinfo, Python's own answer."""

    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert run_record.cpu() == "arm"
