"""Scores of four predictions, computed by hand."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from digits.common.types import Probabilities
from digits.evaluation import metrics


def confident(*predictions: tuple[int, float]) -> Probabilities:
    """Rows that give `class` the probability `confidence` and the others equal shares of the rest."""
    rows = np.empty((len(predictions), 10), dtype=np.float32)
    for row, (label, confidence) in zip(rows, predictions, strict=True):
        row[:] = (1 - confidence) / 9
        row[label] = confidence
    return rows


LABELS = np.array([3, 3, 5, 9], dtype=np.uint8)
PROBABILITIES = confident((3, 0.9), (5, 0.6), (5, 0.6), (9, 1.0))


def test_scores_by_hand() -> None:
    scores = metrics.scores(LABELS, PROBABILITIES, temperature=1)
    assert scores["accuracy"] == 0.75
    assert scores["errors"] == 1
    loss = -(math.log(0.9) + math.log(0.4 / 9) + math.log(0.6) + math.log(1)) / 4
    assert scores["loss"] == pytest.approx(loss, abs=1e-6)
    assert list(scores["per_class"]) == list("0123456789")
    assert scores["per_class"]["3"] == {"precision": 1, "recall": 0.5, "f1": 0.666667}
    assert scores["per_class"]["5"] == {"precision": 0.5, "recall": 1, "f1": 0.666667}
    assert scores["per_class"]["0"] == {"precision": 0, "recall": 0, "f1": 0}


def test_scores_hold_the_calibration_error() -> None:
    # Four images have a bin each: 0.9 (right), 0.6 (wrong), 0.6 (right), 1.0 (right).
    error = (0.1 + 0.6 + 0.4 + 0) / 4
    scores = metrics.scores(LABELS, PROBABILITIES, temperature=1)
    assert scores["expected_calibration_error"] == pytest.approx(error, abs=1e-6)
    assert scores["expected_calibration_error_unscaled"] == pytest.approx(error, abs=1e-6)
    bounds = scores["calibration_bounds"]
    assert 0 <= bounds["low"] <= bounds["high"]
    assert 0 < bounds["if_perfect"] < 0.5


def test_unscaled_calibration_error_is_that_of_temperature_one() -> None:
    logits, labels = np.random.default_rng(0).normal(0, 4, size=(50, 10)), np.zeros(50, np.uint8)
    once, scaled = (softmax(logits / temperature, axis=1).astype(np.float32) for temperature in (1, 1.7))
    scores = metrics.scores(labels, scaled, temperature=1.7)
    expected = metrics.scores(labels, once, temperature=1)["expected_calibration_error"]
    assert scores["expected_calibration_error_unscaled"] == pytest.approx(expected, abs=1e-5)
    assert scores["expected_calibration_error"] != pytest.approx(expected, abs=1e-2)


def test_certain_error_has_a_finite_loss() -> None:
    """metrics.json cannot hold infinity."""
    certain = np.eye(10, dtype=np.float32)[[0, 1]]
    assert math.isfinite(metrics.scores(np.array([0, 2], np.uint8), certain, temperature=1)["loss"])


def test_predictions_are_in_order() -> None:
    table = metrics.predictions(LABELS, PROBABILITIES)
    assert table["actual"].tolist() == [3, 3, 5, 9]
    assert table["predicted"].tolist() == [3, 5, 5, 9]
    assert table["confidence"].tolist() == pytest.approx([0.9, 0.6, 0.6, 1.0], abs=1e-6)


def test_errors_come_most_confident_first() -> None:
    labels = np.array([1, 2, 3, 4], dtype=np.uint8)
    table = metrics.predictions(labels, confident((0, 0.7), (2, 0.9), (0, 0.8), (0, 0.7)))
    assert metrics.errors(table).index.tolist() == [2, 0, 3]
    assert table.iloc[2].to_dict() == {"actual": 3, "predicted": 0, "confidence": pytest.approx(0.8)}
