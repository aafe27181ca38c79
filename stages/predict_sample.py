"""Stage predict_sample: the prediction for one test image, by default 1000, as in the tutorial."""

from digits import params
from digits.common import files, paths
from digits.common.errors import UserError, exit_on_user_error
from digits.data import download, idx
from digits.plots import evaluation as plots


def main() -> None:
    index = params.load().predict_sample.index
    metadata = files.read_json(paths.RAW / download.METADATA)
    images, labels = idx.read_test(paths.RAW)
    if not 0 <= index < len(labels):
        allowed = f"must be from 0 to {len(labels) - 1}, the test images of {metadata['title']}"
        raise UserError(f"params.yaml: predict_sample.index: {allowed}, got {index}")

    (probabilities,) = files.read_arrays(paths.PROBABILITIES, "probabilities")
    row = probabilities[index]
    label, prediction = int(labels[index]), int(row.argmax())
    rounded = [round(float(probability), 6) for probability in row]
    answer = {"index": index, "label": label, "prediction": prediction, "probabilities": rounded}
    files.write_json(paths.PREDICTION, answer)
    files.write_csv(paths.SAMPLE, {"class": metadata["classes"], "probability": row})
    plots.save_prediction(paths.PREDICTION_PLOT, images[index], row, label, index, metadata)
    print(f"Test image {index}: predicted {prediction}, labelled {label}")


if __name__ == "__main__":
    exit_on_user_error(main)
