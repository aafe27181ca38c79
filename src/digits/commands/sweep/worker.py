"""The part of a sweep that runs on a Dask worker: the repository at the sweep's commit, and one task at a time.

It is sent there by value, so a worker needs the locked dependencies, but not this library.
"""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from dvc.utils.hydra import apply_overrides  # undocumented; tried with DVC 3.67

from digits.commands.clone import Clone, CommandError, environment, make_clone

ATTEMPTS = 6
PAUSE = 15  # seconds between attempts, so that an MLflow server may be unreachable for 75 s


@dataclass(eq=False)
class Checkout(WorkerPlugin):
    """The repository on each worker, on those that join later too, and the clones in which tasks run there."""

    name: str  # of the plugin, and of its folder
    bundle: bytes  # a Git bundle of the commit
    commit: str  # its SHA
    subfolder: str  # of the pipeline in the repository
    cache: str  # DVC's; empty for one that the worker's tasks share
    variables: dict[str, str]  # of the environment; they say where to log
    running: dict[Any, Clone] = field(default_factory=dict, init=False)

    def setup(self, worker: Worker) -> None:
        """Unpack the repository."""
        self.folder = Path(worker.local_directory, self.name)
        self.folder.mkdir()
        bundle = self.folder / "bundle"
        bundle.write_bytes(self.bundle)
        command = ["git", "clone", "--quiet", "--bare", str(bundle), str(self.folder / "repository")]
        subprocess.run(command, env=environment(self.folder), check=True)  # noqa: S603
        bundle.unlink()
        self.bundle = b""

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:  # noqa: ARG002
        """End a running task that was cancelled."""
        if finish == "released" and key in self.running:
            self.running[key].stop()

    def teardown(self, worker: Worker) -> None:
        """End all tasks with the worker, and remove the repository."""
        for clone in list(self.running.values()):
            clone.stop()
        while self.running:
            time.sleep(0.1)
        shutil.rmtree(Path(worker.local_directory, self.name), ignore_errors=True)

    def run(self, key: Any, overrides: list[str]) -> dict[str, Any]:
        """Run the pipeline with some params, as for `dvc exp run -S`.

        Returns the `state` that was logged and whether its network was `trained` here, or the `error`.
        """
        cache = self.cache or str(self.folder / "cache")
        options: Any = {"place": self.folder, "cache": cache, "variables": self.variables}
        try:
            with make_clone(self.folder / "repository", self.commit, self.subfolder, **options) as clone:
                self.running[key] = clone
                apply_overrides(clone.root / "params.yaml", overrides)
                _reproduce(clone)
                logged = json.loads((clone.root / "data/logged.json").read_text())
                return {"state": logged["state"], "trained": (clone.root / ".digits/runs").exists()}
        except CommandError as error:
            return {"error": "\n".join(str(error).splitlines()[-5:])}
        finally:
            self.running.pop(key, None)


def _reproduce(clone: Clone) -> None:
    """Run the stages up to `track`. If only `track` fails, try again: the server may be unreachable."""
    for attempt in reversed(range(ATTEMPTS)):
        try:
            clone.dvc("repro", "track")
        except CommandError:
            changed = json.loads(clone.dvc("status", "--json", "--with-deps", "track")[-1])
            if set(changed) != {"track"} or not attempt:
                raise
            time.sleep(PAUSE)
        else:
            break


def run_task(name: str, overrides: list[str]) -> dict[str, Any]:
    """Run a task on this worker, in the checkout of the plugin `name`."""
    worker = get_worker()
    checkout: Any = worker.plugins[name]
    outcome: dict[str, Any] = checkout.run(worker.get_current_task(), overrides)
    return outcome
