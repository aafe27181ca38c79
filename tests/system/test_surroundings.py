"""The pipeline in other surroundings: locale, time zone, umask, folder, Python without assertions, and repositories."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helpers.mlflow_runs import copy_database, runs
from helpers.sandbox import STAGES, Sandbox, make_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

SURROUNDINGS = {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONOPTIMIZE": "1", "NO_COLOR": "1", "TERM": "dumb"}


def test_surroundings_do_not_change_a_byte(pipeline: Sandbox, tmp_path: Path) -> None:
    root = tmp_path / "Ziffern 手書き"
    copy = pipeline.copy(root, **SURROUNDINGS, HOME=str(tmp_path))
    lock = YAML(typ="safe").load(root / "dvc.lock")
    shutil.rmtree(root / ".dvc/cache")
    for path in (root / "dvc.lock", *root.glob("mlflow.db*")):
        path.unlink()
    assert "Traceback" not in copy.run("sh", "-c", "umask 077; exec dvc repro")
    assert YAML(typ="safe").load(root / "dvc.lock") == lock, "DVC runs the last stages in any order"


def test_monorepo_keeps_everything_in_its_folder(empty_store: Path, tmp_path: Path) -> None:
    """Digits as a part of a larger DVC repository, whose root DVC names in DVC_ROOT."""
    inner = make_sandbox(tmp_path / "outer/digits", stand_ins=True)
    shutil.rmtree(inner.root / ".git")
    shutil.rmtree(inner.root / ".dvc")
    copy_database(empty_store, inner.root)
    outer = Sandbox(tmp_path / "outer", inner.environment)
    for command in ("git init -q", "dvc init -q", "git add --all", "git commit -qm digits"):
        outer.run(*command.split())
    inner.set_params({"recipes.tutorial.epochs": 1})
    assert inner.repro() == STAGES
    assert {path.name for path in outer.root.iterdir()} == {".git", ".dvc", ".dvcignore", "digits"}
    assert (inner.root / "mlflow.db").exists()
    assert (inner.root / "mlartifacts").exists()

    outer.run("git", "add", "--all")
    outer.run("git", "commit", "-qm", "Fewer epochs")
    output = inner.having(PYTHONPATH=f"{inner.root}/src").run("digits", "sweep", "-S", "train.seed=0")
    assert "0 trained, 1 restored from DVC's cache, 0 already in MLflow." in output
    assert len(runs(inner.root)) == 1


def test_downloaded_archive_runs_without_git(empty_store: Path, tmp_path: Path) -> None:
    """Its run says that it has no commit; only what needs one is refused."""
    sandbox = make_sandbox(tmp_path / "digits", stand_ins=True)
    sandbox = sandbox.having(PYTHONPATH=f"{sandbox.root}/src")
    shutil.rmtree(sandbox.root / ".git")
    copy_database(empty_store, sandbox.root)
    makefile = (sandbox.root / "Makefile").read_text()
    (tell_dvc,) = [line for line in makefile.splitlines() if "core.no_scm" in line]
    sandbox.run("sh", "-c", tell_dvc.strip().removeprefix("@").replace("$(BIN)/", ""))
    assert sandbox.repro() == STAGES
    (run,) = runs(sandbox.root)
    assert "mlflow.source.git.commit" not in run.data.tags
    assert run.data.tags["mlflow.note.content"].endswith("without a Git commit, so `digits verify` cannot rebuild it.")
    digits = ("python", "-c", "from digits.cli import main; main()")
    refusal = sandbox.run(*digits, "verify", run.info.run_id, ok=False)
    assert refusal.endswith("cannot be verified: MLflow lacks its tag mlflow.source.git.commit\n")
    refusal = sandbox.run(*digits, "sweep", "-S", "train.seed=1", ok=False)
    assert refusal.startswith("digits sweep needs a Git commit; Git says: ")
    assert "no commit: digits verify and digits sweep need one" in sandbox.run(*digits, "doctor")
