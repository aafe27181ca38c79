"""The page of `digits draw` in headless Chromium: mouse, touch, keyboard, and a server that is slow or gone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

import numpy as np
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium_axe_python.axe import Axe

from digits.common.types import Pixels, Probabilities
from helpers import browser
from helpers.drawings import by_width, serving
from helpers.sandbox import Sandbox
from helpers.skeletons import placed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cnn")]

Stroke = list[tuple[float, float]]

# Strokes of a digit; fractions of the paper's side.
ONE = [[(0.5, 0.2), (0.5, 0.8)]]
SEVEN = [[(0.3, 0.25), (0.7, 0.25), (0.55, 0.55), (0.45, 0.85)]]
DASH = [(0.2, 0.2), (0.5, 0.2)]  # on top of the 1


@dataclass(frozen=True)
class Page:
    """The page that is open in a browser."""

    driver: Chrome

    def open(self, address: str) -> None:
        self.driver.get(address)
        self.expect("Draw one digit.")

    def find(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    @property
    def answer(self) -> str:
        return str(self.find("answer").get_property("textContent"))

    def expect(self, start: str) -> None:
        """Wait until the answer starts so."""
        for _ in range(100):
            if self.answer.startswith(start):
                return
            time.sleep(0.1)
        pytest.fail(f"The answer should start with {start!r}: {self.answer}")

    def settled(self) -> str:
        """The answer once it has not changed for a quarter of a second."""
        last = ""
        while last != self.answer or last == "Draw one digit.":
            last = self.answer
            time.sleep(0.25)
        return last

    def draw(self, *strokes: Stroke, kind: str = interaction.POINTER_MOUSE) -> None:
        for stroke in strokes:
            self.press_and_move(stroke, kind).release().perform()

    def press_and_move(self, stroke: Stroke, kind: str = interaction.POINTER_MOUSE) -> ActionChains:
        """Actions that draw a stroke, without the release at its end."""
        paper = self.find("paper")
        side = paper.size["width"]
        actions = ActionChains(self.driver, duration=20, devices=[PointerInput(kind, kind)])
        for i, (x, y) in enumerate(stroke):
            actions.move_to_element_with_offset(paper, round((x - 0.5) * side), round((y - 0.5) * side))
            if i == 0:
                actions.click_and_hold()
        return actions

    def type(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def percentages(self) -> list[str]:
        return [percent.text for percent in self.driver.find_elements(By.CSS_SELECTOR, "#probabilities .percent")]

    def pixels(self, name: str) -> int:
        """How many pixels of a canvas are neither black nor transparent."""
        script = """
            const canvas = document.getElementById(arguments[0]);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return data.filter((value, i) => i % 4 === 0 && value > 0).length;
        """
        return int(self.driver.execute_script(script, name))

    def enabled_buttons(self) -> list[str]:
        return [name for name in ("undo", "clear") if self.find(name).is_enabled()]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser.chromium(tmp_path_factory.mktemp("chromium"), log_requests=True) as driver:
        yield driver


@pytest.fixture
def page(driver: Chrome) -> Page:
    return Page(driver)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(by_width) as address:
        yield address


def test_network_reads_drawings(page: Page, cnn: Sandbox) -> None:
    """Large and small digits, and small ones in a corner."""
    places = [(0.9, 0.05), (0.3, 0.35), (0.3, 0.05)]
    wrong = list[str]()
    with browser.server("digits", "draw", "--no-browser", health="/", environment=cnn.environment, cwd=cnn.root) as url:
        for size, corner in places:
            for digit in range(10):
                page.open(url)
                page.draw(*placed(digit, size, corner, corner))
                if not page.settled().startswith(f"{digit} with "):
                    wrong.append(f"{digit} at {size}, {corner}: {page.answer}")
    assert len(wrong) <= 2, wrong


def test_answer_is_text_bars_and_pixels(page: Page, address: str) -> None:
    page.open(address)
    assert page.pixels("seen") == 0
    page.draw(*SEVEN)
    page.expect("7 with 91.0\u00a0%, then 0 (1.0\u00a0%) and 1 (1.0\u00a0%)")
    assert page.percentages() == [f"{'91.0' if digit == 7 else '1.0'} %" for digit in range(10)]
    widths = "return [...document.querySelectorAll('.bar')].map((bar) => bar.style.width)"
    assert page.driver.execute_script(widths) == [f"{91 if digit == 7 else 1}%" for digit in range(10)]
    assert page.pixels("seen") > 50


def test_answer_changes_while_drawing(page: Page, address: str) -> None:
    page.open(address)
    page.press_and_move(ONE[0]).perform()
    page.expect("1 with ")
    assert page.find("answer").get_attribute("aria-busy") == "true"
    page.press_and_move([]).release().perform()
    assert page.find("answer").get_attribute("aria-busy") == "false"


def test_certain_answer_is_a_short_sentence(page: Page) -> None:
    with serving(lambda images: np.tile(np.eye(10, dtype=np.float32)[7], (len(images), 1))) as address:
        page.open(address)
        page.draw(*SEVEN)
        page.expect("7 with more than 99.9\u00a0%")
        assert page.answer == "7 with more than 99.9\u00a0%"


def test_strokes_can_be_undone_and_cleared(page: Page, address: str) -> None:
    page.open(address)
    assert page.enabled_buttons() == []
    page.draw(ONE[0], DASH)
    page.expect("7 with ")
    page.find("undo").click()
    page.expect("1 with ")
    assert page.enabled_buttons() == ["undo", "clear"]
    ActionChains(page.driver).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    for erase in (page.find("clear").click, lambda: page.type(Keys.ESCAPE), lambda: page.type(Keys.DELETE)):
        page.expect("Draw one digit.")
        assert (page.enabled_buttons(), page.pixels("paper"), page.pixels("seen")) == ([], 0, 0)
        page.draw(ONE[0], DASH)
        page.expect("7 with ")
        erase()
    page.expect("Draw one digit.")


def test_focus_is_not_lost_with_the_last_stroke(page: Page, address: str) -> None:
    page.open(address)
    page.draw(*ONE)
    page.type(Keys.TAB)
    assert page.driver.switch_to.active_element == page.find("undo")
    page.type(Keys.ENTER)
    assert page.driver.switch_to.active_element == page.find("paper")


def test_keyboard_draws(page: Page, address: str) -> None:
    page.open(address)
    page.type(Keys.TAB)
    assert page.driver.switch_to.active_element == page.find("paper")
    assert (page.find("paper").accessible_name, page.find("pen").text) == ("Paper", "Pen up")
    page.type(*[Keys.ARROW_UP] * 12)
    assert page.enabled_buttons() == []
    assert page.pixels("paper") > 0, "the pen is visible"
    page.type(Keys.SPACE, *[Keys.ARROW_DOWN] * 24)
    assert page.find("pen").text == "Pen down"
    page.expect("1 with ")
    page.type(*[Keys.ARROW_RIGHT] * 12)
    page.expect("7 with ")
    page.type(Keys.SPACE, *[Keys.ARROW_UP] * 12)
    assert page.find("pen").text == "Pen up"
    page.find("undo").click()
    page.expect("Draw one digit.")


def test_second_digit_is_refused_politely(page: Page, address: str) -> None:
    page.open(address)
    page.draw([(0.2, 0.2), (0.2, 0.8)], [(0.8, 0.2), (0.8, 0.8)])
    page.expect("The drawing shows 2 digits; keep one of them.")
    assert page.percentages() == ["–"] * 10  # noqa: RUF001 - an en dash


def test_late_answer_is_not_shown(page: Page) -> None:
    is_asked, may_answer = Event(), Event()

    def slow(images: Pixels) -> Probabilities:
        is_asked.set()
        may_answer.wait(30)
        return by_width(images)

    with serving(slow) as address:
        page.open(address)
        page.driver.execute_script("""
            texts = [];
            new MutationObserver(() => texts.push(answer.textContent)).observe(answer, {childList: true});
        """)
        page.draw(*SEVEN)
        assert is_asked.wait(30)
        page.type(Keys.ESCAPE)
        page.draw(*ONE)
        may_answer.set()
        page.expect("1 with ")
        assert {text[0] for text in page.driver.execute_script("return texts")} == {"1"}


def test_page_recovers_when_the_server_is_back(page: Page) -> None:
    with serving(by_width) as address:
        page.open(address)
        page.draw(*ONE)
        page.expect("1 with ")
    page.draw(DASH)
    page.expect("The server does not answer.")
    time.sleep(0.5)  # until the question about the whole stroke has failed, too
    with serving(by_width, int(address.rpartition(":")[2])):
        page.expect("7 with ")


def test_nothing_leaves_the_machine(page: Page, address: str) -> None:
    page.driver.get("about:blank")
    browser.requested_urls(page.driver)
    page.driver.get_log("browser")
    page.open(address)
    page.draw(*SEVEN)
    page.expect("7 with ")
    urls = browser.requested_urls(page.driver) - {f"{address}/icon.svg"}  # which the browser may still have
    assert urls == {f"{address}/{file}" for file in ("", "draw.css", "draw.js", "predict")}
    assert page.driver.get_log("browser") == []


@pytest.fixture
def emulate(driver: Chrome) -> Iterator[Callable[..., None]]:
    """Emulate a media feature or a small screen for one test."""

    def emulate(command: str, **params: object) -> None:
        driver.execute_cdp_cmd(f"Emulation.{command}", params)

    yield emulate
    emulate("setEmulatedMedia", features=[])
    emulate("clearDeviceMetricsOverride")
    emulate("setTouchEmulationEnabled", enabled=False)


@pytest.mark.parametrize("width", [320, 390])
def test_page_fits_a_phone(page: Page, address: str, emulate: Callable[..., None], width: int) -> None:
    emulate("setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=3, mobile=True)
    emulate("setTouchEmulationEnabled", enabled=True)
    page.open(address)
    page.draw(*ONE, kind=interaction.POINTER_TOUCH)
    page.expect("1 with ")
    size = "return [document.documentElement.scrollWidth, innerWidth, scrollY]"
    assert page.driver.execute_script(size) == [width, width, 0]
    assert page.find("paper").size["width"] > width - 40
    assert page.find("paper").value_of_css_property("touch-action") == "none"
    assert page.driver.execute_script("return paper.width / paper.clientWidth") == 3
    assert page.find("answer").rect["y"] + page.find("answer").rect["height"] < 740
    for name in ("undo", "clear"):
        assert min(page.find(name).size.values()) >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(page: Page, address: str, emulate: Callable[..., None], scheme: str) -> None:
    emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(address)
    axe = Axe(page.driver)
    axe.inject()
    faults = axe.run()["violations"]
    page.draw(*SEVEN)
    page.expect("7 with ")
    faults += axe.run()["violations"]
    assert not faults, axe.report(faults)


def test_ink_differs_from_paper_in_the_dark(page: Page, address: str, emulate: Callable[..., None]) -> None:
    emulate("setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.open(address)
    page.draw(*SEVEN)
    page.expect("7 with ")
    ink = "return [...paper.getContext('2d').getImageData(0.5 * paper.width, 0.25 * paper.height, 1, 1).data]"
    assert min(page.driver.execute_script(ink)) > 200


def test_bars_do_not_move_if_motion_is_unwelcome(page: Page, address: str, emulate: Callable[..., None]) -> None:
    duration = "return getComputedStyle(document.querySelector('.bar')).transitionDuration"
    page.open(address)
    assert page.driver.execute_script(duration) == "0.12s"
    emulate("setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.driver.execute_script(duration) == "0s"
