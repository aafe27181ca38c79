"""Figures of corrupted images and of the errors that models make on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digits.common.types import Pixels
from digits.plots.style import Metadata, figure, show_image

if TYPE_CHECKING:
    import pandas as pd


def save_corruptions(path: Path, images: Mapping[str, Pixels], metadata: Metadata) -> None:
    """One row per corruption: its `images` by name are the clean one and one per severity, (1 + severities, 28, 28)."""
    columns = len(next(iter(images.values())))
    with figure(path, 1.2 + 0.95 * columns, 0.5 + 0.95 * len(images)) as drawn:
        grid = drawn.subplots(len(images), columns, squeeze=False)
        for severity, axes in enumerate(grid[0]):
            axes.set_title(f"severity {severity}" if severity else "clean", fontsize=9)
        for row, (name, examples) in zip(grid, images.items(), strict=True):
            for axes, image in zip(row, examples, strict=True):
                show_image(axes, image)
                axes.images[0].set_clim(0, 255)  # the same grey in all of them, or more light would not show
            row[0].text(-0.1, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
        drawn.suptitle(f"{metadata['title']}: a corrupted test image", fontsize=11)


def save_robustness(path: Path, table: "pd.DataFrame") -> None:
    """Test errors in percent, one row per recipe and one column per corruption, as in `table`, and their mean.

    `table` has the share of errors (0..1), each the mean over severities and seeds.
    """
    percent = 100 * table.assign(mean=table.mean(axis=1))
    highest = percent.to_numpy().max()
    with figure(path, 2 + 0.75 * percent.shape[1], 1.2 + 0.4 * len(percent)) as drawn:
        axes = drawn.subplots()
        axes.imshow(percent, cmap="Blues", vmin=0, vmax=highest, aspect="auto")
        axes.grid(visible=False)
        for (row, column), value in np.ndenumerate(percent):
            colour = "white" if value > highest / 2 else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=8)
        axes.axvline(table.shape[1] - 0.5, color="white", linewidth=3)  # the mean is not one of the corruptions
        axes.set_xticks(range(percent.shape[1]), percent.columns, fontsize=8)
        axes.set_yticks(range(len(percent)), percent.index)
        axes.set_title("Test error in percent, mean over severities and seeds")
