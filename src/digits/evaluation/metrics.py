"""Test scores, the table of predictions, and the errors in it."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import classification_report, log_loss

from digits.common.types import CLASSES, Labels, Probabilities
from digits.evaluation import calibration


def scores(labels: Labels, probabilities: Probabilities, temperature: float) -> dict[str, Any]:
    """The numbers of metrics.json, to six decimals.

    `accuracy` (0..1), `loss` (mean cross-entropy, nats), `errors` (a count), `expected_calibration_error` (0..1), the
    same without the `temperature` that the model divides its logits by, and, for each class, `precision`, `recall` and
    `f1` (0 where they are undefined).
    """
    predicted = probabilities.argmax(axis=1)
    report = classification_report(labels, predicted, labels=range(CLASSES), output_dict=True, zero_division=0)
    # In float32 the rows sum to 1 within 1e-7, which log_loss warns about in float64.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    unscaled = calibration.without_temperature(probabilities, temperature)
    names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    return {
        "accuracy": round(float((predicted == labels).mean()), 6),
        "loss": round(float(log_loss(labels, exact, labels=range(CLASSES))), 6),
        "errors": int((predicted != labels).sum()),
        "expected_calibration_error": _calibration_error(labels, probabilities),
        "expected_calibration_error_unscaled": _calibration_error(labels, unscaled),
        "per_class": {
            str(label): {name: round(float(report[str(label)][key]), 6) for name, key in names.items()}
            for label in range(CLASSES)
        },
    }


def predictions(labels: Labels, probabilities: Probabilities) -> pd.DataFrame:
    """One row per test image, in order: `actual` and `predicted` class, `confidence` in the prediction (0..1)."""
    return pd.DataFrame(
        {
            "actual": labels,
            "predicted": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1).round(6),
        }
    )


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """The wrong rows of `predictions`, most confident first; the index is the image's."""
    wrong = table[table["actual"] != table["predicted"]]
    return wrong.sort_values("confidence", ascending=False, kind="stable")


def _calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    return round(calibration.expected_calibration_error(calibration.reliability_bins(labels, probabilities)), 6)
