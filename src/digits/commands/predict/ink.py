"""Find the digit in a picture: tell ink from paper, and the digit from dirt and from the surroundings of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digits.common.errors import UserError

Grey = NDArray[np.float32]  # (height, width), 0 is black and 1 white
Mask = NDArray[np.bool_]  # (height, width)
Box = tuple[slice, ...]  # rows and columns
Values = NDArray[np.floating[Any]]  # (pixels,)

WORKING_SIDE = 280  # pixels; larger pictures are made smaller first, which saves time and reduces noise
FIT_SIDE = 56  # pixels; light and shades are estimated on a smaller picture, which saves time and reduces noise
FEWEST = 20  # pixels of the smaller picture; fewer show nothing
WIDEST_STROKE = 0.25  # of the longer side; narrower shapes may be ink
CONTRAST = 0.08  # the least difference between ink and paper; black and white differ by 1
OVERLAP = 0.1  # the most variance within ink and paper, in squared differences; noise divided in two has 0.14
STROKE_EDGE = 0.35  # ink of a stroke's faint parts, if they touch more than 0.5
SPECK = 0.03  # of the largest piece's pixels; smaller pieces are dirt
FLUSH = 0.4  # of a piece's outline; with as much of it along the end of the page, it is no digit
INNER = 0.15  # of the longer side; a piece as large inside the page may be the digit
SMALL_AT_EDGE = 0.2  # of the longer side; a digit that touches the end of the page is larger
LINE = 0.05  # of a side; ruled lines are thinner
SECOND_DIGIT = 0.5  # of the digit's height; a piece as tall, and apart from it, is another digit
GAP = 0.08  # of the height; a tall piece that is farther away is apart from the digit
GAP_OF_BAR = 0.3  # of the height; a short piece above or below, such as the bar of a 5, may be farther away
NOTHING = "shows no digit: nothing stands out from the background"

NEIGHBOURS = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Piece:
    """Connected ink, or several pieces as one."""

    mask: Mask
    box: Box

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.mask.sum())

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.box[0].stop - self.box[0].start)

    @property
    def size(self) -> int:
        """The longer side of the box."""
        return int(max(side.stop - side.start for side in self.box))


def find_digit(picture: Grey) -> tuple[Grey, Mask]:
    """How much ink each pixel has, about 0..1, and the pixels of the digit.

    Surroundings of the page (a strip of table, a dark corner, the foot of another digit, a ruled line) are left out.
    The rest is then looked at again, because the surroundings have shades of their own.

    Raises:
        UserError: there is no digit, or there are several.
    """
    page = np.ones(picture.shape, np.bool_)
    for _ in range(4):
        ink = _find_ink(picture, page)
        pieces = _pieces(ink, page)
        surroundings = _surroundings(pieces, page)
        if not surroundings:
            break
        margin = max(2, max(page.shape) // 90)
        page = page & ~ndimage.binary_dilation(np.any(surroundings, axis=0), NEIGHBOURS, margin)
    return ink, _one_digit(pieces)


def extent(mask: Mask) -> Box:
    """The bounding box."""
    (box,) = ndimage.find_objects(mask.astype(np.int8))
    return tuple(box)


def _find_ink(picture: Grey, page: Mask) -> Grey:
    """0 is paper, 1 is ink. The end of the page is mostly paper, which tells dark ink from light."""
    light, contrast = _light_and_contrast(picture, page)
    ink = (picture - light) / contrast
    rim = page & ~ndimage.binary_erosion(page, NEIGHBOURS, max(1, max(page.shape) // 100))
    if np.clip(ink[rim], 0, 1).mean() > 0.5:
        ink = 1 - ink
    return np.asarray(ndimage.gaussian_filter(ink, max(0.5, max(page.shape) / WORKING_SIDE)), np.float32)


def _light_and_contrast(picture: Grey, page: Mask) -> tuple[Grey, float]:
    """One shade at each pixel, and the difference between it and the other.

    Light changes slowly across a page, so each shade is a quadratic surface, or a constant, and their difference is the
    same everywhere. Of several guesses of where the ink is, the one that divides the pixels best is kept.
    """
    height, width = picture.shape
    scale = max(1, max(picture.shape) / FIT_SIDE)
    size = max(8, round(width / scale)), max(8, round(height / scale))
    small, share = (
        np.asarray(Image.fromarray(full).resize(size, Image.Resampling.BOX))
        for full in (picture, page.astype(np.float32))
    )
    known = share > 0.99
    small = ndimage.gaussian_filter(small, 0.5)
    values, terms = small[known].astype(np.float64), _terms(small.shape)[known]
    if values.size < FEWEST:
        raise UserError(NOTHING)
    uneven = values - terms @ _solve(terms, values)
    best, overlap = None, OVERLAP
    for guess in (values, uneven, *_without_paper(small, known)):
        for count in (1, 6):  # a constant; a surface
            light, contrast, error = _fit(values, terms[:, :count], guess > (guess.min() + guess.max()) / 2)
            if abs(contrast) >= CONTRAST and error < overlap * contrast**2 and error < uneven.var():
                best, overlap = (light, contrast), error / contrast**2
    if not best:
        raise UserError(NOTHING)
    light, contrast = best
    return (_terms(picture.shape)[..., : light.size] @ light).astype(np.float32), contrast


def _terms(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The six terms of a quadratic surface at each pixel; the constant is the first."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _without_paper(picture: Grey, known: Mask) -> list[Values]:
    """How far pixels are from the light, and from the dark, that is within a stroke's width: closing and opening."""
    side = max(3, round(WIDEST_STROKE * max(picture.shape)))
    filled = np.where(known, picture, np.median(picture[known]))
    closed = ndimage.minimum_filter(ndimage.maximum_filter(filled, side), side)
    opened = ndimage.maximum_filter(ndimage.minimum_filter(filled, side), side)
    return [(filled - paper)[known] for paper in (closed, opened)]


