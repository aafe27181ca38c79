"""`digits draw` without a browser: the command, and what its server answers and refuses."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests

from digits.cli import draw
from digits.commands import network
from digits.commands.draw import server
from digits.commands.predict import pictures
from digits.common.errors import UserError
from digits.common.types import Pixels, Probabilities
from helpers.drawings import by_width, serving
from helpers.photos import encode
from helpers.sandbox import NOISE, ROOT


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(by_width) as address:
        yield address


def ink(*boxes: tuple[slice, slice]) -> bytes:
    """A PNG file, 100 x 100, white with black boxes."""
    paper = np.full((100, 100), 255, np.uint8)
    for box in boxes:
        paper[box] = 0
    return encode(paper)


BAR = ink((slice(10, 90), slice(45, 55)))
BLANK = ink()
TWO_BARS = ink((slice(10, 90), slice(20, 30)), (slice(10, 90), slice(70, 80)))


def ask(address: str, drawing: bytes | Iterator[bytes], **headers: str) -> requests.Response:
    return requests.post(f"{address}/predict", drawing, headers={"Content-Type": "image/png"} | headers, timeout=30)


def test_answer_has_probabilities_and_what_the_model_sees(address: str) -> None:
    answer = ask(address, BAR)
    seen = pictures.read(BAR).seen
    assert answer.status_code == 200
    assert answer.json()["seen"] == seen.tolist()
    assert answer.json()["probabilities"] == pytest.approx([0.01, 0.91, *[0.01] * 8])


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("draw.css", "text/css; charset=utf-8"),
        ("draw.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_page_has_its_files(address: str, file: str, kind: str) -> None:
    page = requests.get(f"{address}/{file}", timeout=30)
    assert (page.status_code, page.headers["Content-Type"]) == (200, kind)
    assert page.content == (server.PAGE / (file or "index.html")).read_bytes()


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", "absent", "server.py", "..%2fserver.py"])
def test_nothing_else_is_served(address: str, path: str) -> None:
    answer = requests.get(f"{address}/{path}", timeout=30)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("drawing", "headers", "status", "error"),
    [
        (BLANK, {}, 422, "The drawing shows no digit: nothing stands out from the background."),
        (TWO_BARS, {}, 422, "The drawing shows 2 digits; keep one of them."),
        (b"", {}, 422, "The drawing is neither a PNG nor a JPEG picture."),
        (b"x" * 1_000_000, {}, 422, "The drawing is neither a PNG nor a JPEG picture."),
        (b"x" * 1_000_001, {}, 413, "A drawing must not be larger than 1000000 bytes."),
        (BAR, {"Content-Type": "text/plain"}, 415, "A drawing must be sent as image/png."),
    ],
    ids=["blank", "two", "empty", "large", "too large", "text"],
)
def test_refusals_are_sentences(address: str, drawing: bytes, headers: dict[str, str], status: int, error: str) -> None:
    answer = ask(address, drawing, **headers)
    assert (answer.status_code, answer.json()) == (status, {"detail": error})


def test_size_is_limited_without_a_declared_length(address: str) -> None:
    assert ask(address, iter([b"x" * 50_000] * 21)).status_code == 413


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "127.0.0.2", ""])
def test_other_hosts_are_refused(address: str, host: str) -> None:
    page = requests.get(address, headers={"Host": host}, timeout=30)
    assert (page.status_code, page.json()) == (400, {"detail": "The page is at 127.0.0.1 alone."})
    assert ask(address, BAR, Host=host).status_code == 400


def test_other_pages_may_not_send_drawings(address: str) -> None:
    """A browser asks first, because of the content type, and is told nothing that would allow it."""
    origin = {"Origin": "https://example.org"}
    question = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    asked = requests.options(f"{address}/predict", headers=question, timeout=30)
    assert asked.status_code == 405
    assert not [name for name in asked.headers if name.startswith("Access-Control-")]


def test_page_loads_nothing_from_elsewhere(address: str) -> None:
    page = requests.get(address, timeout=30)
    assert "default-src 'none'; script-src 'self';" in page.text
    assert "server" not in page.headers


def test_bug_is_an_answer_and_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def broken(_: Pixels) -> Probabilities:
        raise ArithmeticError

    with serving(broken) as address:
        answer = ask(address, BAR)
        assert (answer.status_code, set(answer.json())) == (500, {"detail"})
    assert "ArithmeticError" in capfd.readouterr().err


HALF = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nhalf"


def test_disconnected_page_is_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(by_width) as address, socket.create_connection(("127.0.0.1", urlsplit(address).port)) as client:
        client.sendall(HALF)
        time.sleep(0.2)  # until the server is waiting for the rest
        client.close()
    assert capfd.readouterr().err == ""


def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"^port {port}: address already in use; choose another one with --port$"):
            draw(port=port)


def test_other_machines_cannot_connect() -> None:
    with network.listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


# The module that loads models would import TensorFlow.
COMMAND = """
import sys
from types import SimpleNamespace
from digits.cli import main
from helpers.drawings import by_width
sys.modules["digits.commands.predict.models"] = SimpleNamespace(load=lambda name: by_width)
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_opens_the_page_and_ends_quietly(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    opened = tmp_path / "opened"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}/tests", "BROWSER": f"sh -c 'echo %s > {opened}'"}
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "draw", "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout
    line = running.stdout.readline()
    page = requests.get(f"http://127.0.0.1:{port}", timeout=30)
    for _ in range(600):
        if opened.exists():
            break
        time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(HALF)
        time.sleep(0.2)  # until the server is waiting for the rest
        running.send_signal(number)
        rest, errors = running.communicate(timeout=30)
    assert line == f"Draw a digit: http://127.0.0.1:{port} (Ctrl-C to stop)\n"
    assert "<h1>Draw a digit</h1>" in page.text
    assert opened.read_text() == f"http://127.0.0.1:{port}\n"
    assert rest == ""
    assert [line for line in errors.splitlines() if not NOISE.match(line)] == []
    assert running.returncode == 128 + number
