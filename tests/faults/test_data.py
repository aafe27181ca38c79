"""Faults of sources and of the files that they serve; tests/data has the others."""

import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil
import pytest

from digits.common import files
from digits.common.errors import UserError
from digits.data import download, idx
from digits.data.catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Dataset
from helpers.factories import encode_idx, gzipped
from helpers.sandbox import ROOT

Answer = Callable[[BaseHTTPRequestHandler], None]

FETCH = """
import sys
from pathlib import Path
from digits.data import download
from digits.data.catalogue import Dataset
source, digests, folder = sys.argv[1], dict(pair.split("=") for pair in sys.argv[3:]), Path(sys.argv[2])
download.CATALOGUE = {"test": Dataset("Test digits", (source,), digests)}
download.fetch("test", folder)
"""


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Four small files in tmp_path/mirror, their only source; and an empty download cache."""
    monkeypatch.setenv("DIGITS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mirror"
    for images, labels, count in ((TRAIN_IMAGES, TRAIN_LABELS, 20), (TEST_IMAGES, TEST_LABELS, 10)):
        files.write_bytes(folder / images, gzipped(encode_idx(np.full((count, 28, 28), 7, np.uint8))))
        files.write_bytes(folder / labels, gzipped(encode_idx(np.arange(count, dtype=np.uint8) % 10)))
    digests = {name: files.sha256(folder / name) for name in (TEST_LABELS, TRAIN_LABELS, TEST_IMAGES, TRAIN_IMAGES)}
    return Dataset("Test digits", (str(folder),), digests)


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """The address of a server whose every answer `answer` sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def status(code: int) -> Answer:
    return lambda handler: handler.send_error(code)


def page(handler: BaseHTTPRequestHandler) -> None:
    """A login page, with status 200."""
    body = b"<html>Log in</html>"
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Half of what was announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 500)


def fetch(dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CATALOGUE", {"test": dataset})
    download.fetch("test", folder)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(403), "answered 403 Forbidden"),
        (status(404), "answered 404 Not Found"),
        (status(500), "answered 500 Internal Server Error"),
        (page, "serves a file whose SHA-256 is not the published one"),
        (cut, "ended in the middle of a file"),
    ],
    ids=["403", "404", "500", "page", "cut"],
)
def test_next_source_serves_and_a_line_says_why(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Answer,
    reason: str,
) -> None:
    """Rows 1, 4 and 5; nothing of the failed source is kept."""
    with serving(answer) as address:
        for source in (address, address.replace("http:", "https:")):  # which is no TLS
            fetch(replace(dataset, sources=(source, *dataset.sources)), tmp_path / "raw", monkeypatch)
    lines = [line for line in capsys.readouterr().err.splitlines() if "; trying" in line]
    assert lines[0].endswith(f"{reason}; trying {dataset.sources[0]}")
    assert lines[1].endswith(f"could not be reached; trying {dataset.sources[0]}")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert {path.name for path in (tmp_path / "raw").iterdir()} == {*dataset.sha256, "dataset.json"}


@pytest.mark.slow
def test_killed_download_is_completed(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 6: SIGKILL, when half of a file has arrived."""
    has_sent_half = threading.Event()
    mirror = Path(dataset.sources[0])

    def half(handler: BaseHTTPRequestHandler) -> None:
        content = (mirror / handler.path.rpartition("/")[2]).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])
        handler.wfile.flush()
        has_sent_half.set()
        time.sleep(20)

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    digests = [f"{name}={digest}" for name, digest in dataset.sha256.items()]
    with serving(half) as address:
        command = [sys.executable, "-c", FETCH, address, str(tmp_path / "raw"), *digests]
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        assert has_sent_half.wait(60)
        running.kill()
        assert running.wait() == -signal.SIGKILL
    assert not (tmp_path / "raw").exists()
    fetch(dataset, tmp_path / "raw", monkeypatch)
    assert len(idx.read_train(tmp_path / "raw")[0]) == 20


@pytest.mark.slow
def test_bomb_is_refused_in_little_memory(tmp_path: Path) -> None:
    """Row 8: two images, then gigabytes of zeros; and a header that asks for them."""
    header = struct.pack(">4I", 0x0803, 2, 28, 28)
    zeros = gzipped(bytes(100_000_000))
    (tmp_path / TRAIN_IMAGES).write_bytes(gzipped(header) + zeros * 30)
    before = psutil.Process().memory_info().rss
    with pytest.raises(UserError, match="must have 1568 values after its header, got more"):
        idx.read_train(tmp_path)
    assert psutil.Process().memory_info().rss - before < 50_000_000
    (tmp_path / TRAIN_IMAGES).write_bytes(gzipped(struct.pack(">4I", 0x0803, 2**31, 28, 28)) + zeros * 30)
    with pytest.raises(UserError, match="must have at most 1,000,000,000 values"):
        idx.read_train(tmp_path)
