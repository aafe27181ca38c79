"""The training loop: a whole epoch is one compiled function over data that stays in memory."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from digits.artifacts import ALIGNMENT
from digits.checkpoints import Checkpoint
from digits.errors import InputError
from digits.params import Recipe
from digits.preprocessing import Images

Split = tuple[Images, NDArray[np.uint8]]  # normalized images (n, 28, 28) and their labels (n,)
Variables = Sequence[keras.Variable]
History = dict[str, list[float]]  # columns with a value for each epoch; see `fit`
Batches = tuple[NDArray[np.int32], NDArray[np.float32]]  # each (steps, batch size); see `batches`

OPTIMIZERS: Mapping[str, Callable[..., keras.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


def fit(
    network: keras.Model, recipe: Recipe, seed: int, train: Split, validation: Split, checkpoint: Checkpoint
) -> History:
    """Train `network` in place, as `model.fit` would with sparse categorical cross-entropy.

    Args:
        network: takes normalized images and gives probabilities.
        recipe: the optimizer and its learning rate, the batch size, the number of epochs, whether XLA compiles.
        seed: of the order of the images, drawn anew for each epoch from the seed and the epoch alone.
        train: the images to learn from; every one counts in every epoch.
        validation: the images to score after each epoch; there may be none.
        checkpoint: where each epoch's end is kept. What it has of this training is gone on from, to the same bits.

    Returns:
        Columns with a value for each epoch: `epoch` from 1, the mean `loss` (nats) and `accuracy` (0..1) over it
        while the weights changed, where there are validation images `val_loss` and `val_accuracy` after it, and
        the `seconds` that this and the epochs before it took.

    Raises:
        InputError: the loss or a weight is no longer a finite number.
    """
    started = time.perf_counter()
    optimizer = OPTIMIZERS[recipe.optimizer](learning_rate=recipe.learning_rate)
    optimizer.build(network.trainable_variables)
    train_epoch = _training_pass(network, optimizer, xla=recipe.xla)
    score_batch = _scoring(network)
    images, labels = _resident(train)

    variables = [*network.variables, *optimizer.variables]
    history = _restore(checkpoint, variables)
    done = len(history["epoch"]) if history else 0
    if done:
        started -= history["seconds"][-1]
        tqdm.write(f"going on after epoch {done}, which a training that was interrupted had reached")
    progress = tqdm(range(1, recipe.epochs + 1), desc="train", unit="epoch", initial=done)
    for epoch in range(done + 1, recipe.epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(labels))
        loss, accuracy = (float(mean) for mean in train_epoch(images, labels, *batches(order, recipe.batch_size)))
        state = [variable.numpy() for variable in variables]
        # The loss is of the weights before the last step, which may have been the one that broke them.
        if not (math.isfinite(loss) and all(np.isfinite(values).all() for values in state)):
            raise InputError(
                f"training diverged in epoch {epoch}: loss {loss} at learning rate {recipe.learning_rate}; "
                "lower the recipe's learning_rate"
            )
        row = {"epoch": epoch, "loss": loss, "accuracy": accuracy, **_validated(score_batch, validation)}
        for name, value in (row | {"seconds": time.perf_counter() - started}).items():
            history.setdefault(name, []).append(value)
        _keep(checkpoint, state, history)
        progress.set_postfix({name: f"{value:.4f}" for name, value in row.items() if name != "epoch"}, refresh=False)
        progress.update()
    progress.close()
    return history


def _keep(checkpoint: Checkpoint, state: Sequence[NDArray[Any]], history: History) -> None:
    variables = {f"variable_{number}": values for number, values in enumerate(state)}
    checkpoint.save(variables | {f"history_{name}": np.array(values) for name, values in history.items()})


def _restore(checkpoint: Checkpoint, variables: Variables) -> History:
    """Bring the variables to where the checkpoint has them, and give the history until there."""
    kept = checkpoint.load()
    if kept is None:
        return {}
    for number, variable in enumerate(variables):
        variable.assign(kept[f"variable_{number}"])
    columns = {name.removeprefix("history_"): kept[name] for name in kept if name.startswith("history_")}
    return {name: values.tolist() for name, values in columns.items()}


def _validated(score_batch: Callable[..., Any], validation: Split, batch_size: int = 1000) -> dict[str, float]:
    """`val_loss` and `val_accuracy`, or nothing where there are no validation images."""
    images, labels = validation
    if not len(labels):
        return {}
    starts = range(0, len(labels), batch_size)
    sums = [score_batch(images[at : at + batch_size], labels[at : at + batch_size]) for at in starts]
    loss, hits = np.sum(np.array(sums, dtype=np.float64), axis=0) / len(labels)
    return {"val_loss": float(loss), "val_accuracy": float(hits)}


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
    """The split as tensors. TensorFlow takes the images where they are: its own copy takes longer than an epoch."""
    images, labels = split
    tensor = tf.experimental.dlpack.from_dlpack(_aligned(images).__dlpack__())
    return tensor, tf.constant(labels, dtype=tf.int32)


def _aligned(values: NDArray[Any]) -> NDArray[Any]:
    """`values`, or a copy that is aligned: over memory that is not, TensorFlow's kernels abort the process."""
    if values.ctypes.data % ALIGNMENT == 0 and values.flags.c_contiguous and values.flags.writeable:
        return values
    room = np.empty(values.nbytes + ALIGNMENT, dtype=np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    aligned = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    aligned[...] = values
    return aligned


def _losses_and_hits(labels: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """For each image, the cross-entropy (nats), and 1 if the answer is right, else 0; both (n,)."""
    # The sparse form of this cross-entropy computes the same, by a scatter that costs XLA up to a tenth of an epoch.
    losses = keras.losses.categorical_crossentropy(tf.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype), outputs)
    hits = tf.argmax(outputs, axis=-1, output_type=labels.dtype) == labels
    return losses, tf.cast(hits, losses.dtype)


def _training_pass(network: keras.Model, optimizer: keras.Optimizer, *, xla: bool) -> Callable[..., Any]:
    """One compiled pass over an epoch's batches, which learns and gives the mean loss and accuracy."""
    weights = network.trainable_variables

    def step(images: tf.Tensor, labels: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            losses, hits = _losses_and_hits(labels, network(images, training=True))
            total = tf.reduce_sum(losses * counts)
            mean = total / tf.reduce_sum(counts)
        optimizer.apply(tape.gradient(mean, weights), weights)
        return total, tf.reduce_sum(hits * counts)

    @tf.function(jit_compile=xla, autograph=False)  # type: ignore[untyped-decorator]
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


def _scoring(network: keras.Model) -> Callable[..., Any]:
    """The sums of losses and hits over a batch, as a compiled graph.

    Not by XLA: its compilation would take ten times as long as all the scoring of a training does.
    """

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def score(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        losses, hits = _losses_and_hits(tf.cast(labels, tf.int32), network(images, training=False))
        return tf.reduce_sum(losses), tf.reduce_sum(hits)

    return score  # type: ignore[no-any-return]
