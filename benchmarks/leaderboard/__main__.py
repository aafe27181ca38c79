"""`make leaderboard`: every recipe of params.yaml with several seeds, compared in reports/leaderboard/README.md."""

import os
import signal
import sys
from functools import partial
from typing import Annotated

import typer
from tqdm import tqdm

from digits.commands.sweep import driver
from digits.common import paths
from digits.common.errors import exit_on_user_error
from leaderboard import reports, robustness, trials


def main(seeds: Annotated[int, typer.Argument(min=1, help="Run each recipe with the seeds 0 to SEEDS-1.")] = 5) -> None:
    """Run the trials, one at a time so that training times are comparable, measure their models, write the files.

    MLflow's runs of this commit are looked up: after an interruption, the same command resumes with what is missing.
    """
    _, results = driver.sweep(trials.make(seeds), workers=1)
    finished = trials.finished(results)
    unmeasured = robustness.unmeasured([trial.run for trial in trials.full_size(finished)])
    with tqdm(total=len(unmeasured), desc="Robustness") as bar:
        robustness.measure(unmeasured, paths.RAW, bar.update)
    print(reports.write(finished))
    print(f"\nTables and figures: {reports.TABLE}, {reports.FOLDER}/")


if __name__ == "__main__":
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # removes what is temporary, as Ctrl-C does
    exit_on_user_error(partial(typer.run, main))
