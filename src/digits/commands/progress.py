"""A progress bar for commands that take long; on stderr, so that stdout has the results alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """One bar, which is drawn while the block of `bar` runs."""

    def __init__(self, progress: Progress, description: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total)

    def advance(self) -> None:
        """Complete one more step."""
        self._progress.advance(self._task)

    def print(self, text: str) -> None:
        """Print lines above the bar."""
        self._progress.console.out(text, highlight=False)


@contextmanager
def bar(description: str, total: int) -> Iterator[Bar]:
    """A bar of `total` steps."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn once per second, because drawing takes time from the training runs.
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=1) as progress:
        yield Bar(progress, description, total)
