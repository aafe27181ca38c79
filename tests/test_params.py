"""Every wrong value of params.yaml is refused in a line; recipes are independent of each other."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from digits import params
from digits.commands.sweep import grid
from digits.common.errors import UserError
from digits.data.catalogue import CATALOGUE
from digits.params import Cnn, Mlp
from helpers.sandbox import NOISE

ROOT = Path(__file__).parents[1]
SOURCE = Path(params.__file__).parents[1]


@pytest.fixture
def content() -> dict[str, Any]:
    """The repository's params.yaml."""
    loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")
    return loaded


def write(folder: Path, content: object) -> Path:
    path = folder / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(content, file)
    return path


def complaints(folder: Path, content: object) -> list[str]:
    """The lines of the error that `content` is refused with, without the file's name."""
    path = write(folder, content)
    with pytest.raises(UserError) as error:
        params.load(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_chosen_recipe_is_found(tmp_path: Path, content: dict[str, Any]) -> None:
    content["recipes"]["other"] = {**content["recipes"]["tutorial"], "hidden": [7, 5], "epochs": 2}
    content["train"]["recipe"] = "other"
    loaded = params.load(write(tmp_path, content))
    assert loaded.recipe == loaded.recipes["other"]
    assert isinstance(loaded.recipe, Mlp)
    assert loaded.recipe.hidden == (7, 5)
    assert loaded.recipe.epochs == 2


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("fetch.dataset", "no such", f"must be one of {', '.join(CATALOGUE)}, got 'no such'"),
        ("fetch.dataset", 3, "must be a valid string, got 3"),
        ("normalize.train_size", 0, "must be greater than 0, got 0"),
        ("normalize.train_size", 1e3, "must be a valid integer, got 1000.0"),
        ("normalize.validation_size", -1, "must be greater than or equal to 0, got -1"),
        ("normalize.validation_size", "5000", "must be a valid integer, got '5000'"),
        ("normalize.validation_size", True, "must be a valid integer, got True"),
        ("normalize.split_seed", -1, "must be greater than or equal to 0, got -1"),
        ("normalize.split_seed", 2**32, "must be less than 4294967296, got 4294967296"),
        ("train.recipe", 7, "must be a valid string, got 7"),
        ("train.seed", 1.5, "must be a valid integer, got 1.5"),
        ("train.seed", 2**32, "must be less than 4294967296, got 4294967296"),
        ("predict_sample.index", None, "must be a valid integer, got None"),
        ("recipes", {}, "must not be empty, got {}"),
        ("recipes.tutorial.architecture", "rnn", "must be 'mlp' or 'cnn', got 'rnn'"),
        ("recipes.tutorial.architecture", None, "must be 'mlp' or 'cnn', got 'None'"),
        ("recipes.tutorial", 7, "must be a mapping, got 7"),
        ("recipes.tutorial.hidden", 128, "must be a valid tuple, got 128"),
        ("recipes.tutorial.hidden", [128, 0], "must be greater than 0, got 0"),
        ("recipes.tutorial.normalization", "zscore", "must be 'l2', 'minmax' or 'contrast', got 'zscore'"),
        ("recipes.tutorial.augmentation", 3, "must be a mapping, got 3"),
        ("recipes.tutorial.augmentation.rotation", -1, "must be greater than or equal to 0, got -1"),
        ("recipes.tutorial.augmentation.scale", 1, "must be less than 1, got 1"),
        ("recipes.tutorial.augmentation.noise", 1.5, "must be less than or equal to 1, got 1.5"),
        ("recipes.tutorial.schedule", "cosine", "must be 'constant' or 'one_cycle', got 'cosine'"),
        ("recipes.tutorial.weight_decay", -0.1, "must be greater than or equal to 0, got -0.1"),
        ("recipes.tutorial.label_smoothing", 1.0, "must be less than 1, got 1.0"),
        ("recipes.tutorial.members", 0, "must be greater than 0, got 0"),
        ("recipes.tutorial.learning_rate", 0, "must be greater than 0, got 0"),
        ("recipes.tutorial.learning_rate", float("nan"), "must be a finite number, got nan"),
        ("recipes.tutorial.batch_size", -3, "must be greater than 0, got -3"),
        ("recipes.tutorial.epochs", 0, "must be greater than 0, got 0"),
        ("recipes.cnn.blocks", 32, "must be a valid tuple, got 32"),
        ("recipes.cnn.blocks", [], "must be one to three lists, none of them empty, got []"),
        ("recipes.cnn.blocks", [[8], []], "must be one to three lists, none of them empty, got [[8], []]"),
        ("recipes.cnn.blocks", [8], "must be a valid tuple, got 8"),
        ("recipes.cnn.blocks", [[8], [8, 0]], "must be greater than 0, got 0"),
        ("recipes.cnn.blocks", [[8]] * 4, "must be one to three lists, none of them empty, got [[8], [8], [8], [8]]"),
        ("train.threads", 5000, "must be less than or equal to 1024, got 5000"),
        ("normalize.train_size", 10**400, f"must be less than or equal to 1000000, got {10**79}"),
        ("recipes.tutorial.epochs", 10**400, f"must be less than or equal to 1000000, got {10**79}"),
        ("recipes.tutorial.batch_size", 10**400, f"must be less than or equal to 1000000, got {10**79}"),
        ("recipes.tutorial.hidden", [10**9], "must be less than or equal to 1000000, got 1000000000"),
        (
            "recipes.tutorial.hidden",
            [100_000, 100_000],
            "10,079,400,000 weights and batches of 32 images would take 161 GB of memory; at most 32 GB are allowed",
        ),
        (
            "recipes.cnn.blocks",
            [[1000], [20_000, 20_000]],
            "3,780,036,000 weights and batches of 128 images would take 64 GB of memory; at most 32 GB are allowed",
        ),
    ],
)
def test_wrong_value_is_refused(
    tmp_path: Path, content: dict[str, Any], key: str, value: object, complaint: str
) -> None:
    *sections, last = key.split(".")
    section = content
    for name in sections:
        section = section[name]
    section[last] = value
    (line,) = complaints(tmp_path, content)
    place = key.rpartition(".")[0] if "memory" in complaint else key
    assert re.fullmatch(rf"{re.escape(place)}(\.\d)*: {re.escape(complaint)}", line)


