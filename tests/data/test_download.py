"""Fetching from folders, and from servers that serve, lie, fail and hang."""

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from digits.common import files
from digits.common.errors import UserError
from digits.data import download, idx
from digits.data.catalogue import CATALOGUE, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, Dataset
from helpers.factories import encode_idx, gzipped

ROOT = Path(__file__).parents[2]
FILES = (TEST_LABELS, TRAIN_LABELS, TEST_IMAGES, TRAIN_IMAGES)
NOWHERE = "http://127.0.0.1:9/"  # the discard port: nothing listens


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder with four small files: 20 training and 10 test images."""
    folder = tmp_path / "mirror"
    for images, labels, count in ((TRAIN_IMAGES, TRAIN_LABELS, 20), (TEST_IMAGES, TEST_LABELS, 10)):
        files.write_bytes(folder / images, gzipped(encode_idx(np.full((count, 28, 28), 7, np.uint8))))
        files.write_bytes(folder / labels, gzipped(encode_idx(np.arange(count, dtype=np.uint8) % 10)))
    return folder


@pytest.fixture
def digests(mirror: Path) -> dict[str, str]:
    return {name: files.sha256(mirror / name) for name in FILES}


@pytest.fixture
def entry(digests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A catalogue entry for the mirror's files, which nothing serves yet; and an empty download cache."""
    monkeypatch.setenv("DIGITS_CACHE", str(tmp_path / "cache"))
    return Dataset("Test digits", (NOWHERE,), digests)


@pytest.fixture
def server(mirror: Path) -> Iterator[str]:
    """The address at which the mirror is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(mirror))) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Three addresses that accept connections and never answer, and little patience."""
    monkeypatch.setattr(download, "CONNECT_AND_READ_SECONDS", (0.2, 0.2))
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        yield [f"http://127.0.0.1:{each.getsockname()[1]}/" for each in sockets]


