"""Stage evaluate: the test set scored once; metrics and plots into reports/, probabilities and predictions into data/."""

from pathlib import Path

import numpy as np
import pandas as pd

from digits import artifacts, backend, evaluation, params, plots
from digits.errors import run_stage

PLOTS = Path("reports/plots")


def main() -> None:
    """Score the trained network on the normalized test images."""
    params.load()
    backend.start(threads=1)
    from digits import models  # it imports Keras: not before the params are checked and TensorFlow is set

    about = artifacts.read_json(Path("data/raw/dataset.json"))
    with np.load("data/normalized.npz") as splits:
        images, labels = splits["x_test"], splits["y_test"]
    network = models.network_of(models.load(Path("data/model.keras")))
    probabilities = models.probabilities(network, images)
    predictions = evaluation.predictions(labels, probabilities)
    scores = evaluation.scores(labels, probabilities)
    artifacts.write_arrays(Path("data/probabilities.npz"), probabilities=probabilities)
    artifacts.write_table(Path("data/predictions.csv"), predictions)
    metrics = {"dataset": about["name"], **scores, "parameters": network.count_params()}
    artifacts.write_json(Path("reports/metrics.json"), metrics)

    title = about["title"]
    history = pd.read_csv("reports/history.csv")
    plots.save(plots.curves(history, title), PLOTS / "curves.png")
    plots.save(plots.confusion(predictions, title), PLOTS / "confusion.png")
    plots.save(plots.mistakes(images, evaluation.mistakes(predictions), title), PLOTS / "mistakes.png")
    plots.save(plots.calibration(evaluation.calibration(labels, probabilities), title), PLOTS / "calibration.png")


if __name__ == "__main__":
    run_stage(main)
