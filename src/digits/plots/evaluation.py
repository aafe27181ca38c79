"""Figures of the predictions on the test set."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digits.common.types import CLASSES, Pixels, Probabilities
from digits.plots.style import Metadata, figure, show_image, show_probabilities

if TYPE_CHECKING:
    import pandas as pd  # predict_sample does without

GRID = 5  # errors per row and per column


def save_confusion(path: Path, predictions: "pd.DataFrame", metadata: Metadata) -> None:
    """How many test images of each class were predicted as which; shaded by the share of the class."""
    counts = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(counts, (predictions["actual"], predictions["predicted"]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with figure(path, 6, 5.6) as fig:
        ax = fig.subplots()
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ax.grid(visible=False)
        for actual, predicted in np.argwhere(counts):
            colour = "white" if shares[actual, predicted] > 0.5 else "black"
            count = counts[actual, predicted]
            ax.text(predicted, actual, f"{count}", ha="center", va="center", color=colour, fontsize=8)
        are_long = max(map(len, metadata["classes"])) > 3
        ax.set_xticks(range(CLASSES), metadata["classes"], rotation=45 if are_long else 0)
        ax.set_yticks(range(CLASSES), metadata["classes"])
        ax.set(xlabel="predicted", ylabel="actual", title=f"{metadata['title']}: test set")


def save_errors(path: Path, images: Pixels, errors: "pd.DataFrame", metadata: Metadata) -> None:
    """The first 25 of `errors`, which has `actual`, `predicted` and `confidence` by index in the test `images`."""
    save_grid(path, images, errors, metadata, "true {actual}", "{shown} most confident errors of {all}")


def save_calibration(path: Path, bins: "pd.DataFrame", metadata: Metadata) -> None:
    """Accuracy by confidence, and the number of images in each bin of confidence."""
    width = 1 / len(bins)
    left = np.arange(len(bins)) * width
    with figure(path, 5, 5.4) as fig:
        above, below = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.bar(left, bins["accuracy"], width, align="edge", edgecolor="white", label="accuracy")
        above.plot((0, 1), (0, 1), color="grey", linestyle="--", label="perfect calibration")
        above.set(ylabel="accuracy", title=f"{metadata['title']}: test set")
        above.legend(loc="upper left")
        below.bar(left, bins["count"], width, align="edge", edgecolor="white")
        below.set(xlabel="confidence", ylabel="images", xlim=(0, 1), yscale="log")


def save_abstention(path: Path, curve: "pd.DataFrame", metadata: Metadata) -> None:
    """The test error by coverage, both in percent."""
    with figure(path, 5, 3.6) as fig:
        ax = fig.subplots()
        ax.plot(100 * curve["coverage"], 100 * curve["error"])
        ax.set(xlabel="most confident test images that are answered (%)", ylabel="error among them (%)")
        ax.set(xlim=(50, 100), ylim=(0, None), title=f"{metadata['title']}: abstaining at low confidence")


def save_prediction(path: Path, image: Pixels, row: Probabilities, label: int, index: int, metadata: Metadata) -> None:
    """One raw test image, (28, 28), and its row of probabilities, (10,)."""
    with figure(path, 7, 3.4) as fig:
        left, right = fig.subplots(1, 2)
        show_image(left, image)
        left.set_title(f"{metadata['title']} test image {index}: {metadata['classes'][label]}")
        show_probabilities(right, row, metadata["classes"])


def save_grid(path: Path, images: Pixels, errors: "pd.DataFrame", metadata: Metadata, label: str, title: str) -> None:
    """The first 25 of `errors`, each below its caption, `label` formatted with `index` and `actual`.

    `title` is formatted with the numbers `shown` and `all`.
    """
    shown, classes = errors.head(GRID * GRID), metadata["classes"]
    rows = max(1, math.ceil(len(shown) / GRID))
    with figure(path, 1.7 * GRID, 0.5 + 1.65 * rows) as fig:
        grid = fig.subplots(rows, GRID, squeeze=False).ravel()
        for ax in grid:
            ax.set_axis_off()
        for ax, image, row in zip(grid, images[shown.index], shown.itertuples(), strict=False):
            show_image(ax, image)
            first = label.format(index=row.Index, actual=classes[row.actual])
            ax.set_title(f"{first}\npredicted {classes[row.predicted]} ({row.confidence:.1%})", fontsize=8)
        fig.suptitle(f"{metadata['title']}: {title.format(shown=len(shown), all=len(errors))}")
