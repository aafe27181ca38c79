"""`digits ui`: which server is started, and where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from digits import cli
from digits.commands import runs_page
from digits.common.errors import UserError
from digits.tracking import store
from helpers import browser
from helpers.mlflow_runs import copy_database, forget_store

pytestmark = pytest.mark.xdist_group("tracking")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """The arguments of the servers that are started."""
    found = list[tuple[str, ...]]()
    monkeypatch.setattr(runs_page, "_run", lambda *arguments, **_: found.append(arguments))
    yield found
    forget_store()


def test_pages_are_at_this_machine_alone(
    started: list[tuple[str, ...]], empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever MLFLOW_HOST says."""
    copy_database(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    with store.connect():
        pass
    cli.ui(port=browser.free_port(), no_browser=True)
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"


def test_folder_without_runs_gets_no_store(
    started: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^There is no MLflow store at .*: run `dvc repro`"):
        cli.ui()
    assert (started, list(tmp_path.iterdir())) == ([], [])
