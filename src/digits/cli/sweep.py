"""`digits sweep`: many configurations, on this machine or on many."""

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from digits.cli import progress
from digits.common.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    set_param: Annotated[
        list[str] | None,
        typer.Option("--set-param", "-S", metavar="KEY=VALUE,...", help="Values of a param, as in `dvc exp run -S`."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Run each configuration with the seeds 0 to N-1.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Dask scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="On this machine; one per core by default.")] = None,
) -> None:
    """Run the pipeline with every combination of some params.

    Each configuration runs in a fresh clone of the current commit and becomes an MLflow run. One that has a run already
    is looked up. For example:

    digits sweep -S recipes.tutorial.learning_rate=0.001,0.003 -S 'recipes.tutorial.hidden=[128],[256,128]' --seeds 5
    """
    from digits.apps.sweep import grid

    name, results = progress.sweep(grid.make(set_param or [], seeds), scheduler, workers)
    from digits.apps.sweep import summary  # imports pandas

    Console().print(_table(summary.summarize(results)))
    finished = [result for result in results if result.run]
    trained = sum("train" in result.ran for result in finished)
    known = sum(not result.ran for result in finished)
    print(f"{trained} trained, {len(finished) - trained - known} restored from DVC's cache, {known} known to MLflow.")
    print(f"Filter for these runs in MLflow: tags.`sweep.{name}` != ''")
    if failed := sum(bool(result.error) for result in results):
        raise UserError(f"{failed} of {len(results)} configurations failed; the others are in MLflow")


def _table(frame: "pd.DataFrame") -> Table:
    table = Table(caption="Accuracy: on the validation set, mean and standard deviation over the runs")
    keys = list(frame.columns[:-5])
    names = [key.rpartition(".")[2] for key in keys]
    for name, key in zip(names, keys, strict=True):
        table.add_column(name if names.count(name) == 1 else key)
    for name in ("runs", "accuracy", "training"):
        table.add_column(name, justify="right")
    for row in frame.to_dict("records"):
        runs = f"{row['runs']}" + (f" of {row['runs'] + row['failed']}" if row["failed"] else "")
        accuracy = f"{row['accuracy']:.2%}" if not math.isnan(row["accuracy"]) else "none"
        spread = f" ± {100 * row['deviation']:.2f}" if not math.isnan(row["deviation"]) else ""
        seconds = f"{row['seconds']:.1f} s" if not math.isnan(row["seconds"]) else ""
        table.add_row(*(row[key] for key in keys), runs, accuracy + spread, seconds)
    return table
