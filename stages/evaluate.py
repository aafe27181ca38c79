"""Stage evaluate: the test set scored once; probabilities into data/, metrics and plots into reports/."""

from pathlib import Path

from digits import answers, artifacts, params
from digits.errors import run_stage

DATA, MODEL, PLOTS = Path("data/normalized.npz"), Path("data/model.keras"), Path("reports/plots")


def main() -> None:
    """Score the trained network on the normalized test images."""
    params.load()
    with answers.beside(MODEL, DATA) as answering:  # where TensorFlow is imported, and here what else is slow
        from digits import evaluation, plots

        about, splits = artifacts.read_json(Path("data/raw/dataset.json")), artifacts.map_arrays(DATA)
        images, labels, title = splits["x_test"], splits["y_test"], about["title"]
        plots.save(plots.curves(artifacts.read_table(Path("reports/history.csv")), title), PLOTS / "curves.png")
        probabilities, parameters = answering.result()
    predictions = evaluation.predictions(labels, probabilities)
    artifacts.write_arrays(Path("data/probabilities.npz"), probabilities=probabilities)
    artifacts.write_table(Path("data/predictions.csv"), predictions.to_dict("list"))
    metrics = {"dataset": about["name"], **evaluation.scores(labels, probabilities), "parameters": parameters}
    artifacts.write_json(Path("reports/metrics.json"), metrics)
    plots.save(plots.confusion(predictions, title), PLOTS / "confusion.png")
    plots.save(plots.mistakes(images, evaluation.mistakes(predictions), title), PLOTS / "mistakes.png")
    plots.save(plots.calibration(evaluation.calibration(labels, probabilities), title), PLOTS / "calibration.png")


if __name__ == "__main__":
    run_stage(main)
