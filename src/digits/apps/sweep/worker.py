"""What Dask runs on a worker. It is sent there by value, so a worker needs the libraries of the lock, not this one."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from distributed import Worker, WorkerPlugin, get_worker


class Checkout(WorkerPlugin):
    """The repository on each worker, those included that join later, and the tasks that run there.

    Args:
        name: of the plugin, and of its folder.
        bundle: a Git bundle, whose HEAD is to be checked out.
        subfolder: of the pipeline in the repository.
    """

    def __init__(self, name: str, bundle: bytes, subfolder: str) -> None:
        self.name = name
        self.bundle = bundle
        self.subfolder = subfolder
        self.running: dict[Any, IO[str]] = {}  # what keeps a task going, as long as it is open

    def setup(self, worker: Worker) -> None:
        """Unpack the repository."""
        self.folder = Path(worker.local_directory, self.name)
        self.folder.mkdir()
        bundle = self.folder / "bundle"
        bundle.write_bytes(self.bundle)
        clone = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet"]
        subprocess.run([*clone, str(bundle), str(self.folder / "repository")], check=True)  # noqa: S603
        bundle.unlink()
        self.bundle = b""

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:  # noqa: ARG002
        """End a running task that nobody waits for any more."""
        if finish == "released" and key in self.running:
            self.running[key].close()

    def teardown(self, worker: Worker) -> None:
        """End all tasks with the worker, and remove the repository."""
        for pipe in list(self.running.values()):
            pipe.close()
        while self.running:
            time.sleep(0.1)
        shutil.rmtree(Path(worker.local_directory, self.name), ignore_errors=True)

    def run(self, key: Any, task: dict[str, Any]) -> dict[str, Any]:
        """Run a task, see `task.Task`, with the library of the commit; returns a `task.Outcome` as a dict."""
        here = {
            "repository": str(self.folder / "repository"),
            "subfolder": self.subfolder,
            "folder": str(self.folder),
            "cache": task["cache"] or str(self.folder / "cache"),
        }
        reader, writer = os.pipe()
        with os.fdopen(writer, "w") as pipe:
            self.running[key] = pipe
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "digits.apps.sweep.task"],
                    env={**os.environ, "PYTHONPATH": str(self.folder / "repository" / self.subfolder / "src")},
                    stdin=reader,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,  # a Ctrl-C in the terminal is for the driver, which cancels the task
                )
                os.close(reader)
                pipe.write(json.dumps(task | here) + "\n")
                pipe.flush()
                output, _ = process.communicate()
            finally:
                del self.running[key]
        if process.returncode:
            raise RuntimeError(f"the task ended with status {process.returncode}: {output[-500:]}")
        outcome: dict[str, Any] = json.loads(output.splitlines()[-1])
        return outcome


def run_task(name: str, task: dict[str, Any]) -> dict[str, Any]:
    """Run a task on this worker, in the checkout of the plugin `name`."""
    worker = get_worker()
    checkout: Any = worker.plugins[name]
    outcome: dict[str, Any] = checkout.run(worker.get_current_task(), task)
    return outcome
