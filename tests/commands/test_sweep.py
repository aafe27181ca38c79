"""Sweeps with the real pipeline on few training images: on this machine, and with a scheduler."""

import contextlib
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.entities import Run

from helpers import browser
from helpers.mlflow_runs import runs
from helpers.sandbox import ROOT, Sandbox, make_sandbox
from helpers.sweeps import FEW, clones, dask, processes_in, start, training, wait, wait_until

# One worker runs them all, since they share a sandbox and each takes both cores.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sweep")]

THREE = (
    *("-S", "recipes.tutorial.learning_rate=0.001,0.003,0.01"),
    *("-S", "recipes.tutorial.hidden=[32]"),
    *("-S", "recipes.tutorial.epochs=60"),  # long enough to be killed
)
LONG = ("-S", "recipes.tutorial.epochs=3000")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    root = tmp_path_factory.mktemp("sweep") / "digits"
    return make_sandbox(root, FEW).having(PYTHONPATH=str(ROOT / "src"), COLUMNS="120")


def tagged(sandbox: Sandbox, output: str) -> list[Run]:
    """The runs that carry the tag which the output names."""
    (tag,) = re.findall(r"tags\.`(sweep\.\w+)`", output)
    return [run for run in runs(sandbox.root) if tag in run.data.tags]


def rows(output: str) -> list[list[str]]:
    """The cells of the table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


def test_killed_worker_loses_nothing_and_what_is_known_is_not_trained(sandbox: Sandbox) -> None:
    place = sandbox.root / ".digits/sweep"
    sweep = start(sandbox, "digits", "sweep", *THREE, "--workers", "2")
    trainer, clone = next(iter(wait_until(lambda: training(place)).items()))
    worker = next(parent for parent in trainer.parents() if "multiprocessing.spawn" in " ".join(parent.cmdline()))
    worker.kill()
    wait_until(lambda: not trainer.is_running() and not clone.exists())

    output = wait(sandbox, sweep)
    assert sweep.returncode == 0, output
    assert "3 trained, 0 restored from DVC's cache, 0 already in MLflow." in output
    found = tagged(sandbox, output)
    assert len(found) == len(runs(sandbox.root)) == 3
    assert {run.info.status for run in found} == {"FINISHED"}
    configurations = {(run.data.params["train.learning_rate"], run.data.params["train.hidden"]) for run in found}
    assert len(configurations) == 3
    ranked = sorted((run.data.metrics["val_accuracy"] for run in found), reverse=True)
    assert [row[2] for row in rows(output)] == [f"{accuracy:.2%}" for accuracy in ranked]
    best = max(found, key=lambda run: float(run.data.metrics["val_accuracy"]))
    assert rows(output)[0][0] == best.data.params["train.learning_rate"]
    assert not clones(place)

    again = sandbox.run("digits", "sweep", *THREE)
    assert "0 trained, 0 restored from DVC's cache, 3 already in MLflow." in again
    assert rows(again) == rows(output)
    assert [run.info.run_id for run in tagged(sandbox, again)] == [run.info.run_id for run in found]

    # MLflow knows nothing of another commit, but DVC has its results, and tracking finds the run of the state.
    (sandbox.root / "README.md").write_text("Another commit.\n")
    sandbox.run("git", "commit", "-qam", "Change the README")
    one = [value.split(",")[0] for value in THREE]
    assert "0 trained, 1 restored from DVC's cache, 0 already in MLflow." in sandbox.run("digits", "sweep", *one)
    assert len(runs(sandbox.root)) == 3


@pytest.fixture
def busy_port() -> Iterator[None]:
    """The port that Dask takes by default is in use."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # another program has it
            held.enter_context(socket.create_server(("127.0.0.1", 8787)))
        yield


@pytest.mark.usefixtures("busy_port")
def test_failing_configuration_is_reported_and_stops_nothing_else(sandbox: Sandbox) -> None:
    values = "recipes.tutorial.learning_rate=1e30,0.002"
    output = sandbox.run("digits", "sweep", "-S", values, "-S", "train.seed=60", "--workers", "1", ok=False)
    assert "UserWarning" not in output
    assert "recipes.tutorial.learning_rate=1e+30 train.seed=60 failed:" in output.replace("1e30", "1e+30")
    assert "Traceback" not in output
    assert "loss" in output, "the reason"
    assert output.endswith("1 of 2 configurations failed; the others are in MLflow\n")
    assert [row[1] for row in rows(output)] == ["1", "0 of 1"]
    assert len(tagged(sandbox, output)) == 1


