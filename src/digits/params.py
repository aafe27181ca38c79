"""params.yaml, checked and frozen: `load()` gives it, and `python -m digits.params` only checks it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.datasets import CATALOGUE
from digits.errors import InputError, run_stage

PARAMS_FILE = Path("params.yaml")


def _catalogued(name: str) -> str:
    if name not in CATALOGUE:
        raise ValueError(f"must be one of {', '.join(CATALOGUE)}")
    return name


Count = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy and Keras both take


class Section(BaseModel):
    """A mapping of params.yaml with exactly the keys named here, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Fetch(Section):
    """Which images there are."""

    dataset: Annotated[str, AfterValidator(_catalogued)]


class Normalize(Section):
    """How pixels are scaled, and which images are held out of the training set."""

    method: Literal["l2", "minmax"]
    validation_size: Annotated[int, Field(ge=0)]
    validation_seed: Seed


class Train(Section):
    """Which recipe to follow, and from which seed."""

    recipe: str
    seed: Seed


class PredictSample(Section):
    """Which test image to look at; the stage, which knows how many there are, checks the range."""

    index: int


class Recipe(Section):
    """A network and how it is trained."""

    architecture: Literal["mlp"]
    # YAML has lists, not tuples: only the outer type is taken leniently.
    hidden: Annotated[tuple[Count, ...], Strict(False)]
    optimizer: Literal["adam", "sgd"]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Count
    epochs: Count
    threads: Annotated[int, Field(gt=0, le=1024)]
    xla: bool


class Params(Section):
    """The whole of params.yaml."""

    fetch: Fetch
    normalize: Normalize
    train: Train
    predict_sample: PredictSample
    recipes: Mapping[str, Recipe]

    @model_validator(mode="after")
    def _recipe_exists(self) -> "Params":
        if self.train.recipe not in self.recipes:
            raise ValueError(f"train.recipe: must be one of {', '.join(self.recipes)}, got {self.train.recipe!r}")
        return self

    @property
    def recipe(self) -> Recipe:
        """The recipe that `train.recipe` names."""
        return self.recipes[self.train.recipe]


def load(path: Path = PARAMS_FILE) -> Params:
    """Read and check `path`.

    Raises:
        InputError: one line for each fault, or for what keeps the file from being read.
    """
    try:
        content = YAML(typ="safe").load(path)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {_line(fault)}" for fault in error.errors())) from error


def _line(fault: ErrorDetails) -> str:
    """One fault in our words: where, what is allowed, what came."""
    where = ".".join(str(key) for key in fault["loc"])
    match fault["type"]:
        case "missing":
            return f"{where}: is missing"
        case "extra_forbidden":
            return f"{where}: is not a known key; allowed here: {', '.join(_known_keys(fault['loc'][:-1]))}"
        case "value_error" if not where:
            return str(fault["ctx"]["error"])
        case "value_error":
            wanted = str(fault["ctx"]["error"])
        case "model_type":
            wanted = "must be a mapping"
        case _:
            wanted = fault["msg"].replace("Input should", "must")
    return f"{where or 'the file'}: {wanted}, got {fault['input']!r:.80}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at `location`."""
    if location[:1] == ("recipes",):
        return list(Recipe.model_fields)
    section = Params.model_fields[str(location[0])].annotation if location else Params
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, Section) else []


if __name__ == "__main__":
    run_stage(load)
