"""The pipeline in other surroundings: locale, time zone, umask, folder, and Python without assertions."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helpers.sandbox import Sandbox

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