def test_every_error_is_listed(tmp_path: Path, content: dict[str, Any]) -> None:
    content["train"]["momentum"] = 0.9
    content["recipes"]["tutorial"]["epoch"] = content["recipes"]["tutorial"].pop("epochs")
    del content["predict_sample"]
    content["fetch"] = "mnist"
    content["recipe"] = {}
    keys = ", ".join(Mlp.model_fields)
    content["recipes"]["tutorial"]["augmentation"]["fog"] = 1
    del content["recipes"]["tutorial"]["augmentation"]["shift"]
    assert sorted(complaints(tmp_path, content)) == [
        "fetch: must be a mapping, got 'mnist'",
        "predict_sample: is missing",
        "recipe: is not a known key; allowed here: fetch, normalize, train, predict_sample, recipes",
        "recipes.tutorial.augmentation.fog: is not a known key; allowed here: rotation, scale, shear, shift, "
        "strokes, light, patches, salt_and_pepper, blur, noise",
        "recipes.tutorial.augmentation.shift: is missing",
        f"recipes.tutorial.epoch: is not a known key; allowed here: {keys}",
        "recipes.tutorial.epochs: is missing",
        "train.momentum: is not a known key; allowed here: recipe, seed, threads",
    ]


def test_key_with_a_line_break_is_one_line(tmp_path: Path, content: dict[str, Any]) -> None:
    content["train"]["see\nd"] = 1
    (line,) = complaints(tmp_path, content)
    assert line.startswith(r"train.'see\nd': is not a known key")


def test_recipe_needs_an_architecture(tmp_path: Path, content: dict[str, Any]) -> None:
    del content["recipes"]["tutorial"]["architecture"]
    assert complaints(tmp_path, content) == ["recipes.tutorial.architecture: is missing"]


def test_recipe_has_the_keys_of_its_architecture(tmp_path: Path, content: dict[str, Any]) -> None:
    content["recipes"]["tutorial"]["architecture"] = "cnn"
    known = ", ".join(Cnn.model_fields)
    assert sorted(complaints(tmp_path, content)) == [
        "recipes.tutorial.blocks: is missing",
        f"recipes.tutorial.hidden: is not a known key; allowed here: {known}",
    ]


def test_augmentation_excludes_l2(tmp_path: Path, content: dict[str, Any]) -> None:
    """A column of unit length is no longer one once the image is turned."""
    content["recipes"]["tutorial"]["augmentation"]["rotation"] = 10
    (line,) = complaints(tmp_path, content)
    assert line.startswith("recipes.tutorial.augmentation: must be all 0 with normalization l2")
    content["recipes"]["tutorial"]["normalization"] = "minmax"
    assert params.load(write(tmp_path, content)).recipe.augmentation.rotation == 10


def test_unknown_recipe_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    content["train"]["recipe"] = "record"
    known = ", ".join(sorted(content["recipes"]))  # as `write` sorts them
    assert complaints(tmp_path, content) == [f"train.recipe: must be one of {known}, got 'record'"]


@pytest.mark.parametrize("name", ["v1.5", "a b", "a/b", ""])
def test_chosen_recipe_must_have_a_plain_name(tmp_path: Path, content: dict[str, Any], name: str) -> None:
    """A dot would lead DVC to another key of `recipes.${train.recipe}`; a sweep reads a number in 1e5."""
    content["train"]["recipe"] = name
    (line,) = complaints(tmp_path, content)
    assert line == f"train.recipe: must be a letter, then letters, digits, - or _, got {name!r}"


@pytest.mark.parametrize("name", ["v1.5", "a b", "a/b", "größer", "1e5"])
def test_every_recipe_must_have_a_plain_name(tmp_path: Path, content: dict[str, Any], name: str) -> None:
    content["recipes"][name] = content["recipes"]["tutorial"]
    (line,) = complaints(tmp_path, content)
    assert line == f"recipes.{name}: must be a letter, then letters, digits, - or _, got {name!r}"


