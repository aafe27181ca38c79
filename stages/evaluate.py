"""Stage evaluate: the saved model scored on the raw test images, once; metrics and plots in reports/."""

from pathlib import Path

from digits.common import files
from digits.common.stage import run_stage
from digits.data import download, idx
from digits.model import tensorflow_setup

RAW, REPORTS = Path("data/raw"), Path("reports")


def main() -> None:
    """Score the model that ships, as it ships."""
    tensorflow_setup.configure(num_threads=1)
    from digits.evaluation import calibration, metrics
    from digits.model import architectures, inference, keras_file
    from digits.plots import evaluation as plots

    metadata = files.read_json(RAW / download.METADATA)
    images, labels = idx.read_test(RAW)
    model = keras_file.load(Path("data/model.keras"))
    probabilities = inference.predict(model, images)
    predictions = metrics.predictions(labels, probabilities)
    temperature = architectures.temperature(model)

    files.write_arrays(Path("data/probabilities.npz"), probabilities=probabilities)
    files.write_csv(Path("data/predictions.csv"), predictions.to_dict("list"))
    scores = metrics.scores(labels, probabilities, temperature)
    about = {"temperature": temperature, "parameters": model.count_params()}
    files.write_json(REPORTS / "metrics.json", {"dataset": metadata["name"], **scores, **about})
    plots.save_confusion(REPORTS / "evaluation/confusion.png", predictions, metadata)
    plots.save_errors(REPORTS / "evaluation/errors.png", images, metrics.errors(predictions), metadata)
    plots.save_calibration(REPORTS / "evaluation/calibration.png", calibration.bins(labels, probabilities), metadata)
    plots.save_abstention(REPORTS / "evaluation/abstention.png", calibration.abstention(predictions), metadata)


if __name__ == "__main__":
    run_stage(main)
