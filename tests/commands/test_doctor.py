"""`digits doctor`: a line for each thing that it looks at, and a cure for each that is wrong."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from helpers.mlflow_runs import copy_database
from helpers.sandbox import Sandbox, make_sandbox

pytestmark = pytest.mark.slow

DOCTOR = ("python", "-c", "from digits.cli import main; main()", "doctor")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    root = tmp_path_factory.mktemp("doctor") / "digits"
    return make_sandbox(root, small=True).having(PYTHONPATH=f"{root}/src")


def cures(output: str) -> dict[str, str]:
    """The cures by title."""
    lines = output.splitlines()
    pairs = pairwise(lines)
    return {line[:12].strip(): cure.strip().removeprefix("-> ") for line, cure in pairs if cure.startswith(" ")}


def test_new_repository_is_well(sandbox: Sandbox) -> None:
    output = sandbox.run(*DOCTOR)
    assert cures(output) == {}
    assert output.count("\n") <= 24, "one screen"
    for fact in ("tensorflow 2.", "commit ", "the 4 files in data/mnist", "0 objects", "no runs yet"):
        assert fact in output


def test_everything_that_is_wrong_has_its_cure(sandbox: Sandbox, empty_store: Path, tmp_path: Path) -> None:
    """The library is that of another folder."""
    copy = sandbox.copy(tmp_path / "digits", ONEDNN_MAX_CPU_ISA="AVX2")
    root = copy.root
    damaged = root / f".dvc/cache/files/md5/ab/{'c' * 30}"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    images = next((root / "data/mnist").glob("t10k-images*"))
    images.write_bytes(images.read_bytes()[:-1])
    (root / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    (root / ".dvc/tmp/rwlock").touch()
    (root / ".dvc/config.local").write_text("[core]\nno_scm = true\n")
    copy_database(empty_store, root)
    old = root / ".digits/checkpoints/old.npz"
    old.parent.mkdir(parents=True)
    old.touch()
    os.utime(old, (0, 0))
    copy.edit("requirements.lock", "\nmlflow==", "\nmlflow==0.")
    assert cures(copy.run(*DOCTOR, ok=False)) == {
        "versions": "make setup",
        "library": "make setup, then . .venv/bin/activate, in this folder",
        "variables": "unset ONEDNN_MAX_CPU_ISA",
        "Git": "dvc config --local --unset core.no_scm",
        "MNIST": "git checkout -- data/mnist",
        "DVC's cache": f"rm -f {damaged}; then dvc repro",
        "DVC's lock": "rm .dvc/tmp/rwlock",
        "MLflow": "see docs/mlflow.md",
        "checkpoints": f"rm -f {old}; then their space is free",
    }


def test_broken_settings_of_dvc_do_not_hide_the_commit(sandbox: Sandbox, tmp_path: Path) -> None:
    copy = sandbox.copy(tmp_path / "digits")
    (copy.root / ".dvc/config.local").write_text("[core\n")
    output = copy.run(*DOCTOR, ok=False)
    assert "commit " in output
    assert cures(output)["DVC"] == "do what the message says"
