"""The state of the pipeline: which stages make it, and whether the code is the commit's."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digits.common.errors import UserError
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


def test_state_without_the_entry_of_a_stage_is_refused() -> None:
    declared, locked = pipeline()
    declared["train"] = {"outs": [{"data/model.keras": {"cache": True}}]}
    del locked["train"]
    with pytest.raises(UserError, match=r"no entry of the stage train, which makes data/model.keras; run: dvc repro"):
        read(declared, locked)


DAMAGES = {
    "conflict": lambda text: f"<<<<<<< HEAD\n{text}=======\n>>>>>>> main\n",
    "empty": lambda _: "",
    "cut": lambda text: text[: text.index("outs:") + 20],
    "other": lambda _: "stages: [1, 2]",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_lock_is_one_line(damage: Callable[[str], str]) -> None:
    read(*pipeline())
    lock = Path("dvc.lock")
    lock.write_text(damage(lock.read_text()))
    with pytest.raises(UserError, match=r"^dvc.lock: is damaged .*; restore it with: git checkout -- dvc.lock$"):
        state.read()
    lock.unlink()
    with pytest.raises(UserError, match=r"^there is no dvc.lock; run: dvc repro$"):
        state.read()


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_variables_of_a_hook_do_not_lead_elsewhere(
    repository: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    before = run_content.git_tags()
    monkeypatch.setenv(variable, "elsewhere")
    assert run_content.git_tags() == before
    assert not (repository / "elsewhere").exists()


@pytest.mark.usefixtures("repository")
def test_repository_that_git_refuses_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of another user's is, in a container."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "true")
    with pytest.raises(UserError, match=r"^Git cannot tell the commit: .*git config --global --add safe.directory"):
        run_content.git_tags()


def test_repository_without_a_commit_is_no_error(tmp_path: Path) -> None:
    git("init", "-q")
    assert (tmp_path / ".git").exists()
    assert run_content.git_tags() == {}


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
