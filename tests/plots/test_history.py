"""The figure of a training run, with and without a validation set."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from digits.plots import history as plots


def test_curves_are_those_that_the_run_has(tmp_path: Path, drawn: list[Figure]) -> None:
    history = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.3], "accuracy": [0.8, 0.9], "val_loss": [0.4, 0.35]})
    plots.save_curves(tmp_path / "curves.png", history, {"title": "Fashion"})
    loss, accuracy = drawn[0].axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    (training,) = accuracy.lines
    np.testing.assert_array_equal(training.get_ydata(), [0.8, 0.9])
    assert drawn[0].get_suptitle() == "Fashion: training"
