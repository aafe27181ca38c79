""".keras files whose bytes depend on their content alone."""

import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from digits.common import files

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip file can hold


def save(model: keras.Model, path: Path) -> None:
    """Write `model`, uncompiled. Keras would write the date, the addresses of objects and the times of the entries."""
    with TemporaryDirectory() as folder:
        written = Path(folder, path.name)
        model.save(written)
        with zipfile.ZipFile(written) as archive:
            entries = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(entries["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    config = renumbered(json.loads(entries["config.json"]), {})
    entries |= {"metadata.json": json.dumps(metadata).encode(), "config.json": json.dumps(config).encode()}
    with files.atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)


def load(path: Path) -> keras.Model:
    """Read a model that `save` wrote."""
    return keras.saving.load_model(path, compile=False)


def renumbered(config: Any, seen: dict[int, int]) -> Any:
    """`config` with the ids of shared objects, which are memory addresses, numbered by first appearance."""
    if isinstance(config, dict):
        return {
            key: seen.setdefault(value, len(seen)) if key == "shared_object_id" else renumbered(value, seen)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [renumbered(value, seen) for value in config]
    return config
