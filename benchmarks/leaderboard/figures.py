"""Figures of the study: errors by time and by number of images, corruptions, label errors, augmentation."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from digits.common.types import Images, Pixels
from digits.plots.evaluation import save_grid
from digits.plots.style import Metadata, figure, show_image

Format = Callable[[float, float], str]  # the label of a tick, from its value and position


def save_error_by_time(path: Path, table: pd.DataFrame, metadata: Metadata) -> None:
    """Test error against training time, one point per recipe; the bars are standard deviations over the seeds.

    Takes a table with `recipe`, `test_accuracy`, `test_accuracy_std` (0..1) and `training_seconds`. Recipes whose
    seconds are not known (NaN) are left out.
    """
    with figure(path, 7, 4.5) as fig:
        ax = fig.subplots()
        ax.set(xscale="log", yscale="log")
        known = table.dropna(subset="training_seconds").to_dict("records")
        if seconds := [row["training_seconds"] for row in known]:
            ax.set_xlim(min(seconds) / 1.5, max(seconds) * 1.5)  # there may be one recipe alone
        for row in known:
            point = row["training_seconds"], 1 - row["test_accuracy"]
            ax.errorbar(*point, yerr=row["test_accuracy_std"], marker="o", capsize=3)
            ax.annotate(row["recipe"], point, (7, 4), textcoords="offset points", fontsize=9)
        ax.set(xlabel="training time, seconds", ylabel="test error", title=f"{metadata['title']}: error by time")
        ax.margins(y=0.1)
        _label(ax.xaxis, _number)
        _label(ax.yaxis, _percent)


def save_learning_curve(path: Path, table: pd.DataFrame, metadata: Metadata) -> None:
    """Test error against the number of training images, one line per recipe; bars as in `save_error_by_time`.

    Takes a table with `recipe`, `train_size`, `test_accuracy` and `test_accuracy_std` (0..1).
    """
    with figure(path, 7, 4.5) as fig:
        ax = fig.subplots()
        ax.set(xscale="log", yscale="log")
        for recipe, rows in table.groupby("recipe", sort=False):
            error, spread = 1 - rows["test_accuracy"], rows["test_accuracy_std"]
            ax.errorbar(rows["train_size"], error, yerr=spread, marker="o", capsize=3, label=recipe)
        ax.set(xlabel="training images", ylabel="test error", title=f"{metadata['title']}: learning curve")
        ax.set_xticks(sorted(set(table["train_size"])))
        ax.xaxis.set_major_formatter(_number)
        ax.xaxis.set_minor_formatter(NullFormatter())
        _label(ax.yaxis, _percent)
        if not table.empty:
            ax.legend()


def save_corruptions(path: Path, images: Mapping[str, Pixels], metadata: Metadata) -> None:
    """One row per corruption: its `images` by name are the clean one and one per severity, (1 + severities, 28, 28)."""
    columns = len(next(iter(images.values())))
    with figure(path, 1.2 + 0.95 * columns, 0.5 + 0.95 * len(images)) as fig:
        grid = fig.subplots(len(images), columns, squeeze=False)
        for severity, ax in enumerate(grid[0]):
            ax.set_title(f"severity {severity}" if severity else "clean", fontsize=9)
        for row, (name, examples) in zip(grid, images.items(), strict=True):
            for ax, image in zip(row, examples, strict=True):
                show_image(ax, image)
                ax.images[0].set_clim(0, 255)  # the same grey in all of them, or more light would not show
            row[0].text(-0.1, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
        fig.suptitle(f"{metadata['title']}: a corrupted test image", fontsize=11)


def save_robustness(path: Path, table: pd.DataFrame) -> None:
    """Test errors in percent, one row per recipe and one column per corruption, as in `table`, and their mean.

    `table` has the share of errors (0..1), each the mean over severities and seeds.
    """
    percent = 100 * table.assign(mean=table.mean(axis=1))
    highest = percent.to_numpy().max()
    with figure(path, 2 + 0.75 * percent.shape[1], 1.2 + 0.4 * len(percent)) as fig:
        ax = fig.subplots()
        ax.imshow(percent, cmap="Blues", vmin=0, vmax=highest, aspect="auto")
        ax.grid(visible=False)
        for (row, column), value in np.ndenumerate(percent):
            colour = "white" if value > highest / 2 else "black"
            ax.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=8)
        ax.axvline(table.shape[1] - 0.5, color="white", linewidth=3)  # the mean is not one of the corruptions
        ax.set_xticks(range(percent.shape[1]), percent.columns, fontsize=8)
        ax.set_yticks(range(len(percent)), percent.index)
        ax.set_title("Test error in percent, mean over severities and seeds")


def save_label_errors(path: Path, images: Pixels, errors: pd.DataFrame, metadata: Metadata) -> None:
    """The first 25 likely label errors: `actual`, `predicted` and `confidence` by index in the test `images`."""
    title = "{shown} of {all} likely label errors in the test set"
    save_grid(path, images, errors, metadata, "{index}: labelled {actual}", title)


def save_augmented(path: Path, images: Images, recipe: str, metadata: Metadata) -> None:
    """One row per training image: as it is, then each time augmented in another way; (rows, columns, 28, 28)."""
    rows, columns = images.shape[:2]
    with figure(path, 0.7 * columns, 0.7 * rows + 0.7) as fig:
        grid = fig.subplots(rows, columns, squeeze=False)
        for ax, image in zip(grid.ravel(), images.reshape(-1, *images.shape[2:]), strict=True):
            show_image(ax, image)
        grid[0, 0].set_title("as it is", fontsize=9)
        grid[0, 1].set_title("augmented", fontsize=9)
        fig.suptitle(f"{metadata['title']}: training images in the recipe {recipe}", fontsize=11)


def _label(axis: Axis, text: Format) -> None:
    """Label 1, 2 and 5 of every decade of a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(text)
    axis.set_minor_formatter(NullFormatter())


def _number(value: float, _: float) -> str:
    return f"{value:,g}"


def _percent(value: float, _: float) -> str:
    return f"{100 * value:g} %"
