"""MLflow against DVC: the real pipeline on the stand-in, published, interrupted, cut off and published again."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from ruamel.yaml import YAML

import made_up
from clones import ROOT, STAGES, Clone, clone
from digits import artifacts, tracking
from digits.errors import InputError

TRACK = "MLFLOW_DISABLE_TELEMETRY=true PYTHONPATH=src python stages/track.py"


def store(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def runs(root: Path) -> list[Run]:
    """Every run of the store at `root`, deleted ones too, the oldest first."""
    client = store(root)
    experiments = [experiment.experiment_id for experiment in client.search_experiments(view_type=ViewType.ALL)]
    found = client.search_runs(experiments, run_view_type=ViewType.ALL)
    return sorted(found, key=lambda run: int(run.info.start_time))


def assert_complete(root: Path, run: Run, tree: Path) -> None:
    """The run has every number and file of the state in `tree`, and a model that is there once."""
    client = store(root)
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time

    metrics = json.loads((tree / "reports/metrics.json").read_bytes())
    for name in ("accuracy", "loss", "errors", "expected_calibration_error"):
        assert run.data.metrics[f"test_{name}"] == metrics[name]
    for label, scores in metrics["per_class"].items():
        assert run.data.metrics[f"test_f1_{label}"] == scores["f1"]
    assert run.data.metrics["parameters"] == metrics["parameters"]
    with (tree / "reports/history.csv").open() as file:
        epochs = list(csv.DictReader(file))
    for name in set(epochs[0]) - {"epoch"}:
        history = client.get_metric_history(run.info.run_id, name)
        shown = [(metric.step, metric.value) for metric in history]
        assert shown == [(int(row["epoch"]), float(row[name])) for row in epochs], "each epoch once"
        times = [metric.timestamp for metric in history]
        assert times == sorted(times)
        assert run.info.start_time <= times[0]

    assert run.data.params == expected_params(tree)
    artifacts_there = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert artifacts_there >= {"params.yaml", "dvc.lock", "metrics.json", "predictions.json", "plots"}
    plots = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "plots")}
    assert plots == {path.name for path in (tree / "reports/plots").glob("*.png")}
    splits = {entry.dataset.name: entry.dataset.digest for entry in run.inputs.dataset_inputs}
    contexts = ["train", "test", *(["validation"] if "val_loss" in epochs[0] else [])]
    assert set(splits) == {f"{metrics['dataset']}-{context}" for context in contexts}

    (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert model.status == "READY"
    assert {metric.key for metric in model.metrics} == set(run.data.metrics)
    kept = Path(model.artifact_location.removeprefix("file://"), "data/model.keras")
    assert kept.read_bytes() == (tree / "data/model.keras").read_bytes()
    assert run.data.tags["model.sha256"] == artifacts.sha256(kept)


def expected_params(tree: Path) -> dict[str, str]:
    content: dict[str, Any] = YAML(typ="safe").load(tree / "params.yaml")
    content["train"] |= content.pop("recipes")[content["train"]["recipe"]]
    return {f"{section}.{key}": str(value) for section, keys in content.items() for key, value in keys.items()}


def test_one_run_for_each_state_however_often_it_is_visited(pipeline: Clone) -> None:
    (first,) = runs(pipeline.root)
    assert_complete(pipeline.root, first, pipeline.root)
    assert first.data.tags["dataset"] == "uci"
    assert first.data.tags["git.dirty"] == "false"
    assert first.data.tags["mlflow.source.git.commit"] == pipeline.run("git", "rev-parse", "HEAD").strip()
    assert first.data.metrics["training_seconds"] > 0
    assert first.info.end_time - first.info.start_time == pytest.approx(
        1000 * first.data.metrics["training_seconds"], abs=2
    )
    lock = (pipeline.root / "dvc.lock").read_bytes()

    pipeline.edit("params.yaml", "epochs: 5", "epochs: 3")
    assert pipeline.repro() == ["train", "evaluate", "predict_sample", "track"]
    assert_complete(pipeline.root, runs(pipeline.root)[-1], pipeline.root)
    pipeline.edit("params.yaml", "epochs: 3", "epochs: 5")
    assert pipeline.repro() == ["track"], "DVC restores the rest; the state is published, whoever computed it"
    assert (pipeline.root / "dvc.lock").read_bytes() == lock

    pipeline.edit("params.yaml", "validation_size: 5000", "validation_size: 0")
    assert pipeline.repro() == STAGES[1:]
    assert (pipeline.root / "reports/history.csv").read_text().startswith("epoch,loss,accuracy\n")
    assert_complete(pipeline.root, runs(pipeline.root)[-1], pipeline.root)
    pipeline.edit("params.yaml", "validation_size: 0", "validation_size: 5000")
    assert pipeline.repro() == ["track"]

    assert len(runs(pipeline.root)) == 3
    assert_complete(pipeline.root, first, pipeline.root)
    assert store(pipeline.root).search_registered_models() == [], "only MNIST's models are registered"


def test_a_clone_that_pulled_everything_computes_nothing_and_publishes(pipeline: Clone, tmp_path: Path) -> None:
    pipeline.run("dvc", "remote", "add", "--local", "--default", "folder", str(tmp_path / "remote"))
    pipeline.run("dvc", "push", "--run-cache", "--quiet")
    other = Clone(tmp_path / "other", pipeline.environment)
    pipeline.run("git", "clone", "-q", str(pipeline.root), str(other.root))
    for path in ("dvc.lock", "reports"):
        pipeline.run("cp", "-r", path, str(other.root))
    other.run("dvc", "remote", "add", "--local", "--default", "folder", str(tmp_path / "remote"))
    other.run("dvc", "pull", "--run-cache", "--allow-missing", "--quiet")
    assert other.repro() == ["track"]
    (run,) = runs(other.root)
    assert_complete(other.root, run, other.root)
    assert "training_seconds" not in run.data.metrics, "how long it took elsewhere is not known here"
    assert other.repro() == []


# Runs stages/track.py, which ends by SIGKILL just before call number sys.argv[1] that writes to MLflow.
KILLED = """
import os, runpy, signal, sys
from mlflow import MlflowClient
left = int(sys.argv[1])
def counted(method):
    def call(*arguments, **keywords):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments, **keywords)
    return call
