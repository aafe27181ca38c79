"""Probabilities from a model."""

import keras
import numpy as np

from digits.common.types import Images, Pixels, Probabilities


def predict(model: keras.Model, images: Images | Pixels, batch_size: int = 1000) -> Probabilities:
    """Probabilities, float32 (n, 10), of images (n, 28, 28) of any type: raw pixels for a saved model."""
    starts = range(0, len(images), batch_size)
    batches = (images[start : start + batch_size].astype(np.float32) for start in starts)
    return np.concatenate([model(batch, training=False) for batch in batches])
