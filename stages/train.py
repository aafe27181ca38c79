"""Stage train: a network fitted by the chosen recipe, data/model.keras; its epochs, reports/history.csv."""

import time
from pathlib import Path

import numpy as np

from digits import artifacts, backend, params, timings
from digits.errors import run_stage

MODEL = Path("data/model.keras")


def main() -> None:
    """Train on the normalized images; save the model with its normalization inside."""
    settings = params.load()
    recipe, seed = settings.recipe, settings.train.seed
    backend.start(recipe.threads)
    from digits import models, training  # which import Keras: once the params are checked, TensorFlow set

    with np.load("data/normalized.npz") as splits:
        train = splits["x_train"], splits["y_train"]
        validation = splits["x_val"], splits["y_val"]

    network = models.build(recipe, seed)
    started = time.time()
    history = training.fit(network, recipe, seed, train, validation)
    seconds = history.pop("seconds")
    artifacts.write_table(Path("reports/history.csv"), history)
    models.save(models.with_normalization(network, settings.normalize.method), MODEL)
    timings.record(MODEL, started, seconds.tolist(), images=len(train[0]))


if __name__ == "__main__":
    run_stage(main)
