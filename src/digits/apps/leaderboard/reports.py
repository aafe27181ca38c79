"""The files of the leaderboard: reports/leaderboard.csv, and tables and figures in reports/leaderboard/."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from digits import params
from digits.apps.leaderboard import augmented, tables
from digits.apps.leaderboard.trials import RAW, Trial, full_size
from digits.common import files
from digits.common.types import Labels, Pixels
from digits.data import download, idx
from digits.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from digits.evaluation.label_errors import likely_label_errors
from digits.plots import dataset as dataset_plots
from digits.plots import evaluation as evaluation_plots
from digits.plots import leaderboard as plots
from digits.plots import robustness as robustness_plots
from digits.plots.style import Metadata
from digits.tracking import store

ACCURATE = 0.98  # of the validation set; a model that errs more often says little about labels
TABLE, FOLDER = Path("reports/leaderboard.csv"), Path("reports/leaderboard")


def write(trials: Sequence[Trial]) -> str:
    """Write all files from what MLflow has of the trials now; returns the leaderboard in Markdown.

    Raises:
        UserError: the store cannot be used.
    """
    images, labels = idx.read_test(RAW)
    metadata = files.read_json(RAW / download.METADATA)
    with store.connect(create=False) as (client, _):
        current = [replace(trial, run=client.get_run(trial.run.info.run_id)) for trial in trials]
        suspects = _label_errors(full_size(current), labels)
    metrics, full = tables.read_metrics(current), tables.read_metrics(full_size(current))
    leaderboard = tables.leaderboard(full)
    robustness = tables.robustness_by_corruption(full, leaderboard["recipe"])
    curve = tables.learning_curve(metrics)

    plots.save_error_by_time(FOLDER / "error_by_time.png", leaderboard, metadata)
    plots.save_learning_curve(FOLDER / "learning_curve.png", curve, metadata)
    _save_augmented(FOLDER / "augmentation.png", metadata)
    robustness_plots.save_robustness(FOLDER / "robustness.png", tables.over_severities(robustness))
    robustness_plots.save_corruptions(FOLDER / "corruptions.png", _examples(images), metadata)
    evaluation_plots.save_label_errors(FOLDER / "label_errors.png", images, suspects, metadata)
    files.write_csv(FOLDER / "robustness.csv", robustness.to_dict("list"))
    files.write_csv(FOLDER / "learning_curve.csv", curve.to_dict("list"))
    files.write_csv(TABLE, leaderboard.to_dict("list"))
    return tables.markdown(pd.read_csv(TABLE))  # rounded as there, so that README can be compared with it


def _examples(images: Pixels) -> dict[str, Pixels]:
    """The first image by corruption, (1 + severities, 28, 28): clean, then at each severity."""
    first = images[:1]
    return {
        name: np.concatenate([first, *(corrupt(first, name, severity) for severity in SEVERITIES)])
        for name in CORRUPTIONS
    }


def _save_augmented(path: Path, metadata: Metadata) -> None:
    """The first training images, as the first recipe with augmentation sees them."""
    for name, recipe in params.load().recipes.items():
        if recipe.augmentation:
            images, _ = idx.read_train(RAW)
            examples = augmented.examples(recipe.augmentation, images[:5])
            dataset_plots.save_augmented(path, examples, name, metadata)
            break


def _label_errors(trials: Sequence[Trial], labels: Labels) -> pd.DataFrame:
    """The test images that all accurate trials, or all if none is, give the same class, which is not their label."""
    trials = [trial for trial in trials if trial.run.data.metrics["val_accuracy"] >= ACCURATE] or trials
    logged = [mlflow.artifacts.load_dict(f"runs:/{trial.run.info.run_id}/predictions.json") for trial in trials]
    predictions = [pd.DataFrame(one["data"], columns=one["columns"]) for one in logged]
    predicted, confidence = (np.stack([one[name] for one in predictions]) for name in ("predicted", "confidence"))
    return likely_label_errors(labels, predicted, confidence)
