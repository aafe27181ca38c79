"""What the baselines share: the task, given as JSON in the first argument, and the times of the epochs."""

import gc
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """The recipe that every baseline follows, on the same images.

    Attributes:
        data: an .npz with `x_train` and `x_test`, float32 (n, 28, 28), and `y_train` and `y_test`, uint8 (n,).
        hidden: units of each hidden layer.
        learning_rate: of Adam.
        batch_size: images per step.
        epochs: passes over the training images.
        threads: that compute one operation, where the baseline offers a choice.
        seed: of the weights and the order.
    """

    data: str
    hidden: list[int]
    learning_rate: float
    batch_size: int
    epochs: int
    threads: int
    seed: int

    @classmethod
    def from_argv(cls) -> "Task":
        """The task in the first argument. Garbage collection is off from here on, for every baseline."""
        gc.disable()
        return cls(**json.loads(sys.argv[1]))

    def arrays(self, *names: str) -> list[NDArray[Any]]:
        """Arrays of the data by name."""
        with np.load(Path(self.data)) as data:
            return [data[name] for name in names]


class EpochTimer:
    """The times at which epochs end, in seconds since the timer was made."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self._started = time.perf_counter()

    def end_epoch(self) -> None:
        """Record the end of an epoch."""
        self.ends.append(time.perf_counter() - self._started)

    def report(self, accuracy: float | None = None) -> None:
        """Print the ends of the epochs and the test accuracy (0..1) as the last line of stdout."""
        print("\n" + json.dumps({"ends": self.ends, "accuracy": accuracy}))