def _fit(values: Values, terms: NDArray[np.float64], is_other: Mask) -> tuple[Values, float, float]:
    """Light, contrast and mean squared error of two shades, by least squares, from a guess of where the other one is.

    The error is that of the nearer shade. This is one step of Ridler and Calvard, "Picture Thresholding Using an
    Iterative Selection Method", IEEE Transactions on Systems, Man, and Cybernetics, 1978, in uneven light.
    """
    solution = _solve(np.column_stack([terms, is_other]), values)
    light, contrast = solution[:-1], float(solution[-1])
    difference = values - terms @ light
    return light, contrast, float(np.minimum(difference**2, (difference - contrast) ** 2).mean())


def _solve(columns: NDArray[np.float64], values: Values) -> Values:
    """Least squares, by the normal equations: the columns are few, so this is fast."""
    solution, *_ = np.linalg.lstsq(columns.T @ columns, columns.T @ values, rcond=None)
    return solution


def _pieces(ink: Grey, page: Mask) -> list[Piece]:
    """The connected pieces of ink, but for specks; the largest is the first."""
    mask = ndimage.binary_propagation((ink > 0.5) & page, NEIGHBOURS, (ink > STROKE_EDGE) & page)
    labels, count = ndimage.label(mask, NEIGHBOURS)
    if not count:
        raise UserError(NOTHING)
    boxes = ndimage.find_objects(labels)
    areas = ndimage.sum_labels(mask, labels, range(1, count + 1))
    order = np.argsort(-areas, kind="stable")
    return [Piece(labels == 1 + i, boxes[i]) for i in order if areas[i] >= SPECK * areas.max()]


def _surroundings(pieces: Sequence[Piece], page: Mask) -> list[Mask]:
    """The pieces, or parts of them, that touch the end of the page and are not the digit."""
    rim = page & ~ndimage.binary_erosion(page, NEIGHBOURS)
    side = max(page.shape)
    contacts = [int((piece.mask & rim).sum()) for piece in pieces]
    inside = [piece for piece, contact in zip(pieces, contacts, strict=True) if not contact]
    inner = max((piece.area for piece in inside if piece.size > INNER * side), default=0)
    found = []
    for piece, contact in zip(pieces, contacts, strict=True):
        if not contact:
            continue
        outline = piece.mask & ~ndimage.binary_erosion(piece.mask)
        is_across = any(end.stop - end.start == whole for end, whole in zip(piece.box, page.shape, strict=True))
        is_flush = contact > FLUSH * outline.sum() and (inner or not is_across or piece.mask.mean() < 0.25)
        is_line = inner and piece.area < 0.6 * LINE * side * piece.size
        if is_flush or is_line or piece.area < inner / 2 or piece.size < SMALL_AT_EDGE * side:
            found.append(piece.mask)
        elif (line := _ruled_line(piece.mask)).any():
            found.append(line)
    return found


def _ruled_line(piece: Mask) -> Mask:
    """The part of a piece that is a straight line from one side of the picture to the other."""
    for axis in (0, 1):
        thickness = piece.sum(axis)
        is_thin = (thickness > 0) & (thickness < LINE * piece.shape[axis])
        if thickness[0] and thickness[-1] and thickness.astype(bool).mean() > 0.95 and is_thin.mean() > 0.5:
            along, across = np.arange(piece.shape[1 - axis]), np.expand_dims(np.arange(piece.shape[axis]), 1 - axis)
            middle = (piece * across).sum(axis)[is_thin] / thickness[is_thin]
            slope, start = np.polyfit(along[is_thin], middle, 1)
            distance = np.abs(across - np.expand_dims(start + slope * along, axis))
            return np.asarray(piece & (distance <= 1 + np.median(thickness[is_thin]) / 2))
    return np.zeros_like(piece)


def _one_digit(pieces: list[Piece]) -> Mask:
    """The largest group of pieces; another one is dirt, unless it is nearly as tall."""
    digit, *others = sorted(_grouped(pieces), key=lambda group: -group.area)
    second = sum(other.height >= SECOND_DIGIT * digit.height for other in others)
    if second:
        raise UserError(f"shows {1 + second} digits; keep one of them")
    if sum(dirt.area for dirt in others) > digit.area:
        raise UserError(NOTHING)
    return digit.mask


def _grouped(pieces: list[Piece]) -> list[Piece]:
    """Pieces that are near each other as one: strokes need not touch, and a pen may skip."""
    for one, other in combinations(pieces, 2):
        if _is_near(one, other):
            mask = one.mask | other.mask
            rest = [piece for piece in pieces if piece is not one and piece is not other]
            return _grouped([Piece(mask, extent(mask)), *rest])
    return pieces


def _is_near(one: Piece, other: Piece) -> bool:
    """Numbers are written from left to right, so pieces above one another are rather one torn digit."""
    low, high = sorted((one.height, other.height))
    below, beside = (max(a.start, b.start) - min(a.stop, b.stop) for a, b in zip(one.box, other.box, strict=True))
    share = GAP if low >= SECOND_DIGIT * high else GAP_OF_BAR
    return bool(beside <= max(1, GAP * high) and below <= max(1, share * (high + low)))
