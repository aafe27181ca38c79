"""`digits predict`: the digit that each picture shows, as a table or as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from digits.commands.predict import pictures
from digits.commands.predict.pictures import Picture
from digits.common.errors import UserError
from digits.common.types import CLASSES, Probabilities

TABLE_WIDTH = 80  # columns; with fewer, the table has only the digit's probability


def predict(files: Sequence[str], model: str, *, as_json: bool = False, save_plot: Path | None = None) -> None:
    """Print the answers for files (`-` is standard input).

    Raises:
        UserError: one line for each picture that cannot be read or does not show one digit, once the others are
            answered.
    """
    if save_plot and save_plot.suffix != ".png":
        raise UserError(f"--save-plot {save_plot}: must end in .png")
    names, read, errors = _read_all(files)
    probabilities = np.empty((0, CLASSES), np.float32)
    if read:
        from digits.commands.predict import models  # imports TensorFlow, which takes seconds

        probabilities = models.load(model)(np.stack([picture.seen for picture in read]))
    if as_json:
        print(json.dumps([_record(*row) for row in zip(names, probabilities, strict=True)], indent=2))
    elif read:
        console = Console()
        console.print(_table(names, probabilities, is_narrow=console.width < TABLE_WIDTH))
    if save_plot and read:
        _save_plot(save_plot, read, probabilities)
    if errors:
        raise UserError("\n".join(errors))


def _read_all(files: Sequence[str]) -> tuple[list[str], list[Picture], list[str]]:
    """The names of the pictures that were read, the pictures, and a line for each file without a digit."""
    names, read, errors = [], [], []
    for name in files:
        try:
            read.append(pictures.read(_read_stdin() if name == "-" else Path(name).read_bytes()))
            names.append(name)
        except OSError as error:
            errors.append(f"{name}: {error.strerror}")
        except UserError as error:
            errors.append(f"{name}: {error}")
    return names, read, errors


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise UserError("standard input is closed")
    return sys.stdin.buffer.read()


def _record(name: str, probabilities: Probabilities) -> dict[str, object]:
    rounded = [round(float(probability), 6) for probability in probabilities]
    return {"file": name, "digit": int(probabilities.argmax()), "probabilities": rounded}


def _table(names: Sequence[str], probabilities: Probabilities, *, is_narrow: bool) -> Table:
    """A row per picture: its name, its digit, and the probability of each digit, or of this one if that is too wide."""
    shown = ["%"] if is_narrow else [str(digit) for digit in range(CLASSES)]
    table = Table(Column("file", overflow="fold"), "digit", box=SIMPLE, padding=(0, 1, 0, 0))
    table.caption = "Probabilities in percent"
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for name, row in zip(names, 100 * probabilities, strict=True):
        percents = [row.max()] if is_narrow else row
        table.add_row(escape(name), f"[bold]{row.argmax()}[/bold]", *(f"{percent:.1f}" for percent in percents))
    return table


def _save_plot(path: Path, shown: Sequence[Picture], probabilities: Probabilities) -> None:
    """One row per picture: as it is, as the model sees it, and the probabilities."""
    from digits.plots import style  # imports Matplotlib

    with style.figure(path, 9, 3 * len(shown)) as fig:
        grid = fig.subplots(len(shown), 3, squeeze=False)
        for row, picture, answer in zip(grid, shown, probabilities, strict=True):
            style.show_image(row[0], picture.grey)
            row[0].images[0].set_clim(0, 1)
            style.show_image(row[1], picture.seen)
            style.show_probabilities(row[2], answer, [str(digit) for digit in range(CLASSES)])
        grid[0, 0].set_title("picture")
        grid[0, 1].set_title("as the model sees it")
