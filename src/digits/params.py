"""params.yaml as frozen models. `load()` reads it; `python -m digits.params` only checks it."""

from collections.abc import Mapping
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.common.errors import UserError, exit_on_user_error
from digits.common.types import CLASSES, IMAGE_SIDE
from digits.data.catalogue import CATALOGUE


def _in_catalogue(name: str) -> str:
    if name not in CATALOGUE:
        raise ValueError(f"must be one of {', '.join(CATALOGUE)}")
    return name


def _check_blocks(blocks: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    if not 1 <= len(blocks) <= 3 or not all(blocks):
        raise ValueError("must be one to three lists, none of them empty")
    return blocks


MAX_MEMORY = 32e9  # bytes, for training

Count = Annotated[int, Field(gt=0, le=1_000_000)]
# A dot would split the key `recipes.${train.recipe}` of DVC, and Hydra would read `1e5` as a number.
RecipeName = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # the range that NumPy and Keras both accept
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Location = tuple[int | str, ...]  # of an error, as pydantic has it
Widths = Annotated[tuple[Count, ...], Strict(False)]  # accept a list for the tuple; its items stay strict


class Section(BaseModel):
    """A section of params.yaml: exactly these keys, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Fetch(Section):
    """The dataset to fetch."""

    dataset: Annotated[str, AfterValidator(_in_catalogue)]


class Normalize(Section):
    """The sizes and the seed of the split. How pixels are scaled is part of the recipe."""

    train_size: Count
    validation_size: Annotated[int, Field(ge=0, le=1_000_000)]
    split_seed: Seed


class Train(Section):
    """The recipe to follow, the seed, and TensorFlow's threads."""

    recipe: RecipeName
    seed: Seed
    threads: Annotated[int, Field(gt=0, le=1024)]


class PredictSample(Section):
    """The test image to look at. The stage checks its range."""

    index: int


class Augmentation(Section):
    """Upper limits of the random changes of an image, 0 for none; see `digits.training.augmentation`."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    scale: Fraction
    shear: Fraction
    shift: Annotated[float, Field(ge=0, le=IMAGE_SIDE)]
    strokes: Share = 0
    light: Share = 0
    patches: Share = 0
    salt_and_pepper: Share = 0
    blur: Annotated[float, Field(ge=0, le=IMAGE_SIDE)] = 0
    noise: Share = 0

    @property
    def is_active(self) -> bool:
        """Whether images are changed at all."""
        return any(self.model_dump().values())


class _Recipe(Section):
    """The settings that every architecture has."""

    normalization: Literal["l2", "minmax", "contrast"]
    augmentation: Augmentation
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    batch_size: Count
    epochs: Count
    members: Annotated[int, Field(gt=0, le=100)]
    views: Literal[1, 4]

    @field_validator("augmentation")
    @classmethod
    def _augmentation_excludes_l2(cls, value: Augmentation, info: ValidationInfo) -> Augmentation:
        if value.is_active and info.data.get("normalization") == "l2":
            raise ValueError(
                "must be all 0 with normalization l2, which depends on the whole image; use minmax or contrast"
            )
        return value


class Mlp(_Recipe):
    """A recipe for a network of dense layers."""

    architecture: Literal["mlp"]
    hidden: Widths

    @model_validator(mode="after")
    def _fits_into_memory(self) -> "Mlp":
        widths = [IMAGE_SIDE**2, *self.hidden, CLASSES]
        weights = sum(inputs * outputs for inputs, outputs in pairwise(widths))
        _check_memory(self, weights, sum(widths))
        return self


class Cnn(_Recipe):
    """A recipe for a network of convolutions, in blocks."""

    architecture: Literal["cnn"]
    blocks: Annotated[tuple[Widths, ...], Strict(False), AfterValidator(_check_blocks)]

    @model_validator(mode="after")
    def _fits_into_memory(self) -> "Cnn":
        widths = [4, *chain.from_iterable(self.blocks)]
        weights = sum(9 * inputs * outputs for inputs, outputs in pairwise(widths))
        places = [(IMAGE_SIDE // 2**block) ** 2 for block in range(1, 4)]
        _check_memory(self, weights, sum(place * sum(block) for place, block in zip(places, self.blocks, strict=False)))
        return self


def _check_memory(recipe: _Recipe, weights: int, activations: int) -> None:
    """Refuse a network of so many weights, and activations per image, that training would not fit into memory.

    float32: each weight with its gradient and Adam's two moments; each activation, before and after the nonlinearity,
    with its gradient.
    """
    estimated = 4 * (4 * weights * recipe.members + 3 * activations * recipe.batch_size)
    if estimated > MAX_MEMORY:
        raise ValueError(
            f"{weights:,} weights and batches of {recipe.batch_size:,} images would take {estimated / 1e9:,.0f} GB of "
            f"memory; at most {MAX_MEMORY / 1e9:.0f} GB are allowed"
        )


Recipe = Mlp | Cnn
RECIPES: Mapping[str, type[Recipe]] = {"mlp": Mlp, "cnn": Cnn}  # by architecture


class Params(Section):
    """All of params.yaml."""

    fetch: Fetch
    normalize: Normalize
    train: Train
    predict_sample: PredictSample
    recipes: Annotated[Mapping[RecipeName, Annotated[Recipe, Field(discriminator="architecture")]], Field(min_length=1)]

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
        UserError: one line for each error.
    """
    return check(read(path), str(path))


def read(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return YAML(typ="safe").load(path)
    except RecursionError as error:
        raise UserError(f"{path}: cannot be read: it is nested too deeply") from error
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    except ValueError as error:  # a number of thousands of digits, or a date that does not exist
        raise UserError(f"{path}: cannot be read: {str(error).split(';')[0]}") from error


def check(content: Any, name: str) -> Params:
    """The content of a params.yaml, checked; `name` begins each line of an error.

    Raises:
        UserError: one line for each error.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError("\n".join(f"{name}: {_format_error(one)}" for one in error.errors())) from error


def tracked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of a valid params.yaml as dvc.lock has them: of the recipes, only the chosen one."""
    name = content["train"]["recipe"]
    sections = {key: section for key, section in content.items() if key != "recipes"}
    return sections | {f"recipes.{name}": content["recipes"][name]}


ALLOWED = {  # by the type of pydantic's error, where its own message does not serve
    "model_attributes_type": "must be a mapping",
    "model_type": "must be a mapping",
    "string_pattern_mismatch": "must be a letter, then letters, digits, - or _",
    "too_short": "must not be empty",
    "union_tag_invalid": f"must be {' or '.join(map(repr, RECIPES))}",
}


def _format_error(error: ErrorDetails) -> str:
    """One error as `key: allowed, got value`."""
    where, kind, value, context = _dotted(error["loc"]), error["type"], error["input"], error.get("ctx", {})
    if kind.startswith("union_tag"):
        where, value = f"{where}.architecture", context.get("tag")
    if kind in ("missing", "union_tag_not_found"):
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        return f"{where}: is not a known key; allowed here: {', '.join(_known_keys(error['loc'][:-1]))}"
    message = str(context["error"]) if kind == "value_error" else ALLOWED.get(kind, error["msg"])
    if kind == "value_error" and isinstance(value, Mapping):  # the message names the values
        return f"{where}: {message}" if where else message
    return f"{where or 'the file'}: {message.replace('Input should', 'must')}, got {value!r:.80}"


def _dotted(location: Location) -> str:
    """The key at `location`. After a recipe's name, pydantic has its architecture, which is not part of the key."""
    keys = [str(key) if str(key).isprintable() else repr(key) for key in location if key != "[key]"]
    return ".".join(keys[:2] + keys[3:] if keys[:1] == ["recipes"] else keys)


def _known_keys(location: Location) -> list[str]:
    """The keys of the section at `location`."""
    if location[:1] == ("recipes",):
        return list((Augmentation if location[-1] == "augmentation" else RECIPES[str(location[2])]).model_fields)
    section = Params.model_fields[str(location[0])].annotation if location else Params
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, Section) else []


if __name__ == "__main__":
    exit_on_user_error(load)
