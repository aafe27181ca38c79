"""The IDX format, byte by byte, and every way in which a file can be wrong."""

from pathlib import Path

import numpy as np
import pytest

from digits.common.errors import UserError
from digits.common.types import Labels, Pixels
from digits.data import idx
from digits.data.catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from helpers.factories import encode_idx, gzipped

TWO_IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(range(256)) * 6 + bytes(32)
THREE_LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])
TWO_LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 4, 2])


def read_files(
    folder: Path, images: bytes = gzipped(TWO_IMAGES), labels: bytes = gzipped(TWO_LABELS)
) -> tuple[Pixels, Labels]:
    """The training files with this content."""
    (folder / TRAIN_IMAGES).write_bytes(images)
    (folder / TRAIN_LABELS).write_bytes(labels)
    return idx.read_train(folder)


def test_reads_images_and_labels(tmp_path: Path) -> None:
    images, labels = read_files(tmp_path)
    assert images.shape == (2, 28, 28)
    assert images.dtype == np.uint8
    assert images[0, 0, :3].tolist() == [0, 1, 2]
    assert images[0, 1, 0] == 28
    assert images[1, 0, 0] == 784 % 256
    assert labels.tolist() == [4, 2]
    assert labels.dtype == np.uint8


def test_helper_encodes_the_format() -> None:
    """`encode_idx`, which other tests build on, against bytes written by hand."""
    assert encode_idx(np.array([7, 0, 9], dtype=np.uint8)) == THREE_LABELS


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must have a header of 16 bytes, got 0"),
        (gzipped(TWO_IMAGES)[:-9], "is not a complete gzip file"),
        (gzipped(TWO_IMAGES)[:20] + b"\xff" * 9 + gzipped(TWO_IMAGES)[29:], "is not a complete gzip file"),
        (gzipped(TWO_IMAGES)[:-8] + bytes(8), "is not a complete gzip file"),
        (TWO_IMAGES, "is not a complete gzip file"),
        (gzipped(TWO_IMAGES[:10]), "must have a header of 16 bytes, got 10"),
        (gzipped(b"\0\0\x0d\x03" + TWO_IMAGES[4:]), "magic number 0x00000803, got 0x00000d03"),
        (gzipped(THREE_LABELS + bytes(9)), "magic number 0x00000803, got 0x00000801"),
        (gzipped(TWO_IMAGES[:-1]), "must have 1568 values after its header, got 1567"),
        (gzipped(TWO_IMAGES + b"\0"), "must have 1568 values after its header, got more"),
        (gzipped(TWO_IMAGES[:7] + b"\xff" * 9), "must have at most 1,000,000,000 values, its sizes are"),
        (gzipped(TWO_IMAGES[:7] + b"\x03" + TWO_IMAGES[8:]), "must have 2352 values after its header, got 1568"),
        (gzipped(bytes([0, 0, 8, 3]) + bytes(12)), "is empty"),
        (gzipped(encode_idx(np.zeros((2, 8, 9), np.uint8))), "images must be 28 x 28, got 8 x 9"),
    ],
)
def test_malformed_images_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as error:
        read_files(tmp_path, images=content)
    assert str(tmp_path / TRAIN_IMAGES) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file") as error:
        idx.read_train(tmp_path)
    assert str(tmp_path / TRAIN_IMAGES) in str(error.value)


def test_label_above_nine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="labels must be from 0 to 9, got 10") as error:
        read_files(tmp_path, labels=gzipped(TWO_LABELS[:-1] + b"\x0a"))
    assert str(tmp_path / TRAIN_LABELS) in str(error.value)


def test_images_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="magic number 0x00000801, got 0x00000803"):
        read_files(tmp_path, labels=gzipped(TWO_IMAGES))


def write(folder: Path, images_name: str, labels_name: str, labels: bytes) -> None:
    (folder / images_name).write_bytes(gzipped(TWO_IMAGES))
    (folder / labels_name).write_bytes(gzipped(labels))


def test_training_and_test_files_are_read_apart(tmp_path: Path) -> None:
    """Each reader works where only its own two files exist."""
    train, test = tmp_path / "train", tmp_path / "test"
    train.mkdir()
    test.mkdir()
    write(train, TRAIN_IMAGES, TRAIN_LABELS, TWO_LABELS)
    write(test, TEST_IMAGES, TEST_LABELS, TWO_LABELS)
    for images, labels in (idx.read_train(train), idx.read_test(test)):
        assert images.shape == (2, 28, 28)
        assert labels.tolist() == [4, 2]


def test_images_and_labels_must_be_equally_many(tmp_path: Path) -> None:
    write(tmp_path, TRAIN_IMAGES, TRAIN_LABELS, THREE_LABELS)
    write(tmp_path, TEST_IMAGES, TEST_LABELS, THREE_LABELS)
    for read, name in ((idx.read_train, TRAIN_IMAGES), (idx.read_test, TEST_IMAGES)):
        with pytest.raises(UserError, match=r"has 2 images, but .* has 3 labels") as error:
            read(tmp_path)
        assert name in str(error.value)
