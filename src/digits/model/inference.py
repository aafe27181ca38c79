"""Probabilities from a model."""

import keras
import numpy as np

from digits.common.types import Images, Pixels, Probabilities


def predict(model: keras.Model, images: Images | Pixels, batch_size: int = 1000) -> Probabilities:
    """Probabilities, float32 (n, 10), of images (n, 28, 28) of any type: raw pixels for a saved model."""
    batches = (images[i : i + batch_size].astype(np.float32) for i in range(0, len(images), batch_size))
    return np.concatenate([model(batch, training=False) for batch in batches])
