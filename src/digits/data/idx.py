"""The IDX format of MNIST's files, gzipped, read strictly."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from digits.common.errors import UserError
from digits.common.types import CLASSES, IMAGE_SIDE, Labels, Pixels
from digits.data.catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS

MAX_VALUES = 1_000_000_000  # more than a million images
UNSIGNED_BYTES = 0x0800  # the type in the magic number, to which the number of dimensions is added


def read_train(folder: Path) -> tuple[Pixels, Labels]:
    """The training images, uint8 (n, 28, 28), and labels, uint8 (n,), in `folder`; the test files are not opened.

    Raises:
        UserError: a file is not well-formed, or images and labels differ in number.
    """
    return _read_pair(folder / TRAIN_IMAGES, folder / TRAIN_LABELS)


def read_test(folder: Path) -> tuple[Pixels, Labels]:
    """The test images and labels in `folder`; raises as `read_train` does."""
    return _read_pair(folder / TEST_IMAGES, folder / TEST_LABELS)


def _read_pair(images_path: Path, labels_path: Path) -> tuple[Pixels, Labels]:
    images, labels = _read_values(images_path, rank=3), _read_values(labels_path, rank=1)
    _, height, width = images.shape
    if (height, width) != (IMAGE_SIDE, IMAGE_SIDE):
        raise UserError(f"{images_path}: images must be {IMAGE_SIDE} x {IMAGE_SIDE}, got {height} x {width}")
    if labels.max() >= CLASSES:
        raise UserError(f"{labels_path}: labels must be from 0 to {CLASSES - 1}, got {labels.max()}")
    if len(images) != len(labels):
        raise UserError(f"{images_path}: has {len(images)} images, but {labels_path} has {len(labels)} labels")
    return images, labels


def _read_values(path: Path, rank: int) -> Pixels:
    """The values of a gzipped IDX file of unsigned bytes; http://yann.lecun.com/exdb/mnist describes the format."""
    try:
        with gzip.open(path) as file:
            shape = _read_sizes(file.read(4 + 4 * rank), path, rank)
            count = math.prod(shape)
            content = file.read(count + 1)  # no more than that, whatever the file expands to
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path}: is not a complete gzip file: {error}") from error
    if len(content) != count:
        found = len(content) if len(content) < count else "more"
        raise UserError(f"{path}: must have {count} values after its header, got {found}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read_sizes(header: bytes, path: Path, rank: int) -> list[int]:
    """The sizes of the dimensions, from a header of a file of that rank."""
    if len(header) < 4 + 4 * rank:
        raise UserError(f"{path}: must have a header of {4 + 4 * rank} bytes, got {len(header)} bytes in all")
    magic, *sizes = struct.unpack(f">{1 + rank}I", header)
    if magic != (expected := UNSIGNED_BYTES + rank):
        raise UserError(f"{path}: must start with the magic number {expected:#010x}, got {magic:#010x}")
    if 0 in sizes:
        raise UserError(f"{path}: is empty, its sizes are {sizes}")
    if math.prod(sizes) > MAX_VALUES:
        raise UserError(f"{path}: must have at most {MAX_VALUES:,} values, its sizes are {sizes}")
    return sizes
