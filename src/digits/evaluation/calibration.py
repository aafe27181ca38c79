"""Calibration: how far confidence and accuracy agree."""

import numpy as np
import pandas as pd

from digits.common.types import Labels, Probabilities


def bins(labels: Labels, probabilities: Probabilities, number: int = 15) -> pd.DataFrame:
    """Accuracy by confidence, in bins of equal width over 0..1, each closed above, as Guo et al. define them.

    Returns one row per bin: `count` of predictions, their mean `confidence` and `accuracy` (NaN if there are none).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * number).astype(int) - 1, 0, number - 1)
    groups = pd.DataFrame({"confidence": confidence, "correct": correct}).groupby(index)
    table = groups.agg(count=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean"))
    table = table.reindex(range(number))
    return table.assign(count=table["count"].fillna(0).astype(int))


def expected_calibration_error(table: pd.DataFrame) -> float:
    """The mean gap between confidence and accuracy over `bins`, weighted by count.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    gaps = (table["confidence"] - table["accuracy"]).abs().fillna(0)
    return float((gaps * table["count"]).sum() / table["count"].sum())
