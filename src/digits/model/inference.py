"""Probabilities from a model."""

import keras
import numpy as np

from digits.common.types import Images, Pixels, Probabilities


def predict(model: keras.Model, images: Images | Pixels, batch_size: int = 1000) -> Probabilities:
    """The probabilities that `model` gives to `images`.

    Args:
        model: takes float32 (n, 28, 28) and returns (n, 10).
        images: (n, 28, 28) of any type; raw pixels for a saved model.
        batch_size: images per call.

    Returns:
        float32 (n, 10).
    """
    starts = range(0, len(images), batch_size)
    batches = (images[start : start + batch_size].astype(np.float32) for start in starts)
    return np.concatenate([model(batch, training=False) for batch in batches])
