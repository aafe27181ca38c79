"""The draw of training and validation images."""

from itertools import pairwise

import numpy as np
import pytest

from digits.common.errors import UserError
from digits.common.types import Labels
from digits.data.split import Indices, split, stratified_order

SIZES = [(500, 100), (7, 1), (899, 101), (1, 999), (333, 333), (1000, 0), (10, 0)]


@pytest.fixture
def labels() -> Labels:
    """A thousand labels, some classes three times as frequent as others."""
    shares = np.array([1, 2, 3, 2, 1, 2, 3, 2, 1, 3]) / 20
    return np.random.default_rng(1).choice(10, 1000, p=shares).astype(np.uint8)


def excess(labels: Labels, drawn: Indices) -> float:
    """By how many images a class is furthest from its proportion."""
    ideal = np.bincount(labels, minlength=10) * len(drawn) / len(labels)
    return float(np.abs(np.bincount(labels[drawn], minlength=10) - ideal).max())


@pytest.mark.parametrize(("train_size", "validation_size"), SIZES)
def test_sizes_are_exact_and_nothing_leaks(labels: Labels, train_size: int, validation_size: int) -> None:
    train, validation = split(labels, train_size, validation_size, seed=3)
    assert (len(train), len(validation)) == (train_size, validation_size)
    assert len({*train.tolist(), *validation.tolist()}) == train_size + validation_size, "disjoint, and each once"
    assert {*train.tolist(), *validation.tolist()} <= set(range(1000))


@pytest.mark.parametrize(("train_size", "validation_size"), SIZES)
def test_classes_are_in_proportion(labels: Labels, train_size: int, validation_size: int) -> None:
    """Within one image for what is held out, and for all that is drawn; so within two for the difference."""
    train, validation = split(labels, train_size, validation_size, seed=3)
    assert excess(labels, validation) <= 1
    assert excess(labels, np.concatenate([train, validation])) <= 1
    assert excess(labels, train) < 2


def test_proportion_is_exact_where_it_can_be() -> None:
    labels = np.repeat(np.arange(3, dtype=np.uint8), [500, 300, 200])
    train, validation = split(labels, 200, 100, seed=0)
    assert np.bincount(labels[validation]).tolist() == [50, 30, 20]
    assert np.bincount(labels[train]).tolist() == [100, 60, 40]


def test_larger_training_set_contains_the_smaller(labels: Labels) -> None:
    drawn = [set(split(labels, size, 100, seed=0)[0].tolist()) for size in (50, 51, 300, 900)]
    assert all(smaller < larger for smaller, larger in pairwise(drawn))


def test_larger_validation_set_contains_the_smaller(labels: Labels) -> None:
    drawn = [set(split(labels, 100, size, seed=0)[1].tolist()) for size in (0, 1, 50, 51, 900)]
    assert all(smaller < larger for smaller, larger in pairwise(drawn))


def test_validation_set_does_not_depend_on_the_training_size(labels: Labels) -> None:
    one, other = (split(labels, size, 100, seed=0)[1] for size in (10, 900))
    np.testing.assert_array_equal(one, other)


def test_draw_follows_its_seed(labels: Labels) -> None:
    first, again, other = (split(labels, 400, 100, seed) for seed in (0, 0, 1))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != different).any()


def test_images_of_a_class_are_drawn_at_random() -> None:
    """Not its first ones: half of each half of a class is drawn, roughly."""
    labels = np.zeros(1000, dtype=np.uint8)
    _, validation = split(labels, 500, 500, seed=0)
    assert 200 < (validation < 500).sum() < 300


def test_indices_ascend(labels: Labels) -> None:
    for indices in split(labels, 400, 100, seed=0):
        assert (np.diff(indices) > 0).all()


def test_nothing_is_held_out_if_none_is_asked(labels: Labels) -> None:
    train, validation = split(labels, 1000, 0, seed=0)
    assert train.tolist() == list(range(1000))
    assert validation.tolist() == []


@pytest.mark.parametrize(("train_size", "validation_size"), [(901, 100), (1, 1000), (1001, 0)])
def test_too_many_images_are_refused(labels: Labels, train_size: int, validation_size: int) -> None:
    with pytest.raises(UserError) as error:
        split(labels, train_size, validation_size, seed=0)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("params.yaml: ")
    for part in ("normalize.train_size", "normalize.validation_size", "at most 1000"):
        assert part in message
    assert message.endswith(f"got {train_size} + {validation_size}")


def test_every_stretch_is_stratified(labels: Labels) -> None:
    order = stratified_order(labels, seed=0)
    assert sorted(order.tolist()) == list(range(1000))
    assert max(excess(labels, order[start : start + 100]) for start in range(0, 901, 50)) < 2
