"""Every wrong value of params.yaml in one line of its own, before anything slow is imported."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits import params
from digits.datasets import CATALOGUE
from digits.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def content() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")
    return loaded


def write(folder: Path, content: object) -> Path:
    path = folder / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(content, file)
    return path


def complaints(folder: Path, content: object) -> list[str]:
    with pytest.raises(InputError) as error:
        params.load(write(folder, content))
    return [line.removeprefix(f"{folder}/params.yaml: ") for line in str(error.value).splitlines()]


def test_the_chosen_recipe_is_at_hand(tmp_path: Path, content: dict[str, Any]) -> None:
    content["recipes"]["other"] = {**content["recipes"]["tutorial"], "hidden": [7, 5], "epochs": 2}
    content["train"]["recipe"] = "other"
    loaded = params.load(write(tmp_path, content))
    assert loaded.recipe == loaded.recipes["other"]
    assert loaded.recipe.hidden == (7, 5)
    assert loaded.recipe.epochs == 2


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("fetch.dataset", "no such", f"must be one of {', '.join(CATALOGUE)}, got 'no such'"),
        ("fetch.dataset", 3, "must be a valid string, got 3"),
        ("normalize.method", "zscore", "must be 'l2' or 'minmax', got 'zscore'"),
        ("normalize.validation_size", -1, "must be greater than or equal to 0, got -1"),
        ("normalize.validation_size", "5000", "must be a valid integer, got '5000'"),
        ("normalize.validation_size", True, "must be a valid integer, got True"),
        ("normalize.validation_seed", 2**32, "must be less than 4294967296, got 4294967296"),
        ("train.seed", 1.5, "must be a valid integer, got 1.5"),
        ("predict_sample.index", None, "must be a valid integer, got None"),
        ("recipes.tutorial.architecture", "cnn", "must be 'mlp', got 'cnn'"),
        ("recipes.tutorial.hidden", 128, "must be a valid tuple, got 128"),
        ("recipes.tutorial.hidden", [128, 0], "must be greater than 0, got 0"),
        ("recipes.tutorial.optimizer", "lion", "must be 'adam' or 'sgd', got 'lion'"),
        ("recipes.tutorial.learning_rate", 0, "must be greater than 0, got 0"),
        ("recipes.tutorial.learning_rate", float("nan"), "must be a finite number, got nan"),
        ("recipes.tutorial.batch_size", -3, "must be greater than 0, got -3"),
        ("recipes.tutorial.epochs", 0, "must be greater than 0, got 0"),
        ("recipes.tutorial.xla", 1, "must be a valid boolean, got 1"),
        ("recipes.tutorial.threads", 5000, "must be less than or equal to 1024, got 5000"),
    ],
)
def test_refuses_a_wrong_value(
    tmp_path: Path, content: dict[str, Any], key: str, value: object, complaint: str
) -> None:
    *sections, last = key.split(".")
    section = content
    for name in sections:
        section = section[name]
    section[last] = value
    (line,) = complaints(tmp_path, content)
    assert line in (f"{key}: {complaint}", f"{key}.1: {complaint}")


def test_lists_every_fault(tmp_path: Path, content: dict[str, Any]) -> None:
    content["train"]["momentum"] = 0.9
    content["recipes"]["tutorial"]["epoch"] = content["recipes"]["tutorial"].pop("epochs")
    del content["predict_sample"]
    content["fetch"] = "mnist"
    content["recipe"] = {}
    keys = "architecture, hidden, optimizer, learning_rate, batch_size, epochs, threads, xla"
    assert sorted(complaints(tmp_path, content)) == [
        "fetch: must be a mapping, got 'mnist'",
        "predict_sample: is missing",
        "recipe: is not a known key; allowed here: fetch, normalize, train, predict_sample, recipes",
        f"recipes.tutorial.epoch: is not a known key; allowed here: {keys}",
        "recipes.tutorial.epochs: is missing",
        "train.momentum: is not a known key; allowed here: recipe, seed",
    ]


def test_refuses_an_unknown_recipe(tmp_path: Path, content: dict[str, Any]) -> None:
    content["train"]["recipe"] = "record"
    assert complaints(tmp_path, content) == ["train.recipe: must be one of tutorial, got 'record'"]


@pytest.mark.parametrize("content", ["", "- 1", "just words"])
def test_refuses_what_has_no_sections(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match="the file: must be a mapping"):
        params.load(path)


@pytest.mark.parametrize("content", [b"fetch: [", b"a: 1\na: 2", b"\xff\xfe\xfd", None])
def test_refuses_what_is_no_yaml(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"params.yaml: cannot be read: ") as error:
        params.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("*.py")))
def test_every_stage_checks_first(tmp_path: Path, content: dict[str, Any], stage: str) -> None:
    """The real script, in a folder that has nothing but wrong params: a line, and nothing slow imported."""
    content["recipes"]["tutorial"]["batch_size"] = -3
    write(tmp_path, content)
    ran = subprocess.run(
        [sys.executable, ROOT / "stages" / f"{stage}.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    imported, said = [], []
    for line in ran.stderr.splitlines():
        (imported if line.startswith("import time:") else said).append(line)
    assert ran.returncode == 1
    assert said == ["params.yaml: recipes.tutorial.batch_size: must be greater than 0, got -3"]
    assert ran.stdout == ""
    assert not [line for line in imported if line.split("|")[-1].strip() in {"tensorflow", "keras", "mlflow"}]
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
