"""Files written whole or not at all, with the same bytes for the same content."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


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
    """Write `arrays` as an uncompressed .npz, which NumPy dates 1980-01-01 whatever the day."""
    with atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` as CSV without its index, numbers to six decimals."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV that `write_table` wrote."""
    import pandas as pd  # which not all who write files need

    return pd.read_csv(path)
