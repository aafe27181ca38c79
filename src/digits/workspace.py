"""Where the repository is, and what it remembers outside of Git and DVC."""

import os
from pathlib import Path


def root() -> Path:
    """The repository's root, which DVC names even while it runs an experiment in a temporary copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def memory() -> Path:
    """The git-ignored folder at the root for what no output may hold, since it differs every time."""
    return root() / ".digits"
