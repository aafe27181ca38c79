"""Which store is used, where its files are, and how it fails."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from digits.common.errors import UserError
from digits.tracking import store
from helpers.mlflow_runs import copy_database, forget_store

pytestmark = pytest.mark.xdist_group("tracking")

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_ENABLE_ASYNC_LOGGING"):
        monkeypatch.setenv(name, "")  # so that what `connect` sets ends with the test
        monkeypatch.delenv(name)


def connect() -> tuple[str, Path]:
    """Connect, and return the experiment's name and the folder of its artifacts."""
    try:
        with store.connect() as (client, experiment_id):
            experiment = client.get_experiment(experiment_id)
            return experiment.name, Path(local_file_uri_to_path(experiment.artifact_location))
    finally:
        forget_store()


@pytest.mark.slow
def test_default_store_is_in_the_repository_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a?b%41c d#e"
    folder.mkdir()
    monkeypatch.chdir(folder)
    # In a process of its own: MLflow remembers the store of a URI, whatever the working directory.
    script = "from digits.tracking import store\nwith store.connect() as (client, id): print(client.get_experiment(id))"
    printed = subprocess.check_output([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(SOURCE)})
    assert (folder / "mlartifacts").as_uri() in printed.decode()
    assert "name='digits'" in printed.decode()
    assert (folder / "mlflow.db").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"repository", folder.name}


def test_temporary_experiment_uses_the_store_of_its_repository(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where DVC runs an experiment in a temporary copy, the store would be lost with the copy."""
    copy_database(empty_store, tmp_path / "repository")
    (tmp_path / "repository/mlflow.db").rename(tmp_path / "repository/runs.db")
    copy = tmp_path / "copy"
    (copy / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    assert connect()[1] == tmp_path / "repository/mlartifacts"
    assert MlflowClient(f"sqlite:///{tmp_path}/repository/runs.db").get_experiment_by_name("digits")
    assert [path.name for path in copy.iterdir()] == [".dvc"]


def test_artifacts_of_a_shared_database_are_next_to_it(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    copy_database(empty_store, tmp_path / "shared")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    assert connect() == ("other", tmp_path / "shared/mlartifacts")


@pytest.mark.slow
@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_artifacts_are_found_where_the_database_is_now(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: Callable[[Path, Path], object]
) -> None:
    """Its folder was moved or copied: a run keeps its files, and the next one's are beside them."""
    old, new = tmp_path / "repository", tmp_path / "100%_new"
    copy_database(empty_store, old)

    def log(number: str) -> str:
        with store.connect() as (client, experiment_id):
            run_id = client.create_run(experiment_id).info.run_id
            client.log_text(run_id, number, "number.txt")
        forget_store()
        return str(run_id)

    first = log("1")
    move(old, new)
    monkeypatch.chdir(new)
    second = log("2")
    if old.exists():
        shutil.rmtree(old)
    with store.connect(create=False) as (client, _):
        for run_id, number in ((first, "1"), (second, "2")):
            path = client.download_artifacts(run_id, "number.txt", str(tmp_path))
            assert Path(path).read_text() == number
        assert {path.name for path in (new / "mlartifacts").iterdir()} == {first, second}
    forget_store()


def test_place_that_a_user_chose_for_artifacts_is_kept(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_database(empty_store, tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    MlflowClient(uri).create_experiment("mine", f"file://{tmp_path}/mine")
    (tmp_path / "mlartifacts").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert connect()[1] == tmp_path / "mine"


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("sqlite:////tmp/no%20folder/runs.db", "there is no folder /tmp/no folder"),
        ("postgresql://me:secret@127.0.0.1:9/runs", "psycopg"),
        ("postgresql+psycopg2://me:secret/or so@127.0.0.1:9/runs", "127.0.0.1"),
        ("postgresql+psycopg2://me@127.0.0.1:9/runs?password=secret", "127.0.0.1"),
        ("http://me:secret@127.0.0.1:9", "127.0.0.1"),
        ("http://me:secret%2For%20so@127.0.0.1:9", "127.0.0.1"),
        ("nonsense://me:secret@host/runs", "must be an SQLite file"),
        ("postgresql://me:secret@127.0.0.1:port/runs", "must be an SQLite file"),
        ("http://127.0.0.1:port", "must be an SQLite file"),
        ("http://me:1/secret@127.0.0.1:9", "must be an SQLite file"),
        ("http://me:secret or so@127.0.0.1:9", "special characters in a password are percent-encoded"),
        ("./mlruns", "must be an SQLite file .*; got ./mlruns"),
        ("file:///tmp/mlruns", "must be an SQLite file"),
        ("databricks", "must be an SQLite file"),
        ("sqlite://", "must be an SQLite file"),
    ],
)
def test_unusable_store_is_an_error_without_its_password(
    monkeypatch: pytest.MonkeyPatch, uri: str, complaint: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=complaint) as error:
        connect()
    assert "secret" not in str(error.value)
    assert "or so" not in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


def test_failing_upload_is_an_error_without_its_password(empty_store: Path, tmp_path: Path) -> None:
    """Artifacts go through a client that has errors of its own."""
    copy_database(empty_store, tmp_path / "repository")
    with pytest.raises(UserError, match="Nothing is lost") as error, store.connect():
        raise requests.ConnectionError("http://me:secret@127.0.0.1:9/api is away")
    forget_store()
    assert "secret" not in str(error.value)


def test_database_that_is_none_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.db").write_text("no database at all, but a text that is long enough\n" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(UserError, match=r"cannot be used: .*file is not a database"):
        connect()


def test_deleted_experiment_is_named(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_database(empty_store, tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    connect()
    client = MlflowClient(uri)
    client.delete_experiment("1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # MLflow unset it
    with pytest.raises(UserError, match="'digits' is deleted; restore it with `mlflow experiments restore"):
        connect()
