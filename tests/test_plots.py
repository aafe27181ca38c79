"""The figures at their edges: what they show is looked at in reports/plots."""

from pathlib import Path

import numpy as np
import pytest

from digits import evaluation, plots


@pytest.mark.parametrize("wrong", [0, 1, 40])
def test_there_may_be_any_number_of_mistakes(tmp_path: Path, wrong: int) -> None:
    labels = np.zeros(50, dtype=np.uint8)
    probabilities = np.full((50, 10), 0.05, dtype=np.float32)
    probabilities[np.arange(50), (np.arange(50) < wrong).astype(int)] = 0.55
    images = np.zeros((50, 28, 28), dtype=np.float32)
    mistakes = evaluation.mistakes(evaluation.predictions(labels, probabilities))
    assert len(mistakes) == wrong
    figure = plots.mistakes(images, mistakes, "MNIST")
    assert len(figure.axes[0].texts) == min(wrong, 25)
    plots.save(figure, tmp_path / "mistakes.png")
