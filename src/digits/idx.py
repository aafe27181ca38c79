"""The published format: four gzipped IDX files in a folder, and how they are read, strictly."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import InputError

Bytes = NDArray[np.uint8]

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
ABOUT = "dataset.json"  # what fetch says of the four beside them

IMAGE_SIDE = 28  # pixels
CLASSES = 10

UNSIGNED_BYTES = 0x0800  # the type in the magic number, to which the number of dimensions is added


def encode(values: Bytes) -> bytes:
    """`values`, uint8 of any shape, in the IDX format: magic number, sizes (big-endian), values."""
    return struct.pack(f">{1 + values.ndim}I", UNSIGNED_BYTES + values.ndim, *values.shape) + values.tobytes()


def read_images(path: Path) -> Bytes:
    """The images of a gzipped IDX file: uint8 (n, 28, 28).

    Raises:
        InputError: `path` is not such a file, whole and well-formed.
    """
    images = _read_values(path, rank=3)
    if images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
        raise InputError(
            f"{path}: images must be {IMAGE_SIDE} x {IMAGE_SIDE}, got {images.shape[1]} x {images.shape[2]}"
        )
    return images


def read_labels(path: Path) -> Bytes:
    """The labels of a gzipped IDX file: uint8 (n,), each from 0 to 9.

    Raises:
        InputError: `path` is not such a file, whole and well-formed.
    """
    labels = _read_values(path, rank=1)
    if labels.max() >= CLASSES:
        raise InputError(f"{path}: labels must be from 0 to {CLASSES - 1}, got {labels.max()}")
    return labels


def read(folder: Path) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """The four files in `folder`: images and labels of the training set, then those of the test set.

    Raises:
        InputError: a file is not well-formed, or images and labels differ in number.
    """
    x_train, y_train = _read_pair(folder / TRAIN_IMAGES, folder / TRAIN_LABELS)
    x_test, y_test = _read_pair(folder / TEST_IMAGES, folder / TEST_LABELS)
    return x_train, y_train, x_test, y_test


def _read_pair(images_path: Path, labels_path: Path) -> tuple[Bytes, Bytes]:
    images, labels = read_images(images_path), read_labels(labels_path)
    if len(images) != len(labels):
        raise InputError(f"{images_path}: has {len(images)} images, but {labels_path} has {len(labels)} labels")
    return images, labels


def _read_values(path: Path, rank: int) -> Bytes:
    """The values of a gzipped IDX file of unsigned bytes; http://yann.lecun.com/exdb/mnist has the format."""
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: is not a whole gzip file: {error}") from error
    header = 4 + 4 * rank
    if len(content) < header:
        raise InputError(f"{path}: must have a header of {header} bytes, got {len(content)} bytes in all")
    magic, *shape = struct.unpack(f">{1 + rank}I", content[:header])
    if magic != (wanted := UNSIGNED_BYTES + rank):
        raise InputError(f"{path}: must begin with the magic number {wanted:#010x}, got {magic:#010x}")
    if 0 in shape:
        raise InputError(f"{path}: is empty, its sizes are {shape}")
    values = np.frombuffer(content, dtype=np.uint8, offset=header)
    if values.size != (promised := math.prod(shape)):
        raise InputError(f"{path}: must have {promised} values after its header, got {values.size}")
    return values.reshape(shape)
