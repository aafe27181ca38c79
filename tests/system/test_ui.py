"""The pages of `mlflow ui` in headless Chromium: runs, their comparison, plots, the registered model."""

import json
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
    """A folder whose mlflow.db has the runs of two states."""
    root = tmp_path_factory.mktemp("ui")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        for epochs, accuracy in ((3, 0.9612), (5, 0.9734)):
            make_results(root, epochs, accuracy)
            log_run(state.read())
        forget_store()
        yield root


@pytest.fixture(scope="module")
def open_page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chrome]]:
    """Open a page of `mlflow ui`, as typed in the folder of mlflow.db, and wait until it shows some texts."""
    environment = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    profile = tmp_path_factory.mktemp("chromium")
    with (
        browser.server(
            "mlflow", "ui", "--workers", "1", health="/health", environment=environment, cwd=store
        ) as address,
        browser.chromium(profile) as driver,
    ):

        def open_page(page: str, *texts: str) -> Chrome:
            driver.get("about:blank")
            driver.get(f"{address}/#{page}")
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


def test_runs_table_shows_accuracy_and_parameters(open_page: Callable[..., Chrome]) -> None:
    driver = open_page("/experiments/1/runs", "2 matching runs")
    # The circled plus at the table's right edge, whose words show when the mouse is over it.
    plus = find(driver, By.XPATH, "//*[contains(text(), 'Show more columns')]")
    driver.execute_script("arguments[0].click()", plus)
    for column in ("test_accuracy", "train.epochs"):
        find(driver, By.XPATH, f"//*[text()='{column}']").click()
    expect(driver, "0.961", "0.973")
    rows = (By.CSS_SELECTOR, "[role=row] [col-id*='train.epochs']")
    WebDriverWait(driver, 30).until(lambda driver: {"3", "5"} <= {cell.text for cell in driver.find_elements(*rows)})


def test_two_runs_compare_with_curves(open_page: Callable[..., Chrome], ids: list[str]) -> None:
    differences = ("Comparing 2 Runs", "train.epochs", "test_accuracy", "0.961", "0.973")
    open_page(f'/compare-runs?runs={json.dumps(ids)}&experiments=["1"]', *differences)
    driver = open_page("/experiments/1/runs?compareRunsMode=CHART", "Model metrics", "accuracy", "Step")
    traces = (By.CSS_SELECTOR, ".scatterlayer .trace")
    WebDriverWait(driver, 30).until(lambda driver: len(driver.find_elements(*traces)) >= 2)


def test_plot_opens(open_page: Callable[..., Chrome], ids: list[str]) -> None:
    driver = open_page(f"/experiments/1/runs/{ids[0]}/artifacts/plots/curves.png", "plots/curves.png")

    def drawn(driver: Chrome) -> bool:
        images = driver.find_elements(By.TAG_NAME, "img")
        return any(image.get_property("naturalWidth") == 200 for image in images)

    WebDriverWait(driver, 30).until(drawn)


def test_registered_model_opens(open_page: Callable[..., Chrome]) -> None:
    open_page("/models/digits", "Version 2", "Version 1", "champion", "validation_accuracy")
