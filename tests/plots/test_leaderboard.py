"""The figures of the leaderboard name every recipe, on logarithmic axes."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from digits.plots import leaderboard as plots

METADATA = {"title": "Fashion"}


def points(axes: Axes) -> list[list[tuple[float, float]]]:
    """The points of each line that has error bars."""
    lines: list[Any] = [container.lines[0] for container in axes.containers if isinstance(container, ErrorbarContainer)]
    return [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in lines]


def test_every_recipe_with_known_seconds_is_a_labelled_point(tmp_path: Path, drawn: list[Figure]) -> None:
    table = pd.DataFrame(
        {
            "recipe": ["cnn", "mlp", "restored"],
            "test_accuracy": [0.996, 0.98, 0.97],
            "test_accuracy_std": [0.001, 0.002, 0.002],
            "training_seconds": [200, 3, math.nan],
        }
    )
    plots.save_error_by_time(tmp_path / "error_by_time.png", table, METADATA)
    (axes,) = drawn[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axes.texts] == ["cnn", "mlp"]
    for line, point in zip(points(axes), [(200, 0.004), (3, 0.02)], strict=True):
        assert line == [pytest.approx(point)]
    assert {label.get_text() for label in axes.get_yticklabels()} >= {"0.5 %", "1 %", "2 %"}


def test_every_recipe_is_a_line_over_the_numbers_of_images(tmp_path: Path, drawn: list[Figure]) -> None:
    table = pd.DataFrame(
        {
            "recipe": ["cnn", "cnn", "mlp", "mlp"],
            "train_size": [1000, 55_000, 1000, 55_000],
            "test_accuracy": [0.96, 0.99, 0.9, 0.98],
            "test_accuracy_std": [0.001] * 4,
        }
    )
    plots.save_learning_curve(tmp_path / "learning_curve.png", table, METADATA)
    (axes,) = drawn[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_legend_handles_labels()[1] == ["cnn", "mlp"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1,000", "55,000"]
    first, _ = points(axes)
    assert first == [pytest.approx((1000, 0.04)), pytest.approx((55_000, 0.01))]


def test_curve_of_nothing_is_empty(tmp_path: Path) -> None:
    columns = ["recipe", "train_size", "test_accuracy", "test_accuracy_std"]
    plots.save_learning_curve(tmp_path / "learning_curve.png", pd.DataFrame(columns=columns), METADATA)
    assert (tmp_path / "learning_curve.png").exists()
