"""What ends a stage in a line, and what must not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.errors import InputError, run_stage

SOURCE = Path(__file__).parents[1] / "src"


@pytest.mark.parametrize("error", [InputError("no such thing"), OSError("no such thing")])
def test_what_the_user_can_mend_is_a_line(error: Exception) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run_stage(main)
    assert ended.value.code == "no such thing", "which Python prints to stderr, with exit status 1"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_stage(lambda: 1 / 0)


def test_what_a_stage_said_arrives() -> None:
    """Through a pipe, which Python fills before it writes; the process ends without the interpreter's own end."""
    stage = "from digits.errors import run_stage; run_stage(lambda: print('said'))"
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    assert subprocess.check_output([sys.executable, "-c", stage], cwd=SOURCE, env=buffered, text=True) == "said\n"
