"""Stage train: the recipe's network, trained, in data/model.keras; one row per epoch in reports/history.csv."""

import time
from pathlib import Path

from digits import params
from digits.common import files, paths, run_record
from digits.common.errors import exit_on_user_error
from digits.live import observer
from digits.model import architectures, keras_file
from digits.model.predictor import Predictor
from digits.training import trainer
from digits.training.checkpoint import Checkpoint
from digits.training.temperature import fit_temperature


def main() -> None:
    settings = params.load()
    recipe, seed, threads = settings.recipe, settings.train.seed, settings.train.threads
    trainer.configure(recipe, threads)

    x_train, y_train, x_val, y_val = files.read_arrays(paths.NORMALIZED, "x_train", "y_train", "x_val", "y_val")
    network = architectures.build(recipe, seed)
    identity = {"seed": seed, "threads": threads, **recipe.model_dump(mode="json")}
    checkpoint = Checkpoint.for_run(identity, paths.NORMALIZED, Path(__file__))
    with observer.observed(checkpoint.path):
        history = trainer.fit(network, recipe, seed, threads, (x_train, y_train), (x_val, y_val), checkpoint=checkpoint)
        columns = {name: [row[name] for row in history] for name in history[0] if name != "seconds"}
        files.write_csv(paths.HISTORY, columns)
        temperature = fit_temperature(Predictor(network)(x_val), y_val)
        model = architectures.with_calibrated_softmax(network, recipe.normalization, temperature)
        keras_file.save(model, paths.MODEL)
    seconds = history[-1]["seconds"]
    run_record.save(paths.MODEL, time.time() - seconds, seconds, training=checkpoint.path.stem)
    checkpoint.remove()


if __name__ == "__main__":
    exit_on_user_error(main)
