"""The pipeline as another user runs it, in other surroundings."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from helpers.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

SURROUNDINGS = {
    "LC_ALL": "C",
    "TZ": "Pacific/Kiritimati",
    "PYTHONOPTIMIZE": "1",
    "PYTHONUTF8": "0",
    "NO_COLOR": "1",
    "TERM": "dumb",
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users can reach."""
    folder = Path(mkdtemp(prefix="digits-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_surroundings_do_not_change_a_byte(pipeline: Sandbox, place: Path) -> None:
    root = place / "Ziffern 手書き"
    copy = pipeline.copy(root, **SURROUNDINGS, HOME=str(place))
    lock = (root / "dvc.lock").read_bytes()
    shutil.rmtree(root / ".dvc/cache")
    for path in (root / "dvc.lock", *root.glob("mlflow.db*")):
        path.unlink()
    subprocess.run(["chown", "-R", "nobody", place], check=True)
    user = ["setpriv", "--reuid=nobody", "--clear-groups"]
    output = copy.run(*user, "sh", "-c", "umask 077; exec dvc repro")
    assert "Traceback" not in output
    assert (root / "dvc.lock").read_bytes() == lock
    assert (root / "dvc.lock").owner() == "nobody" != os.environ.get("USER")
