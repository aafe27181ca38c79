"""The side of the stage `train`: starts the follower, and tells it how training ended. It does not import MLflow."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

from digits.common import files, paths

DELAY = 10.0  # seconds; a shorter training run is not worth a process, unless it is resumed
PATIENCE = 3.0  # seconds to wait for the follower, after training failed


@contextmanager
def observed(checkpoint: Path) -> Iterator[None]:
    """Show the training run inside the block in MLflow, if it takes longer than `DELAY`.

    The checkpoint has the history so far after each epoch; its name identifies the training run. At the end of the
    block, the model is in data/.
    """
    params = Path("params.yaml").read_text()  # at once, since it may be edited while training goes on
    task = {"checkpoint": str(checkpoint), "params": params}
    followers: list[subprocess.Popen[str]] = []

    def start() -> None:
        try:
            followers.append(_start(task))
        except OSError as error:
            sys.stderr.write(f"\nMLflow does not show this training run while it trains: {error}\n")

    timer = Timer(0 if checkpoint.exists() else DELAY, start)
    timer.daemon = True
    timer.start()
    ending = {"status": "KILLED"}
    try:
        yield
        ending = {"status": "TRAINED", "model": files.sha256(paths.MODEL)}
    except Exception as error:
        ending = {"status": "FAILED", "reason": str(error) or type(error).__name__}
        raise
    finally:
        timer.cancel()
        timer.join()
        for follower in followers:
            _stop(follower, ending)


def _start(task: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "digits.live"]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    follower = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment)  # noqa: S603
    give_way(follower.pid)
    if follower.stdin:
        follower.stdin.write(f"{json.dumps(task)}\n")
        follower.stdin.flush()
    return follower


def give_way(pid: int) -> None:
    """Let a process run only while training leaves a core idle; at the lowest priority where that cannot be asked."""
    if sys.platform == "linux":
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.setpriority(os.PRIO_PROCESS, pid, 19)


def _stop(follower: subprocess.Popen[str], ending: dict[str, str]) -> None:
    """Tell the follower, which then ends. Nothing waits for it if `track` is next."""
    if follower.stdin:
        with suppress(OSError), follower.stdin:
            follower.stdin.write(f"{json.dumps(ending)}\n")
    if ending["status"] != "TRAINED":
        with suppress(subprocess.TimeoutExpired):
            follower.wait(PATIENCE)
