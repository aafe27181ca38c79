"""Calibration of a handful of predictions, computed by hand."""

import numpy as np
import pytest
from scipy.special import softmax

from digits.common.types import Probabilities
from digits.evaluation import calibration, metrics


def confident(*confidences: float) -> Probabilities:
    """Rows that predict class 0 with these confidences; the others share the rest."""
    rows = np.empty((len(confidences), 10), dtype=np.float32)
    rows[:] = (1 - np.array(confidences, dtype=np.float32)[:, np.newaxis]) / 9
    rows[:, 0] = confidences
    return rows


RIGHT = np.zeros(3, np.uint8)


def test_bins_are_closed_above() -> None:
    table = calibration.reliability_bins(RIGHT, confident(0.5, 0.51, 1.0), number=4)
    assert table["count"].tolist() == [0, 1, 1, 1]
    assert table["accuracy"].isna().tolist() == [True, False, False, False]


def test_bins_average_what_they_hold() -> None:
    labels = np.array([0, 1, 0], np.uint8)
    table = calibration.reliability_bins(labels, confident(0.6, 0.7, 1.0), number=4)
    assert table["count"].tolist() == [0, 0, 2, 1]
    assert table["confidence"].tolist()[2:] == pytest.approx([0.65, 1.0], abs=1e-6)
    assert table["accuracy"].tolist()[2:] == [0.5, 1.0]


def test_there_are_fifteen_bins() -> None:
    table = calibration.reliability_bins(RIGHT, confident(0.2, 0.5, 1.0))
    assert len(table) == 15
    assert table["count"].sum() == 3
    assert table["count"].dtype.kind == "i"


def test_error_by_hand() -> None:
    """One of two right at 0.6, one of one right at 0.95: gaps of 0.1 and 0.05, weighted by count."""
    error = calibration.expected_calibration_error(np.array([0, 1, 0], np.uint8), confident(0.6, 0.6, 0.95))
    assert error == pytest.approx((2 * abs(0.6 - 0.5) + 1 * abs(0.95 - 1)) / 3, abs=1e-6)


def test_error_is_as_exact_as_the_confidence() -> None:
    """One of one right at 0.9537."""
    error = calibration.expected_calibration_error(np.array([0], np.uint8), confident(0.9537))
    assert error == pytest.approx(0.0463, abs=1e-6)


def test_perfect_calibration_has_no_error() -> None:
    error = calibration.expected_calibration_error(np.array([0, 1], np.uint8), confident(0.5, 0.5))
    assert error == pytest.approx(0, abs=1e-6)


def test_abstention_by_hand() -> None:
    """Right at 0.9, wrong at 0.8, right at 0.6: no error among the first, a half among two, a third among all."""
    table = metrics.predictions(np.array([0, 0, 1], np.uint8), confident(0.6, 0.9, 0.8))
    curve = calibration.risk_coverage(table)
    assert curve["coverage"].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert curve["error"].tolist() == pytest.approx([0, 1 / 2, 1 / 3])


def test_temperature_is_taken_back() -> None:
    logits = np.random.default_rng(0).normal(0, 4, size=(50, 10))
    for temperature in (0.5, 1.0, 2.0):
        scaled = softmax(logits / temperature, axis=1).astype(np.float32)
        unscaled = calibration.without_temperature(scaled, temperature)
        np.testing.assert_allclose(unscaled, softmax(logits, axis=1), atol=1e-5)


def test_certain_probabilities_stay_certain() -> None:
    certain = np.eye(10, dtype=np.float32)
    np.testing.assert_array_equal(calibration.without_temperature(certain, 1.5), certain)
