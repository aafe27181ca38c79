"""Sweeps on this machine, and with a scheduler; stand-ins take the place of the network.

The leaderboard's tests run a sweep of the real pipeline.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from digits import cli
from digits.common.errors import UserError
from digits.tracking import run_content
from helpers import browser
from helpers.mlflow_runs import copy_database, forget_store, runs
from helpers.sandbox import ROOT, Sandbox, make_sandbox
from helpers.sweeps import FEW, clones, dask, processes_in, start, training, wait, wait_until

# One worker runs them all, since they share a sandbox and each takes both cores.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sweep")]

TWO = (
    *("-S", "recipes.tutorial.learning_rate=0.001,0.003"),
    *("-S", "recipes.tutorial.epochs=30"),  # three seconds: long enough to be killed
)
LONG = ("-S", "recipes.tutorial.epochs=3000")


@pytest.fixture(scope="module")
def sandbox(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    root = tmp_path_factory.mktemp("sweep") / "digits"
    sandbox = make_sandbox(root, FEW, stand_ins=True)
    copy_database(empty_store, root)
    return sandbox.having(PYTHONPATH=f"{root}/src", COLUMNS="120")


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sandbox is this process's working directory."""
    monkeypatch.chdir(sandbox.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{sandbox.root}/mlflow.db")
    monkeypatch.setenv("COLUMNS", "120")
    yield
    forget_store()


def tagged(sandbox: Sandbox, output: str) -> list[Run]:
    """The runs that carry the tag which the output names."""
    (tag,) = re.findall(r"tags\.`(sweep\.\w+)`", output)
    return [run for run in runs(sandbox.root) if tag in run.data.tags]


def rows(output: str) -> list[list[str]]:
    """The cells of the table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


@pytest.fixture(scope="module")
def swept(sandbox: Sandbox) -> str:
    """What a sweep printed, one of whose two workers was killed."""
    place = sandbox.root / ".digits/sweep"
    sweep = start(sandbox, "digits", "sweep", *TWO, "--workers", "2")
    trainer, clone = next(iter(wait_until(lambda: training(place)).items()))
    worker = next(parent for parent in trainer.parents() if "multiprocessing.spawn" in " ".join(parent.cmdline()))
    worker.kill()
    wait_until(lambda: not trainer.is_running() and not clone.exists())
    output = wait(sandbox, sweep)
    assert sweep.returncode == 0, output
    assert not clones(place)
    return output


def test_killed_worker_loses_nothing(sandbox: Sandbox, swept: str) -> None:
    assert "2 trained, 0 restored from DVC's cache, 0 already in MLflow." in swept
    found = tagged(sandbox, swept)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert sorted(run.data.params["train.learning_rate"] for run in found) == ["0.001", "0.003"]
    ranked = sorted((run.data.metrics["val_accuracy"] for run in found), reverse=True)
    assert [row[2] for row in rows(swept)] == [f"{accuracy:.2%}" for accuracy in ranked]
    best = max(found, key=lambda run: float(run.data.metrics["val_accuracy"]))
    assert rows(swept)[0][0] == best.data.params["train.learning_rate"]


@pytest.mark.usefixtures("here")
def test_what_mlflow_knows_is_not_trained(sandbox: Sandbox, swept: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = runs(sandbox.root)
    cli.sweep(list(TWO[1::2]))
    again = capsys.readouterr().out
    assert "0 trained, 0 restored from DVC's cache, 2 already in MLflow." in again
    assert rows(again) == rows(swept)
    ids = [run.info.run_id for run in tagged(sandbox, again)]
    assert ids == [run.info.run_id for run in tagged(sandbox, swept)] == [run.info.run_id for run in before]


@pytest.mark.usefixtures("here", "swept")
def test_run_without_compared_code_is_not_believed(sandbox: Sandbox) -> None:
    """Earlier versions logged models of other code as clean runs of a commit."""
    client = MlflowClient()
    run, _ = runs(sandbox.root)
    client.delete_tag(run.info.run_id, run_content.CODE_TAG)
    output = sandbox.run("digits", "sweep", *TWO)
    client.set_tag(run.info.run_id, run_content.CODE_TAG, run.data.tags[run_content.CODE_TAG])
    assert "0 trained, 1 restored from DVC's cache, 1 already in MLflow." in output


@pytest.fixture
def busy_port() -> Iterator[None]:
    """The port that Dask takes by default is in use."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # another program has it
            held.enter_context(socket.create_server(("127.0.0.1", 8787)))
        yield


@pytest.mark.usefixtures("busy_port", "swept")
def test_failing_configuration_is_reported_and_what_dvc_has_is_restored(sandbox: Sandbox) -> None:
    """MLflow knows nothing of another commit, but DVC has its results, and tracking finds the run of the state."""
    count = len(runs(sandbox.root))
    (sandbox.root / "README.md").write_text("Another commit.\n")
    sandbox.run("git", "commit", "-qam", "Change the README")
    values = ("-S", "recipes.tutorial.learning_rate=1e30,0.001", *TWO[2:])
    output = sandbox.run("digits", "sweep", *values, "--workers", "1", ok=False)
    assert "UserWarning" not in output
    assert "recipes.tutorial.learning_rate=1e+30 recipes.tutorial.epochs=30 failed:" in output.replace("1e30", "1e+30")
    assert "Traceback" not in output
    assert "loss" in output, "the reason"
    assert "0 trained, 1 restored from DVC's cache, 0 already in MLflow." in output
    assert output.endswith("1 of 2 configurations failed; the others are in MLflow\n")
    assert [row[1] for row in rows(output)] == ["1", "0 of 1"]
    assert len(tagged(sandbox, output)) == 1
    assert len(runs(sandbox.root)) == count


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


def test_sweep_with_a_scheduler(sandbox: Sandbox, empty_store: Path, tmp_path: Path) -> None:
    """The workers know neither this library nor the folder of the repository; they end a task that is cancelled."""
    (tmp_path / "workers").mkdir()
    copy_database(empty_store, tmp_path)
    command = ["mlflow", "server", "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
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

        output = remote.run(*sweep, "-S", "train.seed=70")
        assert "1 trained, 0 restored from DVC's cache, 0 already in MLflow." in output
        assert len(runs(tmp_path, store)) == 1
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


@pytest.mark.usefixtures("here")
def test_what_other_machines_could_not_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot log to sqlite:////"):
        cli.sweep(["train.seed=80"], scheduler="tcp://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"cannot log to http://127.0.0.1:9;"):
        cli.sweep(["train.seed=80"], scheduler="tcp://10.0.0.1:8786")


def test_folder_without_repository_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^digits sweep needs a Git commit") as error:
        cli.sweep(["train.seed=80"])
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("file", ["params.yaml", "src/digits/common/types.py", "stages/new.py"])
def test_uncommitted_changes_are_refused(sandbox: Sandbox, file: str) -> None:
    path = sandbox.root / file
    with path.open("a") as text:
        text.write("\n# Changed.\n")
    try:
        with pytest.raises(UserError, match=f"these have changed: {file}; commit or stash them first"):
            cli.sweep(["train.seed=80"])
    finally:
        sandbox.run("git", "checkout", "-q", ".")
        sandbox.run("git", "clean", "-fdq", "stages")
