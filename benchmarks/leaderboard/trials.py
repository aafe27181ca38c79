"""The trials of the leaderboard: every recipe with several seeds, and some recipes on fewer images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlflow.entities import Run

from digits import params
from digits.commands.sweep import grid
from digits.commands.sweep.driver import Result
from digits.commands.sweep.grid import SEED, Configuration
from digits.common import files, paths
from digits.common.errors import UserError
from digits.data import download
from digits.params import Params

# The learning curve, of those of these recipes that params.yaml has, on fewer images than it has.
CURVES = ("tutorial",)
SIZES = (1000, 5000, 20_000)


@dataclass(frozen=True)
class Trial:
    """A run of the leaderboard.

    Attributes:
        recipe: the name of the recipe.
        train_size: the number of training images.
        seed: of the training run.
        run: its run in MLflow.
    """

    recipe: str
    train_size: int
    seed: int
    run: Run


def make(seeds: int) -> list[Configuration]:
    """The configurations to run, each with the seeds 0 to `seeds` - 1.

    Raises:
        UserError: params.yaml is not valid or has no validation set, or data/raw has another dataset.
    """
    settings = params.load()
    if not settings.normalize.validation_size:
        raise UserError(
            "params.yaml: normalize.validation_size: must be greater than 0, got 0; the validation set orders the "
            "leaderboard"
        )
    _check_data(settings.fetch.dataset)
    return [made for overrides in _grids(settings) for made in grid.make(overrides, seeds)]


def _check_data(dataset: str) -> None:
    """The test images are those that the models are trained for."""
    try:
        found = files.read_json(paths.RAW / download.METADATA)["name"]
    except FileNotFoundError:
        found = "nothing"
    if found != dataset:
        raise UserError(f"{paths.RAW}: expected dataset {dataset!r}, found {found!r}; run: dvc repro fetch")


def _grids(settings: Params) -> Iterator[list[str]]:
    """The overrides of each grid."""
    yield [f"train.recipe={','.join(settings.recipes)}"]
    recipes = ",".join(recipe for recipe in CURVES if recipe in settings.recipes)
    sizes = ",".join(str(size) for size in SIZES if size < settings.normalize.train_size)
    if recipes and sizes:
        yield [f"train.recipe={recipes}", f"normalize.train_size={sizes}"]


def finished(results: Sequence[Result]) -> list[Trial]:
    """The trials of a sweep, by name, size and seed.

    Raises:
        UserError: a configuration failed; the message names each.
    """
    if failed := [str(result.configuration) for result in results if result.run is None]:
        title = f"{len(failed)} of {len(results)} configurations failed, so that nothing was written:"
        raise UserError("\n".join([title, *sorted(failed)]))
    trials = [_trial(result.configuration, result.run) for result in results if result.run]
    return sorted(trials, key=lambda trial: (trial.recipe, trial.train_size, trial.seed))


def full_size(trials: Sequence[Trial]) -> list[Trial]:
    """The trials with all training images, which are those of the leaderboard itself."""
    size = max(trial.train_size for trial in trials)
    return [trial for trial in trials if trial.train_size == size]


def _trial(configuration: Configuration, run: Run) -> Trial:
    sections, overrides = configuration.sections, configuration.overrides
    return Trial(overrides["train.recipe"], sections["normalize"]["train_size"], int(overrides[SEED]), run)
