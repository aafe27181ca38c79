"""A clone ends all that it started, however its own process ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from digits.commands.clone import CommandError, make_clone
from digits.common.git import git
from helpers.sandbox import IDENTITY, ROOT

QUIET = """
import sys
from pathlib import Path
from digits.commands.clone import make_clone
with make_clone(Path(sys.argv[1]), "HEAD", place=Path(sys.argv[2])) as clone:
    clone.run("sh", "-c", "echo started; exec sleep 60", on_line=lambda line: print(line, flush=True))
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    (folder / "file").write_text("committed")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "A commit"]):
        git(*arguments, folder=folder)
    return folder


def test_clone_is_the_commit_and_goes_with_the_block(repository: Path, tmp_path: Path) -> None:
    (repository / "file").write_text("not committed")
    place = tmp_path / "place"
    place.mkdir()
    with make_clone(repository, "HEAD", place=place) as clone:
        assert clone.run("cat", "file") == ["committed"]
        with pytest.raises(CommandError, match=r"^`false` failed:$"):
            clone.run("false")
    assert not list(place.iterdir())


@pytest.mark.slow
def test_sigkill_leaves_neither_processes_nor_files(repository: Path, tmp_path: Path) -> None:
    """Of a command that prints nothing, and so is not ended by the pipe that breaks."""
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-c", QUIET, str(repository), str(place)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert len(started) == 2, "the command and the guard"
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    for _ in range(100):
        if not list(place.iterdir()):
            break
        time.sleep(0.1)
    assert not list(place.iterdir())
