"""Corruptions have the same bytes everywhere, grow with the severity, and do what their names say, by hand."""

import hashlib
import re

import numpy as np
import pytest

from digits.common.types import Pixels
from leaderboard.corruptions import CORRUPTIONS, SEVERITIES, corrupt

# SHA-256 of `strokes` at all severities. A new version of NumPy or SciPy that changes one changes the results.
DIGESTS = {
    "noise": "d567a58758323cb7426b27dcb9007c16106758ff0770e51e6ad55e5b32791eda",
    "blur": "0c9a577bdbb662f17c236f4587436bef4991f7e04007143ee27f8a4340af631a",
    "shear": "926cd698758da146d3bd0fb609b17e93756657fd392d1e09084bd0478106347e",
    "rotation": "aac19926015fbfccc87ce3db5f957adf64a0ae13c1d4647a630baf34abbc4fca",
    "scale": "455a62f52000871bfdbb967b33d1e190730b76db159a8f93fc97e3256790c6b1",
    "brightness": "187f1411d848a0ccff8fa4fc7939e650812b40aecf2efbd099acbae44421bf66",
    "stroke": "5af33024017253e8162e12e55b00da0bf562ea0409427846a99385c227c916d8",
    "occlusion": "d1a9b863b1f4f8e0fed26ff6eefe58aa86f8a0a2f76a1da979b3e5052b14fbf7",
}

every_corruption = pytest.mark.parametrize("name", CORRUPTIONS)
every_severity = pytest.mark.parametrize("severity", SEVERITIES)


@pytest.fixture
def strokes() -> Pixels:
    """Sixteen crosses in as many greys, with strokes of two to five pixels."""
    images = grey(0, number=16)
    for index, image in enumerate(images):
        width = 2 + index % 4
        image[5:23, 12 : 12 + width] = image[9 : 9 + width, 6:22] = 180 + 5 * index
    return images


def grey(value: int, number: int = 1) -> Pixels:
    return np.full((number, 28, 28), value, np.uint8)


@every_severity
@every_corruption
def test_images_are_new_and_of_the_same_kind(strokes: Pixels, name: str, severity: int) -> None:
    before = strokes.copy()
    corrupted = corrupt(strokes, name, severity)
    assert corrupted.dtype == np.uint8
    assert corrupted.shape == strokes.shape
    assert not np.shares_memory(corrupted, strokes)
    np.testing.assert_array_equal(strokes, before)


@every_corruption
def test_bytes_are_the_same_everywhere(strokes: Pixels, name: str) -> None:
    content = b"".join(corrupt(strokes, name, severity).tobytes() for severity in SEVERITIES)
    assert hashlib.sha256(content).hexdigest() == DIGESTS[name]


@every_severity
@every_corruption
def test_first_images_do_not_depend_on_the_others(strokes: Pixels, name: str, severity: int) -> None:
    corrupted = corrupt(strokes, name, severity)
    for number in (0, 1, 11):
        np.testing.assert_array_equal(corrupt(strokes[:number], name, severity), corrupted[:number])


@every_corruption
def test_damage_rises_with_severity(strokes: Pixels, name: str) -> None:
    changes = [np.abs(corrupt(strokes, name, severity).astype(int) - strokes).mean() for severity in SEVERITIES]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_severities_draw_independently() -> None:
    mild, hard = (corrupt(grey(128), "noise", severity).ravel() for severity in (1, 3))
    assert abs(np.corrcoef(mild, hard)[0, 1]) < 0.1


@pytest.mark.parametrize(("severity", "deviation"), [(1, 40), (2, 70)])
def test_noise_has_its_deviation(severity: int, deviation: int) -> None:
    noise = corrupt(grey(128, number=50), "noise", severity) - 128.0
    expected = np.random.default_rng(0).normal(0, deviation, noise.shape).clip(-128, 127)
    assert noise.mean() == pytest.approx(0, abs=1)
    assert noise.std() == pytest.approx(expected.std(), rel=0.02)


def test_blur_is_a_gaussian() -> None:
    dot = grey(0)
    dot[0, 14, 14] = 200
    density = np.exp(-np.array([4, 1, 0, 1, 4]) / 2) / np.sqrt(2 * np.pi)  # its deviation is one pixel
    np.testing.assert_allclose(
        corrupt(dot, "blur", 1)[0, 12:17, 12:17], 200 * density * density[:, np.newaxis], atol=0.6
    )


