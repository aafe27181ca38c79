"""`digits verify`: rebuild a run, and compare it with what MLflow has."""

import time
from typing import Annotated

import typer


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, its name, or six or more digits of its state.")],
) -> None:
    """Rebuild a run from its commit and params in a temporary clone, and compare every output byte for byte.

    Exit status: 0 if it is identical, 1 if it is not or cannot be rebuilt, 2 if the environment differs.
    """
    start = time.monotonic()
    from digits.apps import verify as app  # imports MLflow, which takes a second

    result = app.verify(run, typer.echo, lambda stage: typer.echo(f"rebuilding: {stage}", err=True))
    if result.difference:
        typer.echo(f"not identical: {result.difference}")
    else:
        still = "" if result.same_environment else " all the same"
        seconds = time.monotonic() - start
        typer.echo(f"identical{still}: {result.outputs} outputs, rebuilt and compared in {seconds:.0f} s")
    if not result.same_environment:
        raise typer.Exit(2)
    raise typer.Exit(1 if result.difference else 0)
