"""Figures of the raw training images."""

from pathlib import Path

from digits.common.types import CLASSES, Labels, Pixels
from digits.plots.style import Metadata, figure, show_image

SAMPLES_PER_CLASS = 5  # samples of each class


def save_first_image(path: Path, images: Pixels, labels: Labels, metadata: Metadata) -> None:
    """The first training image, with its label."""
    with figure(path, 3.6, 3.6) as fig:
        ax = fig.subplots()
        show_image(ax, images[0])
        ax.set_title(f"{metadata['title']} training image 0: {metadata['classes'][labels[0]]}")


def save_samples(path: Path, images: Pixels, labels: Labels, metadata: Metadata) -> None:
    """The first training images of every class, one column per class."""
    with figure(path, 7, 4) as fig:
        grid = fig.subplots(SAMPLES_PER_CLASS, CLASSES)
        for label, column in enumerate(grid.T):
            column[0].set_title(metadata["classes"][label], fontsize=9)
            for ax, image in zip(column, images[labels == label], strict=False):
                show_image(ax, image)
        fig.suptitle(f"{metadata['title']}: the first {SAMPLES_PER_CLASS} training images of each class")
