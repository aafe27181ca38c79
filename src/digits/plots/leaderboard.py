"""Figures of the leaderboard: the error of each recipe by its training time, and by the number of images."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from digits.plots.style import Metadata, figure

if TYPE_CHECKING:
    import pandas as pd

Format = Callable[[float, float], str]  # the label of a tick, from its value and position


def save_error_by_time(path: Path, table: "pd.DataFrame", metadata: Metadata) -> None:
    """Test error against training time, one point per recipe; the bars are standard deviations over the seeds.

    Takes a table with `recipe`, `test_accuracy`, `test_accuracy_std` (0..1) and `training_seconds`. Recipes whose
    seconds are not known (NaN) are left out.
    """
    with figure(path, 7, 4.5) as drawn:
        axes = drawn.subplots()
        axes.set(xscale="log", yscale="log")
        for row in table.dropna(subset="training_seconds").to_dict("records"):
            point = row["training_seconds"], 1 - row["test_accuracy"]
            axes.errorbar(*point, yerr=row["test_accuracy_std"], marker="o", capsize=3)
            axes.annotate(row["recipe"], point, (7, 4), textcoords="offset points", fontsize=9)
        axes.set(xlabel="training time, seconds", ylabel="test error", title=f"{metadata['title']}: error by time")
        axes.margins(0.1)
        _label(axes.xaxis, _number)
        _label(axes.yaxis, _percent)


def save_learning_curve(path: Path, table: "pd.DataFrame", metadata: Metadata) -> None:
    """Test error against the number of training images, one line per recipe; bars as in `save_error_by_time`.

    Takes a table with `recipe`, `train_size`, `test_accuracy` and `test_accuracy_std` (0..1).
    """
    with figure(path, 7, 4.5) as drawn:
        axes = drawn.subplots()
        axes.set(xscale="log", yscale="log")
        for recipe, rows in table.groupby("recipe", sort=False):
            error, spread = 1 - rows["test_accuracy"], rows["test_accuracy_std"]
            axes.errorbar(rows["train_size"], error, yerr=spread, marker="o", capsize=3, label=recipe)
        axes.set(xlabel="training images", ylabel="test error", title=f"{metadata['title']}: learning curve")
        axes.set_xticks(sorted(set(table["train_size"])))
        axes.xaxis.set_major_formatter(_number)
        axes.xaxis.set_minor_formatter(NullFormatter())
        _label(axes.yaxis, _percent)
        if not table.empty:
            axes.legend()


def _label(axis: Axis, text: Format) -> None:
    """Label 1, 2 and 5 of every decade of a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(text)
    axis.set_minor_formatter(NullFormatter())


def _number(value: float, _: float) -> str:
    return f"{value:,g}"


def _percent(value: float, _: float) -> str:
    return f"{100 * value:g} %"
