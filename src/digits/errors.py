"""How a stage tells a person that the input is at fault: plain lines, no traceback."""

import sys
from collections.abc import Callable


class InputError(Exception):
    """A fault in the parameters, the data or their surroundings; the message says how to mend it."""


def run_stage(main: Callable[[], object]) -> None:
    """Run a stage's `main`; what the user can mend ends the process with its message and exit status 1.

    Operating-system errors (a full disk, a missing file, a denied permission) count as such. Anything else is
    a bug and keeps its traceback.
    """
    try:
        main()
    except (InputError, OSError) as error:
        sys.exit(str(error))
