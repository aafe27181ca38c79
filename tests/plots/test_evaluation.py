"""The figures of the test set at their edges."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from digits.evaluation import calibration, metrics
from digits.plots import evaluation as plots

METADATA = {"title": "Fashion", "classes": ["T-shirt", *"bcdefghij"]}


def predictions(wrong: int) -> pd.DataFrame:
    """Fifty images of class 0, the first ones taken for class 1."""
    probabilities = np.full((50, 10), 0.05, dtype=np.float32)
    probabilities[np.arange(50), (np.arange(50) < wrong).astype(int)] = 0.55
    return metrics.predictions(np.zeros(50, dtype=np.uint8), probabilities)


@pytest.mark.parametrize(("wrong", "rows"), [(0, 1), (1, 1), (6, 2), pytest.param(40, 5, marks=pytest.mark.slow)])
def test_any_number_of_errors_is_drawn(tmp_path: Path, drawn: list[Figure], wrong: int, rows: int) -> None:
    errors = metrics.errors(predictions(wrong))
    assert len(errors) == wrong
    plots.save_errors(tmp_path / "errors.png", np.zeros((50, 28, 28), np.uint8), errors, METADATA)
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")
    captions = [axes.get_title() for axes in drawn[0].axes if axes.get_title()]
    assert captions == ["true T-shirt\npredicted b (55.0%)"] * min(wrong, 25)
    assert sum(len(axes.images) for axes in drawn[0].axes) == len(captions)
    assert len(drawn[0].axes) == 5 * rows
    assert drawn[0].get_suptitle() == f"Fashion: {min(wrong, 25)} most confident errors of {wrong}"


def test_errors_show_their_own_images(tmp_path: Path, drawn: list[Figure]) -> None:
    images = np.broadcast_to(np.arange(50, dtype=np.uint8)[:, np.newaxis, np.newaxis], (50, 28, 28))
    errors = pd.DataFrame({"actual": [0, 0], "predicted": [1, 1], "confidence": [0.9, 0.8]}, index=[7, 3])
    plots.save_errors(tmp_path / "errors.png", images, errors, METADATA)
    shown = [axes.images[0].get_array() for axes in drawn[0].axes if axes.images]
    assert [array.max() for array in shown if array is not None] == [7, 3]


def test_confusion_counts_and_names_classes(tmp_path: Path, drawn: list[Figure]) -> None:
    plots.save_confusion(tmp_path / "confusion.png", predictions(7), METADATA)
    (axes,) = drawn[0].axes
    counts = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "43", (0, 1): "7"}, "by actual class, then predicted"
    assert [label.get_text() for label in axes.get_xticklabels()] == METADATA["classes"]
    assert [label.get_text() for label in axes.get_yticklabels()] == METADATA["classes"]


def test_calibration_may_have_empty_bins(tmp_path: Path) -> None:
    labels, probabilities = np.zeros(1, np.uint8), np.full((1, 10), 0.1, np.float32)
    plots.save_calibration(tmp_path / "calibration.png", calibration.reliability_bins(labels, probabilities), METADATA)
    assert (tmp_path / "calibration.png").exists()


def test_prediction_names_label_and_prediction(tmp_path: Path, drawn: list[Figure]) -> None:
    row = np.eye(10, dtype=np.float32)[3]
    plots.save_prediction(tmp_path / "prediction.png", np.zeros((28, 28), np.uint8), row, 0, 1000, METADATA)
    left, right = drawn[0].axes
    assert left.get_title() == "Fashion test image 1000: T-shirt"
    assert right.get_title() == "predicted: d"
    assert [label.get_text() for label in right.get_yticklabels()] == METADATA["classes"]
