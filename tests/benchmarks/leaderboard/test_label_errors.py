"""Likely label errors among a handful of predictions, by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from leaderboard.label_errors import likely_label_errors

ACTUAL = np.array([3, 3, 5, 9, 1, 2], np.uint8)
PREDICTED = np.array([[3, 5, 8, 4, 7, 0], [3, 5, 8, 4, 7, 0], [3, 5, 6, 4, 1, 0]])
CONFIDENCE = np.array(
    [
        [1.0, 0.90, 1.0, 1.00, 1.0, 0.90],
        [1.0, 0.95, 1.0, 0.99, 1.0, 0.85],
        [1.0, 1.00, 1.0, 0.98, 1.0, 0.80],
    ],
    np.float32,
)


def test_all_models_agree_and_are_confident() -> None:
    """Image 0 is right, 2 and 4 are disputed (by an error and by the truth), 5 has a mean confidence of 0.85."""
    table = likely_label_errors(ACTUAL, PREDICTED, CONFIDENCE)
    assert table.index.tolist() == [3, 1], "most confident first"
    assert table["actual"].tolist() == [9, 3]
    assert table["predicted"].tolist() == [4, 5]
    assert table["confidence"].tolist() == [0.99, 0.95]


def test_threshold_is_inclusive() -> None:
    assert likely_label_errors(ACTUAL, PREDICTED, CONFIDENCE, threshold=0.85).index.tolist() == [3, 1, 5]
    assert likely_label_errors(ACTUAL, PREDICTED, CONFIDENCE, threshold=0.991).empty


def test_one_model_is_enough() -> None:
    """Images of equal confidence stay in order; in float32, 0.9 is a little less than 0.9."""
    table = likely_label_errors(ACTUAL, PREDICTED[:1], CONFIDENCE[:1], threshold=0.9)
    assert table.index.tolist() == [2, 3, 4, 1, 5]


@pytest.mark.parametrize(
    ("predicted", "confidence"),
    [(PREDICTED.T, CONFIDENCE.T), (PREDICTED, CONFIDENCE[0]), (PREDICTED[0], CONFIDENCE[0])],
)
def test_shapes_must_fit(predicted: NDArray[np.int64], confidence: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match=r"must be \(models, 6\), got "):
        likely_label_errors(ACTUAL, predicted, confidence)
