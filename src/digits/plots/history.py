"""The figure of a training run."""

from pathlib import Path
from typing import TYPE_CHECKING

from digits.plots.style import Metadata, figure

if TYPE_CHECKING:
    import pandas as pd


def save_curves(path: Path, history: "pd.DataFrame", metadata: Metadata) -> None:
    """Loss and accuracy by `epoch`, of training and, where there is a validation set, of validation."""
    with figure(path, 9, 3.6) as drawn:
        for axes, metric in zip(drawn.subplots(1, 2), ("loss", "accuracy"), strict=True):
            for column, label in ((metric, "training"), (f"val_{metric}", "validation")):
                if column in history:
                    axes.plot(history["epoch"], history[column], marker=".", label=label)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set(xlabel="epoch", ylabel=metric)
            axes.legend()
        drawn.suptitle(f"{metadata['title']}: training")
