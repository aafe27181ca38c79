"""The configurations of a sweep, read as `dvc exp run -S` does: by undocumented functions, tried with DVC 3.67."""

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.hydra import get_hydra_sweeps, to_hydra_overrides
from hydra.errors import HydraException

from digits import params
from digits.common.errors import UserError
from digits.params import Params

PARAMS = "params.yaml"
SEED = "train.seed"
LIMIT = 10_000  # configurations of one sweep


@dataclass(frozen=True)
class Configuration:
    """One point of the grid."""

    overrides: Mapping[str, str]  # by dotted key, as given: {"recipes.tutorial.hidden": "[256,128]"}
    sections: Mapping[str, Any]  # those that DVC tracks, by name, as dvc.lock has them: of the recipes, the chosen one

    @property
    def arguments(self) -> list[str]:
        """The overrides as `dvc exp run -S` takes them."""
        return [f"{key}={value}" for key, value in self.overrides.items()]

    def __str__(self) -> str:
        return " ".join(self.arguments)


def make(set_params: Sequence[str], seeds: int | None) -> list[Configuration]:
    """Every combination of the values in `set_params`, each with the seeds 0 to `seeds` - 1.

    Combinations with equal params are one configuration.

    Args:
        set_params: such as `recipes.tutorial.hidden=[128],[256,128]`. Other params are those of params.yaml.
        seeds: how many seeds; None keeps that of params.yaml.

    Raises:
        UserError: an override cannot be read, there are too many, or a configuration is not valid; one line for each
            error.
    """
    if not Path(PARAMS).exists():
        raise UserError(f"there is no {PARAMS} here; run the command in the repository")
    overrides = [*set_params, *([f"{SEED}=range({seeds})"] if seeds else [])]
    if not overrides:
        raise UserError("nothing to sweep over; give values, as in -S train.seed=0,1,2, or --seeds 3")
    keys = [override.partition("=")[0] for override in overrides]
    for key in keys:
        if ":" in key or key.startswith(("+", "~")):
            raise UserError(f"-S {key}: must be a key of {PARAMS}, such as train.seed")
        if keys.count(key) > 1:
            raise UserError(f"{key} is given twice" + (", once by --seeds" if seeds and key == SEED else ""))
    try:
        _check_size(overrides)
        points = [point[PARAMS] for point in get_hydra_sweeps({PARAMS: overrides})]
    except (DvcException, HydraException) as error:
        lines = [line for line in str(error.__cause__ or error).splitlines() if not line.startswith(("See", "To"))]
        raise UserError(f"-S {' -S '.join(set_params)}: {': '.join(lines)}") from error
    return list(_distinct(points))


def _check_size(overrides: Sequence[str]) -> None:
    """Refuse a grid that is empty or too large, before it is made."""
    counts = [
        len(list(itertools.islice(override.sweep_iterator(), LIMIT + 1))) if override.is_sweep_override() else 1
        for override in to_hydra_overrides(overrides)
    ]
    if not math.prod(counts):
        raise UserError(f"{overrides[counts.index(0)]}: has no value")
    if math.prod(counts) > LIMIT:
        raise UserError(f"more than {LIMIT:,} configurations; a sweep runs at most so many")


def _distinct(points: Sequence[Sequence[str]]) -> Iterator[Configuration]:
    content = params.read(Path(PARAMS))
    found = set[str]()
    for overrides in points:
        changed = _copy(content)
        for override in overrides:
            _set(changed, *override.split("=", 1))
        try:
            checked = params.check(changed, PARAMS)
        except UserError as error:
            raise UserError(f"{' '.join(overrides)}: {error}".replace(f"{PARAMS}: ", "")) from error
        identity = _identity(checked)
        if identity not in found:
            found.add(identity)
            yield Configuration(dict(override.split("=", 1) for override in overrides), params.tracked(changed))
    if repeated := len(points) - len(found):
        sys.stderr.write(f"{repeated} of {len(points)} configurations have the params of another, and run once\n")


def _copy(content: Any) -> Any:
    """A copy in which recipes share nothing, as they do with YAML's aliases."""
    if isinstance(content, dict):
        return {key: _copy(value) for key, value in content.items()}
    return [_copy(item) for item in content] if isinstance(content, list) else content


def _set(content: Any, key: str, value: str) -> None:
    """Set a param that is there, by its dotted key."""
    *sections, last = key.split(".")
    for section in sections:
        content = content.get(section) if isinstance(content, dict) else None
    if not isinstance(content, dict) or last not in content or isinstance(content[last], dict):
        raise UserError(f"-S {key}: must be a key of {PARAMS} that has a value, such as {SEED}")
    content[last] = _parse(f"{key}={value}")


@cache
def _parse(override: str) -> Any:
    (parsed,) = to_hydra_overrides([override])
    return parsed.value()


def _identity(checked: Params) -> str:
    return checked.model_dump_json(exclude={"recipes"}) + checked.recipe.model_dump_json()
