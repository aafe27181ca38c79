"""Stage fetch: the dataset's four published files, verified, in data/raw."""

from digits import params
from digits.common import paths
from digits.common.errors import exit_on_user_error
from digits.data import download


def main() -> None:
    download.fetch(params.load().fetch.dataset, paths.RAW)


if __name__ == "__main__":
    exit_on_user_error(main)
