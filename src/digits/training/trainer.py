"""The trainer: `fit` first, then its parts in order. Each epoch of a recipe is one compiled function.

docs/trainer.md has the few ideas that make it fast and exact, each with its measured gain.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import log_softmax
from tqdm import tqdm

from digits import model
from digits.common.errors import UserError
from digits.common.types import Images, Labels
from digits.model import architectures
from digits.model.predictor import Predictor
from digits.params import Mlp, Recipe
from digits.training.augmentation import Draws, augment, sample
from digits.training.checkpoint import Checkpoint

Split = tuple[Images, Labels]
EpochMetrics = dict[str, float]
CompiledFunction = Callable[..., Any]

AUGMENTATION_STREAM = 1  # appended to the seed of the augmentation, to separate it from that of the order
WARMUP = 0.25  # share of the steps
USUAL = {"learning_rate": 0.1, "weight_decay": 1.0}  # larger values are named first when training diverges


def configure(recipe: Recipe, threads: int) -> None:
    """Set the threads: all for one operation (mlp), or one for each shard of a batch (cnn). Call it before `fit`."""
    shards = batch_shards(recipe, threads)
    model.set_threads(intra_op_threads=threads // shards, inter_op_threads=shards)


def fit(
    network: keras.Model,
    recipe: Recipe,
    seed: int,
    threads: int,
    train: Split,
    validation: Split | None = None,
    *,
    on_epoch_end: Callable[[EpochMetrics], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[EpochMetrics]:
    """Train `network` in place, as `model.fit` would with categorical cross-entropy of logits; a bar counts epochs.

    The members of an ensemble are trained independently of each other, one epoch each in turn.

    Args:
        network: takes normalized images and returns logits, as `architectures.build` makes it.
        recipe: how to train.
        seed: of the order of the images and their augmentation, sampled for each epoch from the seed, the epoch and
            the member; noise on pixels depends on the shards of a batch too.
        threads: as given to `configure`.
        train: the images to learn from, all of them in every epoch, and their labels.
        validation: the images to score after each epoch, and their labels; there may be none.
        on_epoch_end: called with the metrics of each completed epoch.
        checkpoint: saved after each epoch. If it exists, the run resumes from it, with identical results.

    Returns:
        One row per epoch: `epoch` from 1, the mean `loss` (nats) and `accuracy` (0..1) over the steps of the epoch and
        all members, `val_loss` and `val_accuracy` of the network after the epoch if there is a validation set, and
        `seconds` since the start.

    Raises:
        UserError: a loss or a weight is no longer a finite number.
    """
    started = time.perf_counter()
    images, labels = as_tensors(train)
    count = len(labels)
    steps = recipe.epochs * math.ceil(count / recipe.batch_size)
    members = architectures.members(network)
    optimizers = [make_optimizer(recipe, steps) for _ in members]
    shards = batch_shards(recipe, threads)
    train_epochs = [make_train_epoch(*pair, recipe, shards) for pair in zip(members, optimizers, strict=True)]
    variables = [*network.variables, *(variable for optimizer in optimizers for variable in optimizer.variables)]
    predictor = Predictor(network)

    history = checkpoint.restore(variables) if checkpoint else []
    if history:
        tqdm.write(f"Resuming after epoch {len(history)}")
        started -= history[-1]["seconds"]
    with tqdm(total=recipe.epochs, initial=len(history), desc="train", unit="epoch") as bar:
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            means = [
                train_epoch(images, labels, *epoch_inputs(recipe, count, (seed, epoch, member)))
                for member, train_epoch in enumerate(train_epochs)
            ]
            loss, accuracy = np.mean(means, axis=0)
            row = {"epoch": epoch, "loss": float(loss), "accuracy": float(accuracy)}
            if validation and len(validation[1]):
                row |= validate(predictor, validation)
            check_finite(row, variables, recipe)
            history.append({**row, "seconds": time.perf_counter() - started})
            if checkpoint:
                checkpoint.save(variables, history)
            if on_epoch_end:
                on_epoch_end(row)
            bar.set_postfix({name: f"{value:.4f}" for name, value in row.items() if name != "epoch"}, refresh=False)
            bar.update()
    return history


# The optimizer.


def make_optimizer(recipe: Recipe, steps: int) -> keras.Optimizer:
    """Adam for a run of `steps` steps. Weight decay is decoupled (AdamW), of kernels only.

    Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    optimizer = keras.optimizers.Adam(learning_rate(recipe, steps), weight_decay=recipe.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


def learning_rate(recipe: Recipe, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Constant; or one cycle, linearly from 1/25 up to the recipe's rate, then along a cosine down to 0.

    Smith, "A disciplined approach to neural network hyper-parameters", 2018.
    """
    rate, warmup = recipe.learning_rate, round(WARMUP * steps)
    if recipe.schedule == "constant":
        return rate
    return keras.optimizers.schedules.CosineDecay(rate / 25, steps - warmup, warmup_target=rate, warmup_steps=warmup)


# The inputs of an epoch, sampled with NumPy.


def as_tensors(split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    """The split in TensorFlow's memory, where it stays: images as they are, labels as int32."""
    images, labels = split
    return tf.constant(images), tf.constant(labels, dtype=tf.int32)


def batches(count: int, batch_size: int, seed: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Shuffle `count` images into batches of one size, as a compiled loop needs them.

    Returns the indices of the images, int32 (steps, batch size), and the weight of each, float32: 1, or 0 for padding;
    the last batch is padded with the first images. If there are fewer images than `batch_size`, all are one batch.
    """
    batch_size = min(batch_size, count)
    shape = math.ceil(count / batch_size), batch_size
    order = np.random.default_rng(seed).permutation(count).astype(np.int32)
    weights = np.arange(math.prod(shape)) < count
    return np.resize(order, shape), weights.reshape(shape).astype(np.float32)


def epoch_inputs(
    recipe: Recipe, count: int, seed: Sequence[int]
) -> tuple[NDArray[np.int32], NDArray[np.float32], Draws]:
    """The `batches` of an epoch over `count` images, and augmentation's draws; empty if the recipe has none."""
    indices, weights = batches(count, recipe.batch_size, seed)
    if not recipe.augmentation.is_active:
        return indices, weights, {}
    return indices, weights, sample(recipe.augmentation, indices.shape, (*seed, AUGMENTATION_STREAM))


# One epoch, compiled.


def make_train_epoch(network: keras.Model, optimizer: keras.Optimizer, recipe: Recipe, shards: int) -> CompiledFunction:
    """The compiled function of one epoch: images, labels and `epoch_inputs` to the mean loss and accuracy.

    XLA compiles dense layers. Convolutions stay a TensorFlow graph: XLA's take ten times as long on a CPU.
    """
    trainable = network.trainable_variables
    optimizer.build(trainable)  # its variables cannot be created inside the compiled function
    renormalize = renormalization(recipe)

    def forward(images: tf.Tensor, indices: tf.Tensor, draws: Draws) -> tf.Tensor:
        batch = tf.gather(images, indices)
        return network(renormalize(augment(batch, draws)) if draws else batch, training=True)

    @tf.function(jit_compile=isinstance(recipe, Mlp), autograph=False)  # type: ignore[untyped-decorator]
    def train_epoch(
        images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor, sample_weight: tf.Tensor, draws: Draws
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def train_step(i: tf.Tensor, loss: tf.Tensor, hits: tf.Tensor) -> tuple[tf.Tensor, ...]:
            batch, weight, batch_draws = take((indices, sample_weight, draws), i)
            with tf.GradientTape() as tape:
                parts = split_batch((batch, batch_draws), shards)
                logits = tf.concat([forward(images, *part) for part in parts], axis=0)
                losses, correct = losses_and_correct(tf.gather(labels, batch), logits, recipe.label_smoothing)
                total = tf.reduce_sum(losses * weight)
                mean = total / tf.reduce_sum(weight)
            optimizer.apply(tape.gradient(mean, trainable), trainable)
            return i + 1, loss + total, hits + tf.reduce_sum(correct * weight)

        zero = tf.zeros((), dtype=sample_weight.dtype)
        steps = tf.shape(indices)[0]
        _, loss, hits = tf.while_loop(lambda i, *_: i < steps, train_step, (0, zero, zero))
        count = tf.reduce_sum(sample_weight)
        return loss / count, hits / count

    return train_epoch  # type: ignore[no-any-return]


def batch_shards(recipe: Recipe, threads: int) -> int:
    """The number of shards of a batch that are computed in parallel, one thread each, if there are convolutions.

    That is faster than all threads on one operation. Batch normalization takes each shard separately.
    """
    return 1 if isinstance(recipe, Mlp) else threads


def split_batch(inputs: Any, shards: int) -> list[Any]:
    """Split the tensors of a batch into at most `shards` parts, whose sizes differ by one at most; none is empty."""
    count = tf.nest.flatten(inputs)[0].shape[0]
    parts = [part for part in np.array_split(range(count), shards) if len(part)]
    return [take(inputs, slice(part[0], part[-1] + 1)) for part in parts]


def take(inputs: Any, where: tf.Tensor | slice) -> Any:
    """Index or slice every tensor of a nested structure."""
    return tf.nest.map_structure(lambda tensor: tensor[where], inputs)


def renormalization(recipe: Recipe) -> CompiledFunction:
    """Normalize images again after augmentation.

    A changed image has another median and range, which `contrast` depends on; `minmax` depends on neither.
    """
    if recipe.normalization == "contrast":
        return architectures.NORMALIZATIONS["contrast"]()  # type: ignore[no-any-return]
    return tf.identity  # type: ignore[no-any-return]


def losses_and_correct(labels: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tuple[tf.Tensor, tf.Tensor]:
    """For each image, the cross-entropy (nats), and 1 if the prediction is correct, else 0; both (n,)."""
    # The sparse form of this cross-entropy computes the same, by a scatter that costs XLA up to a tenth of an epoch.
    targets = tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    losses = keras.losses.categorical_crossentropy(targets, logits, from_logits=True, label_smoothing=smoothing)
    correct = tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels
    return losses, tf.cast(correct, losses.dtype)


# After an epoch: validation and divergence.


def validate(predictor: Predictor, validation: Split) -> EpochMetrics:
    """`val_loss` (nats) and `val_accuracy` (0..1), the means over images (n, 28, 28) and their labels (n,)."""
    images, labels = validation
    logits = predictor(images).astype(np.float64)
    losses = -log_softmax(logits, axis=1)[range(len(labels)), labels]
    return {"val_loss": float(losses.mean()), "val_accuracy": float((logits.argmax(axis=1) == labels).mean())}


def check_finite(row: EpochMetrics, variables: Sequence[keras.Variable], recipe: Recipe) -> None:
    """Raise UserError if the epoch diverged. The loss does not show what the last step did to the weights."""
    if all(map(math.isfinite, row.values())) and all(np.isfinite(variable.numpy()).all() for variable in variables):
        return
    losses = ", ".join(f"{name} {row[name]:.4g}" for name in ("loss", "val_loss") if name in row)
    values = recipe.model_dump()
    extreme = [name for name, usual in USUAL.items() if values[name] > usual] or ["learning_rate"]
    advice = " and ".join(f"{name} ({values[name]:g})" for name in extreme)
    raise UserError(f"Training diverged in epoch {row['epoch']}: {losses}; lower the recipe's {advice}")
