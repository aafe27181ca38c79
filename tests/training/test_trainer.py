"""The trainer against `model.fit`, against itself, and when it diverges or is interrupted."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from digits.common import files
from digits.common.errors import UserError
from digits.common.types import Images, Labels
from digits.data import normalization
from digits.evaluation import metrics
from digits.model import architectures
from digits.params import Recipe
from digits.training import augmentation, trainer
from digits.training.checkpoint import Checkpoint
from digits.training.trainer import EpochMetrics
from helpers.keras_outputs import outputs
from helpers.recipes import AUGMENTATION, CHANGES, NO_AUGMENTATION, cnn, tutorial

pytestmark = pytest.mark.usefixtures("tensorflow")

Split = tuple[Images, Labels]

# As the recipe mlp, and as robust but with two members, both small.
DENSE = tutorial(
    epochs=4, hidden=(16,), augmentation=AUGMENTATION, normalization="minmax", schedule="one_cycle", weight_decay=0.05
)
ENSEMBLE = cnn(epochs=4, members=2, views=4, augmentation=AUGMENTATION | CHANGES, normalization="contrast")
EACH_KIND = [
    # A group, so that it is trained once.
    pytest.param(recipe, id=name, marks=[pytest.mark.slow, pytest.mark.xdist_group(f"trainer_{name}")])
    for name, recipe in {"mlp": DENSE, "ensemble": ENSEMBLE}.items()
]


@dataclass
class Run:
    """A run in one go, with a validation set, which its own training images are."""

    recipe: Recipe
    network: keras.Model
    history: list[EpochMetrics]
    reported: list[EpochMetrics]
    checkpoints: list[bytes]  # after each epoch


@pytest.fixture
def eager() -> Iterator[None]:
    """Nothing is compiled, which takes seconds, in tests of what does not depend on it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def split() -> Split:
    """Sixty-four normalized images and their labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    return normalization.l2(pixels), np.arange(64, dtype=np.uint8) % 10


@pytest.fixture(scope="module", params=EACH_KIND)
def run(
    request: pytest.FixtureRequest,
    split: Split,
    tmp_path_factory: pytest.TempPathFactory,
    tensorflow: None,  # noqa: ARG001 (set up first)
) -> Run:
    checkpoint = Checkpoint(tmp_path_factory.mktemp("run") / "checkpoint.npz")
    reported: list[EpochMetrics] = []
    checkpoints: list[bytes] = []

    def on_epoch_end(row: EpochMetrics) -> None:
        reported.append(row)
        checkpoints.append(checkpoint.path.read_bytes())

    options: dict[str, Any] = {"on_epoch_end": on_epoch_end, "checkpoint": checkpoint}
    network, history = fit(request.param, split, validation=split, **options)
    return Run(request.param, network, history, reported, checkpoints)


def fit(recipe: Recipe, split: Split, seed: int = 0, **options: Any) -> tuple[keras.Model, list[EpochMetrics]]:
    """A new network, trained; without a validation set unless `options` have one."""
    network = architectures.build(recipe, seed)
    return network, trainer.fit(network, recipe, seed, 1, split, **options)


def one_epoch(recipe: Recipe, shards: int, *inputs: Any) -> tuple[keras.Model, list[float]]:
    """A new network after an epoch, and its mean loss and accuracy."""
    network = architectures.build(recipe, seed=0)
    optimizer = trainer.make_optimizer(recipe, steps=1)
    means = trainer.make_train_epoch(network, optimizer, recipe, shards)(*inputs)
    return network, [float(mean) for mean in means]


def assert_same_bits(one: keras.Model, other: keras.Model) -> None:
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def only(history: list[EpochMetrics], *names: str) -> list[list[float]]:
    return [[row[name] for name in names] for row in history]


# Against Keras.


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        tutorial(epochs=1, batch_size=24, hidden=(16,), label_smoothing=0.1, weight_decay=1),
        cnn(epochs=1, batch_size=16, schedule="constant", augmentation=NO_AUGMENTATION),
    ],
    ids=["mlp", "cnn"],
)
def test_epoch_is_that_of_model_fit(split: Split, recipe: Recipe) -> None:
    """One epoch in the order that fit samples; the last batch of the mlp is short."""
    ours, (row,) = fit(recipe, split, seed=4)

    theirs = architectures.build(recipe, seed=4)
    optimizer = keras.optimizers.Adam(0.001, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    theirs.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        run_eagerly=True,
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
        theirs.compile(optimizer=keras.optimizers.Adam(0.001), loss=loss, jit_compile=False)
        theirs.fit(images[order], labels[order], batch_size=8, shuffle=False, verbose=0)
        optimizer = keras.optimizers.Adam(0.001)
        trainer.make_train_epoch(ours, optimizer, tutorial(), shards=1)(
            images, labels, indices, weights.astype(np.float64), {}
        )
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert our.dtype == np.float64
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-12)


# What a run returns.


def test_history_has_a_row_per_epoch(run: Run) -> None:
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    for row in run.history:
        assert list(row) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    seconds = [row["seconds"] for row in run.history]
    assert 0 < seconds[0] < seconds[1] < seconds[2] < seconds[3]


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_members_see_other_orders_and_other_warps(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[Any]()
    epoch_inputs = trainer.epoch_inputs

    def spy(*arguments: Any) -> Any:
        made.append(epoch_inputs(*arguments))
        return made[-1]

    monkeypatch.setattr(trainer, "epoch_inputs", spy)
    fit(cnn(epochs=1, members=3), split)
    for (order, _, draws), (other_order, _, other_draws) in combinations(made, 2):
        assert (order != other_order).any()
        assert (draws["warp"] != other_draws["warp"]).any()


def test_each_epoch_is_reported_once(run: Run) -> None:
    names = list(run.history[0])[:-1]
    assert [list(row) for row in run.reported] == [names] * 4, "all but the seconds"
    assert only(run.reported, *names) == only(run.history, *names)


def test_same_seed_trains_to_the_same_bits(split: Split, run: Run) -> None:
    """And validation set and checkpoint, which this run lacks, change nothing."""
    again, history = fit(run.recipe, split)
    assert_same_bits(again, run.network)
    assert list(history[0]) == ["epoch", "loss", "accuracy", "seconds"]
    assert only(history, "loss", "accuracy") == only(run.history, "loss", "accuracy")


def test_validation_scores_are_those_of_the_network(split: Split, run: Run) -> None:
    """Those of an ensemble are the average's, over members and views."""
    logits = outputs(run.network, split[0])
    scores = metrics.scores(split[1], softmax(logits, axis=1), temperature=1)
    row = run.history[-1]
    assert row["val_loss"] == pytest.approx(scores["loss"], abs=1e-5)
    assert row["val_accuracy"] == pytest.approx(scores["accuracy"], abs=1e-6)


