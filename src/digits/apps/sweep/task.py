"""One configuration of a sweep: `python -m digits.apps.sweep.task`, in a process of its own.

The task comes as one line of JSON on standard input, the outcome goes to standard output. Standard input stays open as
long as the task is wanted: when the worker is killed, or closes it, everything that the task started ends, and its
clone is removed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp

SOURCE = Path(__file__).parents[3]

ATTEMPTS = 6
PAUSE = 15  # seconds between attempts, so that a network may be away for a minute or more


@dataclass(frozen=True)
class Task:
    """What to run, and where.

    Attributes:
        params: the text of params.yaml.
        environment: variables that say where to log.
        remote: whether to exchange results with DVC's default remote.
        cache: DVC's cache, shared with other tasks; empty for one that the worker's tasks share.
        repository: a clone at the commit of the sweep. This and the following are set by the worker.
        subfolder: of the pipeline in the repository.
        folder: for temporary files.
    """

    params: str
    environment: Mapping[str, str]
    remote: bool
    cache: str
    repository: str = ""
    subfolder: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes:
        state: the fingerprint of the state that was logged; empty after a failure.
        ran: the stages that were executed, rather than restored.
        error: the last lines of output after a failure.
    """

    state: str = ""
    ran: tuple[str, ...] = ()
    error: str = ""


class _Shell:
    """Runs commands, one at a time, each in a process group of its own, so that all it starts can be ended."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.running: subprocess.Popen[str] | None = None
        self.starting = threading.Lock()

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command in the folder; its exit status and what it printed."""
        with self.starting:
            self.running = subprocess.Popen(  # noqa: S603
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        output, _ = self.running.communicate()
        with self.starting:  # never, once stopped: the process ends with the clone
            return self.running.returncode, output

    def stop(self) -> None:
        """End the running command, if there is one, and start no other."""
        self.starting.acquire()
        if self.running and self.running.poll() is None:
            os.killpg(self.running.pid, signal.SIGKILL)


def run(task: Task, clone: Path, shell: _Shell) -> Outcome:
    """Clone the repository, set the params, and run the pipeline."""
    status, output = shell.run("git", "clone", "--quiet", "--shared", task.repository, str(clone))
    if status:
        return Outcome(error=_tail(output))
    root = shell.folder = clone / task.subfolder
    (root / "params.yaml").write_text(task.params)
    dvc = next(folder / ".dvc" for folder in (root, *root.parents) if (folder / ".dvc").is_dir())
    (dvc / "config.local").write_text(
        f'[cache]\n    dir = "{task.cache}"\n[core]\n    site_cache_dir = "{clone.parent / "site-cache"}"\n'
    )
    attempts = ATTEMPTS if task.remote or task.environment["MLFLOW_TRACKING_URI"].startswith("http") else 1
    output, status = "", 0
    if task.remote:
        status, output = _with_patience(shell, attempts, sys.executable, "-m", "digits.apps.sweep.remote")
    if not status:
        status, logged = _with_patience(shell, attempts, "dvc", "repro")
        output += logged
    ran = tuple(re.findall(r"^Running stage '(.+)':", output, re.MULTILINE))
    if status:
        return Outcome(ran=ran, error=_tail(output))
    return Outcome(json.loads((root / "data/logged.json").read_text())["state"], ran)


def _with_patience(shell: _Shell, attempts: int, *command: str) -> tuple[int, str]:
    """Run a command until it succeeds, as a server or remote may be away. A stage that computes would fail again."""
    outputs = []
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE)
        status, output = shell.run(*command)
        outputs.append(output)
        if not status or re.search(r"failed to reproduce '(?!track')", output):
            break
    return status, "".join(outputs)


def _tail(output: str, lines: int = 5) -> str:
    """The last lines that say something."""
    return "\n".join([line.rstrip() for line in output.splitlines() if line.strip()][-lines:])


def _end_with_worker(shell: _Shell, folder: Path) -> None:
    sys.stdin.read()
    shell.stop()
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.1)  # a process that is being killed still writes
    os._exit(1)


def main() -> None:
    """Run the task that standard input describes."""
    task = Task(**json.loads(sys.stdin.readline()))
    folder = Path(mkdtemp(dir=task.folder, prefix="task-"))
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_ROOT", "DVC_EXP_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    shell = _Shell(folder, inherited | dict(task.environment) | {"PATH": path, "PYTHONPATH": str(SOURCE)})
    threading.Thread(target=_end_with_worker, args=(shell, folder), daemon=True).start()
    try:
        outcome = run(task, folder / "clone", shell)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(asdict(outcome)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
