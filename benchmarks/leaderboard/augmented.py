"""Training images as a recipe augments them."""

import numpy as np

from digits.common.types import Images, Pixels
from digits.params import Augmentation
from digits.training.augmentation import augment, sample
from digits.training.trainer import take

VARIANTS = 9


def examples(augmentation: Augmentation, images: Pixels) -> Images:
    """Each image (n, 28, 28) as it is, then augmented nine times: float32 (n, 10, 28, 28), 0..1."""
    scaled = images.astype(np.float32) / 255
    draws = sample(augmentation, (VARIANTS, len(images)), seed=(0,))
    variants = [augment(scaled, take(draws, i)).numpy() for i in range(VARIANTS)]
    return np.stack([scaled, *variants], axis=1)
