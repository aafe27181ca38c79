"""Figures of the raw training images."""

from pathlib import Path

from digits.common.types import CLASSES, Images, Labels, Pixels
from digits.plots.style import Metadata, figure, show_image

EACH = 5  # samples of each class


def save_first_image(path: Path, images: Pixels, labels: Labels, metadata: Metadata) -> None:
    """The first training image, with its label."""
    with figure(path, 3.6, 3.6) as drawn:
        axes = drawn.subplots()
        show_image(axes, images[0])
        axes.set_title(f"{metadata['title']} training image 0: {metadata['classes'][labels[0]]}")


def save_samples(path: Path, images: Pixels, labels: Labels, metadata: Metadata) -> None:
    """The first training images of every class, one column per class."""
    with figure(path, 7, 4) as drawn:
        grid = drawn.subplots(EACH, CLASSES)
        for label, column in enumerate(grid.T):
            column[0].set_title(metadata["classes"][label], fontsize=9)
            for axes, image in zip(column, images[labels == label], strict=False):
                show_image(axes, image)
        drawn.suptitle(f"{metadata['title']}: the first {EACH} training images of each class")


def save_augmented(path: Path, images: Images, recipe: str, metadata: Metadata) -> None:
    """One row per training image: as it is, then each time augmented in another way; (rows, columns, 28, 28)."""
    rows, columns = images.shape[:2]
    with figure(path, 0.7 * columns, 0.7 * rows + 0.7) as drawn:
        grid = drawn.subplots(rows, columns, squeeze=False)
        for axes, image in zip(grid.ravel(), images.reshape(-1, *images.shape[2:]), strict=True):
            show_image(axes, image)
        grid[0, 0].set_title("as it is", fontsize=9)
        grid[0, 1].set_title("augmented", fontsize=9)
        drawn.suptitle(f"{metadata['title']}: training images in the recipe {recipe}", fontsize=11)
