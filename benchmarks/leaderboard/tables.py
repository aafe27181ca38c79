"""The tables of the leaderboard, from the runs' metrics."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd
from mlflow.entities import Run

from leaderboard import robustness
from leaderboard.corruptions import CORRUPTIONS, SEVERITIES
from leaderboard.trials import CURVES, Trial

METRICS = (
    "test_accuracy",
    "val_accuracy",
    "parameters",
    "training_seconds",
    "calibration/test_error_unscaled",
    "calibration/test_error",
    robustness.METRIC,
    robustness.CALIBRATION_METRIC,
)

CORRUPTION_METRICS = {
    robustness.metric(name, severity): (name, severity) for name in CORRUPTIONS for severity in SEVERITIES
}

DIFFERENCES_HEADER = "| recipe | next recipe | difference in test accuracy | 95 % interval |"
HEADER = (
    "| recipe | test accuracy | parameters | training | calibration error | error, corrupted | "
    "calibration error, corrupted |"
)


def read_metrics(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial: `recipe`, `train_size`, `seed`, `commit`, and its metrics (NaN where the run has none)."""
    return pd.DataFrame(
        {
            "recipe": trial.recipe,
            "train_size": trial.train_size,
            "seed": trial.seed,
            "commit": _commit(trial.run),
            **{name: trial.run.data.metrics.get(name, math.nan) for name in (*METRICS, *CORRUPTION_METRICS)},
        }
        for trial in trials
    )


def _commit(run: Run) -> str:
    tags = run.data.tags
    return tags.get("mlflow.source.git.commit", "unknown")[:7] + ("-dirty" if tags.get("git.dirty") == "true" else "")


def leaderboard(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per recipe, best first by validation accuracy.

    Takes the rows of `read_metrics` with all training images. `commit` is that of the runs, or each if there are
    several. Accuracies and errors are means over the seeds, `_std` is the sample standard deviation, `training_seconds`
    the median. `expected_calibration_error_unscaled` is that before temperature scaling.
    """
    table = metrics.groupby("recipe").agg(
        commit=("commit", lambda commits: " ".join(commits.unique())),
        seeds=("seed", "size"),
        test_accuracy=("test_accuracy", "mean"),
        test_accuracy_std=("test_accuracy", "std"),
        val_accuracy=("val_accuracy", "mean"),
        val_accuracy_std=("val_accuracy", "std"),
        parameters=("parameters", "first"),
        training_seconds=("training_seconds", "median"),
        expected_calibration_error_unscaled=("calibration/test_error_unscaled", "mean"),
        expected_calibration_error=("calibration/test_error", "mean"),
        corruption_error=(robustness.METRIC, "mean"),
        corruption_calibration_error=(robustness.CALIBRATION_METRIC, "mean"),
    )
    table = table.astype({"parameters": int}).reset_index()
    return table.sort_values("val_accuracy", ascending=False, kind="stable", ignore_index=True)


def robustness_by_corruption(metrics: pd.DataFrame, recipes: Iterable[str]) -> pd.DataFrame:
    """One row per recipe, in the order of `recipes`, corruption and severity: the mean `error` over the seeds."""
    means = metrics.groupby("recipe")[list(CORRUPTION_METRICS)].mean()
    return pd.DataFrame(
        {"recipe": recipe, "corruption": name, "severity": severity, "error": means.loc[recipe, key]}
        for recipe in recipes
        for key, (name, severity) in CORRUPTION_METRICS.items()
    )


def over_severities(table: pd.DataFrame) -> pd.DataFrame:
    """The errors of `robustness_by_corruption` as means over severities: a row per recipe, a column per corruption."""
    return table.pivot_table(index="recipe", columns="corruption", values="error", sort=False)


def learning_curve(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per recipe of the learning curve and number of training images, with its test accuracy over the seeds.

    Columns: `recipe`, `train_size`, `seeds`, `test_accuracy` (the mean) and `test_accuracy_std`.
    """
    groups = metrics[metrics["recipe"].isin(CURVES)].groupby(["recipe", "train_size"])
    return groups["test_accuracy"].agg(seeds="size", test_accuracy="mean", test_accuracy_std="std").reset_index()


def markdown(table: pd.DataFrame) -> str:
    """The leaderboard in Markdown; takes the table of reports/leaderboard.csv."""
    rows = [
        (
            f"| {row['recipe']} | {100 * row['test_accuracy']:.2f} % ± {100 * row['test_accuracy_std']:.2f} | "
            f"{row['parameters']:,} | {_if_known('{:.1f} s', row['training_seconds'])} | "
            f"{_if_known('{:.2f} %', 100 * row['expected_calibration_error'])} | "
            f"{_if_known('{:.1f} %', 100 * row['corruption_error'])} | "
            f"{_if_known('{:.1f} %', 100 * row['corruption_calibration_error'])} |"
        )
        for row in table.to_dict("records")
    ]
    return "\n".join([HEADER, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |", *rows])


def differences_markdown(table: pd.DataFrame) -> str:
    """The table of reports/leaderboard/differences.csv, in percentage points."""
    rows = [
        f"| {row['recipe']} | {row['other']} | {100 * row['difference']:+.2f} | "
        f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f} |"
        for row in table.to_dict("records")
    ]
    return "\n".join([DIFFERENCES_HEADER, "| --- | --- | ---: | ---: |", *rows])


def _if_known(template: str, value: float) -> str:
    return "unknown" if math.isnan(value) else template.format(value)
