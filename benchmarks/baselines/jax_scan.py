"""JAX, one jitted scan per epoch over resident data, Adam written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from harness import EpochTimer
from jax_mlp import State, Weights, accuracy, adam, images, labels, logits, task, widths


def loss(weights: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean cross-entropy of a batch."""
    logarithms = jax.nn.log_softmax(logits(weights, x))
    return -jnp.take_along_axis(logarithms, y[:, None], axis=1).mean()


def step(state: State, x: jax.Array, y: jax.Array) -> tuple[State, jax.Array]:
    """One step, and the loss before it."""
    value, gradients = jax.value_and_grad(loss)(state[0], x, y)
    return adam(state, gradients), value


@partial(jax.jit, donate_argnums=0)
def epoch(state: State, images: jax.Array, labels: jax.Array, order: jax.Array) -> tuple[State, jax.Array]:
    """All whole batches, then the incomplete one."""

    def batch_step(state: State, batch: jax.Array) -> tuple[State, jax.Array]:
        return step(state, images[batch], labels[batch])

    whole = len(order) // task.recipe.batch_size * task.recipe.batch_size
    state, losses = jax.lax.scan(batch_step, state, order[:whole].reshape(-1, task.recipe.batch_size))
    if whole < len(order):
        state, _ = batch_step(state, order[whole:])
    return state, losses.mean()


timer = EpochTimer()
keys = jax.random.split(jax.random.key(task.seed), len(widths) - 1)
glorot = jax.nn.initializers.glorot_uniform()
weights = [
    (glorot(key, (inputs, units)), jnp.zeros(units))
    for key, inputs, units in zip(keys, widths[:-1], widths[1:], strict=True)
]
means, squares = (jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
state = (weights, means, squares, jnp.zeros(()))
for number in range(task.recipe.epochs):
    order = np.random.default_rng([task.seed, number]).permutation(len(labels)).astype(np.int32)
    state, _ = jax.block_until_ready(epoch(state, images, labels, order))
    timer.end_epoch()

timer.report(accuracy(state))
