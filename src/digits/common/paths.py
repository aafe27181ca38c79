"""Where the repository is, and its folder for what neither Git nor DVC keeps."""

import os
from pathlib import Path


def repo_root() -> Path:
    """The folder of dvc.yaml in the user's repository.

    DVC runs an experiment in a temporary copy, the working directory, and names the user's repository in DVC_ROOT.
    Both are the root of DVC's repository, which may be larger: dvc.yaml can be in a subfolder.
    """
    here = Path.cwd()
    original = os.environ.get("DVC_ROOT")
    copy = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), None)
    return Path(original, here.relative_to(copy)).resolve() if original and copy else here


def state_dir() -> Path:
    """The git-ignored folder for checkpoints and run records, which differ each time and so cannot be outputs."""
    return repo_root() / ".digits"
