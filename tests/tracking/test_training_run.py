"""A training run that is logged while it trains, and becomes the run of its state."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.mlflow_runs import copy_database, forget_store
from helpers.training_runs import (
    Machine,
    assert_one_run,
    assert_watched,
    live_runs,
    make_git_repository,
    make_machine,
    paced,
    trainers,
    wait_for_epochs,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(empty_store: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine with its own SQLite store, which has no runs."""
    copy_database(empty_store, tmp_path)
    yield make_machine(tmp_path / "tree", f"sqlite:///{tmp_path}/mlflow.db")
    forget_store()


def test_run_is_live_and_becomes_the_run_of_the_state(machine: Machine) -> None:
    live = assert_watched(paced(machine, 2.5))
    tracked = assert_one_run(machine)
    assert tracked.info.run_id == live.info.run_id
    assert tracked.info.run_name == f"tutorial-{tracked.data.tags['digits.state'][:7]}"


def test_killed_run_goes_on(machine: Machine) -> None:
    slow = paced(machine, 2)
    with slow.start() as process:
        wait_for_epochs(slow, 2)
        os.killpg(process.pid, signal.SIGKILL)
    (before,) = live_runs(machine)
    assert before.info.status == "RUNNING"
    slow.dvc()
    assert assert_one_run(machine).info.run_id == before.info.run_id


@pytest.mark.parametrize("status", ["KILLED", "FAILED"])
def test_end_of_training_is_the_status(machine: Machine, status: str) -> None:
    slow = paced(machine, 2, failing=5 if status == "FAILED" else 0)
    with slow.start() as process:
        wait_for_epochs(slow, 1)
        if status == "KILLED":
            os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert "Traceback" not in errors
    for trainer in trainers(machine.tree):
        trainer.wait()
    (run,) = live_runs(machine)
    assert run.info.status == status
    if status == "FAILED":
        assert run.data.tags["mlflow.note.content"] == "Training failed: Training diverged"
    machine.dvc()
    assert assert_one_run(machine).info.run_id == run.info.run_id


@pytest.mark.parametrize("command", ["exp run --temp", "exp run --queue"])
def test_experiment_is_live(machine: Machine, command: str) -> None:
    make_git_repository(machine)
    slow = paced(machine, 1.5)
    if "--queue" in command:
        slow.dvc(f"{command} --name mine -S train.seed=1")
        command = "exp run --run-all"
    else:
        command = f"{command} --name mine -S train.seed=1"
    with slow.start(command) as process:
        wait_for_epochs(slow, 2)
        (live,) = live_runs(machine)
        process.communicate()
    assert process.returncode == 0
    (run,) = live_runs(machine)
    assert (live.info.status, run.info.status) == ("RUNNING", "FINISHED")
    assert run.info.run_id == live.info.run_id
    assert run.info.run_name == run.data.tags["dvc.experiments"] == "mine"
    assert run.data.params["train.seed"] == "1"


def test_known_state_keeps_its_run(machine: Machine) -> None:
    """A comment was changed: another training run gives the same bytes."""
    machine.dvc()
    known = assert_one_run(machine)
    script = machine.tree / "train.py"
    script.write_text(f"# A comment.\n{script.read_text()}")
    slow = paced(machine, 2)
    with slow.start() as process:
        for _ in range(600):
            if len(live_runs(machine)) == 2:
                break
            time.sleep(0.1)
        assert len(live_runs(machine)) == 2, "the training run is shown"
        process.communicate()
    assert assert_one_run(machine).info == known.info


def test_restored_state_opens_no_run(machine: Machine) -> None:
    machine.dvc()
    known = assert_one_run(machine)
    machine.restore()
    (only,) = MlflowClient(machine.uri).search_runs([known.info.experiment_id])
    assert only.info == known.info


def test_store_that_is_away_is_one_line(machine: Machine) -> None:
    away = Machine(machine.tree, "http://127.0.0.1:9", pause=1.5)
    lines = away.dvc("repro train").splitlines()
    (line,) = [line for line in lines if "MLflow" in line]
    assert line.startswith("MLflow at http://127.0.0.1:9 cannot be used: ")
    assert line.endswith("; training goes on, and `track` will log the run")
    machine.dvc()
    assert_one_run(machine)


def test_abandoned_run_is_marked(machine: Machine) -> None:
    client = MlflowClient(machine.uri)
    experiment = client.create_experiment("digits", (machine.tree / "mlartifacts").as_uri())
    week_ago = round(1000 * (time.time() - 8 * 24 * 3600))
    abandoned = client.create_run(experiment, week_ago, {"digits.training": "a"}).info.run_id
    recent = client.create_run(experiment, None, {"digits.training": "b"}).info.run_id
    machine.dvc()
    assert client.get_run(abandoned).info.status == "KILLED"
    assert client.get_run(recent).info.status == "RUNNING"
