"""Calibration: whether confidence and accuracy agree, and what abstaining at low confidence gains."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import bootstrap

from digits.common.types import Labels, Probabilities

BINS = 15
RESAMPLES = 1000  # for the interval
SIMULATIONS = 200  # of perfect calibration


def reliability_bins(labels: Labels, probabilities: Probabilities, number: int = BINS) -> pd.DataFrame:
    """Accuracy by confidence, for the plot: in bins of equal width over 0..1, each with its upper edge.

    Returns one row per bin: `count` of predictions, their mean `confidence` and `accuracy` (NaN if there are none).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = pd.cut(confidence, np.linspace(0, 1, number + 1).tolist())
    groups = pd.DataFrame({"confidence": confidence, "correct": correct}).groupby(bins, observed=False)
    return groups.agg(count=("correct", "size"), confidence=("confidence", "mean"), accuracy=("correct", "mean"))


class CalibrationError(NamedTuple):
    """An expected calibration error (0..1).

    Attributes:
        value: the error itself.
        low: the lower end of its 95 % interval, at least 0. The interval is the basic bootstrap's (Davison, Hinkley,
            "Bootstrap Methods and their Application", 1997, section 5.2). It corrects for bias, so the value may lie
            outside.
        high: the upper end.
        if_perfect: the mean error of a perfectly calibrated model with the same confidences; rarely 0, since a bin has
            few images.
    """

    value: float
    low: float
    high: float
    if_perfect: float


def calibration_error(labels: Labels, probabilities: Probabilities) -> CalibrationError:
    """The `expected_calibration_error` with a bootstrap interval over the images."""
    confidence, correct = _confidence(labels, probabilities)
    value = float(_mean_gap(confidence, correct))
    generator = np.random.default_rng(0)
    resampled = bootstrap(
        (confidence, correct),
        _mean_gap,
        paired=True,
        n_resamples=RESAMPLES,
        batch=RESAMPLES // 10,
        method="basic",  # corrects for bias: resampling inflates the error, as sampling did
        rng=generator,
    )
    low, high = (max(0.0, float(end)) for end in resampled.confidence_interval)
    simulated = generator.random((SIMULATIONS, len(confidence))) < confidence
    return CalibrationError(value, low, high, float(_mean_gap(confidence, simulated).mean()))


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """The mean gap between confidence and accuracy, in fifteen bins of equally many images, sorted by confidence.

    The definition is that of Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    equation 3. Bins of equal width, as theirs, are biased more (Roelofs, Cain, Shlens, Mozer, "Mitigating Bias in
    Calibration Error Estimation", AISTATS 2022).
    """
    return float(_mean_gap(*_confidence(labels, probabilities)))


def _confidence(labels: Labels, probabilities: Probabilities) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The confidence in each prediction, and whether it is correct; both (n,)."""
    return probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels


def _mean_gap(confidence: NDArray[np.float64], correct: NDArray[np.bool_], axis: int = -1) -> NDArray[np.float64]:
    """The mean gap over `BINS` bins of equally many images, which lie along the last axis."""
    confidence, correct = np.broadcast_arrays(confidence, correct)
    order = np.argsort(confidence, axis=axis, kind="stable")
    gaps = np.take_along_axis(confidence - correct, order, axis=axis)
    count = gaps.shape[axis]
    starts = np.unique(np.arange(BINS) * count // BINS)
    mean_gap: NDArray[np.float64] = np.abs(np.add.reduceat(gaps, starts, axis=axis)).sum(axis=axis) / count
    return mean_gap


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
