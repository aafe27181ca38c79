"""Figures of the raw training images."""

from pathlib import Path

import numpy as np

from digits.common.types import CLASSES, Labels, Pixels
from digits.plots.style import Metadata, figure, rotation, show_image

EACH = 5  # samples of each class


def save_first_image(path: Path, images: Pixels, labels: Labels, metadata: Metadata) -> None:
    """The first training image, with its label."""
    with figure(path, 3.6, 3.6) as drawn:
        axes = drawn.subplots()
        show_image(axes, images[0])
        axes.set_title(f"{metadata['title']} training image 0: {metadata['classes'][labels[0]]}")


def save_samples(path: Path, images: Pixels, labels: Labels, metadata: Metadata) -> None:
    """The first training images of every class, one column per class."""
    mosaic = np.zeros((EACH, CLASSES, *images.shape[1:]), dtype=images.dtype)
    for label in range(CLASSES):
        found = images[labels == label][:EACH]
        mosaic[: len(found), label] = found
    rows, columns, height, width = mosaic.shape
    with figure(path, 7, 4) as drawn:
        axes = drawn.subplots()
        axes.imshow(mosaic.swapaxes(1, 2).reshape(rows * height, columns * width), cmap="gray", interpolation="nearest")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        centres = np.arange(columns) * width + width / 2 - 0.5
        axes.set_xticks(centres, metadata["classes"], rotation=rotation(metadata))
        axes.set_yticks([])
        axes.tick_params(length=0)
        axes.set_title(f"{metadata['title']}: the first {EACH} training images of each class")