def test_interrupted_sweep_leaves_nothing_behind(sandbox: Sandbox) -> None:
    place = sandbox.root / ".digits/sweep"
    sweep = start(sandbox, "digits", "sweep", *LONG, "--seeds", "2", "--workers", "2")
    wait_until(lambda: len(training(place)) == 2)
    os.killpg(sweep.pid, signal.SIGINT)  # what Ctrl-C in a terminal does
    output = wait(sandbox, sweep)
    assert sweep.returncode == 130, output
    assert "Traceback" not in output
    assert not clones(place)
    wait_until(lambda: not processes_in(sandbox.root), seconds=5)


def test_killed_driver_leaves_no_process_behind(sandbox: Sandbox) -> None:
    place = sandbox.root / ".digits/sweep"
    sweep = start(sandbox, "digits", "sweep", *LONG, "--seeds", "1", "--workers", "1")
    wait_until(lambda: training(place))
    sweep.kill()
    sweep.wait()
    wait_until(lambda: not processes_in(sandbox.root))
    assert not [path for path in clones(place) if path.parent.name == "clone"]


def test_sweep_with_a_scheduler(sandbox: Sandbox, tmp_path: Path) -> None:
    """The workers know neither this library nor the folder of the repository; they end a task that is cancelled."""
    (tmp_path / "workers").mkdir()
    command = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "served")]
    with (
        browser.server(*command, health="/health", environment={}, cwd=tmp_path) as store,
        dask(tmp_path / "workers", 2) as scheduler,
    ):
        remote = sandbox.having(MLFLOW_TRACKING_URI=store)
        sweep = ("digits", "sweep", "--scheduler", scheduler)
        absent = remote.run("digits", "sweep", *LONG, "--scheduler", "tcp://127.0.0.1:9", ok=False)
        assert "Traceback" not in absent
        assert "tcp://127.0.0.1:9" in absent.splitlines()[-1]

        output = remote.run(*sweep, "-S", "train.seed=70,71")
        assert "2 trained, 0 restored from DVC's cache, 0 already in MLflow." in output
        assert len(runs(tmp_path, store)) == 2
        assert not clones(tmp_path / "workers")

        interrupted = start(remote, *sweep, *LONG)
        wait_until(lambda: training(tmp_path / "workers"))
        interrupted.send_signal(signal.SIGINT)
        assert interrupted.wait() == 130
        wait_until(lambda: not clones(tmp_path / "workers"))
        assert not training(tmp_path / "workers")

        killed = start(remote, *sweep, *LONG)
        wait_until(lambda: training(tmp_path / "workers"))
        killed.kill()
        killed.wait()
        wait_until(lambda: not training(tmp_path / "workers"))


def test_what_other_machines_could_not_reach_is_refused(sandbox: Sandbox) -> None:
    sweep = ("digits", "sweep", "-S", "train.seed=80", "--scheduler", "tcp://127.0.0.1:9")
    assert "cannot log to sqlite:////" in sandbox.run(*sweep, ok=False)
    sandbox = sandbox.having(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "cannot log to http://127.0.0.1:9;" in sandbox.run(*sweep[:-1], "tcp://10.0.0.1:8786", ok=False)


def test_folder_without_repository_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = Sandbox(tmp_path, sandbox.environment)
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    assert (
        folder.run("digits", "sweep", "-S", "train.seed=80", ok=False)
        .splitlines()[-1]
        .startswith("digits sweep needs a Git commit")
    )


@pytest.mark.parametrize("file", ["params.yaml", "src/digits/common/types.py", "stages/new.py"])
def test_uncommitted_changes_are_refused(sandbox: Sandbox, file: str) -> None:
    path = sandbox.root / file
    with path.open("a") as text:
        text.write("\n# Changed.\n")
    try:
        output = sandbox.run("digits", "sweep", "-S", "train.seed=80", ok=False)
        assert f"these have changed: {file}; commit or stash them first" in output
    finally:
        sandbox.run("git", "checkout", "-q", ".")
        sandbox.run("git", "clean", "-fdq", "stages")
