"""Calibration of a handful of predictions, computed by hand."""

import numpy as np
import pytest

from digits.common.types import Probabilities
from digits.evaluation import calibration


def confident(*confidences: float) -> Probabilities:
    """Rows that predict class 0 with these confidences; the others share the rest."""
    rows = np.empty((len(confidences), 10), dtype=np.float32)
    rows[:] = (1 - np.array(confidences, dtype=np.float32)[:, np.newaxis]) / 9
    rows[:, 0] = confidences
    return rows


RIGHT = np.zeros(3, np.uint8)


def test_bins_are_closed_above() -> None:
    table = calibration.bins(RIGHT, confident(0.5, 0.51, 1.0), number=4)
    assert table["count"].tolist() == [0, 1, 1, 1]
    assert table["accuracy"].isna().tolist() == [True, False, False, False]


def test_bins_average_what_they_hold() -> None:
    labels = np.array([0, 1, 0], np.uint8)
    table = calibration.bins(labels, confident(0.6, 0.7, 1.0), number=4)
    assert table["count"].tolist() == [0, 0, 2, 1]
    assert table["confidence"].tolist()[2:] == pytest.approx([0.65, 1.0], abs=1e-6)
    assert table["accuracy"].tolist()[2:] == [0.5, 1.0]


def test_there_are_fifteen_bins() -> None:
    table = calibration.bins(RIGHT, confident(0.2, 0.5, 1.0))
    assert len(table) == 15
    assert table["count"].sum() == 3
    assert table["count"].dtype.kind == "i"


def test_error_by_hand() -> None:
    """One of two right at 0.6, one of one right at 0.95: gaps of 0.1 and 0.05, weighted by count."""
    table = calibration.bins(np.array([0, 1, 0], np.uint8), confident(0.6, 0.6, 0.95))
    expected = (2 * abs(0.6 - 0.5) + 1 * abs(0.95 - 1)) / 3
    assert calibration.expected_calibration_error(table) == pytest.approx(expected, abs=1e-6)


def test_perfect_calibration_has_no_error() -> None:
    labels = np.array([0, 1], np.uint8)
    table = calibration.bins(labels, confident(0.5, 0.5))
    assert calibration.expected_calibration_error(table) == pytest.approx(0, abs=1e-6)
