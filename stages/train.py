"""Stage train: the recipe's network, trained, in data/model.keras; one row per epoch in reports/history.csv."""

import time
from pathlib import Path

from digits import params
from digits.common import files, run_record
from digits.common.stage import run_stage
from digits.training import execution
from digits.training.checkpoint import Checkpoint
from digits.training.progress import progress_bar

DATA, MODEL = Path("data/normalized.npz"), Path("data/model.keras")


def main() -> None:
    """Train on the normalized images; save the model with its normalization inside."""
    settings = params.load()
    recipe, seed = settings.recipe, settings.train.seed
    execution.configure(recipe)
    from digits.model import architectures, inference, keras_file  # these import Keras, so TensorFlow comes first
    from digits.training import loop
    from digits.training.temperature import fit_temperature

    x_train, y_train = files.read_arrays(DATA, "x_train", "y_train")
    x_val, y_val = files.read_arrays(DATA, "x_val", "y_val")
    network = architectures.build(recipe, seed)
    checkpoint = Checkpoint.for_run({"seed": seed, **recipe.model_dump(mode="json")}, DATA, Path(__file__))
    splits = loop.as_tensors(x_train, y_train), loop.as_tensors(x_val, y_val)
    with progress_bar(recipe.epochs) as show:
        history = loop.fit(network, recipe, seed, *splits, on_epoch_end=show, checkpoint=checkpoint)
    seconds = history[-1]["seconds"]
    columns = {name: [row[name] for row in history] for name in history[0] if name != "seconds"}
    files.write_csv(Path("reports/history.csv"), columns)
    temperature = fit_temperature(inference.predict(network, x_val), y_val)
    keras_file.save(architectures.shipped(network, recipe.normalization, temperature), MODEL)
    run_record.save(MODEL, time.time() - seconds, seconds)
    checkpoint.remove()


if __name__ == "__main__":
    run_stage(main)
