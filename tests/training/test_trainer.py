"""The trainer against `model.fit`, against itself, and when it diverges or is interrupted."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from digits.common.errors import UserError
from digits.common.types import Images, Labels, Pixels
from digits.data import normalization
from digits.evaluation import metrics
from digits.model import architectures, inference
from digits.params import Recipe
from digits.training import augmentation, trainer
from digits.training.checkpoint import Checkpoint
from digits.training.trainer import EpochMetrics
from helpers.recipes import AUGMENTATION, NO_AUGMENTATION, cnn, tutorial

pytestmark = pytest.mark.usefixtures("tensorflow")

Split = tuple[Images, Labels]

every_kind = pytest.mark.parametrize(
    "recipe",
    [tutorial(epochs=4, hidden=(16,)), cnn(epochs=4, members=2)],
    ids=["mlp", "ensemble"],
)


@pytest.fixture
def split(pixels: Pixels) -> Split:
    """Sixty-four normalized images and their labels."""
    return normalization.l2(pixels), np.arange(64, dtype=np.uint8) % 10


def fit(recipe: Recipe, split: Split, seed: int = 0, **options: Any) -> tuple[keras.Model, list[EpochMetrics]]:
    """A new network, trained; without a validation set unless `options` have one."""
    network = architectures.build(recipe, seed)
    return network, trainer.fit(network, recipe, seed, 1, split, **options)


def assert_same_bits(one: keras.Model, other: keras.Model) -> None:
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def without_seconds(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


# Against Keras.


@pytest.mark.parametrize(
    "recipe",
    [
        tutorial(epochs=1, batch_size=24),
        tutorial(epochs=1, batch_size=24, label_smoothing=0.1, weight_decay=0.1),
        cnn(epochs=1, batch_size=16, schedule="constant", weight_decay=0, augmentation=NO_AUGMENTATION),
    ],
    ids=["plain", "smooth", "cnn"],
)
def test_epoch_is_that_of_model_fit(split: Split, recipe: Recipe) -> None:
    """One epoch in the order that fit draws, its short last batch included."""
    ours, (row,) = fit(recipe, split, seed=4)

    theirs = architectures.build(recipe, seed=4)
    optimizer = keras.optimizers.Adam(0.001, weight_decay=recipe.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    theirs.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    images, labels = split
    order = np.random.default_rng((4, 1, 0)).permutation(64)
    targets = np.eye(10, dtype=np.float32)[labels[order]]
    expected = theirs.fit(images[order], targets, batch_size=recipe.batch_size, shuffle=False, verbose=0).history
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, atol=1e-5)  # three steps move them by 3e-3
    assert row["loss"] == pytest.approx(expected["loss"][0], abs=1e-5)
    assert row["accuracy"] == pytest.approx(expected["accuracy"][0], abs=1e-6)


@pytest.mark.slow
def test_two_hundred_steps_are_those_of_model_fit_in_float64() -> None:
    """The same mathematics: in float64, where rounding does not grow, 200 steps, the last one short, agree."""
    images = np.random.default_rng(0).normal(size=(199 * 8 + 3, 28, 28))
    labels = np.arange(len(images), dtype=np.int32) % 10
    indices, weights = trainer.batches(len(images), 8, (0, 1))
    assert len(indices) == 200
    order = indices[weights == 1]
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        ours, theirs = (architectures.build(tutorial(hidden=(16, 16)), seed=0) for _ in range(2))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        theirs.compile(optimizer=keras.optimizers.Adam(0.001), loss=loss)
        theirs.fit(images[order], labels[order], batch_size=8, shuffle=False, verbose=0)
        optimizer = keras.optimizers.Adam(0.001)
        optimizer.build(ours.trainable_variables)
        trainer.make_train_epoch(ours, optimizer, tutorial(), shards=1)(
            images, labels, indices, weights.astype(np.float64)
        )
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert our.dtype == np.float64
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-12)


# What a run returns.


@pytest.mark.slow
def test_overfits_a_batch(split: Split) -> None:
    _, history = fit(tutorial(epochs=60, learning_rate=0.003), split)
    assert history[-1]["accuracy"] > 0.98  # image 5 is black, and so is no other
    assert history[-1]["loss"] < 0.1 < history[0]["loss"]


def test_history_has_a_row_per_epoch(split: Split) -> None:
    _, history = fit(tutorial(epochs=2, hidden=(16,)), split, validation=split)
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        assert list(row) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert 0 < history[0]["seconds"] < history[1]["seconds"]


@pytest.mark.slow
def test_validation_set_may_be_empty(split: Split) -> None:

    images, labels = split
    for validation in (None, (images[:0], labels[:0])):
        _, (row,) = fit(tutorial(epochs=1, hidden=(16,)), split, validation=validation)
        assert list(row) == ["epoch", "loss", "accuracy", "seconds"]


def test_each_epoch_is_reported_once(split: Split) -> None:

    reported: list[EpochMetrics] = []
    validation = split
    _, history = fit(tutorial(epochs=3, hidden=(16,)), split, validation=validation, on_epoch_end=reported.append)
    assert without_seconds(reported) == without_seconds(history)


@pytest.mark.slow
@every_kind
def test_same_seed_trains_to_the_same_bits(split: Split, recipe: Recipe) -> None:
    (first, history), (again, repeated), (other, _) = (fit(recipe, split, seed) for seed in (0, 0, 1))
    assert_same_bits(first, again)
    assert without_seconds(history) == without_seconds(repeated)
    assert any((one != two).any() for one, two in zip(first.get_weights(), other.get_weights(), strict=True))


def test_members_learn_apart(split: Split) -> None:
    """Each with its own order; the validation scores are those of the average."""
    recipe = cnn(members=2, epochs=1, augmentation=NO_AUGMENTATION)
    network, (row,) = fit(recipe, split, validation=split)
    first, second = (inference.predict(member, split[0]) for member in architectures.members(network))
    assert np.abs(first - second).max() > 0.01
    log_probabilities = log_softmax((first + second) / 2, axis=1)
    assert row["val_loss"] == pytest.approx(-log_probabilities[range(64), split[1]].mean(), abs=1e-5)


def one_epoch(recipe: Recipe, shards: int, *inputs: Any) -> tuple[keras.Model, list[float]]:
    """A new network after an epoch, and its mean loss and accuracy."""
    network = architectures.build(recipe, seed=0)
    optimizer = trainer.make_optimizer(recipe, steps=1)
    optimizer.build(network.trainable_variables)
    means = trainer.make_train_epoch(network, optimizer, recipe, shards)(*inputs)
    return network, [float(mean) for mean in means]


@pytest.mark.parametrize(
    "recipe",
    [tutorial(hidden=(16,), normalization="minmax", augmentation=AUGMENTATION, batch_size=64), cnn(batch_size=64)],
    ids=["mlp", "cnn"],
)
def test_warped_images_are_learnt_from(split: Split, recipe: Recipe) -> None:
    """An epoch with augmentation is one without on images that were warped before."""
    indices, weights, warps = trainer.epoch_inputs(recipe, 64, (0, 1, 0))
    images, labels = split[0][indices[0]], split[1][indices[0]].astype(np.int32)
    warped = augmentation.warp(images, warps[0]).numpy()
    assert np.abs(warped - images).max() > 0.1
    in_order = np.arange(64, dtype=np.int32)[np.newaxis]
    _, inside = one_epoch(recipe, 1, images, labels, in_order, weights, warps)
    _, before = one_epoch(recipe, 1, warped, labels, in_order, weights)
    assert inside == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize(("count", "number", "sizes"), [(5, 2, [3, 2]), (8, 4, [2] * 4), (2, 3, [1, 1]), (3, 1, [3])])
def test_shards_hold_the_batch_in_order(count: int, number: int, sizes: list[int]) -> None:

    parts = trainer.split_batch(tf.range(count), number)
    assert [len(part) for part in parts] == sizes
    assert tf.concat(parts, axis=0).numpy().tolist() == list(range(count))


def test_shards_of_a_batch_teach_as_the_whole_does(split: Split) -> None:
    """Where nothing is normalized over the batch."""
    recipe = tutorial(hidden=(16,), batch_size=21)
    inputs = (split[0], split[1].astype(np.int32), *trainer.epoch_inputs(recipe, 64, (0, 1, 0)))
    (whole, means), (sharded, others) = (one_epoch(recipe, shards, *inputs) for shards in (1, 3))
    for one, two in zip(whole.get_weights(), sharded.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert means == pytest.approx(others, abs=1e-5)
    assert trainer.batch_shards(recipe, threads=3) == 1
    assert trainer.batch_shards(cnn(), threads=3) == 3


@pytest.mark.slow
def test_validation_scores_without_learning(split: Split) -> None:
    """Whatever the batches, a short last one included."""
    validation = split
    network, history = fit(tutorial(epochs=2, hidden=(16,)), split, validation=validation)
    without, _ = fit(tutorial(epochs=2, hidden=(16,)), split)
    assert_same_bits(network, without)
    probabilities = softmax(inference.predict(network, split[0]), axis=1)
    scores = metrics.scores(split[1], probabilities, temperature=1)
    in_batches = trainer.validate(trainer.make_eval_step(network), validation, batch_size=24)
    for row in (history[-1], in_batches):
        assert row["val_loss"] == pytest.approx(scores["loss"], abs=1e-5)
        assert row["val_accuracy"] == pytest.approx(scores["accuracy"], abs=1e-6)


# Batches.


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
def test_batches_hold_every_image_once(count: int) -> None:

    indices, weights = trainer.batches(count, 32, (0, 1))
    assert indices.shape == weights.shape == (-(-count // 32), min(count, 32))
    assert (indices.dtype.name, weights.dtype.name) == ("int32", "float32")
    assert sorted(indices[weights == 1]) == list(range(count))
    assert weights.sum() == count
    padding = indices[weights == 0]
    assert (padding == indices.ravel()[: len(padding)]).all(), "as unlike each other as images are"
    assert (weights.ravel()[:count] == 1).all(), "padding comes last"


def test_batch_is_never_larger_than_the_set() -> None:

    indices, weights = trainer.batches(5, 10**12, (0, 1))
    assert indices.shape == (1, 5)
    assert weights.sum() == 5


def test_order_of_images_differs_between_epochs(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """And between seeds, but it depends on nothing else."""
    real = trainer.batches
    orders: list[list[int]] = []

    def spy(*arguments: Any) -> Any:
        indices, weights = real(*arguments)
        orders.append(indices[weights == 1].tolist())
        return indices, weights

    monkeypatch.setattr(trainer, "batches", spy)
    for seed in (0, 1, 0):
        fit(tutorial(epochs=3, hidden=(16,)), split, seed)
    assert len(orders) == 9
    assert all(sorted(order) == list(range(64)) for order in orders)
    assert len({tuple(order) for order in orders[:6]}) == 6
    assert orders[6:] == orders[:3]


@pytest.mark.slow
def test_padding_does_not_teach(split: Split) -> None:
    """Image 0, which pads the last batch, has no more weight than the others: the mean loss is that of 64 images."""
    _, padded = fit(tutorial(epochs=1, batch_size=24, learning_rate=1e-30), split)
    _, whole = fit(tutorial(epochs=1, batch_size=64, learning_rate=1e-30), split)
    assert padded[0]["loss"] == pytest.approx(whole[0]["loss"], rel=1e-6)
    assert padded[0]["accuracy"] == whole[0]["accuracy"]


# Divergence.


def test_last_step_that_breaks_the_weights_stops_training(split: Split) -> None:
    """The epoch's loss is computed before the step, and still finite."""
    recipe = tutorial(learning_rate=1e39, hidden=(16,), batch_size=64, epochs=1)
    with pytest.raises(UserError, match=r"Training diverged in epoch 1: loss [\d.]+(e\+\d+)? at"):
        fit(recipe, split)


