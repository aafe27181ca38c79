"""What the contestants share: the task that the command line names, and how they tell what came of it."""

import gc
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """The recipe that everyone follows, on the same images.

    Attributes:
        data: an .npz with `x_train` and `x_test`, float32 (n, 28, 28), and `y_train` and `y_test`, uint8 (n,).
        hidden: units of each hidden layer.
        learning_rate: of Adam.
        batch_size: images a step.
        epochs: passes over the training images.
        threads: how many compute one operation, where the contestant lets one choose.
        seed: of weights and order.
    """

    data: str
    hidden: list[int]
    learning_rate: float
    batch_size: int
    epochs: int
    threads: int
    seed: int

    @classmethod
    def given(cls) -> "Task":
        """The task that the first argument describes, as JSON. Nobody searches for garbage, as the stages do not."""
        gc.disable()
        return cls(**json.loads(sys.argv[1]))

    def arrays(self, *names: str) -> list[NDArray[np.generic]]:
        """Arrays of the data by name."""
        with np.load(Path(self.data)) as data:
            return [data[name] for name in names]


class Watch:
    """Notes when epochs end, in seconds since it was made."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self._started = time.perf_counter()

    def epoch_ends(self) -> None:
        """Note now."""
        self.ends.append(time.perf_counter() - self._started)

    def report(self, accuracy: float | None = None) -> None:
        """Tell the ends of the epochs, and the test accuracy (0..1), on the last line of stdout."""
        print("\n" + json.dumps({"ends": self.ends, "accuracy": accuracy}))
