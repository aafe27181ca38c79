"""Shared by the baselines: the task, given as JSON in the first argument, and the times of the epochs."""

import gc
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """The recipe that every baseline follows, on the same images.

    Attributes:
        data: an .npz with `x_train` and `x_test`, float32 (n, 28, 28), and `y_train` and `y_test`, uint8 (n,).
        recipe: of params.yaml, with its values as attributes.
        threads: of the library, where it lets them be set.
        seed: of the weights and the order.
    """

    data: str
    recipe: SimpleNamespace
    threads: int
    seed: int

    @classmethod
    def from_argv(cls) -> "Task":
        """The task in the first argument. Garbage collection is off from here on, for every baseline."""
        gc.disable()
        arguments = json.loads(sys.argv[1])
        return cls(**arguments | {"recipe": SimpleNamespace(**arguments["recipe"])})

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
