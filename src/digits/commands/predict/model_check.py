"""Refuse a file that cannot be a model of ours, before anything in it is built: it may come from anywhere."""

import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from digits.common.types import IMAGE_SIDE

ENTRIES = {"config.json", "metadata.json", "model.weights.h5"}
MAX_WEIGHTS = 100_000_000
FRAME = [[1, 0], [1, 0]]  # of the views; a wider one could take any memory
# No layer with code of its own, such as Lambda; the last line has the operations of a normalization.
CLASS_NAMES = {
    *("Average", "BatchNormalization", "Conv2D", "Cropping2D", "Dense", "Flatten", "Functional", "GlobalMaxPooling2D"),
    *("InputLayer", "MaxPooling2D", "Permute", "ReLU", "Rescaling", "Reshape", "Sequential", "Softmax"),
    *("UnitNormalization", "ZeroPadding2D"),
    *("DTypePolicy", "GlorotUniform", "HeNormal", "Ones", "Zeros", "__keras_tensor__"),
    *("Add", "Less", "Max", "Maximum", "Median", "Min", "Subtract", "TrueDivide", "Where"),
}


def check(path: Path) -> None:
    """Raise ValueError, or an error of a reader, unless entries, layers and sizes may be those of a model of ours."""
    if path.suffix != ".keras":
        raise ValueError("its name does not end in .keras")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if {entry.filename for entry in entries} != ENTRIES or len(entries) != len(ENTRIES):
            raise ValueError(f"it does not have the entries {', '.join(sorted(ENTRIES))}")
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise ValueError("it is compressed or encrypted")
        config = json.loads(archive.read("config.json"))
        weights = archive.read("model.weights.h5")
    if unknown := {str(one.get("class_name")) for one in _objects(config)} - CLASS_NAMES:
        raise ValueError(f"it has objects of the class {', '.join(sorted(unknown))[:80]}")
    frames = [one.get("config", {}).get("padding") for one in _objects(config) if one["class_name"] == "ZeroPadding2D"]
    if frames not in ([], [FRAME]):
        raise ValueError("it pads images in another way")
    if _count_weights(config) > MAX_WEIGHTS:
        raise ValueError(f"it has more than {MAX_WEIGHTS:,} weights")
    _check_arrays(weights)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """The objects in a model's configuration: layers, and what is in their settings."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            yield from _objects(item)


def _count_weights(config: Any) -> int:
    """About the number of weights: each layer is taken to follow the one before."""
    total, inputs = 0, IMAGE_SIDE**2
    for one in _objects(config):
        settings = one.get("config", {})
        if one["class_name"] in ("Dense", "Conv2D"):
            outputs = int(settings.get("units", settings.get("filters")))
            total += inputs * outputs * math.prod(settings.get("kernel_size", [1]))
            inputs = outputs
    return total


def _check_arrays(content: bytes) -> None:
    """Raise ValueError if arrays would take more memory than their file."""
    sizes = []
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda _, item: sizes.append(item.nbytes) if isinstance(item, h5py.Dataset) else None)
    if sum(sizes) > len(content):
        raise ValueError("its arrays are larger than the file")
