"""Processes that log a state to MLflow: killed at a chosen moment, or several at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from digits.common import run_record
from helpers.factories import make_results
from helpers.sandbox import ROOT

STAGE = ROOT / "stages/track.py"

# Runs stages/track.py, which ends by SIGKILL just before call number sys.argv[1] that writes to MLflow.
KILLED = """
import itertools, os, runpy, signal, sys
from mlflow import MlflowClient
calls = itertools.count()
def counted(method):
    def call(*arguments, **keywords):
        if next(calls) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments, **keywords)
    return call
for name in dir(MlflowClient):
    if name.startswith(("create_", "log_", "set_", "finalize_", "update_")):
        setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
runpy.run_path(sys.argv[2], run_name="__main__")
"""

# Waits for the others, then logs the state in the working directory.
PUBLISHER = """
import sys, time
from pathlib import Path
from digits.tracking import state
from digits.tracking.log_run import log_run
state = state.read()
Path("ready").touch()
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
log_run(state)
"""


def run_stage(tree: Path, uri: str, *, ok: bool = True) -> str:
    """Log the state in `tree` with stages/track.py, which must succeed, or fail if not `ok`; its standard error."""
    ran = subprocess.run(
        [sys.executable, str(STAGE)], cwd=tree, env=environment(uri), stderr=subprocess.PIPE, text=True, check=False
    )
    assert (ran.returncode == 0) == ok, ran.stderr
    return ran.stderr


def kill_stage(tree: Path, uri: str, write: int) -> None:
    """Run stages/track.py, which ends by SIGKILL just before write number `write`, counted from 0."""
    command = [sys.executable, "-c", KILLED, str(write), str(STAGE)]
    killed = subprocess.run(command, cwd=tree, env=environment(uri), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tree / "data/logged.json").exists()


def log_at_once(folder: Path, uri: str, epochs: Sequence[int]) -> None:
    """Log from several trees at once, one for each entry of `epochs`, which is its state.

    The training runs have different durations, as if they had taken place on different machines.
    """
    start = folder / "start"
    processes = []
    for number, last in enumerate(epochs):
        tree = folder / f"tree-{number}"
        make_results(tree, epochs=last, accuracy=0.97)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tree)
            run_record.save(tree / "data/model.keras", 1.7e9, 2.0 + number)
        command = [sys.executable, "-c", PUBLISHER, str(start)]
        processes.append(subprocess.Popen(command, cwd=tree, env=environment(uri)))
    while not all((folder / f"tree-{number}/ready").exists() for number in range(len(epochs))):
        time.sleep(0.01)
    start.touch()
    assert [process.wait() for process in processes] == [0] * len(epochs)


def environment(uri: str) -> dict[str, str]:
    """The variables of a process that logs to `uri`."""
    source = {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT / "src")}
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **source}
