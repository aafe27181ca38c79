"""The style of all figures, whatever the user's matplotlib settings are."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.common import files
from digits.common.types import CLASSES

os.environ.pop("MPLBACKEND", None)  # a notebook's, which exists in the notebook's environment alone

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Metadata = Mapping[str, Any]  # dataset.json: `title` and `classes`

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of that size in inches, to draw on; written to `path` as a PNG that names no software version."""
    with style.context(STYLE, after_reset=True):
        fig = Figure(figsize=(width, height))
        yield fig
        with files.atomic(path) as temporary:
            fig.savefig(temporary, dpi=100, metadata={"Software": None})


def show_image(ax: Axes, image: NDArray[np.generic]) -> None:
    """Show an image in grey, without axes."""
    ax.imshow(image, cmap="gray", interpolation="nearest")
    ax.set_axis_off()


def show_probabilities(ax: Axes, probabilities: NDArray[np.float32], classes: Sequence[str]) -> None:
    """A bar for each class, the most likely one darker."""
    predicted, positions = int(probabilities.argmax()), np.arange(CLASSES)
    ax.barh(positions, probabilities, color=np.where(positions == predicted, "tab:blue", "lightsteelblue"))
    ax.set_yticks(positions, classes)
    ax.set(xlim=(0, 1), xlabel="probability", title=f"predicted: {classes[predicted]}")
    ax.invert_yaxis()
