"""Checkpoints, so that an interrupted training run resumes after its last completed epoch."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from digits.common import files, paths, run_record

SOURCE = Path(__file__).parents[1]
PACKAGES = ("common", "model", "training")  # with the stage's script, all code that a training run depends on


@dataclass(frozen=True)
class Checkpoint:
    """One file with the state of one training run."""

    path: Path

    @classmethod
    def for_run(cls, params: Mapping[str, Any], data: Path, script: Path) -> "Checkpoint":
        """The checkpoint of exactly these params, data and code, on this type of CPU.

        Its name covers the params, the data, the script, the packages that compute, the library versions and the CPU.
        """
        code = [script, *(path for package in PACKAGES for path in sorted((SOURCE / package).rglob("*.py")))]
        digests = [(path.name, files.sha256(path)) for path in code]
        environment = [run_record.versions(), run_record.cpu()]
        identity = json.dumps([params, files.sha256(data), digests, environment], sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return cls(paths.state_dir() / "checkpoints" / f"{digest}.npz")

    def save(self, variables: Sequence[keras.Variable], history: Sequence[Mapping[str, float]]) -> None:
        """Replace what was saved before by the variables of network and optimizer, and the rows so far."""
        arrays = {f"variable_{number}": variable.numpy() for number, variable in enumerate(variables)}
        files.write_arrays(self.path, history=np.array(json.dumps(history)), **arrays)

    def restore(self, variables: Sequence[keras.Variable]) -> list[dict[str, float]]:
        """Set the variables to what was saved last, and return the rows until then.

        There are none without a file, or if it is damaged; then a line says why.
        """
        if not self.path.exists():
            return []
        try:
            with self.path.open("rb") as file, np.load(file) as archive:
                history = json.loads(str(archive["history"]))
                values = [archive[f"variable_{number}"] for number in range(len(variables))]
        except files.DAMAGED_NPZ as error:
            tqdm.write(f"Ignoring checkpoint {self.path}: it cannot be read ({error})")
            return []
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return list(history)

    def remove(self) -> None:
        """Delete this checkpoint, and any that is older than a week."""
        self.path.unlink(missing_ok=True)
        for path in self.path.parent.glob("*.npz"):
            if time.time() - path.stat().st_mtime > run_record.ABANDONED_AFTER:
                path.unlink()
