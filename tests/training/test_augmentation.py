"""Warps and other changes that are known, and sampled ones."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from digits.common.types import Images, Pixels
from digits.data import normalization
from digits.params import Augmentation
from digits.training.augmentation import CHANGES, PATCHES, SHARE, augment, sample, sample_warps, warp
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


# Other changes.

FULL = dict.fromkeys(CHANGES, 1.0)  # the limits


def changed(name: str, images: Images, strength: float, numbers: Any = 0.5) -> Images:
    """All images, changed in one way; `numbers` may be one for all that the change needs.

    Not compiled, which would take a second each time; test_trainer.py runs the compiled function.
    """
    row = np.concatenate([[strength], np.broadcast_to(numbers, CHANGES[name].size)])
    draws = {
        "warp": np.tile(np.array(UNCHANGED, np.float32), (len(images), 1, 1)),
        name: np.tile(row.astype(np.float32), (len(images), 1)),
    }
    result: Images = augment.python_function(images, draws).numpy()
    return result


def square(side: int) -> Images:
    """A white square in the middle of a black image."""
    image = np.zeros((1, 28, 28), np.float32)
    first = 14 - side // 2
    image[:, first : first + side, first : first + side] = 1
    return image


def test_every_change_has_a_limit() -> None:
    limits = list(Augmentation.model_fields)
    assert limits == ["rotation", "scale", "shear", "shift", *CHANGES]


def test_changes_without_a_limit_are_not_sampled() -> None:
    assert set(sample(augmentation(shift=1), (5,), (0,))) == {"warp"}
    assert set(sample(augmentation(blur=1, noise=0.5), (5,), (0,))) == {"warp", "blur", "noise"}


def test_a_share_of_the_images_is_changed_up_to_the_limit() -> None:
    draws = sample(augmentation(**FULL | {"blur": 3}), (50, 200), (0,))
    for name, change in CHANGES.items():
        assert draws[name].shape == (50, 200, 1 + change.size)
        assert draws[name].dtype == np.float32
        strength = draws[name][..., 0]
        limit = 3 if name == "blur" else 1
        assert (strength > 0).mean() == pytest.approx(SHARE, abs=0.02)
        assert strength.max() == pytest.approx(limit, rel=0.01)
        assert strength[strength > 0].mean() == pytest.approx(limit / 2, rel=0.05)
        assert draws[name][..., 1:].mean() == pytest.approx(0.5, abs=0.01)


def test_changes_are_sampled_independently() -> None:
    draws = sample(augmentation(shift=1, **FULL), (10_000,), (0,))
    numbers = [draws["warp"][:, 0, 2], *(draws[name][:, -1] for name in CHANGES)]
    assert np.abs(np.corrcoef(numbers) - np.eye(len(numbers))).max() < 0.05


def test_changes_follow_the_seed() -> None:
    first, again, other = (sample(augmentation(**FULL), (2, 4), seed) for seed in ((0, 1), (0, 1), (0, 2)))
    for name in CHANGES:
        assert (first[name] == again[name]).all()
        assert (first[name][..., 1:] != other[name][..., 1:]).any()


@pytest.mark.parametrize("name", CHANGES)
def test_strength_zero_changes_nothing(images: Images, name: str) -> None:
    numbers = np.random.default_rng(0).random(CHANGES[name].size)
    np.testing.assert_allclose(changed(name, images, 0, numbers), images, atol=1e-6)


@pytest.mark.parametrize("name", CHANGES)
def test_changed_images_stay_between_black_and_white(images: Images, name: str) -> None:
    numbers = np.random.default_rng(0).random(CHANGES[name].size)
    result = changed(name, images, 1, numbers)
    assert np.abs(result - images).max() > 0.05
    assert result.min() >= 0
    assert result.max() <= 1


def test_images_darker_than_their_background_keep_their_contrast(pixels: Pixels) -> None:
    """Normalized again, they are as before, although an image to be changed has no values below 0."""
    normalized = normalization.contrast(pixels)
    assert normalized.min() < -0.3
    unchanged: Any = changed("noise", normalized, 0)
    assert unchanged.min() == 0
    np.testing.assert_allclose(normalization.contrast(unchanged), normalized, atol=1e-5)


def test_strokes_get_a_pixel_thinner_or_thicker_or_are_outlined() -> None:
    digit = square(4)
    np.testing.assert_allclose(changed("strokes", digit, 1, 0.1), square(2), atol=1e-6)
    np.testing.assert_allclose(changed("strokes", digit, 1, 0.5), square(6), atol=1e-6)
    np.testing.assert_allclose(changed("strokes", digit, 1, 0.9), square(6) - digit, atol=1e-6)
    np.testing.assert_allclose(changed("strokes", digit, 0.5, 0.5), (digit + square(6)) / 2, atol=1e-6)


def test_light_raises_the_background_and_darkness_fades_the_digit() -> None:
    digit = square(4)
    np.testing.assert_allclose(changed("light", digit, 0.6, 1), np.maximum(digit, 0.6), atol=1e-6)
    np.testing.assert_allclose(changed("light", digit, 0.6, 0), 0.4 * digit, atol=1e-6)


def test_light_is_uneven() -> None:
    """One corner of the coarse grid is lit alone."""
    numbers = np.array([1, *[0] * 8, *[0] * 49, 1, 0.5])
    lit = changed("light", np.zeros((1, 28, 28), np.float32), 1, numbers)[0]
    assert lit[0, 0] == pytest.approx(1)
    assert (np.diff(lit[0]) <= 0).all()
    assert lit[0, 14] == 0
    assert lit[14, 0] == 0


def one_patch(**numbers: float) -> NDArray[np.float64]:
    """A white bar in the middle, along the rows, but for `numbers`; the other patches do not exist."""
    patch = {"row": 0.5, "column": 0.5, "angle": 0, "length": 0.5, "width": 0, "grey": 1, "kind": 0.4} | numbers
    return np.array([*patch.values(), *[1] * 7 * (PATCHES - 1)])


def test_patches_are_bars_and_squares() -> None:
    """A line of 15 times 1 pixels, between the middle rows; the same upright; a square of 10."""
    black = np.zeros((1, 28, 28), np.float32)
    line = changed("patches", black, 1, one_patch())
    assert line.sum() == pytest.approx(15)
    assert line[0, [13, 14], 14].tolist() == [0.5, 0.5]
    upright = changed("patches", black, 1, one_patch(angle=0.5))
    np.testing.assert_allclose(upright, line.transpose(0, 2, 1), atol=1e-5)
    np.testing.assert_allclose(changed("patches", black, 1, one_patch(width=1)), square(10), atol=1e-5)


def test_patches_cover(images: Images) -> None:
    """A grey square, half as opaque."""
    grey = changed("patches", images, 0.5, one_patch(width=1, grey=0.4))
    np.testing.assert_allclose(grey, np.where(square(10) == 1, (images + 0.4) / 2, images), atol=1e-5)


def test_negatives_are_larger_and_always_opaque(images: Images) -> None:
    """Three times as large, with three quarters of the contrast."""
    negative = changed("patches", images, 0.2, one_patch(width=np.log10(4), kind=0.1, grey=0.5, length=0))
    np.testing.assert_allclose(negative, np.where(square(12) == 1, 0.75 * (1 - images), images), atol=1e-5)


def test_blur_is_gaussian(images: Images) -> None:
    """Away from the border, where what lies outside is left out."""
    expected = ndimage.gaussian_filter(images, (0, 1.5, 1.5), truncate=8)
    inner = (slice(None), slice(8, 20), slice(8, 20))
    np.testing.assert_allclose(changed("blur", images, 1.5)[inner], expected[inner], atol=2e-3)


def test_blur_may_be_along_the_rows_alone(images: Images) -> None:
    np.testing.assert_allclose(changed("blur", images, 3, 0).sum(axis=2), images.sum(axis=2), rtol=0.2)
    transposed = changed("blur", images.transpose(0, 2, 1), 3, 1)
    np.testing.assert_allclose(changed("blur", images, 3, 0), transposed.transpose(0, 2, 1), atol=1e-5)


GREY = np.full((4, 28, 28), 0.5, np.float32)


def test_noise_is_normal_and_follows_its_numbers() -> None:
    noisy, again, other = (changed("noise", GREY, 0.1, numbers) for numbers in (0.3, 0.3, 0.7))
    assert (noisy - 0.5).mean() == pytest.approx(0, abs=0.01)
    assert noisy.std() == pytest.approx(0.1, rel=0.05)
    assert (noisy == again).all()
    for one, two in ((noisy, other), (noisy[:1], noisy[1:2])):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.1


def test_salt_and_pepper_replace_a_share_of_the_pixels() -> None:
    result = changed("salt_and_pepper", GREY, 0.4, 0.3)
    assert (result == 0).mean() == pytest.approx(0.2, abs=0.03)
    assert (result == 1).mean() == pytest.approx(0.2, abs=0.03)
    assert set(np.unique(result)) == {0, 0.5, 1}
