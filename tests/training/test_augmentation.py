"""Warps that are known, sampled warps, and a run with them."""

from typing import Any

import numpy as np
import pytest

from digits.common.types import Images, Pixels
from digits.data import normalization
from digits.params import Augmentation
from digits.training.augmentation import sample_warps, warp
from helpers.recipes import AUGMENTATION, NO_AUGMENTATION

pytestmark = pytest.mark.usefixtures("tensorflow")

UNCHANGED = [[1, 0, 0], [0, 1, 0]]


def augmentation(**changes: float) -> Augmentation:
    """None, but for the changes."""
    return Augmentation.model_validate(NO_AUGMENTATION | changes)


def warped(images: Images, affine: Any) -> Images:
    """All images, warped in one way."""
    repeated = np.tile(np.asarray(affine, dtype=np.float32), (len(images), 1, 1))
    result: Images = warp(images, repeated).numpy()
    return result


@pytest.fixture
def images(pixels: Pixels) -> Images:
    return normalization.minmax(pixels)


def test_identity_changes_nothing(images: Images) -> None:
    np.testing.assert_allclose(warped(images, UNCHANGED), images, atol=1e-6)


def test_shift_moves_whole_pixels(images: Images) -> None:
    """A pixel shows what was two rows below and one column to the right; black comes in."""
    moved = warped(images, [[1, 0, 2], [0, 1, 1]])
    np.testing.assert_allclose(moved[:, :-2, :-1], images[:, 2:, 1:], atol=1e-6)
    assert (moved[:, -2:] == 0).all()
    assert (moved[:, :, -1] == 0).all()


def test_half_a_pixel_is_the_mean_of_two(images: Images) -> None:
    moved = warped(images, [[1, 0, 0], [0, 1, 0.5]])
    np.testing.assert_allclose(moved[:, :, :-1], (images[:, :, 1:] + images[:, :, :-1]) / 2, atol=1e-6)


def test_quarter_turn(images: Images) -> None:
    np.testing.assert_allclose(warped(images, [[0, 1, 0], [-1, 0, 0]]), np.rot90(images, 1, (1, 2)), atol=1e-5)


def test_nothing_is_far_outside(images: Images) -> None:
    assert (warped(images, [[1, 0, 1000], [0, 1, -1000]]) == 0).all()


def test_no_augmentation_is_the_identity() -> None:
    affine = sample_warps(augmentation(), (3, 5), (0,))
    np.testing.assert_array_equal(affine, np.broadcast_to(np.array(UNCHANGED, dtype=np.float32), (3, 5, 2, 3)))


def test_warps_stay_within_the_recipe() -> None:
    turned = sample_warps(augmentation(rotation=30), (10_000,), (0,))
    angles = np.rad2deg(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 29 < angles.max() < 30.001
    assert -30.001 < angles.min() < -29
    scaled = sample_warps(augmentation(scale=0.25), (10_000,), (0,))
    for axis in (0, 1):
        assert 1.24 < scaled[:, axis, axis].max() < 1.2501
        assert 1 / 1.2501 < scaled[:, axis, axis].min() < 1 / 1.24
    sheared = sample_warps(augmentation(shear=0.2), (10_000,), (0,))
    assert (sheared[:, [0, 1], [0, 1]] == 1).all()
    assert (sheared[:, 1, 0] == 0).all()
    assert 0.199 < sheared[:, 0, 1].max() <= 0.2
    assert -0.2 <= sheared[:, 0, 1].min() < -0.199
    shifted = sample_warps(augmentation(shift=3), (10_000,), (0,))[:, :, 2]
    assert 2.9 < shifted.max() <= 3
    assert -3 <= shifted.min() < -2.9


def test_limits_are_sampled_independently() -> None:
    """Rows and columns, too."""
    scaled = sample_warps(augmentation(scale=0.25), (10_000,), (0,))
    shifted = sample_warps(augmentation(shift=3), (10_000,), (0,))[:, :, 2]
    for rows, columns in ((scaled[:, 0, 0], scaled[:, 1, 1]), (shifted[:, 0], shifted[:, 1])):
        assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.05


def test_warps_scale_then_shear_then_rotate() -> None:
    """The affine part is their product: its determinant is that of the scaling, its first column shows the angle."""
    affine = sample_warps(augmentation(rotation=30, scale=0.25, shear=0.2), (10_000,), (0,))[:, :, :2].astype(float)
    angle = np.arctan2(affine[:, 1, 0], affine[:, 0, 0])
    turned_back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    (high, sheared), (nothing, wide) = (turned_back @ affine).transpose(1, 2, 0)
    np.testing.assert_allclose(nothing, 0, atol=1e-6)
    for factor in (high, wide):
        assert 1 / 1.2501 < factor.min() < factor.max() < 1.2501
    shear = sheared / wide
    assert -0.2001 < shear.min() < -0.199
    assert 0.199 < shear.max() < 0.2001
    assert np.abs(np.corrcoef([angle, np.log(high), np.log(wide), shear]) - np.eye(4)).max() < 0.05, "independent"


def test_warps_follow_the_seed() -> None:
    first, again, other = (
        sample_warps(Augmentation(**AUGMENTATION), (2, 4), seed) for seed in ((0, 1), (0, 1), (0, 2))
    )
    assert first.dtype == np.float32
    assert (first == again).all()
    assert (first != other).any()