def test_loss_that_is_no_number_stops_training(split: Split, tmp_path: Path) -> None:
    """Nothing of a diverged epoch is kept."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    with pytest.raises(UserError, match=r"diverged in epoch \d: loss (nan|inf) at learning rate 1e\+30") as error:
        fit(tutorial(learning_rate=1e30, hidden=(16,)), split, checkpoint=checkpoint)
    assert "\n" not in str(error.value)
    kept = checkpoint.load() or {}
    assert all(np.isfinite(values).all() for name, values in kept.items() if name != "history")


# Interruption.


class Interrupted(Exception):  # noqa: N818 (as KeyboardInterrupt is called)
    """Ends a run after some epoch."""


def interrupt(recipe: Recipe, split: Split, checkpoint: Checkpoint, epoch: int) -> None:
    """A run that ends right after that epoch."""

    def on_epoch_end(row: EpochMetrics) -> None:
        if row["epoch"] == epoch:
            raise Interrupted

    with pytest.raises(Interrupted):
        fit(recipe, split, checkpoint=checkpoint, on_epoch_end=on_epoch_end)


@pytest.mark.slow
@every_kind
def test_resumed_run_ends_with_the_same_bits(
    split: Split, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    whole, expected = fit(recipe, split)
    interrupt(recipe, split, checkpoint, epoch=2)
    capsys.readouterr()

    reported: list[EpochMetrics] = []
    resumed, history = fit(recipe, split, checkpoint=checkpoint, on_epoch_end=reported.append)
    assert_same_bits(resumed, whole)
    assert without_seconds(history) == without_seconds(expected)
    assert [row["epoch"] for row in reported] == [3, 4]
    assert "Resuming after epoch 2" in capsys.readouterr().out


def test_resumed_run_counts_the_seconds_before(split: Split, tmp_path: Path) -> None:
    recipe, checkpoint = tutorial(epochs=3, hidden=(16,)), Checkpoint(tmp_path / "checkpoint.npz")
    interrupt(recipe, split, checkpoint, epoch=2)
    arrays = checkpoint.load()
    assert arrays is not None
    rows = json.loads(str(arrays["history"]))
    rows[-1]["seconds"] = 1000
    checkpoint.save({**arrays, "history": np.array(json.dumps(rows))})
    _, history = fit(recipe, split, checkpoint=checkpoint)
    assert history[1]["seconds"] == 1000
    assert 1000 < history[2]["seconds"] < 1100


def test_run_that_was_interrupted_at_its_end_trains_no_more(split: Split, tmp_path: Path) -> None:
    recipe, checkpoint = tutorial(epochs=2, hidden=(16,)), Checkpoint(tmp_path / "checkpoint.npz")
    whole, expected = fit(recipe, split, checkpoint=checkpoint)
    again, history = fit(recipe, split, checkpoint=checkpoint)
    assert_same_bits(again, whole)
    assert history == expected


def test_damaged_checkpoint_starts_over(split: Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, checkpoint = tutorial(epochs=2, hidden=(16,)), Checkpoint(tmp_path / "checkpoint.npz")
    whole, expected = fit(recipe, split)
    checkpoint.path.write_bytes(b"damaged")
    network, history = fit(recipe, split, checkpoint=checkpoint)
    assert "Ignoring checkpoint" in capsys.readouterr().out
    assert_same_bits(network, whole)
    assert without_seconds(history) == without_seconds(expected)


# The optimizer.


def rates_of(recipe: Recipe, steps: int) -> NDArray[np.float64]:
    """The learning rates of a run before each of its steps, and after the last one."""
    optimizer = trainer.make_optimizer(recipe, steps)
    rates = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    return np.array(rates)


def test_constant_rate_is_the_recipes() -> None:

    optimizer = trainer.make_optimizer(tutorial(learning_rate=0.25), steps=100)
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.weight_decay is None


def test_one_cycle_rises_for_a_quarter_and_falls_to_zero() -> None:
    rates = rates_of(cnn(learning_rate=0.5), steps=100)
    assert rates[0] == pytest.approx(0.02)
    assert rates.argmax() == 25
    assert rates.max() == pytest.approx(0.5)
    np.testing.assert_allclose(np.diff(rates[:25]), (0.5 - 0.02) / 25, rtol=1e-3)
    assert (np.diff(rates[25:]) < 0).all()
    assert rates[62] == pytest.approx(0.25, abs=0.01), "half-way down"
    assert rates[100] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_run_has_a_rate(steps: int) -> None:
    rates = rates_of(cnn(learning_rate=0.5), steps)[:steps]
    assert (rates > 0).all()
    assert (rates <= 0.5).all()


def test_weights_alone_decay() -> None:
    """With gradients of 0, a step at rate 0.1 and decay 0.5 takes a twentieth off the weights."""
    recipe = cnn(learning_rate=0.1, weight_decay=0.5, schedule="constant")
    network = architectures.build(recipe, seed=0)
    made = trainer.make_optimizer(recipe, steps=1)
    for variable in network.trainable_variables:
        variable.assign(tf.ones_like(variable))
    made.apply([tf.zeros_like(variable) for variable in network.trainable_variables], network.trainable_variables)
    for variable in network.trainable_variables:
        expected = 0.95 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable, expected, rtol=1e-5)


# The progress bar.


def test_bar_counts_epochs_and_shows_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    with trainer.progress_bar(5) as on_epoch_end:
        on_epoch_end({"epoch": 4, "loss": 0.25})
        on_epoch_end({"epoch": 5, "loss": 0.125})
    shown = capsys.readouterr().err
    assert "5/5" in shown
    assert "loss=0.1250" in shown
    assert "epoch=" not in shown
