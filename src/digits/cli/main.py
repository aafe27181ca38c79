"""The command `digits`. Each of its commands is a module beside this one."""

import os
import signal
import sys

import typer

from digits.cli import draw, leaderboard, predict, report, sweep, verify
from digits.common.stage import run_stage

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(draw.draw)
app.command()(leaderboard.leaderboard)
app.command()(predict.predict)
app.command()(report.report)
app.command()(sweep.sweep)
app.command()(verify.verify)


@app.callback()
def digits() -> None:
    """Experiments and predictions. Run it in the repository; `digits COMMAND --help` explains a command."""


def main() -> None:
    """Run the command; what the user can fix is printed as plain lines, with exit status 1."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_DFL:  # end as with Ctrl-C, which removes what is temporary
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    run_stage(app)
