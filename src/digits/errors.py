"""How a stage runs, and how it tells a person that the input is at fault: plain lines, no traceback."""

import gc
import os
import sys
from collections.abc import Callable


class InputError(Exception):
    """A fault in the parameters, the data or their surroundings; the message says how to mend it."""


def run_stage(main: Callable[[], object]) -> None:
    """Run a stage's `main`, then end the process; what the user can mend ends it with a message and exit status 1.

    Operating-system errors (a full disk, a missing file, a denied permission) count as such. Anything else is
    a bug and keeps its traceback.
    """
    gc.disable()  # the import of TensorFlow takes a third less without; no stage makes cycles that would add up
    try:
        main()
    except (InputError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all files are closed; taking TensorFlow down object by object takes half a second
