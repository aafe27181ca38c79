"""Training images as a recipe augments them."""

import numpy as np

from digits.common.types import Images, Pixels
from digits.params import Augmentation
from digits.training.augmentation import sample_warps, warp

VARIANTS = 9


def examples(augmentation: Augmentation, images: Pixels) -> Images:
    """Each image (n, 28, 28) as it is, then augmented nine times: float32 (n, 10, 28, 28), 0..1."""
    scaled = images.astype(np.float32) / 255
    warps = sample_warps(augmentation, (VARIANTS, len(images)), seed=(0,))
    warped = [warp(scaled, variant).numpy() for variant in warps]
    return np.stack([scaled, *warped], axis=1)