@pytest.mark.parametrize(("severity", "slope"), [(1, 0.25), (2, 0.5), (3, 0.75)])
def test_shear_slants_either_way(severity: int, slope: float) -> None:
    line = grey(0, number=20)
    line[:, :, 13:15] = 200
    sheared = corrupt(line, "shear", severity)
    columns = (sheared @ np.arange(28.0)) / sheared.sum(axis=2) - 13.5
    right = columns[:, 22] > 0
    assert 0 < right.sum() < 20
    np.testing.assert_allclose(columns[right], [slope * (np.arange(28) - 13.5)] * right.sum())
    np.testing.assert_allclose(columns[~right], [slope * (13.5 - np.arange(28))] * (~right).sum())


@pytest.mark.parametrize(("severity", "degrees"), [(1, 15), (2, 30), (3, 45)])
def test_rotation_turns_either_way(severity: int, degrees: float) -> None:
    block = grey(0, number=20)
    block[:, 5:7, 13:15] = 200  # eight pixels above the centre
    turned = corrupt(block, "rotation", severity)
    places = np.array([(image.nonzero() @ image[image.nonzero()]) / image.sum() - 13.5 for image in turned])
    right = places[:, 1] > 0
    assert 0 < right.sum() < 20
    down, aside = -8 * np.cos(np.radians(degrees)), 8 * np.sin(np.radians(degrees))
    np.testing.assert_allclose(places, np.where(right[:, np.newaxis], (down, aside), (down, -aside)), atol=0.1)


def test_scale_shrinks_towards_the_centre() -> None:
    """Pixel 12 of the small image is between 10 and 11 of the large one, 13 between 12 and 13, and so on."""
    large, small = grey(0), grey(0)
    large[0, 10:20, 10:16] = 200
    small[0, 12:17, 12:15] = 200
    np.testing.assert_array_equal(corrupt(large, "scale", 3), small)


@pytest.mark.parametrize(("severity", "change"), [(1, 50), (2, 100), (3, 150)])
def test_brightness_adds_and_saturates(severity: int, change: int) -> None:
    for value in (0, 5, 104, 105, 106, 255):
        expected = grey(min(value + change, 255))
        np.testing.assert_array_equal(corrupt(grey(value), "brightness", severity), expected)


@pytest.mark.parametrize(
    ("severity", "thick", "thin"),
    [
        (1, (67, 200, 200, 200, 67), (0, 133, 200, 133, 0)),
        (2, (133, 200, 200, 200, 133), (0, 67, 200, 67, 0)),
        (3, (200, 200, 200, 200, 200), (0, 0, 200, 0, 0)),
    ],
)
def test_stroke_gets_thicker_or_thinner(severity: int, thick: tuple[int, ...], thin: tuple[int, ...]) -> None:
    line = grey(0, number=20)
    line[:, 4:24, 12:15] = 200
    middle = corrupt(line, "stroke", severity)[:, 8:20]
    assert {tuple(row) for image in middle for row in image[:, 11:16].tolist()} == {thick, thin}
    assert not middle[:, :, :11].any()
    assert not middle[:, :, 16:].any()


def test_thinnest_stroke_stays() -> None:
    line = grey(0, number=20)
    line[:, 14, 4:24] = 90
    assert (corrupt(line, "stroke", 3)[:, 14, 5:23] == 90).all()


@pytest.mark.parametrize(("severity", "side"), [(1, 5), (2, 7), (3, 9)])
def test_occlusion_is_a_grey_square_in_the_box(severity: int, side: int) -> None:
    occluded = corrupt(grey(255, number=2000), "occlusion", severity)
    assert set(np.unique(occluded)) == {128, 255}
    hidden = occluded == 128
    assert (hidden.sum(axis=(1, 2)) == side**2).all()
    assert (hidden.any(axis=1).sum(axis=1) == side).all()
    assert (hidden.any(axis=2).sum(axis=1) == side).all()
    rows, columns = np.nonzero(hidden.any(axis=0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 4, 23)


def test_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=re.escape(f"one of {', '.join(CORRUPTIONS)}, got 'fog'")):
        corrupt(grey(0), "fog", 1)


@pytest.mark.parametrize("severity", [0, 4])
def test_unknown_severity_lists_the_allowed_ones(severity: int) -> None:
    with pytest.raises(ValueError, match=f"one of 1, 2, 3, got {severity}"):
        corrupt(grey(0), "noise", severity)


def test_there_are_eight_corruptions() -> None:
    assert list(CORRUPTIONS) == ["noise", "blur", "shear", "rotation", "scale", "brightness", "stroke", "occlusion"]
