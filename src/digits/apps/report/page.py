"""The results in reports/ as one page with everything inside, for somebody without MLflow."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from digits.common import files
from digits.common.errors import UserError
from digits.data import download
from digits.plots import history as history_plots
from digits.tracking import pipeline_state

OUTPUT, REPORTS = Path("reports/index.html"), Path("reports")
LEADERBOARD = REPORTS / "leaderboard.csv"
LEADERBOARD_FIGURES = {
    "error_by_time": "Test error against training time, each recipe over its seeds",
    "robustness": "Test error under corruption",
    "corruptions": "A test image under each corruption",
    "label_errors": "Test images that all models give another class than their label",
}
PERCENTAGES = ("test_accuracy", "test_accuracy_std", "expected_calibration_error", "corruption_error")


@dataclass(frozen=True)
class Figure:
    """A picture inside the page.

    Attributes:
        caption: what it shows, which is its alternative text, too.
        data: the PNG file as a data URL.
    """

    caption: str
    data: str


def write() -> Path:
    """Write reports/index.html from the files of the last `dvc repro`, and of the last leaderboard if there is one.

    Raises:
        UserError: there are no results, or they do not belong together.
    """
    try:
        state = pipeline_state.read("track")
        page = _render(state.params)
    except (FileNotFoundError, KeyError) as error:
        missing = getattr(error, "filename", None) or error
        raise UserError(f"the results are not complete, {missing} is missing; run: dvc repro") from error
    files.write_bytes(OUTPUT, page.encode())
    return OUTPUT


def _render(params: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    dataset = files.read_json(Path("data/raw") / download.METADATA)
    history = pd.read_csv(REPORTS / "history.csv")
    recipe = params["train"]["recipe"]
    return environment.get_template("page.html").render(
        dataset=dataset,
        params=params,
        recipe_name=recipe,
        recipe=params[f"recipes.{recipe}"],
        history=history.to_dict("records"),
        metrics=files.read_json(REPORTS / "metrics.json"),
        prediction=files.read_json(REPORTS / "prediction.json"),
        data_figures=_figures("dataset", {"first_image": "The first training image", "samples": "Some of each class"}),
        curves=_curves(history, dataset),
        test_figures=_figures(
            "evaluation",
            {
                "confusion": "Test images by their actual and their predicted class",
                "calibration": "Accuracy by confidence: on the dashed line, the model is as sure as it is right",
                "abstention": "The error that is left if only the most confident predictions count",
            },
        ),
        error_figures=_figures("evaluation", {"errors": "Wrong predictions, the most confident ones first"}),
        sample_figures=_figures("", {"prediction": "A test image and the probability of each class"}),
        leaderboard=_leaderboard(),
        leaderboard_figures=_figures("leaderboard", LEADERBOARD_FIGURES) if LEADERBOARD.exists() else [],
    )


def _figures(folder: str, captions: Mapping[str, str]) -> list[Figure]:
    return [Figure(caption, _data_url(REPORTS / folder / f"{name}.png")) for name, caption in captions.items()]


def _curves(history: pd.DataFrame, dataset: Mapping[str, Any]) -> Figure:
    with TemporaryDirectory() as folder:
        path = Path(folder, "curves.png")
        history_plots.save_curves(path, history, dataset)
        return Figure("Loss and accuracy by epoch", _data_url(path))


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"


def _leaderboard() -> list[dict[Any, Any]]:
    """The rows of the leaderboard, shares in percent; none without one."""
    if not LEADERBOARD.exists():
        return []
    table = pd.read_csv(LEADERBOARD)
    table[list(PERCENTAGES)] *= 100
    return table.to_dict("records")
