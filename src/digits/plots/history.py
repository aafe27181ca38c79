"""The figure of a training run."""

import csv
from pathlib import Path

from digits.plots.style import Metadata, figure


def save_curves(path: Path, history: Path, metadata: Metadata) -> None:
    """Loss and accuracy by epoch, on the training set and, if there is one, on the validation set.

    Args:
        path: of the figure.
        history: history.csv, one row per epoch.
        metadata: of the dataset.
    """
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    with figure(path, 9, 3.6) as drawn:
        drawn.suptitle(f"{metadata['title']}: training run")
        for axes, measure in zip(drawn.subplots(1, 2), ("loss", "accuracy"), strict=True):
            for column, name in ((measure, "training, mean over the epoch"), (f"val_{measure}", "validation")):
                if column in rows[0]:
                    axes.plot(epochs, [float(row[column]) for row in rows], marker="o", label=name)
            axes.set(xlabel="epoch", ylabel=measure)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend()
