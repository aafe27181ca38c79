"""`dvc plots show` in a browser without a network."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from helpers import browser
from helpers.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]


def test_plots_of_dvc_need_no_network(pipeline: Sandbox, tmp_path: Path) -> None:
    """`dvc plots show`: the page has Vega inside, and draws the four plots that are no pictures."""
    page = pipeline.run("dvc", "plots", "show").splitlines()[-1]
    with browser.chromium(tmp_path / "profile") as driver:
        driver.get(page)
        WebDriverWait(driver, 30).until(
            lambda _: len(driver.find_elements(By.CSS_SELECTOR, ".vega-embed svg.marks")) == 4
        )
        sources = [image.get_attribute("src") or "" for image in driver.find_elements(By.TAG_NAME, "img")]
        scripts = [script.get_attribute("src") for script in driver.find_elements(By.TAG_NAME, "script")]
    assert len(sources) >= 7, "the pictures"
    assert all(source.startswith(pipeline.root.as_uri()) for source in sources)
    assert not any(scripts)
