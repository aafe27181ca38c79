"""Architectures by name; models with their normalization inside, in files of always the same bytes."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from digits import artifacts
from digits.idx import CLASSES, IMAGE_SIDE
from digits.params import Recipe
from digits.preprocessing import Images

SHAPE = (IMAGE_SIDE, IMAGE_SIDE)


def mlp(recipe: Recipe) -> keras.Model:
    """The tutorial's network: a dense relu layer for each of `recipe.hidden`, softmax over the classes."""
    hidden = [
        keras.layers.Dense(units, activation="relu", name=f"hidden_{number}")
        for number, units in enumerate(recipe.hidden, start=1)
    ]
    return keras.Sequential(
        [
            keras.Input(SHAPE, name="normalized"),
            keras.layers.Flatten(name="flatten"),
            *hidden,
            keras.layers.Dense(CLASSES, activation="softmax", name="probabilities"),
        ],
        name="network",
    )


ARCHITECTURES: Mapping[str, Callable[[Recipe], keras.Model]] = {"mlp": mlp}

NORMALIZATIONS: Mapping[str, Callable[[], keras.layers.Layer]] = {
    "l2": lambda: keras.layers.UnitNormalization(axis=1, name="normalization"),
    "minmax": lambda: keras.layers.Rescaling(1 / 255, name="normalization"),
}


def build(recipe: Recipe, seed: int) -> keras.Model:
    """A new network of the recipe's architecture: normalized float32 (n, 28, 28) to probabilities (n, 10).

    Seeds Python, NumPy and TensorFlow, so that the first weights follow from `seed`.
    """
    keras.utils.set_random_seed(seed)
    return ARCHITECTURES[recipe.architecture](recipe)


def with_normalization(network: keras.Model, method: str) -> keras.Model:
    """The model to serve: raw pixels 0..255, float32 (n, 28, 28), to probabilities (n, 10).

    Its layers are the normalization `method` of `digits.preprocessing`, then `network` itself.
    """
    return keras.Sequential([keras.Input(SHAPE, name="pixels"), NORMALIZATIONS[method](), network], name="digits")


def network_of(model: keras.Model) -> keras.Model:
    """The trained network inside a model that `with_normalization` made; it takes normalized images."""
    return model.get_layer("network")


def probabilities(network: keras.Model, images: Images, batch_size: int = 1000) -> NDArray[np.float32]:
    """The network's answer to `images`, float32 (n, 28, 28): probabilities, float32 (n, 10)."""
    batches = range(0, len(images), batch_size)
    return np.concatenate([network(images[at : at + batch_size], training=False) for at in batches])


def save(model: keras.Model, path: Path) -> None:
    """Write `model`, uncompiled, as a .keras file whose bytes depend on nothing but its content."""
    with TemporaryDirectory() as folder:
        written = Path(folder, path.name)
        model.save(written)
        with zipfile.ZipFile(written) as archive:
            entries = {name: archive.read(name) for name in sorted(archive.namelist())}
    # What Keras writes anew each time: the date, the addresses of objects, the times of the entries.
    metadata = json.loads(entries["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    config = _renumbered(json.loads(entries["config.json"]), {})
    entries |= {"metadata.json": json.dumps(metadata).encode(), "config.json": json.dumps(config).encode()}
    with artifacts.atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content)


def load(path: Path) -> keras.Model:
    """Read a model that `save` wrote."""
    return keras.saving.load_model(path, compile=False)


def _renumbered(config: Any, seen: dict[int, int]) -> Any:
    """`config` with the ids of shared objects, which are memory addresses, numbered as they appear."""
    if isinstance(config, dict):
        return {
            key: seen.setdefault(value, len(seen)) if key == "shared_object_id" else _renumbered(value, seen)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_renumbered(value, seen) for value in config]
    return config
