"""Which datasets there are, where their four IDX files come from, and what their bytes must be."""

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from digits import artifacts, idx, workspace
from digits.errors import InputError
from digits.idx import (
    ABOUT,
    CLASSES,
    IMAGE_SIDE,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Bytes,
    encode,
)

# The smallest first: it shows quickly whether a source answers.
FILES = (TEST_LABELS, TRAIN_LABELS, TEST_IMAGES, TRAIN_IMAGES)

# Three silent sources cost 3 x 8 s, under the 30 s after which fetch has said what is wrong.
FIRST_ANSWER_SECONDS = 8
CONNECT_AND_READ_SECONDS = (5, 10)


class NoSourceError(InputError):
    """No public source of a dataset serves it; the network is the likely reason."""


class Dataset(Protocol):
    """What the catalogue holds: something with a title that can put its four files into a folder."""

    @property
    def title(self) -> str:
        """What plots call it."""

    @property
    def stand_in(self) -> bool:
        """Whether it takes MNIST's place where there is no network, and is too small for MNIST's settings."""

    def deliver(self, name: str, folder: Path) -> None:
        """Put the four files, whole and verified, into `folder`; `name` is its key in the catalogue."""


@dataclass(frozen=True)
class Published:
    """A dataset whose bytes are known.

    Attributes:
        title: what plots and metrics call it.
        sources: folders and URLs that hold the four files, tried in order. A relative folder is taken from
            the root of the repository.
        sha256: the digest of each of the four files, by name; checked whoever serves it.
        mirror_variable: an environment variable that names the only source to use when it is set.
    """

    title: str
    sources: tuple[str, ...]
    sha256: Mapping[str, str]
    mirror_variable: str | None = None
    stand_in = False

    def deliver(self, name: str, folder: Path) -> None:
        """Copy the files from the first source that has them all.

        Raises:
            NoSourceError: no source does: a line for each, then what to do.
            InputError: the source that `mirror_variable` names does not.
        """
        mirror = os.environ.get(self.mirror_variable) if self.mirror_variable else None
        faults = []
        for source in (mirror,) if mirror else self.sources:
            collect = self._download if "://" in source else self._read_folder
            try:
                contents = collect(source, name)
            except _SourceError as error:
                faults.append(f"{source}: {error}")
                continue
            for file in FILES:
                artifacts.write_bytes(folder / file, contents[file])
            return
        if mirror:
            raise InputError(f"{self.mirror_variable}={faults[0]}; mend it, or unset it to use the public sources")
        raise NoSourceError("\n".join([f"{self.title} could not be fetched:", *faults, self._advice()]))

    def _advice(self) -> str:
        offline = "to go without a network, on a small stand-in: make demo"
        if self.mirror_variable is None:
            return f"Put the four files where the catalogue says; {offline}"
        return f"If you have the four files, name their folder or URL in {self.mirror_variable}; {offline}"

    def _read_folder(self, source: str, name: str) -> dict[str, bytes]:  # noqa: ARG002, called like _download
        folder = workspace.root() / Path(source).expanduser()
        if not folder.is_dir():
            raise _SourceError("is no folder")
        contents = {}
        for file in FILES:
            try:
                contents[file] = (folder / file).read_bytes()
            except OSError as error:
                raise _SourceError(f"{file}: {error.strerror}") from error
            if hashlib.sha256(contents[file]).hexdigest() != self.sha256[file]:
                raise _SourceError(f"{file}: is not the published file, its SHA-256 differs")
        return contents

    def _download(self, source: str, name: str) -> dict[str, bytes]:
        """Download what pooch's cache folder does not hold yet, verified there under its final name."""
        import pooch  # a tenth of a second, which a local mirror saves

        pooch.get_logger().setLevel("WARNING")
        cache = pooch.create(
            path=Path(os.environ.get("DIGITS_CACHE") or pooch.os_cache("digits")).expanduser() / name,
            base_url=source if source.endswith("/") else f"{source}/",
            registry={file: f"sha256:{digest}" for file, digest in self.sha256.items()},
        )
        downloader = pooch.HTTPDownloader(progressbar=True, timeout=CONNECT_AND_READ_SECONDS)

        def verified(file: str) -> bytes:
            return Path(cache.fetch(file, downloader=downloader)).read_bytes()

        contents = {}
        try:
            contents[FILES[0]] = _within(FIRST_ANSWER_SECONDS, lambda: verified(FILES[0]))
            for file in FILES[1:]:
                contents[file] = verified(file)
        # Errors of requests are OSErrors; pooch's of a digest is a ValueError.
        except (OSError, ValueError) as error:
            raise _SourceError(_reason(error)) from error
        return contents


