"""Stage train: a network fitted by the chosen recipe, data/model.keras; its epochs, reports/history.csv."""

import time
from pathlib import Path

from digits import artifacts, backend, checkpoints, params, timings
from digits.errors import run_stage

DATA, MODEL = Path("data/normalized.npz"), Path("data/model.keras")


def main() -> None:
    """Train on the normalized images; save the model with its normalization inside."""
    settings = params.load()
    recipe, seed = settings.recipe, settings.train.seed
    backend.start(recipe.threads)
    from digits import models, training  # which import Keras: once the params are checked, TensorFlow set

    splits = artifacts.map_arrays(DATA)
    train, validation = ((splits[f"x_{name}"], splits[f"y_{name}"]) for name in ("train", "val"))

    network = models.build(recipe, seed)
    code = [Path(module.__file__ or "") for module in (backend, models, training)]
    checkpoint = checkpoints.of_training({"seed": seed, **recipe.model_dump(mode="json")}, DATA, code)
    history = training.fit(network, recipe, seed, train, validation, checkpoint)
    seconds = history.pop("seconds")
    started = time.time() - seconds[-1]
    artifacts.write_table(Path("reports/history.csv"), history)
    models.save(models.with_normalization(network, settings.normalize.method), MODEL)
    timings.record(MODEL, started, seconds, images=len(train[0]))
    checkpoint.remove()


if __name__ == "__main__":
    run_stage(main)
