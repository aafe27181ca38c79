"""How a stage script runs its `main`."""

import sys
from collections.abc import Callable

from digits.common.errors import UserError


def run_stage(main: Callable[[], object]) -> None:
    """Run `main`; print what the user can fix as plain lines, without a traceback, and exit with status 1.

    Errors of the operating system (a full disk, a missing file, a denied permission) count as such. Everything else is
    a bug and keeps its traceback.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
