"""Whole files or none, and always the same bytes."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digits import artifacts


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file.txt"
    artifacts.write_bytes(path, b"old")
    with pytest.raises(KeyboardInterrupt), artifacts.atomic(path) as temporary:  # noqa: PT012, it is the point
        temporary.write_bytes(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_bytes_do_not_depend_on_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(name: str, now: float) -> list[bytes]:
        monkeypatch.setattr(time, "time", lambda: now)
        artifacts.write_gzip(tmp_path / f"{name}.gz", b"content" * 100)
        artifacts.write_arrays(tmp_path / f"{name}.npz", x=np.arange(5), y=np.zeros(0))
        artifacts.write_table(tmp_path / f"{name}.csv", pd.DataFrame({"x": [1 / 3]}))
        return [(tmp_path / f"{name}.{suffix}").read_bytes() for suffix in ("gz", "npz", "csv")]

    assert write("first", 1e9) == write("second", 1.5e9)
