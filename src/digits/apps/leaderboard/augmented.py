"""Training images as a recipe augments them."""

import numpy as np

from digits.apps.leaderboard.robustness import THREADS
from digits.common.types import Images, Pixels
from digits.model import tensorflow_setup
from digits.params import Augmentation

TIMES = 9


def examples(augmentation: Augmentation, images: Pixels) -> Images:
    """Each image (n, 28, 28) as it is, then augmented nine times: float32 (n, 10, 28, 28), 0..1."""
    tensorflow_setup.configure(THREADS)
    from digits.training.augmentation import draw, warp

    scaled = images.astype(np.float32) / 255
    affine, knots = draw(augmentation, (TIMES, len(images)), seed=(0,))
    warped = [warp(scaled, *drawn).numpy() for drawn in zip(affine, knots, strict=True)]
    return np.stack([scaled, *warped], axis=1)
