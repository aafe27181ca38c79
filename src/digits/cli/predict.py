"""`digits predict`: which digit a picture of one's own shows."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from digits.common.errors import UserError

if TYPE_CHECKING:
    from digits.apps.predict.models import Probabilities
    from digits.apps.predict.pictures import Picture

Model = Annotated[str, typer.Option(help="A .keras file, or a model in MLflow, such as models:/digits@champion.")]
DEFAULT_MODEL = "data/model.keras"


def predict(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="PNG or JPEG; - is standard input.")],
    model: Model = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    save_plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the pictures, and how the model sees them.")
    ] = None,
) -> None:
    """Say which digit each picture shows: a photo, scan or drawing of one digit, dark on light or light on dark.

    Exit status: 1 if a picture cannot be read or does not show one digit. The others are answered all the same.
    """
    if save_plot and save_plot.suffix != ".png":
        raise UserError(f"--save-plot {save_plot}: must end in .png")
    pictures, faults = _read_all(files)
    if pictures:
        _answer(pictures, model, as_json, save_plot)
    if faults:
        raise UserError("\n".join(faults))


def _read_all(files: list[str]) -> tuple[dict[str, "Picture"], list[str]]:
    """The pictures by name, and a line for each file that is none of a digit."""
    from digits.apps.predict import pictures

    found, faults = {}, []
    for name in files:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            found[name] = pictures.read(content)
        except OSError as error:
            faults.append(f"{name}: {error.strerror}")
        except UserError as error:
            faults.append(f"{name}: {error}")
    return found, faults


def _answer(pictures: dict[str, "Picture"], model: str, as_json: bool, save_plot: Path | None) -> None:
    import numpy as np

    from digits.apps.predict import models

    seen = np.stack([picture.seen for picture in pictures.values()])
    probabilities = models.load(model)(seen)
    if as_json:
        print(json.dumps([_record(*row) for row in zip(pictures, probabilities, strict=True)], indent=2))
    else:
        Console().print(_table(list(pictures), probabilities))
    if save_plot:
        from digits.plots import evaluation

        evaluation.save_pictures(save_plot, [picture.grey for picture in pictures.values()], seen, probabilities)


def _record(name: str, probabilities: "Probabilities") -> dict[str, object]:
    rounded = [round(float(probability), 6) for probability in probabilities]
    return {"file": name, "digit": int(probabilities.argmax()), "probabilities": rounded}


def _table(names: list[str], probabilities: "Probabilities") -> Table:
    table = Table(Column("file", overflow="fold"), "digit", box=SIMPLE, padding=(0, 1, 0, 0))
    table.caption = "Probabilities in percent"
    for digit in range(probabilities.shape[1]):
        table.add_column(str(digit), justify="right", no_wrap=True)
    for name, row in zip(names, 100 * probabilities, strict=True):
        table.add_row(escape(name), f"[bold]{row.argmax()}[/bold]", *(f"{percent:.1f}" for percent in row))
    return table
