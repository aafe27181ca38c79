"""The configurations of a sweep."""

from pathlib import Path

import pytest

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
    assert "each class in proportion" in made[-1].text, "comments stay"


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
        (["train.sed=1"], None, "Could not override 'train.sed'"),
        (["train.seed"], None, "missing EQUAL"),
        (["recipes.tutorial.hidden=[128"], None, "no viable alternative"),
        (["train.seed=0,-1"], None, "train.seed=-1: train.seed: must be greater than or equal to 0, got -1"),
        (["train.recipe=tutorial,none"], None, "train.recipe: must be one of tutorial, mlp, cnn, cnn_fast, ensemble"),
        (["train.seed=1", "train.seed=2"], None, "train.seed is given twice"),
        (["train.seed=1"], 2, "train.seed is given twice, once by --seeds"),
        (["other.yaml:train.seed=1"], None, "must be a key of params.yaml"),
        (["+train.seeds=1"], None, "must be a key of params.yaml"),
    ],
)
def test_errors_are_one_line(set_params: list[str], seeds: int | None, message: str) -> None:
    with pytest.raises(UserError) as raised:
        grid.make(set_params, seeds)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
