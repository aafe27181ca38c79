"""Figures of the predictions on the test set."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digits.common.types import CLASSES, Pixels
from digits.plots.style import Metadata, figure, show_image

if TYPE_CHECKING:
    import pandas as pd  # predict_sample does without

SIDE = 5  # errors per row and per column


def save_confusion(path: Path, predictions: "pd.DataFrame", metadata: Metadata) -> None:
    """How many test images of each class were predicted as which; shaded by the share of the class."""
    counts = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(counts, (predictions["actual"], predictions["predicted"]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ticks = range(CLASSES)
    with figure(path, 6, 5.6) as drawn:
        axes = drawn.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        for actual, predicted in np.argwhere(counts):
            colour = "white" if shares[actual, predicted] > 0.5 else "black"
            count = counts[actual, predicted]
            axes.text(predicted, actual, f"{count}", ha="center", va="center", color=colour, fontsize=8)
        are_long = max(map(len, metadata["classes"])) > 3
        axes.set_xticks(ticks, metadata["classes"], rotation=45 if are_long else 0)
        axes.set_yticks(ticks, metadata["classes"])
        axes.set(xlabel="predicted", ylabel="actual", title=f"{metadata['title']}: test set")


def save_errors(path: Path, images: Pixels, errors: "pd.DataFrame", metadata: Metadata) -> None:
    """The first 25 of `errors`, which has `actual`, `predicted` and `confidence` by index in the test `images`."""
    _save_grid(path, images, errors, metadata, "true {actual}", "{shown} most confident errors of {all}")


def save_label_errors(path: Path, images: Pixels, errors: "pd.DataFrame", metadata: Metadata) -> None:
    """The first 25 likely label errors, a table like that of `save_errors`; captions start with the image's index."""
    title = "{shown} of {all} likely label errors in the test set"
    _save_grid(path, images, errors, metadata, "{index}: labelled {actual}", title)


def save_calibration(path: Path, bins: "pd.DataFrame", metadata: Metadata) -> None:
    """Accuracy by confidence, and the number of images in each bin of confidence."""
    width = 1 / len(bins)
    left = np.arange(len(bins)) * width
    with figure(path, 5, 5.4) as drawn:
        above, below = drawn.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.bar(left, bins["accuracy"], width, align="edge", edgecolor="white", label="accuracy")
        above.plot((0, 1), (0, 1), color="grey", linestyle="--", label="perfect calibration")
        above.set(ylabel="accuracy", title=f"{metadata['title']}: test set")
        above.legend(loc="upper left")
        below.bar(left, bins["count"], width, align="edge", edgecolor="white")
        below.set(xlabel="confidence", ylabel="images", xlim=(0, 1), yscale="log")


def save_abstention(path: Path, curve: "pd.DataFrame", metadata: Metadata) -> None:
    """The test error by coverage, both in percent."""
    with figure(path, 5, 3.6) as drawn:
        axes = drawn.subplots()
        axes.plot(100 * curve["coverage"], 100 * curve["error"])
        axes.set(xlabel="most confident test images that are answered (%)", ylabel="error among them (%)")
        axes.set(xlim=(50, 100), ylim=(0, None), title=f"{metadata['title']}: abstaining at low confidence")


def save_prediction(
    path: Path, image: Pixels, probabilities: NDArray[np.float32], label: int, index: int, metadata: Metadata
) -> None:
    """One raw test image, (28, 28), and the probability of each class, (10,)."""
    classes = metadata["classes"]
    with figure(path, 7, 3.4) as drawn:
        left, right = drawn.subplots(1, 2)
        show_image(left, image)
        left.set_title(f"{metadata['title']} test image {index}: {classes[label]}")
        _show_probabilities(right, probabilities, classes)


def save_pictures(
    path: Path, pictures: Sequence[NDArray[np.float32]], seen: Pixels, probabilities: NDArray[np.float32]
) -> None:
    """One row per picture: as it is, grey 0..1; as the model sees it, one of (n, 28, 28); and a row of (n, 10)."""
    with figure(path, 9, 3 * len(pictures)) as drawn:
        grid = drawn.subplots(len(pictures), 3, squeeze=False)
        for row, picture, image, answer in zip(grid, pictures, seen, probabilities, strict=True):
            show_image(row[0], picture)
            row[0].images[0].set_clim(0, 1)
            show_image(row[1], image)
            _show_probabilities(row[2], answer, [str(digit) for digit in range(CLASSES)])
        for axes, title in zip(grid[0], ("picture", "as the model sees it"), strict=False):
            axes.set_title(title)


def _show_probabilities(axes: Axes, probabilities: NDArray[np.float32], classes: Sequence[str]) -> None:
    """A bar for each class, the most likely one darker."""
    predicted, positions = int(probabilities.argmax()), np.arange(CLASSES)
    axes.barh(positions, probabilities, color=np.where(positions == predicted, "tab:blue", "lightsteelblue"))
    axes.set_yticks(positions, classes)
    axes.set(xlim=(0, 1), xlabel="probability", title=f"predicted: {classes[predicted]}")
    axes.invert_yaxis()


def _save_grid(path: Path, images: Pixels, errors: "pd.DataFrame", metadata: Metadata, label: str, title: str) -> None:
    """The first 25 of `errors`, each below its caption, which begins with `label`."""
    shown, classes = errors.head(SIDE * SIDE), metadata["classes"]
    rows = max(1, math.ceil(len(shown) / SIDE))
    with figure(path, 1.7 * SIDE, 0.5 + 1.65 * rows) as drawn:
        grid = drawn.subplots(rows, SIDE, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, image, row in zip(grid, images[shown.index], shown.itertuples(), strict=False):
            show_image(axes, image)
            first = label.format(index=row.Index, actual=classes[row.actual])
            axes.set_title(f"{first}\npredicted {classes[row.predicted]} ({row.confidence:.1%})", fontsize=8)
        drawn.suptitle(f"{metadata['title']}: {title.format(shown=len(shown), all=len(errors))}")
