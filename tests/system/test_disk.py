"""A disk that is full or read-only, at each stage: one line, no temporary files; with room, the same bytes."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from helpers.sandbox import STAGES, Sandbox, make_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

OUTPUTS = {
    "fetch": "data/raw/t10k-labels-idx1-ubyte.gz",
    "normalize": "data/normalized.npz",
    "train": "reports/history.csv",
    "evaluate": "data/probabilities.npz",
    "predict_sample": "reports/prediction.json",
    "report": "reports/README.md",
    "track": "data/logged.json",
}


@pytest.fixture(scope="module")
def sandbox(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = make_sandbox(tmp_path_factory.mktemp("disk") / "digits", stand_ins=True)
    shutil.copy(empty_store / "mlflow.db", sandbox.root)
    sandbox.repro()
    return sandbox


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own for the folder, which keeps its content and has no room for more than that."""
    content = folder.with_name(f"{folder.name}.content")
    folder.rename(content)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=True)
    try:
        shutil.copytree(content, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> Path:
    """A file that takes the rest of the room."""
    path = folder / "filler"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return path


def contents(root: Path) -> dict[str, bytes]:
    kept = [path for folder in ("data", "reports") for path in (root / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}


@pytest.mark.parametrize("stage", STAGES)
def test_full_disk_is_one_line(sandbox: Sandbox, tmp_path: Path, stage: str) -> None:
    copy = sandbox.copy(tmp_path / "digits")
    before = contents(copy.root)
    folder = copy.root / OUTPUTS[stage].partition("/")[0]
    with small_disk(folder):
        if stage == "track":
            (copy.root / OUTPUTS[stage]).unlink()  # as the stage does first, which would make room
        filler = fill(folder)
        assert_one_line(copy, stage, "No space left on device")
        filler.unlink()
        assert contents(copy.root).keys() == before.keys() - ({OUTPUTS[stage]} if stage == "track" else set())
        copy.stage(stage)
        assert contents(copy.root) == before


def test_read_only_folder_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    copy = sandbox.copy(tmp_path / "digits")
    before = contents(copy.root)
    with small_disk(copy.root / "reports"):
        subprocess.run(["mount", "-o", "remount,ro", copy.root / "reports"], check=True)
        assert_one_line(copy, "report", "Read-only file system")
        assert contents(copy.root) == before


def assert_one_line(sandbox: Sandbox, stage: str, reason: str) -> None:
    lines = sandbox.stage(stage, ok=False).splitlines()
    (line,) = [line for line in lines if not line.startswith("The MLflow store was moved or copied")]
    assert reason in line
    assert line.endswith("; cure that, then run: dvc repro")
