"""Small made-up files and pipeline states, for what is too slow or too rare to wait for in the real pipeline."""

import gzip
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from ruamel.yaml import YAML

from digits.common import files, run_record
from digits.data import catalogue

ROOT = Path(__file__).parents[2]
PREDICTOR = Path("src/digits/model/predictor.py")


def encode_idx(values: NDArray[np.uint8]) -> bytes:
    """`values` in the IDX format: magic number, sizes, values."""
    return struct.pack(f">{1 + values.ndim}I", 0x0800 + values.ndim, *values.shape) + values.tobytes()


def gzipped(content: bytes) -> bytes:
    """Compressed without a date: a test's parameters must be equal in every process."""
    return gzip.compress(content, mtime=0)


def make_results(root: Path, epochs: int, accuracy: float, seconds: float | None = None) -> None:
    """Write to `root` what the stages before `track` would write for MNIST.

    Args:
        root: of a repository.
        epochs: of the recipe; a different number is a different state.
        accuracy: on the test set; validation accuracy ends at `accuracy - 0.1 / epochs`.
        seconds: of the training run, if it is to be recorded.
    """
    scores = {"precision": accuracy, "recall": accuracy, "f1": accuracy}
    metrics = {
        "dataset": "mnist",
        "accuracy": accuracy,
        "loss": 1 - accuracy,
        "errors": 7,
        "expected_calibration_error": 0.01,
        "calibration_bounds": {"low": 0.008, "high": 0.013, "if_perfect": 0.004},
        "per_class": {str(label): scores for label in range(10)},
        "expected_calibration_error_unscaled": 0.02,
        "temperature": 1.25,
        "parameters": 118282,
    }
    files.write_json(root / "reports/metrics.json", metrics)
    files.write_json(root / "reports/prediction.json", {"index": 1000})
    steps = np.arange(1, epochs + 1)
    history = {"epoch": steps, "loss": 1 / steps, "accuracy": 1 - 0.1 / steps}
    history |= {"val_loss": 1 / steps, "val_accuracy": accuracy - 0.1 / steps}
    files.write_csv(root / "reports/history.csv", history)
    for plot in ("dataset/samples.png", "evaluation/curves.png", "prediction.png"):
        save_plot(root / "reports" / plot)
    files.write_csv(root / "data/predictions.csv", {"actual": [1, 2], "predicted": [1, 3]})
    images, labels = np.zeros((4, 28, 28), np.float32), np.zeros(4, np.uint8)
    files.write_arrays(root / "data/normalized.npz", x_train=images, y_train=labels, x_val=images, y_val=labels)
    for name in (catalogue.TRAIN_IMAGES, catalogue.TEST_IMAGES):
        files.write_bytes(root / "data/raw" / name, gzipped(encode_idx(images.astype(np.uint8))))
    for name in (catalogue.TRAIN_LABELS, catalogue.TEST_LABELS):
        files.write_bytes(root / "data/raw" / name, gzipped(encode_idx(labels)))
    files.write_bytes(root / "data/model.keras", b"weights after %d epochs" % epochs)
    if seconds is not None:
        run_record.save(root / "data/model.keras", 1.7e9, seconds)
    files.write_bytes(root / PREDICTOR, (ROOT / PREDICTOR).read_bytes())
    write_pipeline(root, epochs)


def save_plot(path: Path) -> None:
    """A picture of 200 x 200 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1])
    figure.savefig(path, dpi=100)


def write_pipeline(root: Path, epochs: int) -> None:
    """params.yaml with the defaults but for `epochs`, and a dvc.yaml and dvc.lock of the two stages train and track."""
    content: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")
    content["recipes"]["tutorial"]["epochs"] = epochs
    write_yaml(root / "params.yaml", content)
    sections = {f"recipes.{name}": recipe for name, recipe in content.pop("recipes").items()} | content
    outs = [{"path": path, "md5": md5(root / path)} for path in ("data/raw", "data/normalized.npz", "data/model.keras")]
    paths = [out["path"] for out in outs]
    code = "stages/train.py"
    files.write_bytes(root / code, b"print()")
    train = {"cmd": "true", "params": [*sections], "deps": [code], "outs": paths}
    write_yaml(root / "dvc.yaml", {"stages": {"train": train, "track": {"cmd": "true", "deps": paths}}})
    deps = [{"path": code, "md5": md5(root / code)}]
    locked = {"cmd": "true", "params": {"params.yaml": sections}, "deps": deps, "outs": outs}
    write_yaml(root / "dvc.lock", {"schema": "2.0", "stages": {"train": locked}})
    files.write_bytes(root / ".dvc/config", b"[core]\nno_scm = true\nanalytics = false\n")


def md5(path: Path) -> str:
    """The MD5 of a file, or of a folder's listing, as DVC has it."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    listing = [{"md5": md5(file), "relpath": file.name} for file in sorted(path.iterdir())]
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"


def write_yaml(path: Path, content: Any) -> None:
    """Write `content` as YAML."""
    with path.open("w") as file:
        YAML(typ="safe").dump(content, file)
