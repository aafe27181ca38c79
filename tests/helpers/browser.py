"""A headless Chromium, and a server to look at."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By


def requested_urls(driver: webdriver.Chrome) -> set[str]:
    """What the pages have requested since the last call. Needs `log_requests=True`."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return {params["request"]["url"] for params in sent}


def has_charts(driver: webdriver.Chrome) -> bool:
    """Whether MLflow's page shows bars and curves of three runs."""
    shapes = (".barlayer .point", ".scatterlayer .trace")
    return all(len(driver.find_elements(By.CSS_SELECTOR, shape)) >= 3 for shape in shapes)


@contextmanager
def chromium(profile: Path, *, log_requests: bool = False) -> Iterator[webdriver.Chrome]:
    """A browser with a wide window and a new profile in `profile`."""
    options = webdriver.ChromeOptions()
    if log_requests:
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",  # CI runs as root
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=2200,1300",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def server(*command: str, health: str, environment: Mapping[str, str], cwd: Path) -> Iterator[str]:
    """Run `command --port PORT` until the block ends; gives its address once `health` answers."""
    port = free_port()
    log = cwd / "server.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [str(Path(sys.executable).parent / command[0]), *command[1:], "--port", str(port)],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}{health}", running, log)
        yield address
    finally:
        running.terminate()
        running.wait()


def free_port() -> int:
    """A port that no program has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(url: str, running: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until `url` answers; fails if the server ends, or after two minutes, with its output."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(url):
                return
        except (urllib.error.URLError, ConnectionError):
            if running.poll() is not None:
                break
            time.sleep(0.5)
    pytest.fail(log.read_text())
