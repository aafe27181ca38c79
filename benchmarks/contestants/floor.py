"""No learning: the eight matrix products of a step alone, as XLA compiles them in a loop, on batches in order.

Forward three, backward three for the weights and two for the layers below. Another library's products may be faster.
"""

from itertools import pairwise
from pathlib import Path

import contest
from digits import artifacts, backend

task = contest.Task.given()
backend.start(task.threads)

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402, once it is set

images = artifacts.map_arrays(Path(task.data))["x_train"]
resident = tf.constant(images.reshape(len(images), -1))
rows = len(images)
steps = -(-rows // task.batch_size)
widths = [resident.shape[1], *task.hidden, 10]
random = np.random.default_rng(task.seed)
weights = [tf.constant(random.normal(0, rows**-0.5, (rows, columns)), tf.float32) for rows, columns in pairwise(widths)]


@tf.function(jit_compile=True, autograph=False)
def epoch(images: tf.Tensor, *weights: tf.Tensor) -> list[tf.Tensor]:
    """Every product depends on the batch, and the last step's are given back, so that none can be left out."""

    def body(at: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
        first = tf.minimum(at * task.batch_size, rows - task.batch_size)
        layers = [tf.slice(images, (first, 0), (task.batch_size, widths[0]))]
        for weight in weights:
            layers.append(layers[-1] @ weight)
        gradients, error = [], layers.pop()
        for layer, weight in zip(reversed(layers), reversed(weights), strict=True):
            gradients.insert(0, tf.matmul(layer, error, transpose_a=True))
            if layer is not layers[0]:
                error = tf.matmul(error, weight, transpose_b=True)
        return at + 1, *gradients

    return tf.while_loop(lambda at, *_: at < steps, body, (0, *weights))[1:]


watch = contest.Watch()
for _ in range(task.epochs):
    [gradient.numpy() for gradient in epoch(resident, *weights)]
    watch.epoch_ends()
watch.report()
