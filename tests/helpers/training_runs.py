"""Machines that train a made-up network with `dvc repro`, watched by the real follower, and log it to MLflow.

The pipeline is made up but for `track`: an epoch takes a fraction of a second, and nothing imports TensorFlow.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from ruamel.yaml import YAML

from helpers import browser
from helpers.factories import make_results, write_yaml
from helpers.mlflow_runs import assert_complete
from helpers.publishers import STAGE, environment
from helpers.sandbox import IDENTITY

EPOCHS, ACCURACY = 6, 0.97

# Takes its pace from the environment, so that a slow machine trains the same. Resumes, as the stage `train` does.
TRAINER = """
import hashlib, json, os, time
from pathlib import Path
import numpy as np
from digits.common import files, paths, run_record
from digits.common.errors import UserError, exit_on_user_error
from digits.live import observer

EPOCHS, ACCURACY = 6, 0.97
IDENTITY = hashlib.sha256(b"".join(Path(name).read_bytes() for name in ("train.py", "params.yaml"))).hexdigest()
PAUSE, FAILING = float(os.environ["PAUSE"]), int(os.environ["FAILING"])
observer.DELAY = 0
observer.give_way = lambda pid: None  # other tests leave no core idle
checkpoint = paths.state_dir() / "checkpoints" / f"{IDENTITY}.npz"

def train():
    history = []
    if checkpoint.exists():
        history = json.loads(str(files.read_arrays(checkpoint, "history")[0]))
    with observer.observed(checkpoint):
        for epoch in range(len(history) + 1, EPOCHS + 1):
            time.sleep(PAUSE)
            if epoch == FAILING:
                raise UserError("Training diverged")
            row = {"epoch": epoch, "loss": 1 / epoch, "accuracy": 1 - 0.1 / epoch}
            row |= {"val_loss": 1 / epoch, "val_accuracy": ACCURACY - 0.1 / epoch, "seconds": PAUSE * epoch}
            history.append(row)
            files.write_arrays(checkpoint, history=np.array(json.dumps(history)))
            print("epoch", epoch, flush=True)
        files.write_bytes(paths.MODEL, b"weights after %d epochs" % EPOCHS)
    run_record.save(paths.MODEL, time.time() - EPOCHS * PAUSE, EPOCHS * PAUSE, training=IDENTITY)
    checkpoint.unlink(missing_ok=True)

exit_on_user_error(train)
"""


@dataclass(frozen=True)
class Machine:
    """A repository with its own DVC cache, and the store and experiment that it logs to."""

    tree: Path
    uri: str
    experiment: str = "digits"
    pause: float = 0.3  # seconds per epoch
    failing: int = 0  # the epoch that diverges, if any

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes."""
        pace = {"PAUSE": str(self.pause), "FAILING": str(self.failing)}
        return environment(self.uri) | pace | {"MLFLOW_EXPERIMENT_NAME": self.experiment}

    def start(self, command: str = "repro") -> "subprocess.Popen[str]":
        """Start `dvc repro`, or another command of DVC."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("dvc")), *command.split()],
            cwd=self.tree,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def dvc(self, command: str = "repro") -> str:
        """Run `dvc repro`, or another command of DVC, which must succeed; standard error."""
        lock = self.tree / ".dvc/tmp/rwlock"
        if lock.exists() and not lock.read_text():  # DVC was killed while it wrote its lock, and asks for its removal
            lock.unlink()
        with self.start(command) as process:
            _, errors = process.communicate()
        assert process.returncode == 0, errors
        return errors

    def restore(self) -> None:
        """Lose the outputs and dvc.lock's entries, and let DVC restore them from its cache."""
        for path in ("data/model.keras", "data/normalized.npz", "dvc.lock"):
            (self.tree / path).unlink(missing_ok=True)
        self.dvc()


def make_machine(tree: Path, uri: str, experiment: str = "digits") -> Machine:
    """A repository in which nothing has run."""
    tree.mkdir()
    with chdir(tree):
        make_results(tree, EPOCHS, ACCURACY)
    (tree / "made").mkdir()
    for path in ("raw", "normalized.npz"):
        shutil.move(tree / "data" / path, tree / "made" / path)
    for path in ("data/model.keras", "dvc.lock"):
        (tree / path).unlink()
    (tree / "train.py").write_text(TRAINER)
    params = list(YAML(typ="safe").load(tree / "params.yaml"))
    sections = [name for name in params if name != "recipes"] + ["recipes.tutorial"]
    data = ["data/raw", "data/normalized.npz"]
    logged: dict[str, Any] = {"data/logged.json": {"cache": False, "persist": True}}
    stages = {
        "prepare": {"cmd": "cp -r made/. data", "deps": ["made"], "outs": data},
        "train": {
            "cmd": f"{sys.executable} train.py",
            "params": sections,
            "deps": ["train.py", "data/normalized.npz"],
            "outs": ["data/model.keras"],
        },
        "track": {"cmd": f"{sys.executable} {STAGE}", "deps": [*data, "data/model.keras"], "outs": [logged]},
    }
    write_yaml(tree / "dvc.yaml", {"stages": stages})
    return Machine(tree, uri, experiment)


