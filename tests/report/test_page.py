"""The results page says what the results are."""

from pathlib import Path

import pytest

from digits import params
from digits.common import files, paths
from digits.data import download
from digits.report import page
from helpers.factories import make_results
from helpers.sandbox import ROOT

CLASSES = ["T-shirt", *"bcdefghij"]


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of made-up results."""
    monkeypatch.chdir(tmp_path)
    make_results(tmp_path, epochs=3, accuracy=0.9612)
    files.write_json(paths.RAW / download.METADATA, {"name": "fashion", "title": "Fashion", "classes": CLASSES})
    files.write_json(paths.PREDICTION, {"index": 1000, "label": 0, "prediction": 3})
    settings = params.load(ROOT / "params.yaml")
    return page.render(settings.normalize, settings.train, settings.recipe)


def test_page_has_the_results(rendered: str) -> None:
    assert rendered.startswith("# Fashion: recipe `tutorial`\n")
    assert "| 96.12 % | 7 | 1.00 % | 118,282 |" in rendered
    assert "Test image 1000 is labelled T-shirt and predicted d." in rendered
    assert (
        "| epoch | loss | accuracy | val_loss | val_accuracy |\n| ---: | ---: | ---: | ---: | ---: |\n| 1 | 1.0"
        in rendered
    )
    assert "| T-shirt | 96.12 % | 96.12 % | 96.12 % |" in rendered
    assert "\n| learning_rate | 0.001 |\n" in rendered


def test_pictures_of_the_committed_page_exist() -> None:
    text = (ROOT / paths.RESULTS_PAGE).read_text()
    linked = [part.split(")")[0] for part in text.split("](")[1:]]
    assert len(linked) >= 7
    for path in linked:
        assert (ROOT / "reports" / path).exists(), path