def fetch(entry: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CATALOGUE", {"test": entry})
    download.fetch("test", folder)


def fetch_error(entry: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of the error in which fetching ends, leaving no file."""
    with pytest.raises(UserError) as error:
        fetch(entry, folder, monkeypatch)
    assert not folder.exists()
    return str(error.value).splitlines()


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_folder_is_a_source(entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(replace(entry, sources=(str(mirror),)), tmp_path / "raw", monkeypatch)
    assert contents(tmp_path / "raw") == contents(mirror)
    metadata = files.read_json(tmp_path / "raw/dataset.json")
    assert metadata == {"name": "test", "title": "Test digits", "classes": list("0123456789")}


def test_class_names_reach_the_metadata(
    entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = tuple("abcdefghij")
    fetch(replace(entry, sources=(str(mirror),), classes=classes), tmp_path / "raw", monkeypatch)
    assert files.read_json(tmp_path / "raw/dataset.json")["classes"] == list(classes)


def test_relative_folder_starts_at_the_repository(
    entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC runs an experiment in a temporary copy without the mirror, and names the repository in DVC_ROOT."""
    copy = tmp_path / "copy"
    (copy / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(copy)
    relative = replace(entry, sources=(mirror.name,))
    fetch_error(relative, tmp_path / "raw", monkeypatch)
    monkeypatch.setenv("DVC_ROOT", str(mirror.parent))
    fetch(relative, tmp_path / "raw", monkeypatch)
    assert contents(tmp_path / "raw") == contents(mirror)


def test_tilde_is_the_home_folder(
    entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(mirror.parent))
    fetch(replace(entry, sources=(f"~/{mirror.name}",)), tmp_path / "raw", monkeypatch)
    assert contents(tmp_path / "raw") == contents(mirror)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("change", "serves a file whose SHA-256 is not the published one"),
        ("remove", f"has no file {TRAIN_IMAGES}"),
    ],
)
def test_incomplete_or_changed_folder_is_refused(
    entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str, complaint: str
) -> None:
    if spoil == "change":
        (mirror / TRAIN_IMAGES).write_bytes(b"other")
    else:
        (mirror / TRAIN_IMAGES).unlink()
    _, fault, _ = fetch_error(replace(entry, sources=(str(mirror),)), tmp_path / "raw", monkeypatch)
    assert fault == f"{mirror}: {complaint}"


def test_next_source_takes_over(
    entry: Dataset, server: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = (str(tmp_path / "absent"), NOWHERE, f"{server}/absent/", server)
    fetch(replace(entry, sources=sources), tmp_path / "raw", monkeypatch)
    assert contents(tmp_path / "raw") == contents(mirror)


def test_first_source_that_has_the_files_is_the_last_asked(
    entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> dict[str, bytes]:
        raise AssertionError("must not be asked")

    monkeypatch.setattr(download, "_download", forbidden)
    fetch(replace(entry, sources=(str(mirror), NOWHERE)), tmp_path / "raw", monkeypatch)


def test_downloads_are_cached(
    entry: Dataset, server: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(replace(entry, sources=(server,)), tmp_path / "raw", monkeypatch)
    fetch(replace(entry, sources=(NOWHERE,)), tmp_path / "again", monkeypatch)
    assert contents(tmp_path / "again") == contents(mirror)


def test_spoiled_cache_file_is_downloaded_again(
    entry: Dataset, server: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = replace(entry, sources=(server,))
    fetch(served, tmp_path / "raw", monkeypatch)
    cached = next((tmp_path / "cache").rglob(TRAIN_LABELS))
    cached.write_bytes(b"spoiled")
    fetch(served, tmp_path / "again", monkeypatch)
    assert contents(tmp_path / "again") == contents(mirror)
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == entry.sha256[TRAIN_LABELS]


def test_error_has_a_line_per_source_and_ends_with_advice(
    entry: Dataset, server: str, mirror: Path, silent: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / TEST_LABELS).write_bytes(b"other")
    sources = (NOWHERE, f"{server}/absent", server, silent[0], "gopher://old/", "/absent", str(mirror / TEST_LABELS))
    first, *lines, last = fetch_error(replace(entry, sources=sources), tmp_path / "raw", monkeypatch)
    assert first == "Test digits could not be fetched:"
    assert lines == [
        f"{NOWHERE}: could not be reached",
        f"{server}/absent: answered 404 File not found",
        f"{server}: serves a file whose SHA-256 is not the published one",
        f"{silent[0]}: did not answer in time",
        f"gopher://old/: No connection adapters were found for 'gopher://old/{TEST_LABELS}'",
        f"/absent: has no file {TEST_LABELS}",
        f"{mirror / TEST_LABELS}: has no file {TEST_LABELS}",
    ]
    assert "sources of 'test' in src/digits/data/catalogue.py" in last
    assert last.endswith("dvc repro")


@pytest.mark.slow
def test_silent_sources_end_in_an_error_that_names_each(
    entry: Dataset, silent: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, *lines, _ = fetch_error(replace(entry, sources=tuple(silent)), tmp_path / "raw", monkeypatch)
    assert lines == [f"{source}: did not answer in time" for source in silent]


def test_malformed_files_are_refused(
    entry: Dataset, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digests match, but the published labels are truncated. dataset.json is written last, so it is absent."""
    (mirror / TRAIN_LABELS).write_bytes((mirror / TRAIN_LABELS).read_bytes()[:-9])
    digests = {**entry.sha256, TRAIN_LABELS: files.sha256(mirror / TRAIN_LABELS)}
    with pytest.raises(UserError, match="is not a complete gzip file"):
        fetch(replace(entry, sources=(str(mirror),), sha256=digests), tmp_path / "raw", monkeypatch)
    assert not (tmp_path / "raw/dataset.json").exists()


@pytest.mark.slow
def test_mnist_comes_with_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue's own entry, without a network."""

    def no_network(*_: object) -> None:
        raise AssertionError("the network must not be used")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.chdir(ROOT)
    download.fetch("mnist", tmp_path)
    x_train, y_train = idx.read_train(tmp_path)
    x_test, y_test = idx.read_test(tmp_path)
    assert (x_train.shape, x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert (y_train[0], y_test[1000]) == (5, 9)
    assert np.bincount(y_train).min() > 5000
    assert files.read_json(tmp_path / "dataset.json")["title"] == "MNIST"


@pytest.mark.parametrize(("name", "title"), [("fashion", "Fashion-MNIST"), ("kmnist", "Kuzushiji-MNIST")])
def test_other_datasets_are_downloaded(
    name: str,
    title: str,
    server: str,
    mirror: Path,
    digests: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The catalogue's entries, but from a local server with files of its own."""
    monkeypatch.setenv("DIGITS_CACHE", str(tmp_path / "cache"))
    served = replace(CATALOGUE[name], sources=(f"{server}/",), sha256=digests)
    monkeypatch.setattr(download, "CATALOGUE", {**CATALOGUE, name: served})
    download.fetch(name, tmp_path / "raw")
    assert contents(tmp_path / "raw") == contents(mirror)
    metadata = files.read_json(tmp_path / "raw/dataset.json")
    assert metadata == {"name": name, "title": title, "classes": list(CATALOGUE[name].classes)}
    assert not set("0123456789") & set(metadata["classes"])


def test_catalogue_entries_are_complete() -> None:
    assert list(CATALOGUE) == ["mnist", "fashion", "kmnist"]
    for entry in CATALOGUE.values():
        assert entry.title
        assert len(set(entry.classes)) == 10
        assert tuple(entry.sha256) == FILES, "the smallest first"
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in entry.sha256.values())
        assert entry.sources
    every = [digest for entry in CATALOGUE.values() for digest in entry.sha256.values()]
    assert len(set(every)) == 12, "no digest is pasted twice"
