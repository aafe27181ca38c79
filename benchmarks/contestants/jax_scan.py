"""JAX as one writes it first: an epoch is one jitted scan over resident data, Adam written out."""

from functools import partial
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


def loss(weights: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean cross-entropy of a batch."""
    logarithms = jax.nn.log_softmax(logits(weights, x))
    return -jnp.take_along_axis(logarithms, y[:, None], axis=1).mean()


def step(state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, jax.Array]:
    """One step of Adam."""
    weights, means, squares, count = state
    value, gradients = jax.value_and_grad(loss)(weights, x, y)
    count = count + 1
    rate = task.learning_rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    means = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), means, gradients)
    squares = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), squares, gradients)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, means, squares)
    return (weights, means, squares, count), value


@partial(jax.jit, donate_argnums=0)
def epoch(state: Any, images: jax.Array, labels: jax.Array, order: jax.Array) -> tuple[Any, jax.Array]:
    """All whole batches, then the one that is left."""

    def batch_step(state: Any, batch: jax.Array) -> tuple[Any, jax.Array]:
        return step(state, images[batch], labels[batch])

    whole = len(order) // task.batch_size * task.batch_size
    state, losses = jax.lax.scan(batch_step, state, order[:whole].reshape(-1, task.batch_size))
    if whole < len(order):
        state, _ = batch_step(state, order[whole:])
    return state, losses.mean()


watch = contest.Watch()
widths = [images.shape[1], *task.hidden, 10]
keys = jax.random.split(jax.random.key(task.seed), len(widths) - 1)
glorot = jax.nn.initializers.glorot_uniform()
weights = [
    (glorot(key, (inputs, units)), jnp.zeros(units))
    for key, inputs, units in zip(keys, widths[:-1], widths[1:], strict=True)
]
means, squares = (jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
state = (weights, means, squares, jnp.zeros(()))
for number in range(task.epochs):
    order = np.random.default_rng([task.seed, number]).permutation(len(labels)).astype(np.int32)
    state, _ = jax.block_until_ready(epoch(state, images, labels, order))
    watch.epoch_ends()

predicted = logits(state[0], jnp.asarray(x_test.reshape(len(x_test), -1))).argmax(axis=1)
watch.report(float((predicted == y_test).mean()))