writing = ("create_", "log_", "set_", "finalize_", "update_")
for name in dir(MlflowClient):
    if name.startswith(writing):
        setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
runpy.run_path(sys.argv[2], run_name="__main__")
"""


def test_what_a_killed_publication_left_is_completed(tmp_path: Path) -> None:
    """Killed at one writing call after the other, each time going on with what the time before left, to the end."""
    made_up.make_tree(tmp_path, epochs=3, accuracy=0.97)
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT / "src")}
    kills = 0
    while subprocess.run(
        [sys.executable, "-c", KILLED, str(kills), ROOT / "stages/track.py"], cwd=tmp_path, env=environment, check=False
    ).returncode:
        kills += 1
        assert len(runs(tmp_path)) <= 1
    assert kills >= 12
    assert_complete(tmp_path, runs(tmp_path)[0], tmp_path)
    (version,) = store(tmp_path).search_model_versions("name = 'digits'")
    assert version.run_id == runs(tmp_path)[0].info.run_id
    assert str(store(tmp_path).get_model_version_by_alias("digits", "champion").version) == str(version.version)


def test_a_model_that_is_logged_anew_has_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what a kill between the run's numbers and the model's leaves."""
    monkeypatch.chdir(tmp_path)
    params = made_up.make_tree(tmp_path, epochs=3, accuracy=0.97)
    tracking.publish(params, Path("dvc.lock"))
    (run,) = runs(tmp_path)
    client = store(tmp_path)
    client.delete_logged_model(run.outputs.model_outputs[0].model_id)
    tracking.publish(params, Path("dvc.lock"))
    (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert {metric.key for metric in model.metrics} == set(run.data.metrics)
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3]
    sources = [version.source for version in client.search_model_versions("name = 'digits'")]
    assert f"models:/{model.model_id}" in sources


def test_params_that_led_to_other_results_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    params = made_up.make_tree(tmp_path, epochs=3, accuracy=0.97)
    params["recipes.tutorial"]["epochs"] = 7
    with pytest.raises(InputError, match=r"params.yaml is not what dvc.lock holds; run the whole pipeline: dvc repro"):
        tracking.publish(params, Path("dvc.lock"))


def test_a_relative_database_is_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where DVC runs an experiment in a temporary copy, it would be lost with the copy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", "/the/root")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    assert tracking._store() == "sqlite:////the/root/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/runs.db")
    assert tracking._store() == "sqlite:////elsewhere/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert tracking._store() == "http://server"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking._store() == "sqlite:////the/root/mlflow.db"


def test_an_absent_server_fails_track_alone_and_later_it_is_published(pipeline: Clone, tmp_path: Path) -> None:
    pipeline.edit("params.yaml", "index: 1000", "index: 3")
    cut_off = Clone(pipeline.root, pipeline.environment | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    said = cut_off.run("dvc", "repro", ok=False).splitlines()
    after = said[said.index(f"> {TRACK}") + 1 :]
    assert after[0].startswith("MLflow at http://127.0.0.1:9 cannot be used: ")
    assert after[1] == "Model, metrics and plots are safe with DVC; once MLflow answers, publish them by: dvc repro"
    assert after[2].startswith("ERROR: failed to reproduce 'track'")
    assert len(after) == 3

    elsewhere = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "MLFLOW_EXPERIMENT_NAME": "other"}
    assert Clone(pipeline.root, pipeline.environment | elsewhere).repro() == ["track"]
    pipeline.edit("params.yaml", "index: 3", "index: 1000")
    assert pipeline.repro() == ["track"]
    (run,) = runs(tmp_path)
    assert run.data.params["predict_sample.index"] == "3"
    assert store(tmp_path).get_experiment(run.info.experiment_id).name == "other"


