"""Stage predict_sample: what is test image 1000? reports/prediction.json answers, a plot shows it."""

from pathlib import Path

from digits import artifacts, params, plots
from digits.errors import InputError, run_stage


def main() -> None:
    """Look one test image up in the probabilities that evaluate kept."""
    index = params.load().predict_sample.index
    about = artifacts.read_json(Path("data/raw/dataset.json"))
    splits = artifacts.map_arrays(Path("data/normalized.npz"))
    images, labels = splits["x_test"], splits["y_test"]
    probabilities = artifacts.map_arrays(Path("data/probabilities.npz"))["probabilities"]
    if not 0 <= index < len(labels):
        allowed = f"must be from 0 to {len(labels) - 1}, the test images of {about['title']}"
        raise InputError(f"params.yaml: predict_sample.index: {allowed}, got {index}")

    label, prediction = int(labels[index]), int(probabilities[index].argmax())
    answer = {
        "index": index,
        "label": label,
        "prediction": prediction,
        "probabilities": [round(float(probability), 6) for probability in probabilities[index]],
    }
    artifacts.write_json(Path("reports/prediction.json"), answer)
    figure = plots.prediction(images[index], probabilities[index], label, index, about["title"])
    plots.save(figure, Path("reports/plots/prediction.png"))
    table = {"digit": range(len(probabilities[index])), "probability": probabilities[index]}
    artifacts.write_table(Path("data/sample.csv"), table)
    print(f"test image {index}: predicted {prediction}, labelled {label}")


if __name__ == "__main__":
    run_stage(main)
