"""Digits: what the stage train does, checkpoints included."""

import tempfile
from pathlib import Path

from digits.common import files
from digits.model import architectures
from digits.model.predictor import Predictor
from digits.params import RECIPES
from digits.training import trainer
from digits.training.checkpoint import Checkpoint
from harness import EpochTimer, Task

task = Task.from_argv()
recipe = RECIPES[task.recipe.architecture].model_validate(vars(task.recipe))
trainer.configure(recipe, task.threads)
x_train, y_train, x_test, y_test = files.read_arrays(Path(task.data), "x_train", "y_train", "x_test", "y_test")
trainer.as_tensors((x_train[:1], y_train[:1]))  # starts the runtime, as the other libraries do when they load the data

with tempfile.TemporaryDirectory() as folder:
    timer = EpochTimer()
    network = architectures.build(recipe, task.seed)
    trainer.fit(
        network,
        recipe,
        task.seed,
        task.threads,
        (x_train, y_train),
        on_epoch_end=lambda _: timer.end_epoch(),
        checkpoint=Checkpoint(Path(folder, "checkpoint.npz")),
    )

predicted = Predictor(network)(x_test).argmax(axis=1)
timer.report(float((predicted == y_test).mean()))
