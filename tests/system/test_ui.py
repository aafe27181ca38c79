"""The pages of `digits ui` in headless Chromium: runs, their comparison, plots, the registered model."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from digits.tracking import state
from digits.tracking.log_run import log_run
from helpers import browser
from helpers.factories import make_results
from helpers.mlflow_runs import forget_store

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui")]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose mlflow.db has the runs of three states."""
    root = tmp_path_factory.mktemp("ui")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        for epochs, accuracy in ((3, 0.9612), (5, 0.9734), (6, 0.9788)):
            make_results(root, epochs, accuracy, seconds=0.5 * epochs)
            log_run(state.read())
        forget_store()
        yield root


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[str]:
    """The address of the pages of `digits ui`."""
    with browser.server("digits", "ui", "--no-browser", health="/health", environment={}, cwd=store) as address:
        yield address


@pytest.fixture(scope="module")
def open_page(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chrome]]:
    """Open a page, and wait until it shows some texts."""
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as driver:

        def open_page(page: str, *texts: str) -> Chrome:
            driver.get("about:blank")
            driver.get(f"{server}/#{page}")
            expect(driver, *texts)
            return driver

        yield open_page


def find(driver: Chrome, by: str, value: str) -> WebElement:
    """The first such element, once there is one."""
    return WebDriverWait(driver, 30).until(lambda driver: driver.find_elements(by, value))[0]


def expect(driver: Chrome, *texts: str) -> None:
    def shown(driver: Chrome) -> bool:
        body = driver.find_element(By.TAG_NAME, "body").text
        return all(text in body for text in texts)

    body = driver.find_element
    WebDriverWait(driver, 30).until(shown, f"{texts} should be in:\n{body(By.TAG_NAME, 'body').text}")


@pytest.fixture(scope="module")
def ids(store: Path) -> list[str]:
    client = MlflowClient(f"sqlite:///{store}/mlflow.db")
    return [run.info.run_id for run in client.search_runs(["1"])]


def test_printed_address_shows_bars_and_curves(store: Path, server: str, open_page: Callable[..., Chrome]) -> None:
    """Without a click: the runs, their test accuracy as bars, their validation accuracy by epoch."""
    (printed,) = re.findall(r"^The runs: (\S+) \(Ctrl-C to stop\)$", (store / "server.log").read_text(), re.MULTILINE)
    page = printed.removeprefix(f"{server}/#")
    driver = open_page(page, "3 matching runs", "At a glance", "test_accuracy", "val_accuracy", "training_seconds")
    WebDriverWait(driver, 30).until(browser.has_charts)
    expect(driver, "0.96", "0.97", "0.98")
    assert "Error" not in driver.find_element(By.TAG_NAME, "body").text


def test_runs_table_shows_accuracy_and_parameters(open_page: Callable[..., Chrome]) -> None:
    driver = open_page("/experiments/1/runs", "3 matching runs")
    # The circled plus at the table's right edge, whose words show when the mouse is over it.
    plus = find(driver, By.XPATH, "//*[contains(text(), 'Show more columns')]")
    driver.execute_script("arguments[0].click()", plus)
    for column in ("test_accuracy", "train.epochs"):
        find(driver, By.XPATH, f"//*[text()='{column}']").click()
    expect(driver, "0.961", "0.973")
    rows = (By.CSS_SELECTOR, "[role=row] [col-id*='train.epochs']")
    WebDriverWait(driver, 30).until(lambda driver: {"3", "5"} <= {cell.text for cell in driver.find_elements(*rows)})


def test_runs_compare(open_page: Callable[..., Chrome], ids: list[str]) -> None:
    differences = ("Comparing 3 Runs", "train.epochs", "test_accuracy", "0.961", "0.973")
    open_page(f'/compare-runs?runs={json.dumps(ids)}&experiments=["1"]', *differences)


def test_plot_opens(open_page: Callable[..., Chrome], ids: list[str]) -> None:
    driver = open_page(f"/experiments/1/runs/{ids[0]}/artifacts/plots/curves.png", "plots/curves.png")

    def drawn(driver: Chrome) -> bool:
        images = driver.find_elements(By.TAG_NAME, "img")
        return any(image.get_property("naturalWidth") == 200 for image in images)

    WebDriverWait(driver, 30).until(drawn)


def test_registered_model_opens(open_page: Callable[..., Chrome]) -> None:
    open_page("/models/digits", "Version 3", "Version 1", "champion", "validation_accuracy")
