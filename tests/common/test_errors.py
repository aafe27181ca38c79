"""Errors that end a program in a plain line, and those that keep their traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.common import errors
from digits.common.errors import UserError, exit_on_user_error

SOURCE = Path(errors.__file__).parents[2]


@pytest.mark.parametrize("error", [UserError("no such thing"), OSError("no such thing")])
def test_user_error_is_a_line(error: Exception) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        exit_on_user_error(main)
    assert ended.value.code == "no such thing", "which Python prints to stderr, with exit status 1"


def test_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_on_user_error(lambda: 1 / 0)


def test_interrupted_stage_ends_as_shells_expect() -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        exit_on_user_error(main)
    assert ended.value.code == 130


def run(main: str) -> "subprocess.CompletedProcess[str]":
    """A stage whose `main` is a lambda's body, its output buffered in a pipe."""
    script = f"from digits.common.errors import UserError, exit_on_user_error\n{main}"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": ""}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_output_arrives_in_a_pipe() -> None:
    ended = run("exit_on_user_error(lambda: print('output'))")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "output\n", "")


def test_error_arrives_in_a_pipe() -> None:
    ended = run("def main():\n    raise UserError('two\\nlines')\nexit_on_user_error(main)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "two\nlines\n")
