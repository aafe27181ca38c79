"""Git's command line."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from digits.common.errors import UserError

# Git sets these for its hooks. Here, the folder says which repository is meant.
OF_A_HOOK = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
NO_SUCH_REVISION = 1  # status of a quiet `git rev-parse`; that of other failures is 128


class GitError(UserError):
    """Git failed; the message is Git's own. `status` is its exit status."""

    def __init__(self, message: str, status: int = 128) -> None:
        super().__init__(message)
        self.status = status


def git(*arguments: str, folder: Path | None = None) -> str:
    """Run Git in a folder, by default the working directory, and return its output.

    Raises:
        GitError: Git failed, or is not installed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # git status would rewrite the user's index
    try:
        ran = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="backslashreplace",  # of names that are not UTF-8
            check=False,
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    if ran.returncode:
        raise GitError(" ".join(ran.stderr.split()) or f"git {arguments[0]} failed", ran.returncode)
    return ran.stdout.rstrip("\n")


def head() -> str:
    """The SHA of the commit that is checked out; empty outside of a repository, and before its first commit.

    Raises:
        GitError: there is a repository that Git cannot or may not read.
    """
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ""
    try:
        return git("rev-parse", "--verify", "--quiet", "HEAD")
    except GitError as error:
        if error.status == NO_SUCH_REVISION:
            return ""
        raise GitError(f"Git cannot tell the commit: {error}") from error


def uncommitted(paths: Iterable[str]) -> list[str]:
    """The files below `paths`, relative to the working directory, that are modified or untracked."""
    absolute = (str(Path(path).absolute()) for path in paths)
    status = git("status", "--porcelain", "--untracked-files=normal", "--", *absolute)
    return [line.split(maxsplit=1)[1] for line in status.splitlines()]
