"""The follower, `python -m digits.live`: logs the epochs of a training run as they end, and how the run ended.

Reads JSON lines from stdin: what to follow, then how it ended. If stdin ends before, training was killed, and the run
stays RUNNING until the training run is resumed. MLflow may be away: what was not logged is logged after a later epoch,
or by `track`.
"""

import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

gc.disable()  # takes a tenth off the imports, for which training may have to wait

from digits.common import files  # noqa: E402
from digits.common.errors import UserError  # noqa: E402
from digits.params import tracked  # noqa: E402
from digits.tracking import run_content  # noqa: E402
from digits.tracking.training_run import TrainingRun  # noqa: E402

gc.freeze()
gc.enable()

POLL = 0.5  # seconds
PAUSE = 10  # seconds between attempts while MLflow is away
TIMEOUT = 5  # seconds for a request


def main() -> None:
    """Follow one training run to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training process is told, and says so
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(TIMEOUT))
    with open(0, "rb", buffering=0, closefd=False) as lines:
        task = json.loads(lines.readline())
        follower = Follower(Path(task["checkpoint"]), task["params"])
        while not select.select([lines], [], [], POLL)[0]:
            follower.catch_up()
        follower.catch_up()
        if line := lines.readline():
            follower.end(**json.loads(line))


class Follower:
    """Logs what MLflow lacks, and says once if it cannot."""

    def __init__(self, checkpoint: Path, params: str) -> None:
        self._checkpoint = checkpoint
        content = tracked(YAML(typ="safe").load(params))
        sections = {name: section for name, section in content.items() if name != "predict_sample"}
        self._run = TrainingRun(checkpoint.stem, run_content.flatten(sections))
        self._logged = 0  # epochs
        self._retry_at = 0.0
        self._has_complained = False

    def catch_up(self) -> None:
        """Log the epochs that ended since the last call."""
        if time.monotonic() >= self._retry_at:
            self._try(self._log_new)

    def end(self, status: str, reason: str = "", model: str = "") -> None:
        """The end is TRAINED with the model's SHA-256, FAILED with the reason, or KILLED."""
        if status == "TRAINED":
            self._try(self._run.delete_if_known, model)
        else:
            self._try(self._run.end, status, reason)

    def _log_new(self) -> None:
        history = read_history(self._checkpoint)
        if len(history) > self._logged:
            self._run.log(history)
            self._logged = len(history)

    def _try(self, act: Callable[..., None], *arguments: str) -> None:
        try:
            act(*arguments)
        except (UserError, OSError) as error:
            self._retry_at = time.monotonic() + PAUSE
            if not self._has_complained:
                reason = str(error).splitlines()[0]
                sys.stderr.write(f"\n{reason}; training goes on, and `track` will log the run\n")
            self._has_complained = True


def read_history(checkpoint: Path) -> list[dict[str, float]]:
    """The rows so far; none before the first epoch, and none after the checkpoint was removed."""
    try:
        (history,) = files.read_arrays(checkpoint, "history")
    except FileNotFoundError:
        return []
    return list(json.loads(str(history)))


if __name__ == "__main__":
    main()
