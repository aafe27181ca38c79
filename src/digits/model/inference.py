"""Batched inference."""

import keras
import numpy as np
from numpy.typing import NDArray

from digits.common.types import CLASSES, Images, Pixels


def predict(model: keras.Model, images: Images | Pixels, batch_size: int = 1000) -> NDArray[np.float32]:
    """The output, float32 (n, 10), for images (n, 28, 28) of any type.

    A saved model takes raw pixels and returns probabilities, its network takes normalized images and returns logits.
    """
    batches = (images[i : i + batch_size].astype(np.float32) for i in range(0, len(images), batch_size))
    outputs = [model(batch, training=False) for batch in batches]
    return np.concatenate([np.empty((0, CLASSES), np.float32), *outputs])
