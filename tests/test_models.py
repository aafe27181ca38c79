"""Networks, their training and their file: before training, after it, and on the way to serving."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from digits import params, preprocessing
from digits.checkpoints import Checkpoint
from digits.errors import InputError
from digits.idx import Bytes
from digits.params import Recipe

if TYPE_CHECKING:
    from digits.training import Split

pytestmark = pytest.mark.usefixtures("backend")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """The tutorial's recipe, with other values where the test says so."""
    tutorial = params.load(ROOT / "params.yaml").recipes["tutorial"]
    return lambda **values: tutorial.model_copy(update=values)


@pytest.fixture
def split(pixels: Bytes) -> "Split":
    return preprocessing.l2(pixels), np.arange(64, dtype=np.uint8) % 10


def nothing(split: "Split") -> "Split":
    images, labels = split
    return images[:0], labels[:0]


def fit(recipe: Recipe, split: "Split", seed: int = 0) -> tuple[Any, Any]:
    from digits import models, training

    network = models.build(recipe, seed)
    with TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder, "checkpoint.npz"), "test")
        return network, training.fit(network, recipe, seed, split, nothing(split), checkpoint)


def test_l2_is_the_tutorials_normalize(pixels: Bytes) -> None:
    import keras

    expected = keras.utils.normalize(pixels.astype(np.float64), axis=1)
    np.testing.assert_allclose(preprocessing.l2(pixels), expected, atol=1e-6)


def test_the_tutorials_network(recipe: Callable[..., Recipe], split: "Split") -> None:
    from digits import models

    network = models.build(recipe(), seed=0)
    assert network.count_params() == (784 + 1) * 128 + (128 + 1) * 128 + (128 + 1) * 10
    outputs = models.probabilities(network, split[0], batch_size=10)
    assert outputs.shape == (64, 10)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)


def test_first_weights_follow_the_seed(recipe: Callable[..., Recipe]) -> None:
    from digits import models

    first, again, other = (models.build(recipe(), seed).get_weights()[0] for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_overfits_a_batch(recipe: Callable[..., Recipe], split: "Split") -> None:
    _, history = fit(recipe(epochs=60, learning_rate=0.003), split)
    assert history["accuracy"][-1] > 0.98  # image 5 is black, and so is no other
    assert history["loss"][-1] < 0.1 < history["loss"][0]
    assert list(history) == ["epoch", "loss", "accuracy", "seconds"]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_learns_as_keras_does(recipe: Callable[..., Recipe], split: "Split", optimizer: str) -> None:
    """One epoch in the order that fit draws, its short last batch included, against `model.fit`."""
    import keras

    from digits import models

    chosen = recipe(epochs=1, batch_size=24, optimizer=optimizer)
    ours, history = fit(chosen, split, seed=4)

    theirs = models.build(chosen, seed=4)
    theirs.compile(
        optimizer=keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.001}}),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    images, labels = split
    order = np.random.default_rng([4, 1]).permutation(64)
    told = theirs.fit(images[order], labels[order], batch_size=24, shuffle=False, verbose=0).history
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, atol=1e-5)  # three steps move them by 3e-3
    assert history["loss"][0] == pytest.approx(told["loss"][0], abs=1e-5)
    assert history["accuracy"][0] == pytest.approx(told["accuracy"][0], abs=1e-6)


def test_two_hundred_steps_are_model_fits_in_float64(recipe: Callable[..., Recipe]) -> None:
    """The same mathematics: in float64, where rounding does not grow, 200 steps, the last one short, agree."""
    import keras

    from digits import models, training

    images = np.random.default_rng(0).normal(size=(199 * 8 + 3, 28, 28))
    labels = (np.arange(len(images)) % 10).astype(np.uint8)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        ours, theirs = (models.build(recipe(hidden=(16, 16)), seed=0) for _ in range(2))
        theirs.compile(optimizer=keras.optimizers.Adam(0.001), loss="sparse_categorical_crossentropy")
        theirs.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
        optimizer = keras.optimizers.Adam(0.001)
        optimizer.build(ours.trainable_variables)
        indices, counts = training.batches(np.arange(len(images)), 8)
        assert len(indices) == 200
        train_epoch = training._training_pass(ours, optimizer, xla=True)
        train_epoch(images, labels.astype(np.int32), indices, counts.astype(np.float64))
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert our.dtype == np.float64
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-12)


def test_trains_to_the_same_bits(recipe: Callable[..., Recipe], split: "Split") -> None:
    (first, history), (again, _), (other, _) = (fit(recipe(epochs=2), split, seed) for seed in (0, 0, 1))
    assert all((one == two).all() for one, two in zip(first.get_weights(), again.get_weights(), strict=True))
    assert any((one != two).any() for one, two in zip(first.get_weights(), other.get_weights(), strict=True))
    assert history["epoch"] == [1, 2]


