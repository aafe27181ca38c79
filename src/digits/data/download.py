"""Fetching a dataset from the first of its sources that has it."""

import hashlib
import os
import sys
from pathlib import Path

import requests

from digits.common import files, paths
from digits.common.errors import UserError
from digits.data import idx
from digits.data.catalogue import CATALOGUE, Dataset

METADATA = "dataset.json"  # written next to the four files: name, title and class names

CONNECT_AND_READ_SECONDS = (3, 6)  # so that three silent mirrors cost less than 30 s


def fetch(name: str, folder: Path) -> None:
    """Put the four files of dataset `name`, and `dataset.json`, into `folder`.

    Raises:
        UserError: no source serves the dataset (one line for each), or its files are not well-formed.
    """
    dataset = CATALOGUE[name]
    for file, content in _contents(name, dataset).items():
        files.write_bytes(folder / file, content)
    idx.read_train(folder)
    idx.read_test(folder)
    files.write_json(folder / METADATA, {"name": name, "title": dataset.title, "classes": dataset.classes})


def _contents(name: str, dataset: Dataset) -> dict[str, bytes]:
    """The content of each file, from the first source that has all four."""
    failures = list[str]()
    for source in dataset.sources:
        if failures:
            sys.stderr.write(f"{failures[-1]}; trying {source}\n")
        try:
            return _download(source, name, dataset) if "://" in source else _read_folder(source, dataset)
        # requests raises OSErrors; pooch raises a ValueError for a wrong digest, as we do.
        except (OSError, ValueError) as error:
            failures.append(f"{source}: {_reason(error)}")
    advice = (
        f"Check your connection, or put the four files into a folder and add it to the sources of {name!r} "
        "in src/digits/data/catalogue.py; then run: dvc repro"
    )
    raise UserError("\n".join([f"{dataset.title} could not be fetched:", *failures, advice]))


def _read_folder(source: str, dataset: Dataset) -> dict[str, bytes]:
    folder = paths.repo_root() / Path(source).expanduser()
    contents = {file: (folder / file).read_bytes() for file in dataset.sha256}
    for file, content in contents.items():
        if hashlib.sha256(content).hexdigest() != dataset.sha256[file]:
            raise ValueError(f"hash of {file} differs")
    return contents


def _download(source: str, name: str, dataset: Dataset) -> dict[str, bytes]:
    """Download what pooch's cache folder does not have yet; pooch keeps only files whose digest matches."""
    import pooch  # not needed where a folder serves

    pooch.get_logger().setLevel("WARNING")
    cache = pooch.create(
        path=Path(os.environ.get("DIGITS_CACHE") or pooch.os_cache("digits")).expanduser() / name,
        base_url=source if source.endswith("/") else f"{source}/",
        registry={file: f"sha256:{digest}" for file, digest in dataset.sha256.items()},
    )
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=CONNECT_AND_READ_SECONDS)
    return {file: Path(cache.fetch(file, downloader=downloader)).read_bytes() for file in dataset.sha256}


def _reason(error: Exception) -> str:
    """Why a source failed, in a phrase: requests and pooch say it in a paragraph."""
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "ended in the middle of a file"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"has no file {Path(error.filename).name}"
    if isinstance(error, ValueError) and not isinstance(error, requests.RequestException):
        return "serves a file whose SHA-256 is not the published one"
    return " ".join(str(error).split())
