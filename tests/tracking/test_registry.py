"""Who is champion: the best on its validation split, of equals the oldest, and never by the test set."""

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from digits import registry


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MlflowClient]:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield MlflowClient()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def register(client: MlflowClient, tmp_path: Path) -> Callable[..., str]:
    """Register a model of a new run (or of `run`) and give the run's id."""
    experiment = client.create_experiment("digits", artifact_location=(tmp_path / "artifacts").as_uri())

    def register(accuracy: float, split: str = "same", run: str | None = None) -> str:
        run_id: str = run or client.create_run(experiment).info.run_id
        found = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
        model = found[0] if found else client.create_logged_model(experiment, "classifier", run_id)
        client.finalize_logged_model(model.model_id, "READY")
        tags = {"validation_accuracy": str(accuracy), "validation_split": split}
        registry.register(client, run_id, model.model_id, "A state", tags)
        return run_id

    return register


def champion(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias("digits", "champion").version)


def test_the_better_takes_over(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    assert champion(client) == "1"
    register(0.96)
    assert champion(client) == "1"
    register(0.98)
    assert champion(client) == "3"


def test_of_equals_the_oldest_stays(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    register(0.97)
    assert champion(client) == "1"


def test_nobody_is_compared_on_another_split(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    register(0.99, split="other")
    assert champion(client) == "1"


def test_a_run_has_one_version(client: MlflowClient, register: Callable[..., str]) -> None:
    run = register(0.97)
    register(0.97, run=run)
    assert len(client.search_model_versions("name = 'digits'")) == 1


def test_a_champion_of_ones_own_choice_is_no_obstacle(client: MlflowClient, register: Callable[..., str]) -> None:
    register(0.97)
    model = client.create_logged_model("0", "by hand")
    client.finalize_logged_model(model.model_id, "READY")
    mine = client.create_model_version("digits", f"models:/{model.model_id}")
    client.set_registered_model_alias("digits", "champion", mine.version)
    register(0.96)
    assert champion(client) == "1"


def test_a_deleted_champion_is_replaced(client: MlflowClient, register: Callable[..., str]) -> None:
    for accuracy in (0.95, 0.97, 0.96):
        register(accuracy)
    client.delete_model_version("digits", champion(client))
    register(0.94)
    assert champion(client) == "3"
