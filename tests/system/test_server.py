"""The pipeline and an MLflow server over HTTP, with its runs in PostgreSQL and its artifacts behind its proxy."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.entities.model_registry import ModelVersion

from digits.common import files
from digits.common.errors import UserError
from digits.tracking import state
from digits.tracking.log_run import log_run
from helpers import browser, postgres
from helpers.factories import make_results
from helpers.mlflow_runs import assert_complete, forget_store
from helpers.publishers import kill_stage, log_at_once
from helpers.sandbox import ROOT, make_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def server(cluster: postgres.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server that these tests share."""
    folder = tmp_path_factory.mktemp("server")
    command = ["mlflow", "server", "--workers", "2", "--backend-store-uri", cluster.create_database("mlflow")]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with browser.server(*command, health="/health", environment={}, cwd=folder) as address:
        yield address


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[MlflowClient]:
    """A client of the server, on which the test has its own experiment and registered model."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    mlflow.set_tracking_uri(server)
    client = MlflowClient(server)
    yield client
    if client.search_registered_models("name = 'digits'"):
        client.delete_registered_model("digits")
    forget_store()


def log(tree: Path, uri: str) -> None:
    """Log the state in `tree` in this process, which saves the start of another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        log_run(state.read())


def runs(client: MlflowClient, experiment: str = "", view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """The runs of the experiment, oldest first. Publishers at once delete all but one of a state's."""
    found = client.get_experiment_by_name(experiment or os.environ["MLFLOW_EXPERIMENT_NAME"])
    assert found
    return list(client.search_runs([found.experiment_id], "", view, order_by=["start_time"]))


def assert_registered_once(client: MlflowClient, runs: list[Run]) -> None:
    """Each run has one version, and the champion is the one with the best validation accuracy."""
    versions = client.search_model_versions("name = 'digits'")
    assert sorted(str(version.run_id) for version in versions) == sorted(run.info.run_id for run in runs)
    best = max(runs, key=lambda run: float(run.data.metrics["val_accuracy"]))
    assert client.get_model_version_by_alias("digits", "champion").run_id == best.info.run_id


def test_states_have_one_run_each(client: MlflowClient, server: str, tmp_path: Path) -> None:
    """Four visits of three states."""
    visits = [3, 5, 7, 3]
    for epochs in visits:
        make_results(tmp_path / str(epochs), epochs, accuracy=0.97)
        log(tmp_path / str(epochs), server)
    found = {int(run.data.params["train.epochs"]): run for run in runs(client)}
    assert len(runs(client, view=ViewType.ALL)) == len(found) == 3
    for epochs, run in found.items():
        assert_complete(client, run, tmp_path / str(epochs))
    assert_registered_once(client, list(found.values()))


def test_killed_stage_is_completed(client: MlflowClient, server: str, tmp_path: Path) -> None:
    """At five moments, each time with a state that becomes the champion."""
    moments = range(0, 14, 3)
    for number, write in enumerate(moments):
        tree = tmp_path / str(number + 1)
        make_results(tree, epochs=number + 1, accuracy=0.97, seconds=2.5)
        kill_stage(tree, server, write)
        log(tree, server)
    found = runs(client, view=ViewType.ALL)
    assert sorted(int(run.data.params["train.epochs"]) for run in found) == [1, 2, 3, 4, 5]
    for run in found:
        assert_complete(client, run, tmp_path / run.data.params["train.epochs"])
    assert_registered_once(client, found)


def test_pipeline_needs_the_server_in_track_alone(client: MlflowClient, server: str, tmp_path: Path) -> None:
    """While it is away, `track` fails, and the next `dvc repro` runs nothing else."""
    sandbox = make_sandbox(tmp_path / "digits", stand_ins=True).having(MLFLOW_HTTP_REQUEST_TIMEOUT="1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        absent = sandbox.having(MLFLOW_TRACKING_URI=address).failing_repro("track")
    refused = sandbox.having(MLFLOW_TRACKING_URI=address).failing_repro("track")
    for lines in (absent, refused):
        first, second = lines
        assert first.startswith(f"MLflow at {address} cannot be used: ")
        assert (
            second == "Nothing is lost: DVC has the model, metrics and plots. Run `dvc repro` once MLflow is reachable."
        )
    assert "ReadTimeoutError" in absent[0]
    assert "NewConnectionError" in refused[0]
    present = sandbox.having(MLFLOW_TRACKING_URI=server)
    assert present.repro() == ["track"]
    assert present.repro() == []
    (run,) = runs(client, "digits")
    assert_complete(client, run, sandbox.root)
    assert_registered_once(client, [run])
    assert not (sandbox.root / "mlflow.db").exists()
    assert set(files.read_json(sandbox.root / "data/logged.json")) == {"state"}


def test_publishers_of_one_state_make_one_run(client: MlflowClient, server: str, tmp_path: Path) -> None:
    log_at_once(tmp_path, server, epochs=[3] * 6)
    (run,) = runs(client)
    assert_complete(client, run, tmp_path / "tree-0")
    assert len(client.search_logged_models([run.info.experiment_id])) == 1
    assert_registered_once(client, [run])


def test_publishers_of_three_states_make_three_runs(client: MlflowClient, server: str, tmp_path: Path) -> None:
    """Each state by two publishers."""
    epochs = [3, 4, 5]
    log_at_once(tmp_path, server, epochs=epochs * 2)
    found = {int(run.data.params["train.epochs"]): run for run in runs(client)}
    assert len(runs(client)) == len(found) == 3
    for tree, last in enumerate(epochs):
        assert_complete(client, found[last], tmp_path / f"tree-{tree}")
    assert len(client.search_logged_models([found[3].info.experiment_id])) == 3
    assert_registered_once(client, list(found.values()))


def test_model_that_another_publisher_deletes_is_logged_again(
    client: MlflowClient, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a look and a write; the server answers with status 500."""
    create = MlflowClient.create_model_version

    def create_too_late(self: MlflowClient, *arguments: Any, **keywords: Any) -> ModelVersion:
        monkeypatch.setattr(MlflowClient, "create_model_version", create)
        self.delete_logged_model(keywords["model_id"])
        return create(self, *arguments, **keywords)

    monkeypatch.setattr(MlflowClient, "create_model_version", create_too_late)
    make_results(tmp_path / "tree", 3, 0.97)
    log(tmp_path / "tree", server)
    (run,) = runs(client)
    assert_complete(client, run, tmp_path / "tree")
    assert_registered_once(client, [run])


def documented(block: str) -> str:
    """The content of the first block of that language in docs/tracking-server.md."""
    return (ROOT / "docs/tracking-server.md").read_text().split(f"```{block}\n")[1].split("```")[0]


def test_documented_server_asks_for_a_password(cluster: postgres.Cluster, tmp_path: Path) -> None:
    database = cluster.create_database("protected")
    printed = "postgresql+psycopg2://mlflow:DATABASE-PASSWORD@127.0.0.1/mlflow"
    (tmp_path / "auth.ini").write_text(documented("ini").replace(printed, database))
    *exports, command = documented("bash").replace(printed, database).splitlines()
    variables = dict(line.split("#")[0].removeprefix("export ").strip().split("=", 1) for line in exports)
    command = command.replace("/srv/mlflow", str(tmp_path / "artifacts"))
    with browser.server(*command.split(), health="/health", environment=variables, cwd=tmp_path) as address:
        create = requests.post(
            f"{address}/api/2.0/mlflow/users/create",
            json={"username": "ann", "password": "ANNS-PASSWORD"},
            auth=("admin", variables["MLFLOW_AUTH_ADMIN_PASSWORD"]),
            timeout=60,
        )
        create.raise_for_status()
        make_results(tmp_path / "tree", 3, 0.97)
        for uri in (address, address.replace("//", "//ann:WRONG-PASSWORD@")):
            with pytest.raises(UserError) as refusal:
                log(tmp_path / "tree", uri)
            complaint, advice = str(refusal.value).splitlines()
            assert "failed with error code 401" in complaint
            assert advice.startswith("Nothing is lost")
            assert "PASSWORD" not in str(refusal.value)
        for user, password in (("admin", "ADMIN-PASSWORD"), ("ann", "ANNS-PASSWORD")):
            account = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
            with pytest.MonkeyPatch.context() as patch:
                for name, value in account.items():
                    patch.setenv(name, value)
                make_results(tmp_path / user, 3 if user == "admin" else 5, 0.97)
                log(tmp_path / user, address)
                client = MlflowClient(address)
                found = runs(client, "digits")
                assert_complete(client, found[-1], tmp_path / user)
                assert_registered_once(client, found)
