"""A small made-up state of the pipeline, as of MNIST: for what is too slow or too rare to wait for on real data."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from ruamel.yaml import YAML

from digits import artifacts, idx, params, plots

ROOT = Path(__file__).parents[1]


def make_tree(root: Path, epochs: int, accuracy: float) -> dict[str, dict[str, Any]]:
    """Leave in `root` what the stages before `track` would; gives the params as dvc.lock has them."""
    scores = {"precision": accuracy, "recall": accuracy, "f1": accuracy}
    metrics = {
        "dataset": "mnist",
        "accuracy": accuracy,
        "loss": 1 - accuracy,
        "errors": 7,
        "expected_calibration_error": 0.01,
        "per_class": {str(label): scores for label in range(10)},
        "parameters": 118282,
    }
    artifacts.write_json(root / "reports/metrics.json", metrics)
    artifacts.write_json(root / "reports/prediction.json", {"index": 1000})
    steps = np.arange(1, epochs + 1)
    history = {"epoch": steps, "loss": 1 / steps, "accuracy": 1 - 0.1 / steps}
    history |= {"val_loss": 1 / steps, "val_accuracy": accuracy - 0.1 / steps}
    artifacts.write_table(root / "reports/history.csv", history)
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1])
    plots.save(figure, root / "reports/plots/curves.png")
    artifacts.write_table(root / "data/predictions.csv", {"actual": [1, 2], "predicted": [1, 3]})
    images = np.zeros((4, 28, 28), np.float32)
    splits = {f"{array}_{split}": images for split in ("train", "val", "test") for array in "xy"}
    artifacts.write_arrays(root / "data/normalized.npz", **splits)
    artifacts.write_gzip(root / "data/raw" / idx.TEST_IMAGES, idx.encode(images.astype(np.uint8)))
    artifacts.write_bytes(root / "data/model.keras", b"weights after %d epochs" % epochs)
    return write_params(root, epochs)


def write_params(root: Path, epochs: int) -> dict[str, dict[str, Any]]:
    """The defaults but for `epochs`, in params.yaml and in a dvc.lock of one stage."""
    content: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")
    content["recipes"]["tutorial"]["epochs"] = epochs
    with (root / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(content, file)
    loaded = params.load(root / "params.yaml").model_dump(mode="json")
    sections = {f"recipes.{name}": recipe for name, recipe in loaded.pop("recipes").items()} | loaded
    outs = [{"path": "data/raw", "md5": "aa"}, {"path": "data/model.keras", "md5": str(epochs)}]
    stages = {"train": {"params": {"params.yaml": sections}, "deps": [], "outs": outs}}
    with (root / "dvc.lock").open("w") as file:
        YAML(typ="safe").dump({"stages": stages}, file)
    return sections
