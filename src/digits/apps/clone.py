"""A temporary clone of the repository, in which nothing can be restored from a cache."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import git

from digits.common import paths
from digits.common.errors import UserError

DVC_FOLDERS = ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
SHOWN_LINES = 20  # of the output of a command that fails


@dataclass(frozen=True)
class Clone:
    """A clone with an empty DVC cache.

    Attributes:
        root: the folder of dvc.yaml in it.
        environment: of its processes.
    """

    root: Path
    environment: dict[str, str]

    def dvc(self, *arguments: str, on_line: Callable[[str], object] = len) -> list[str]:
        """Run DVC, call `on_line` with each line of its output, and return them all, stderr's too.

        Raises:
            UserError: the command failed; the message has the last lines.
        """
        command = [sys.executable, "-m", "dvc", *arguments]
        lines = []
        # A session of its own, so that an interruption can end what DVC has started, too.
        with subprocess.Popen(  # noqa: S603
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                for line in process.stdout or ():
                    lines.append(line.rstrip())
                    on_line(lines[-1])
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()  # until the last of them has closed its output
                raise
        if process.returncode:
            raise UserError("\n".join([f"`dvc {arguments[0]}` failed:", *lines[-SHOWN_LINES:]]))
        return lines

    def rebuild(self, stages: Iterable[str], show_stage: Callable[[str], object]) -> None:
        """Run these stages, whatever dvc.lock says, and call `show_stage` with the name of each when it starts.

        Raises:
            UserError: a stage failed.
        """
        (self.root / "dvc.lock").unlink()  # so that the new one is in the order of the pipeline

        def on_line(line: str) -> None:
            if line.startswith("Running stage '"):
                show_stage(line.split("'")[1])

        self.dvc("repro", "--force", "--no-run-cache", *stages, on_line=on_line)


@contextmanager
def at_commit(commit: str) -> Iterator[Clone]:
    """A clone of the repository in the working directory at `commit`, removed after the block.

    Raises:
        UserError: there is no repository, or it does not have the commit.
    """
    with TemporaryDirectory(prefix="digits-") as name:
        folder = Path(name)
        yield Clone(_check_out(commit, folder / "repository"), _environment(folder))


def _check_out(commit: str, target: Path) -> Path:
    """Clone the repository to `target`, check out `commit`, and return the folder of dvc.yaml."""
    root = paths.repo_root()
    try:
        with git.Repo(root, search_parent_directories=True, expand_vars=False) as original:
            _check_commit(original, commit)
            with git.Repo.clone_from(original.common_dir, target, shared=True, no_checkout=True) as copy:
                copy.git.checkout(commit)
            return target / root.relative_to(original.working_dir)
    except git.InvalidGitRepositoryError as error:
        raise UserError(f"{root} is not in a Git repository; change to the one that has commit {commit}") from error
    except git.GitCommandError as error:
        raise UserError(f"{root} cannot be cloned at commit {commit}: {' '.join(str(error).split())}") from error


def _check_commit(repository: git.Repo, commit: str) -> None:
    if not re.fullmatch("[0-9a-f]{40,64}", commit):  # it may come from anywhere, and is an argument of git
        raise UserError(f"{commit!r} is not the SHA of a commit")
    try:
        repository.git.cat_file("-e", f"{commit}^{{commit}}")
    except git.GitCommandError as error:
        raise UserError(f"commit {commit} is not in this repository; get it with: git fetch --all") from error


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment, with settings, caches and temporary files of DVC and MLflow in `folder` instead."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    kept.pop("PYTHONPATH", None)
    (folder / "tmp").mkdir()
    own = {name: str(folder / name.lower()) for name in DVC_FOLDERS} | {"TMPDIR": str(folder / "tmp")}
    return kept | own | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
