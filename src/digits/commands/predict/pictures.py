"""Convert a photo, scan or drawing of a digit to MNIST's format: white on black, 28 x 28.

MNIST's authors scaled each digit to fit a box of 20 x 20 pixels, and moved its centre of mass to the centre of 28 x 28
(http://yann.lecun.com/exdb/mnist). Here, the digit is found on its paper first.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from scipy import ndimage

from digits.commands.predict import ink
from digits.commands.predict.ink import WORKING_SIDE, Grey
from digits.common.errors import UserError
from digits.common.types import IMAGE_SIDE, Pixels

MAX_PIXELS = 100_000_000  # 10,000 x 10,000; they take up to 1.2 GB of memory
BOX = 20  # pixels; of the digit's longer side, as in MNIST
SMALLEST = 8  # pixels; of a picture's sides, and of a digit's longer side
SMALLEST_SHARE = 0.06  # of the picture's longer side; a smaller digit is dirt
FAINTEST = 0.15  # ink; less is paper
STROKE = 2.0  # pixels of the box; thinner strokes are widened to what is usual in MNIST

UPRIGHT = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A picture of one digit."""

    grey: Grey  # as it was read, upright, at most 280 pixels high and wide
    seen: Pixels  # as the model sees it, uint8 (28, 28)


def read(content: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in the bytes of a PNG or JPEG file.

    Transparent pixels show a background: black behind light ink, otherwise white.

    Raises:
        UserError: it is not such a file, damaged, too small or too large, or it does not show one digit. The message
            begins with the error, as in "shows no digit".
    """
    grey = _decode(content, max_pixels)
    return Picture(grey, _prepare(grey))


def _decode(content: bytes, max_pixels: int) -> Grey:
    with warnings.catch_warnings(action="ignore"):  # Pillow warns of many pixels and of damaged metadata
        try:
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
                _check_size(picture.size, max_pixels)
                return _grey(picture)
        except UserError:
            raise
        except UnidentifiedImageError as error:
            raise UserError("is neither a PNG nor a JPEG picture") from error
        except Image.DecompressionBombError as error:
            raise UserError(_too_large(max_pixels)) from error
        except Exception as error:
            raise UserError(f"is a damaged picture ({error})") from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if min(size) < SMALLEST:
        raise UserError(f"has {width} x {height} pixels; a digit needs at least {SMALLEST} x {SMALLEST}")
    if width * height > max_pixels:
        raise UserError(_too_large(max_pixels))


def _too_large(max_pixels: int) -> str:
    return f"has too many pixels; at most {max_pixels / 1e6:.0f} million are read"


def _grey(picture: Image.Image) -> Grey:
    picture.draft("L", (2 * WORKING_SIDE, 2 * WORKING_SIDE))  # a large JPEG is decoded at a fraction of its size
    picture.load()
    orientation = picture.getexif().get(ExifTags.Base.Orientation)
    if picture.mode.startswith("I"):  # 16 bits
        picture = _eight_bits(picture)
    if picture.has_transparency_data:
        picture = picture.convert("LA")
    elif picture.mode != "L":
        picture = picture.convert("L")
    picture.thumbnail((WORKING_SIDE, WORKING_SIDE), reducing_gap=2)
    if orientation in UPRIGHT:
        picture = picture.transpose(UPRIGHT[orientation])
    values = np.asarray(picture).astype(np.float32) / np.float32(255)
    return _on_background(values[..., 0], values[..., 1]) if picture.mode == "LA" else values


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits with 8, and with the shade that it has for transparent pixels, if any."""
    values = np.asarray(picture).astype(np.uint16)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" not in picture.info:
        return grey
    opacity = np.where(values == picture.info["transparency"], 0, 255).astype(np.uint8)
    return Image.merge("LA", (grey, Image.fromarray(opacity)))


def _on_background(ink: Grey, opacity: Grey) -> Grey:
    is_light = (ink * opacity).sum() > 0.5 * opacity.sum()
    background = 0.0 if is_light and opacity.mean() < 0.5 else 1.0
    return opacity * ink + (1 - opacity) * np.float32(background)


def _prepare(picture: Grey) -> Pixels:
    amount, digit = ink.find_digit(picture)
    full = np.quantile(amount[digit], 0.75)
    amount = np.clip((amount - FAINTEST) / (full - FAINTEST), 0, 1)
    amount = np.where(ndimage.binary_dilation(digit, ink.NEIGHBOURS), amount, 0)  # with the soft edges of strokes
    cut = amount[ink.extent(amount > FAINTEST)].astype(np.float32)
    if max(cut.shape) < max(SMALLEST, SMALLEST_SHARE * max(picture.shape)):
        raise UserError("shows no digit: what stands out from the background is too small")
    return _centred(_scaled(_widened(cut)))


def _widened(digit: Grey) -> Grey:
    """Strokes that would be thinner than `STROKE` in the box are widened to it."""
    distances = ndimage.distance_transform_edt(np.pad(digit > 0.5, 1))
    width = 4 * float(distances[distances > 0].mean()) - 1  # a straight stroke is four mean distances wide
    missing = round(STROKE * max(digit.shape) / BOX - width)
    if missing < 1:
        return digit
    return np.asarray(ndimage.grey_dilation(np.pad(digit, missing), missing + 1), dtype=np.float32)


def _scaled(digit: Grey) -> Grey:
    """The digit with its longer side at 20 pixels, its aspect kept."""
    height, width = digit.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BOX), dtype=np.float32)
    return np.clip(scaled, 0, 1)


def _centred(digit: Grey) -> Pixels:
    """The digit with its centre of mass at the centre of 28 x 28, or as near as fits."""
    canvas = np.zeros((IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
    centre = ndimage.center_of_mass(digit)
    top, left = (
        int(np.clip(round(IMAGE_SIDE / 2 - middle), 0, IMAGE_SIDE - side))
        for middle, side in zip(centre, digit.shape, strict=True)
    )
    canvas[top : top + digit.shape[0], left : left + digit.shape[1]] = np.round(255 * digit)
    return canvas
