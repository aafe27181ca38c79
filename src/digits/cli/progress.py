"""Progress bars of commands that take long; on stderr, so that stdout has the results alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from digits.common.errors import UserError

if TYPE_CHECKING:
    from digits.apps.sweep.driver import Result
    from digits.apps.sweep.grid import Configuration


class Bar:
    """One bar, which is drawn as long as the block of `bar` runs."""

    def __init__(self, progress: Progress, description: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total)

    def advance(self) -> None:
        """One step more is done."""
        self._progress.advance(self._task)

    def print(self, text: str) -> None:
        """Print lines above the bar."""
        self._progress.console.out(text, highlight=False)


@contextmanager
def bar(description: str, total: int) -> Iterator[Bar]:
    """A bar with so many steps."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn once per second, because drawing takes time from the training runs.
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=1) as progress:
        yield Bar(progress, description, total)


def sweep(
    configurations: Sequence["Configuration"], scheduler: str | None = None, workers: int | None = None
) -> tuple[str, list["Result"]]:
    """Run `driver.sweep` with a bar; a configuration that fails is printed at once.

    Returns the name of the sweep, and the result of each configuration as they came.

    Raises:
        UserError: nothing was run, see `driver.sweep`, or a library is missing.
    """
    try:
        from digits.apps.sweep import driver  # slow to import: MLflow and Dask
    except ModuleNotFoundError as error:
        raise UserError(f"a sweep needs {error.name}; install it with: make setup") from error

    results: list[Result] = []
    with bar("Configurations", len(configurations)) as shown:

        def on_result(result: "Result") -> None:
            results.append(result)
            shown.advance()
            if result.error:
                shown.print(f"{result.configuration} failed:\n{result.error}")

        return driver.sweep(configurations, on_result, scheduler, workers), results
