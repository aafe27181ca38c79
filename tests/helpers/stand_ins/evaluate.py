"""Stands for stages/evaluate.py, without TensorFlow: as many errors as the stand-in for the model says."""

import io
import json

import numpy as np
from PIL import Image

from digits.common import files, paths
from digits.common.errors import exit_on_user_error
from digits.data import download, idx


def main() -> None:
    """Write what the real stage writes, with the same picture four times."""
    _, labels = idx.read_test(paths.RAW)
    errors = round((1 - json.loads(paths.MODEL.read_bytes())["accuracy"]) * len(labels))
    predicted = np.where(np.arange(len(labels)) < errors, (labels + 1) % 10, labels)
    probabilities = np.full((len(labels), 10), 0.01, np.float32)
    probabilities[np.arange(len(labels)), predicted] = 0.91

    files.write_arrays(paths.PROBABILITIES, probabilities=probabilities)
    columns = {"actual": labels, "predicted": predicted, "confidence": probabilities.max(axis=1)}
    files.write_csv(paths.PREDICTIONS, columns)
    accuracy = round(1 - errors / len(labels), 6)
    scores = {"accuracy": accuracy, "loss": round(1 - accuracy, 6), "errors": errors}
    scores |= {"expected_calibration_error": 0.01, "expected_calibration_error_unscaled": 0.02}
    scores |= {"calibration_bounds": {"low": 0.008, "high": 0.013, "if_perfect": 0.004}}
    per_class = {str(label): dict.fromkeys(("precision", "recall", "f1"), accuracy) for label in range(10)}
    dataset = files.read_json(paths.RAW / download.METADATA)["name"]
    about = {"per_class": per_class, "temperature": 1.25, "parameters": 1}
    files.write_json(paths.METRICS, {"dataset": dataset, **scores, **about})
    picture = io.BytesIO()
    Image.fromarray((255 * probabilities[:200]).astype(np.uint8)).save(picture, "PNG")
    for name in ("confusion", "errors", "calibration", "abstention"):
        files.write_bytes(paths.EVALUATION_PLOTS / f"{name}.png", picture.getvalue())


if __name__ == "__main__":
    exit_on_user_error(main)
