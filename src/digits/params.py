"""params.yaml as frozen models. `load()` reads it; `python -m digits.params` only checks it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.common.errors import UserError
from digits.common.stage import run_stage
from digits.data.catalogue import CATALOGUE


def _in_catalogue(name: str) -> str:
    if name not in CATALOGUE:
        raise ValueError(f"must be one of {', '.join(CATALOGUE)}")
    return name


Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[\w-]+$")]  # DVC reads `recipes.${train.recipe}` as a path of keys
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # the range that NumPy and Keras both accept


class Section(BaseModel):
    """A section of params.yaml: exactly these keys, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Fetch(Section):
    """Which dataset."""

    dataset: Annotated[str, AfterValidator(_in_catalogue)]


class Normalize(Section):
    """How pixels are scaled, how many images to learn from and how many to hold out."""

    method: Literal["l2", "minmax"]
    train_size: Count
    validation_size: Annotated[int, Field(ge=0)]
    split_seed: Seed


class Train(Section):
    """Which recipe to follow, and the seed."""

    recipe: Name
    seed: Seed


class PredictSample(Section):
    """Which test image to look at. The stage checks the range, since it knows how many there are."""

    index: int


class Recipe(Section):
    """A network and how it is trained."""

    architecture: Literal["mlp"]
    # YAML has lists, not tuples, so only the outer type is lenient.
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
    recipes: Mapping[Name, Recipe]

    @model_validator(mode="after")
    def _recipe_exists(self) -> "Params":
        if self.train.recipe not in self.recipes:
            raise ValueError(f"train.recipe: must be one of {', '.join(self.recipes)}, got {self.train.recipe!r}")
        return self

    @property
    def recipe(self) -> Recipe:
        """The recipe that `train.recipe` names."""
        return self.recipes[self.train.recipe]


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check `path`.

    Raises:
        UserError: one line for each fault.
    """
    try:
        content = YAML(typ="safe").load(path)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(f"{path}: {_line(fault)}" for fault in error.errors())) from error


def _line(fault: ErrorDetails) -> str:
    """One fault as `key: what is allowed, got what`."""
    where = ".".join(str(key) for key in fault["loc"] if key != "[key]")
    match fault["type"]:
        case "missing":
            return f"{where}: is missing"
        case "extra_forbidden":
            return f"{where}: is not a known key; allowed here: {', '.join(_known_keys(fault['loc'][:-1]))}"
        case "value_error" if not where:
            return str(fault["ctx"]["error"])
        case "value_error":
            allowed = str(fault["ctx"]["error"])
        case "model_type":
            allowed = "must be a mapping"
        case _:
            allowed = fault["msg"].replace("Input should", "must").replace("String should", "must")
    return f"{where or 'the file'}: {allowed}, got {fault['input']!r:.80}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at `location`."""
    if location[:1] == ("recipes",):
        return list(Recipe.model_fields)
    section = Params.model_fields[str(location[0])].annotation if location else Params
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, Section) else []


if __name__ == "__main__":
    run_stage(load)
