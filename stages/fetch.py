"""Stage fetch: the dataset's four published files, verified, into data/raw."""

from pathlib import Path

from digits import artifacts, datasets, params, workspace
from digits.errors import run_stage


def main() -> None:
    """Fetch the dataset that params.yaml names."""
    settings = params.load().fetch
    try:
        datasets.fetch(settings.dataset, Path("data/raw"))
    except datasets.NoSourceError:
        # Only if this file is there does `make repro` go on with the stand-in: no other failure may end so.
        if settings.dataset == "mnist":
            artifacts.write_bytes(workspace.memory() / "no-source", b"")
        raise


if __name__ == "__main__":
    run_stage(main)