@pytest.mark.usefixtures("eager")
def test_validation_set_may_be_empty(split: Split) -> None:
    images, labels = split
    _, (row,) = fit(tutorial(epochs=1, hidden=(16,)), split, validation=(images[:0], labels[:0]))
    assert list(row) == ["epoch", "loss", "accuracy", "seconds"]


@pytest.mark.slow
def test_overfits_a_batch(split: Split) -> None:
    _, history = fit(tutorial(epochs=60, hidden=(64,), learning_rate=0.01), split)
    assert history[-1]["accuracy"] == 1
    assert history[-1]["loss"] < 0.1 < history[0]["loss"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        tutorial(hidden=(16,), normalization="minmax", augmentation=AUGMENTATION, batch_size=64),
        cnn(batch_size=64, normalization="contrast", augmentation=AUGMENTATION | CHANGES),
    ],
    ids=["mlp", "cnn"],
)
def test_augmented_images_are_learnt_from(split: Split, recipe: Recipe) -> None:
    """An epoch with augmentation is one without on images that were augmented before, and normalized again."""
    indices, weights, draws = trainer.epoch_inputs(recipe, 64, (0, 1, 0))
    images, labels = split[0][indices[0]], split[1][indices[0]].astype(np.int32)
    augmented = augmentation.augment(images, trainer.take(draws, 0)).numpy()
    if recipe.normalization == "contrast":
        augmented = normalization.contrast(augmented)
    assert np.abs(augmented - images).max() > 0.1
    in_order = np.arange(64, dtype=np.int32)[np.newaxis]
    _, inside = one_epoch(recipe, 1, images, labels, in_order, weights, draws)
    _, before = one_epoch(recipe, 1, augmented, labels, in_order, weights, {})
    assert inside == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize(("count", "number", "sizes"), [(5, 2, [3, 2]), (8, 4, [2] * 4), (2, 3, [1, 1]), (3, 1, [3])])
