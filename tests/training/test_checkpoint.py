"""A checkpoint is kept, found again by its own run only, and ignored if it is damaged."""

import os
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from digits.common import files, run_record
from digits.training import checkpoint as module
from digits.training.checkpoint import Checkpoint

HISTORY = [{"epoch": 1, "loss": 0.5}]


def variables(*values: float) -> list[keras.Variable]:
    """Those of a network, so to speak."""
    return [keras.Variable(np.array(values, dtype=np.float32)), keras.Variable(np.array(values[:1], dtype=np.float32))]


def values_of(variables: list[keras.Variable]) -> list[list[float]]:
    return [variable.numpy().tolist() for variable in variables]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoint.npz")


def test_checkpoint_is_kept_and_removed(checkpoint: Checkpoint) -> None:
    restored = variables(0, 0, 0)
    assert checkpoint.restore(restored) == []
    checkpoint.save(variables(7, 7, 7), [])
    checkpoint.save(variables(1, 2, 3), HISTORY)
    assert checkpoint.restore(restored) == HISTORY
    assert values_of(restored) == [[1, 2, 3], [1]]
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.restore(restored) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"no archive at all"])
def test_damaged_checkpoint_is_ignored(
    checkpoint: Checkpoint, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.path.write_bytes(content)
    assert checkpoint.restore(variables(0, 0, 0)) == []
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"Ignoring checkpoint {checkpoint.path}: it cannot be read (")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # NumPy's, of a damaged header that it can still read
def test_damaged_byte_is_ignored_or_harmless(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Every byte in turn, and every length. What is ignored sets no variable."""
    checkpoint.save(variables(1, 2, 3), HISTORY)
    whole = checkpoint.path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:position] + bytes([byte ^ 1]) + whole[position + 1 :] for position, byte in enumerate(whole)]
    for content in damaged:
        checkpoint.path.write_bytes(content)
        restored = variables(0, 0, 0)
        history = checkpoint.restore(restored)
        if "Ignoring checkpoint" in capsys.readouterr().out:
            assert (history, values_of(restored)) == ([], [[0, 0, 0], [0]])
        else:
            assert (history, values_of(restored)) == (HISTORY, [[1, 2, 3], [1]])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the data, the script and the library of a training run; the working directory."""
    files.write_arrays(tmp_path / "data.npz", x=np.zeros(1))
    for path in ("train.py", *(f"library/{package}/code.py" for package in (*module.PACKAGES, "tracking"))):
        files.write_bytes(tmp_path / path, b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SOURCE", tmp_path / "library")
    return tmp_path


def path_of(run: Path, epochs: int = 5) -> Path:
    return Checkpoint.for_run({"epochs": epochs, "seed": 0}, run / "data.npz", run / "train.py").path


def test_path_is_among_the_repositorys_checkpoints(run: Path) -> None:
    assert path_of(run) == path_of(run)
    assert path_of(run).parent == run / ".digits/checkpoints"
    assert path_of(run).suffix == ".npz"


def test_path_depends_on_params(run: Path) -> None:
    assert path_of(run, epochs=3) != path_of(run)
    params = {"seed": 0, "epochs": 5}  # in another order
    assert Checkpoint.for_run(params, run / "data.npz", run / "train.py").path == path_of(run)


def test_path_depends_on_data(run: Path) -> None:
    before = path_of(run)
    files.write_arrays(run / "data.npz", x=np.ones(1))
    assert path_of(run) != before


def test_path_depends_on_the_stages_script(run: Path) -> None:
    before = path_of(run)
    (run / "train.py").write_text("pass")
    assert path_of(run) != before


@pytest.mark.parametrize("package", ["common", "model", "training"])
def test_path_depends_on_the_library(run: Path, package: str) -> None:
    """On changed and on new files, in subpackages, too."""
    seen = {path_of(run)}
    for name in ("code.py", "new.py", "deeper/new.py"):
        files.write_bytes(run / "library" / package / name, b"pass")
        assert path_of(run) not in seen
        seen.add(path_of(run))


def test_path_does_not_depend_on_other_packages(run: Path) -> None:
    before = path_of(run)
    (run / "library/tracking/code.py").write_text("pass")
    assert path_of(run) == before


def test_path_depends_on_versions(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path_of(run)
    monkeypatch.setattr(run_record, "versions", lambda: {"keras": "0"})
    assert path_of(run) != before


def test_path_does_not_depend_on_the_experiments_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment that is resumed under another name is the same run."""
    before = path_of(run)
    monkeypatch.setenv("DVC_EXP_NAME", "other")
    assert path_of(run) == before


def test_packages_exist() -> None:
    for package in module.PACKAGES:
        assert (module.SOURCE / package / "__init__.py").exists()


def test_abandoned_checkpoints_are_removed(tmp_path: Path) -> None:
    """Those older than a week, with the run's own; others may be of runs that go on elsewhere."""
    mine, fresh, old = (Checkpoint(tmp_path / f"{name}.npz") for name in ("mine", "fresh", "old"))
    day = 24 * 3600
    for each, age in ((mine, 0), (fresh, 6 * day), (old, 8 * day)):
        each.save(variables(1), HISTORY)
        os.utime(each.path, (time.time() - age,) * 2)
    mine.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["fresh.npz"]
