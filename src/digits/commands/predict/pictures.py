"""Convert a photo, scan or drawing of a digit to MNIST's format: white on black, 28 x 28.

MNIST's authors scaled each digit to fit a box of 20 x 20 pixels, and moved its centre of mass to the centre of 28 x 28
(http://yann.lecun.com/exdb/mnist). Here, the digit is found on its paper first.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from digits.common.errors import UserError
from digits.common.types import IMAGE_SIDE, Pixels

Grey = NDArray[np.float32]  # (height, width), 0 is black and 1 white
Mask = NDArray[np.bool_]  # (height, width)
Box = tuple[slice, slice]  # rows and columns

BOX = 20  # pixels; of the digit's longer side, as in MNIST
SMALLEST = 8  # pixels; of a picture's sides, and of a digit's longer side
WORKING_SIDE = 280  # pixels; larger pictures are made smaller first, which saves time and reduces noise
CONTRAST = 0.08  # the least difference between ink and paper; black and white differ by 1
NOISE = 6.0  # the least difference between ink and paper, in standard deviations of the paper
SPECK = 0.03  # share of the largest piece of ink; smaller pieces are dirt
SECOND_DIGIT = 0.5  # share of the tallest piece; a piece as tall, and apart from it, is another digit
GAP = 0.08  # a piece this far away (share of the tallest) is another digit
MAD_TO_SIGMA = 1.4826  # of a normal distribution
STROKE = 2.0  # pixels of the box; thinner strokes are widened to what is usual in MNIST


@dataclass(frozen=True)
class Picture:
    """A picture of one digit."""

    grey: Grey  # as it was read, upright, at most 280 pixels high and wide
    seen: Pixels  # as the model sees it, uint8 (28, 28)


def read(content: bytes) -> Picture:
    """The picture in the bytes of a PNG or JPEG file.

    Transparent pixels show a background: black behind light ink, otherwise white.

    Raises:
        UserError: it is not such a file, damaged, too small or too large, or it does not show one digit. The message
            begins with the error, as in "shows no digit".
    """
    grey = _decode(content)
    return Picture(grey, _prepare(grey))


def _decode(content: bytes) -> Grey:
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        try:
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
                return _grey(picture)
        except UnidentifiedImageError as error:
            raise UserError("is neither a PNG nor a JPEG picture") from error
        except Image.DecompressionBombError as error:
            limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
            raise UserError(f"has too many pixels; at most {limit:.0f} million are read") from error
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
            raise UserError(f"is a damaged picture ({error})") from error


def _grey(picture: Image.Image) -> Grey:
    if min(picture.size) < SMALLEST:
        width, height = picture.size
        raise UserError(f"has {width} x {height} pixels; a digit needs at least {SMALLEST} x {SMALLEST}")
    picture.draft("L", (2 * WORKING_SIDE, 2 * WORKING_SIDE))  # a large JPEG is decoded at a fraction of its size
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits
        picture = Image.fromarray((np.asarray(picture) / 257).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("LA")
    elif picture.mode != "L":
        picture = picture.convert("L")
    picture.thumbnail((WORKING_SIDE, WORKING_SIDE), reducing_gap=2)
    values = np.asarray(picture).astype(np.float32) / np.float32(255)
    return _on_background(values[..., 0], values[..., 1]) if picture.mode == "LA" else values


def _on_background(ink: Grey, opacity: Grey) -> Grey:
    is_light = (ink * opacity).sum() > 0.5 * opacity.sum()
    background = 0.0 if is_light and opacity.mean() < 0.5 else 1.0
    return opacity * ink + (1 - opacity) * np.float32(background)


def _prepare(picture: Grey) -> Pixels:
    ink, mask = _find_ink(picture)
    pieces, boxes = _pieces(mask)
    _check_single(boxes)
    (box,) = ndimage.find_objects(pieces.astype(np.int8))
    digit = np.where(pieces, ink, 0)[box]
    if max(digit.shape) < SMALLEST:
        raise UserError("shows no digit: what stands out from the background is too small")
    return _centred(_scaled(_widened(digit)))


def _find_ink(picture: Grey) -> tuple[Grey, Mask]:
    """How much ink there is at each pixel, 0..1, and where it is a digit's.

    The paper's shade is a quadratic surface, fitted to what is not ink; the ink is consistently darker, or lighter.
    """
    difference = picture - _paper(picture)
    deviation = MAD_TO_SIGMA * float(np.median(np.abs(difference)))
    if (difference**3).sum() < 0:  # most of what is far from the paper's shade is darker
        difference = -difference
    ink = np.clip(ndimage.gaussian_filter(difference, 0.5), 0, None)
    threshold = max(_otsu(ink), NOISE * deviation, CONTRAST)
    mask = ink > threshold
    if not mask.any():
        raise UserError("shows no digit: nothing stands out from the background")
    full = float(np.quantile(ink[mask], 0.75))
    low = threshold / 2
    return np.clip((ink - low) / (full - low), 0, 1), mask


def _paper(picture: Grey) -> Grey:
    """The shade of the paper at each pixel: least squares, three times, each time without the farthest pixels."""
    height, width = picture.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = picture.ravel().astype(np.float64)
    surface = np.full_like(values, np.median(values))
    for kept in (0.6, 0.7, 0.8):
        distance = np.abs(values - surface)
        is_paper = distance <= np.quantile(distance, kept)
        coefficients, *_ = np.linalg.lstsq(terms[is_paper], values[is_paper], rcond=None)
        surface = terms @ coefficients
    return surface.reshape(height, width).astype(np.float32)


def _otsu(values: Grey) -> float:
    """The threshold that divides values into the two most different groups.

    Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on Systems, Man, and Cybernetics,
    1979.
    """
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    above = counts.sum() - below
    means_below = sums / np.maximum(below, 1)
    means_above = ((counts * centres).sum() - sums) / np.maximum(above, 1)
    return float(edges[1 + (below * above * (means_below - means_above) ** 2).argmax()])


def _pieces(mask: Mask) -> tuple[Mask, list[Box]]:
    """The connected pieces of ink that are large enough to be a stroke, as a mask and as their bounding boxes."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(mask, labels, range(1, count + 1))
    kept = 1 + np.flatnonzero(sizes >= SPECK * sizes.max())
    boxes = ndimage.find_objects(labels)
    return np.isin(labels, kept), [boxes[label - 1] for label in kept]


def _check_single(boxes: list[Box]) -> None:
    """Pieces of one digit overlap, seen from above and from the side, or are small; another digit stands apart."""
    first = max(boxes, key=_height)
    tall = [box for box in boxes if _height(box) >= SECOND_DIGIT * _height(first)]
    apart = sum(_gap(box[axis], first[axis]) > GAP * _height(first) for box in tall for axis in (0, 1))
    if apart:
        raise UserError(f"shows {1 + apart} digits; keep one of them")


def _height(box: Box) -> int:
    return int(box[0].stop - box[0].start)


def _gap(one: slice, other: slice) -> int:
    """How far two intervals are apart; negative if they overlap."""
    return int(max(one.start, other.start) - min(one.stop, other.stop))


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
