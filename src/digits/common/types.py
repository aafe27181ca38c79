"""The shapes and array types that the packages exchange."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

IMAGE_SIDE = 28  # pixels
CLASSES = 10

Pixels = NDArray[np.uint8]  # raw images, (n, 28, 28), 0..255
Images = NDArray[np.float32]  # images as float32, (n, 28, 28): normalized, or raw pixels for a saved model
Labels = NDArray[np.uint8]  # classes, (n,), 0..9
Probabilities = NDArray[np.float32]  # (n, 10), rows sum to 1
Classifier = Callable[[Pixels], Probabilities]
