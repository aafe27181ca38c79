"""Which states are the same, and when their code is not the commit's."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from digits import state
from digits.errors import InputError

CODE = b"print()\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git repository, the working directory, with a file of code and a dvc.lock that depends on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stage.py").write_bytes(CODE)
    lock(tmp_path)
    for command in ("init -q", "add stage.py", "-c user.name=Test -c user.email=test@localhost commit -qm code"):
        subprocess.run(["git", *command.split()], check=True)
    return tmp_path


def lock(folder: Path, code: bytes = CODE, out: str = "aa", epochs: int = 5, track: str = "bb") -> Path:
    def digest(path: str, md5: str) -> dict[str, str]:
        return {"path": path, "hash": "md5", "md5": md5}

    code_md5 = hashlib.md5(code, usedforsecurity=False).hexdigest()
    stages = {
        "train": {
            "deps": [digest("stage.py", code_md5), digest("data/raw", "cc")],
            "params": {"params.yaml": {"recipes.tutorial": {"epochs": epochs}}},
            "outs": [digest("data/model.keras", out)],
        },
        "track": {"deps": [digest("data/model.keras", out)], "outs": [digest("data/published.json", track)]},
    }
    path = folder / "dvc.lock"
    with path.open("w") as file:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, file)
    return path


def test_params_and_outputs_make_the_state(tmp_path: Path) -> None:
    def fingerprint(**values: object) -> str:
        return state.read(lock(tmp_path, **values), until="track").fingerprint  # type: ignore[arg-type]

    same = fingerprint()
    assert fingerprint(track="other") == same, "what track leaves is no part of what it publishes"
    assert fingerprint(code=b"other") == same, "other code that led to the same is the same state"
    assert len({same, fingerprint(out="other"), fingerprint(epochs=3)}) == 3


def test_stages_that_did_not_run_on_each_other_are_refused(tmp_path: Path) -> None:
    path = lock(tmp_path)
    content = YAML(typ="safe").load(path)
    content["stages"]["evaluate"] = {"deps": [{"path": "data/model.keras", "md5": "of before"}], "outs": []}
    with path.open("w") as file:
        YAML(typ="safe").dump(content, file)
    with pytest.raises(InputError, match=r"data/model.keras has changed since a stage used it; .* dvc repro"):
        state.read(path, until="track")


def test_the_commits_code_is_clean(repository: Path) -> None:
    (repository / "params.yaml").write_text("not committed")
    assert not state.is_dirty(state.read(repository / "dvc.lock", until="track"))
    assert len(state.commit() or "") == 40


def test_other_code_is_dirty(repository: Path) -> None:
    assert state.is_dirty(state.read(lock(repository, code=b"changed"), until="track"))


def test_code_that_is_not_committed_is_dirty(repository: Path) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "stage.py"], check=True)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, "commit", "-qm", "without"], check=True)
    assert state.is_dirty(state.read(repository / "dvc.lock", until="track"))


def test_outside_of_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert state.commit() is None
