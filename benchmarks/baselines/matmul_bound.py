"""A lower bound without learning: the eight matrix products of a step, compiled by XLA in a loop.

Three forward, three backward for the weights and two for the layers below. Another library's products may be faster.
"""

from itertools import pairwise

from digits import model  # sets TensorFlow up

# isort: split
import numpy as np
import tensorflow as tf

from harness import EpochTimer, Task

task = Task.from_argv()
model.set_threads(task.threads)
(images,) = task.arrays("x_train")
resident = tf.constant(images.reshape(len(images), -1))
rows = len(images)
steps = -(-rows // task.recipe.batch_size)
widths = [resident.shape[1], *task.recipe.hidden, 10]
random = np.random.default_rng(task.seed)
weights = [tf.constant(random.normal(0, rows**-0.5, (rows, columns)), tf.float32) for rows, columns in pairwise(widths)]


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def epoch(images: tf.Tensor, *weights: tf.Tensor) -> list[tf.Tensor]:
    """Every product depends on the batch, and the last step's are returned, so that XLA can leave out none."""

    def body(i: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
        first = tf.minimum(i * task.recipe.batch_size, rows - task.recipe.batch_size)
        layers = [tf.slice(images, (first, 0), (task.recipe.batch_size, widths[0]))]
        for weight in weights:
            layers.append(layers[-1] @ weight)
        gradients: list[tf.Tensor] = []
        error = layers.pop()
        for layer, weight in zip(reversed(layers), reversed(weights), strict=True):
            gradients.insert(0, tf.matmul(layer, error, transpose_a=True))
            if layer is not layers[0]:
                error = tf.matmul(error, weight, transpose_b=True)
        return i + 1, *gradients

    return list(tf.while_loop(lambda i, *_: i < steps, body, (0, *weights))[1:])


timer = EpochTimer()
for _ in range(task.recipe.epochs):
    [gradient.numpy() for gradient in epoch(resident, *weights)]
    timer.end_epoch()
timer.report()
