"""Pictures of digits become what the model knows, and everything else is refused in one line."""

import io
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from scipy import ndimage

from digits.commands.predict import pictures
from digits.common.errors import UserError
from digits.common.types import Pixels
from digits.data import idx
from helpers.photos import CASES, EDGES, encode, make_crop, make_photo
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
def read_back(mnist: Pixels) -> list[Pixels]:
    """The first training images, black on white, as pictures."""
    return [seen(encode(255 - image)) for image in mnist]


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


@pytest.mark.slow
def test_image_of_mnist_stays_as_it_is(mnist: Pixels, read_back: list[Pixels]) -> None:
    """None is taken for two digits, broken strokes included."""
    likenesses = [likeness(read, image) for read, image in zip(read_back, mnist, strict=True)]
    assert np.median(likenesses) > 0.97
    assert min(likenesses) > 0.5  # by a pixel off the centre


def test_image_of_mnist_keeps_its_shades(mnist: Pixels, read_back: list[Pixels]) -> None:
    """Strokes are about as wide and as dark as in training."""
    shares = [read.mean() / image.mean() for read, image in zip(read_back, mnist, strict=True)]
    assert np.median(shares) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("is_light", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("margin", [0, 0.05, 0.2])
def test_digit_may_fill_its_picture(mnist: Pixels, margin: float, *, is_light: bool) -> None:
    narrowest = mnist[mnist.any(axis=1).sum(axis=1).argsort()[:5]]  # ones, which are mostly ink
    images = np.concatenate([narrowest, mnist[:5]])
    likenesses = [likeness(seen(make_crop(image, margin, is_light=is_light)), image) for image in images]
    assert np.median(likenesses) > 0.9
    assert min(likenesses) > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("edge", ["", *EDGES])
def test_photos_show_the_digit_that_they_were_made_of(mnist: Pixels, edge: str) -> None:
    likenesses = list[float]()
    for number, image in enumerate(mnist[:25]):
        with suppress(UserError):
            photo = make_photo(image, np.random.default_rng([number, len(edge)]), edge)
            likenesses.append(likeness(seen(photo), image))
    assert len(likenesses) >= 23
    assert np.median(likenesses) > 0.88
    assert np.quantile(likenesses, 0.05) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("edge", ["", *EDGES])
def test_photos_without_a_digit_are_refused(edge: str) -> None:
    refused = 0
    for number in range(25):
        blank = make_photo(np.zeros((28, 28), np.uint8), np.random.default_rng([number, len(edge)]), edge)
        with suppress(UserError):
            pictures.read(blank)
            continue
        refused += 1
    assert refused >= 24


def test_light_ink_on_dark_is_the_same(seven: Pixels) -> None:
    assert likeness(seen(encode(255 - np.asarray(drawing()))), seven) > 0.99


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_kind_of_png_is_read(mode: str, seven: Pixels) -> None:
    content = saved(drawing().convert(mode))
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.mode == mode
    assert likeness(seen(content), seven) > 0.99


def test_sixteen_bits_are_as_light_as_eight() -> None:
    values = np.asarray(drawing()) // 2 + 60
    content = saved(Image.fromarray(values.astype(np.uint16) * 257))
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.mode == "I;16"
    np.testing.assert_array_equal(pictures.read(content).grey, pictures.read(encode(values)).grey)


def test_sixteen_bits_may_have_a_transparent_shade() -> None:
    """A black digit, whose background is transparent and black, too."""
    values = np.where(np.asarray(drawing()) < 128, 0, 7).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", transparency=7)
    assert pictures.read(file.getvalue()).seen.max() > 200


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_read(mode: str, seven: Pixels) -> None:
    assert likeness(seen(saved(drawing().convert(mode), "JPEG")), seven) > 0.99


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_background_contrasts_with_the_ink(ink: int, seven: Pixels) -> None:
    opacity = 255 - np.asarray(drawing())
    colours = np.stack([np.full_like(opacity, ink)] * 3 + [opacity], axis=-1)
    assert likeness(seen(encode(colours)), seven) > 0.99


def test_transparent_frame_is_white_around_dark_ink(seven: Pixels) -> None:
    values = np.asarray(drawing().convert("RGBA")).copy()
    values[:20, :, 3] = values[-20:, :, 3] = 0
    assert likeness(seen(encode(values)), seven) > 0.99


def turned(orientation: int, kind: str) -> bytes:
    """The drawing as a camera stores it that was held so (EXIF 2.3, tag Orientation)."""
    stored = [(), (1,), (0, 1), (0,), "T", ("T", 0), ("T", 0, 1), ("T", 1)][orientation - 1]
    values = np.asarray(drawing())
    for step in stored:
        values = values.T if step == "T" else np.flip(values, int(step))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(values), kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_turned_as_the_camera_says(orientation: int, kind: str, seven: Pixels) -> None:
    if kind == "JPEG":  # Pillow's own way
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(turned(orientation, kind))))
        assert likeness(np.asarray(upright), np.asarray(drawing())) > 0.99
    assert likeness(seen(turned(orientation, kind)), seven) > 0.99


@pytest.mark.parametrize("name", ["exif_signed_resolution", "exif_width_as_text"])
def test_metadata_that_cannot_be_written_does_no_harm(name: str) -> None:
    """Its orientation, 6, is read."""
    content = (CASES / f"{name}.jpg").read_bytes()
    upright = Image.open(io.BytesIO(content)).transpose(Image.Transpose.ROTATE_270)
    np.testing.assert_array_equal(seen(content), seen(saved(upright)))


