"""Where the repository is: alone or in a larger one, in the user's folder or in an experiment's temporary copy."""

from pathlib import Path

import pytest

from digits.common import paths


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The user's DVC repository, with a subfolder."""
    return make(tmp_path / "user")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The temporary copy in which DVC runs an experiment."""
    return make(tmp_path / "user/.dvc/tmp/exps/standalone/tmp1")


def make(folder: Path) -> Path:
    (folder / ".dvc").mkdir(parents=True)
    (folder / "sub").mkdir()
    return folder


def test_root_is_the_working_directory(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (user, user / "sub", user.parent):
        monkeypatch.chdir(folder)
        assert paths.repo_root() == folder


def test_root_of_a_plain_run(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc repro` sets DVC_ROOT, too."""
    monkeypatch.chdir(user)
    monkeypatch.setenv("DVC_ROOT", str(user))
    assert paths.repo_root() == user


def test_root_of_a_temporary_copy_is_the_users(user: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(user))
    assert paths.repo_root() == user


def test_root_in_a_monorepo_is_the_subfolder(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(user / "sub")
    monkeypatch.setenv("DVC_ROOT", str(user))
    assert paths.repo_root() == user / "sub"


def test_root_in_a_monorepos_temporary_copy(user: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy / "sub")
    monkeypatch.setenv("DVC_ROOT", str(user))
    assert paths.repo_root() == user / "sub"


def test_root_without_dvc_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    assert paths.repo_root() == tmp_path


def test_state_is_kept_in_the_users_repository(user: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(user))
    assert paths.state_dir() == user / ".digits"
