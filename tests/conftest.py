"""What the tests share: a backend that is started once, and images made here."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from clones import STAGES, Clone, clone
from digits.idx import Bytes


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings() -> Iterator[None]:
    """No test publishes to the user's tracking server, or believes itself in the user's experiment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("MLFLOW_", "DVC_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def backend() -> None:
    """TensorFlow as the stages start it."""
    from digits import backend

    backend.start(threads=1)


@pytest.fixture
def pixels() -> Bytes:
    """Raw images, uint8 (64, 28, 28), with columns of zeros among them."""
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    images[:, :, :4] = 0
    images[5] = 0
    return images


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which everything has run once; each test leaves its params as it found them."""
    made = clone(tmp_path_factory.mktemp("pipeline") / "digits")
    assert made.repro() == STAGES
    return made
