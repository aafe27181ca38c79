"""What an MLflow store holds of a state, compared with the files of the state."""

import csv
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.tracking._tracking_service import utils
from ruamel.yaml import YAML

from digits.common import files

# Where an MLflow database has paths of artifacts.
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def make_database(path: Path) -> None:
    """A database as MLflow makes it, which takes seconds; a copy of it takes none."""
    MlflowClient(f"sqlite:///{path}").search_experiments()


def copy_database(source: Path, target: Path) -> None:
    """Copy mlflow.db from one folder to another."""
    with (
        closing(sqlite3.connect(source / "mlflow.db")) as original,
        closing(sqlite3.connect(target / "mlflow.db")) as copy,
    ):
        original.backup(copy)


def copy_store(source: Path, target: Path) -> None:
    """Copy mlflow.db and its artifacts, if there are any, from one folder to another; the copy's paths are its own."""
    copy_database(source, target)
    if (source / "mlartifacts").exists():
        shutil.copytree(source / "mlartifacts", target / "mlartifacts")
    with closing(sqlite3.connect(target / "mlflow.db")) as copy, copy:
        for table, column in LOCATIONS:
            statement = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 (the names are ours)
            copy.execute(statement, (str(source), str(target)))


def runs(root: Path, uri: str = "") -> list[Run]:
    """Every run of the store at `root`, deleted ones too, oldest first."""
    client = MlflowClient(uri or f"sqlite:///{root}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments(view_type=ViewType.ALL)]
    found = client.search_runs(experiments, run_view_type=ViewType.ALL)
    return sorted(found, key=lambda run: int(run.info.start_time))


def assert_complete(client: MlflowClient, run: Run, tree: Path) -> None:
    """The run has every number and file of the state in `tree`, each once, and its model."""
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.lifecycle_stage == "active"
    assert run.info.end_time >= run.info.start_time

    metrics = files.read_json(tree / "reports/metrics.json")
    for name in ("accuracy", "loss", "errors"):
        assert run.data.metrics[f"test_{name}"] == metrics[name]
    assert run.data.metrics["calibration/test_error"] == metrics["expected_calibration_error"]
    for label, scores in metrics["per_class"].items():
        assert run.data.metrics[f"test_f1/{label}"] == scores["f1"]
    assert run.data.metrics["parameters"] == metrics["parameters"]
    assert run.data.metrics["calibration/temperature"] == metrics["temperature"]
    with (tree / "reports/history.csv").open() as file:
        epochs = list(csv.DictReader(file))
    for name in run.data.metrics:
        history = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        if name in epochs[0]:
            assert sorted(history) == [(int(row["epoch"]), float(row[name])) for row in epochs], "each epoch once"
        else:
            assert history == [(0, run.data.metrics[name])], "each score once"

    assert run.data.params == expected_params(tree)
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert artifacts >= {"params.yaml", "dvc.lock", "metrics.json", "history.csv", "predictions.json", "plots"}
    plots = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "plots")}
    drawn = {path.name for path in (tree / "reports").rglob("*.png") if path.parent.name != "leaderboard"}
    assert plots == drawn
    assert run.inputs
    splits = {entry.dataset.name: entry.dataset.digest for entry in run.inputs.dataset_inputs}
    contexts = ["train", "test", *(["validation"] if "val_loss" in epochs[0] else [])]
    assert set(splits) == {f"{metrics['dataset']}-{context}" for context in contexts}

    (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert run.outputs
    assert model.metrics
    assert model.model_id in [output.model_id for output in run.outputs.model_outputs]
    assert model.status == "READY"
    assert {metric.key for metric in model.metrics} == set(run.data.metrics)
    assert "data/model.keras" in {item.path for item in client.list_logged_model_artifacts(model.model_id, "data")}
    assert run.data.tags["model.sha256"] == files.sha256(tree / "data/model.keras")


def expected_params(tree: Path) -> dict[str, str]:
    content: dict[str, Any] = YAML(typ="safe").load(tree / "params.yaml")
    content["train"] |= content.pop("recipes")[content["train"]["recipe"]]
    (row,) = pd.json_normalize(content).astype(object).to_dict("records")
    return {str(key): str(value) for key, value in row.items()}


def model_id(run: Run) -> str:
    """The id of the run's model."""
    assert run.outputs
    (output,) = run.outputs.model_outputs
    return str(output.model_id)


def forget_store() -> None:
    """Let MLflow choose its store again; it also unsets MLFLOW_TRACKING_URI."""
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    utils._artifact_repos_cache.clear()  # by the ids of runs, which copies of a store have in common
