"""The committed params, run on all of MNIST: the results are the committed ones."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.mlflow_runs import copy_database
from helpers.sandbox import ROOT, STAGES, Sandbox, make_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mnist")]


def committed(path: str) -> Any:
    return json.loads(subprocess.check_output(["git", "show", f"HEAD:{path}"], cwd=ROOT))


@pytest.fixture(scope="module")
def mnist(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox in which the committed params have run."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("mnist") / "digits", params={})
    copy_database(empty_store, sandbox.root)
    assert sandbox.repro() == [stage for stage in STAGES if stage != "report"], "its page is in Git, and up to date"
    return sandbox


def made(sandbox: Sandbox, path: str) -> Any:
    return json.loads((sandbox.root / path).read_bytes())


def test_classifier_is_the_tutorials(mnist: Sandbox) -> None:
    metrics = made(mnist, "reports/metrics.json")
    assert metrics["dataset"] == "mnist"
    assert metrics["accuracy"] >= 0.965
    assert metrics["parameters"] == 118282


def test_sample_is_a_nine(mnist: Sandbox) -> None:
    prediction = made(mnist, "reports/prediction.json")
    assert (prediction["index"], prediction["label"], prediction["prediction"]) == (1000, 9, 9)


def test_numbers_are_the_committed_ones(mnist: Sandbox) -> None:
    """Within rounding: another type of CPU may differ in the last digits. On the same type, bytes are equal."""
    now, then = made(mnist, "reports/metrics.json"), committed("reports/metrics.json")
    assert now["accuracy"] == pytest.approx(then["accuracy"], abs=0.003)
    assert now["loss"] == pytest.approx(then["loss"], abs=0.01)
    assert now["parameters"] == then["parameters"]
