"""Normalizations computed by hand, and a draw without a leak."""

import numpy as np
import pytest

from digits import preprocessing
from digits.errors import InputError
from digits.idx import Bytes


def test_l2_by_hand() -> None:
    image = np.array([[[3, 0, 255], [4, 0, 0]]], dtype=np.uint8)
    np.testing.assert_allclose(preprocessing.l2(image), [[[0.6, 0, 1], [0.8, 0, 0]]], rtol=1e-7)


def test_l2_gives_unit_columns_or_zeros(pixels: Bytes) -> None:
    lengths = np.linalg.norm(preprocessing.l2(pixels), axis=1)
    np.testing.assert_allclose(lengths, (pixels.sum(axis=1) > 0).astype(float), atol=1e-6)


def test_l2_sums_exactly() -> None:
    """The docstring's promise: no order of summation can change a bit, even where sums are largest."""
    image = np.full((1, 28, 1), 255, dtype=np.uint8)
    assert preprocessing.l2(image)[0, 0, 0] == np.float32(255) / np.sqrt(np.float32(28 * 255**2))


def test_minmax_by_hand() -> None:
    scaled = preprocessing.minmax(np.array([0, 51, 255], dtype=np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [0, 0.2, 1], rtol=1e-7)


def test_hold_out_is_stratified() -> None:
    labels = np.repeat(np.arange(3, dtype=np.uint8), [500, 300, 200])
    drawn = preprocessing.hold_out(labels, 100, seed=0)
    assert np.bincount(labels[drawn]).tolist() == [50, 30, 20]


@pytest.mark.parametrize("count", [0, 1, 7, 99])
def test_hold_out_draws_exactly(count: int) -> None:
    labels = np.random.default_rng(1).integers(0, 10, 101).astype(np.uint8)
    drawn = preprocessing.hold_out(labels, count, seed=3)
    assert drawn.sum() == count
    ideal = np.bincount(labels, minlength=10) * count / len(labels)
    assert np.abs(np.bincount(labels[drawn], minlength=10) - ideal).max() < 1


def test_hold_out_follows_its_seed() -> None:
    labels = np.zeros(1000, dtype=np.uint8)
    first, again, other = (preprocessing.hold_out(labels, 100, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_split_loses_and_leaks_nothing(pixels: Bytes) -> None:
    labels = np.arange(64, dtype=np.uint8)  # each image its own label, to follow it
    held_out = preprocessing.hold_out(labels % 4, 8, seed=0)
    splits = preprocessing.split(pixels, labels, pixels[:3], labels[:3], held_out, "minmax")
    assert sorted([*splits["y_train"], *splits["y_val"]]) == list(range(64))
    assert len(splits["y_val"]) == 8
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(
            splits[f"x_{name}"], preprocessing.minmax(pixels[splits[f"y_{name}"]]), strict=True
        )


@pytest.mark.parametrize(
    ("asked", "stand_in", "count"), [(0, False, 0), (200, False, 200), (200, True, 200), (5000, True, 100)]
)
def test_validation_count(asked: int, stand_in: bool, count: int) -> None:
    assert preprocessing.validation_count(asked, 1000, stand_in=stand_in) == count


def test_validation_count_refuses_more_than_a_fifth() -> None:
    with pytest.raises(InputError, match=r"normalize.validation_size: must be at most 200, .* got 201"):
        preprocessing.validation_count(201, 1000, stand_in=False)
