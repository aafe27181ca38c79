"""What a killed training goes on from: its state after the last whole epoch, in one file beside DVC."""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from digits import artifacts, timings, workspace

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A place for the state of one training at a time.

    Attributes:
        path: the file.
        identity: of all that decides the training's result; another training's checkpoint is ignored.
    """

    path: Path
    identity: str

    def save(self, arrays: Arrays) -> None:
        """Keep `arrays` in place of what was kept before, whole or not at all."""
        artifacts.write_arrays(self.path, identity=np.array(self.identity), **arrays)

    def load(self) -> Arrays | None:
        """What the same training kept last; None, and a line that says why, if there is only something else."""
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as file, np.load(file) as kept:
                arrays = dict(kept)
        except (EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
            tqdm.write(f"the checkpoint {self.path} is ignored, it cannot be read: {error}")
            return None
        if str(arrays.pop("identity", "")) != self.identity:
            tqdm.write(f"the checkpoint {self.path} is ignored, it is of other params, data, code or versions")
            return None
        return arrays

    def remove(self) -> None:
        """Forget what was kept."""
        self.path.unlink(missing_ok=True)


def of_training(params: Mapping[str, Any], data: Path, code: Sequence[Path]) -> Checkpoint:
    """The checkpoint of the training that these decide; experiments that run side by side have one each.

    Args:
        params: what train reads of params.yaml, as JSON has it.
        data: an .npz; the CRC-32s in it stand for its content, so it is not read.
        code: the files that compute; the versions of the libraries they call count too.
    """
    with zipfile.ZipFile(data) as archive:
        checksums = {entry.filename: entry.CRC for entry in archive.infolist()}
    digests = [artifacts.sha256(path) for path in code]
    content = json.dumps([params, checksums, digests, timings.versions()], sort_keys=True)
    name = os.environ.get("DVC_EXP_NAME", "workspace")
    path = workspace.memory() / "checkpoints" / f"{name}.npz"
    return Checkpoint(path, hashlib.sha256(content.encode()).hexdigest())
