"""Stage evaluate: the saved model scored on the raw test images; metrics and plots in reports/."""

from digits import model
from digits.common import files, paths
from digits.common.errors import exit_on_user_error
from digits.data import download, idx
from digits.evaluation import calibration, metrics
from digits.model import architectures, keras_file
from digits.model.predictor import Predictor
from digits.plots import evaluation as plots


def main() -> None:
    model.set_threads(intra_op_threads=1)
    metadata = files.read_json(paths.RAW / download.METADATA)
    images, labels = idx.read_test(paths.RAW)
    classifier = keras_file.load(paths.MODEL)
    probabilities = Predictor(classifier)(images)
    predictions = metrics.predictions(labels, probabilities)
    temperature = architectures.read_temperature(classifier)

    files.write_arrays(paths.PROBABILITIES, probabilities=probabilities)
    files.write_csv(paths.PREDICTIONS, predictions.to_dict("list"))
    scores = metrics.scores(labels, probabilities, temperature)
    about = {"temperature": temperature, "parameters": classifier.count_params()}
    files.write_json(paths.METRICS, {"dataset": metadata["name"], **scores, **about})
    folder = paths.EVALUATION_PLOTS
    plots.save_confusion(folder / "confusion.png", predictions, metadata)
    plots.save_errors(folder / "errors.png", images, metrics.errors(predictions), metadata)
    plots.save_calibration(folder / "calibration.png", calibration.reliability_bins(labels, probabilities), metadata)
    plots.save_abstention(folder / "abstention.png", calibration.risk_coverage(predictions), metadata)


if __name__ == "__main__":
    exit_on_user_error(main)
