"""The command `digits`. Each subcommand imports its module when it runs, because many are slow to import."""

import os
import signal
import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from digits.common.errors import UserError, exit_on_user_error

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

DEFAULT_MODEL = "data/model.keras"
Model = Annotated[str, typer.Option(help="A .keras file, or a model in MLflow, such as models:/digits@champion.")]


@app.callback()
def digits() -> None:
    """Run experiments and classify digits. Run it in the repository; `digits COMMAND --help` explains a command."""


@app.command()
def doctor() -> None:
    """Look at everything that a run depends on, from versions to DVC's cache, and say how to cure what is wrong.

    Exit status: 1 if something is wrong.
    """
    from digits.commands import doctor as command

    is_well = True
    for finding in command.examine():
        typer.echo(f"{finding.title:<12}  {finding.fact}")
        if finding.cure:
            typer.echo(f"{'':<12}  -> {finding.cure}")
            is_well = False
    raise typer.Exit(int(not is_well))


@app.command()
def draw(
    model: Model = DEFAULT_MODEL,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page, which only this machine can reach.")] = 8000,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, but do not open it.")] = False,
) -> None:
    """Draw a digit in the browser and watch the model's answer change with each stroke.

    No other machine can open the page, and the page loads nothing from the network. Stop it with Ctrl-C.
    """
    from digits.commands.draw import server

    server.serve(model, port, open_browser=not no_browser)


@app.command()
def predict(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="PNG or JPEG; - is standard input.")],
    model: Model = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    save_plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the pictures, and how the model sees them.")
    ] = None,
) -> None:
    """Say which digit each picture shows: a photo, scan or drawing of one digit, dark on light or light on dark.

    Exit status: 1 if a picture cannot be read or does not show one digit; the others are answered.
    """
    from digits.commands.predict import answers

    answers.predict(files, model, as_json=as_json, save_plot=save_plot)


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Only this machine can reach it.")] = 8001,
) -> None:
    """Serve the predictions of the best model in MLflow over HTTP. Stop it with Ctrl-C."""
    from digits.commands import serving

    serving.serve_champion(port)


@app.command()
def sweep(
    set_param: Annotated[
        list[str] | None,
        typer.Option("--set-param", "-S", metavar="KEY=VALUE,...", help="Values of a param, as in `dvc exp run -S`."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Run each configuration with the seeds 0 to N-1.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of a Dask scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="On this machine; default: one per core and 2 GB.")] = None,
) -> None:
    """Run the pipeline with every combination of some params.

    Each configuration runs in a fresh clone of the current commit and becomes an MLflow run. One that has a run already
    is not run again. For example:

    digits sweep -S recipes.tutorial.learning_rate=0.001,0.003 -S 'recipes.tutorial.hidden=[128],[256,128]' --seeds 5
    """
    from digits.commands.sweep import grid

    configurations = grid.make(set_param or [], seeds)
    try:
        from digits.commands.sweep import driver, summary
    except ModuleNotFoundError as error:
        raise UserError(f"a sweep needs {error.name}; install it with: make setup") from error
    except ValueError as error:  # of Dask, which reads its settings when it is imported
        raise UserError(" ".join(str(error).split())) from error
    from rich.console import Console

    name, results = driver.sweep(configurations, scheduler, workers)
    Console().print(summary.render(results))
    sources = [result.source for result in results if result.run]
    print(
        f"{sources.count('trained')} trained, {sources.count('restored')} restored from DVC's cache, "
        f"{sources.count('known')} already in MLflow."
    )
    print(f"Filter for these runs in MLflow: tags.`sweep.{name}` != ''")
    if failed := sum(bool(result.error) for result in results):
        raise UserError(f"{failed} of {len(results)} configurations failed; the others are in MLflow")


@app.command()
def ui(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of the pages, which only this machine can reach.")
    ] = 5000,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, but do not open it.")] = False,
) -> None:
    """Compare the runs in MLflow's pages, in the browser. Stop it with Ctrl-C."""
    from digits.commands import runs_page

    runs_page.show_runs(port, open_browser=not no_browser)


@app.command()
def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, its name, or the first six digits of its state.")],
) -> None:
    """Rebuild a run from its commit and params in a temporary clone, and compare all that MLflow shows of it.

    Exit status: 0 if it is identical, 1 if it is not or cannot be rebuilt, 2 if the environment differs.
    """
    from digits.commands import verify as command

    start = time.monotonic()
    result = command.verify(run, typer.echo, lambda line: typer.echo(line, err=True))
    for line in result.differences:
        typer.echo(f"not identical: {line}")
    if result.differences and result.same_results:
        typer.echo("The model and all metrics are identical.")
    if not result.differences:
        where = "" if result.same_environment else ", in a different environment"
        seconds = time.monotonic() - start
        typer.echo(f"identical{where}: {result.compared} values and files, rebuilt and compared in {seconds:.0f} s")
    raise typer.Exit(2 if not result.same_environment else int(bool(result.differences)))


def main() -> None:
    """Run the command. Errors that the user can fix are printed without a traceback, with exit status 1."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_DFL:  # end as with Ctrl-C, which removes what is temporary
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an answer is worth more than a character
    exit_on_user_error(app)
