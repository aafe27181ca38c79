"""The results of the pipeline on one page of Markdown, which Git hosts show next to the pictures."""

import csv
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from digits.common import files, paths
from digits.data import download
from digits.params import Normalize, Recipe, Train


def render(normalize: Normalize, train: Train, recipe: Recipe) -> str:
    """The page, from params and the files in reports/. Its pictures have paths relative to reports/."""
    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=templates, undefined=StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    return environment.get_template("page.md.jinja").render(
        normalize=normalize,
        train=train,
        recipe=recipe.model_dump(mode="json", exclude_unset=True),
        dataset=files.read_json(paths.RAW / download.METADATA),
        metrics=files.read_json(paths.METRICS),
        prediction=files.read_json(paths.PREDICTION),
        history=list(csv.DictReader(paths.HISTORY.read_text().splitlines())),
    )
