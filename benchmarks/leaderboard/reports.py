"""The files of the leaderboard: reports/leaderboard.csv, and its page, tables and figures in reports/leaderboard/."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits import params
from digits.common import files, paths
from digits.common.types import Labels, Pixels
from digits.data import download, idx
from digits.plots.style import Metadata
from digits.tracking import store
from leaderboard import augmented, figures, tables
from leaderboard.comparisons import accuracy_differences
from leaderboard.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from leaderboard.label_errors import likely_label_errors
from leaderboard.trials import Trial, full_size

ACCURATE = 0.98  # of the validation set; a model that errs more often says little about labels
TABLE, FOLDER = Path("reports/leaderboard.csv"), Path("reports/leaderboard")
DIFFERENCES = FOLDER / "differences.csv"

PAGE = """\
# Leaderboard

Every recipe of [params.yaml](../../params.yaml), best first by validation accuracy, with means over {seeds} seeds, from
`make leaderboard` ([how it is measured](../../docs/recipes.md)).

{table}

{parts}
"""

DIFFERENCES_CAPTION = (
    "Each recipe against the next one: the difference of their mean test accuracies, in percentage points, and its\n"
    "95 % interval, from a paired bootstrap over the test images. It leaves out the variation of the seeds."
)

# The captions of the page's figures, by the names of their files.
FIGURES = {
    "error_by_time": "Test error by training time; the bars are standard deviations over the seeds.",
    "robustness": "Test error by recipe and corruption.",
    "corruptions": "The corruptions, each at three severities.",
    "label_errors": "Test images whose label is likely wrong: all accurate models agree on another class.",
    "learning_curve": "Test error by the number of training images.",
    "augmentation": "Training images as they are, then as the last recipe augments them.",
}


def write(trials: Sequence[Trial]) -> str:
    """Write all files from what MLflow has of the trials now; returns the leaderboard in Markdown.

    Raises:
        UserError: the store cannot be used.
    """
    images, labels = idx.read_test(paths.RAW)
    metadata = files.read_json(paths.RAW / download.METADATA)
    with store.connect(create=False) as (client, _):
        current = [replace(trial, run=client.get_run(trial.run.info.run_id)) for trial in trials]
        full = full_size(current)
        predictions = _predictions(full)
    metrics = tables.read_metrics(full)
    leaderboard = tables.leaderboard(metrics)
    robustness = tables.robustness_by_corruption(metrics, leaderboard["recipe"])
    curve = tables.learning_curve(tables.read_metrics(current))
    differences = accuracy_differences(_correct(full, predictions, leaderboard["recipe"]))
    suspects = _label_errors(full, predictions, labels)

    figures.save_error_by_time(FOLDER / "error_by_time.png", leaderboard, metadata)
    figures.save_learning_curve(FOLDER / "learning_curve.png", curve, metadata)
    _save_augmented(FOLDER / "augmentation.png", metadata)
    figures.save_robustness(FOLDER / "robustness.png", tables.over_severities(robustness))
    figures.save_corruptions(FOLDER / "corruptions.png", _examples(images), metadata)
    figures.save_label_errors(FOLDER / "label_errors.png", images, suspects, metadata)
    files.write_csv(FOLDER / "robustness.csv", robustness.to_dict("list"))
    files.write_csv(FOLDER / "learning_curve.csv", curve.to_dict("list"))
    files.write_csv(DIFFERENCES, differences.to_dict("list"))
    files.write_csv(TABLE, leaderboard.to_dict("list"))
    written = pd.read_csv(TABLE)  # rounded, so that documents can be compared with it
    files.write_bytes(FOLDER / "README.md", page(written).encode())
    return tables.markdown(written)


def page(table: pd.DataFrame) -> str:
    """The page of the folder, from the table of reports/leaderboard.csv, the differences and the figures there."""
    drawn = {name: caption for name, caption in FIGURES.items() if (FOLDER / f"{name}.png").exists()}
    parts = [f"{caption}\n\n![{name.replace('_', ' ')}]({name}.png)" for name, caption in drawn.items()]
    differences = pd.read_csv(DIFFERENCES) if DIFFERENCES.exists() else pd.DataFrame()
    if len(differences):  # there may be one recipe alone
        parts.insert(0, f"{DIFFERENCES_CAPTION}\n\n{tables.differences_markdown(differences)}")
    return PAGE.format(seeds=table["seeds"].max(), table=tables.markdown(table), parts="\n\n".join(parts))


def _examples(images: Pixels) -> dict[str, Pixels]:
    """The first image by corruption, (1 + severities, 28, 28): clean, then at each severity."""
    first = images[:1]
    return {
        name: np.concatenate([first, *(corrupt(first, name, severity) for severity in SEVERITIES)])
        for name in CORRUPTIONS
    }


def _save_augmented(path: Path, metadata: Metadata) -> None:
    """The first training images, as the last recipe with augmentation sees them."""
    for name, recipe in reversed(list(params.load().recipes.items())):
        if recipe.augmentation.is_active:
            images, _ = idx.read_train(paths.RAW)
            examples = augmented.examples(recipe.augmentation, images[:5])
            figures.save_augmented(path, examples, name, metadata)
            break


def _predictions(trials: Sequence[Trial]) -> list[pd.DataFrame]:
    """The predictions of each trial: `actual`, `predicted` and `confidence`, one row per test image."""
    logged = [mlflow.artifacts.load_dict(f"runs:/{trial.run.info.run_id}/predictions.json") for trial in trials]
    return [pd.DataFrame(one["data"], columns=one["columns"]) for one in logged]


def _correct(
    trials: Sequence[Trial], predictions: Sequence[pd.DataFrame], recipes: Iterable[str]
) -> dict[str, NDArray[np.bool_]]:
    """Whether each prediction is correct, (seeds, n), by recipe, in the order of `recipes`."""
    rows = [(trial.recipe, one["predicted"] == one["actual"]) for trial, one in zip(trials, predictions, strict=True)]
    return {recipe: np.stack([row for name, row in rows if name == recipe]) for recipe in recipes}


def _label_errors(trials: Sequence[Trial], predictions: Sequence[pd.DataFrame], labels: Labels) -> pd.DataFrame:
    """The test images that all accurate trials, or all if none is, give the same class, which is not their label."""
    accurate = [
        one
        for trial, one in zip(trials, predictions, strict=True)
        if trial.run.data.metrics["val_accuracy"] >= ACCURATE
    ]
    columns = ("predicted", "confidence")
    predicted, confidence = (np.stack([one[name] for one in accurate or predictions]) for name in columns)
    return likely_label_errors(labels, predicted, confidence)
