"""What ends a stage in a line, and what must not."""

import pytest

from digits.errors import InputError, run_stage


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
