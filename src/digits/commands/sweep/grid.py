"""The configurations of a sweep, as `dvc exp run -S` reads them: by undocumented functions, tried with DVC 3.67."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import HydraException

from digits import params
from digits.common.errors import UserError

PARAMS = "params.yaml"
SEED = "train.seed"


@dataclass(frozen=True)
class Configuration:
    """One point of the grid."""

    overrides: Mapping[str, str]  # by dotted key, as given: {"recipes.tutorial.hidden": "[256,128]"}
    text: str  # of its params.yaml

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.overrides.items())

    @property
    def sections(self) -> dict[str, Any]:
        """The sections that DVC tracks, by name, as dvc.lock has them: of the recipes, only the chosen one."""
        return params.tracked(self.text)


def make(set_params: Sequence[str], seeds: int | None) -> list[Configuration]:
    """Every combination of the values in `set_params`, each with the seeds 0 to `seeds` - 1.

    Args:
        set_params: such as `recipes.tutorial.hidden=[128],[256,128]`. Other params are those of params.yaml.
        seeds: how many seeds; None keeps that of params.yaml.

    Raises:
        UserError: an override cannot be read, or a configuration is not valid; one line for each error.
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
        points = get_hydra_sweeps(to_path_overrides(overrides))
        return [_configuration(point[PARAMS]) for point in points]
    except (DvcException, HydraException) as error:
        lines = [line for line in str(error.__cause__ or error).splitlines() if not line.startswith(("See", "To"))]
        raise UserError(f"-S {' -S '.join(set_params)}: {': '.join(lines)}") from error


def _configuration(overrides: Sequence[str]) -> Configuration:
    with TemporaryDirectory() as folder:
        path = Path(folder, PARAMS)
        path.write_bytes(Path(PARAMS).read_bytes())
        apply_overrides(path, overrides)
        try:
            params.load(path)
        except UserError as error:
            raise UserError(f"{' '.join(overrides)}: {error}".replace(f"{path}: ", "")) from error
        return Configuration(dict(override.split("=", 1) for override in overrides), path.read_text())
