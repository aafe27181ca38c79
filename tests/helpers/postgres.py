"""A throw-away PostgreSQL cluster.

PostgreSQL refuses to run as root. Tests that do, as in CI, run it as the user `postgres`, which Debian's package has.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

DEBIAN = Path("/usr/lib/postgresql")  # has a folder for each version; only psql and the like are on PATH
# Nothing has to survive the machine.
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "listen_addresses=")


def find(program: str) -> str | None:
    """The path of one of PostgreSQL's programs, or None."""
    installed = sorted(DEBIAN.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(program) or (str(installed[-1]) if installed else None)


@dataclass(frozen=True)
class Cluster:
    """A running cluster that only this machine reaches, through a socket in `folder`."""

    folder: Path

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URI."""
        subprocess.run([str(find("createdb")), f"--host={self.folder}", "--username=postgres", name], check=True)
        return f"postgresql+psycopg2://postgres@/{name}?host={self.folder}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A new cluster, stopped and removed when the block ends."""
    # Not in pytest's temporary folder, which is closed to other users; the socket's path must be short, too.
    with TemporaryDirectory(prefix="postgres-") as name:
        folder, user = Path(name), dict[str, Any]()
        if os.geteuid() == 0:
            user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres", "postgres")
        data, log = folder / "data", folder / "log"
        initialize = [str(find("initdb")), "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"]
        subprocess.run([*initialize, "--no-sync", data], **user, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        settings = [f"--{setting}" for setting in SETTINGS]
        with log.open("wb") as output:
            running = subprocess.Popen(
                [str(find("postgres")), "-D", data, "-k", folder, *settings],
                **user,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(folder / "data/postmaster.pid", running, log)
            yield Cluster(folder)
        finally:
            running.send_signal(signal.SIGINT)  # disconnects the clients; SIGTERM would wait for them
            running.wait()


def wait_for(pid_file: Path, running: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the cluster accepts connections, as its file says; fails if it ends, or after a minute, with its output."""
    for _ in range(600):
        if pid_file.exists() and "ready" in pid_file.read_text():
            return
        if running.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(log.read_text())
