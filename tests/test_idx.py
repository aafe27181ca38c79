"""The format, byte by byte, and every way in which a file can be wrong."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from digits import idx
from digits.errors import InputError

TWO_IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(range(256)) * 6 + bytes(32)
THREE_LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])


def zipped(content: bytes) -> bytes:
    """Undated: the parameters of a test name it, and every process must have the same."""
    return gzip.compress(content, mtime=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.gz"


def test_reads_images_by_hand(path: Path) -> None:
    path.write_bytes(zipped(TWO_IMAGES))
    images = idx.read_images(path)
    assert images.shape == (2, 28, 28)
    assert images.dtype == np.uint8
    assert images[0, 0, :3].tolist() == [0, 1, 2]
    assert images[1, 0, 0] == 784 % 256


def test_reads_labels_by_hand(path: Path) -> None:
    path.write_bytes(zipped(THREE_LABELS))
    assert idx.read_labels(path).tolist() == [7, 0, 9]


def test_encodes_what_it_reads() -> None:
    assert idx.encode(np.array([7, 0, 9], dtype=np.uint8)) == THREE_LABELS


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (zipped(TWO_IMAGES)[:-9], "is not a whole gzip file"),
        (TWO_IMAGES, "is not a whole gzip file"),
        (zipped(TWO_IMAGES[:10]), "must have a header of 16 bytes, got 10"),
        (zipped(b"\0\0\x0d\x03" + TWO_IMAGES[4:]), "magic number 0x00000803, got 0x00000d03"),
        (zipped(THREE_LABELS + bytes(9)), "magic number 0x00000803, got 0x00000801"),
        (zipped(TWO_IMAGES[:-1]), "must have 1568 values after its header, got 1567"),
        (zipped(TWO_IMAGES + b"\0"), "must have 1568 values after its header, got 1569"),
        (zipped(TWO_IMAGES[:7] + b"\xff" * 9), "values after its header"),
        (zipped(bytes([0, 0, 8, 3]) + bytes(12)), "is empty"),
        (zipped(idx.encode(np.zeros((2, 8, 8), np.uint8))), "images must be 28 x 28, got 8 x 8"),
    ],
)
def test_refuses_other_images(path: Path, content: bytes, complaint: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as error:
        idx.read_images(path)
    assert str(path) in str(error.value)


def test_refuses_a_missing_file(path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        idx.read_images(path)


def test_refuses_other_labels(path: Path) -> None:
    path.write_bytes(zipped(THREE_LABELS[:-1] + b"\x0a"))
    with pytest.raises(InputError, match="labels must be from 0 to 9, got 10"):
        idx.read_labels(path)


def test_refuses_images_without_labels(tmp_path: Path) -> None:
    for name in (idx.TRAIN_IMAGES, idx.TEST_IMAGES):
        (tmp_path / name).write_bytes(zipped(TWO_IMAGES))
    for name in (idx.TRAIN_LABELS, idx.TEST_LABELS):
        (tmp_path / name).write_bytes(zipped(THREE_LABELS))
    with pytest.raises(InputError, match=r"has 2 images, but .* has 3 labels"):
        idx.read(tmp_path)
