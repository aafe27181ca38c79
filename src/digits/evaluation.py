"""Scores from probabilities: accuracy, per class, calibration, mistakes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss, precision_recall_fscore_support

from digits.idx import CLASSES

Labels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

CALIBRATION_BINS = 15


def scores(labels: Labels, probabilities: Probabilities) -> dict[str, Any]:
    """The numbers of metrics.json, to six decimals.

    Args:
        labels: the true classes, uint8 (n,).
        probabilities: float32 (n, 10).

    Returns:
        `accuracy` (0..1), `loss` (mean cross-entropy, nats), `errors` (wrong answers, a count),
        `expected_calibration_error` (0..1) and, for each class, `precision`, `recall` and `f1`
        (0 where they are undefined).
    """
    classes = range(CLASSES)
    predicted = probabilities.argmax(axis=1)
    errors = int((predicted != labels).sum())
    # In float32 the rows sum to 1 within 1e-7, which log_loss warns about in float64.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    return {
        "accuracy": round(1 - errors / len(labels), 6),
        "loss": round(float(log_loss(labels, exact, labels=classes)), 6),
        "errors": errors,
        "expected_calibration_error": round(expected_calibration_error(calibration(labels, probabilities)), 6),
        "per_class": {
            str(label): {
                "precision": round(float(precision[label]), 6),
                "recall": round(float(recall[label]), 6),
                "f1": round(float(f1[label]), 6),
            }
            for label in classes
        },
    }


def calibration(labels: Labels, probabilities: Probabilities, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """How often answers of about the same confidence are right.

    Args:
        labels: the true classes, uint8 (n,).
        probabilities: float32 (n, 10).
        bins: bins of equal width over 0..1, each closed above, as Guo et al. have them.

    Returns:
        A row a bin: `count` of answers in it, their mean `confidence` and `accuracy` (NaN if there are none).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    answers = pd.DataFrame({"confidence": confidence, "correct": correct}).groupby(number)
    table = answers.agg(count=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean"))
    table = table.reindex(range(bins))
    return table.assign(count=table["count"].fillna(0).astype(int))


def expected_calibration_error(table: pd.DataFrame) -> float:
    """The mean distance between confidence and accuracy over the bins of `calibration`, each by its share.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
    """
    gaps = (table["confidence"] - table["accuracy"]).abs().fillna(0)
    return float((gaps * table["count"]).sum() / table["count"].sum())


def predictions(labels: Labels, probabilities: Probabilities) -> pd.DataFrame:
    """A row a test image, in order: the `actual` and the `predicted` class, the `confidence` in it (0..1)."""
    return pd.DataFrame(
        {
            "actual": labels,
            "predicted": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1).round(6),
        }
    )


def mistakes(table: pd.DataFrame) -> pd.DataFrame:
    """The wrong answers of `predictions`, the most confident first; the index is the image's."""
    wrong = table[table["actual"] != table["predicted"]]
    return wrong.sort_values("confidence", ascending=False, kind="stable")
