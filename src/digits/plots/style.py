"""The style of all figures, whatever the user's matplotlib settings are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digits.common import files

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
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        drawn = Figure(figsize=(width, height))
        yield drawn
        with files.atomic(path) as temporary:
            drawn.savefig(temporary, dpi=100, metadata={"Software": None})


def show_image(axes: Axes, image: NDArray[np.generic]) -> None:
    """Show an image in grey, without axes."""
    axes.imshow(image, cmap="gray", interpolation="nearest")
    axes.set_axis_off()
