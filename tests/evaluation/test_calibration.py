"""Calibration of a handful of predictions, computed by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
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
    """Of sixty images in bins of four, half are right at 0.6 and all at 0.95: gaps of 0.1 and 0.05."""
    confidences = [0.6] * 24 + [0.95] * 36
    labels = np.array([0, 1] * 12 + [0] * 36, np.uint8)
    error = calibration.expected_calibration_error(labels, confident(*confidences))
    assert error == pytest.approx((24 * 0.1 + 36 * 0.05) / 60, abs=1e-6)


def test_bins_have_equally_many_images_sorted_by_confidence() -> None:
    """Fifteen bins of two images with the same confidence; both are right, or both are wrong, whatever their order."""
    low = np.linspace(0.5, 0.51, 15)
    right = np.arange(15) % 2 == 0
    confidences, labels = np.repeat(low, 2), np.repeat(np.where(right, 0, 1), 2).astype(np.uint8)
    order = np.random.default_rng(0).permutation(30)
    error = calibration.expected_calibration_error(labels[order], confident(*confidences[order]))
    assert error == pytest.approx(np.where(right, 1 - low, low).mean(), abs=1e-6)


def test_few_images_have_a_bin_each() -> None:
    error = calibration.expected_calibration_error(np.array([0, 1, 0], np.uint8), confident(0.6, 0.7, 0.9537))
    assert error == pytest.approx((0.4 + 0.7 + 0.0463) / 3, abs=1e-6)


def sampled(count: int, overconfidence: float) -> tuple[NDArray[np.uint8], Probabilities]:
    """Labels, and predictions whose confidence is that much more than their chance to be right."""
    generator = np.random.default_rng(1)
    chance = generator.uniform(0.6, 0.9, count)
    labels = np.where(generator.random(count) < chance, 0, 1).astype(np.uint8)
    return labels, confident(*(chance + overconfidence))


def test_perfect_calibration_shows_the_error_of_perfect_calibration() -> None:
    error = calibration.calibration_error(*sampled(3000, overconfidence=0))
    assert 0.01 < error.if_perfect < 0.05, "bins of 200 images"
    assert error.value == pytest.approx(error.if_perfect, rel=0.5)
    assert error.low < error.if_perfect


def test_interval_holds_the_true_error() -> None:
    error = calibration.calibration_error(*sampled(3000, overconfidence=0.08))
    assert error.low < 0.08 < error.high
    assert 0.02 < error.high - error.low < 0.05, "about four standard deviations of a mean of 3,000"
    assert error.if_perfect < error.low


def test_interval_does_not_begin_below_zero() -> None:
    error = calibration.calibration_error(np.zeros(40, np.uint8), confident(*[1.0] * 40))
    assert error == (0, 0, 0, 0)


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
