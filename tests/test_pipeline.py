"""The real graph, run by DVC on few training images: what runs, what is skipped, and what comes out."""

import csv
import json
import os
import shutil
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from digits.common import files
from digits.common.types import Images, Probabilities
from digits.data import idx
from helpers import browser
from helpers.mlflow_runs import assert_complete, copy_database, copy_store, forget_store, model_id, runs
from helpers.sandbox import ROOT, STAGES, Sandbox, make_sandbox

# One worker runs them all, since they share a sandbox.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]


SERVE = ("mlflow", "models", "serve", "-m", "models:/digits@champion", "--env-manager", "local")
AGAIN = ["report", "track"]  # of a state that DVC restores; its run cache keeps metrics and plots, not the page


def report(sandbox: Sandbox, name: str) -> Any:
    return json.loads((sandbox.root / "reports" / name).read_bytes())


def client(sandbox: Sandbox) -> MlflowClient:
    return MlflowClient(f"sqlite:///{sandbox.root}/mlflow.db")


def assert_run(sandbox: Sandbox, run: Run) -> None:
    assert_complete(client(sandbox), run, sandbox.root)


def test_outputs_are_complete_and_agree(pipeline: Sandbox) -> None:
    metrics = report(pipeline, "metrics.json")
    assert metrics["dataset"] == "mnist"
    assert metrics["accuracy"] > 0.85
    assert metrics["parameters"] == 118282
    prediction = report(pipeline, "prediction.json")
    assert (prediction["index"], prediction["label"]) == (1000, 9)
    assert pipeline.run("git", "status", "--porcelain", "data") == ""
    assert sum(prediction["probabilities"]) == pytest.approx(1, abs=1e-5)
    history = (pipeline.root / "reports/history.csv").read_text().splitlines()
    assert history[0] == "epoch,loss,accuracy,val_loss,val_accuracy"
    assert len(history) == 1 + 5
    with (pipeline.root / "data/predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    assert len(predictions) == 10_000
    assert sum(row["actual"] != row["predicted"] for row in predictions) == metrics["errors"]
    with np.load(pipeline.root / "data/normalized.npz") as splits:
        assert {name: len(array) for name, array in splits.items()} == {
            "x_train": 2000,
            "y_train": 2000,
            "x_val": 500,
            "y_val": 500,
        }


def test_run_states_its_origin(pipeline: Sandbox) -> None:
    (run,) = runs(pipeline.root)
    assert_run(pipeline, run)
    assert run.data.tags["dataset"] == "mnist"
    assert run.data.tags["git.dirty"] == "false"
    assert run.data.tags["mlflow.source.git.commit"] == pipeline.run("git", "rev-parse", "HEAD").strip()
    seconds = run.data.metrics["training_seconds"]
    assert seconds > 0
    assert run.info.end_time - run.info.start_time == pytest.approx(1000 * seconds, abs=2)


def test_states_that_are_visited_again_keep_their_run(pipeline: Sandbox) -> None:
    (first,) = runs(pipeline.root)
    lock = (pipeline.root / "dvc.lock").read_bytes()
    pipeline.edit("params.yaml", "epochs: 5", "epochs: 3")
    assert pipeline.repro() == ["train", "evaluate", "predict_sample", "report", "track"]
    assert_run(pipeline, runs(pipeline.root)[-1])
    pipeline.edit("params.yaml", "epochs: 3", "epochs: 5")
    pipeline.edit("params.yaml", "validation_size: 500", "validation_size: 0")
    assert pipeline.repro() == STAGES[1:]
    assert (pipeline.root / "reports/history.csv").read_text().startswith("epoch,loss,accuracy\n")
    assert report(pipeline, "metrics.json")["temperature"] == 1
    assert_run(pipeline, runs(pipeline.root)[-1])
    pipeline.edit("params.yaml", "validation_size: 0", "validation_size: 500")
    assert pipeline.repro() == AGAIN, "DVC restores the rest"
    assert (pipeline.root / "dvc.lock").read_bytes() == lock

    assert len(runs(pipeline.root)) == 3
    assert_run(pipeline, first)
    assert len(client(pipeline).search_model_versions("name = 'digits'")) == 2, "one without a validation set"


@pytest.mark.usefixtures("tensorflow")
def test_logged_model_predicts_as_evaluate_did(pipeline: Sandbox, request: pytest.FixtureRequest) -> None:
    request.addfinalizer(forget_store)
    mlflow.set_tracking_uri(f"sqlite:///{pipeline.root}/mlflow.db")
    model = mlflow.pyfunc.load_model(f"models:/{model_id(runs(pipeline.root)[0])}")
    images, kept = images_and_probabilities(pipeline)
    np.testing.assert_allclose(model.predict(images), kept, atol=1e-5)


def images_and_probabilities(sandbox: Sandbox) -> tuple[Images, Probabilities]:
    """The first test images, and what evaluate kept of them."""
    images, _ = idx.read_test(sandbox.root / "data/raw")
    (kept,) = files.read_arrays(sandbox.root / "data/probabilities.npz", "probabilities")
    return images[:100].astype(np.float32), kept[:100]


@pytest.mark.parametrize("command", [SERVE, ("digits", "serve")], ids=["MLflow", "Digits"])
def test_champion_is_served_over_http(pipeline: Sandbox, tmp_path: Path, command: tuple[str, ...]) -> None:
    """In a copy of the store, where the champion is this state's model."""
    copy_store(pipeline.root, tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    (version,) = MlflowClient(uri).search_model_versions(f"run_id = '{runs(tmp_path)[0].info.run_id}'")
    MlflowClient(uri).set_registered_model_alias("digits", "champion", version.version)
    environment = {"MLFLOW_TRACKING_URI": uri, "PATH": pipeline.environment["PATH"], "PYTHONPATH": str(ROOT / "src")}
    images, kept = images_and_probabilities(pipeline)
    with browser.server(*command, health="/ping", environment=environment, cwd=tmp_path) as address:
        body = json.dumps({"inputs": images.tolist()}).encode()
        request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            probabilities = np.array(json.load(response)["predictions"])
    np.testing.assert_allclose(probabilities, kept, atol=1e-6)


def test_run_is_rebuilt_identically_elsewhere_on_one_core(pipeline: Sandbox) -> None:
    """In a clone, without any cache: all that MLflow has of the run, and the bytes of every output."""
    one_core = ["taskset", "-c", "0"] if shutil.which("taskset") and hasattr(os, "sched_setaffinity") else []
    command = [*one_core, "digits", "verify", runs(pipeline.root)[0].info.run_id]
    lines = pipeline.having(PYTHONPATH=f"{pipeline.root}/src").run(*command).splitlines()
    assert lines[-1].startswith("identical: ")
    assert [f"Running stage '{stage}':" in lines for stage in STAGES[:5]] == [True] * 5


def test_nothing_runs_twice_nor_for_another_recipe_until_it_is_chosen(pipeline: Sandbox) -> None:
    before = (pipeline.root / "params.yaml").read_text()
    pipeline.set_params({"recipes.cnn.epochs": 1})
    assert pipeline.repro() == []
    pipeline.set_params({"train.recipe": "cnn"})
    output = pipeline.run("dvc", "repro", "--dry")
    (pipeline.root / "params.yaml").write_text(before)
    assert "Stage 'fetch' didn't change, skipping" in output
    assert [f"Running stage '{stage}'" in output for stage in ("normalize", "train")] == [True, True]


def test_edits_outside_of_its_packages_do_not_retrain(pipeline: Sandbox) -> None:
    packages = [pipeline.root / f"src/digits/{name}" for name in ("data", "report", "tracking")]
    for package in packages:
        (package / "edited.py").touch()
    # `dvc status` compares; stages after a changed one would run, but find that its outputs are the same.
    status = json.loads(pipeline.run("dvc", "status", "--json"))
    for package in packages:
        (package / "edited.py").unlink()
    assert {"fetch", "normalize", "evaluate", "report", "track"} <= set(status)
    assert "train" not in status


def test_wrong_value_is_one_line(pipeline: Sandbox, tmp_path: Path) -> None:
    """Of DVC's output, and of a stage's. tests/test_params.py has the other values, and the other stages."""
    copy = pipeline.copy(tmp_path / "wrong")
    copy.edit("params.yaml", "train_size: 2000", "train_size: 60000")
    (line,) = copy.failing_repro("normalize")
    assert line.startswith("params.yaml: normalize.train_size + normalize.validation_size: ")
    for index in (10_000, -1):
        copy.set_params({"predict_sample.index": index})
        (line,) = copy.stage("predict_sample", ok=False).splitlines()
        assert line.startswith("params.yaml: predict_sample.index: must be from 0 to 9999, the test")


@pytest.mark.parametrize("stage", ["train", "predict_sample"])
def test_damaged_input_is_one_line(pipeline: Sandbox, tmp_path: Path, stage: str) -> None:
    copy = pipeline.copy(tmp_path / "damaged")
    name = {"train": "data/normalized.npz", "predict_sample": "data/probabilities.npz"}[stage]
    content = (copy.root / name).read_bytes()
    (copy.root / name).write_bytes(content[: len(content) // 2])
    (line,) = copy.stage(stage, ok=False).splitlines()
    assert line.startswith(f"{name}: cannot be read")
    assert line.endswith("restore it with: dvc repro")


@pytest.fixture(scope="module")
def without_test_images(pipeline: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A copy of the pipeline, so that no test image can be used where none should be; its training can be killed."""
    copy = pipeline.copy(tmp_path_factory.mktemp("without") / "digits")
    for path in copy.root.glob("data/*/t10k-*"):
        path.unlink()
    return copy


def test_normalize_writes_the_same_bytes_without_test_images(without_test_images: Sandbox) -> None:
    path = without_test_images.root / "data/normalized.npz"
    before = path.read_bytes()
    path.unlink()
    without_test_images.stage("normalize")
    assert path.read_bytes() == before


def test_killed_training_resumes_to_the_same_bytes(without_test_images: Sandbox) -> None:
    """Without test images, too; and a run with other params, in between, starts over."""
    sandbox = without_test_images
    before = {path: (sandbox.root / path).read_bytes() for path in ("data/model.keras", "reports/history.csv")}
    # An experiment has another name each time; the checkpoint belongs to the run, not to the name.
    sandbox.having(DVC_EXP_NAME="before").kill_training(1)
    sandbox.edit("params.yaml", "epochs: 5", "epochs: 2")
    assert "Resuming" not in sandbox.stage("train")
    sandbox.edit("params.yaml", "epochs: 2", "epochs: 5")
    for path in before:
        (sandbox.root / path).unlink()
    assert "Resuming after epoch 1" in sandbox.having(DVC_EXP_NAME="after").stage("train")
    assert {path: (sandbox.root / path).read_bytes() for path in before} == before
    assert list((sandbox.root / ".digits/checkpoints").iterdir()) == []


def test_half_written_plot_is_gone_after_the_next_run(pipeline: Sandbox) -> None:
    leftover = pipeline.root / "reports/evaluation/.confusion.123.partial.png"
    leftover.write_bytes(b"half a picture")
    pipeline.repro("evaluate")
    assert (leftover.parent / "confusion.png").exists()
    assert not leftover.exists()


def test_clone_that_pulled_everything_only_logs(pipeline: Sandbox, tmp_path: Path) -> None:
    remote = f"[core]\n    remote = folder\n['remote \"folder\"']\n    url = {tmp_path}/remote\n"
    (pipeline.root / ".dvc/config.local").write_text(remote)
    pipeline.run("dvc", "push", "--run-cache", "--quiet")
    other = Sandbox(tmp_path / "other", pipeline.environment)
    pipeline.run("git", "clone", "-q", str(pipeline.root), str(other.root))
    shutil.rmtree(other.root / "reports")
    pipeline.run("cp", "-r", "dvc.lock", "reports", str(other.root))
    (other.root / ".dvc/config.local").write_text(remote)
    other.run("dvc", "pull", "--run-cache", "--allow-missing", "--quiet")
    assert other.repro() == ["track"]
    (run,) = runs(other.root)
    assert_run(other, run)
    assert "training_seconds" not in run.data.metrics, "how long it took elsewhere is not known here"
    assert other.repro() == []


def test_other_index_runs_predict_sample_and_an_absent_server_fails_track_alone(
    pipeline: Sandbox, empty_store: Path, tmp_path: Path
) -> None:
    """The next `dvc repro` logs."""
    pipeline.edit("params.yaml", "index: 1000", "index: 3")
    assert pipeline.repro("predict_sample") == ["predict_sample"]
    assert report(pipeline, "prediction.json")["index"] == 3
    lines = pipeline.having(MLFLOW_TRACKING_URI="http://me:secret@127.0.0.1:9").failing_repro("track")
    assert lines[0].startswith("MLflow at http://***@127.0.0.1:9 cannot be used: ")
    assert lines[1:] == [
        "Nothing is lost: DVC has the model, metrics and plots. Run `dvc repro` once MLflow is reachable."
    ]
    assert "secret" not in "".join(lines)

    copy_database(empty_store, tmp_path)
    elsewhere = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "MLFLOW_EXPERIMENT_NAME": "other"}
    assert pipeline.having(**elsewhere).repro() == ["track"]
    pipeline.edit("params.yaml", "index: 3", "index: 1000")
    assert pipeline.repro() == AGAIN
    (run,) = runs(tmp_path)
    assert run.data.params["predict_sample.index"] == "3"


def test_stages_of_a_user_do_not_disturb_track(pipeline: Sandbox, tmp_path: Path) -> None:
    copy = pipeline.copy(tmp_path / "extended")
    (run,) = [run for run in runs(copy.root) if run.data.params["normalize.validation_size"] == "500"][:1]
    mine = """
  hello:
    cmd: echo hello
  after_track:
    cmd: cp data/logged.json mine.json
    deps: [data/logged.json]
    outs: [mine.json]
"""
    copy.edit("dvc.yaml", "\nplots:\n  - curves", f"{mine}\nplots:\n  - curves")
    count = len(runs(copy.root))
    copy.run("dvc", "repro", "--single-item", "after_track", "hello")
    copy.run("dvc", "repro", "--force", "--single-item", "track")
    assert len(runs(copy.root)) == count, "the state is the same"
    assert client(copy).get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_experiments_in_parallel_have_their_own_runs(pipeline: Sandbox) -> None:
    """One from the queue and one in a temporary folder, at the same time, where there is no database yet."""
    sandbox = make_sandbox(pipeline.root.parent / "queue")
    sandbox.run("cp", "-r", str(pipeline.root / ".dvc/cache"), ".dvc/cache")
    sandbox.run("dvc", "exp", "run", "--queue", "--name", "look-0", "-S", "predict_sample.index=0")
    sandbox.run("dvc", "queue", "start")
    sandbox.run("dvc", "exp", "run", "--temp", "--name", "look-1", "-S", "predict_sample.index=1")
    wait_for_queue(sandbox)

    shown = json.loads(sandbox.run("dvc", "exp", "show", "--json"))
    experiments = [one["revs"][0] for state in shown for one in state.get("experiments") or []]
    found = {run.info.run_name: run for run in runs(sandbox.root)}
    assert set(found) == {experiment["name"] for experiment in experiments} == {"look-0", "look-1"}
    for experiment in experiments:
        run = found[experiment["name"]]
        assert run.info.status == "FINISHED"
        data = experiment["data"]
        assert run.data.metrics["test_accuracy"] == data["metrics"]["reports/metrics.json"]["data"]["accuracy"]
        index = data["params"]["params.yaml"]["data"]["predict_sample"]["index"]
        assert run.data.params["predict_sample.index"] == str(index)
    assert sandbox.run("git", "status", "--porcelain") == ""


def wait_for_queue(sandbox: Sandbox) -> None:
    """Wait until no task is queued or running; `dvc queue logs --follow` ends with its task."""
    while (status := sandbox.run("dvc", "queue", "status")).count("Queued") or "Running" in status:
        for line in status.splitlines():
            if "Running" in line:
                sandbox.run("dvc", "queue", "logs", "--follow", line.split()[0])


def test_pull_request_is_compared_with_main(pipeline: Sandbox, tmp_path: Path) -> None:
    copy = pipeline.copy(tmp_path / "copy")
    copy.run("git", "commit", "-qam", "Results with few images")
    copy.set_params({"recipes.tutorial.epochs": 3})
    copy.repro("evaluate")
    summary = [line.split() for line in copy.run("bash", ".ci/compare", "HEAD").splitlines()]
    assert ["|", "params.yaml", "|", "recipes.tutorial.epochs", "|", "5", "|", "3", "|"] in summary
    accuracy = str(report(copy, "metrics.json")["accuracy"])
    assert any(row[:4] == ["|", "reports/metrics.json", "|", "accuracy"] and accuracy in row for row in summary)
    page = (copy.root / "dvc_plots/index.html").read_text()
    assert '"rev": "HEAD"' in page
    assert '"rev": "workspace"' in page


def test_folder_may_have_any_name(pipeline: Sandbox, tmp_path: Path) -> None:
    """Characters that mean something else in a URI, too."""
    copy = pipeline.copy(tmp_path / "a ?b%41%")
    (copy.root / "mlflow.db").unlink()
    assert copy.repro("--force", "--single-item", *AGAIN) == AGAIN
    assert (copy.root / "dvc.lock").read_bytes() == (pipeline.root / "dvc.lock").read_bytes()
    with closing(sqlite3.connect(copy.root / "mlflow.db")) as database:
        assert database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)]
    assert [path.name for path in tmp_path.iterdir()] == ["a ?b%41%"]
