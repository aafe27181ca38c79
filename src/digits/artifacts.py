"""Files written whole or not at all, with the same bytes for the same content."""

import csv
import gzip
import hashlib
import json
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ALIGNMENT = 64  # bytes, at whose multiples TensorFlow's kernels want an array to begin
LOCAL_HEADER = 30  # bytes of a zip's member before its name
LENGTHS = 26  # where in them the lengths of the name and of the extra fields stand
ZIP64_FIELD = 20  # bytes that zipfile adds where the size may pass 4 GiB
PADDING_ID = 0xD935  # of an extra field that only fills up, as zipalign writes it


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; if the block ends without an error, the file takes `path`'s place.

    The temporary name keeps the suffix, since many writers go by it, and is always the same, so that what a
    killed process leaves is overwritten by the next. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON in its own order; NaN, which JSON lacks, raises ValueError."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read an object that `write_json` wrote."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def write_gzip(path: Path, content: bytes) -> None:
    """Write `content` compressed, without the time and the name that gzip would record."""
    with (
        atomic(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as compressed,
    ):
        compressed.write(content)


def write_arrays(path: Path, **arrays: np.ndarray[Any, Any]) -> None:
    """Write `arrays` as an uncompressed .npz, dated 1980-01-01 whatever the day, in which each can be mapped."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            unpadded = archive.start_dir + LOCAL_HEADER + len(entry.filename) + ZIP64_FIELD + 4
            padding = -unpadded % ALIGNMENT
            entry.extra = struct.pack("<HH", PADDING_ID, padding) + bytes(padding)
            contiguous = np.asarray(array, order="C")
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(contiguous))
                member.write(contiguous.data)


def map_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of an .npz that `write_arrays` wrote, mapped into memory: what is not looked at is not read.

    Changes stay in memory. The checksums in the file are not compared, which would read everything.

    Raises:
        ValueError: the file is compressed, or has an array in Fortran's order.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        return {entry.filename.removesuffix(".npy"): _mapped(file, archive, entry) for entry in archive.infolist()}


def _mapped(file: IO[bytes], archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    with archive.open(entry) as member:
        np.lib.format.read_magic(member)
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(member)
        header = member.tell()
    if fortran_order or entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{file.name}: {entry.filename} is not as write_arrays writes it")
    if 0 in shape:
        return np.empty(shape, dtype)  # nothing cannot be mapped
    file.seek(entry.header_offset)
    name, extra = struct.unpack_from("<HH", file.read(LOCAL_HEADER), LENGTHS)
    start = entry.header_offset + LOCAL_HEADER + name + extra + header
    return np.memmap(file, dtype, mode="c", offset=start, shape=shape)


def write_table(path: Path, columns: Mapping[Any, Iterable[object]]) -> None:
    """Write columns of one length, by name, as CSV; floats to six decimals."""
    rows = zip(*(columns[name] for name in columns), strict=True)
    with atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_written(cell) for cell in row] for row in rows)


def _written(cell: object) -> object:
    return f"{cell:.6f}" if isinstance(cell, float | np.floating) else cell


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV that `write_table` wrote."""
    import pandas as pd  # which not all who write files need

    return pd.read_csv(path)
