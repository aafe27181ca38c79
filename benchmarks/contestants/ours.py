"""Digits: what the stage train does."""

import tempfile
from pathlib import Path

import contest
from digits import artifacts, backend
from digits.checkpoints import Arrays, Checkpoint
from digits.params import Recipe

task = contest.Task.given()
backend.start(task.threads)

import tensorflow as tf  # noqa: E402, once it is set

from digits import models, training  # noqa: E402

tf.zeros(())  # its runtime has started, as the other libraries' has when their data is there

splits = artifacts.map_arrays(Path(task.data))
nothing = splits["x_train"][:0], splits["y_train"][:0]
recipe = Recipe(
    architecture="mlp",
    hidden=task.hidden,
    optimizer="adam",
    learning_rate=task.learning_rate,
    batch_size=task.batch_size,
    epochs=task.epochs,
    threads=task.threads,
    xla=True,
)


class Noting(Checkpoint):
    """A checkpoint as in the pipeline, which notes when it was kept."""

    def save(self, arrays: Arrays) -> None:
        """Keep, then note."""
        super().save(arrays)
        watch.epoch_ends()


with tempfile.TemporaryDirectory() as folder:
    watch = contest.Watch()
    network = models.build(recipe, task.seed)
    checkpoint = Noting(Path(folder, "checkpoint.npz"), "benchmark")
    training.fit(network, recipe, task.seed, (splits["x_train"], splits["y_train"]), nothing, checkpoint)

predicted = models.probabilities(network, splits["x_test"]).argmax(axis=1)
watch.report(float((predicted == splits["y_test"]).mean()))
