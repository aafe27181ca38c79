"""Scores of a handful of answers, computed by hand."""

import math

import numpy as np
import pytest

from digits import evaluation
from digits.evaluation import Probabilities


def answers(*confident: tuple[int, float]) -> Probabilities:
    """Rows that give `class` the probability `confidence` and the others equal shares of the rest."""
    rows = np.empty((len(confident), 10), dtype=np.float32)
    for row, (label, confidence) in zip(rows, confident, strict=True):
        row[:] = (1 - confidence) / 9
        row[label] = confidence
    return rows


LABELS = np.array([3, 3, 5, 9], dtype=np.uint8)
PROBABILITIES = answers((3, 0.9), (5, 0.6), (5, 0.6), (9, 1.0))


def test_scores_by_hand() -> None:
    scores = evaluation.scores(LABELS, PROBABILITIES)
    assert scores["accuracy"] == 0.75
    assert scores["errors"] == 1
    loss = -(math.log(0.9) + math.log(0.4 / 9) + math.log(0.6) + math.log(1)) / 4
    assert scores["loss"] == pytest.approx(loss, abs=1e-6)
    assert scores["per_class"]["3"] == {"precision": 1, "recall": 0.5, "f1": 0.666667}
    assert scores["per_class"]["5"] == {"precision": 0.5, "recall": 1, "f1": 0.666667}
    assert scores["per_class"]["0"] == {"precision": 0, "recall": 0, "f1": 0}


def test_calibration_error_by_hand() -> None:
    # Bins of confidence: 0.9 (right), 0.6 and 0.6 (one of two right), 1.0 (right).
    error = (1 * abs(0.9 - 1) + 2 * abs(0.6 - 0.5) + 1 * abs(1 - 1)) / 4
    assert evaluation.scores(LABELS, PROBABILITIES)["expected_calibration_error"] == pytest.approx(error, abs=1e-6)


def test_calibration_bins_are_closed_above() -> None:
    table = evaluation.calibration(np.zeros(3, np.uint8), answers((0, 0.5), (0, 0.51), (0, 1.0)), bins=4)
    assert table["count"].tolist() == [0, 1, 1, 1]
    assert table["accuracy"].isna().tolist() == [True, False, False, False]


def test_calibration_has_fifteen_bins() -> None:
    table = evaluation.calibration(LABELS, PROBABILITIES)
    assert len(table) == 15
    assert table["count"].sum() == 4


def test_mistakes_come_most_confident_first() -> None:
    labels = np.array([1, 2, 3, 4], dtype=np.uint8)
    table = evaluation.predictions(labels, answers((0, 0.7), (2, 0.9), (0, 0.8), (0, 0.7)))
    assert evaluation.mistakes(table).index.tolist() == [2, 0, 3]
    assert table.iloc[2].to_dict() == {"actual": 3, "predicted": 0, "confidence": pytest.approx(0.8)}
