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
        content = gzip.decompress(path.read_bytes())
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path}: is not a complete gzip file: {error}") from error
    header = 4 + 4 * rank
    if len(content) < header:
        raise UserError(f"{path}: must have a header of {header} bytes, got {len(content)} bytes in all")
    magic, *shape = struct.unpack(f">{1 + rank}I", content[:header])
    if magic != (expected := UNSIGNED_BYTES + rank):
        raise UserError(f"{path}: must start with the magic number {expected:#010x}, got {magic:#010x}")
    if 0 in shape:
        raise UserError(f"{path}: is empty, its sizes are {shape}")
    values = np.frombuffer(content, dtype=np.uint8, offset=header)
    if values.size != (count := math.prod(shape)):
        raise UserError(f"{path}: must have {count} values after its header, got {values.size}")
    return values.reshape(shape)