def test_shards_hold_the_batch_in_order(count: int, number: int, sizes: list[int]) -> None:
    shards = trainer.split_batch((tf.range(count), {"squares": tf.range(count) ** 2}), number)
    assert [len(part) for part, _ in shards] == sizes
    assert tf.concat([part for part, _ in shards], axis=0).numpy().tolist() == list(range(count))
    for part, others in shards:
        np.testing.assert_array_equal(others["squares"], part**2)


@pytest.mark.usefixtures("eager")
def test_shards_of_a_batch_teach_as_the_whole_does(split: Split) -> None:
    """Where nothing is normalized over the batch."""
    recipe = tutorial(hidden=(16,), batch_size=21)
    inputs = (split[0], split[1].astype(np.int32), *trainer.epoch_inputs(recipe, 64, (0, 1, 0)))
    (whole, means), (sharded, others) = (one_epoch(recipe, shards, *inputs) for shards in (1, 3))
    for one, two in zip(whole.get_weights(), sharded.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)
    assert means == pytest.approx(others, abs=1e-5)


def test_convolutions_alone_are_sharded() -> None:
    """One shard for each thread."""
    assert [trainer.batch_shards(recipe, threads=3) for recipe in (tutorial(), cnn(), cnn(members=2))] == [1, 3, 3]


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
    """And between members and seeds, but it depends on nothing else."""
    orders: list[tuple[int, ...]] = []

    def train_epoch(
        _: object, __: object, indices: NDArray[np.int32], weights: NDArray[np.float32], ___: object
    ) -> list[float]:
        orders.append(tuple(indices[weights == 1]))
        return [0.0, 0.0]

    monkeypatch.setattr(trainer, "make_train_epoch", lambda *_: train_epoch)
    for seed in (0, 1, 0):
        fit(tutorial(epochs=3, hidden=(), members=2), split, seed)
    assert len(orders) == 18
    assert all(sorted(order) == list(range(64)) for order in orders)
    assert len(set(orders[:12])) == 12
    assert orders[12:] == orders[:6]


@pytest.mark.usefixtures("eager")
def test_padding_does_not_teach(split: Split) -> None:
    """The image that pads the last batch has no more weight than the others: the mean loss is that of 64 images."""
    recipe = tutorial(epochs=1, hidden=(16,), batch_size=24, learning_rate=1e-30)
    network, (row,) = fit(recipe, split)
    logits = outputs(network, split[0])
    losses = -log_softmax(logits, axis=1)[range(64), split[1]]
    assert row["loss"] == pytest.approx(losses.mean(), rel=1e-6)
    assert row["accuracy"] == (logits.argmax(axis=1) == split[1]).mean()


# Divergence.


@pytest.mark.usefixtures("eager")
def test_last_step_that_breaks_the_weights_stops_training(split: Split) -> None:
    """The epoch's loss is computed before the step, and still finite."""
    recipe = tutorial(learning_rate=1e39, hidden=(16,), batch_size=64, epochs=1)
    with pytest.raises(UserError, match=r"Training diverged in epoch 1: loss [\d.]+; lower the recipe's learning_rate"):
        fit(recipe, split)


