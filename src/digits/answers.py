"""What a saved model answers: the part of evaluate that needs TensorFlow, for a process of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits import artifacts, backend


def of_model(model: Path, data: Path) -> tuple[NDArray[np.float32], int]:
    """Start TensorFlow, and ask the trained network inside `model`.

    Args:
        model: what `digits.models.save` wrote.
        data: normalized.npz, whose test images are asked about.

    Returns:
        The probabilities, float32 (n, 10), and the number of the network's parameters.
    """
    backend.start(threads=1)
    from digits import models  # which imports Keras: once TensorFlow is set

    network = models.network_of(models.load(model))
    probabilities = models.probabilities(network, artifacts.map_arrays(data)["x_test"])
    return probabilities, network.count_params()