class _SourceError(Exception):
    """Why one source cannot serve."""


def _within(seconds: float, call: Callable[[], bytes]) -> bytes:
    """The result of `call`, or TimeoutError: no time-out of requests covers the look-up of a host's name."""
    future: Future[bytes] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001, raised again in the waiting thread
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future.result(timeout=seconds)


def _reason(error: Exception) -> str:
    """What requests and pooch say in a paragraph, in a phrase."""
    import requests

    if isinstance(error, TimeoutError | requests.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if isinstance(error, ValueError) and "hash" in str(error):
        return "serves other bytes than the published ones, their SHA-256 differs"
    return " ".join(str(error).split())


@dataclass(frozen=True)
class Embedded:
    """A dataset that a library carries, so that it needs no network.

    Attributes:
        title: what plots and metrics call it.
        draw: gives the images and labels of the training and of the test set, in this order.
    """

    title: str
    draw: Callable[[], tuple[Bytes, Bytes, Bytes, Bytes]]
    stand_in = True

    def deliver(self, name: str, folder: Path) -> None:  # noqa: ARG002, what Dataset asks for
        """Write the files in the published format, the same bytes every time."""
        files = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
        for file, content in zip(files, self.draw(), strict=True):
            artifacts.write_gzip(folder / file, encode(content))


def _draw_uci() -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """The 1,797 digits that scikit-learn carries, in MNIST's style.

    8x8 counts of 0 to 16 become 20x20 by bilinear interpolation, white on black from 0 to 255, set into 28x28
    so that the centre of mass is in the middle, as MNIST's were. All of it is integer arithmetic: the bytes
    are the same on every machine. Of each class, the first three sevenths train and the rest test; the file
    is in the order of its writers, so most of the test set was written by others.
    """
    from sklearn.datasets import load_digits  # over a second, which the other datasets save

    counts, labels = load_digits(return_X_y=True)
    counts = counts.astype(np.int64).reshape(-1, 8, 8)
    images = np.stack([_centred(_enlarged(image)) for image in counts])
    labels = labels.astype(np.uint8)
    rank = np.empty_like(labels, dtype=np.int64)
    for label in range(CLASSES):
        of_class = labels == label
        rank[of_class] = 7 * np.arange(of_class.sum()) // of_class.sum()
    train = rank < 3
    return images[train], labels[train], images[~train], labels[~train]


def _enlarged(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """8x8 values of 0 to 16 as 20x20 values of 0 to 255, bilinear between the centres of the pixels."""
    tenths = np.clip(4 * np.arange(20) - 3, 0, 70)  # centre i of 20 lies at (i + 1/2) 8/20 - 1/2 = (4 i - 3) / 10
    left, fraction = np.divmod(tenths, 10)
    weights = np.zeros((20, 8), dtype=np.int64)
    weights[np.arange(20), left] = 10 - fraction
    weights[np.arange(20), np.minimum(left + 1, 7)] += fraction
    return (weights @ counts @ weights.T * 255 + 800) // 1600


def _centred(image: NDArray[np.int64]) -> Bytes:
    """A 20x20 image in a black 28x28 one, its centre of mass within a pixel of the middle."""
    position = np.arange(20)
    mass = image.sum()
    centre = np.array([image.sum(axis=1) @ position, image.sum(axis=0) @ position]) // mass
    row, column = np.clip(13 - centre, 0, 8)
    framed = np.zeros((IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
    framed[row : row + 20, column : column + 20] = image
    return framed


# A dataset of your own is one more entry: Published(title=..., sources=("a folder",), sha256={...}).
CATALOGUE: Mapping[str, Dataset] = {
    "mnist": Published(
        title="MNIST",
        sources=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        sha256={
            TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        mirror_variable="MNIST_MIRROR",
    ),
    "uci": Embedded(title="UCI digits", draw=_draw_uci),
}


def fetch(name: str, folder: Path) -> None:
    """Put dataset `name` into `folder`: its four files and `dataset.json`, which says what they are.

    Raises:
        InputError: no source serves the dataset, a line for each, or what they serve is not well-formed.
    """
    dataset = CATALOGUE[name]
    dataset.deliver(name, folder)
    _, y_train, _, y_test = idx.read(folder)
    counts = {
        TRAIN_IMAGES: len(y_train),
        TRAIN_LABELS: len(y_train),
        TEST_IMAGES: len(y_test),
        TEST_LABELS: len(y_test),
    }
    files = {file: {"count": count, "sha256": artifacts.sha256(folder / file)} for file, count in counts.items()}
    about = {"name": name, "title": dataset.title, "stand_in": dataset.stand_in, "files": files}
    artifacts.write_json(folder / ABOUT, about)
