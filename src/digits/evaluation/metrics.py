"""Test scores, the table of predictions, and the errors in it."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, precision_recall_fscore_support

from digits.common import paths
from digits.common.errors import UserError
from digits.common.types import CLASSES, Labels, Probabilities
from digits.evaluation import calibration


def scores(labels: Labels, probabilities: Probabilities, temperature: float) -> dict[str, Any]:
    """The numbers of metrics.json, to six decimals.

    `accuracy` (0..1), `loss` (mean cross-entropy, nats), `errors` (a count), `expected_calibration_error` (0..1), the
    same without the `temperature` that the model divides its logits by, the other parts of `CalibrationError`, and, for
    each class, `precision`, `recall` and `f1` (0 where they are undefined).
    """
    predicted = probabilities.argmax(axis=1)
    by_class = precision_recall_fscore_support(labels, predicted, labels=range(CLASSES), zero_division=0)[:3]
    per_class = pd.DataFrame(by_class, index=["precision", "recall", "f1"]).rename(columns=str)
    # In float32 the rows sum to 1 within 1e-7, which log_loss warns about in float64.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    unscaled = calibration.without_temperature(probabilities, temperature)
    error = calibration.calibration_error(labels, probabilities)
    bounds = {"low": error.low, "high": error.high, "if_perfect": error.if_perfect}
    return {
        "accuracy": round(float((predicted == labels).mean()), 6),
        "loss": round(float(log_loss(labels, exact, labels=range(CLASSES))), 6),
        "errors": int((predicted != labels).sum()),
        "expected_calibration_error": round(error.value, 6),
        "expected_calibration_error_unscaled": round(calibration.expected_calibration_error(labels, unscaled), 6),
        # Not on the top level, whose numbers MLflow shows: its page of comparisons has room for seven.
        "calibration_bounds": {name: round(value, 6) for name, value in bounds.items()},
        "per_class": per_class.round(6).to_dict(),
    }


def predictions(labels: Labels, probabilities: Probabilities) -> pd.DataFrame:
    """One row per test image, in order: `actual` and `predicted` class, `confidence` in the prediction (0..1).

    Raises:
        UserError: a probability is not a number.
    """
    if not np.isfinite(probabilities).all():
        raise UserError(f"{paths.MODEL}: gives probabilities that are not numbers; train it with a lower learning_rate")
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1).round(6)
    return pd.DataFrame({"actual": labels, "predicted": predicted, "confidence": confidence})


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """The wrong rows of `predictions`, most confident first, indexed by image number."""
    wrong = table[table["actual"] != table["predicted"]]
    return wrong.sort_values("confidence", ascending=False, kind="stable")
