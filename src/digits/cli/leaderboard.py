"""`digits leaderboard`: every recipe with several seeds, compared in accuracy, time, calibration and robustness."""

from typing import Annotated

import typer

from digits.cli import progress


def leaderboard(
    seeds: Annotated[int, typer.Option(min=2, help="Run each recipe with the seeds 0 to N-1.")] = 5,
) -> None:
    """Run every recipe of params.yaml with several seeds, and compare them in reports/leaderboard.csv.

    One training run at a time, so that the seconds are those of a machine that does nothing else. What MLflow has
    already, from this commit, is looked up: after an interruption, the same command resumes with what is missing.
    """
    from digits.apps.leaderboard import trials

    _, results = progress.sweep(trials.make(seeds), workers=1)
    from digits.apps.leaderboard import reports, robustness  # slow to import: MLflow, pandas and Matplotlib

    finished = trials.finished(results)
    unmeasured = robustness.unmeasured([trial.run for trial in trials.full_size(finished)])
    with progress.bar("Robustness", len(unmeasured)) as shown:
        robustness.measure(unmeasured, trials.RAW, shown.advance)
    print(reports.write(finished))
    print(f"\nTables and figures: {reports.TABLE}, {reports.FOLDER}/")
