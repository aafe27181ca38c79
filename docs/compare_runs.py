"""Takes docs/compare-runs.png: the page that `digits ui` opens, in headless Chromium, with the runs of three recipes.

Run it in a clone without other runs, as `make picture`.
"""

import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from helpers import browser

PICTURE = Path("docs/compare-runs.png")
WIDTH, HEIGHT = 1600, 900
HIDE_TOOLS = """
const style = document.createElement("style");
style.textContent = ".modebar { display: none }";  // Plotly's buttons, which cover a part of each chart
document.head.append(style);
"""


def main() -> None:
    """Open the printed address, and wait for the charts."""
    with TemporaryDirectory() as folder, browser.chromium(Path(folder)) as driver:
        command = ("digits", "ui", "--no-browser")
        with browser.server(*command, health="/health", environment={}, cwd=Path.cwd()) as server:
            log = Path("server.log")
            (address,) = re.findall(rf"^The runs: ({server}/\S+)", log.read_text(), re.MULTILINE)
            log.unlink()
            driver.set_window_size(WIDTH, HEIGHT)
            driver.get(address)
            WebDriverWait(driver, 60).until(browser.has_charts)
            driver.find_element(By.CSS_SELECTOR, '[aria-label="Close"]').click()  # the assistant, which opens by itself
            driver.execute_script(HIDE_TOOLS)
            time.sleep(2)  # until the charts have their new size
            driver.save_screenshot(str(PICTURE))


if __name__ == "__main__":
    main()
