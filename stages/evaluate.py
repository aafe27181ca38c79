"""Stage evaluate: the test set scored once; probabilities into data/, metrics and plots into reports/."""

from pathlib import Path

import numpy as np

from digits import artifacts, backend, params
from digits.errors import run_stage


def main() -> None:
    """Score the trained network on the normalized test images."""
    params.load()
    backend.start(threads=1)
    from digits import evaluation, models, plots  # heavy imports: once the params are checked, TensorFlow set

    about = artifacts.read_json(Path("data/raw/dataset.json"))
    with np.load("data/normalized.npz") as splits:
        images, labels = splits["x_test"], splits["y_test"]
    network = models.network_of(models.load(Path("data/model.keras")))
    probabilities = models.probabilities(network, images)
    predictions = evaluation.predictions(labels, probabilities)
    artifacts.write_arrays(Path("data/probabilities.npz"), probabilities=probabilities)
    artifacts.write_table(Path("data/predictions.csv"), predictions)
    scores = evaluation.scores(labels, probabilities)
    metrics = {"dataset": about["name"], **scores, "parameters": network.count_params()}
    artifacts.write_json(Path("reports/metrics.json"), metrics)
    figures = {
        "curves": plots.curves(artifacts.read_table(Path("reports/history.csv")), about["title"]),
        "confusion": plots.confusion(predictions, about["title"]),
        "mistakes": plots.mistakes(images, evaluation.mistakes(predictions), about["title"]),
        "calibration": plots.calibration(evaluation.calibration(labels, probabilities), about["title"]),
    }
    for name, figure in figures.items():
        plots.save(figure, Path(f"reports/plots/{name}.png"))


if __name__ == "__main__":
    run_stage(main)
