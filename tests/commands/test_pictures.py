"""Pictures of digits become what the model knows, and everything else is refused in one line."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from digits.commands.predict import pictures
from digits.common.errors import UserError
from digits.common.types import Pixels
from digits.data import idx
from helpers.photos import encode, make_photo
from helpers.sandbox import ROOT

SEVEN = [(60, 50), (140, 50), (90, 160)]


def drawing(*strokes: list[tuple[int, int]], size: tuple[int, int] = (200, 200), width: int = 14) -> Image.Image:
    """Black strokes on white."""
    picture = Image.new("L", size, 255)
    for stroke in strokes or [SEVEN]:
        ImageDraw.Draw(picture).line(stroke, fill=0, width=width, joint="curve")
    return picture


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def seen(content: bytes) -> Pixels:
    return pictures.read(content).seen


def likeness(one: Pixels, other: Pixels) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.fixture(scope="module")
def mnist() -> Pixels:
    """The first training images."""
    images, _ = idx.read_train(ROOT / "data/mnist")
    return images[:200]


@pytest.fixture(scope="module")
def seven() -> Pixels:
    return seen(saved(drawing()))


def test_digit_fills_the_box_and_its_mass_is_in_the_centre(seven: Pixels) -> None:
    assert seven.dtype == np.uint8
    assert seven.shape == (28, 28)
    rows, columns = np.flatnonzero(seven.any(axis=1)), np.flatnonzero(seven.any(axis=0))
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 == pytest.approx(20 * (80 + 14) / (110 + 14), abs=1), "the aspect is kept"
    np.testing.assert_allclose(ndimage.center_of_mass(seven), 14, atol=0.51)
    assert seven.max() == 255


def test_image_of_mnist_stays_as_it_is(mnist: Pixels) -> None:
    """None is taken for two digits, broken strokes included."""
    likenesses = [likeness(seen(encode(255 - image)), image) for image in mnist]
    assert np.median(likenesses) > 0.97
    assert min(likenesses) > 0.5  # by a pixel off the centre


@pytest.mark.slow
def test_photos_show_the_digit_that_they_were_made_of(mnist: Pixels) -> None:
    generator = np.random.default_rng(0)
    likenesses = [likeness(seen(make_photo(image, generator)), image) for image in mnist[:20]]
    assert np.median(likenesses) > 0.9
    assert min(likenesses) > 0.5  # by a pixel off the centre


def test_light_ink_on_dark_is_the_same(seven: Pixels) -> None:
    assert likeness(seen(encode(255 - np.asarray(drawing()))), seven) > 0.99


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_read(mode: str, seven: Pixels) -> None:
    picture = drawing()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    content = saved(picture if mode == "I;16" else picture.convert(mode))
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.mode == mode
    assert likeness(seen(content), seven) > 0.99


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_read(mode: str, seven: Pixels) -> None:
    assert likeness(seen(saved(drawing().convert(mode), "JPEG")), seven) > 0.99


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_background_contrasts_with_the_ink(ink: int, seven: Pixels) -> None:
    opacity = 255 - np.asarray(drawing())
    colours = np.stack([np.full_like(opacity, ink)] * 3 + [opacity], axis=-1)
    assert likeness(seen(encode(colours)), seven) > 0.99


def test_picture_is_turned_as_the_camera_says(seven: Pixels) -> None:
    """Orientation 6: the camera was turned by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(drawing().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert likeness(seen(content), seven) > 0.99


def test_dirt_is_ignored(seven: Pixels) -> None:
    picture = drawing()
    for x, y in ((5, 5), (180, 190), (20, 150)):
        ImageDraw.Draw(picture).rectangle((x, y, x + 4, y + 4), fill=0)
    assert likeness(seen(saved(picture)), seven) > 0.99


def test_pieces_of_one_digit_stay_together() -> None:
    """The upper stroke of a 5 may stand alone."""
    body, bar = [(60, 60), (60, 100), (120, 110), (120, 160), (60, 170)], [(72, 40), (140, 40)]
    whole = seen(saved(drawing(body, bar)))
    assert whole[:8].any()
    assert likeness(whole, seen(saved(drawing(body)))) < 0.9


def test_thin_strokes_are_widened(seven: Pixels) -> None:
    """A pen of 3 pixels in 1600."""
    stroke = [(8 * x, 8 * y) for x, y in SEVEN]
    thin = seen(saved(drawing(stroke, size=(1600, 1600), width=5)))
    assert thin.sum() > 0.5 * seven.sum()
    assert likeness(ndimage.gaussian_filter(thin, 1.0), ndimage.gaussian_filter(seven, 1.0)) > 0.8


def noise(paper: float) -> bytes:
    values = np.random.default_rng(0).normal(paper, 8, size=(300, 400))
    return encode(np.clip(values, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        encode(np.full((200, 200), 255, np.uint8)),
        encode(np.zeros((200, 200), np.uint8)),
        encode(np.zeros((200, 200, 4), np.uint8)),
        encode(np.tile(np.linspace(90, 250, 300).astype(np.uint8), (200, 1))),
        noise(220),
        noise(30),
    ],
    ids=["white", "black", "transparent", "shaded", "noisy", "dark and noisy"],
)
def test_blank_has_no_digit(content: bytes) -> None:
    with pytest.raises(UserError, match=r"^shows no digit: nothing stands out from the background$"):
        pictures.read(content)


def test_speck_is_no_digit() -> None:
    with pytest.raises(UserError, match=r"^shows no digit: what stands out from the background is too small$"):
        pictures.read(saved(drawing([(100, 100), (103, 103)], width=4)))


@pytest.mark.parametrize("offset", [(100, 0), (0, 130)], ids=["beside", "below"])
@pytest.mark.parametrize("count", [2, 3])
def test_several_digits_are_refused(offset: tuple[int, int], count: int) -> None:
    strokes = [[(x + number * offset[0], y + number * offset[1]) for x, y in SEVEN] for number in range(count)]
    with pytest.raises(UserError, match=f"^shows {count} digits; keep one of them$"):
        pictures.read(saved(drawing(*strokes, size=(500, 560))))


@pytest.mark.parametrize("size", [(1, 1), (7, 400)])
def test_small_picture_is_refused(size: tuple[int, int]) -> None:
    width, height = size
    with pytest.raises(UserError, match=f"^has {width} x {height} pixels; a digit needs at least 8 x 8$"):
        pictures.read(saved(Image.new("L", size)))


@pytest.mark.slow
def test_huge_picture_is_read(seven: Pixels) -> None:
    stroke = [(50 * x, 50 * y) for x, y in SEVEN]
    content = saved(drawing(stroke, size=(10_000, 10_000), width=700), compress_level=1)
    assert likeness(seen(content), seven) > 0.98


@pytest.mark.slow
def test_larger_picture_is_refused() -> None:
    content = saved(Image.new("1", (20_000, 10_000)), compress_level=1)
    with pytest.raises(UserError, match=r"^has too many pixels; at most 179 million are read$"):
        pictures.read(content)


@pytest.mark.parametrize(
    "content", [b"", b"seven", saved(drawing(), "GIF"), saved(drawing(), "TIFF")], ids=["empty", "text", "gif", "tiff"]
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(UserError, match=r"^is neither a PNG nor a JPEG picture$"):
        pictures.read(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_damaged_picture_is_refused(kind: str, share: float) -> None:
    content = saved(drawing(), kind)
    with pytest.raises(UserError, match=r"^is a damaged picture \(") as error:
        pictures.read(content[: int(share * len(content))])
    assert "\n" not in str(error.value)
