""".keras files whose bytes depend on their content alone."""

import json
import re
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import keras

from digits.common import files


def save(model: keras.Model, path: Path) -> None:
    """Write `model`, uncompiled. Keras would write the date, the addresses of objects and the times of the entries."""
    with TemporaryDirectory() as folder:
        written = Path(folder, path.name)
        model.save(written)
        with zipfile.ZipFile(written) as archive:
            entries = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(entries["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    config = renumbered(entries["config.json"].decode())
    entries |= {"metadata.json": json.dumps(metadata).encode(), "config.json": config.encode()}
    with files.atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


def load(path: Path) -> keras.Model:
    """Read a model that `save` wrote."""
    return keras.saving.load_model(path, compile=False)


def renumbered(config: str) -> str:
    """A model's JSON with the ids of shared objects, which are memory addresses, numbered by first appearance."""
    numbers: dict[str, int] = {}
    return re.sub(r'(?<="shared_object_id": )\d+', lambda old: str(numbers.setdefault(old[0], len(numbers))), config)
