"""The state of the pipeline: which stages make it, and whether the code is the commit's."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from digits.tracking import run_content, state
from helpers.factories import write_yaml

TRACK = {"deps": ["data/model.keras", "data/raw/dataset.json"]}


def entry(path: str, md5: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": md5}


def pipeline(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stages of dvc.yaml and of dvc.lock: fetch, train and track; `changes` replace or add locked stages."""
    locked = {
        "fetch": {"params": {"params.yaml": {"fetch": {"dataset": "mnist"}}}, "outs": [entry("data/raw", "aa")]},
        "train": {
            "deps": [entry("stages/train.py", "code"), entry("data/raw", "aa")],
            "params": {"params.yaml": {"recipes.tutorial": {"epochs": 5}}},
            "outs": [entry("data/model.keras", "bb")],
        },
        "track": {"deps": [entry("data/model.keras", "old")], "outs": [entry("data/logged.json", "cc")]},
    }
    return {"fetch": {}, "train": {}, "track": TRACK}, locked | changes


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(declared: dict[str, Any], locked: dict[str, Any]) -> state.State:
    write_yaml(Path("dvc.yaml"), {"stages": declared})
    write_yaml(Path("dvc.lock"), {"schema": "2.0", "stages": locked})
    return state.read()


def test_params_and_outputs_make_the_state() -> None:
    declared, locked = pipeline()
    state = read(declared, locked)
    assert state.params == {"fetch": {"dataset": "mnist"}, "recipes.tutorial": {"epochs": 5}}
    assert state.outs == {"data/raw": "aa", "data/model.keras": "bb"}
    train = locked["train"]
    others = [
        {**train, "outs": [entry("data/model.keras", "other")]},
        {**train, "params": {"params.yaml": {"recipes.tutorial": {"epochs": 3}}}},
    ]
    assert len({state.fingerprint, *(read(declared, locked | {"train": other}).fingerprint for other in others)}) == 3


def test_code_is_not_part_of_the_state() -> None:
    declared, locked = pipeline()
    changed = {**locked["train"], "deps": [entry("stages/train.py", "other"), entry("data/raw", "aa")]}
    assert read(declared, locked | {"train": changed}).fingerprint == read(declared, locked).fingerprint


@pytest.mark.parametrize(
    "stage",
    [
        {"deps": [entry("data/logged.json", "older")], "outs": [entry("report.html", "dd")]},  # runs after track
        {"cmd": "echo hello"},  # neither deps nor outs
        {"deps": [entry("data/raw", "outdated")], "outs": [entry("mine.csv", "ee")]},
    ],
)
def test_stages_that_track_does_not_depend_on_are_ignored(stage: dict[str, Any]) -> None:
    declared, locked = pipeline()
    before = read(declared, locked)
    assert read(declared | {"mine": {}}, locked | {"mine": stage}) == before


def test_entry_of_a_removed_stage_is_ignored() -> None:
    declared, locked = pipeline()
    before = read(declared, locked)
    removed = {"deps": [entry("data/raw", "outdated")], "outs": [entry("data/model.keras", "outdated")]}
    assert read(declared, locked | {"removed": removed}) == before


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Git repository with one committed stage."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/train.py").write_text("print()\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "code")
    return tmp_path


def test_committed_code_is_clean(repository: Path) -> None:
    (repository / "params.yaml").write_text("not committed")
    tags = run_content.git_tags()
    assert tags["git.dirty"] == "false"
    assert len(tags["mlflow.source.git.commit"]) == 40


def test_changed_and_new_code_is_dirty(repository: Path) -> None:
    (repository / "stages/train.py").write_text("print(1)\n")
    assert run_content.git_tags()["git.dirty"] == "true"
    git("checkout", "-q", ".")
    (repository / "stages/mine.py").touch()
    assert run_content.git_tags()["git.dirty"] == "true"


def test_outside_of_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert run_content.git_tags() == {}
