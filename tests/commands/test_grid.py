"""The configurations of a sweep."""

from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from digits import params
from digits.commands.sweep import grid
from digits.common.errors import UserError
from helpers.sandbox import ROOT


@pytest.fixture(autouse=True)
def _params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)


def test_every_combination_is_a_configuration() -> None:
    made = grid.make(["recipes.tutorial.learning_rate=0.001,0.003", "recipes.tutorial.hidden=[128],[256,128]"], None)
    assert [list(one.overrides.values()) for one in made] == [
        ["0.001", "[128]"],
        ["0.001", "[256,128]"],
        ["0.003", "[128]"],
        ["0.003", "[256,128]"],
    ]
    recipe = made[-1].sections["recipes.tutorial"]
    assert (recipe["learning_rate"], recipe["hidden"], recipe["batch_size"]) == (0.003, [256, 128], 32)


def test_sections_are_those_that_dvc_writes() -> None:
    """Where a task sets its params by DVC's own function, comments stay."""
    values = ["learning_rate=1e-3", "hidden=[256,128]", "normalization=minmax", "schedule='one_cycle'"]
    (made,) = grid.make([f"recipes.tutorial.{value}" for value in values] + ["train.seed=3"], None)
    apply_overrides("params.yaml", made.arguments)
    assert params.tracked(params.read(Path("params.yaml"))) == made.sections
    assert "each class in proportion" in Path("params.yaml").read_text()


@pytest.mark.parametrize(
    "set_params",
    [
        ["recipes.tutorial.learning_rate=0.001,1e-3,0.0010", "train.seed=0,0,1"],
        ["train.recipe=tutorial", "recipes.mlp.epochs=1,2,3", "train.seed=0,1"],
    ],
)
def test_equal_params_are_one_configuration(set_params: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Written in another way, or of a recipe that was not chosen."""
    made = grid.make(set_params, None)
    assert [one.sections["train"]["seed"] for one in made] == [0, 1]
    assert "configurations have the params of another, and run once" in capsys.readouterr().err


def test_seeds_multiply_the_configurations() -> None:
    made = grid.make(["recipes.tutorial.normalization=l2,minmax"], 3)
    assert [one.sections["train"]["seed"] for one in made] == [0, 1, 2, 0, 1, 2]
    assert [one.sections["train"]["seed"] for one in grid.make([], 2)] == [0, 1]


def test_only_the_chosen_recipe_counts() -> None:
    (one,) = grid.make(["train.seed=7"], None)
    assert set(one.sections) == {"fetch", "normalize", "train", "predict_sample", "recipes.tutorial"}


@pytest.mark.parametrize(
    ("set_params", "seeds", "message"),
    [
        ([], None, "nothing to sweep over"),
        (["train.sed=1"], None, "-S train.sed: must be a key of params.yaml that has a value"),
        (["train.seed"], None, "missing EQUAL"),
        (["recipes.tutorial.hidden=[128"], None, "no viable alternative"),
        (["train.seed=0,-1"], None, "train.seed=-1: train.seed: must be greater than or equal to 0, got -1"),
        (["train.recipe=tutorial,none"], None, "train.recipe: must be one of tutorial, mlp, cnn, cnn_fast, tiny"),
        (["train.seed=1", "train.seed=2"], None, "train.seed is given twice"),
        (["train.seed=1"], 2, "train.seed is given twice, once by --seeds"),
        (["other.yaml:train.seed=1"], None, "must be a key of params.yaml"),
        (["+train.seeds=1"], None, "must be a key of params.yaml"),
        (["train={seed: 1}"], None, "-S train: must be a key of params.yaml that has a value"),
        (["train.seed.x=1"], None, "-S train.seed.x: must be a key of params.yaml that has a value"),
        (["train.seed=range(0)"], None, "train.seed=range(0): has no value"),
        ([], 10**12, "more than 10,000 configurations"),
        (["train.seed=range(1000)", "train.threads=range(1,1000)"], None, "more than 10,000 configurations"),
    ],
)
def test_errors_are_one_line(set_params: list[str], seeds: int | None, message: str) -> None:
    with pytest.raises(UserError) as raised:
        grid.make(set_params, seeds)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
