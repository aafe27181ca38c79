"""Git's command line."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from digits.common.errors import UserError


class GitError(UserError):
    """Git failed; the message is Git's own."""


def git(*arguments: str, folder: Path | None = None) -> str:
    """Run Git in a folder, by default the working directory, and return its output.

    Raises:
        GitError: Git failed, or is not installed.
    """
    try:
        ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    if ran.returncode:
        raise GitError(ran.stderr.strip() or f"git {arguments[0]} failed")
    return ran.stdout.rstrip("\n")


def uncommitted(paths: Iterable[str]) -> list[str]:
    """The files below `paths`, relative to the working directory, that are modified or untracked."""
    status = git("status", "--porcelain", "--", *(str(Path(path).absolute()) for path in paths))
    return [line.split(maxsplit=1)[1] for line in status.splitlines()]
