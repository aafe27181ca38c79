"""What `make repro` made of the published MNIST, held against what is committed; it has to run before."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import browser
from digits import datasets, idx

pytestmark = pytest.mark.mnist

ROOT = Path(__file__).parents[1]


def committed(path: str) -> Any:
    return json.loads(subprocess.check_output(["git", "show", f"HEAD:{path}"], cwd=ROOT))


def made(path: str) -> Any:
    return json.loads((ROOT / path).read_bytes())


def test_the_data_are_the_published() -> None:
    for name, digest in datasets.CATALOGUE["mnist"].sha256.items():  # type: ignore[attr-defined]
        assert hashlib.sha256((ROOT / "data/raw" / name).read_bytes()).hexdigest() == digest
    x_train, y_train, x_test, y_test = idx.read(ROOT / "data/raw")
    assert (x_train.shape, x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert (y_train[0], y_test[1000]) == (5, 9)


def test_the_classifier_is_the_tutorials() -> None:
    metrics = made("reports/metrics.json")
    assert metrics["dataset"] == "mnist"
    assert metrics["accuracy"] >= 0.965
    assert metrics["parameters"] == 118282


def test_the_sample_is_a_nine() -> None:
    prediction = made("reports/prediction.json")
    assert (prediction["index"], prediction["label"], prediction["prediction"]) == (1000, 9, 9)


def test_the_numbers_are_the_committed_ones() -> None:
    """Numbers, not bytes: another type of CPU may differ in the last digits. On the same, git status is clean."""
    now, then = made("reports/metrics.json"), committed("reports/metrics.json")
    assert now["accuracy"] == pytest.approx(then["accuracy"], abs=0.003)
    assert now["loss"] == pytest.approx(then["loss"], abs=0.01)
    assert now["parameters"] == then["parameters"]


def test_the_champion_is_served_over_http(tmp_path: Path) -> None:
    """`mlflow models serve` answers raw pixels with evaluate's probabilities."""
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }
    # A store of its own, so that the champion is this state's model.
    copy = tmp_path / "state"
    copy.mkdir()
    for path in ("params.yaml", "dvc.lock", "reports", "data"):
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copyfile)(ROOT / path, copy / path)
    track = [sys.executable, ROOT / "stages/track.py"]
    subprocess.run(track, cwd=copy, env={**os.environ, **environment}, check=True)
    command = ("mlflow", "models", "serve", "-m", "models:/digits@champion", "--env-manager", "local")
    with browser.server(*command, health="/ping", environment=environment, cwd=tmp_path) as address:
        pixels = idx.read_images(ROOT / "data/raw" / idx.TEST_IMAGES)[:100]
        body = json.dumps({"inputs": pixels.astype(float).tolist()}).encode()
        request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            answers = np.array(json.load(response)["predictions"])
    kept = np.load(ROOT / "data/probabilities.npz")["probabilities"][:100]
    np.testing.assert_allclose(answers, kept, atol=1e-5)