def test_a_silent_server_costs_less_than_half_a_minute() -> None:
    tries = int(tracking.PATIENCE["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) + 1
    assert tries == 1, "what makes a run must not be sent twice"
    assert int(tracking.PATIENCE["MLFLOW_HTTP_REQUEST_TIMEOUT"]) < 25


def test_a_deleted_experiment_is_named(pipeline: Clone, tmp_path: Path) -> None:
    client = store(tmp_path)
    client.delete_experiment(client.create_experiment("gone"))
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "MLFLOW_EXPERIMENT_NAME": "gone"}
    said = Clone(pipeline.root, pipeline.environment | environment).run("dvc", "repro", "-s", "-f", "track", ok=False)
    assert "MLflow's experiment 'gone' is deleted; bring it back by `mlflow experiments restore" in said
    assert "Traceback" not in said
    assert pipeline.repro() == ["track"]


def test_experiments_side_by_side_are_runs_side_by_side(pipeline: Clone) -> None:
    """Queued and run two at a time where there is no database yet, beside the one in the working tree."""
    made = clone(pipeline.root.parent / "queue")
    made.run("cp", "-r", str(pipeline.root / ".dvc/cache"), ".dvc/cache")
    for index in range(4):
        made.run("dvc", "exp", "run", "--queue", "--name", f"look-{index}", "-S", f"predict_sample.index={index}")
    made.run("dvc", "queue", "start", "-j", "2")
    made.run("dvc", "queue", "logs", "--follow", "look-2", ok=True)
    made.run("dvc", "exp", "run", "--temp", "--name", "look-4", "-S", "predict_sample.index=4")
    wait_for_the_queue(made)

    shown = json.loads(made.run("dvc", "exp", "show", "--json"))
    experiments = [one["revs"][0] for state in shown for one in state.get("experiments") or []]
    found = {run.info.run_name: run for run in runs(made.root)}
    assert set(found) == {experiment["name"] for experiment in experiments} == {f"look-{index}" for index in range(5)}
    for experiment in experiments:
        run = found[experiment["name"]]
        assert run.info.status == "FINISHED"
        data = experiment["data"]
        assert run.data.metrics["test_accuracy"] == data["metrics"]["reports/metrics.json"]["data"]["accuracy"]
        index = data["params"]["params.yaml"]["data"]["predict_sample"]["index"]
        assert run.data.params["predict_sample.index"] == str(index)
    assert made.run("git", "status", "--porcelain") == ""


def wait_for_the_queue(made: Clone) -> None:
    """Until no task is queued or running; `dvc queue logs --follow` ends with its task."""
    while (status := made.run("dvc", "queue", "status")).count("Queued") or "Running" in status:
        for line in status.splitlines():
            if "Running" in line:
                made.run("dvc", "queue", "logs", "--follow", line.split()[0])


def test_the_first_experiment_names_its_run_and_later_ones_join(pipeline: Clone) -> None:
    for name in ("first", "second"):
        environment = pipeline.environment | {"DVC_EXP_NAME": name}
        Clone(pipeline.root, environment).run("dvc", "repro", "-s", "-f", "track")
    (run,) = [run for run in runs(pipeline.root) if "dvc.experiments" in run.data.tags]
    assert run.info.run_name == "first"
    assert run.data.tags["dvc.experiments"] == "first second"


def test_neither_tensorflow_nor_keras_is_imported(pipeline: Clone) -> None:
    imported = pipeline.imported_by("sh", "-c", TRACK)
    assert "mlflow" in imported
    assert not {"tensorflow", "keras", "sklearn", "matplotlib"} & imported


def test_the_model_is_read_back_by_mlflow(pipeline: Clone) -> None:
    """In a process of its own: raw pixels through mlflow.pyfunc against what evaluate kept."""
    run = runs(pipeline.root)[0]
    script = f"""
import mlflow, numpy as np
from digits import idx
from pathlib import Path
mlflow.set_tracking_uri("sqlite:///{pipeline.root}/mlflow.db")
model = mlflow.pyfunc.load_model("models:/{run.outputs.model_outputs[0].model_id}")
pixels = idx.read_images(Path("data/raw", idx.TEST_IMAGES))[:100].astype(np.float32)
kept = np.load("data/probabilities.npz")["probabilities"][:100]
np.testing.assert_allclose(model.predict(pixels), kept, atol=1e-5)
"""
    environment = pipeline.environment | {"PYTHONPATH": "src", "MLFLOW_DISABLE_TELEMETRY": "true"}
    Clone(pipeline.root, environment).run(sys.executable, "-c", script)
