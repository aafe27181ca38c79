"""The report has the results of the real pipeline, and nothing that a browser would have to fetch."""

import json
import re
import shutil
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

import browser
from digits.common import files
from sandbox import ROOT, Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]


@pytest.fixture
def results(pipeline: Sandbox, tmp_path: Path) -> Sandbox:
    """A copy of the results without a leaderboard."""
    copy = pipeline.copy(tmp_path / "digits", PYTHONPATH=str(ROOT / "src"))
    shutil.rmtree(copy.root / "reports/leaderboard", ignore_errors=True)
    (copy.root / "reports/leaderboard.csv").unlink(missing_ok=True)
    return copy


def test_page_has_the_results_and_no_links(results: Sandbox) -> None:
    assert results.run("digits", "report") == "The report: reports/index.html\n"
    page = (results.root / "reports/index.html").read_text()
    metrics = json.loads((results.root / "reports/metrics.json").read_bytes())
    assert f"<dd>{100 * metrics['accuracy']:.2f} %</dd>" in page
    assert f"<dd>{metrics['errors']}</dd>" in page
    assert "Test image 1000 is labelled 9 and predicted" in page
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) == 8
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in page
    assert "All recipes" not in page
    assert "?? reports/" not in results.run("git", "status", "--porcelain", "reports"), "ignored by Git"


def test_leaderboard_is_part_of_the_page(results: Sandbox) -> None:
    row = {"recipe": "cnn", "test_accuracy": 0.997, "test_accuracy_std": 0.0004, "parameters": 90314}
    row |= {"training_seconds": 215.25, "expected_calibration_error": 0.0015, "corruption_error": 0.085}
    files.write_csv(results.root / "reports/leaderboard.csv", {name: [value] for name, value in row.items()})
    for name in ("error_by_time", "robustness", "corruptions", "label_errors"):
        files.write_bytes(results.root / f"reports/leaderboard/{name}.png", b"PNG")
    results.run("digits", "report")
    page = (results.root / "reports/index.html").read_text()
    for text in ("All recipes", "99.70 % ± 0.04", "90,314", "215.2 s", "0.15 %", "8.5 %"):
        assert text in page
    assert page.count("<img") == 12


@pytest.mark.parametrize("missing", ["reports/metrics.json", "dvc.lock", "reports/evaluation/errors.png"])
def test_missing_results_are_one_line(results: Sandbox, missing: str) -> None:
    (results.root / missing).unlink()
    output = results.run("digits", "report", ok=False)
    assert output == f"the results are not complete, {missing} is missing; run: dvc repro\n"
    assert not (results.root / "reports/index.html").exists()


def test_plots_of_dvc_need_no_network(results: Sandbox, tmp_path: Path) -> None:
    """`dvc plots show`: the page has Vega inside, and draws the four plots that are no pictures."""
    browser.needs_chromium()
    page = results.run("dvc", "plots", "show").splitlines()[-1]
    with browser.chromium(tmp_path / "profile") as driver:
        driver.get(page)
        WebDriverWait(driver, 30).until(
            lambda _: len(driver.find_elements(By.CSS_SELECTOR, ".vega-embed svg.marks")) == 4
        )
        sources = [image.get_attribute("src") or "" for image in driver.find_elements(By.TAG_NAME, "img")]
        scripts = [script.get_attribute("src") for script in driver.find_elements(By.TAG_NAME, "script")]
    assert len(sources) >= 7, "the pictures"
    assert all(source.startswith(results.root.as_uri()) for source in sources)
    assert not any(scripts)
