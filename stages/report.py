"""Stage report: the results on one page, reports/README.md."""

from digits import params
from digits.common import files, paths
from digits.common.errors import exit_on_user_error
from digits.report import page


def main() -> None:
    settings = params.load()
    files.write_bytes(paths.RESULTS_PAGE, page.render(settings.normalize, settings.train, settings.recipe).encode())


if __name__ == "__main__":
    exit_on_user_error(main)
