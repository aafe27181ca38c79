"""Run the pipeline in a temporary clone of a commit, and end everything that it started.

It imports nothing from this library, so that it can be sent to a machine that does not have it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

REPLACED = ("DVC_", "GIT_", "MLFLOW_", "PYTHONPATH")  # variables, by how they begin
# Git has read the repository already, as its user may. This configuration takes the place of the user's: no hooks.
GIT_CONFIG = """
[safe]
    directory = *
"""
DVC_FOLDERS = ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
SHOWN_LINES = 20  # of the output of a command that fails

# Reads the process groups that run, one after the other. When its input is closed, on purpose or because this process
# was killed, it ends the last group and removes the folder.
GUARD = """
while read -r line; do group=$line; done
[ -z "$group" ] || kill -s KILL -- "-$group" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$0" 2>/dev/null && break; sleep 0.1; done
"""


class CommandError(Exception):
    """A command failed; the message has the last lines of its output."""


class Clone:
    """A clone in a temporary folder, which `stop` removes. `root` is the folder of its dvc.yaml."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment(folder) | dict(variables)
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", GUARD, str(folder)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.root = folder

    def run(self, *command: str, on_line: Callable[[str], object] | None = None) -> list[str]:
        """Run a command in `root`, call `on_line` with each line of its output, and return all, including stderr.

        Raises:
            CommandError: it failed, or the clone was stopped.
        """
        lines = []
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a group of its own
        )
        try:
            self._tell_guard(str(process.pid))
            for line in process.stdout or ():
                lines.append(line.rstrip())
                if on_line:
                    on_line(lines[-1])
            status = process.wait()
            self._tell_guard("")
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            if process.stdout:
                process.stdout.close()
        if status:
            raise CommandError("\n".join([f"`{' '.join(command[:3])}` failed:", *lines[-SHOWN_LINES:]]))
        return lines

    def dvc(self, *arguments: str, on_line: Callable[[str], object] | None = None) -> list[str]:
        """Run DVC as `run` does."""
        return self.run(str(Path(sys.executable).with_name("dvc")), *arguments, on_line=on_line)

    def stop(self) -> None:
        """Kill the running command, refuse others, and remove the folder."""
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.close()
        self._guard.wait()

    def _tell_guard(self, group: str) -> None:
        if not self._guard.stdin or self._guard.stdin.closed:
            raise CommandError("the clone was stopped")
        self._guard.stdin.write(f"{group}\n")
        self._guard.stdin.flush()


@contextmanager
def make_clone(
    repository: Path,
    commit: str,
    subfolder: str = ".",
    *,
    place: Path | None = None,
    cache: str = "",
    variables: Mapping[str, str] | None = None,
) -> Iterator[Clone]:
    """A clone of `repository` at `commit`, stopped and removed after the block.

    Args:
        repository: on this machine.
        commit: its SHA.
        subfolder: of dvc.yaml in the repository.
        place: a folder for the clone; by default the one for temporary files.
        cache: DVC's cache; by default a new, empty one.
        variables: environment variables of all commands.

    Raises:
        CommandError: the commit is not there.
    """
    clone = Clone(Path(mkdtemp(prefix="digits-", dir=place)), variables or {})
    try:
        target = clone.root / "clone"
        clone.run("git", "clone", "--quiet", "--shared", "--no-checkout", "--", str(repository), str(target))
        clone.root = target
        clone.run("git", "checkout", "--quiet", "--detach", commit)
        clone.root = target / subfolder
        if cache:
            clone.dvc("config", "--local", "cache.dir", cache)
        yield clone
    finally:
        clone.stop()


def environment(folder: Path) -> dict[str, str]:
    """This process's environment, with the settings of DVC and Git, and all temporary files, in `folder` instead."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(REPLACED)}
    (folder / "tmp").mkdir()
    (folder / "gitconfig").write_text(GIT_CONFIG)
    own = {name: str(folder / name.lower()) for name in DVC_FOLDERS} | {"TMPDIR": str(folder / "tmp")}
    own |= {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
    return kept | own | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