def test_validation_scores_without_learning(recipe: Callable[..., Recipe], split: "Split", tmp_path: Path) -> None:
    from digits import evaluation, models, training

    network = models.build(recipe(), seed=0)
    history = training.fit(network, recipe(epochs=2), 0, split, split, Checkpoint(tmp_path / "none.npz", "test"))
    without, _ = fit(recipe(epochs=2), split)
    for one, two in zip(network.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    scores = evaluation.scores(split[1], models.probabilities(network, split[0]))
    assert history["val_loss"][-1] == pytest.approx(scores["loss"], abs=1e-5)
    assert history["val_accuracy"][-1] == pytest.approx(scores["accuracy"], abs=1e-6)


@pytest.mark.parametrize("count", [1, 31, 32, 33])
def test_batches_hold_every_image_once(count: int) -> None:
    from digits import training

    indices, weights = training.batches(np.arange(count)[::-1], 32)
    assert indices.shape == weights.shape == (-(-count // 32), min(count, 32))
    assert indices[weights == 1].tolist() == list(range(count))[::-1]
    assert weights.sum() == count


@pytest.mark.parametrize("method", ["l2", "minmax"])
def test_raw_pixels_are_answered_as_normalized_ones(
    recipe: Callable[..., Recipe], pixels: Bytes, tmp_path: Path, method: str
) -> None:
    """What serving does and what evaluate does are the same, and so is what was in memory."""
    import keras

    from digits import models

    normalized = preprocessing.METHODS[method](pixels)
    network, _ = fit(recipe(), (normalized, np.arange(64, dtype=np.uint8) % 10))
    in_memory = models.probabilities(network, normalized)
    models.save(models.with_normalization(network, method), tmp_path / "model.keras")

    loaded = keras.saving.load_model(tmp_path / "model.keras")
    served = models.probabilities(loaded, pixels.astype(np.float32))
    np.testing.assert_allclose(served, in_memory, atol=1e-5)
    np.testing.assert_array_equal(models.probabilities(models.network_of(loaded), normalized), in_memory)
    assert np.ptp(in_memory, axis=0).max() > 0.01, "the network must tell the images apart"


def test_addresses_in_the_configuration_are_renumbered() -> None:
    from digits import models

    config = {"layers": [{"shared_object_id": 140}, {"x": {"shared_object_id": 77}}, {"shared_object_id": 140}]}
    renumbered = models._renumbered(config, {})
    assert renumbered == {"layers": [{"shared_object_id": 0}, {"x": {"shared_object_id": 1}}, {"shared_object_id": 0}]}


@pytest.mark.parametrize("xla", [True, False])
def test_images_may_lie_anywhere_in_memory(recipe: Callable[..., Recipe], split: "Split", xla: bool) -> None:
    """TensorFlow's kernels abort the process over memory that is not aligned, as np.load gives it."""
    images, labels = split
    room = np.empty(images.nbytes + 128, dtype=np.uint8)
    start = -room.ctypes.data % 64 + 16
    shifted = room[start : start + images.nbytes].view(np.float32).reshape(images.shape)
    shifted[...] = images
    _, history = fit(recipe(xla=xla, epochs=1), (shifted, labels))
    _, expected = fit(recipe(xla=xla, epochs=1), split)
    assert history["loss"][0] == expected["loss"][0]


def test_mapped_images_are_not_copied(split: "Split", tmp_path: Path) -> None:
    from digits import artifacts, training

    artifacts.write_arrays(tmp_path / "split.npz", labels=split[1], images=split[0])
    mapped = artifacts.map_arrays(tmp_path / "split.npz")["images"]
    assert training._aligned(mapped) is mapped


def test_a_last_step_that_breaks_the_weights_stops_the_training(recipe: Callable[..., Recipe], split: "Split") -> None:
    with pytest.raises(InputError, match="training diverged"):
        fit(recipe(learning_rate=1e38, optimizer="sgd", batch_size=64, epochs=1), (split[0] * 1e20, split[1]))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_loss_that_is_no_number_stops_the_training(
    recipe: Callable[..., Recipe], split: "Split", optimizer: str
) -> None:
    with pytest.raises(InputError, match=r"diverged in epoch \d: loss (nan|inf) at learning rate 1e\+30"):
        fit(recipe(learning_rate=1e30, optimizer=optimizer), split)


def test_a_batch_is_never_larger_than_the_set() -> None:
    from digits import training

    indices, weights = training.batches(np.arange(5), 10**12)
    assert indices.shape == (1, 5)
    assert weights.sum() == 5


def test_the_file_depends_on_the_content_alone(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    from digits import models

    def saved(name: str, seed: int) -> bytes:
        models.save(models.with_normalization(models.build(recipe(), seed), "l2"), tmp_path / name)
        return (tmp_path / name).read_bytes()

    first = saved("first.keras", 0)
    time.sleep(2.1)  # the times in a zip file have steps of two seconds
    assert saved("again.keras", 0) == first
    assert saved("other.keras", 1) != first
