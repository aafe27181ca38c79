"""JAX with what makes Digits fast: batches of one size, the dense cross-entropy, weights drawn without compilation."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import contest

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

task = contest.Task.given()
x_train, y_train, x_test, y_test = task.arrays("x_train", "y_train", "x_test", "y_test")
images = jnp.asarray(x_train.reshape(len(x_train), -1))
labels = jnp.asarray(y_train.astype(np.int32))


def logits(weights: Any, x: jax.Array) -> jax.Array:
    """The network before its softmax."""
    for kernel, bias in weights[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = weights[-1]
    return x @ kernel + bias


def loss(weights: Any, x: jax.Array, y: jax.Array, counts: jax.Array) -> jax.Array:
    """The mean cross-entropy of those images of a batch that count."""
    losses = -(jax.nn.one_hot(y, 10) * jax.nn.log_softmax(logits(weights, x))).sum(axis=1)
    return (losses * counts).sum() / counts.sum()


def step(state: Any, x: jax.Array, y: jax.Array, counts: jax.Array) -> tuple[Any, jax.Array]:
    """One step of Adam."""
    weights, means, squares, count = state
    value, gradients = jax.value_and_grad(loss)(weights, x, y, counts)
    count = count + 1
    rate = task.learning_rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    means = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), means, gradients)
    squares = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), squares, gradients)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, means, squares)
    return (weights, means, squares, count), value


@partial(jax.jit, donate_argnums=0)
def epoch(state: Any, images: jax.Array, labels: jax.Array, indices: jax.Array, counts: jax.Array) -> Any:
    """A scan over batches of one size, the last of which is filled up by images that do not count."""

    def batch_step(state: Any, batch: Any) -> tuple[Any, jax.Array]:
        chosen, counting = batch
        return step(state, images[chosen], labels[chosen], counting)

    return jax.lax.scan(batch_step, state, (indices, counts))


watch = contest.Watch()
random = np.random.default_rng(task.seed)
widths = [images.shape[1], *task.hidden, 10]
limits = [np.sqrt(6 / (inputs + units)) for inputs, units in pairwise(widths)]  # Glorot's, as Keras draws them
weights = [
    (random.uniform(-limit, limit, shape).astype(np.float32), np.zeros(shape[1], np.float32))
    for limit, shape in zip(limits, pairwise(widths), strict=True)
]
means, squares = (jax.tree.map(np.zeros_like, weights) for _ in range(2))
state = jax.device_put((weights, means, squares, np.float32(0)))
steps = -(-len(labels) // task.batch_size)
counts = np.ones(steps * task.batch_size, np.float32)
counts[len(labels) :] = 0
for _ in range(task.epochs):
    order = np.resize(random.permutation(len(labels)).astype(np.int32), len(counts))
    state, _ = jax.block_until_ready(epoch(state, images, labels, order.reshape(steps, -1), counts.reshape(steps, -1)))
    watch.epoch_ends()

predicted = logits(state[0], jnp.asarray(x_test.reshape(len(x_test), -1))).argmax(axis=1)
watch.report(float((predicted == y_test).mean()))
