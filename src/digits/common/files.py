"""Files that are written whole or not at all, with the same bytes for the same content."""

import csv
import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.common.errors import UserError

Array = NDArray[Any]

# Errors of NumPy and zipfile about a truncated or overwritten .npz.
DAMAGED_NPZ = (EOFError, KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, and rename it to `path` if the block ends without an error.

    The temporary name is hidden, belongs to this process and keeps the suffix, from which writers infer
    the format. Missing folders are made.

    Raises:
        UserError: the file cannot be written, for example because the disk is full.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be written ({reason}); cure that, then run: dvc repro") from error
    finally:
        with suppress(OSError):  # also raised for a file that is not there, if the disk is read-only
            temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON in insertion order. NaN, which JSON lacks, raises ValueError."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read an object that `write_json` wrote.

    Raises:
        UserError: the file is damaged.
    """
    try:
        return dict(json.loads(path.read_bytes()))
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error}); restore it with: dvc repro") from error


def write_arrays(path: Path, **arrays: Array) -> None:
    """Write `arrays` as an uncompressed .npz; equal arrays give identical files.

    `np.savez` marks every member as larger than 2 GB, and Python 3.11.4 changed how it writes that mark.
    """
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            info.file_size = array.nbytes  # lets zipfile use ZIP64 only above 2 GB
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_arrays(path: Path, *names: str) -> list[Array]:
    """Read arrays of an .npz by name.

    Raises:
        UserError: the file is damaged, or has no array of that name.
    """
    try:
        with path.open("rb") as file, np.load(file) as archive:
            return [archive[name] for name in names]
    except FileNotFoundError:
        raise
    except DAMAGED_NPZ as error:
        raise UserError(f"{path}: cannot be read ({error}); restore it with: dvc repro") from error


def write_csv(path: Path, columns: Mapping[Any, Iterable[object]]) -> None:
    """Write columns of equal length, by name; floats to six decimals."""
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(f"{cell:.6f}" if isinstance(cell, float | np.floating) else cell for cell in row)
