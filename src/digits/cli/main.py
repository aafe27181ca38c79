"""The command `digits`. Each command is a module beside this one."""

import typer

from digits.cli import verify
from digits.common.stage import run_stage

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(verify.verify)


@app.callback()
def digits() -> None:
    """Experiments with the pipeline. Run it in the repository; `digits COMMAND --help` explains a command."""


def main() -> None:
    """Run the command; what the user can fix is printed as plain lines, with exit status 1."""
    run_stage(app)
