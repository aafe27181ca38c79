"""When `make` installs the environment, with a pip that only notes what it was asked for."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.sandbox import ROOT

PIP = """#!/bin/sh
for argument; do last=$argument; done
test "$last" = . || echo "$last $(cat "$last")" >> installed
test ! -e broken
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    pip = tmp_path / ".venv/bin/pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    checkout(tmp_path, "A")
    return tmp_path


def checkout(folder: Path, commit: str) -> None:
    """Give the locks the content that they have in a commit."""
    (folder / "requirements.lock").write_text(f"{commit}\n")
    (folder / "requirements-dev.lock").write_text(f"{commit} with tools\n")


def make(folder: Path, target: str, *, ok: bool = True, variables: Sequence[str] = ()) -> list[str]:
    """Make a target and return what was installed."""
    (folder / "installed").write_text("")
    ran = subprocess.run(["make", target, *variables], cwd=folder, capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) == ok, ran.stderr
    return (folder / "installed").read_text().splitlines()


def test_environment_is_installed_once(folder: Path) -> None:
    assert make(folder, "setup") == ["requirements.lock A"]
    assert make(folder, "setup") == []


def test_environment_for_development_serves_both(folder: Path) -> None:
    assert make(folder, "dev") == ["requirements-dev.lock A with tools"]
    assert make(folder, "setup") == []
    assert make(folder, "dev") == []


def test_environment_follows_the_commit_there_and_back(folder: Path) -> None:
    make(folder, "setup")
    make(folder, "dev")
    for commit in ("B", "A"):
        checkout(folder, commit)
        assert make(folder, "setup") == [f"requirements.lock {commit}"]
        assert make(folder, "dev") == [f"requirements-dev.lock {commit} with tools"]


def test_environment_of_a_moved_folder_is_made_anew(folder: Path) -> None:
    """Its scripts begin with the old path."""
    activate = folder / ".venv/bin/activate"
    activate.write_text(f"VIRTUAL_ENV={folder}/.venv\n")
    make(folder, "setup")
    assert make(folder, "setup") == []
    activate.write_text("VIRTUAL_ENV=/elsewhere/.venv\n")
    python = folder / "python"
    python.write_text('#!/bin/sh\ntest "$1" = -c || echo made > venv\nexit 1\n')
    python.chmod(0o755)
    make(folder, "help", variables=[f"PYTHON={python}"])
    assert activate.exists()
    assert make(folder, "setup", ok=False, variables=[f"PYTHON={python}"]) == []
    assert not activate.exists()


def test_failed_installation_is_repeated(folder: Path) -> None:
    (folder / "broken").touch()
    assert make(folder, "setup", ok=False) == ["requirements.lock A"]
    (folder / "broken").unlink()
    assert make(folder, "setup") == ["requirements.lock A"]
