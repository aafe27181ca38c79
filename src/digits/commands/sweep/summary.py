"""The results of a sweep, one row per configuration over its seeds."""

import math
from collections.abc import Sequence

import pandas as pd
from rich.table import Table

from digits.commands.sweep.driver import Result
from digits.commands.sweep.grid import SEED


def summarize(results: Sequence[Result]) -> tuple[list[str], pd.DataFrame]:
    """The params that have several values, and a row per configuration, best first by validation accuracy.

    Columns: these params; `runs` and `failed`, counts; `accuracy` and `deviation`, mean and standard deviation
    of the validation accuracy over the runs (NaN where there is none); `seconds`, the mean time of training.
    """
    rows = []
    for result in results:
        metrics = result.run.data.metrics if result.run else {}
        row = {"runs": result.run is not None, "failed": bool(result.error), "accuracy": metrics.get("val_accuracy")}
        rows.append({**result.configuration.overrides, **row, "seconds": metrics.get("training_seconds")})
    keys = [key for key in results[0].configuration.overrides if key != SEED]
    frame = pd.DataFrame(rows).astype({"accuracy": float, "seconds": float})
    groups = frame.groupby(keys, sort=False) if keys else frame.groupby(lambda _: 0)
    table = groups.agg(
        runs=("runs", "sum"),
        failed=("failed", "sum"),
        accuracy=("accuracy", "mean"),
        deviation=("accuracy", "std"),
        seconds=("seconds", "mean"),
    )
    table = table.reset_index(drop=not keys)
    table = table.sort_values(["accuracy", *keys], ascending=[False, *(True for _ in keys)], ignore_index=True)
    varied = [key for key in keys if table[key].nunique() > 1]
    return varied, table.drop(columns=set(keys) - set(varied))


def render(results: Sequence[Result]) -> Table:
    """The table of `summarize` for a terminal."""
    keys, frame = summarize(results)
    table = Table(caption="Accuracy: on the validation set, mean and standard deviation over the runs")
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
