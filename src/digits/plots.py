"""Figures from images and scores, drawn the same way whatever the user's matplotlib settings are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digits import artifacts
from digits.idx import CLASSES

if TYPE_CHECKING:
    import pandas as pd

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


@contextmanager
def _house_style() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


@_house_style()
def save(figure: Figure, path: Path) -> None:
    """Write `figure` as a PNG that names no software version."""
    with artifacts.atomic(path) as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Software": None})


def _show(axes: Axes, image: NDArray[np.generic]) -> None:
    axes.imshow(image, cmap="gray", interpolation="nearest")
    axes.set_axis_off()


@_house_style()
def first_image(images: NDArray[np.uint8], labels: NDArray[np.uint8], title: str) -> Figure:
    """The first training image, (28, 28), with its label."""
    figure = Figure(figsize=(3.2, 3.4))
    axes = figure.subplots()
    _show(axes, images[0])
    axes.set_title(f"{title}: training image 0, a {labels[0]}")
    return figure


@_house_style()
def samples(images: NDArray[np.uint8], labels: NDArray[np.uint8], title: str, each: int = 5) -> Figure:
    """The first `each` training images of every class, a column a class."""
    mosaic = np.zeros((each, CLASSES, *images.shape[1:]), dtype=images.dtype)
    for label in range(CLASSES):
        found = images[labels == label][:each]
        mosaic[: len(found), label] = found
    rows, columns, height, width = mosaic.shape
    figure = Figure(figsize=(7, 3.8))
    axes = figure.subplots()
    _show(axes, mosaic.swapaxes(1, 2).reshape(rows * height, columns * width))
    axes.set_title(f"{title}: the first {each} training images of each digit")
    return figure


@_house_style()
def curves(history: "pd.DataFrame", title: str) -> Figure:
    """Loss and accuracy over the epochs, of the training and, if there is one, the validation set."""
    figure = Figure(figsize=(9, 3.6))
    figure.suptitle(f"{title}: training")
    for axes, measure in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for column, name in (
            (measure, "training, over the epoch"),
            (f"val_{measure}", "validation, after it"),
        ):
            if column in history:
                axes.plot(history["epoch"], history[column], marker="o", label=name)
        axes.set(xlabel="epoch", ylabel=measure)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


@_house_style()
def confusion(predictions: "pd.DataFrame", title: str) -> Figure:
    """How many test images of each class got each answer; shaded by the share of the class."""
    classes = range(CLASSES)
    counts = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(counts, (predictions["actual"], predictions["predicted"]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5.6))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    for actual in classes:
        for predicted in classes:
            if count := counts[actual, predicted]:
                colour = "white" if shares[actual, predicted] > 0.5 else "black"
                axes.text(predicted, actual, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    axes.set(xticks=classes, yticks=classes, xlabel="predicted", ylabel="actual", title=f"{title}: test set")
    return figure


@_house_style()
def mistakes(images: NDArray[np.float32], mistakes: "pd.DataFrame", title: str, side: int = 5) -> Figure:
    """The most confident wrong answers, up to `side` x `side`: what the image is, and what was answered."""
    shown = mistakes.head(side * side)
    height, width = images.shape[1:]
    above = height // 2  # room for the words
    mosaic = np.full((side * (above + height), side * (width + above)), np.nan)
    figure = Figure(figsize=(1.5 * side, 1.7 * side))
    axes = figure.subplots()
    for at, (wrong, image) in enumerate(zip(shown.itertuples(), images[shown.index.to_numpy()], strict=True)):
        bottom, left = (at // side + 1) * (above + height), at % side * (width + above) + above // 2
        mosaic[bottom - height : bottom, left : left + width] = image
        words = f"{wrong.actual}, not {wrong.predicted}\n{wrong.confidence:.1%} sure"
        axes.text(left + width / 2, bottom - height - 1, words, ha="center", va="bottom", fontsize=9)
    _show(axes, mosaic)
    axes.set_title(f"{title}: the most confident of {len(mistakes)} wrong answers")
    return figure


@_house_style()
def calibration(table: "pd.DataFrame", title: str) -> Figure:
    """Accuracy against confidence, and how many answers each bin of confidence has."""
    figure = Figure(figsize=(5, 5.4))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = 1 / len(table)
    left = np.arange(len(table)) * width
    above.bar(left, table["accuracy"], width, align="edge", edgecolor="white", label="answers")
    above.plot((0, 1), (0, 1), color="grey", linestyle="--", label="as sure as right")
    above.set(ylabel="accuracy", title=f"{title}: test set")
    above.legend(loc="upper left")
    below.bar(left, table["count"], width, align="edge", edgecolor="white")
    below.set(xlabel="confidence", ylabel="answers", xlim=(0, 1), yscale="log")
    return figure


@_house_style()
def prediction(
    image: NDArray[np.float32], probabilities: NDArray[np.float32], label: int, index: int, title: str
) -> Figure:
    """One test image, (28, 28), as the network sees it, and the probabilities, (10,), that it answers."""
    figure = Figure(figsize=(7, 3.4))
    left, right = figure.subplots(1, 2)
    _show(left, image)
    left.set_title(f"{title}: test image {index}, a {label}")
    classes = np.arange(CLASSES)
    colours = ["tab:blue" if at == probabilities.argmax() else "lightsteelblue" for at in classes]
    right.barh(classes, probabilities, color=colours)
    right.set(yticks=classes, xlim=(0, 1), xlabel="probability", title=f"predicted: {probabilities.argmax()}")
    right.invert_yaxis()
    return figure
