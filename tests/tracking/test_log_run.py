"""One MLflow run for one state: logged, interrupted, lost, edited, and logged by several processes at once."""

import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import chdir, closing
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from digits.common import files, paths, run_record
from digits.common.errors import UserError
from digits.tracking import run_content, state
from digits.tracking.log_run import log_run
from helpers.factories import make_results
from helpers.mlflow_runs import assert_complete, copy_database, copy_store, forget_store, model_id, runs
from helpers.publishers import kill_stage, log_at_once, run_stage

NOTE = "mlflow.note.content"


# One worker runs them all, since they share stores.
pytestmark = pytest.mark.xdist_group("tracking")


@pytest.fixture(scope="module")
def unlogged(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of a state, and an MLflow store without runs."""
    folder = tmp_path_factory.mktemp("unlogged")
    copy_database(empty_store, folder)
    with chdir(folder):
        make_results(folder, epochs=3, accuracy=0.97, seconds=2.5)
    return folder


@pytest.fixture(scope="module")
def logged_once(unlogged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder after `log`."""
    folder = tmp_path_factory.mktemp("logged") / "tree"
    with pytest.MonkeyPatch.context() as patch:
        copy_tree(unlogged, folder, patch)
        log()
    forget_store()
    return folder


def copy_tree(source: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Copy results and store to `folder`, and work there."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
    copy_store(source, folder)
    patch.chdir(folder)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")


@pytest.fixture
def tree(unlogged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the results of a state, and an MLflow store of its own."""
    copy_tree(unlogged, tmp_path / "tree", monkeypatch)
    yield tmp_path / "tree"
    forget_store()


@pytest.fixture
def logged(logged_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with the state in the store."""
    copy_tree(logged_once, tmp_path / "tree", monkeypatch)
    yield tmp_path / "tree"
    forget_store()


def log() -> None:
    log_run(state.read())


def assert_logged_once(tree: Path) -> Run:
    """The store has one run, deleted ones counted, and one registered version, the champion."""
    client = MlflowClient(f"sqlite:///{tree}/mlflow.db")
    (run,) = runs(tree)
    assert_complete(client, run, tree)
    (version,) = client.search_model_versions("name = 'digits'")
    assert version.run_id == run.info.run_id
    assert str(client.get_model_version_by_alias("digits", "champion").version) == str(version.version)
    return run


class Killed(BaseException):
    """Stands for SIGKILL."""


WRITING = ("create_", "log_", "set_", "finalize_", "update_", "delete_")


def die_at_write(patch: pytest.MonkeyPatch, number: int) -> None:
    """Raise Killed just before that call which writes to MLflow, counted from 0."""
    calls = iter(range(10**6))

    def counted(method: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if next(calls) == number:
                raise Killed
            return method(*arguments, **keywords)

        return call

    for name in dir(MlflowClient):
        if name.startswith(WRITING):
            patch.setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))


def test_state_is_one_run_however_often_it_is_logged(logged: Path) -> None:
    first = assert_logged_once(logged)
    assert first.info.start_time == 1_700_000_000_000
    assert first.info.end_time == 1_700_000_002_500
    assert first.data.metrics["training_seconds"] == 2.5
    assert first.data.metrics["training_images_per_second"] == 3 * 55000 / 2.5
    log()
    assert assert_logged_once(logged).info.run_id == first.info.run_id


@pytest.mark.slow
def test_interrupted_logging_is_completed(tree: Path) -> None:
    """Interrupted before one write after the other, each time continuing with what the time before left."""
    interruptions = 0
    while True:
        try:
            with pytest.MonkeyPatch.context() as patch:
                die_at_write(patch, interruptions)
                log()
            break
        except Killed:
            interruptions += 1
            assert len(runs(tree)) <= 1
    assert interruptions >= 9
    assert_logged_once(tree)


@pytest.mark.slow
def test_killed_stage_is_completed(tree: Path) -> None:
    uri = f"sqlite:///{tree}/mlflow.db"
    kill_stage(tree, uri, write=4)
    run_stage(tree, uri)
    assert_logged_once(tree)
    assert set(files.read_json(Path("data/logged.json"))) == {"state"}


IN_GIT = ("params.yaml", "dvc.lock", "reports")  # the files of a state that `git checkout` brings back


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["commit", "code", "model"])
def test_files_of_another_state_are_not_logged(tree: Path, tmp_path: Path, changed: str) -> None:
    """After `git checkout` of another commit, or after an edit, `dvc repro -s -f track` runs track alone."""
    uri = f"sqlite:///{tree}/mlflow.db"
    if changed == "commit":
        shutil.copytree(tree, tmp_path / "commit")
        make_results(tree, epochs=5, accuracy=0.98)
        for path in IN_GIT:
            subprocess.run(["cp", "-r", tmp_path / "commit" / path, tree], check=True)
    elif changed == "code":
        (tree / "stages/train.py").write_text("print(1)")
    else:
        (tree / "data/model.keras").write_bytes(b"other weights")
    files.write_json(Path("data/logged.json"), {"state": "an earlier one"})
    (line,) = run_stage(tree, uri, ok=False).splitlines()
    path = "stages/train.py" if changed == "code" else "data/model.keras"
    assert line.startswith("Nothing is logged, because dvc.lock does not match: ")
    assert f"{path} modified" in line
    assert line.endswith("; run: dvc repro")
    assert runs(tree) == []
    assert not Path("data/logged.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["model", "scores", "file"])
def test_finished_run_with_results_of_another_state_is_repaired(tree: Path, changed: str) -> None:
    """As an earlier version logged it after `git checkout` of another commit."""
    model, metrics = Path("data/model.keras").read_bytes(), Path("reports/metrics.json").read_bytes()
    plot = Path("reports/prediction.png").read_bytes()
    if changed == "model":
        Path("data/model.keras").write_bytes(b"other weights")
    elif changed == "scores":
        files.write_json(paths.METRICS, files.read_json(paths.METRICS) | {"accuracy": 0.5})
    else:
        Path("reports/prediction.png").write_bytes(b"another plot")
    log()
    for path, content in (
        ("data/model.keras", model),
        ("reports/metrics.json", metrics),
        ("reports/prediction.png", plot),
    ):
        Path(path).write_bytes(content)
    log()
    (run,) = [run for run in runs(tree) if run.info.lifecycle_stage == "active"]
    client = MlflowClient()
    assert_complete(client, run, tree)
    assert client.get_model_version_by_alias("digits", "champion").run_id == run.info.run_id
    downloads = tree / "downloads"
    downloads.mkdir()
    shown = client.download_artifacts(run.info.run_id, "plots/prediction.png", str(downloads))
    assert Path(shown).read_bytes() == plot
    served = mlflow.artifacts.download_artifacts("models:/digits@champion", dst_path=str(downloads))
    assert Path(served, "data/model.keras").read_bytes() == model


@pytest.mark.slow
def test_every_state_has_its_run(logged: Path) -> None:
    make_results(logged, epochs=5, accuracy=0.98)
    log()
    make_results(logged, epochs=3, accuracy=0.97)
    log()
    assert len(runs(logged)) == 2
    client = MlflowClient()
    assert str(client.get_model_version_by_alias("digits", "champion").version) == "2"


@pytest.mark.slow
def test_champion_is_best_by_validation_not_by_test_accuracy(logged: Path) -> None:
    make_results(logged, epochs=5, accuracy=0.9)  # validation accuracy follows `accuracy`
    metrics = files.read_json(logged / "reports/metrics.json")
    files.write_json(logged / "reports/metrics.json", metrics | {"accuracy": 0.999})
    log()
    assert str(MlflowClient().get_model_version_by_alias("digits", "champion").version) == "1"


@pytest.mark.parametrize("changed", ["split_seed", "validation_size", "data"])
@pytest.mark.usefixtures("tree")
def test_validation_splits_are_told_apart(changed: str) -> None:
    current = state.read()
    params, outs = dict(current.params), dict(current.outs)
    if changed == "data":
        outs["data/raw"] = "other"
    else:
        params["normalize"] = params["normalize"] | {changed: 7}
    other = replace(current, params=params, outs=outs)
    assert run_content.validation_split(other) != run_content.validation_split(current)
    larger = current.params["normalize"] | {"train_size": 7}
    same = replace(current, params={**current.params, "normalize": larger})
    assert run_content.validation_split(same) == run_content.validation_split(current)


def test_what_a_person_wrote_is_kept(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient()
    (run,) = runs(logged)
    client.set_tag(run.info.run_id, NOTE, "My best run.")
    client.update_run(run.info.run_id, name="mine")
    monkeypatch.setenv("DVC_EXP_NAME", "second")
    log()
    run = assert_logged_once(logged)
    assert run.data.tags[NOTE] == "My best run."
    assert run.info.run_name == "mine"
    assert run.data.tags["dvc.experiments"] == "second"


@pytest.mark.slow
def test_first_experiment_names_the_run_and_later_ones_join(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs(logged)[0].info.run_name == f"tutorial-{state.read().fingerprint[:7]}"
    for name in ("first", "second"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        log()
    run = assert_logged_once(logged)
    assert run.info.run_name == "first"
    assert run.data.tags["dvc.experiments"] == "first second"


@pytest.mark.slow
def test_another_machine_changes_nothing(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runs(logged)[0].data.tags
    monkeypatch.setattr(run_record, "cpu", lambda: "Another CPU")
    monkeypatch.setattr(run_record, "versions", lambda: {"tensorflow": "9.9"})
    make_results(logged, epochs=3, accuracy=0.97, seconds=99.0)
    log()
    assert assert_logged_once(logged).data.tags == before


@pytest.mark.slow
def test_without_a_run_record_there_are_no_seconds(tree: Path) -> None:
    shutil.rmtree(".digits")
    log()
    run = assert_logged_once(tree)
    assert not {"training_seconds", "training_images_per_second"} & set(run.data.metrics)
    assert "cpu" not in run.data.tags


@pytest.mark.slow
@pytest.mark.parametrize(("dirty", "words"), [("true", "uncommitted changes"), ("false", "To reproduce it")])
def test_description_is_honest_about_uncommitted_code(
    tree: Path, monkeypatch: pytest.MonkeyPatch, dirty: str, words: str
) -> None:
    tags = {"git.dirty": dirty, "mlflow.source.git.commit": "abc123"}
    monkeypatch.setattr(run_content, "git_tags", lambda: tags)
    log()
    assert words in runs(tree)[0].data.tags[NOTE]


@pytest.mark.slow
def test_clean_run_stays_clean(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment that is changed later is no change of the run."""
    for dirty in ("false", "true"):
        tags = {"git.dirty": dirty, "mlflow.source.git.commit": "abc123"}
        monkeypatch.setattr(run_content, "git_tags", lambda tags=tags: tags)
        log()
    assert runs(tree)[0].data.tags["git.dirty"] == "false"


@pytest.mark.slow
def test_lost_artifacts_are_logged_again(logged: Path) -> None:
    shutil.rmtree(logged / "mlartifacts")
    log()
    assert_logged_once(logged)


@pytest.mark.slow
def test_deleted_model_is_logged_again(logged: Path) -> None:
    (run,) = runs(logged)
    client = MlflowClient()
    client.delete_logged_model(model_id(run))
    log()
    assert_complete(client, run, logged)
    (model,) = client.search_logged_models([run.info.experiment_id])
    champion = client.get_model_version_by_alias("digits", "champion")
    assert champion.source == f"models:/{model.model_id}", "the champion has files"


@pytest.mark.slow
def test_half_written_plot_is_not_logged(tree: Path) -> None:
    (tree / "reports/evaluation/.confusion.123.partial.png").write_bytes(b"half a picture")
    log()
    plots = MlflowClient().list_artifacts(runs(tree)[0].info.run_id, "plots")
    assert {Path(item.path).name for item in plots} == {"samples.png", "curves.png", "prediction.png"}


@pytest.mark.slow
def test_two_runs_of_a_state_become_one(logged: Path) -> None:
    """What publishers leave that created their run at the same moment."""
    (first,) = runs(logged)
    client = MlflowClient()
    for _ in range(10):  # the first by id is kept: hardly ever the one that is registered
        client.create_run(first.info.experiment_id, first.info.start_time, first.data.tags, first.info.run_name)
    log()
    (run,) = [run for run in runs(logged) if run.info.lifecycle_stage == "active"]
    assert_complete(client, run, logged)
    assert {run.info.run_id} == {model.source_run_id for model in client.search_logged_models(["1"])}
    (version,) = client.search_model_versions("name = 'digits'")
    assert version.run_id == client.get_model_version_by_alias("digits", "champion").run_id == run.info.run_id


def assert_one_run(uri: str, folder: Path) -> None:
    client = MlflowClient(uri)
    (run,) = [run for run in runs(folder, uri) if run.info.lifecycle_stage == "active"]
    assert_complete(client, run, folder / "tree-0")
    assert len(client.search_logged_models([run.info.experiment_id])) == 1
    assert len(client.search_model_versions("name = 'digits'")) == 1


@pytest.mark.slow
def test_publishers_at_once_on_a_database_make_one_run(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    log_at_once(tmp_path, uri, epochs=[3] * 6)
    assert_one_run(uri, tmp_path)
    assert len(runs(tmp_path)) == 1


@pytest.mark.slow
def test_locked_database_is_waited_for(tree: Path) -> None:
    """By another program, such as a backup."""
    with closing(sqlite3.connect(tree / "mlflow.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        release = Timer(1, other.rollback)
        release.start()
        log()
        release.join()
    assert_logged_once(tree)


@pytest.mark.slow
@pytest.mark.usefixtures("tree")
def test_silent_server_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that creates a run must not be sent twice."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UserError, match="Nothing is lost: DVC has the model"):
            log()
        silent.settimeout(0.1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


@pytest.mark.slow
@pytest.mark.usefixtures("tree")
def test_request_without_an_answer_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may have created the run before it fell silent."""
    create, requests = MlflowClient.create_run, []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        def create_in_vain(_: MlflowClient, experiment_id: str, *__: Any) -> Run:
            requests.append(experiment_id)
            return create(MlflowClient(address), experiment_id)

        monkeypatch.setattr(MlflowClient, "create_run", create_in_vain)
        with pytest.raises(UserError, match="Read timed out"):
            log()
    assert len(requests) == 1