@pytest.mark.usefixtures("eager")
def test_finite_weights_whose_outputs_are_not_stop_training(split: Split) -> None:
    """After one step on all images, only the validation set shows it."""
    recipe = tutorial(learning_rate=1e20, hidden=(16,), batch_size=64, epochs=1)
    fit(recipe, split)
    with pytest.raises(UserError, match=r"diverged in epoch 1: loss [\d.]+, val_loss (nan|inf); .* \(1e\+20\)$"):
        fit(recipe, split, validation=split)


@pytest.mark.usefixtures("eager")
def test_advice_names_the_extreme_value(split: Split) -> None:
    recipe = tutorial(hidden=(16,), weight_decay=1e30)
    with pytest.raises(UserError, match=r"lower the recipe's weight_decay \(1e\+30\)$"):
        fit(recipe, split)


@pytest.mark.usefixtures("eager")
def test_loss_that_is_no_number_stops_training(split: Split, tmp_path: Path) -> None:
    """Nothing of a diverged epoch is kept."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    with pytest.raises(UserError, match=r"diverged in epoch \d: loss (nan|inf); .* learning_rate \(1e\+30\)$") as error:
        fit(tutorial(learning_rate=1e30, hidden=(16,)), split, checkpoint=checkpoint)
    assert "\n" not in str(error.value)
    kept = dict(np.load(checkpoint.path)) if checkpoint.path.exists() else {}
    assert all(np.isfinite(values).all() for name, values in kept.items() if name != "history")


# Interruption.


def test_resumed_run_ends_with_the_same_bits(
    split: Split, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an interruption after epoch 2; it counts the seconds before. Resumed again at its end, it trains no more."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz")
    checkpoint.path.write_bytes(run.checkpoints[1])
    arrays = dict(np.load(checkpoint.path))
    rows = json.loads(str(arrays["history"]))
    rows[-1]["seconds"] = 1000
    files.write_arrays(checkpoint.path, **arrays | {"history": np.array(json.dumps(rows))})

    reported: list[EpochMetrics] = []
    options: dict[str, Any] = {"validation": split, "checkpoint": checkpoint, "on_epoch_end": reported.append}
    resumed, history = fit(run.recipe, split, **options)
    shown = capsys.readouterr()
    assert "Resuming after epoch 2" in shown.out
    assert "2/4" in shown.err
    names = list(run.history[0])[:-1]
    assert_same_bits(resumed, run.network)
    assert only(history, *names) == only(run.history, *names)
    assert only(reported, *names) == only(run.history[2:], *names)
    assert history[1]["seconds"] == 1000
    assert 1000 < history[2]["seconds"] < history[3]["seconds"] < 1100

    again, repeated = fit(run.recipe, split, **options)
    assert_same_bits(again, run.network)
    assert repeated == history
    assert len(reported) == 2


@pytest.mark.usefixtures("eager")
def test_damaged_checkpoint_starts_over(split: Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, checkpoint = tutorial(epochs=1, hidden=(16,)), Checkpoint(tmp_path / "checkpoint.npz")
    clean, expected = fit(recipe, split)
    checkpoint.path.write_bytes(b"damaged")
    network, history = fit(recipe, split, checkpoint=checkpoint)
    assert "Ignoring checkpoint" in capsys.readouterr().out
    assert_same_bits(network, clean)
    assert [row["loss"] for row in history] == [row["loss"] for row in expected]
    assert zipfile.is_zipfile(checkpoint.path)


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


@pytest.mark.parametrize(("steps", "warmup"), [(99, 25), (101, 25), (102, 26), (103, 26)])
def test_quarter_is_the_nearest_step(steps: int, warmup: int) -> None:
    assert rates_of(cnn(learning_rate=0.5), steps).argmax() == warmup


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


@pytest.mark.slow
def test_bar_counts_epochs_and_shows_metrics(split: Split, capsys: pytest.CaptureFixture[str]) -> None:
    _, (row,) = fit(tutorial(epochs=1, hidden=()), split)
    shown = capsys.readouterr().err
    assert "1/1" in shown
    assert f"loss={row['loss']:.4f}" in shown
    assert "epoch=" not in shown
