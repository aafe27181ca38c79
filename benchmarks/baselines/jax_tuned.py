"""JAX with Digits' optimizations: padded batches, dense cross-entropy, weights drawn without compilation."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from harness import EpochTimer
from jax_mlp import State, Weights, accuracy, adam, images, labels, logits, task, widths


def loss(weights: Weights, x: jax.Array, y: jax.Array, counts: jax.Array) -> jax.Array:
    """The mean cross-entropy of a batch, weighted."""
    losses = -(jax.nn.one_hot(y, 10) * jax.nn.log_softmax(logits(weights, x))).sum(axis=1)
    return (losses * counts).sum() / counts.sum()


def step(state: State, x: jax.Array, y: jax.Array, counts: jax.Array) -> tuple[State, jax.Array]:
    """One step, and the loss before it."""
    value, gradients = jax.value_and_grad(loss)(state[0], x, y, counts)
    return adam(state, gradients), value


@partial(jax.jit, donate_argnums=0)
def epoch(state: State, images: jax.Array, labels: jax.Array, indices: jax.Array, counts: jax.Array) -> Any:
    """A scan over batches of one size; images of weight 0 pad the last one."""

    def batch_step(state: State, batch: Any) -> tuple[State, jax.Array]:
        indices, weights = batch
        return step(state, images[indices], labels[indices], weights)

    return jax.lax.scan(batch_step, state, (indices, counts))


timer = EpochTimer()
random = np.random.default_rng(task.seed)
limits = [np.sqrt(6 / (inputs + units)) for inputs, units in pairwise(widths)]  # Glorot's, as Keras draws them
weights = [
    (random.uniform(-limit, limit, shape).astype(np.float32), np.zeros(shape[1], np.float32))
    for limit, shape in zip(limits, pairwise(widths), strict=True)
]
means, squares = (jax.tree.map(np.zeros_like, weights) for _ in range(2))
state = jax.device_put((weights, means, squares, np.float32(0)))
steps = -(-len(labels) // task.recipe.batch_size)
counts = np.ones(steps * task.recipe.batch_size, np.float32)
counts[len(labels) :] = 0
for _ in range(task.recipe.epochs):
    order = np.resize(random.permutation(len(labels)).astype(np.int32), len(counts))
    state, _ = jax.block_until_ready(epoch(state, images, labels, order.reshape(steps, -1), counts.reshape(steps, -1)))
    timer.end_epoch()

timer.report(accuracy(state))
