"""Errors that a user can fix, and how a program ends with one."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Wrong parameters, data or environment. The message says what is wrong, what is allowed and what to do."""


def exit_on_user_error(main: Callable[[], object]) -> None:
    """Run `main`; print an error that the user can fix as plain lines, without a traceback, and exit with status 1.

    Errors of the operating system (a full disk, a missing file, a denied permission) count as such. Everything else is
    a bug and keeps its traceback.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