def test_any_error_of_a_decoder_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise struct.error("argument out of range")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    with pytest.raises(UserError, match=r"^is a damaged picture \(argument out of range\)$"):
        pictures.read(saved(drawing()))


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


@pytest.mark.parametrize(("gap", "is_part"), [(10, True), (90, False)])
def test_near_piece_belongs_to_the_digit(gap: int, seven: Pixels, *, is_part: bool) -> None:
    """A bar below the 7: of a stroke that is torn, or dirt."""
    picture = drawing(size=(200, 300))
    ImageDraw.Draw(picture).rectangle((80, 160 + gap, 120, 170 + gap), fill=0)
    assert (likeness(seen(saved(picture)), seven) < 0.97) == is_part


def test_faint_end_of_a_stroke_is_kept(seven: Pixels) -> None:
    values = np.asarray(drawing()).astype(int)
    values[100:] = 255 - (255 - values[100:]) * 42 // 100
    assert likeness(seen(encode(values.astype(np.uint8))), seven) > 0.8


@pytest.mark.parametrize("skip", [4, 8])
def test_pen_may_skip(skip: int, seven: Pixels) -> None:
    values = np.asarray(drawing()).copy()
    values[100 : 100 + skip] = 255
    assert likeness(seen(encode(values)), seven) > 0.9


@pytest.mark.parametrize("shade", [0, 90])
def test_strip_beside_the_paper_is_left_out(shade: int, seven: Pixels) -> None:
    values = np.pad(np.asarray(drawing()), ((0, 0), (14, 0)), constant_values=shade)
    assert likeness(seen(encode(values)), seven) > 0.98


def test_foot_of_another_digit_alone_is_no_digit() -> None:
    with pytest.raises(UserError, match=r"^shows no digit: nothing stands out"):
        pictures.read(saved(drawing([(100, -20), (90, 22)])))


def test_ruled_line_is_left_out(seven: Pixels) -> None:
    """It touches the foot of the digit."""
    values = np.asarray(drawing()).copy()
    values[158:162] = 60
    assert likeness(seen(encode(values)), seven) > 0.95


@pytest.mark.parametrize(("ink", "is_seen"), [(0.12, True), (0.05, False)])
def test_faint_ink_is_ink_and_a_stain_is_not(ink: float, seven: Pixels, *, is_seen: bool) -> None:
    content = encode((200 - ink * (255 - np.asarray(drawing()))).astype(np.uint8))
    if is_seen:
        assert likeness(seen(content), seven) > 0.98
    else:
        with pytest.raises(UserError, match=r"^shows no digit: nothing stands out"):
            pictures.read(content)


def test_smaller_second_digit_is_refused() -> None:
    first, second = [(60, 50), (140, 50), (90, 160)], [(190, 50), (240, 50), (215, 130)]
    with pytest.raises(UserError, match=r"^shows 2 digits; keep one of them$"):
        pictures.read(saved(drawing(first, second, size=(300, 240))))


def test_thin_strokes_are_widened(seven: Pixels) -> None:
    """A pen of 3 pixels in 1600."""
    stroke = [(8 * x, 8 * y) for x, y in SEVEN]
    thin = seen(saved(drawing(stroke, size=(1600, 1600), width=5)))
    assert thin.sum() > 0.5 * seven.sum()
    assert likeness(ndimage.gaussian_filter(thin, 1.0), ndimage.gaussian_filter(seven, 1.0)) > 0.8


def noise(paper: float, deviation: float = 8, shape: tuple[int, int] = (300, 400)) -> bytes:
    values = np.random.default_rng(0).normal(paper, deviation, size=shape)
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
        noise(130, 40, (40, 50)),
    ],
    ids=["white", "black", "transparent", "shaded", "noisy", "dark and noisy", "grainy"],
)
def test_blank_has_no_digit(content: bytes) -> None:
    with pytest.raises(UserError, match=r"^shows no digit: nothing stands out from the background$"):
        pictures.read(content)


@pytest.mark.parametrize("size", [(200, 200), (280, 280)], ids=["of few pixels", "small beside the page"])
def test_speck_is_no_digit(size: tuple[int, int]) -> None:
    end = 101 + size[0] // 50
    with pytest.raises(UserError, match=r"^shows no digit: what stands out from the background is too small$"):
        pictures.read(saved(drawing([(100, 100), (end, end)], size=size, width=size[0] // 50)))


@pytest.mark.parametrize("offset", [(110, 0), (0, 160)], ids=["beside", "below"])
@pytest.mark.parametrize("count", [2, 3])
def test_several_digits_are_refused(offset: tuple[int, int], count: int) -> None:
    strokes = [[(x + number * offset[0], y + number * offset[1]) for x, y in SEVEN] for number in range(count)]
    with pytest.raises(UserError, match=f"^shows {count} digits; keep one of them$"):
        pictures.read(saved(drawing(*strokes, size=(500, 600))))


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


@pytest.mark.parametrize(("width", "limit", "most"), [(13_000, 100_000_000, 100), (1_001, 1_000_000, 1)])
def test_larger_picture_is_refused(width: int, limit: int, most: int) -> None:
    """Before it is decoded: the file ends after its header."""
    content = saved(Image.new("1", (width, limit // width + 1)), compress_level=1)[:60]
    with pytest.raises(UserError, match=f"^has too many pixels; at most {most} million are read$"):
        pictures.read(content, limit)


def test_picture_that_pillow_takes_for_a_bomb_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UserError, match=r"^has too many pixels; at most 100 million are read$"):
        pictures.read(saved(drawing()))


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
