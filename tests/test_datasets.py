"""Fetching from folders, from servers that serve, lie, fail and hang, and from the stand-in."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from digits import artifacts, datasets, idx
from digits.datasets import NoSourceError, Published
from digits.errors import InputError
from digits.idx import Bytes

NOWHERE = "http://127.0.0.1:9/"  # the discard port: nothing listens


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder with four small files of its own."""
    folder = tmp_path / "mirror"
    for name, images, labels in (("train", 20, 20), ("t10k", 10, 10)):
        artifacts.write_gzip(
            folder / f"{name}-images-idx3-ubyte.gz", idx.encode(np.full((images, 28, 28), 7, np.uint8))
        )
        artifacts.write_gzip(
            folder / f"{name}-labels-idx1-ubyte.gz", idx.encode(np.arange(labels, dtype=np.uint8) % 10)
        )
    return folder


@pytest.fixture
def entry(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A catalogue entry for the mirror's files, which nothing serves yet; and an empty download cache."""
    monkeypatch.setenv("DIGITS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MNIST_MIRROR", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    digests = {name: hashlib.sha256((mirror / name).read_bytes()).hexdigest() for name in datasets.FILES}
    return Published("Test digits", (NOWHERE,), digests, mirror_variable="MNIST_MIRROR")


@pytest.fixture
def server(mirror: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(mirror))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def fetch(entry: Published, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "CATALOGUE", {"test": entry})
    datasets.fetch("test", folder)


def test_fetches_from_a_folder_and_says_what(
    entry: Published, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(replace(entry, sources=(str(mirror),)), tmp_path / "raw", monkeypatch)
    for name in datasets.FILES:
        assert (tmp_path / "raw" / name).read_bytes() == (mirror / name).read_bytes()
    about = artifacts.read_json(tmp_path / "raw/dataset.json")
    assert about["name"] == "test"
    assert about["title"] == "Test digits"
    assert about["files"][idx.TEST_IMAGES] == {"count": 10, "sha256": entry.sha256[idx.TEST_IMAGES]}


def test_a_mirror_is_the_only_source(
    entry: Published, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"^MNIST_MIRROR=.*absent: is no folder; mend it, or unset it") as error:
        fetch(replace(entry, sources=(str(mirror),)), tmp_path / "raw", monkeypatch)
    assert not isinstance(error.value, NoSourceError), "a named mirror must not end in the demo"


def test_a_relative_mirror_starts_at_the_root(
    entry: Published, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC runs a temporary experiment elsewhere, but DVC_ROOT names the repository."""
    monkeypatch.setenv("MNIST_MIRROR", mirror.name)
    monkeypatch.setenv("DVC_ROOT", str(mirror.parent))
    fetch(entry, tmp_path / "raw", monkeypatch)


@pytest.mark.parametrize("spoil", ["change", "remove"])
def test_refuses_another_file_in_a_folder(
    entry: Published, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    monkeypatch.setenv("MNIST_MIRROR", str(mirror))
    if spoil == "change":
        (mirror / idx.TRAIN_IMAGES).write_bytes(b"other")
    else:
        (mirror / idx.TRAIN_IMAGES).unlink()
    complaint = "its SHA-256 differs" if spoil == "change" else "No such file"
    with pytest.raises(InputError, match=f"{idx.TRAIN_IMAGES}: .*{complaint}"):
        fetch(entry, tmp_path / "raw", monkeypatch)
    assert not (tmp_path / "raw").exists(), "no file of a set that is not whole"


def test_downloads_once(
    entry: Published, server: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(replace(entry, sources=(NOWHERE, server)), tmp_path / "raw", monkeypatch)
    fetch(replace(entry, sources=(NOWHERE,)), tmp_path / "again", monkeypatch)
    for name in datasets.FILES:
        assert (tmp_path / "again" / name).read_bytes() == (mirror / name).read_bytes()


def test_downloads_again_what_the_cache_lost(
    entry: Published, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(replace(entry, sources=(server,)), tmp_path / "raw", monkeypatch)
    cached = next((tmp_path / "cache").rglob(idx.TRAIN_LABELS))
    cached.write_bytes(b"spoiled")
    fetch(replace(entry, sources=(server,)), tmp_path / "raw", monkeypatch)
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == entry.sha256[idx.TRAIN_LABELS]


def test_says_why_no_source_serves(
    entry: Published, server: str, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / idx.TEST_LABELS).write_bytes(b"other")
    monkeypatch.setattr(datasets, "FIRST_ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        sources = (NOWHERE, f"{server}/absent", server, hanging, "gopher://old/", "/absent")
        with pytest.raises(NoSourceError) as error:
            fetch(replace(entry, sources=sources), tmp_path / "raw", monkeypatch)
    first, *lines, last = str(error.value).splitlines()
    assert first == "Test digits could not be fetched:"
    assert lines == [
        f"{NOWHERE}: could not be reached",
        f"{server}/absent: answered 404 File not found",
        f"{server}: serves other bytes than the published ones, their SHA-256 differs",
        f"{hanging}: did not answer in time",
        f"gopher://old/: No connection adapters were found for 'gopher://old/{idx.TEST_LABELS}'",
        "/absent: is no folder",
    ]
    assert "MNIST_MIRROR" in last
    assert last.endswith("make demo")
    assert not (tmp_path / "raw").exists()


def test_refuses_files_that_are_not_well_formed(
    entry: Published, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mirror / idx.TRAIN_LABELS).write_bytes((mirror / idx.TRAIN_LABELS).read_bytes()[:-9])
    digests = dict(entry.sha256) | {idx.TRAIN_LABELS: artifacts.sha256(mirror / idx.TRAIN_LABELS)}
    with pytest.raises(InputError, match="is not a whole gzip file"):
        fetch(replace(entry, sources=(str(mirror),), sha256=digests), tmp_path / "raw", monkeypatch)


def test_silent_sources_are_given_up_within_half_a_minute() -> None:
    sources = datasets.CATALOGUE["mnist"].sources  # type: ignore[attr-defined]
    assert len(sources) * datasets.FIRST_ANSWER_SECONDS < 30


@pytest.fixture(scope="module")
def uci(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uci")
    datasets.fetch("uci", folder)
    return folder


def test_uci_always_has_these_bytes(uci: Path) -> None:
    contents: list[Bytes] = list(idx.read(uci))
    digest = hashlib.sha256(b"".join(idx.encode(content) for content in contents)).hexdigest()
    assert digest == "30e0c320c088268d541bc73bb21ce10520a90bf2d8e53de81ce32dbd939abbc8"


def test_uci_compresses_to_the_same_bytes(uci: Path, tmp_path: Path) -> None:
    datasets.fetch("uci", tmp_path)
    for name in (*datasets.FILES, idx.ABOUT):
        assert (tmp_path / name).read_bytes() == (uci / name).read_bytes()


def test_uci_looks_like_mnist(uci: Path) -> None:
    x_train, y_train, x_test, y_test = idx.read(uci)
    assert len(x_train) + len(x_test) == 1797
    assert len(x_test) > 1000, "the tutorial's test image 1000 is there"
    for labels, total in ((y_train, len(y_train)), (y_test, len(y_test))):
        assert np.abs(np.bincount(labels) - total / 10).max() < 5, "stratified"
    assert x_train.max() == 255
    assert np.median(x_train) == 0, "white on black"
    position = np.arange(28)
    for image in x_test.astype(int):
        centre = [(image.sum(axis=axis) @ position) / image.sum() for axis in (0, 1)]
        assert np.abs(np.array(centre) - 13.5).max() <= 1


def test_uci_keeps_train_and_test_apart(uci: Path) -> None:
    x_train, _, x_test, _ = idx.read(uci)
    assert not {image.tobytes() for image in x_train} & {image.tobytes() for image in x_test}
