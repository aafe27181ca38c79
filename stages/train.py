"""Stage train: a network fitted by the chosen recipe, data/model.keras; its epochs, reports/history.csv."""

import time
from pathlib import Path

import numpy as np

from digits import artifacts, backend, checkpoints, params, timings
from digits.errors import run_stage

DATA, MODEL = Path("data/normalized.npz"), Path("data/model.keras")


def main() -> None:
    """Train on the normalized images; save the model with its normalization inside."""
    settings = params.load()
    recipe, seed = settings.recipe, settings.train.seed
    backend.start(recipe.threads)
    from digits import models, training  # which import Keras: once the params are checked, TensorFlow set

    with np.load(DATA) as splits:
        train = splits["x_train"], splits["y_train"]
        validation = splits["x_val"], splits["y_val"]

    network = models.build(recipe, seed)
    code = [Path(module.__file__ or "") for module in (backend, models, training)]
    checkpoint = checkpoints.of_training({"seed": seed, **recipe.model_dump(mode="json")}, DATA, code)
    history = training.fit(network, recipe, seed, train, validation, checkpoint)
    seconds = history.pop("seconds").tolist()
    started = time.time() - seconds[-1]
    artifacts.write_table(Path("reports/history.csv"), history)
    models.save(models.with_normalization(network, settings.normalize.method), MODEL)
    timings.record(MODEL, started, seconds, images=len(train[0]))
    checkpoint.remove()


if __name__ == "__main__":
    run_stage(main)
