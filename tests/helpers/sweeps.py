"""Running sweeps in the background, and looking at what their workers do."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from helpers.network import LOOPBACK, Host
from helpers.sandbox import PARAMS, Sandbox

T = TypeVar("T")

FEW = {**PARAMS, "normalize.train_size": 500, "normalize.validation_size": 200, "recipes.tutorial.epochs": 2}


def start(sandbox: Sandbox, *command: str) -> subprocess.Popen[bytes]:
    """Start a command, which prints to sweep.log."""
    with (sandbox.root / "sweep.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=sandbox.root,
            env=sandbox.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # As in a terminal, also where the tests run in the background of a script.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def wait(sandbox: Sandbox, started: subprocess.Popen[bytes]) -> str:
    """Wait for the end of what `start` started; what it printed."""
    started.wait(600)
    return (sandbox.root / "sweep.log").read_text()


def wait_until(condition: Callable[[], T], seconds: float = 120) -> T:
    """Wait for a true value, and return it; fails if it takes minutes, as only something broken does."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return value


def processes_in(folder: Path, argument: str = "") -> dict[psutil.Process, Path]:
    """Every process that works inside a folder, or those that have an argument, with their working directories."""
    found = {}
    for process in psutil.process_iter():
        try:
            here = Path(process.cwd())
            if here.is_relative_to(folder) and (not argument or argument in process.cmdline()):
                found[process] = here
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def training(folder: Path) -> dict[psutil.Process, Path]:
    """The processes of stage train below a folder, with their clones."""
    return processes_in(folder, "stages/train.py")


def clones(folder: Path) -> list[Path]:
    return list(folder.rglob("dvc.yaml"))


@contextmanager
def dask(folder: Path, workers: int, hosts: Sequence[Host] = (LOOPBACK, LOOPBACK)) -> Iterator[str]:
    """A scheduler on one host, and on another workers that cannot import the library; gives the scheduler's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    address = f"tcp://{hosts[0].address}:{port}"
    without = "import sys; sys.modules['digits'] = None; from distributed.cli import dask_worker as w; w.main()"
    again = ("sh", "-c", 'while "$@"; do sleep 1; done', "worker")  # a worker ends when it loses the scheduler
    options = ("--nthreads", "1", "--no-dashboard")
    commands = [
        hosts[0].command(
            str(Path(sys.executable).with_name("dask")),
            "scheduler",
            "--host",
            hosts[0].address,
            "--port",
            port,
            "--no-dashboard",
        ),
        *[
            hosts[1].command(*again, sys.executable, "-c", without, address, "--host", hosts[1].address, *options)
            for _ in range(workers)
        ],
    ]
    started = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"{number}.log").open("w") as log:
                place = ["--local-directory", str(folder)] if number else []
                command = [*command, *place]
                process = subprocess.Popen(
                    command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
                started.append(process)
        yield address
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
