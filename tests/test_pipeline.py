"""The real graph, run by DVC on the stand-in dataset: what runs, what is skipped, what comes out."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from clones import Clone, clone
from digits import artifacts, datasets


def test_makes_what_it_promises(pipeline: Clone) -> None:
    metrics = json.loads((pipeline.root / "reports/metrics.json").read_bytes())
    assert metrics["dataset"] == "uci"
    assert metrics["accuracy"] > 0.8
    assert metrics["parameters"] == 118282
    prediction = json.loads((pipeline.root / "reports/prediction.json").read_bytes())
    assert prediction["index"] == 1000
    assert sum(prediction["probabilities"]) == pytest.approx(1, abs=1e-5)
    history = (pipeline.root / "reports/history.csv").read_text().splitlines()
    assert history[0] == "epoch,loss,accuracy,val_loss,val_accuracy"
    assert len(history) == 1 + 5
    predictions = (pipeline.root / "data/predictions.csv").read_text().splitlines()
    assert len(predictions) == 1 + 1023
    wrong = [line for line in predictions[1:] if line.split(",")[0] != line.split(",")[1]]
    assert len(wrong) == metrics["errors"]


def test_runs_nothing_twice(pipeline: Clone) -> None:
    assert pipeline.repro() == []


@pytest.mark.parametrize("stage", ["normalize", "predict_sample"])
def test_light_stages_import_nothing_heavy(pipeline: Clone, stage: str) -> None:
    imported = pipeline.imported_by("sh", "-c", f"PYTHONPATH=src python stages/{stage}.py")
    assert "matplotlib" in imported
    assert not {"tensorflow", "keras", "mlflow", "pandas", "sklearn"} & imported


def test_another_index_runs_predict_sample_alone(pipeline: Clone) -> None:
    pipeline.edit("params.yaml", "index: 1000", "index: 7")
    assert pipeline.repro("predict_sample") == ["predict_sample"]
    assert json.loads((pipeline.root / "reports/prediction.json").read_bytes())["index"] == 7
    pipeline.edit("params.yaml", "index: 7", "index: 1000")
    assert pipeline.repro("predict_sample") == []


def test_another_recipe_reruns_nothing_until_it_is_chosen(pipeline: Clone) -> None:
    before = (pipeline.root / "params.yaml").read_text()
    tutorial = before[before.index("  tutorial:") :]
    (pipeline.root / "params.yaml").write_text(before + tutorial.replace("tutorial", "brief").replace("5", "1"))
    assert pipeline.repro() == []
    pipeline.edit("params.yaml", "recipe: tutorial", "recipe: brief")
    said = pipeline.run("dvc", "repro", "--dry")
    (pipeline.root / "params.yaml").write_text(before)
    assert "Stage 'normalize' didn't change, skipping" in said
    assert "Running stage 'train'" in said


def test_results_are_the_same_in_another_folder_on_one_core(pipeline: Clone, tmp_path: Path) -> None:
    other = clone(tmp_path / "elsewhere")
    one_core = ["taskset", "-c", "0"] if shutil.which("taskset") and hasattr(os, "sched_setaffinity") else []
    other.run(*one_core, "dvc", "repro", "--force")
    assert (other.root / "dvc.lock").read_bytes() == (pipeline.root / "dvc.lock").read_bytes()
    assert other.run("git", "status", "--porcelain", "data") == ""


# Runs stages/evaluate.py, whose other process is killed as soon as it is asked.
KILLED = """
import os, runpy, signal
from digits import answers
def of_model(*_):
    os.kill(os.getpid(), signal.SIGKILL)
of_model.__module__ = "digits.answers"
answers.of_model = of_model
runpy.run_path("stages/evaluate.py", run_name="__main__")
"""


def test_a_killed_helper_is_one_line(pipeline: Clone) -> None:
    killed = Clone(pipeline.root, pipeline.environment | {"PYTHONPATH": "src"})
    said = killed.run(sys.executable, "-c", KILLED, ok=False).splitlines()
    assert len(said) == 1
    assert said[0].startswith("the process that asks the model was killed")


OUTSIDE = "predict_sample.index: must be from 0 to 1022, the test images of UCI digits, got"


@pytest.mark.parametrize(
    ("old", "new", "stage", "complaint"),
    [
        ("index: 1000", "index: 1023", "predict_sample", f"{OUTSIDE} 1023"),
        ("index: 1000", "index: -1", "predict_sample", f"{OUTSIDE} -1"),
        ("epochs: 5", "epochs: 0", "train", "recipes.tutorial.epochs: must be greater than 0, got 0"),
    ],
)
def test_a_wrong_value_is_one_line(pipeline: Clone, old: str, new: str, stage: str, complaint: str) -> None:
    pipeline.edit("params.yaml", old, new)
    said = pipeline.run("dvc", "repro", ok=False).splitlines()
    pipeline.edit("params.yaml", new, old)
    after = said[said.index(f"> PYTHONPATH=src python stages/{stage}.py") + 1 :]
    assert after[0] == f"params.yaml: {complaint}"
    assert after[1].startswith(f"ERROR: failed to reproduce '{stage}'")
    assert len(after) == 2


def test_a_dataset_of_ones_own_is_one_entry(pipeline: Clone, tmp_path: Path) -> None:
    """The four files of the stand-in, as somebody's own folder with another name."""
    datasets.fetch("uci", tmp_path / "mine")
    files = artifacts.read_json(tmp_path / "mine/dataset.json")["files"]
    digests = {name: identity["sha256"] for name, identity in files.items()}
    entry = f'"mine": Published(title="Mine", sources=({str(tmp_path / "mine")!r},), sha256={digests}),'
    pipeline.edit("src/digits/datasets.py", '    "mnist": Published(', f'    {entry}\n    "mnist": Published(')
    assert pipeline.repro("predict_sample") == ["fetch"], "another entry changes no result"
    pipeline.edit("params.yaml", "dataset: uci", "dataset: mine")
    assert pipeline.repro("fetch") == ["fetch"]
    about = artifacts.read_json(pipeline.root / "data/raw/dataset.json")
    assert (about["name"], about["title"], about["stand_in"]) == ("mine", "Mine", False)
    refused = pipeline.run("dvc", "repro", ok=False)
    assert "normalize.validation_size: must be at most 154, a fifth of the 774 training images, got 5000" in refused
    pipeline.run("git", "checkout", "-q", "src", "params.yaml")


def test_without_a_network_fetch_says_so_and_the_demo_runs(tmp_path: Path) -> None:
    """`make repro` itself, where no name resolves: the proxy it is told to use does not exist."""
    no_network = {
        "https_proxy": "http://127.0.0.1:9",
        "DIGITS_CACHE": str(tmp_path / "cache"),
        "MNIST_MIRROR": "",
    }
    made = clone(tmp_path / "digits", **no_network)
    made.edit("params.yaml", "dataset: uci", "dataset: mnist")
    made.run("git", "commit", "-qam", "MNIST")
    said = made.run("dvc", "repro", ok=False)
    assert "make demo" in said
    assert "MNIST_MIRROR" in said
    assert "Traceback" not in said

    # An environment that has what the locks list, so that make installs nothing.
    (made.root / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (made.root / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        shutil.copy(made.root / lock, made.root / ".venv" / lock)
    said = made.run("make", "repro")
    assert "this is the demo" in said
    assert "dataset: uci" in said
    assert made.run("git", "status", "--porcelain") == ""
