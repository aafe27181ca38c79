"""Digits: what the stage train does, checkpoints included."""

import tempfile
from pathlib import Path

from digits.common import files
from digits.params import RECIPES
from digits.training import execution
from digits.training.checkpoint import Checkpoint
from harness import EpochTimer, Task

task = Task.from_argv()
recipe = RECIPES[task.recipe.architecture].model_validate(vars(task.recipe))
execution.configure(recipe)

import tensorflow as tf  # noqa: E402, once it is configured

from digits.model import architectures, inference  # noqa: E402
from digits.training import loop  # noqa: E402

tf.zeros(())  # starts the runtime, as the other libraries start theirs when they load the data

x_train, y_train, x_test, y_test = files.read_arrays(Path(task.data), "x_train", "y_train", "x_test", "y_test")

with tempfile.TemporaryDirectory() as folder:
    timer = EpochTimer()
    network = architectures.build(recipe, task.seed)
    loop.fit(
        network,
        recipe,
        task.seed,
        loop.as_tensors(x_train, y_train),
        on_epoch_end=lambda _: timer.end_epoch(),
        checkpoint=Checkpoint(Path(folder, "checkpoint.npz")),
    )

predicted = inference.predict(network, x_test).argmax(axis=1)
timer.report(float((predicted == y_test).mean()))
