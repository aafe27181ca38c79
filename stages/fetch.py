"""Stage fetch: the dataset's four published files, verified, in data/raw."""

from pathlib import Path

from digits import params
from digits.common.stage import run_stage
from digits.data import download


def main() -> None:
    """Fetch the dataset that params.yaml names."""
    dataset = params.load().fetch.dataset
    download.fetch(dataset, Path("data/raw"))


if __name__ == "__main__":
    run_stage(main)
