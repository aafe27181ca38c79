"""Git's output, its reasons, and the files that differ from the commit."""

import os
from pathlib import Path

import pytest

from digits.common.errors import UserError
from digits.common.git import GitError, git, uncommitted
from helpers.sandbox import IDENTITY


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two committed files."""
    monkeypatch.chdir(tmp_path)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    for path in ("params.yaml", "src/code.py"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "First"]):
        git(*command)
    return tmp_path


def test_output_ends_without_a_newline(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert git("log", "--format=%s") == "First"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    git("init", "-q", folder=elsewhere)
    assert git("rev-parse", "--show-toplevel", folder=elsewhere) == str(elsewhere.resolve())
    assert git("rev-parse", "--show-toplevel") == str(repository.resolve())


@pytest.mark.usefixtures("repository")
def test_error_has_gits_reason() -> None:
    with pytest.raises(GitError, match="'no such branch' did not match any file") as error:
        git("checkout", "no such branch")
    assert isinstance(error.value, UserError)
    with pytest.raises(GitError, match=r"^git config failed$"):  # Git is silent
        git("config", "no.such")


@pytest.mark.usefixtures("repository")
def test_changed_and_new_files_are_uncommitted() -> None:
    assert uncommitted(["."]) == []
    Path("params.yaml").write_text("changed")
    assert uncommitted(["."]) == ["params.yaml"]
    Path("src/new.py").write_text("")
    git("add", "params.yaml")
    assert uncommitted(["params.yaml", "src"]) == ["params.yaml", "src/new.py"]
    Path("src/code.py").unlink()
    assert uncommitted(["src"]) == ["src/code.py", "src/new.py"], "and not the others"


@pytest.mark.usefixtures("repository")
def test_name_that_is_not_text_is_listed() -> None:
    git("config", "core.quotePath", "false")
    Path(os.fsdecode(b"\xe9.py")).touch()
    assert "\\xe9" in "".join(uncommitted(["."]))


@pytest.mark.usefixtures("repository")
def test_ignored_files_are_not_uncommitted() -> None:
    Path(".git/info/exclude").write_text("*.pyc\n")
    Path("src/code.pyc").write_text("")
    assert uncommitted(["src"]) == []


def test_outside_a_repository_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(GitError, match="not a git repository"):
        uncommitted(["."])


def test_without_git_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match=r"^git is not installed$"):
        git("status")
