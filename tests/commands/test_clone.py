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


def test_clone_obeys_neither_the_users_configuration_nor_a_hook(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it touch the user's index."""
    hook = tmp_path / "hooks/post-checkout"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    settings = f'[core]\nhooksPath = {hook.parent}\nautocrlf = true\n[protocol "file"]\nallow = never\n'
    (tmp_path / "gitconfig").write_text(settings)
    (repository / "file").write_bytes(b"one\ntwo\n")
    git("commit", "-qam", "Another", folder=repository)
    index = (repository / ".git/index").read_bytes()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git/index"))
    with make_clone(repository, git("rev-parse", "HEAD", folder=repository)) as clone:
        assert (clone.root / "file").read_bytes() == b"one\ntwo\n"
        assert clone.run("git", "status", "--porcelain") == []
    assert (repository / ".git/index").read_bytes() == index


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