def make_git_repository(machine: Machine) -> None:
    """Commit the files of the machine's repository, for experiments."""
    (machine.tree / ".dvc/config").write_text("[core]\nanalytics = false\n")
    (machine.tree / ".gitignore").write_text("/data/raw\n/data/*.npz\n/data/*.keras\n/data/logged.json\n/.digits\n")
    for command in ("init -q", "add .", "commit -qm all"):
        subprocess.run(["git", *command.split()], cwd=machine.tree, env=os.environ | IDENTITY, check=True)


class Server:
    """An MLflow server that can be paused, or killed and started again at the same address; by one thread at a time."""

    def __init__(self, folder: Path, backend: str) -> None:
        self._lock = Lock()
        self._port = browser.free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._folder, self._backend = folder, backend
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        mlflow = str(Path(sys.executable).with_name("mlflow"))
        command = [mlflow, "server", "--workers", "1", "--port", str(self._port), "--backend-store-uri", self._backend]
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--artifacts-destination", str(self._folder / "artifacts")],
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        browser.wait_for(f"{self.uri}/health", self._process, log)

    def pause(self, seconds: float) -> None:
        """Stop answering for some seconds."""
        with self._lock:
            os.killpg(self._process.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self, pause: float) -> None:
        """End it by SIGKILL, and start it some seconds later."""
        with self._lock:
            self.kill()
            time.sleep(pause)
            self.start()


def trainers(tree: Path) -> list[psutil.Process]:
    """The processes that train in `tree`, orphans too."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline()[-1:] == ["train.py"] and Path(process.cwd()) == tree:
                found.append(process)
    return found


@dataclass
class Schedule:
    """Machines that train at once, with faults drawn from a seed."""

    machines: list[Machine]
    chance: random.Random
    server: Server | None = None
    events: list[str] = field(default_factory=list)
    running: dict[int, "subprocess.Popen[str]"] = field(default_factory=dict)  # DVC's processes, by machine
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def disturb(self) -> None:
        """Train on all machines, and let the faults happen."""
        faults: list[Callable[[], object]] = [self.kill_train, self.kill_dvc, self.kill_all]
        if self.server:
            faults += [self.pause_server, self.kill_server]
        for _ in range(self.chance.randint(1, 4)):
            for number, machine in enumerate(self.machines):
                if number not in self.running or self.running[number].poll() is not None:
                    self.running[number] = machine.start()
                    self.started.append(self.running[number])
            time.sleep(self.chance.uniform(1, 6))
            fault = self.chance.choice(faults)
            self.events.append(fault.__name__)
            fault()

    def finish(self) -> None:
        """Run everything to its end, and let DVC restore some results from its cache."""
        for process in self.started:
            process.communicate()
        for machine in self.machines:
            psutil.wait_procs(trainers(machine.tree))
            machine.dvc()
            if self.chance.random() < 0.5:
                self.events.append("restore")
                machine.restore()

    def choose(self) -> int:
        """A machine."""
        return self.chance.randrange(len(self.machines))

    def kill_train(self) -> None:
        """SIGKILL to training alone: its follower sees the end of its stdin."""
        for process in trainers(self.machines[self.choose()].tree):
            with suppress(psutil.Error):
                process.kill()

    def kill_dvc(self) -> None:
        """SIGKILL to DVC alone: training goes on without it."""
        self.running[self.choose()].kill()

    def kill_all(self) -> None:
        """SIGKILL to DVC, training and follower."""
        with suppress(ProcessLookupError):
            os.killpg(self.running[self.choose()].pid, signal.SIGKILL)

    def pause_server(self) -> None:
        """The server is silent for a while."""
        assert self.server
        self.server.pause(self.chance.uniform(0.5, 8))

    def kill_server(self) -> None:
        """The server is gone for a while."""
        assert self.server
        self.server.restart(self.chance.uniform(0, 3))


def live_runs(machine: Machine) -> list[Run]:
    """The active runs of the machine's experiment."""
    client = MlflowClient(machine.uri)
    found = client.get_experiment_by_name(machine.experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def epochs_logged(machine: Machine) -> list[int]:
    """The epochs whose loss can be read from the one run."""
    (run,) = live_runs(machine)
    return sorted(metric.step for metric in MlflowClient(machine.uri).get_metric_history(run.info.run_id, "loss"))


def wait_for_epochs(machine: Machine, number: int) -> None:
    """Until so many epochs are logged."""
    for _ in range(600):
        if live_runs(machine) and len(epochs_logged(machine)) >= number:
            return
        time.sleep(0.1)
    pytest.fail("the run does not appear")


def assert_watched(machine: Machine) -> Run:
    """While the machine runs its pipeline, each epoch can be read within two seconds; the run, as it was then."""
    with machine.start() as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("epoch "):
                epoch = int(line.split()[1])
                until = time.monotonic() + (30 if epoch == 1 else 2)  # the follower starts during the first
                while not live_runs(machine) or epoch not in epochs_logged(machine):
                    assert time.monotonic() < until, f"epoch {epoch}"
                    time.sleep(0.1)
                (live,) = live_runs(machine)
                assert live.info.status == "RUNNING"
                assert live.data.params["train.recipe"] == "tutorial"
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    return live


def assert_one_run(machine: Machine) -> Run:
    """The experiment has one run, complete and finished."""
    (run,) = live_runs(machine)
    assert_complete(MlflowClient(machine.uri), run, machine.tree)
    return run


def paced(machine: Machine, pause: float, failing: int = 0) -> Machine:
    """The same machine, with other seconds per epoch, or an epoch that diverges."""
    return replace(machine, pause=pause, failing=failing)
