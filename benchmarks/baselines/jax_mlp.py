"""Shared by the baselines in JAX: resident data, the network, Adam written out."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from harness import Task

Weights = Any  # a list of a kernel (inputs, units) and a bias (units,) for each layer
State = tuple[Weights, Weights, Weights, Any]  # weights, Adam's moments, and the number of steps so far

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

task = Task.from_argv()
x_train, y_train, x_test, y_test = task.arrays("x_train", "y_train", "x_test", "y_test")
images = jnp.asarray(x_train.reshape(len(x_train), -1))
labels = jnp.asarray(y_train.astype(np.int32))
widths = [images.shape[1], *task.recipe.hidden, 10]


def logits(weights: Weights, x: jax.Array) -> jax.Array:
    """The network before its softmax."""
    for kernel, bias in weights[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = weights[-1]
    return x @ kernel + bias


def adam(state: State, gradients: Weights) -> State:
    """The state after one step of Adam."""
    weights, means, squares, count = state
    count = count + 1
    rate = task.recipe.learning_rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    means = jax.tree.map(lambda m, g: m + (g - m) * (1 - BETA_1), means, gradients)
    squares = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - BETA_2), squares, gradients)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, means, squares)
    return weights, means, squares, count


def accuracy(state: State) -> float:
    """On the test images, 0..1."""
    predicted = logits(state[0], jnp.asarray(x_test.reshape(len(x_test), -1))).argmax(axis=1)
    return float((predicted == y_test).mean())
