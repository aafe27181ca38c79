"""The figures of corrupted images and of the errors on them."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from digits.plots import robustness as plots

METADATA = {"title": "Fashion"}


def test_corruptions_have_a_row_each(tmp_path: Path, drawn: list[Figure]) -> None:
    """Every image in one grey, so that its place and the scale of its greys can be told."""
    images = {
        name: np.repeat(np.arange(first, first + 3, dtype=np.uint8), 28 * 28).reshape(3, 28, 28)
        for name, first in (("noise", 10), ("blur", 20))
    }
    plots.save_corruptions(tmp_path / "corruptions.png", images, METADATA)
    grid = np.array(drawn[0].axes).reshape(2, 3)
    assert [[axes.images[0].get_array().max() for axes in row] for row in grid] == [[10, 11, 12], [20, 21, 22]]
    assert {axes.images[0].get_clim() for axes in grid.flat} == {(0, 255)}
    assert [axes.get_title() for axes in grid[0]] == ["clean", "severity 1", "severity 2"]
    assert [[text.get_text() for text in axes.texts] for axes in grid[:, 0]] == [["noise"], ["blur"]]
    assert drawn[0].get_suptitle() == "Fashion: a corrupted test image"
    assert (tmp_path / "corruptions.png").read_bytes().startswith(b"\x89PNG")


def test_robustness_is_in_percent_with_the_mean(tmp_path: Path, drawn: list[Figure]) -> None:
    table = pd.DataFrame({"noise": [0.5, 0.0234], "blur": [0.1, 0.03]}, index=["wide", "tutorial"])
    plots.save_robustness(tmp_path / "robustness.png", table)
    (axes,) = drawn[0].axes
    cells = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "50.0", (0, 1): "10.0", (0, 2): "30.0", (1, 0): "2.3", (1, 1): "3.0", (1, 2): "2.7"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["noise", "blur", "mean"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["wide", "tutorial"]
    assert list(table) == ["noise", "blur"], "the caller's table stays as it is"


def test_robustness_may_be_perfect(tmp_path: Path) -> None:
    plots.save_robustness(tmp_path / "robustness.png", pd.DataFrame({"noise": [0.0]}, index=["wide"]))
    assert (tmp_path / "robustness.png").exists()
