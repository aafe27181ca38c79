"""Calibration: whether confidence and accuracy agree, and what abstaining at low confidence gains."""

import numpy as np
import pandas as pd
from scipy.special import softmax

from digits.common.types import Labels, Probabilities


def reliability_bins(labels: Labels, probabilities: Probabilities, number: int = 15) -> pd.DataFrame:
    """Accuracy by confidence, in bins of equal width over 0..1, each with its upper edge, as Guo et al. define them.

    Returns one row per bin: `count` of predictions, their mean `confidence` and `accuracy` (NaN if there are none).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = pd.cut(confidence, np.linspace(0, 1, number + 1).tolist())
    groups = pd.DataFrame({"confidence": confidence, "correct": correct}).groupby(bins, observed=False)
    return groups.agg(count=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean"))


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """The mean gap between confidence and accuracy over the `reliability_bins`, weighted by count.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    table = reliability_bins(labels, probabilities)
    gaps = (table["confidence"] - table["accuracy"]).abs().fillna(0)
    return float((gaps * table["count"]).sum() / table["count"].sum())


def without_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities that a model would give if it did not divide its logits by `temperature`."""
    # Logits are log-probabilities up to a constant. The least float stands for probabilities that are 0 in float32.
    logits = temperature * np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    return np.asarray(softmax(logits, axis=1), dtype=np.float32)


def risk_coverage(predictions: pd.DataFrame) -> pd.DataFrame:
    """The error if the model answers for its most confident predictions only.

    Takes a table with `actual`, `predicted` and `confidence`. Returns one row per number of answers, from 1 to n:
    `coverage`, the share of images that are answered, and `error`, the share of wrong answers among them.
    """
    ranked = predictions.sort_values("confidence", ascending=False, kind="stable")
    wrong = (ranked["actual"] != ranked["predicted"]).to_numpy()
    answers = np.arange(1, len(wrong) + 1)
    return pd.DataFrame({"coverage": answers / len(wrong), "error": wrong.cumsum() / answers})
