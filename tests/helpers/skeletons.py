"""The ten digits as strokes: lists of points, which are fractions of a square's side, 0 at the top and the left."""

import math

Stroke = list[tuple[float, float]]


def _arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Stroke:
    """Part of an ellipse around (x, y), in degrees, clockwise from the right."""
    angles = [math.radians(start + (end - start) * step / 12) for step in range(13)]
    return [(x + width * math.cos(angle), y + height * math.sin(angle)) for angle in angles]


DIGITS: list[list[Stroke]] = [
    [_arc(0.5, 0.5, 0.33, 0.5, -90, 270)],
    [[(0.35, 0.2), (0.55, 0), (0.55, 1)]],
    [[*_arc(0.5, 0.27, 0.33, 0.27, 180, 380), (0.17, 1), (0.85, 1)]],
    [[*_arc(0.45, 0.26, 0.32, 0.26, 200, 440), *_arc(0.45, 0.73, 0.36, 0.27, -80, 155)]],
    [[(0.6, 0), (0.1, 0.65), (0.9, 0.65)], [(0.65, 0.35), (0.65, 1)]],
    [[(0.8, 0), (0.25, 0), (0.2, 0.45), *_arc(0.45, 0.7, 0.36, 0.3, -110, 150)]],
    [[(0.7, 0), (0.35, 0.3), *_arc(0.5, 0.7, 0.32, 0.3, -160, 200)]],
    [[(0.12, 0), (0.88, 0), (0.4, 1)]],
    [[*_arc(0.5, 0.25, 0.27, 0.25, 90, -270), *_arc(0.5, 0.75, 0.33, 0.25, -90, 270)]],
    [[*_arc(0.47, 0.27, 0.3, 0.27, 0, 360), (0.77, 0.27), (0.65, 1)]],
]


def placed(digit: int, size: float, left: float, top: float) -> list[Stroke]:
    """A digit's strokes in a square of this size, at this place of a paper with side 1."""
    return [[(left + size * x, top + size * y) for x, y in stroke] for stroke in DIGITS[digit]]
