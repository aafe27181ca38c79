"""The figures of the raw training images name the dataset's classes."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from digits.common.types import Pixels
from digits.plots import dataset as plots

CLASSES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
METADATA = {"title": "Fashion-MNIST", "classes": CLASSES}


def test_first_image_has_its_class_name(tmp_path: Path, pixels: Pixels, drawn: list[Figure]) -> None:
    labels = np.full(64, 9, dtype=np.uint8)
    plots.save_first_image(tmp_path / "first.png", pixels, labels, METADATA)
    (axes,) = drawn[0].axes
    assert axes.get_title() == "Fashion-MNIST training image 0: boot"
    np.testing.assert_array_equal(axes.images[0].get_array(), pixels[0])
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_samples_are_grouped_by_class(tmp_path: Path, drawn: list[Figure]) -> None:
    """Class 9 has two images, fewer than are shown of the others."""
    labels = np.array([*range(10)] * 2 + [*range(9)] * 4, dtype=np.uint8)
    images = np.repeat(labels, 28 * 28).reshape(-1, 28, 28)
    plots.save_samples(tmp_path / "samples.png", images, labels, METADATA)
    grid = np.array(drawn[0].axes).reshape(5, 10)
    assert [axes.get_title() for axes in grid[0]] == CLASSES
    for label, column in enumerate(grid.T):
        shown = [axes.images[0].get_array().max() for axes in column if axes.images]
        assert shown == [label] * (2 if label == 9 else 5)
