"""Processes that log a state to MLflow: killed at a chosen moment, or several at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

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

# Logs the states in the folders sys.argv[1:] at the same moment, each in its own process, forked after the imports.
PUBLISHERS = """
import multiprocessing, os, sys
from digits.tracking import state
from digits.tracking.log_run import log_run

def publish(tree):
    os.chdir(tree)
    current = state.read()
    start.wait()
    log_run(current)

fork = multiprocessing.get_context("fork")
start = fork.Barrier(len(sys.argv) - 1)
publishers = [fork.Process(target=publish, args=[tree]) for tree in sys.argv[1:]]
for publisher in publishers:
    publisher.start()
for publisher in publishers:
    publisher.join()
sys.exit(any(publisher.exitcode for publisher in publishers))
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
    trees = [folder / f"tree-{number}" for number in range(len(epochs))]
    for number, (tree, last) in enumerate(zip(trees, epochs, strict=True)):
        make_results(tree, epochs=last, accuracy=0.97)
        with chdir(tree):
            run_record.save(tree / "data/model.keras", 1.7e9, 2.0 + number)
    subprocess.run([sys.executable, "-c", PUBLISHERS, *trees], env=environment(uri), check=True)


def environment(uri: str) -> dict[str, str]:
    """The variables of a process that logs to `uri`."""
    source = {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT / "src")}
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **source}
