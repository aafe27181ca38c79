"""The results of a sweep, one row per configuration over its seeds."""

from collections.abc import Sequence

import pandas as pd

from digits.apps.sweep.driver import Result
from digits.apps.sweep.grid import SEED


def summarize(results: Sequence[Result]) -> pd.DataFrame:
    """A row per configuration, best first by validation accuracy; the test set has no say.

    Columns: each param that has several values; `runs` and `failed`, their numbers; `accuracy` and `deviation`, mean
    and standard deviation of the validation accuracy over the runs (NaN where there is none); `seconds`, the mean time
    of training.
    """
    rows = [
        {
            **result.configuration.overrides,
            "runs": result.run is not None,
            "failed": bool(result.error),
            "accuracy": result.run.data.metrics.get("val_accuracy") if result.run else None,
            "seconds": result.run.data.metrics.get("training_seconds") if result.run else None,
        }
        for result in results
    ]
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
    return table.drop(columns=[key for key in keys if table[key].nunique() == 1])
