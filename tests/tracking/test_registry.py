"""The champion: best by validation accuracy, the oldest in a tie, never by the test set."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from digits.tracking import registry
from helpers.mlflow_runs import copy_database, forget_store

pytestmark = pytest.mark.xdist_group("tracking")


@pytest.fixture
def client(empty_store: Path, tmp_path: Path) -> Iterator[MlflowClient]:
    copy_database(empty_store, tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield MlflowClient()
    forget_store()


@pytest.fixture
def register(client: MlflowClient, tmp_path: Path) -> Callable[..., str]:
    """Register a model of a new run (or of `run`) and give the run's id."""
    experiment = client.create_experiment("digits", artifact_location=(tmp_path / "artifacts").as_uri())

    def register(accuracy: float, split: str = "same", run: str | None = None) -> str:
        run_id: str = run or client.create_run(experiment).info.run_id
        found = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
        model = found[0] if found else client.create_logged_model(experiment, "classifier", run_id)
        client.log_metric(run_id, "val_accuracy", accuracy, model_id=model.model_id)
        client.log_model_artifact(model.model_id, __file__)
        client.finalize_logged_model(model.model_id, "READY")
        tags = {"validation_accuracy": str(accuracy), "validation_split": split}
        registry.register(client, run_id, model.model_id, "A state", tags)
        return run_id

    return register


def champion(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias("digits", "champion").version)


def test_better_version_becomes_champion(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    assert champion(client) == "1"
    register(0.96)
    assert champion(client) == "1"
    register(0.98)
    assert champion(client) == "3"


def test_oldest_version_wins_a_tie(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    register(0.97)
    assert champion(client) == "1"


@pytest.mark.slow
def test_versions_of_another_split_are_not_compared(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    register(0.99, split="other")
    assert champion(client) == "1"


@pytest.mark.slow
def test_run_has_one_version(client: MlflowClient, register: Callable[..., str]) -> None:
    run = register(0.97)
    register(0.97, run=run)
    assert len(client.search_model_versions("name = 'digits'")) == 1


@pytest.mark.slow
def test_manually_set_champion_is_kept_out_of_comparison(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    model = client.create_logged_model("0", "by hand")
    client.finalize_logged_model(model.model_id, "READY")
    mine = client.create_model_version("digits", f"models:/{model.model_id}")
    client.set_registered_model_alias("digits", "champion", mine.version)
    register(0.96)
    assert champion(client) == "1"


@pytest.mark.slow
def test_deleted_champion_is_replaced(client: MlflowClient, register: Callable[..., str]) -> None:
    for accuracy in (0.95, 0.97, 0.96):
        register(accuracy)
    client.delete_model_version("digits", champion(client))
    register(0.94)
    assert champion(client) == "3"


@pytest.mark.slow
def test_champion_whose_model_was_deleted_is_replaced(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.96)
    best = register(0.98)
    (model,) = [model for model in client.search_logged_models(["1"]) if model.source_run_id == best]
    client.delete_logged_model(model.model_id)
    register(0.95)
    assert champion(client) == "1"


@pytest.mark.slow
def test_champion_whose_files_were_deleted_is_replaced(
    client: MlflowClient, register: Callable[..., str], tmp_path: Path
) -> None:
    register(0.96)
    best = register(0.98)
    (model,) = [model for model in client.search_logged_models(["1"]) if model.source_run_id == best]
    shutil.rmtree(tmp_path / "artifacts/models" / model.model_id)
    register(0.95)
    assert champion(client) == "1"


@pytest.mark.slow
def test_version_registered_twice_at_once_stays_once(client: MlflowClient, register: Callable[..., str]) -> None:
    """Another process registers the same model between the look and the creation."""
    create = client.create_model_version

    def create_twice(*arguments: Any, **keywords: Any) -> Any:
        create(*arguments, **keywords)
        return create(*arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "create_model_version", create_twice)
        register(0.97)
    (version,) = client.search_model_versions("name = 'digits'")
    assert str(version.version) == "1" == champion(client)


@pytest.mark.slow
def test_duplicate_may_be_deleted_by_another_process_first(
    client: MlflowClient, register: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = client.delete_model_version

    def delete_twice(*arguments: Any) -> None:
        delete(*arguments)
        delete(*arguments)

    run = register(0.97)
    monkeypatch.setattr(client, "delete_model_version", delete_twice)
    registry.unregister(client, run)
    assert not client.search_model_versions("name = 'digits'")


@pytest.mark.slow
def test_version_unregistered_by_another_process_is_left(
    client: MlflowClient, register: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kept another run of the state, just after this one's version was created."""
    create = MlflowClient.create_model_version

    def create_and_lose(self: MlflowClient, name: str, source: str, run_id: str, **keywords: Any) -> None:
        create(self, name, source, run_id, **keywords)
        registry.unregister(self, run_id)

    monkeypatch.setattr(MlflowClient, "create_model_version", create_and_lose)
    register(0.97)
    assert not client.search_model_versions("name = 'digits'")


@pytest.mark.slow
def test_best_version_is_found_behind_deleted_ones(
    client: MlflowClient, register: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models of deleted versions are still there, and fill the first pages."""
    monkeypatch.setattr(registry, "PAGE", 1)
    for accuracy in (0.99, 0.98, 0.97, 0.96):
        register(accuracy)
    for version in ("1", "2"):
        client.delete_model_version("digits", version)
    register(0.95)
    assert champion(client) == "3"
