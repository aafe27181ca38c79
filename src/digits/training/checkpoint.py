"""Checkpoints, so that an interrupted training run resumes after its last completed epoch."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from digits.common import files, paths, run_record

SOURCE = Path(__file__).parents[1]
PACKAGES = ("common", "model", "training")  # with the stage's script, all code that computes


@dataclass(frozen=True)
class Checkpoint:
    """One file with the state of one training run."""

    path: Path

    @classmethod
    def for_run(cls, params: Mapping[str, Any], data: Path, script: Path) -> "Checkpoint":
        """The checkpoint of exactly these params, data and code.

        The code is the stage's script, all that it calls, and the libraries' versions.
        """
        code = [script, *(path for package in PACKAGES for path in sorted((SOURCE / package).rglob("*.py")))]
        digests = [(path.name, files.sha256(path)) for path in code]
        identity = json.dumps([params, files.sha256(data), digests, run_record.versions()], sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return cls(paths.state_dir() / "checkpoints" / f"{digest}.npz")

    def save(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace what was saved before."""
        files.write_arrays(self.path, **arrays)

    def load(self) -> dict[str, NDArray[Any]] | None:
        """The arrays that were saved last, or None, with a line that says why if the file is damaged."""
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as file, np.load(file) as archive:
                return dict(archive)
        except files.DAMAGED_NPZ as error:
            tqdm.write(f"Ignoring checkpoint {self.path}: it cannot be read ({error})")
            return None

    def remove(self) -> None:
        """Delete this checkpoint, and those that other runs abandoned a week ago."""
        self.path.unlink(missing_ok=True)
        for path in self.path.parent.glob("*.npz"):
            if time.time() - path.stat().st_mtime > 7 * 24 * 3600:
                path.unlink()
