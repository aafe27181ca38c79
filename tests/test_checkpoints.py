"""A training that is killed goes on after its last whole epoch, to the same bytes; another's checkpoint is ignored."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clones import Clone
from digits.checkpoints import Checkpoint

from digits import artifacts, checkpoints

ARRAYS = {"variable_0": np.arange(3.0), "history_epoch": np.array([1.0])}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "checkpoint.npz", "mine")


def test_keeps_and_forgets(checkpoint: Checkpoint) -> None:
    assert checkpoint.load() is None
    checkpoint.save(ARRAYS)
    kept = checkpoint.load()
    assert kept is not None
    assert {name: values.tolist() for name, values in kept.items()} == {"variable_0": [0, 1, 2], "history_epoch": [1]}
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.load() is None


def test_anothers_is_ignored_and_that_is_said(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    Checkpoint(checkpoint.path, "other").save(ARRAYS)
    assert checkpoint.load() is None
    assert "is ignored, it is of other params, data, code or versions" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"no archive at all"])
def test_a_spoiled_one_is_ignored_and_that_is_said(
    checkpoint: Checkpoint, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.path.write_bytes(content)
    assert checkpoint.load() is None
    assert "is ignored, it cannot be read" in capsys.readouterr().out


def test_params_data_and_code_make_a_training(tmp_path: Path) -> None:
    data, code = tmp_path / "data.npz", tmp_path / "code.py"

    def identity(epochs: int = 5, pixel: int = 0, text: str = "") -> str:
        artifacts.write_arrays(data, x=np.array([pixel]))
        code.write_text(text)
        return checkpoints.of_training({"epochs": epochs}, data, [code]).identity

    assert identity() == identity()
    assert len({identity(), identity(epochs=3), identity(pixel=1), identity(text="pass")}) == 4


def test_experiments_side_by_side_have_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts.write_arrays(tmp_path / "data.npz", x=np.zeros(1))
    paths = set()
    for name in ("first", "second"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        paths.add(checkpoints.of_training({}, tmp_path / "data.npz", []).path)
    assert len(paths) == 2


# Runs stages/train.py, which ends by SIGKILL once epoch number sys.argv[1] is kept.
KILLED = """
import os, runpy, signal, sys
from digits.checkpoints import Checkpoint
keep, left = Checkpoint.save, int(sys.argv[1])
def save(self, arrays):
    global left
    keep(self, arrays)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.save = save
runpy.run_path("stages/train.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def trained(pipeline: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy of the pipeline's clone whose training can be spoiled."""
    root = tmp_path_factory.mktemp("killed") / "digits"
    shutil.copytree(pipeline.root, root)
    return Clone(root, pipeline.environment | {"PYTHONPATH": "src"})


@pytest.mark.parametrize("epoch", [1, 2, 3, 4, 5])
def test_a_killed_training_ends_with_the_same_bytes(trained: Clone, epoch: int) -> None:
    before = {path: (trained.root / path).read_bytes() for path in ("data/model.keras", "reports/history.csv")}
    command = [sys.executable, "-c", KILLED, str(epoch)]
    ended = subprocess.run(command, cwd=trained.root, env=trained.environment, check=False)
    assert ended.returncode < 0, "killed before it ended"
    for path in before:
        (trained.root / path).unlink(missing_ok=True)

    said = trained.run(sys.executable, "stages/train.py")
    assert f"going on after epoch {epoch}," in said
    assert {path: (trained.root / path).read_bytes() for path in before} == before
    assert list((trained.root / ".digits/checkpoints").iterdir()) == []


def test_other_params_start_anew(trained: Clone) -> None:
    subprocess.run([sys.executable, "-c", KILLED, "1"], cwd=trained.root, env=trained.environment, check=False)
    trained.edit("params.yaml", "epochs: 5", "epochs: 2")
    said = trained.run(sys.executable, "stages/train.py")
    assert "it is of other params, data, code or versions" in said
    assert "going on" not in said
    assert len((trained.root / "reports/history.csv").read_text().splitlines()) == 1 + 2
