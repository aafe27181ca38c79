"""What a saved model answers: the part of evaluate that needs TensorFlow, for a process of its own."""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits import artifacts, backend
from digits.errors import InputError

Answers = tuple[NDArray[np.float32], int]


@contextmanager
def beside(model: Path, data: Path) -> Iterator[Future[Answers]]:
    """Run `of_model` in another process meanwhile.

    Raises:
        InputError: that process was killed.
    """
    try:
        with ProcessPoolExecutor(1) as other:
            yield other.submit(of_model, model, data)
    except BrokenProcessPool as error:
        raise InputError(
            "the process that asks the model was killed, perhaps for want of memory; run again: dvc repro"
        ) from error


def of_model(model: Path, data: Path) -> Answers:
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