@pytest.mark.parametrize("name", ["wide", "adam_0-1", "V2"])
def test_plain_names_are_accepted(tmp_path: Path, content: dict[str, Any], name: str) -> None:
    content["recipes"][name] = content["recipes"]["tutorial"]
    content["train"]["recipe"] = name
    assert params.load(write(tmp_path, content)).train.recipe == name


@pytest.mark.parametrize("content", ["", "- 1", "just words"])
def test_file_without_sections_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match="the file: must be a mapping"):
        params.load(path)


UNREADABLE = {
    "cut": b"fetch: [",
    "twice": b"a: 1\na: 2",
    "bytes": b"\xff\xfe\xfd",
    "nested": b"[" * 600,
    "long number": b"a: 1" + b"0" * 5000,
    "no date": b"a: 2001-13-45",
    "absent": None,
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=list(UNREADABLE))
def test_unreadable_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"params.yaml: cannot be read: ") as error:
        params.load(path)
    assert "\n" not in str(error.value)


def run(folder: Path, *command: str | Path) -> "subprocess.CompletedProcess[str]":
    """A Python command that reports its imports on stderr."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONPROFILEIMPORTTIME": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def stages_with_params() -> list[str]:
    return sorted(path.stem for path in (ROOT / "stages").glob("*.py") if "params.load()" in path.read_text())


def test_most_stages_have_params() -> None:
    assert stages_with_params() == ["fetch", "normalize", "predict_sample", "report", "train"]


@pytest.mark.parametrize(
    "stage", [pytest.param(name, marks=() if name == "fetch" else pytest.mark.slow) for name in stages_with_params()]
)
def test_stage_refuses_wrong_params_first(tmp_path: Path, content: dict[str, Any], stage: str) -> None:
    """The real script, in a folder that has nothing but wrong params: one line, and nothing slow is imported before.

    Stage train alone imports TensorFlow first.
    """
    content["recipes"]["tutorial"]["batch_size"] = -3
    write(tmp_path, content)
    ended = run(tmp_path, ROOT / "stages" / f"{stage}.py")
    lines = ended.stderr.splitlines()
    imported = [line for line in lines if line.startswith("import time:")]
    assert ended.returncode == 1
    assert [line for line in lines if line not in imported and not NOISE.match(line)] == [
        "params.yaml: recipes.tutorial.batch_size: must be greater than 0, got -3"
    ]
    assert ended.stdout == ""
    modules = {line.split("|")[-1].strip() for line in imported}
    assert "digits.params" in modules
    assert not modules & ({"mlflow"} if stage == "train" else {"tensorflow", "keras", "mlflow"})
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.slow
def test_params_can_be_checked_alone(tmp_path: Path, content: dict[str, Any]) -> None:
    """`python -m digits.params` says nothing if all is well."""
    write(tmp_path, content)
    assert run(tmp_path, "-m", "digits.params").returncode == 0
    content["train"]["seed"] = -1
    write(tmp_path, content)
    ended = run(tmp_path, "-m", "digits.params")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "params.yaml: train.seed: must be greater than or equal to 0, got -1"


def test_recipes_share_no_mapping() -> None:
    """`dvc exp run -S recipes.cnn_fast.augmentation.rotation=5` would change every recipe that shares it."""
    recipes = YAML().load(ROOT / "params.yaml")["recipes"]
    nested = [id(value) for recipe in recipes.values() for value in recipe.values() if isinstance(value, dict)]
    assert len(nested) == len(recipes) == len(set(nested))


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("mlp.augmentation.rotation=5", {"augmentation": {"rotation": 5, "scale": 0.12, "shear": 0.12, "shift": 2.5}}),
        ("cnn.augmentation.rotation=5", {"augmentation": {"rotation": 5, "scale": 0.12, "shear": 0.12, "shift": 2.5}}),
        ("cnn_fast.augmentation.shift=1", {"augmentation": {"rotation": 12, "scale": 0.12, "shear": 0.12, "shift": 1}}),
        ("cnn.label_smoothing=0.2", {"label_smoothing": 0.2}),
        ("tiny.blocks=[[8],[8]]", {"blocks": [[8], [8]]}),
        ("tutorial.members=2", {"members": 2}),
    ],
)
def test_override_changes_one_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, Any], override: str, changed: dict[str, Any]
) -> None:
    """Even if others take what they do not set from that one."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    name = override.partition(".")[0]
    (made,) = grid.make([f"train.recipe={name}", f"recipes.{override}"], None)
    assert made.sections["train"]["recipe"] == name
    assert made.sections[f"recipes.{name}"] == content["recipes"][name] | changed
    for other in content["recipes"].keys() - {name}:
        (made,) = grid.make([f"train.recipe={other}", f"recipes.{override}"], None)
        assert made.sections[f"recipes.{other}"] == content["recipes"][other]
