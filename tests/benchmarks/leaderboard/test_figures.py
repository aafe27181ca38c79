"""The figures of the leaderboard: names, numbers and pictures are in their places."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from leaderboard import figures

pytestmark = pytest.mark.slow

METADATA = {"title": "Fashion", "classes": ["T-shirt", *"bcdefghij"]}


def points(ax: Axes) -> list[list[tuple[float, float]]]:
    """The points of each line that has error bars."""
    lines: list[Any] = [container.lines[0] for container in ax.containers if isinstance(container, ErrorbarContainer)]
    return [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in lines]


def shown(fig: Figure) -> list[int]:
    """The brightest pixel of each image."""
    arrays = [ax.images[0].get_array() for ax in fig.axes]
    return [array.max() for array in arrays if array is not None]


def test_every_recipe_with_known_seconds_is_a_labelled_point(tmp_path: Path, drawn: list[Figure]) -> None:
    table = pd.DataFrame(
        {
            "recipe": ["cnn", "mlp", "restored"],
            "test_accuracy": [0.996, 0.98, 0.97],
            "test_accuracy_std": [0.001, 0.002, 0.002],
            "training_seconds": [200, 3, math.nan],
        }
    )
    figures.save_error_by_time(tmp_path / "error_by_time.png", table, METADATA)
    (ax,) = drawn[0].axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.texts] == ["cnn", "mlp"]
    for line, point in zip(points(ax), [(200, 0.004), (3, 0.02)], strict=True):
        assert line == [pytest.approx(point)]
    assert {label.get_text() for label in ax.get_yticklabels()} >= {"0.5 %", "1 %", "2 %"}


def test_every_recipe_is_a_line_over_the_numbers_of_images(tmp_path: Path, drawn: list[Figure]) -> None:
    table = pd.DataFrame(
        {
            "recipe": ["cnn", "cnn", "mlp", "mlp"],
            "train_size": [1000, 55_000, 1000, 55_000],
            "test_accuracy": [0.96, 0.99, 0.9, 0.98],
            "test_accuracy_std": [0.001] * 4,
        }
    )
    figures.save_learning_curve(tmp_path / "learning_curve.png", table, METADATA)
    (ax,) = drawn[0].axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_legend_handles_labels()[1] == ["cnn", "mlp"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1,000", "55,000"]
    first, _ = points(ax)
    assert first == [pytest.approx((1000, 0.04)), pytest.approx((55_000, 0.01))]


def test_curve_of_nothing_is_empty(tmp_path: Path) -> None:
    columns = ["recipe", "train_size", "test_accuracy", "test_accuracy_std"]
    figures.save_learning_curve(tmp_path / "learning_curve.png", pd.DataFrame(columns=columns), METADATA)
    assert (tmp_path / "learning_curve.png").exists()


def test_corruptions_have_a_row_each(tmp_path: Path, drawn: list[Figure]) -> None:
    """Every image in one grey, so that its place and the scale of its greys can be told."""
    images = {
        name: np.repeat(np.arange(first, first + 3, dtype=np.uint8), 28 * 28).reshape(3, 28, 28)
        for name, first in (("noise", 10), ("blur", 20))
    }
    figures.save_corruptions(tmp_path / "corruptions.png", images, METADATA)
    assert shown(drawn[0]) == [10, 11, 12, 20, 21, 22]
    assert {ax.images[0].get_clim() for ax in drawn[0].axes} == {(0, 255)}
    grid = np.array(drawn[0].axes).reshape(2, 3)
    assert [ax.get_title() for ax in grid[0]] == ["clean", "severity 1", "severity 2"]
    assert [[text.get_text() for text in ax.texts] for ax in grid[:, 0]] == [["noise"], ["blur"]]
    assert drawn[0].get_suptitle() == "Fashion: a corrupted test image"
    assert (tmp_path / "corruptions.png").read_bytes().startswith(b"\x89PNG")


def test_robustness_is_in_percent_with_the_mean(tmp_path: Path, drawn: list[Figure]) -> None:
    table = pd.DataFrame({"noise": [0.5, 0.0234], "blur": [0.1, 0.03]}, index=["wide", "tutorial"])
    figures.save_robustness(tmp_path / "robustness.png", table)
    (ax,) = drawn[0].axes
    cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in ax.texts}
    assert cells == {(0, 0): "50.0", (0, 1): "10.0", (0, 2): "30.0", (1, 0): "2.3", (1, 1): "3.0", (1, 2): "2.7"}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["noise", "blur", "mean"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["wide", "tutorial"]
    assert list(table) == ["noise", "blur"], "the caller's table stays as it is"


def test_robustness_may_be_perfect(tmp_path: Path) -> None:
    figures.save_robustness(tmp_path / "robustness.png", pd.DataFrame({"noise": [0.0]}, index=["wide"]))
    assert (tmp_path / "robustness.png").exists()


@pytest.mark.slow
def test_label_errors_have_an_index_to_look_up(tmp_path: Path, drawn: list[Figure]) -> None:
    images = np.broadcast_to(np.arange(50, dtype=np.uint8)[:, np.newaxis, np.newaxis], (50, 28, 28))
    errors = pd.DataFrame(
        {"actual": [0] * 30, "predicted": [1] * 30, "confidence": [0.95] * 30}, index=range(40, 10, -1)
    )
    figures.save_label_errors(tmp_path / "label_errors.png", images, errors, METADATA)
    assert shown(drawn[0]) == [*range(40, 15, -1)]
    captions = [ax.get_title() for ax in drawn[0].axes]
    assert captions == [f"{index}: labelled T-shirt\npredicted b (95.0%)" for index in range(40, 15, -1)]
    assert drawn[0].get_suptitle() == "Fashion: 25 of 30 likely label errors in the test set"


def test_augmented_images_follow_the_one_as_it_is(tmp_path: Path, drawn: list[Figure]) -> None:
    images = np.arange(6, dtype=np.float32).repeat(28 * 28).reshape(2, 3, 28, 28)
    figures.save_augmented(tmp_path / "augmented.png", images, "cnn", METADATA)
    assert shown(drawn[0]) == [0, 1, 2, 3, 4, 5]
    assert [ax.get_title() for ax in drawn[0].axes] == ["as it is", "augmented", "", "", "", ""]
