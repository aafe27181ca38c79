"""The server of `digits draw` in this process, with a classifier that stands for a model."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from digits.commands.draw import server
from digits.common.types import Classifier, Pixels, Probabilities
from helpers.servers import running


def by_width(images: Pixels) -> Probabilities:
    """Wide images are a 7, narrow ones a 1."""
    is_wide = images.any(axis=1).sum(axis=1) > 10
    rows = np.full((len(images), 10), 0.01, np.float32)
    rows[np.arange(len(images)), np.where(is_wide, 7, 1)] = 0.91
    return rows


@contextmanager
def serving(classify: Classifier, port: int = 0) -> Iterator[str]:
    """Serve the page until the block ends; gives the address."""
    with running(server.make_app(classify), port) as address:
        yield address
