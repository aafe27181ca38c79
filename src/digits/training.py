"""The training loop: a whole epoch is one compiled function over data that stays in memory."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from digits.errors import InputError
from digits.params import Recipe
from digits.preprocessing import Images

Split = tuple[Images, NDArray[np.uint8]]  # normalized images (n, 28, 28) and their labels (n,)
Batches = tuple[NDArray[np.int32], NDArray[np.float32]]  # each (steps, batch size); see `batches`

OPTIMIZERS: Mapping[str, Callable[..., keras.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


def fit(network: keras.Model, recipe: Recipe, seed: int, train: Split, validation: Split) -> pd.DataFrame:
    """Train `network` in place, as `model.fit` would with sparse categorical cross-entropy.

    Args:
        network: takes normalized images and gives probabilities.
        recipe: the optimizer and its learning rate, the batch size, the number of epochs.
        seed: of the order of the images, drawn anew for each epoch from the seed and the epoch alone.
        train: the images to learn from; every one counts in every epoch.
        validation: the images to score after each epoch; there may be none.

    Returns:
        A row an epoch: `epoch` from 1, the mean `loss` (nats) and `accuracy` (0..1) over the epoch while the
        weights changed, where there are validation images `val_loss` and `val_accuracy` after it, and the
        `seconds` from the start to its end.

    Raises:
        InputError: the loss is no longer a number.
    """
    optimizer = OPTIMIZERS[recipe.optimizer](learning_rate=recipe.learning_rate)
    train_epoch = _compiled(network, optimizer)
    score = _compiled(network)
    train_set = _resident(train)
    validation_set = _resident(validation)
    in_order = np.arange(len(validation[0]))

    rows = []
    started = time.perf_counter()
    progress = tqdm(range(1, recipe.epochs + 1), desc="train", unit="epoch")
    for epoch in progress:
        order = np.random.default_rng([seed, epoch]).permutation(len(train[0]))
        loss, accuracy = train_epoch(*train_set, *batches(order, recipe.batch_size))
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged: the loss of epoch {epoch} is {float(loss)} at learning rate "
                f"{recipe.learning_rate}; lower the recipe's learning_rate"
            )
        row = {"epoch": epoch, "loss": float(loss), "accuracy": float(accuracy)}
        if len(in_order):
            loss, accuracy = score(*validation_set, *batches(in_order, 1000))
            row |= {"val_loss": float(loss), "val_accuracy": float(accuracy)}
        rows.append({**row, "seconds": time.perf_counter() - started})
        progress.set_postfix({name: f"{value:.4f}" for name, value in row.items() if name != "epoch"})
    return pd.DataFrame(rows)


def batches(order: NDArray[np.int64], batch_size: int) -> Batches:
    """Cut `order` into batches of one size, which is what a compiled loop takes.

    Args:
        order: the indices of the images, int64 (n,).
        batch_size: images a step; all of them if there are fewer.

    Returns:
        The indices, int32 (steps, batch size), and their weights: 1, or 0 for what fills up the last batch.
    """
    batch_size = min(batch_size, max(len(order), 1))
    steps = -(-len(order) // batch_size)
    indices = np.zeros(steps * batch_size, dtype=np.int32)
    weights = np.zeros(steps * batch_size, dtype=np.float32)
    indices[: len(order)] = order
    weights[: len(order)] = 1
    return indices.reshape(steps, batch_size), weights.reshape(steps, batch_size)


def _resident(split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    images, labels = split
    return tf.constant(images), tf.constant(labels, dtype=tf.int32)


def _compiled(network: keras.Model, optimizer: keras.Optimizer | None = None) -> Callable[..., Any]:
    """One compiled pass over batches that gives the mean loss and accuracy; with an optimizer it learns."""
    weights = network.trainable_variables
    if optimizer:
        optimizer.build(weights)

    def step(images: tf.Tensor, labels: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = network(images, training=optimizer is not None)
            losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
            total = tf.reduce_sum(losses * counts)
            mean = total / tf.reduce_sum(counts)
        if optimizer:
            optimizer.apply(tape.gradient(mean, weights), weights)
        hits = tf.cast(tf.argmax(outputs, axis=-1, output_type=tf.int32) == labels, counts.dtype)
        return total, tf.reduce_sum(hits * counts)

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def epoch(
        images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor, counts: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def body(at: tf.Tensor, loss: tf.Tensor, hits: tf.Tensor) -> tuple[tf.Tensor, ...]:
            chosen = indices[at]
            step_loss, step_hits = step(tf.gather(images, chosen), tf.gather(labels, chosen), counts[at])
            return at + 1, loss + step_loss, hits + step_hits

        zero = tf.zeros((), dtype=counts.dtype)
        steps = tf.shape(indices)[0]
        _, loss, hits = tf.while_loop(lambda at, *_: at < steps, body, (0, zero, zero))
        examples = tf.reduce_sum(counts)
        return loss / examples, hits / examples

    return epoch  # type: ignore[no-any-return]
